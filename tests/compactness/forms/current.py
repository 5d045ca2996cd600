"""Steps, gates, objectives and models of current practice, written without a look at the rules."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "gated delta rule, one step",
    "Yang et al. 2025, eq. 10 (gates given); backward " + HAND,
    "S[M K] k[K] v[M] q[K] a[]unit b[]unit",
    """s[m] = sum(k2) S[m,k2]*k[k2]
    T[m,k2] = a[]*(S[m,k2] - b[]*s[m]*k[k2]) + b[]*v[m]*k[k2]
    y[m] = sum(k2) T[m,k2]*q[k2]""",
)
def gated_delta(S: Any, k: Any, v: Any, q: Any, a: Any, b: Any) -> Any:
    T = a * (S - b * np.outer(S @ k, k)) + b * np.outer(v, k)
    return T @ q


@published(gated_delta)
def gated_delta_published(S: Any, k: Any, v: Any, q: Any, a: Any, b: Any) -> Passes:
    s, r = S @ k, S @ q
    h = k @ q
    # y = a S q + b (k.q) (v - a S k)
    e = v - a * s
    dy = yield a * r + (b * h) * e
    ey = e @ dy
    sy, bh = s @ dy, b * h
    u = dy @ S
    w = q - bh * k
    bey = b * ey
    return {
        "S": (a * dy)[:, None] * w,
        "k": bey * q - (a * bh) * u,
        "v": bh * dy,
        "q": a * u + bey * k,
        "a": r @ dy - bh * sy,
        "b": h * ey,
    }


@form(
    "RWKV-4 time mixing, one step",
    "Peng et al. 2023, eq. 16 to 19 (state as numerator and denominator); backward " + HAND,
    "a[N D] b[N D]+ k[N D]small v[N D] r[N D] w[D]+ u[D]",
    """E[n,d] = exp(u[d] + k[n,d])
    y[n,d] = sigmoid(r[n,d])*(a[n,d] + E[n,d]*v[n,d])/(b[n,d] + E[n,d])
    F[n,d] = exp(k[n,d])
    p[n,d] = exp(-w[d])*a[n,d] + F[n,d]*v[n,d]
    q[n,d] = exp(-w[d])*b[n,d] + F[n,d]
    return y, p, q""",
)
def time_mixing(a: Any, b: Any, k: Any, v: Any, r: Any, w: Any, u: Any) -> Any:
    E = np.exp(u + k)
    y = 1 / (1 + np.exp(-r)) * (a + E * v) / (b + E)
    F, decay = np.exp(k), np.exp(-w)
    return y, decay * a + F * v, decay * b + F


@published(time_mixing)
def time_mixing_published(a: Any, b: Any, k: Any, v: Any, r: Any, w: Any, u: Any) -> Passes:
    E = np.exp(u + k)
    s = 1 / (1 + np.exp(-r))
    z = b + E
    y = s * (a + E * v) / z
    F, decay = np.exp(k), np.exp(-w)
    Fv = F * v
    p, q = decay * a + Fv, decay * b + F
    dy, dp, dq = yield y, p, q
    g = dy * s / z
    c = dy * y
    t = c / z
    gE = g * E
    e = gE * v - t * E
    dpF = dp * F
    return {
        "a": g + dp * decay,
        "b": dq * decay - t,
        "k": e + dpF * v + dq * F,
        "v": gE + dpF,
        "r": c * (1 - s),
        "w": -decay * (dp * a + dq * b).sum(axis=0),
        "u": e.sum(axis=0),
    }


@form(
    "real-gated linear recurrent unit, one step",
    "De et al. 2024, eq. 1 to 4 (Griffin, gates given); backward " + HAND,
    "h[N D] x[N D] r[N D]unit i[N D]unit l[D]",
    """a[n,d] = exp(-8*softplus(l[d])*r[n,d])
    y[n,d] = a[n,d]*h[n,d] + sqrt(1 - a[n,d]**2)*i[n,d]*x[n,d]""",
)
def recurrent_unit(h: Any, x: Any, r: Any, i: Any, l: Any) -> Any:
    a = np.exp(-8 * np.log(1 + np.exp(l)) * r)
    return a * h + np.sqrt(1 - a**2) * (i * x)


@published(recurrent_unit)
def recurrent_unit_published(h: Any, x: Any, r: Any, i: Any, l: Any) -> Passes:
    e = np.exp(l)
    f = 1 + e
    c = -8 * np.log(f)
    a = np.exp(c * r)
    b = np.sqrt(1 - a**2)
    z = i * x
    dy = yield a * h + b * z
    db = dy * b
    # the gradient of the exponent
    g = (dy * h - dy * z / b * a) * a
    return {
        "h": dy * a,
        "x": db * i,
        "r": g * c,
        "i": db * x,
        "l": -8 * e / f * (g * r).sum(axis=0),
    }


@form(
    "short causal convolution with SiLU",
    "Gu & Dao 2023, figure 3 (Mamba block); Fu et al. 2023; backward " + HAND,
    "X[T D] w[4 D] b[D]",
    """z[t:T-3,d] = b[d] + sum(k:4) w[k,d]*X[t+k,d]
    Y[t,d] = z[t,d]*sigmoid(z[t,d])""",
    T=200,
)
def short_convolution(X: Any, w: Any, b: Any) -> Any:
    z = b + w[0] * X[:-3] + w[1] * X[1:-2] + w[2] * X[2:-1] + w[3] * X[3:]
    return z * (1 / (1 + np.exp(-z)))


@published(short_convolution)
def short_convolution_published(X: Any, w: Any, b: Any) -> Passes:
    z = b + w[0] * X[:-3] + w[1] * X[1:-2] + w[2] * X[2:-1] + w[3] * X[3:]
    s = 1 / (1 + np.exp(-z))
    Y = z * s
    dY = yield Y
    dz = dY * (s + Y * (1 - s))
    n = len(dz)
    dX, dw = np.zeros_like(X), np.empty_like(w)
    for k in range(4):
        dX[k : k + n] += w[k] * dz
        dw[k] = (dz * X[k : k + n]).sum(axis=0)
    return {"X": dX, "w": dw, "b": dz.sum(axis=0)}


@form(
    "gated root mean square norm in groups",
    "Dao & Gu 2024 (RMSNormGated of the Mamba-2 block); backward " + HAND,
    "X[N 4*C] Z[N 4*C] w[4*C]",
    """G[n,j,c] = X[n,j*C+c]*Z[n,j*C+c]*sigmoid(Z[n,j*C+c])
    r[n,j:4] = sqrt((mean(c) G[n,j,c]**2) + 1e-5)
    Y[n,(j,c)] = G[n,j,c]/r[n,j]*w[j*C+c]""",
    C=10,
)
def gated_norm(X: Any, Z: Any, w: Any) -> Any:
    G = X * (Z * (1 / (1 + np.exp(-Z))))
    G = G.reshape(len(X), 4, -1)
    H = G / np.sqrt((G**2).mean(axis=2, keepdims=True) + 1e-5)
    return H.reshape(X.shape) * w


@published(gated_norm)
def gated_norm_published(X: Any, Z: Any, w: Any) -> Passes:
    s = 1 / (1 + np.exp(-Z))
    q = Z * s
    G = (X * q).reshape(len(X), 4, -1)
    r = np.sqrt((G**2).mean(axis=2, keepdims=True) + 1e-5)
    H = G / r
    flat = H.reshape(X.shape)
    dY = yield flat * w
    dH = (dY * w).reshape(H.shape)
    m = (dH * H).sum(axis=2, keepdims=True) / G.shape[2]
    dG = ((dH - m * H) / r).reshape(X.shape)
    return {
        "X": dG * q,
        "Z": dG * X * (s + q * (1 - s)),
        "w": (dY * flat).sum(axis=0),
    }


@form(
    "weight standardisation",
    "Qiao et al. 2019, eq. 7 to 9; backward " + HAND,
    "X[N D] W[D M]",
    """m[j] = mean(d) W[d,j]
    Z[d,j] = W[d,j] - m[j]
    s[j] = sqrt((mean(d) Z[d,j]**2) + 1e-5)
    V[d,j] = Z[d,j]/s[j]
    Y[n,j] = sum(d) X[n,d]*V[d,j]""",
)
def standardised(X: Any, W: Any) -> Any:
    V = (W - W.mean(axis=0)) / np.sqrt(W.var(axis=0) + 1e-5)
    return X @ V


@published(standardised)
def standardised_published(X: Any, W: Any) -> Passes:
    n = len(W)
    Z = W - W.mean(axis=0)
    s = np.sqrt((Z**2).mean(axis=0) + 1e-5)
    V = Z / s
    dY = yield X @ V
    dV = X.T @ dY
    dW = (dV - dV.sum(axis=0) / n - (dV * V).sum(axis=0) / n * V) / s
    return {"X": dY @ V.T, "W": dW}


@form(
    "mixture of gated experts, dense",
    "Shazeer 2020, eq. 6; Jiang et al. 2024, section 2.1 (all experts); backward " + HAND,
    "X[N D] R[D 3]small A[3 D H]small B[3 D H]small U[3 H D]small",
    """z[n,e] = exp(sum(d) X[n,d]*R[d,e])
    g[n,e] = z[n,e]/sum(f) z[n,f]
    a[e,n,h] = sum(d) X[n,d]*A[e,d,h]
    b[e,n,h] = sum(d) X[n,d]*B[e,d,h]
    s[e,n,h] = a[e,n,h]*sigmoid(a[e,n,h])*b[e,n,h]
    y[e,n,d] = sum(h) s[e,n,h]*U[e,h,d]
    Y[n,d] = sum(e) g[n,e]*y[e,n,d]""",
    D=20,
)
def gated_experts(X: Any, R: Any, A: Any, B: Any, U: Any) -> Any:
    z = np.exp(X @ R)
    g = z / z.sum(axis=1, keepdims=True)
    a = X @ A
    y = (a * (1 / (1 + np.exp(-a))) * (X @ B)) @ U
    return (g.T[:, :, None] * y).sum(axis=0)


@published(gated_experts)
def gated_experts_published(X: Any, R: Any, A: Any, B: Any, U: Any) -> Passes:
    z = np.exp(X @ R)
    g = z / z.sum(axis=1, keepdims=True)
    a, b = X @ A, X @ B
    s = 1 / (1 + np.exp(-a))
    q = a * s
    h = q * b
    y = h @ U
    gt = g.T[:, :, None]
    dY = yield (gt * y).sum(axis=0)
    dg = (y * dY).sum(axis=2).T
    dz = g * (dg - (dg * g).sum(axis=1, keepdims=True))
    dy = gt * dY
    dh = dy @ U.mT
    db = dh * q
    da = dh * b * (s + q * (1 - s))
    return {
        "X": dz @ R.T + (da @ A.mT + db @ B.mT).sum(axis=0),
        "R": X.T @ dz,
        "A": X.T @ da,
        "B": X.T @ db,
        "U": h.mT @ dy,
    }


@form(
    "load balancing of experts",
    "Fedus et al. 2022, eq. 4 to 6 (shares of tokens given); backward " + HAND,
    "X[N D] R[D E]small f[E]rows",
    """Z[n,e] = exp(sum(d) X[n,d]*R[d,e])
    P[n,e] = Z[n,e]/sum(j) Z[n,j]
    L[] = 0.01*E*sum(e) f[e]*mean(n) P[n,e]""",
)
def balancing(X: Any, R: Any, f: Any) -> Any:
    Z = np.exp(X @ R)
    P = Z / Z.sum(axis=1, keepdims=True)
    return 0.01 * R.shape[1] * (f * P.mean(axis=0)).sum()


@published(balancing)
def balancing_published(X: Any, R: Any, f: Any) -> Passes:
    n, e = len(X), R.shape[1]
    Z = np.exp(X @ R)
    P = Z / Z.sum(axis=1, keepdims=True)
    dL = yield 0.01 * e * (f * P.mean(axis=0)).sum()
    dP = (0.01 * e / n * dL) * f
    dS = P * (dP - (P @ dP)[:, None])
    return {"X": dS @ R.T, "R": X.T @ dS}


@form(
    "capped logits, cross-entropy and the square of the log-partition",
    "Gemma 2, 2024 (cap); Chowdhery et al. 2022, section 5 (z-loss); backward " + HAND,
    "X[N D] W[D C]small y[N]:C",
    """S[n,c] = 30*tanh((sum(d) X[n,d]*W[d,c])/30)
    z[n] = log(sum(c) exp(S[n,c]))
    L[] = mean(n) (z[n] - S[n,y[n]] + 0.0001*z[n]**2)""",
)
def capped_logits(X: Any, W: Any, y: Any) -> Any:
    S = 30 * np.tanh(X @ W / 30)
    z = np.log(np.exp(S).sum(axis=1))
    return (z - S[np.arange(len(X)), y] + 1e-4 * z**2).mean()


@published(capped_logits)
def capped_logits_published(X: Any, W: Any, y: Any) -> Passes:
    n = np.arange(len(X))
    t = np.tanh(X @ W / 30)
    S = 30 * t
    E = np.exp(S)
    r = E.sum(axis=1)
    z = np.log(r)
    dL = yield (z - S[n, y] + 1e-4 * z**2).mean()
    g = dL / len(X)
    dS = E * ((g + 2e-4 * g * z) / r)[:, None]
    dS[n, y] -= g
    dS *= 1 - t**2
    return {"X": dS @ W.T, "W": X.T @ dS}


@form(
    "label smoothing with ignored rows",
    "Szegedy et al. 2016, section 7 (as in PyTorch, a weight 0 or 1 a row); backward " + HAND,
    "S[N C] y[N]:C m[N]binary",
    """l[n] = log(sum(c) exp(S[n,c]))
    w[] = sum(n) m[n]
    L[] = (sum(n) m[n]*(l[n] - 0.9*S[n,y[n]] - 0.1*mean(c) S[n,c]))/w[]""",
)
def ignored_rows(S: Any, y: Any, m: Any) -> Any:
    l = np.log(np.exp(S).sum(axis=1))
    loss = l - 0.9 * S[np.arange(len(S)), y] - 0.1 * S.mean(axis=1)
    return (m * loss).sum() / m.sum()


@published(ignored_rows)
def ignored_rows_published(S: Any, y: Any, m: Any) -> Passes:
    n = np.arange(len(S))
    E = np.exp(S)
    z = E.sum(axis=1)
    w = m.sum()
    loss = np.log(z) - 0.9 * S[n, y] - 0.1 * S.mean(axis=1)
    dL = yield (m * loss).sum() / w
    g = (dL / w) * m
    dS = E * (g / z)[:, None] - (0.1 / S.shape[1] * g)[:, None]
    dS[n, y] -= 0.9 * g
    return {"S": dS}


@form(
    "Kahneman-Tversky optimisation",
    "Ethayarajh et al. 2024, eq. 8 (reference point given); backward " + HAND,
    "p[N] o[N] s[N]sign w[N]+ z[]",
    "L[] = mean(n) w[n]*(1 - sigmoid(0.1*s[n]*(p[n] - o[n] - z[])))",
    N=400,
)
def prospect(p: Any, o: Any, s: Any, w: Any, z: Any) -> Any:
    return (w * (1 - 1 / (1 + np.exp(-(0.1 * s * (p - o - z)))))).mean()


@published(prospect)
def prospect_published(p: Any, o: Any, s: Any, w: Any, z: Any) -> Passes:
    v = 1 / (1 + np.exp(-(0.1 * s * (p - o - z))))
    h = 1 - v
    wh = w * h
    dL = yield wh.mean()
    return {"p": (-0.1 * dL / len(p)) * wh * v * s}


@form(
    "simple preference optimisation",
    "Meng et al. 2024, eq. 6; backward " + HAND,
    "a[N] b[N] m[N]+ k[N]+",
    """h[n] = 2*(a[n]/m[n] - b[n]/k[n]) - 1.5
    L[] = mean(n) log(1 + exp(-h[n]))""",
    N=400,
)
def simple_preference(a: Any, b: Any, m: Any, k: Any) -> Any:
    h = 2 * (a / m - b / k) - 1.5
    return np.log(1 + np.exp(-h)).mean()


@published(simple_preference)
def simple_preference_published(a: Any, b: Any, m: Any, k: Any) -> Passes:
    e = np.exp(-(2 * (a / m - b / k) - 1.5))
    f = 1 + e
    dL = yield np.log(f).mean()
    g = (-2 * dL / len(a)) * e / f
    return {"a": g / m, "b": -g / k}


@form(
    "odds ratio preference optimisation",
    "Hong et al. 2024, eq. 6 and 7; backward " + HAND,
    "a[N]+ b[N]+",
    """r[n] = -a[n] - log(1 - exp(-a[n])) + b[n] + log(1 - exp(-b[n]))
    L[] = mean(n) (a[n] + 0.1*log(1 + exp(-r[n])))""",
    N=400,
)
def odds_ratio(a: Any, b: Any) -> Any:
    # a and b are mean negative log-likelihoods of what is chosen and what is rejected.
    r = -a - np.log(1 - np.exp(-a)) + b + np.log(1 - np.exp(-b))
    return (a + 0.1 * np.log(1 + np.exp(-r))).mean()


@published(odds_ratio)
def odds_ratio_published(a: Any, b: Any) -> Passes:
    p, q = 1 - np.exp(-a), 1 - np.exp(-b)
    r = -a - np.log(p) + b + np.log(q)
    e = np.exp(-r)
    f = 1 + e
    dL = yield (a + 0.1 * np.log(f)).mean()
    g = dL / len(a)
    s = (0.1 * g) * e / f
    # 1 + (1 - p)/p = 1/p
    return {"a": g + s / p, "b": -s / q}


@form(
    "advantage actor-critic with an entropy bonus",
    "Mnih et al. 2016, section 4 (policy part, advantages given); backward " + HAND,
    "S[N C] a[N]:C A[N]",
    """E[n,c] = exp(S[n,c])
    P[n,c] = E[n,c]/sum(k) E[n,k]
    l[n,c] = log(P[n,c])
    L[] = -mean(n) (A[n]*l[n,a[n]] - 0.01*sum(c) P[n,c]*l[n,c])""",
)
def actor_critic(S: Any, a: Any, A: Any) -> Any:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    logs = np.log(P)
    return -(A * logs[np.arange(len(S)), a] - 0.01 * (P * logs).sum(axis=1)).mean()


@published(actor_critic)
def actor_critic_published(S: Any, a: Any, A: Any) -> Passes:
    n = np.arange(len(S))
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    logs = np.log(P)
    Q = P * logs
    h = Q.sum(axis=1)
    dL = yield -(A * logs[n, a] - 0.01 * h).mean()
    g = dL / len(S)
    k = 0.01 * g
    dS = k * Q + (g * A - k * h)[:, None] * P
    dS[n, a] -= g * A
    return {"S": dS}


@form(
    "squashed Gaussian policy: soft actor-critic",
    "Haarnoja et al. 2018, eq. 21 (noise given); backward " + HAND,
    "m[N D] s[N D]small e[N D] q[N D]",
    """u[n,d] = m[n,d] + exp(s[n,d])*e[n,d]
    a[n,d] = tanh(u[n,d])
    L[] = mean(n) sum(d) (-1/2*e[n,d]**2 - s[n,d] - log(1 - a[n,d]**2 + 1e-6) - q[n,d]*a[n,d])""",
)
def squashed(m: Any, s: Any, e: Any, q: Any) -> Any:
    a = np.tanh(m + np.exp(s) * e)
    logs = -0.5 * e**2 - s - np.log(1 - a**2 + 1e-6)
    return (logs - q * a).sum(axis=1).mean()


@published(squashed)
def squashed_published(m: Any, s: Any, e: Any, q: Any) -> Passes:
    w = np.exp(s) * e
    a = np.tanh(m + w)
    h = 1 - a**2
    k = h + 1e-6
    dL = yield (-0.5 * e**2 - s - np.log(k) - q * a).sum(axis=1).mean()
    g = dL / len(m)
    du = g * h * (2 * a / k - q)
    return {"m": du, "s": du * w - g}


@form(
    "quantile regression with Huber's loss",
    "Dabney et al. 2018, eq. 10 (QR-DQN); gradient " + HAND,
    "t[N M] q[N M] f[M]unit",
    """u[n,i,j] = t[n,j] - q[n,i]
    h[n,i,j] = where(abs(u[n,i,j]) <= 1, 1/2*u[n,i,j]**2, abs(u[n,i,j]) - 1/2)
    L[] = mean(n) sum(i) mean(j) abs(f[i] - [u[n,i,j] < 0])*h[n,i,j]""",
    N=10,
    M=20,
)
def huber_quantile(t: Any, q: Any, f: Any) -> Any:
    u = t[:, None, :] - q[:, :, None]
    a = np.abs(u)
    h = np.where(a <= 1, 0.5 * u**2, a - 0.5)
    return (np.abs(f[:, None] - (u < 0)) * h).mean(axis=2).sum(axis=1).mean()


@published(huber_quantile)
def huber_quantile_published(t: Any, q: Any, f: Any) -> Passes:
    u = t[:, None, :] - q[:, :, None]
    a = np.abs(u)
    w = np.abs(f[:, None] - (u < 0))
    h = np.where(a <= 1, 0.5 * u**2, a - 0.5)
    dL = yield (w * h).mean(axis=2).sum(axis=1).mean()
    g = -dL / (len(t) * t.shape[1])
    return {"q": g * (w * np.clip(u, -1, 1)).sum(axis=2)}


@form(
    "flow matching of a two-layer field",
    "Lipman et al. 2023, eq. 23 (straight paths, smallest width 0); backward " + HAND,
    "x[N D] z[N D] t[N]unit W[D H]small V[H D]small b[H]",
    """p[n,d] = (1 - t[n])*z[n,d] + t[n]*x[n,d]
    h[n,k] = tanh((sum(d) p[n,d]*W[d,k]) + t[n]*b[k])
    v[n,d] = sum(k) h[n,k]*V[k,d]
    L[] = mean(n,d) (v[n,d] - (x[n,d] - z[n,d]))**2""",
)
def flow_matching(x: Any, z: Any, t: Any, W: Any, V: Any, b: Any) -> Any:
    s = t[:, None]
    h = np.tanh(((1 - s) * z + s * x) @ W + s * b)
    return ((h @ V - (x - z)) ** 2).mean()


@published(flow_matching)
def flow_matching_published(x: Any, z: Any, t: Any, W: Any, V: Any, b: Any) -> Passes:
    s = t[:, None]
    p = (1 - s) * z + s * x
    h = np.tanh(p @ W + s * b)
    e = h @ V - (x - z)
    dL = yield (e**2).mean()
    dv = (2 * dL / e.size) * e
    da = (dv @ V.T) * (1 - h**2)
    return {"W": p.T @ da, "V": h.T @ dv, "b": t @ da}


@form(
    "diffusion, prediction of the velocity, clipped weights",
    "Salimans & Ho 2022, appendix D; Hang et al. 2023, eq. 9 (min-SNR); backward " + HAND,
    "x[N D] z[N D] a[N]unit W[D D]small",
    """s[n] = sqrt(1 - a[n]**2)
    p[n,d] = a[n]*x[n,d] + s[n]*z[n,d]
    v[n,d] = a[n]*z[n,d] - s[n]*x[n,d]
    r[n] = a[n]**2/s[n]**2
    w[n] = minimum(r[n], 5)/(r[n] + 1)
    f[n,d] = sum(k) p[n,k]*W[k,d]
    L[] = mean(n) w[n]*mean(d) (f[n,d] - v[n,d])**2""",
)
def velocity(x: Any, z: Any, a: Any, W: Any) -> Any:
    s = np.sqrt(1 - a**2)
    c, k = a[:, None], s[:, None]
    r = a**2 / s**2
    w = np.minimum(r, 5) / (r + 1)
    e = (c * x + k * z) @ W - (c * z - k * x)
    return (w * (e**2).mean(axis=1)).mean()


@published(velocity)
def velocity_published(x: Any, z: Any, a: Any, W: Any) -> Passes:
    s = np.sqrt(1 - a**2)
    c, k = a[:, None], s[:, None]
    r = a**2 / s**2
    w = np.minimum(r, 5) / (r + 1)
    p = c * x + k * z
    e = p @ W - (c * z - k * x)
    dL = yield (w * (e**2).mean(axis=1)).mean()
    g = (2 * dL / e.size * w)[:, None] * e
    return {"W": p.T @ g, "x": c * (g @ W.T) + k * g}


@form(
    "denoising score matching",
    "Song & Ermon 2019, eq. 5 and 6 (linear score over noise); backward " + HAND,
    "X[N D] Z[N D] s[N]+ W[D D]small b[D]",
    """p[n,d] = X[n,d] + s[n]*Z[n,d]
    f[n,d] = ((sum(k) p[n,k]*W[k,d]) + b[d])/s[n]
    L[] = 1/2*mean(n) s[n]**2*sum(d) (f[n,d] + Z[n,d]/s[n])**2""",
)
def score_matching(X: Any, Z: Any, s: Any, W: Any, b: Any) -> Any:
    c = s[:, None]
    f = ((X + c * Z) @ W + b) / c
    return 0.5 * (s**2 * ((f + Z / c) ** 2).sum(axis=1)).mean()


@published(score_matching)
def score_matching_published(X: Any, Z: Any, s: Any, W: Any, b: Any) -> Passes:
    c = s[:, None]
    p = X + c * Z
    e = (p @ W + b) / c + Z / c
    dL = yield 0.5 * (s**2 * (e**2).sum(axis=1)).mean()
    g = (dL / len(X) * c) * e
    return {"W": p.T @ g, "b": g.sum(axis=0)}


@form(
    "sigmoid loss of pairs (SigLIP)",
    "Zhai et al. 2023, eq. 1 and algorithm 1; backward " + HAND,
    "X[N D]small Z[N D]small t[] b[] S[N N]sign",
    """l[n,m] = S[n,m]*(t[]*(sum(d) X[n,d]*Z[m,d]) + b[])
    L[] = mean(n) sum(m) log(1 + exp(-l[n,m]))""",
)
def sigmoid_pairs(X: Any, Z: Any, t: Any, b: Any, S: Any) -> Any:
    l = S * (t * (X @ Z.T) + b)
    return np.log(1 + np.exp(-l)).sum(axis=1).mean()


@published(sigmoid_pairs)
def sigmoid_pairs_published(X: Any, Z: Any, t: Any, b: Any, S: Any) -> Passes:
    c = X @ Z.T
    e = np.exp(-(S * (t * c + b)))
    f = 1 + e
    dL = yield np.log(f).sum(axis=1).mean()
    G = (-dL / len(X)) * S * e / f
    GZ = G @ Z
    return {"X": t * GZ, "Z": t * (G.T @ X), "t": (G * c).sum(), "b": G.sum()}


@form(
    "circle loss of given similarities",
    "Sun et al. 2020, eq. 6 and 8 (weights differentiated); backward " + HAND,
    "p[N K]unit q[N M]unit",
    """a[n,k] = exp(-8*relu(1.25 - p[n,k])*(p[n,k] - 0.75))
    b[n,m] = exp(8*relu(q[n,m] + 0.25)*(q[n,m] - 0.25))
    L[] = mean(n) log(1 + (sum(k) a[n,k])*(sum(m) b[n,m]))""",
)
def circle(p: Any, q: Any) -> Any:
    a = np.exp(-8 * np.maximum(1.25 - p, 0) * (p - 0.75)).sum(axis=1)
    b = np.exp(8 * np.maximum(q + 0.25, 0) * (q - 0.25)).sum(axis=1)
    return np.log(1 + a * b).mean()


@published(circle)
def circle_published(p: Any, q: Any) -> Passes:
    u, v = 1.25 - p, q + 0.25
    r, s = np.maximum(u, 0), np.maximum(v, 0)
    c, d = p - 0.75, q - 0.25
    A, B = np.exp(-8 * r * c), np.exp(8 * s * d)
    a, b = A.sum(axis=1), B.sum(axis=1)
    z = 1 + a * b
    dL = yield np.log(z).mean()
    g = 8 * dL / len(p) / z
    return {
        "p": (g * b)[:, None] * A * ((u > 0) * c - r),
        "q": (g * a)[:, None] * B * ((v > 0) * d + s),
    }


@form(
    "vector quantisation: codebook and commitment",
    "van den Oord et al. 2017, eq. 3 (nearest codes given); backward " + HAND,
    "Z[N D] E[K D] c[N]:K",
    """e[n,d] = Z[n,d] - E[c[n],d]
    L[] = 1.25*mean(n) sum(d) e[n,d]**2""",
)
def quantisation(Z: Any, E: Any, c: Any) -> Any:
    return 1.25 * ((Z - E[c]) ** 2).sum(axis=1).mean()


@published(quantisation)
def quantisation_published(Z: Any, E: Any, c: Any) -> Passes:
    e = Z - E[c]
    dL = yield 1.25 * (e**2).sum(axis=1).mean()
    g = (2.5 * dL / len(Z)) * e
    dE = np.zeros_like(E)
    np.subtract.at(dE, c, g)
    return {"Z": g, "E": dE}


@form(
    "distances in the Poincare ball",
    "Nickel & Kiela 2017, eq. 1 and 4; gradient " + HAND,
    "U[N D]small V[N D]small",
    """a[n] = 1 - 0.1*sum(d) U[n,d]**2
    b[n] = 1 - 0.1*sum(d) V[n,d]**2
    s[n] = sum(d) (U[n,d] - V[n,d])**2
    y[n] = arccosh(1 + 0.2*s[n]/(a[n]*b[n]))""",
    D=20,
)
def hyperbolic(U: Any, V: Any) -> Any:
    a = 1 - 0.1 * (U**2).sum(axis=1)
    b = 1 - 0.1 * (V**2).sum(axis=1)
    s = ((U - V) ** 2).sum(axis=1)
    return np.arccosh(1 + 0.2 * s / (a * b))


@published(hyperbolic)
def hyperbolic_published(U: Any, V: Any) -> Passes:
    a = 1 - 0.1 * (U**2).sum(axis=1)
    b = 1 - 0.1 * (V**2).sum(axis=1)
    D = U - V
    s = (D**2).sum(axis=1)
    ab = a * b
    g = 1 + 0.2 * s / ab
    dy = yield np.arccosh(g)
    w = 0.4 * dy / np.sqrt(g**2 - 1) / ab
    k = 0.1 * w * s
    wD = w[:, None] * D
    return {"U": wD + (k / a)[:, None] * U, "V": (k / b)[:, None] * V - wD}


@form(
    "Ewald sum: real part",
    "Ewald 1921; as in Frenkel & Smit 2002, eq. 12.1.10; forces " + HAND,
    "X[N 3] q[N]",
    """r[i,j] = sqrt((sum(d) (X[i,d] - X[j,d])**2) + 0.01)
    L[] = 1/2*sum(i,j) q[i]*q[j]*(1 - erf(0.8*r[i,j]))/r[i,j]""",
)
def ewald(X: Any, q: Any) -> Any:
    from scipy.special import erfc

    # Softened, so that a charge beside itself is finite.
    r = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2) + 0.01)
    return 0.5 * (np.outer(q, q) * erfc(0.8 * r) / r).sum()


@published(ewald)
def ewald_published(X: Any, q: Any) -> Passes:
    from scipy.special import erfc

    s = ((X[:, None] - X[None]) ** 2).sum(axis=2) + 0.01
    r = np.sqrt(s)
    K = erfc(0.8 * r) / r
    Q = np.outer(q, q)
    dL = yield 0.5 * (Q * K).sum()
    # Both halves of the force are the same.
    G = (-dL) * Q * (K + (1.6 / np.sqrt(np.pi)) * np.exp(-0.64 * s)) / s
    return {"X": G.sum(axis=1)[:, None] * X - G @ X, "q": dL * (K @ q)}


@form(
    "Morse bonds",
    "Morse 1929; bonded pairs given; forces " + HAND,
    "X[N 3] i[M]:N j[M]:N D[M]+ a[M]+",
    """d[m,k] = X[i[m],k] - X[j[m],k]
    r[m] = sqrt((sum(k) d[m,k]**2) + 0.01)
    L[] = sum(m) D[m]*(1 - exp(-a[m]*(r[m] - 1)))**2""",
    M=300,
)
def morse(X: Any, i: Any, j: Any, D: Any, a: Any) -> Any:
    d = X[i] - X[j]
    r = np.sqrt((d**2).sum(axis=1) + 0.01)
    return (D * (1 - np.exp(-a * (r - 1))) ** 2).sum()


@published(morse)
def morse_published(X: Any, i: Any, j: Any, D: Any, a: Any) -> Passes:
    d = X[i] - X[j]
    r = np.sqrt((d**2).sum(axis=1) + 0.01)
    s = r - 1
    e = np.exp(-a * s)
    h = 1 - e
    h2 = h**2
    dL = yield (D * h2).sum()
    w = (2 * dL) * D * h * e
    f = (w * a / r)[:, None] * d
    dX = np.zeros_like(X)
    np.add.at(dX, i, f)
    np.subtract.at(dX, j, f)
    return {"X": dX, "D": dL * h2, "a": w * s}


@form(
    "elastic net, logistic",
    "Zou & Hastie 2005, eq. 3; Friedman et al. 2010, eq. 14; subgradient " + HAND,
    "X[N D] w[D]small b[] y[N]sign",
    """z[n] = y[n]*((sum(d) X[n,d]*w[d]) + b[])
    L[] = (mean(n) log(1 + exp(-z[n]))) + 0.1*(sum(d) abs(w[d])) + 0.05*sum(d) w[d]**2""",
)
def elastic_net(X: Any, w: Any, b: Any, y: Any) -> Any:
    z = y * (X @ w + b)
    return np.log(1 + np.exp(-z)).mean() + 0.1 * np.abs(w).sum() + 0.05 * (w**2).sum()


@published(elastic_net)
def elastic_net_published(X: Any, w: Any, b: Any, y: Any) -> Passes:
    e = np.exp(-y * (X @ w + b))
    f = 1 + e
    dL = yield np.log(f).mean() + 0.1 * np.abs(w).sum() + 0.05 * (w**2).sum()
    g = (-dL / len(y)) * y * e / f
    return {"w": g @ X + dL * (0.1 * np.sign(w) + 0.1 * w), "b": g.sum()}


@form(
    "ordinal regression by cumulative logits",
    "McCullagh 1980, eq. 2.2 (thresholds given as a table of K + 1); score " + HAND,
    "X[N D] w[D]small t[C]ascending y[N]:K",
    """m[n] = sum(d) X[n,d]*w[d]
    p[n] = sigmoid(t[y[n]+1] - m[n])
    q[n] = sigmoid(t[y[n]] - m[n])
    L[] = -sum(n) log(p[n] - q[n])""",
    C=6,
    K=5,
)
def ordinal(X: Any, w: Any, t: Any, y: Any) -> Any:
    m = X @ w
    p = 1 / (1 + np.exp(-(t[y + 1] - m)))
    q = 1 / (1 + np.exp(-(t[y] - m)))
    return -np.log(p - q).sum()


@published(ordinal)
def ordinal_published(X: Any, w: Any, t: Any, y: Any) -> Passes:
    m = X @ w
    p = 1 / (1 + np.exp(-(t[y + 1] - m)))
    q = 1 / (1 + np.exp(-(t[y] - m)))
    r = p - q
    dL = yield -np.log(r).sum()
    g = dL / r
    u, v = g * p * (1 - p), g * q * (1 - q)
    dt = np.zeros_like(t)
    np.subtract.at(dt, y + 1, u)
    np.add.at(dt, y, v)
    return {"w": (u - v) @ X, "t": dt}


@form(
    "Weibull survival with censoring",
    "Kalbfleisch & Prentice 2002, section 2.2.2; score " + HAND,
    "X[N D] w[D]small k[] t[N]+ c[N]binary",
    """a[] = exp(k[])
    z[n] = a[]*(log(t[n]) - sum(d) X[n,d]*w[d])
    L[] = sum(n) (exp(z[n]) - c[n]*(k[] + z[n] - log(t[n])))""",
)
def weibull(X: Any, w: Any, k: Any, t: Any, c: Any) -> Any:
    logs = np.log(t)
    z = np.exp(k) * (logs - X @ w)
    return (np.exp(z) - c * (k + z - logs)).sum()


@published(weibull)
def weibull_published(X: Any, w: Any, k: Any, t: Any, c: Any) -> Passes:
    logs = np.log(t)
    a = np.exp(k)
    z = a * (logs - X @ w)
    e = np.exp(z)
    dL = yield (e - c * (k + z - logs)).sum()
    g = e - c
    return {"w": (-dL * a) * (g @ X), "k": dL * (g @ z - c.sum())}


@form(
    "zero-inflated Poisson regression",
    "Lambert 1992, eq. 2 (one weight of zeros); score " + HAND,
    "X[N D] w[D]small p[] y[N]:4",
    """e[n] = sum(d) X[n,d]*w[d]
    m[n] = exp(e[n])
    q[] = exp(p[])
    L[] = sum(n) (log(1 + q[]) - where(y[n] = 0, log(q[] + exp(-m[n])), y[n]*e[n] - m[n]))""",
)
def zero_inflated(X: Any, w: Any, p: Any, y: Any) -> Any:
    e = X @ w
    m, q = np.exp(e), np.exp(p)
    return (np.log(1 + q) - np.where(y == 0, np.log(q + np.exp(-m)), y * e - m)).sum()


@published(zero_inflated)
def zero_inflated_published(X: Any, w: Any, p: Any, y: Any) -> Passes:
    e = X @ w
    m, q = np.exp(e), np.exp(p)
    r = np.exp(-m)
    z = q + r
    none = y == 0
    dL = yield (np.log(1 + q) - np.where(none, np.log(z), y * e - m)).sum()
    g = dL * np.where(none, r * m / z, m - y)
    return {"w": g @ X, "p": dL * q * (len(y) / (1 + q) - (none / z).sum())}


@form(
    "view-dependent colour by spherical harmonics, two degrees",
    "Ramamoorthi & Hanrahan 2001, eq. 3; Kerbl et al. 2023; backward " + HAND,
    "v[N 3] c[N 4 3]",
    """r[n] = sqrt(sum(k) v[n,k]**2)
    d[n,k] = v[n,k]/r[n]
    Y[n,j] = 0.28*c[n,0,j] - 0.49*d[n,1]*c[n,1,j] + 0.49*d[n,2]*c[n,2,j] - 0.49*d[n,0]*c[n,3,j]""",
    N=200,
)
def harmonics(v: Any, c: Any) -> Any:
    d = v / np.sqrt((v**2).sum(axis=1, keepdims=True))
    x, y, z = d[:, 0:1], d[:, 1:2], d[:, 2:3]
    return 0.28 * c[:, 0] - 0.49 * y * c[:, 1] + 0.49 * z * c[:, 2] - 0.49 * x * c[:, 3]


@published(harmonics)
def harmonics_published(v: Any, c: Any) -> Passes:
    r = np.sqrt((v**2).sum(axis=1, keepdims=True))
    d = v / r
    x, y, z = 0.49 * d[:, 0:1], 0.49 * d[:, 1:2], 0.49 * d[:, 2:3]
    dY = yield 0.28 * c[:, 0] - y * c[:, 1] + z * c[:, 2] - x * c[:, 3]
    dc, dd = np.empty_like(c), np.empty_like(v)
    dc[:, 0] = 0.28 * dY
    dc[:, 1] = -y * dY
    dc[:, 2] = z * dY
    dc[:, 3] = -x * dY
    dd[:, 0] = -0.49 * (dY * c[:, 3]).sum(axis=1)
    dd[:, 1] = -0.49 * (dY * c[:, 1]).sum(axis=1)
    dd[:, 2] = 0.49 * (dY * c[:, 2]).sum(axis=1)
    return {"v": (dd - (dd * d).sum(axis=1, keepdims=True) * d) / r, "c": dc}


@form(
    "points turned by a quaternion",
    "Hamilton 1844; Sola 2017, eq. 115 (scaled to length 1); backward " + HAND,
    "q[4] X[N 3]",
    """s[] = 2/sum(k) q[k]**2
    R[i:3,j:3] = [i = j] + s[]*(q[i+1]*q[j+1] - [i = j]*(sum(k:3) q[k+1]**2) +
        q[0]*([i = 0]*([j = 2]*q[2] - [j = 1]*q[3]) + [i = 1]*([j = 0]*q[3] - [j = 2]*q[1]) +
        [i = 2]*([j = 1]*q[1] - [j = 0]*q[2])))
    Y[n,i] = sum(j) R[i,j]*X[n,j]""",
    N=200,
)
def turned(q: Any, X: Any) -> Any:
    # x + 2 (w (u x x) + u x (u x x))/|q|^2
    s = 2 / (q**2).sum()
    w, u = q[0], q[1:]
    t = np.cross(u, X)
    return X + s * (w * t + np.cross(u, t))


@published(turned)
def turned_published(q: Any, X: Any) -> Passes:
    n = (q**2).sum()
    s = 2 / n
    w, u = q[0], q[1:]
    t = np.cross(u, X)
    z = w * t + np.cross(u, t)
    dY = yield X + s * z
    dz = s * dY
    # Turned back; the gradient of R = (dY^T X) read off once.
    b = np.cross(u, dz)
    dX = dY - w * b + np.cross(u, b)
    dt = w * dz - b
    du = (np.cross(t, dz) + np.cross(X, dt)).sum(axis=0)
    ds = (dY * z).sum()
    dq = (-2 * ds * s / n) * q
    dq[0] += (dz * t).sum()
    dq[1:] += du
    return {"q": dq, "X": dX}


@form(
    "pinhole camera with radial distortion",
    "Zhang 2000, eq. 11 and 12; Jacobian " + HAND,
    "P[N 3]+ f[] k[2]small",
    """x[n] = P[n,0]/P[n,2]
    y[n] = P[n,1]/P[n,2]
    r[n] = x[n]**2 + y[n]**2
    d[n] = 1 + k[0]*r[n] + k[1]*r[n]**2
    u[n] = f[]*d[n]*x[n]
    v[n] = f[]*d[n]*y[n]
    return u, v""",
    N=200,
)
def camera(P: Any, f: Any, k: Any) -> Any:
    x, y = P[:, 0] / P[:, 2], P[:, 1] / P[:, 2]
    r = x**2 + y**2
    d = 1 + k[0] * r + k[1] * r**2
    return f * d * x, f * d * y


@published(camera)
def camera_published(P: Any, f: Any, k: Any) -> Passes:
    Z = P[:, 2]
    x, y = P[:, 0] / Z, P[:, 1] / Z
    r = x**2 + y**2
    r2 = r**2
    d = 1 + k[0] * r + k[1] * r2
    fd = f * d
    du, dv = yield fd * x, fd * y
    s = du * x + dv * y
    fs = f * s
    g = 2 * fs * (k[0] + 2 * k[1] * r)
    p, q = (fd * du + g * x) / Z, (fd * dv + g * y) / Z
    dP, dk = np.empty_like(P), np.empty_like(k)
    dP[:, 0], dP[:, 1] = p, q
    dP[:, 2] = -(p * x + q * y)
    dk[0], dk[1] = fs @ r, fs @ r2
    return {"P": dP, "f": s @ d, "k": dk}


@form(
    "points to planes (iterative closest points)",
    "Chen & Medioni 1992, eq. 9; pairs given; gradient " + HAND,
    "R[3 3] t[3] P[N 3] Q[N 3] n[N 3]",
    """e[m] = sum(i) ((sum(j) R[i,j]*P[m,j]) + t[i] - Q[m,i])*n[m,i]
    L[] = mean(m) e[m]**2""",
    N=200,
)
def planes(R: Any, t: Any, P: Any, Q: Any, n: Any) -> Any:
    e = ((P @ R.T + t - Q) * n).sum(axis=1)
    return (e**2).mean()


@published(planes)
def planes_published(R: Any, t: Any, P: Any, Q: Any, n: Any) -> Passes:
    e = ((P @ R.T + t - Q) * n).sum(axis=1)
    dL = yield (e**2).mean()
    g = ((2 * dL / len(e)) * e)[:, None] * n
    return {"R": g.T @ P, "t": g.sum(axis=0)}


@form(
    "optical flow: brightness and smoothness",
    "Horn & Schunck 1981, eq. 6 (differences ahead); gradient " + HAND,
    "u[N M] v[N M] A[N M] B[N M] T[N M]",
    """e[i,j] = A[i,j]*u[i,j] + B[i,j]*v[i,j] + T[i,j]
    a[] = (sum(i:N-1,j) (u[i+1,j] - u[i,j])**2) + sum(i,j:M-1) (u[i,j+1] - u[i,j])**2
    b[] = (sum(i:N-1,j) (v[i+1,j] - v[i,j])**2) + sum(i,j:M-1) (v[i,j+1] - v[i,j])**2
    L[] = (sum(i,j) e[i,j]**2) + 0.3*(a[] + b[])""",
)
def optical_flow(u: Any, v: Any, A: Any, B: Any, T: Any) -> Any:
    e = A * u + B * v + T
    a = ((u[1:] - u[:-1]) ** 2).sum() + ((u[:, 1:] - u[:, :-1]) ** 2).sum()
    b = ((v[1:] - v[:-1]) ** 2).sum() + ((v[:, 1:] - v[:, :-1]) ** 2).sum()
    return (e**2).sum() + 0.3 * (a + b)


@published(optical_flow)
def optical_flow_published(u: Any, v: Any, A: Any, B: Any, T: Any) -> Passes:
    e = A * u + B * v + T
    p, q = u[1:] - u[:-1], u[:, 1:] - u[:, :-1]
    r, s = v[1:] - v[:-1], v[:, 1:] - v[:, :-1]
    smooth = (p**2).sum() + (q**2).sum() + (r**2).sum() + (s**2).sum()
    dL = yield (e**2).sum() + 0.3 * smooth
    c = 0.6 * dL
    g = (2 * dL) * e
    du, dv = g * A, g * B
    for d, first, second in ((du, c * p, c * q), (dv, c * r, c * s)):
        d[1:] += first
        d[:-1] -= first
        d[:, 1:] += second
        d[:, :-1] -= second
    return {"u": du, "v": dv}


@form(
    "complete intersection over union of boxes",
    "Zheng et al. 2020, eq. 5, 8 to 10 (overlapping boxes, all terms differentiated); backward "
    + HAND,
    "x[N]small y[N]small w[N]+ h[N]+ X[N]small Y[N]small W[N]+ H[N]+",
    """p[n] = minimum(x[n] + w[n]/2, X[n] + W[n]/2) - maximum(x[n] - w[n]/2, X[n] - W[n]/2)
    q[n] = minimum(y[n] + h[n]/2, Y[n] + H[n]/2) - maximum(y[n] - h[n]/2, Y[n] - H[n]/2)
    i[n] = relu(p[n])*relu(q[n])
    o[n] = i[n]/(w[n]*h[n] + W[n]*H[n] - i[n])
    a[n] = maximum(x[n] + w[n]/2, X[n] + W[n]/2) - minimum(x[n] - w[n]/2, X[n] - W[n]/2)
    b[n] = maximum(y[n] + h[n]/2, Y[n] + H[n]/2) - minimum(y[n] - h[n]/2, Y[n] - H[n]/2)
    d[n] = ((x[n] - X[n])**2 + (y[n] - Y[n])**2)/(a[n]**2 + b[n]**2)
    v[n] = 0.405*(arctan(W[n]/H[n]) - arctan(w[n]/h[n]))**2
    L[] = mean(n) (1 - o[n] + d[n] + v[n]**2/(1 - o[n] + v[n]))""",
    N=300,
)
def complete_union(x: Any, y: Any, w: Any, h: Any, X: Any, Y: Any, W: Any, H: Any) -> Any:
    l, r, t, b = x - w / 2, x + w / 2, y - h / 2, y + h / 2
    L, R, T, B = X - W / 2, X + W / 2, Y - H / 2, Y + H / 2
    p = np.maximum(np.minimum(r, R) - np.maximum(l, L), 0)
    q = np.maximum(np.minimum(b, B) - np.maximum(t, T), 0)
    i = p * q
    o = i / (w * h + W * H - i)
    wide = np.maximum(r, R) - np.minimum(l, L)
    high = np.maximum(b, B) - np.minimum(t, T)
    d = ((x - X) ** 2 + (y - Y) ** 2) / (wide**2 + high**2)
    v = 0.405 * (np.arctan(W / H) - np.arctan(w / h)) ** 2
    return (1 - o + d + v**2 / (1 - o + v)).mean()


@published(complete_union)
def complete_union_published(
    x: Any, y: Any, w: Any, h: Any, X: Any, Y: Any, W: Any, H: Any
) -> Passes:
    w2, h2, W2, H2 = w / 2, h / 2, W / 2, H / 2
    l, r, t, b = x - w2, x + w2, y - h2, y + h2
    L, R, T, B = X - W2, X + W2, Y - H2, Y + H2
    u, k = np.minimum(r, R) - np.maximum(l, L), np.minimum(b, B) - np.maximum(t, T)
    p, q = np.maximum(u, 0), np.maximum(k, 0)
    i = p * q
    z = w * h + W * H - i
    o = i / z
    wide, high = np.maximum(r, R) - np.minimum(l, L), np.maximum(b, B) - np.minimum(t, T)
    dx, dy = x - X, y - Y
    c = wide**2 + high**2
    d = (dx**2 + dy**2) / c
    s = w / h
    a = np.arctan(W / H) - np.arctan(s)
    v = 0.405 * a**2
    m = 1 - o
    e = m + v
    f = v**2 / e
    dL = yield (m + d + f).mean()
    g = dL / len(x)
    fe = f / e
    # of o, the penalty's v, the intersection and the union
    do = g * (fe - 1)
    dv = g * (2 * v - f) / e
    dz = do * o / z
    di = do / z + dz
    gp, gq = di * q * (u > 0), di * p * (k > 0)
    gc = 2 * g / c
    gd = gc * d
    gw, gh = gd * wide, gd * high
    # Each side belongs either to the intersection or to the hull.
    right, left = np.where(r < R, gp, -gw), np.where(l > L, gp, -gw)
    low, top = np.where(b < B, gq, -gh), np.where(t > T, gq, -gh)
    ds = dv * (-0.81) * a / (1 + s**2) / h
    return {
        "x": right - left + gc * dx,
        "y": low - top + gc * dy,
        "w": (right + left) / 2 - dz * h + ds,
        "h": (low + top) / 2 - dz * w - ds * s,
    }


@form(
    "structure tensor: coherence of an image",
    "Forstner & Gulch 1987; Weickert 1998, eq. 2.3 (one window a row); derivative " + HAND,
    "A[N M] B[N M]",
    """a[n] = mean(m) A[n,m]**2
    b[n] = mean(m) A[n,m]*B[n,m]
    c[n] = mean(m) B[n,m]**2
    y[n] = ((a[n] - c[n])**2 + 4*b[n]**2)/((a[n] + c[n])**2 + 1e-6)""",
)
def structure(A: Any, B: Any) -> Any:
    a, b, c = (A**2).mean(axis=1), (A * B).mean(axis=1), (B**2).mean(axis=1)
    return ((a - c) ** 2 + 4 * b**2) / ((a + c) ** 2 + 1e-6)


@published(structure)
def structure_published(A: Any, B: Any) -> Passes:
    a, b, c = (A**2).mean(axis=1), (A * B).mean(axis=1), (B**2).mean(axis=1)
    f, s = a - c, a + c
    z = s**2 + 1e-6
    y = (f**2 + 4 * b**2) / z
    dy = yield y
    g = 4 * dy / z / A.shape[1]
    ys = y * s
    p, q, r = (g * (f - ys))[:, None], (2 * g * b)[:, None], (g * (f + ys))[:, None]
    return {"A": p * A + q * B, "B": q * A - r * B}


@form(
    "orthogonalised momentum (Muon): one Newton-Schulz step",
    "Jordan et al. 2024; Bernstein & Newhouse 2024; backward " + HAND,
    "G[C D]",
    """r[] = sqrt(sum(i,j) G[i,j]**2)
    X[i,j] = G[i,j]/r[]
    A[i,k] = sum(j) X[i,j]*X[k,j]
    B[i,k] = -4.775*A[i,k] + 2.0315*sum(l) A[i,l]*A[l,k]
    Y[i,j] = 3.4445*X[i,j] + sum(k) B[i,k]*X[k,j]""",
)
def newton_schulz(G: Any) -> Any:
    X = G / np.sqrt((G**2).sum())
    A = X @ X.T
    B = -4.775 * A + 2.0315 * (A @ A)
    return 3.4445 * X + B @ X


@published(newton_schulz)
def newton_schulz_published(G: Any) -> Passes:
    r = np.sqrt((G**2).sum())
    X = G / r
    A = X @ X.T
    B = -4.775 * A + 2.0315 * (A @ A)
    dY = yield 3.4445 * X + B @ X
    dB = dY @ X.T
    # A is symmetric, so that only dB + dB^T is needed.
    S = dB + dB.T
    SA = S @ A
    dA = -4.775 * S + 2.0315 * (SA + SA.T)
    dX = 3.4445 * dY + B @ dY + dA @ X
    return {"G": (dX - (dX * X).sum() * X) / r}


@form(
    "Gaussian process mean with a Matern kernel (5/2)",
    "Rasmussen & Williams 2006, eq. 4.17 and 2.25 (weights given); gradient " + HAND,
    "X[N D] Z[M D] a[M] l[]+",
    """r[n,m] = sqrt(5*(sum(d) (X[n,d] - Z[m,d])**2) + 1e-6)/l[]
    K[n,m] = (1 + r[n,m] + r[n,m]**2/3)*exp(-r[n,m])
    y[n] = sum(m) K[n,m]*a[m]""",
    D=6,
)
def matern(X: Any, Z: Any, a: Any, l: Any) -> Any:
    r = np.sqrt(5 * ((X[:, None] - Z) ** 2).sum(axis=2) + 1e-6) / l
    return ((1 + r + r**2 / 3) * np.exp(-r)) @ a


@published(matern)
def matern_published(X: Any, Z: Any, a: Any, l: Any) -> Passes:
    r = np.sqrt(5 * ((X[:, None] - Z) ** 2).sum(axis=2) + 1e-6) / l
    r2 = r**2
    e = np.exp(-r)
    K = (1 + r + r2 / 3) * e
    dy = yield K @ a
    # dK/dr = -r (1 + r)/3 exp(-r), and r dr = 5 (X - Z)/l^2
    P = dy[:, None] * a * e * (1 + r) / 3
    G = (-5 / l**2) * P
    return {
        "X": G.sum(axis=1)[:, None] * X - G @ Z,
        "Z": G.sum(axis=0)[:, None] * Z - G.T @ X,
        "a": dy @ K,
        "l": (P * r2).sum() / l,
    }


@form(
    "log-cosh regression",
    "Saleh & Saleh 2022, eq. 3; gradient " + HAND,
    "X[N D] w[D] y[N]",
    "L[] = mean(n) log(cosh((sum(d) X[n,d]*w[d]) - y[n]))",
)
def log_cosh(X: Any, w: Any, y: Any) -> Any:
    return np.log(np.cosh(X @ w - y)).mean()


@published(log_cosh)
def log_cosh_published(X: Any, w: Any, y: Any) -> Passes:
    e = X @ w - y
    dL = yield np.log(np.cosh(e)).mean()
    return {"w": (dL / len(y) * np.tanh(e)) @ X}


@form(
    "neo-Hookean energy of deformations in the plane",
    "Bonet & Wood 2008, eq. 6.27 and 6.28; first Piola stress " + HAND,
    "F[N 2 2]positive_definite",
    """J[n] = F[n,0,0]*F[n,1,1] - F[n,0,1]*F[n,1,0]
    g[n] = log(J[n])
    L[] = sum(n) (0.5*((sum(i,j) F[n,i,j]**2) - 2) - g[n] + 0.75*g[n]**2)""",
    N=200,
)
def neo_hookean(F: Any) -> Any:
    J = F[:, 0, 0] * F[:, 1, 1] - F[:, 0, 1] * F[:, 1, 0]
    g = np.log(J)
    return (0.5 * ((F**2).sum(axis=(1, 2)) - 2) - g + 0.75 * g**2).sum()


@published(neo_hookean)
def neo_hookean_published(F: Any) -> Passes:
    a, b, c, d = F[:, 0, 0], F[:, 0, 1], F[:, 1, 0], F[:, 1, 1]
    J = a * d - b * c
    g = np.log(J)
    dL = yield (0.5 * ((F**2).sum(axis=(1, 2)) - 2) - g + 0.75 * g**2).sum()
    k = dL * (1.5 * g - 1) / J
    dF = dL * F
    dF[:, 0, 0] += k * d
    dF[:, 0, 1] -= k * c
    dF[:, 1, 0] -= k * b
    dF[:, 1, 1] += k * a
    return {"F": dF}


@form(
    "advection on a ring: one Lax-Wendroff step",
    "Lax & Wendroff 1960; adjoint " + HAND,
    "u[N] c[N]unit",
    """y[i] = u[i] - 1/2*c[i]*(u[(i+1)%N] - u[(i-1)%N]) +
        1/2*c[i]**2*(u[(i+1)%N] - 2*u[i] + u[(i-1)%N])""",
    N=500,
)
def advection(u: Any, c: Any) -> Any:
    ahead, behind = np.roll(u, -1), np.roll(u, 1)
    return u - 0.5 * c * (ahead - behind) + 0.5 * c**2 * (ahead - 2 * u + behind)


@published(advection)
def advection_published(u: Any, c: Any) -> Passes:
    ahead, behind = np.roll(u, -1), np.roll(u, 1)
    d = ahead - behind
    s = ahead - 2 * u + behind
    c2 = c**2
    dy = yield u - 0.5 * c * d + 0.5 * c2 * s
    p, q = 0.5 * dy * c, 0.5 * dy * c2
    return {
        "u": dy - 2 * q + np.roll(q - p, 1) + np.roll(p + q, -1),
        "c": dy * (c * s - 0.5 * d),
    }


@form(
    "attention over projected keys and values (Linformer)",
    "Wang et al. 2020, eq. 7; backward " + HAND,
    "Q[T K] Z[T K] V[T M] A[B T]small C[B T]small",
    """P[b,k] = sum(t) A[b,t]*Z[t,k]
    R[b,m] = sum(t) C[b,t]*V[t,m]
    S[t,b] = exp((sum(k) Q[t,k]*P[b,k])/sqrt(K))
    G[t,b] = S[t,b]/sum(c) S[t,c]
    Y[t,m] = sum(b) G[t,b]*R[b,m]""",
)
def linformer(Q: Any, Z: Any, V: Any, A: Any, C: Any) -> Any:
    S = np.exp(Q @ (A @ Z).T / np.sqrt(Q.shape[1]))
    return S / S.sum(axis=1, keepdims=True) @ (C @ V)


@published(linformer)
def linformer_published(Q: Any, Z: Any, V: Any, A: Any, C: Any) -> Passes:
    c = 1 / np.sqrt(Q.shape[1])
    P, R = A @ Z, C @ V
    S = np.exp(c * (Q @ P.T))
    G = S / S.sum(axis=1, keepdims=True)
    Y = G @ R
    dY = yield Y
    dS = c * G * (dY @ R.T - (dY * Y).sum(axis=1, keepdims=True))
    dP, dR = dS.T @ Q, G.T @ dY
    return {"Q": dS @ P, "Z": A.T @ dP, "V": C.T @ dR, "A": dP @ Z.T, "C": dR @ V.T}


@form(
    "squared ReLU feed-forward (Primer)",
    "So et al. 2021, section 3; backward " + HAND,
    "X[N D] W[D M]small V[M D]small",
    """a[n,m] = relu(sum(d) X[n,d]*W[d,m])
    Y[n,d] = sum(m) a[n,m]**2*V[m,d]""",
)
def squared_relu(X: Any, W: Any, V: Any) -> Any:
    return np.maximum(X @ W, 0) ** 2 @ V


@published(squared_relu)
def squared_relu_published(X: Any, W: Any, V: Any) -> Passes:
    a = np.maximum(X @ W, 0)
    h = a**2
    dY = yield h @ V
    # 2 a is 0 where the ReLU is.
    da = 2 * (dY @ V.T) * a
    return {"X": da @ W.T, "W": X.T @ da, "V": h.T @ dY}


@form(
    "pairs of distances: loss without a rotation (dRMSD)",
    "AlQuraishi 2019, eq. 5 (softened); gradient " + HAND,
    "X[N 3] Z[N 3]",
    """a[i,j] = sqrt((sum(d) (X[i,d] - X[j,d])**2) + 0.01)
    b[i,j] = sqrt((sum(d) (Z[i,d] - Z[j,d])**2) + 0.01)
    L[] = sqrt(mean(i,j) (a[i,j] - b[i,j])**2)""",
)
def distance_deviation(X: Any, Z: Any) -> Any:
    a = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2) + 0.01)
    b = np.sqrt(((Z[:, None] - Z) ** 2).sum(axis=2) + 0.01)
    return np.sqrt(((a - b) ** 2).mean())


@published(distance_deviation)
def distance_deviation_published(X: Any, Z: Any) -> Passes:
    a = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2) + 0.01)
    b = np.sqrt(((Z[:, None] - Z) ** 2).sum(axis=2) + 0.01)
    e = a - b
    L = np.sqrt((e**2).mean())
    dL = yield L
    G = (2 * dL / e.size / L) * e / a
    return {"X": G.sum(axis=1)[:, None] * X - G @ X}


@form(
    "pendulums, two symplectic steps with damping and drive",
    "Hairer et al. 2006, eq. 1.9 in ch. I (Euler-Cromer); discrete adjoint " + HAND,
    "x[N] v[N] f[N] w[N]+",
    """a[n] = 0.9*v[n] + 0.1*(f[n] - w[n]*sin(x[n]))
    b[n] = x[n] + 0.1*a[n]
    c[n] = 0.9*a[n] + 0.1*(f[n] - w[n]*sin(b[n]))
    d[n] = b[n] + 0.1*c[n]
    return c, d""",
    N=300,
)
def pendulums(x: Any, v: Any, f: Any, w: Any) -> Any:
    for _ in range(2):
        v = 0.9 * v + 0.1 * (f - w * np.sin(x))
        x = x + 0.1 * v
    return v, x


@published(pendulums)
def pendulums_published(x: Any, v: Any, f: Any, w: Any) -> Passes:
    s0 = np.sin(x)
    v1 = 0.9 * v + 0.1 * (f - w * s0)
    x1 = x + 0.1 * v1
    s1 = np.sin(x1)
    v2 = 0.9 * v1 + 0.1 * (f - w * s1)
    dv2, dx = yield v2, x1 + 0.1 * v2
    p = 0.1 * (dv2 + 0.1 * dx)
    # the slope of the second step by its force, and by the angle before it
    dx1 = dx - p * w * np.cos(x1)
    q = 0.1 * (9 * p + 0.1 * dx1)
    return {
        "x": dx1 - q * w * np.cos(x),
        "v": 9 * q,
        "f": p + q,
        "w": -(p * s1 + q * s0),
    }


@form(
    "Laplacian eigenmaps: normalised energy on a graph",
    "Belkin & Niyogi 2003, section 2.2 (as a penalty); gradient " + HAND,
    "W[N N]unit X[N K]",
    """g[i] = sum(j) W[i,j]
    a[] = 1/2*sum(i,j) W[i,j]*sum(k) (X[i,k] - X[j,k])**2
    b[] = sum(i,k) g[i]*X[i,k]**2
    L[] = a[]/b[]""",
)
def eigenmaps(W: Any, X: Any) -> Any:
    D = ((X[:, None] - X) ** 2).sum(axis=2)
    return 0.5 * (W * D).sum() / (W.sum(axis=1) @ (X**2).sum(axis=1))


@published(eigenmaps)
def eigenmaps_published(W: Any, X: Any) -> Passes:
    D = ((X[:, None] - X) ** 2).sum(axis=2)
    g = W.sum(axis=1)
    n = (X**2).sum(axis=1)
    b = g @ n
    L = 0.5 * (W * D).sum() / b
    dL = yield L
    c = dL / b
    # (W + W^T) X stands for both ends of an edge.
    s = c * ((1 - 2 * L) * g + W.sum(axis=0))
    return {
        "W": 0.5 * c * D - (c * L * n)[:, None],
        "X": s[:, None] * X - c * ((W + W.T) @ X),
    }
