"""Steps, losses and kernels of recent papers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "matrix memory (mLSTM), one step",
    "Beck et al. 2024, eq. 19 to 21 (gates given); backward " + HAND,
    "C[M K] n[K] v[M] k[K] q[K] f[]unit g[]unit",
    """D[m,k] = f[]*C[m,k] + g[]*v[m]*k[k]
    p[k] = f[]*n[k] + g[]*k[k]
    z[] = maximum(abs(sum(k) p[k]*q[k]), 1)
    y[m] = (sum(k) D[m,k]*q[k])/z[]""",
)
def matrix_memory(C: Any, n: Any, v: Any, k: Any, q: Any, f: Any, g: Any) -> Any:
    D = f * C + g * np.outer(v, k)
    p = f * n + g * k
    return D @ q / np.maximum(np.abs(p @ q), 1)


@published(matrix_memory)
def matrix_memory_published(C: Any, n: Any, v: Any, k: Any, q: Any, f: Any, g: Any) -> Passes:
    D = f * C + g * np.outer(v, k)
    p = f * n + g * k
    s = p @ q
    z = np.maximum(np.abs(s), 1)
    y = D @ q / z
    dy = yield y
    u = dy / z
    ds = -(u @ y) * np.sign(s) * (np.abs(s) > 1)
    kq, uv = k @ q, u @ v
    Cu = u @ C
    dp = ds * q
    return {
        "C": (f * u)[:, None] * q,
        "n": f * dp,
        "v": (g * kq) * u,
        "k": (g * (uv + ds)) * q,
        "q": f * Cu + (g * uv) * k + ds * p,
        "f": Cu @ q + n @ dp,
        "g": uv * kq + k @ dp,
    }


@form(
    "delta rule with decay and removal key (RWKV-7), one step",
    "Peng et al. 2025, eq. 17 to 19; backward " + HAND,
    "S[M K] w[K]unit a[K]unit r[K] v[M] k[K] q[K]",
    """s[m] = sum(k) S[m,k]*r[k]
    T[m,k] = S[m,k]*w[k] - s[m]*a[k]*r[k] + v[m]*k[k]
    y[m] = sum(k) T[m,k]*q[k]""",
)
def removal_key(S: Any, w: Any, a: Any, r: Any, v: Any, k: Any, q: Any) -> Any:
    T = S * w - np.outer(S @ r, a * r) + np.outer(v, k)
    return T @ q


@published(removal_key)
def removal_key_published(S: Any, w: Any, a: Any, r: Any, v: Any, k: Any, q: Any) -> Passes:
    b, s = a * r, S @ r
    dy = yield S @ (w * q) - s * (b @ q) + v * (k @ q)
    bq, kq, sy, vy = b @ q, k @ q, s @ dy, v @ dy
    u = dy @ S
    db = -sy * q
    return {
        "S": dy[:, None] * (w * q - bq * r),
        "w": u * q,
        "a": db * r,
        "r": db * a - bq * u,
        "v": kq * dy,
        "k": vy * q,
        "q": w * u - sy * b + vy * k,
    }


@form(
    "attention with capped scores of normalised queries and keys",
    "Henry et al. 2020 (QK norm); Gemma 2, 2024 (soft cap); backward " + HAND,
    "Q[T K] Z[T K] V[T M]",
    """a[t] = sqrt((mean(k) Q[t,k]**2) + 1e-6)
    b[t] = sqrt((mean(k) Z[t,k]**2) + 1e-6)
    A[t,k] = Q[t,k]/a[t]
    B[t,k] = Z[t,k]/b[t]
    S[t,s] = 5*tanh((sum(k) A[t,k]*B[s,k])/5)
    E[t,s] = exp(S[t,s])
    P[t,s] = E[t,s]/sum(u) E[t,u]
    Y[t,m] = sum(s) P[t,s]*V[s,m]""",
)
def capped(Q: Any, Z: Any, V: Any) -> Any:
    A = Q / np.sqrt((Q**2).mean(axis=1, keepdims=True) + 1e-6)
    B = Z / np.sqrt((Z**2).mean(axis=1, keepdims=True) + 1e-6)
    E = np.exp(5 * np.tanh(A @ B.T / 5))
    return E / E.sum(axis=1, keepdims=True) @ V


@published(capped)
def capped_published(Q: Any, Z: Any, V: Any) -> Passes:
    n = Q.shape[1]
    a = np.sqrt((Q**2).mean(axis=1, keepdims=True) + 1e-6)
    b = np.sqrt((Z**2).mean(axis=1, keepdims=True) + 1e-6)
    A, B = Q / a, Z / b
    t = np.tanh(A @ B.T / 5)
    E = np.exp(5 * t)
    P = E / E.sum(axis=1, keepdims=True)
    Y = P @ V
    dY = yield Y
    dS = P * (dY @ V.T - (dY * Y).sum(axis=1, keepdims=True)) * (1 - t**2)
    dA, dB = dS @ B, dS.T @ A
    return {
        "Q": (dA - A * ((dA * A).sum(axis=1, keepdims=True) / n)) / a,
        "Z": (dB - B * ((dB * B).sum(axis=1, keepdims=True) / n)) / b,
        "V": P.T @ dY,
    }


@form(
    "sigmoid attention",
    "Ramapuram et al. 2024, eq. 3; backward " + HAND,
    "Q[T K]small Z[T K]small V[T M] b[]",
    """A[t,s] = sigmoid((sum(k) Q[t,k]*Z[s,k]) + b[])
    Y[t,m] = sum(s) A[t,s]*V[s,m]""",
)
def sigmoid_attention(Q: Any, Z: Any, V: Any, b: Any) -> Any:
    return 1 / (1 + np.exp(-(Q @ Z.T + b))) @ V


@published(sigmoid_attention)
def sigmoid_attention_published(Q: Any, Z: Any, V: Any, b: Any) -> Passes:
    A = 1 / (1 + np.exp(-(Q @ Z.T + b)))
    dY = yield A @ V
    dS = (dY @ V.T) * A * (1 - A)
    return {"Q": dS @ Z, "Z": dS.T @ Q, "V": A.T @ dY, "b": dS.sum()}


@form(
    "identity preference optimisation",
    "Azar et al. 2024, eq. 17; backward " + HAND,
    "a[N] b[N] p[N] q[N]",
    "L[] = mean(n) (a[n] - p[n] - (b[n] - q[n]) - 5)**2",
)
def identity_preference(a: Any, b: Any, p: Any, q: Any) -> Any:
    return ((a - p - (b - q) - 5) ** 2).mean()


@published(identity_preference)
def identity_preference_published(a: Any, b: Any, p: Any, q: Any) -> Passes:
    h = a - p - (b - q) - 5
    dL = yield (h**2).mean()
    g = (2 * dL / len(a)) * h
    return {"a": g, "b": -g}


@form(
    "group relative policy optimisation with a penalty",
    "Shao et al. 2024, eq. 3 and 4 (advantages given); backward " + HAND,
    "l[N T] o[N T] r[N T] A[N]",
    """w[n,t] = exp(l[n,t] - o[n,t])
    u[n,t] = exp(r[n,t] - l[n,t])
    J[n,t] = minimum(w[n,t]*A[n], clip(w[n,t], 0.8, 1.2)*A[n])
    L[] = -mean(n,t) (J[n,t] - 0.04*(u[n,t] - (r[n,t] - l[n,t]) - 1))""",
)
def group_policy(l: Any, o: Any, r: Any, A: Any) -> Any:
    w = np.exp(l - o)
    gap = r - l
    penalty = np.exp(gap) - gap - 1
    J = np.minimum(w * A[:, None], np.clip(w, 0.8, 1.2) * A[:, None])
    return -(J - 0.04 * penalty).mean()


@published(group_policy)
def group_policy_published(l: Any, o: Any, r: Any, A: Any) -> Passes:
    w = np.exp(l - o)
    gap = r - l
    e = np.exp(gap)
    wA, cA = w * A[:, None], np.clip(w, 0.8, 1.2) * A[:, None]
    dL = yield -(np.minimum(wA, cA) - 0.04 * (e - gap - 1)).mean()
    g = -dL / l.size
    return {"l": g * ((wA <= cA) * wA - 0.04 * (1 - e))}


@form(
    "clipped value loss",
    "Schulman et al. 2017, as in the code of PPO; backward " + HAND,
    "v[N] o[N] R[N]",
    """c[n] = o[n] + clip(v[n] - o[n], -0.2, 0.2)
    L[] = 1/2*mean(n) maximum((v[n] - R[n])**2, (c[n] - R[n])**2)""",
)
def clipped_value(v: Any, o: Any, R: Any) -> Any:
    c = o + np.clip(v - o, -0.2, 0.2)
    return 0.5 * np.maximum((v - R) ** 2, (c - R) ** 2).mean()


@published(clipped_value)
def clipped_value_published(v: Any, o: Any, R: Any) -> Passes:
    d = v - o
    c = o + np.clip(d, -0.2, 0.2)
    e, f = v - R, c - R
    e2, f2 = e**2, f**2
    dL = yield 0.5 * np.maximum(e2, f2).mean()
    # Where v isn't clipped both are the same.
    return {"v": (dL / len(v)) * e * ((e2 > f2) | (np.abs(d) <= 0.2))}


@form(
    "bootstrapped targets (BYOL)",
    "Grill et al. 2020, eq. 2; backward " + HAND,
    "P[N D] Z[N D]",
    """a[n] = sqrt(sum(d) P[n,d]**2)
    b[n] = sqrt(sum(d) Z[n,d]**2)
    L[] = mean(n) (2 - 2*(sum(d) P[n,d]*Z[n,d])/(a[n]*b[n]))""",
)
def bootstrapped(P: Any, Z: Any) -> Any:
    a = np.sqrt((P**2).sum(axis=1))
    b = np.sqrt((Z**2).sum(axis=1))
    return (2 - 2 * (P * Z).sum(axis=1) / (a * b)).mean()


@published(bootstrapped)
def bootstrapped_published(P: Any, Z: Any) -> Passes:
    a2, b2 = (P**2).sum(axis=1), (Z**2).sum(axis=1)
    m = np.sqrt(a2) * np.sqrt(b2)
    c = (P * Z).sum(axis=1) / m
    dL = yield (2 - 2 * c).mean()
    g = -2 * dL / len(P)
    f = (g / m)[:, None]
    h = g * c
    return {"P": f * Z - (h / a2)[:, None] * P, "Z": f * P - (h / b2)[:, None] * Z}


@form(
    "contrast with a queue (MoCo)",
    "He et al. 2020, eq. 1 and algorithm 1; backward " + HAND,
    "X[N D]small Z[N D]small Q[M D]small",
    """p[n] = sum(d) X[n,d]*Z[n,d]
    S[n,m] = sum(d) X[n,d]*Q[m,d]
    e[n] = exp(p[n]/0.2)
    L[] = -mean(n) log(e[n]/(e[n] + sum(m) exp(S[n,m]/0.2)))""",
)
def queue(X: Any, Z: Any, Q: Any) -> Any:
    e = np.exp((X * Z).sum(axis=1) / 0.2)
    E = np.exp(X @ Q.T / 0.2)
    return -np.log(e / (e + E.sum(axis=1))).mean()


@published(queue)
def queue_published(X: Any, Z: Any, Q: Any) -> Passes:
    e = np.exp((X * Z).sum(axis=1) / 0.2)
    E = np.exp(X @ Q.T / 0.2)
    others = E.sum(axis=1)
    z = e + others
    dL = yield -np.log(e / z).mean()
    g = dL / (0.2 * len(X)) / z
    dS = g[:, None] * E
    dp = (-g * others)[:, None]
    return {"X": dS @ Q + dp * Z, "Z": dp * X, "Q": dS.T @ X}


@form(
    "focal Tversky loss",
    "Abraham & Khan 2019, eq. 3 and 4; backward " + HAND,
    "p[N M]unit g[N M]binary",
    """t[] = sum(n,m) p[n,m]*g[n,m]
    a[] = sum(n,m) (1 - p[n,m])*g[n,m]
    b[] = sum(n,m) p[n,m]*(1 - g[n,m])
    L[] = (1 - (t[] + 1)/(t[] + 0.7*a[] + 0.3*b[] + 1))**2""",
)
def tversky(p: Any, g: Any) -> Any:
    t = (p * g).sum()
    a = ((1 - p) * g).sum()
    b = (p * (1 - g)).sum()
    return (1 - (t + 1) / (t + 0.7 * a + 0.3 * b + 1)) ** 2


@published(tversky)
def tversky_published(p: Any, g: Any) -> Passes:
    t = (p * g).sum()
    a = ((1 - p) * g).sum()
    h = 1 - g
    b = (p * h).sum()
    z = t + 0.7 * a + 0.3 * b + 1
    r = (t + 1) / z
    dL = yield (1 - r) ** 2
    c = -2 * dL * (1 - r) / z
    # the slope of z is g - 0.7 g + 0.3 (1 - g) = 0.3
    return {"p": c * g - 0.3 * c * r}


@form(
    "intersection over union of boxes, generalised",
    "Rezatofighi et al. 2019, algorithm 1; backward " + HAND,
    "l[N] t[N] r[N]+ b[N]+ L[N] T[N] R[N]+ B[N]+",
    """w[n] = relu(minimum(r[n] + l[n], R[n] + L[n]) - maximum(l[n], L[n]))
    h[n] = relu(minimum(b[n] + t[n], B[n] + T[n]) - maximum(t[n], T[n]))
    i[n] = w[n]*h[n]
    u[n] = r[n]*b[n] + R[n]*B[n] - i[n]
    W[n] = maximum(r[n] + l[n], R[n] + L[n]) - minimum(l[n], L[n])
    H[n] = maximum(b[n] + t[n], B[n] + T[n]) - minimum(t[n], T[n])
    Y[] = sum(n) (1 - i[n]/u[n] + (W[n]*H[n] - u[n])/(W[n]*H[n]))""",
)
def generalised_union(l: Any, t: Any, r: Any, b: Any, L: Any, T: Any, R: Any, B: Any) -> Any:
    x, X, y, Y = r + l, R + L, b + t, B + T
    w = np.maximum(np.minimum(x, X) - np.maximum(l, L), 0)
    h = np.maximum(np.minimum(y, Y) - np.maximum(t, T), 0)
    i = w * h
    u = r * b + R * B - i
    c = (np.maximum(x, X) - np.minimum(l, L)) * (np.maximum(y, Y) - np.minimum(t, T))
    return (1 - i / u + (c - u) / c).sum()


@published(generalised_union)
def generalised_union_published(
    l: Any, t: Any, r: Any, b: Any, L: Any, T: Any, R: Any, B: Any
) -> Passes:
    x, X, y, Y = r + l, R + L, b + t, B + T
    w = np.maximum(np.minimum(x, X) - np.maximum(l, L), 0)
    h = np.maximum(np.minimum(y, Y) - np.maximum(t, T), 0)
    i = w * h
    u = r * b + R * B - i
    W, H = np.maximum(x, X) - np.minimum(l, L), np.maximum(y, Y) - np.minimum(t, T)
    c = W * H
    dY = yield (1 - i / u + (c - u) / c).sum()
    q = u / c
    du = dY * (i / u / u - 1 / c)
    di = -dY / u - du
    dW, dH = dY * q / W, dY * q / H
    dw, dh = di * h * (w > 0), di * w * (h > 0)
    f, e = x < X, y < Y
    m, k = l > L, t > T
    dx, dy = np.where(f, dw, dW), np.where(e, dh, dH)
    return {
        "l": dx - np.where(m, dw, dW),
        "t": dy - np.where(k, dh, dH),
        "r": du * b + dx,
        "b": du * r + dy,
    }


@form(
    "splats: alpha of projected Gaussians",
    "Kerbl et al. 2023, section 4 and 6 (inverse covariances given); backward " + HAND,
    "x[M] y[M] a[N] b[N] A[N]+ B[N]small C[N]+ o[N]unit",
    """d[n,m] = x[m] - a[n]
    e[n,m] = y[m] - b[n]
    G[n,m] = exp(-1/2*(A[n]*d[n,m]**2 + C[n]*e[n,m]**2) - B[n]*d[n,m]*e[n,m])
    Y[n,m] = o[n]*G[n,m]""",
)
def splats(x: Any, y: Any, a: Any, b: Any, A: Any, B: Any, C: Any, o: Any) -> Any:
    d, e = x - a[:, None], y - b[:, None]
    power = -0.5 * (A[:, None] * d**2 + C[:, None] * e**2) - B[:, None] * d * e
    return o[:, None] * np.exp(power)


@published(splats)
def splats_published(x: Any, y: Any, a: Any, b: Any, A: Any, B: Any, C: Any, o: Any) -> Passes:
    d, e = x - a[:, None], y - b[:, None]
    d2, e2, Bd = d**2, e**2, B[:, None] * d
    G = np.exp(-0.5 * (A[:, None] * d2 + C[:, None] * e2) - Bd * e)
    Y = o[:, None] * G
    dY = yield Y
    P = dY * Y
    u, v = P * d, P * e
    p, q = u.sum(axis=1), v.sum(axis=1)
    return {
        "a": A * p + B * q,
        "b": C * q + B * p,
        "A": -0.5 * (u * d).sum(axis=1),
        "B": -(u * e).sum(axis=1),
        "C": -0.5 * (v * e).sum(axis=1),
        "o": P.sum(axis=1) / o,
    }


@form(
    "root mean square deviation of structures",
    "as in Kabsch 1976, without the rotation; gradient " + HAND,
    "X[N D] Z[N D]",
    """m[d] = mean(n) X[n,d]
    k[d] = mean(n) Z[n,d]
    L[] = sqrt(mean(n) sum(d) (X[n,d] - m[d] - Z[n,d] + k[d])**2)""",
)
def deviation(X: Any, Z: Any) -> Any:
    R = X - X.mean(axis=0) - (Z - Z.mean(axis=0))
    return np.sqrt((R**2).sum(axis=1).mean())


@published(deviation)
def deviation_published(X: Any, Z: Any) -> Passes:
    R = X - X.mean(axis=0) - (Z - Z.mean(axis=0))
    L = np.sqrt((R**2).sum(axis=1).mean())
    dL = yield L
    # The columns of R sum to 0.
    g = (dL / len(X) / L) * R
    return {"X": g, "Z": -g}


@form(
    "negative binomial regression",
    "Hilbe 2011, ch. 8 (constants left out); score " + HAND,
    "X[N D] w[D]small y[N]+ r[]+",
    """m[n] = exp(sum(d) X[n,d]*w[d])
    L[] = sum(n) ((y[n] + r[])*log(r[] + m[n]) - y[n]*log(m[n]) - r[]*log(r[]))""",
)
def negative_binomial(X: Any, w: Any, y: Any, r: Any) -> Any:
    m = np.exp(X @ w)
    return ((y + r) * np.log(r + m) - y * np.log(m) - r * np.log(r)).sum()


@published(negative_binomial)
def negative_binomial_published(X: Any, w: Any, y: Any, r: Any) -> Passes:
    m = np.exp(X @ w)
    u, v = y + r, r + m
    log = np.log(v)
    dL = yield (u * log - y * np.log(m) - r * np.log(r)).sum()
    q = u / v
    dr = (log + q).sum() - len(y) * (np.log(r) + 1)
    return {"w": (dL * (q * m - y)) @ X, "r": dL * dr}


@form(
    "Burgers' equation: residual of a step",
    "Raissi et al. 2019, section 3.1.1, on a grid; adjoint " + HAND,
    "u[N] v[N]",
    """w[i:N-2] = v[i+1]*(v[i+2] - v[i])/0.2 - 0.03*(v[i+2] - 2*v[i+1] + v[i])
    r[i] = (v[i+1] - u[i+1])/0.01 + w[i]
    L[] = mean(i) r[i]**2""",
)
def burgers(u: Any, v: Any) -> Any:
    w = v[1:-1]
    r = (w - u[1:-1]) / 0.01 + w * (v[2:] - v[:-2]) / 0.2 - 0.03 * (v[2:] - 2 * w + v[:-2])
    return (r**2).mean()


@published(burgers)
def burgers_published(u: Any, v: Any) -> Passes:
    w, d = v[1:-1], (v[2:] - v[:-2]) / 0.2
    r = (w - u[1:-1]) / 0.01 + w * d - 0.03 * (v[2:] - 2 * w + v[:-2])
    dL = yield (r**2).mean()
    g = (2 * dL / len(r)) * r
    c, s = 5 * w * g, 0.03 * g
    du, dv = np.zeros_like(u), np.zeros_like(v)
    du[1:-1] = -100 * g
    dv[1:-1] = g * (d + 100.06)
    dv[2:] += c - s
    dv[:-2] -= c + s
    return {"u": du, "v": dv}


@form(
    "state space duality: one chunk",
    "Dao & Gu 2024, eq. 16 and listing 1 (Mamba-2, one head); backward " + HAND,
    "a[T]unit B[T K] C[T K] X[T M]",
    """s[t] = sum(u:T if u <= t) a[u]
    G[t,u] = sum(k) C[t,k]*B[u,k]
    M[t,u] = [u <= t]*exp(s[u] - s[t])*G[t,u]
    Y[t,m] = sum(u) M[t,u]*X[u,m]""",
)
def duality(a: Any, B: Any, C: Any, X: Any) -> Any:
    s = np.cumsum(a)
    D = np.tril(np.exp(s - s[:, None]))
    return (D * (C @ B.T)) @ X


@published(duality)
def duality_published(a: Any, B: Any, C: Any, X: Any) -> Passes:
    s = np.cumsum(a)
    D = np.tril(np.exp(s - s[:, None]))
    M = D * (C @ B.T)
    dY = yield M @ X
    dM = dY @ X.T
    dG, dE = dM * D, dM * M
    ds = dE.sum(axis=0) - dE.sum(axis=1)
    return {
        "a": np.cumsum(ds[::-1])[::-1],
        "B": dG.T @ C,
        "C": dG @ B,
        "X": M.T @ dY,
    }


@form(
    "latent attention, one head",
    "DeepSeek-AI 2024, eq. 9 to 11 (without rotary part); backward " + HAND,
    "X[T D] W[D K]small U[K L]small P[K L]small Q[T L]small",
    """c[t,k] = sum(d) X[t,d]*W[d,k]
    Z[t,l] = sum(k) c[t,k]*U[k,l]
    V[t,l] = sum(k) c[t,k]*P[k,l]
    E[t,s] = exp(sum(l) Q[t,l]*Z[s,l])
    A[t,s] = E[t,s]/sum(r) E[t,r]
    Y[t,l] = sum(s) A[t,s]*V[s,l]""",
)
def latent_attention(X: Any, W: Any, U: Any, P: Any, Q: Any) -> Any:
    c = X @ W
    Z, V = c @ U, c @ P
    E = np.exp(Q @ Z.T)
    A = E / E.sum(axis=1, keepdims=True)
    return A @ V


@published(latent_attention)
def latent_attention_published(X: Any, W: Any, U: Any, P: Any, Q: Any) -> Passes:
    c = X @ W
    Z, V = c @ U, c @ P
    E = np.exp(Q @ Z.T)
    A = E / E.sum(axis=1, keepdims=True)
    Y = A @ V
    dY = yield Y
    dS = A * (dY @ V.T - (dY * Y).sum(axis=1, keepdims=True))
    dZ, dV = dS.T @ Q, A.T @ dY
    dc = dZ @ U.T + dV @ P.T
    return {"X": dc @ W.T, "W": X.T @ dc, "U": c.T @ dZ, "P": c.T @ dV, "Q": dS @ Z}


@form(
    "Chamfer distance of point clouds",
    "Fan et al. 2017, eq. 3; backward " + HAND,
    "X[N K] Z[M K]",
    """D[n,m] = sum(k) (X[n,k] - Z[m,k])**2
    L[] = (sum(n) min(m) D[n,m]) + sum(m) min(n) D[n,m]""",
)
def chamfer(X: Any, Z: Any) -> Any:
    D = ((X[:, None] - Z) ** 2).sum(axis=2)
    return D.min(axis=1).sum() + D.min(axis=0).sum()


@published(chamfer)
def chamfer_published(X: Any, Z: Any) -> Passes:
    D = ((X[:, None] - Z) ** 2).sum(axis=2)
    dL = yield D.min(axis=1).sum() + D.min(axis=0).sum()
    i, j = D.argmin(axis=1), D.argmin(axis=0)
    g = 2 * dL
    p, q = g * (X - Z[i]), g * (Z - X[j])
    dX, dZ = p.copy(), q.copy()
    np.add.at(dX, j, -q)
    np.add.at(dZ, i, -p)
    return {"X": dX, "Z": dZ}


@form(
    "distillation of soft targets",
    "Hinton et al. 2015, section 2, eq. 2; backward " + HAND,
    "S[N C] Z[N C]",
    """E[n,c] = exp(S[n,c]/4)
    F[n,c] = exp(Z[n,c]/4)
    P[n,c] = E[n,c]/sum(k) E[n,k]
    R[n,c] = F[n,c]/sum(k) F[n,k]
    L[] = 16*mean(n) sum(c) R[n,c]*(log(R[n,c]) - log(P[n,c]))""",
)
def distillation(S: Any, Z: Any) -> Any:
    E, F = np.exp(S / 4), np.exp(Z / 4)
    P, R = E / E.sum(axis=1, keepdims=True), F / F.sum(axis=1, keepdims=True)
    return 16 * (R * (np.log(R) - np.log(P))).sum(axis=1).mean()


@published(distillation)
def distillation_published(S: Any, Z: Any) -> Passes:
    E, F = np.exp(S / 4), np.exp(Z / 4)
    P, R = E / E.sum(axis=1, keepdims=True), F / F.sum(axis=1, keepdims=True)
    D = R * (np.log(R) - np.log(P))
    k = D.sum(axis=1, keepdims=True)
    dL = yield 16 * k.mean()
    g = 4 * dL / len(S)
    return {"S": g * (P - R), "Z": g * (D - k * R)}


@form(
    "transport plan: one scaling of rows in logarithms",
    "Cuturi 2013, algorithm 1; Peyre & Cuturi 2019, eq. 4.40; backward " + HAND,
    "C[N M] f[N] g[M] a[N]rows",
    """K[n,m] = exp((f[n] + g[m] - C[n,m])/0.5)
    r[n] = sum(m) K[n,m]
    h[n] = f[n] + 0.5*(log(a[n]) - log(r[n]))""",
)
def scaling(C: Any, f: Any, g: Any, a: Any) -> Any:
    K = np.exp((f[:, None] + g - C) / 0.5)
    return f + 0.5 * (np.log(a) - np.log(K.sum(axis=1)))


@published(scaling)
def scaling_published(C: Any, f: Any, g: Any, a: Any) -> Passes:
    K = np.exp((f[:, None] + g - C) / 0.5)
    r = K.sum(axis=1)
    dh = yield f + 0.5 * (np.log(a) - np.log(r))
    # The rows of K/r sum to 1: nothing is left of f.
    P = (dh / r)[:, None] * K
    return {"C": P, "g": -P.sum(axis=0), "a": 0.5 * dh / a}
