"""Attention, its linear and recurrent kin, and gates around it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "additive attention",
    "Bahdanau et al. 2015, appendix A.1.2; backward " + HAND,
    "s[N H]small h[T H]small v[H]",
    """U[n,t,k] = tanh(s[n,k] + h[t,k])
    E[n,t] = exp(sum(k) U[n,t,k]*v[k])
    P[n,t] = E[n,t]/sum(u) E[n,u]
    c[n,k] = sum(t) P[n,t]*h[t,k]""",
    N=16,
)
def additive_attention(s: Any, h: Any, v: Any) -> Any:
    U = np.tanh(s[:, None] + h)
    E = np.exp(U @ v)
    return (E / E.sum(axis=1, keepdims=True)) @ h


@published(additive_attention)
def additive_attention_published(s: Any, h: Any, v: Any) -> Passes:
    U = np.tanh(s[:, None] + h)
    E = np.exp(U @ v)
    P = E / E.sum(axis=1, keepdims=True)
    c = P @ h
    dc = yield c
    de = P * (dc @ h.T - (dc * c).sum(axis=1, keepdims=True))
    da = de[:, :, None] * v * (1 - U**2)
    return {
        "s": da.sum(axis=1),
        "h": P.T @ dc + da.sum(axis=0),
        "v": de.ravel() @ U.reshape(-1, U.shape[2]),
    }


@form(
    "grouped-query attention",
    "Ainslie et al. 2023, section 2.2; backward " + HAND,
    "Q[H T K] K[T K] V[T M]",
    """S[h,t,s] = sum(k) Q[h,t,k]*K[s,k]
    E[h,t,s] = exp(S[h,t,s]/sqrt(1.0*K))
    P[h,t,s] = E[h,t,s]/sum(u) E[h,t,u]
    Y[h,t,m] = sum(s) P[h,t,s]*V[s,m]""",
    H=4,
    K=16,
)
def grouped_query(Q: Any, K: Any, V: Any) -> Any:
    E = np.exp(Q @ K.T / np.sqrt(K.shape[1]))
    return (E / E.sum(axis=-1, keepdims=True)) @ V


@published(grouped_query)
def grouped_query_published(Q: Any, K: Any, V: Any) -> Passes:
    c = 1 / np.sqrt(K.shape[1])
    E = np.exp(c * (Q @ K.T))
    P = E / E.sum(axis=-1, keepdims=True)
    Y = P @ V
    dY = yield Y
    dS = c * P * (dY @ V.T - (dY * Y).sum(axis=-1, keepdims=True))
    flat = dS.reshape(-1, dS.shape[-1])
    return {
        "Q": dS @ K,
        "K": flat.T @ Q.reshape(-1, Q.shape[-1]),
        "V": P.reshape(-1, P.shape[-1]).T @ dY.reshape(-1, dY.shape[-1]),
    }


@form(
    "differential attention",
    "Ye et al. 2024, eq. 1; backward " + HAND,
    "Q[T K]small K[T K]small R[T K]small J[T K]small V[T M] l[]unit",
    """E[t,s] = exp(sum(k) Q[t,k]*K[s,k])
    F[t,s] = exp(sum(k) R[t,k]*J[s,k])
    A[t,s] = E[t,s]/sum(u) E[t,u]
    B[t,s] = F[t,s]/sum(u) F[t,u]
    Y[t,m] = sum(s) (A[t,s] - l[]*B[t,s])*V[s,m]""",
)
def differential_attention(Q: Any, K: Any, R: Any, J: Any, V: Any, l: Any) -> Any:
    E, F = np.exp(Q @ K.T), np.exp(R @ J.T)
    A, B = E / E.sum(axis=1, keepdims=True), F / F.sum(axis=1, keepdims=True)
    return (A - l * B) @ V


@published(differential_attention)
def differential_attention_published(Q: Any, K: Any, R: Any, J: Any, V: Any, l: Any) -> Passes:
    E, F = np.exp(Q @ K.T), np.exp(R @ J.T)
    A, B = E / E.sum(axis=1, keepdims=True), F / F.sum(axis=1, keepdims=True)
    D = A - l * B
    dY = yield D @ V
    dD = dY @ V.T
    a, b = A * dD, B * dD
    rows = b.sum(axis=1, keepdims=True)
    dS = a - A * a.sum(axis=1, keepdims=True)
    dR = -l * (b - B * rows)
    return {
        "Q": dS @ K,
        "K": dS.T @ Q,
        "R": dR @ J,
        "J": dR.T @ R,
        "V": D.T @ dY,
        "l": -rows.sum(),
    }


@form(
    "cosine attention with a temperature",
    "Liu et al. 2022, eq. 2 (Swin v2, without the bias); backward " + HAND,
    "Q[T K] K[T K] V[T M] g[]+",
    """q[t,k] = Q[t,k]/sqrt(sum(j) Q[t,j]**2)
    p[t,k] = K[t,k]/sqrt(sum(j) K[t,j]**2)
    C[t,s] = sum(k) q[t,k]*p[s,k]
    E[t,s] = exp(g[]*C[t,s])
    P[t,s] = E[t,s]/sum(u) E[t,u]
    Y[t,m] = sum(s) P[t,s]*V[s,m]""",
)
def cosine_attention(Q: Any, K: Any, V: Any, g: Any) -> Any:
    q = Q / np.sqrt((Q**2).sum(axis=1, keepdims=True))
    p = K / np.sqrt((K**2).sum(axis=1, keepdims=True))
    E = np.exp(g * (q @ p.T))
    return (E / E.sum(axis=1, keepdims=True)) @ V


@published(cosine_attention)
def cosine_attention_published(Q: Any, K: Any, V: Any, g: Any) -> Passes:
    a = np.sqrt((Q**2).sum(axis=1, keepdims=True))
    b = np.sqrt((K**2).sum(axis=1, keepdims=True))
    q, p = Q / a, K / b
    C = q @ p.T
    E = np.exp(g * C)
    P = E / E.sum(axis=1, keepdims=True)
    Y = P @ V
    dY = yield Y
    dS = P * (dY @ V.T - (dY * Y).sum(axis=1, keepdims=True))
    dC = g * dS
    dq, dp = dC @ p, dC.T @ q
    return {
        "Q": (dq - (dq * q).sum(axis=1, keepdims=True) * q) / a,
        "K": (dp - (dp * p).sum(axis=1, keepdims=True) * p) / b,
        "V": P.T @ dY,
        "g": np.vdot(dS, C),
    }


@form(
    "positive random features of attention",
    "Choromanski et al. 2021, lemma 1 and eq. 4; backward " + HAND,
    "Q[T K]small K[T K]small V[T M] W[L K]",
    """q[t,l] = exp((sum(k) Q[t,k]*W[l,k]) - 1/2*(sum(k) Q[t,k]**2))
    p[t,l] = exp((sum(k) K[t,k]*W[l,k]) - 1/2*(sum(k) K[t,k]**2))
    S[l,m] = sum(t) p[t,l]*V[t,m]
    u[l] = sum(t) p[t,l]
    Y[t,m] = (sum(l) q[t,l]*S[l,m])/(sum(l) q[t,l]*u[l])""",
    T=90,
)
def random_features(Q: Any, K: Any, V: Any, W: Any) -> Any:
    q = np.exp(Q @ W.T - 0.5 * (Q**2).sum(axis=1, keepdims=True))
    p = np.exp(K @ W.T - 0.5 * (K**2).sum(axis=1, keepdims=True))
    return (q @ (p.T @ V)) / (q @ p.sum(axis=0))[:, None]


@published(random_features)
def random_features_published(Q: Any, K: Any, V: Any, W: Any) -> Passes:
    q = np.exp(Q @ W.T - 0.5 * (Q**2).sum(axis=1, keepdims=True))
    p = np.exp(K @ W.T - 0.5 * (K**2).sum(axis=1, keepdims=True))
    S, u = p.T @ V, p.sum(axis=0)
    z = (q @ u)[:, None]
    Y = (q @ S) / z
    dY = yield Y
    g = dY / z
    dz = -(g * Y).sum(axis=1)
    a = (g @ S.T + dz[:, None] * u) * q
    dS = q.T @ g
    b = (V @ dS.T + q.T @ dz) * p
    return {
        "Q": a @ W - a.sum(axis=1)[:, None] * Q,
        "K": b @ W - b.sum(axis=1)[:, None] * K,
        "V": p @ dS,
    }


@form(
    "attention-free transformer, simple",
    "Zhai et al. 2021, section 3.2 (AFT-simple); backward " + HAND,
    "Q[T K] K[T K] V[T K]",
    """s[t,k] = sigmoid(Q[t,k])
    E[t,k] = exp(K[t,k])
    w[k] = (sum(t) E[t,k]*V[t,k])/sum(t) E[t,k]
    Y[t,k] = s[t,k]*w[k]""",
)
def attention_free(Q: Any, K: Any, V: Any) -> Any:
    E = np.exp(K)
    return 1 / (1 + np.exp(-Q)) * ((E * V).sum(axis=0) / E.sum(axis=0))


@published(attention_free)
def attention_free_published(Q: Any, K: Any, V: Any) -> Passes:
    E = np.exp(K)
    z = E.sum(axis=0)
    w = (E * V).sum(axis=0) / z
    s = 1 / (1 + np.exp(-Q))
    Y = s * w
    dY = yield Y
    dw = (dY * s).sum(axis=0) / z
    dV = dw * E
    return {"Q": dY * Y * (1 - s), "K": dV * (V - w), "V": dV}


@form(
    "delta rule, one step",
    "Schlag et al. 2021, eq. 24 and 25; Yang et al. 2024; backward " + HAND,
    "S[M K] x[K] v[M] q[K] b[]unit",
    """e[m] = v[m] - sum(k) S[m,k]*x[k]
    R[m,k] = S[m,k] + b[]*e[m]*x[k]
    y[m] = sum(k) R[m,k]*q[k]
    return R, y""",
)
def delta_rule(S: Any, x: Any, v: Any, q: Any, b: Any) -> Any:
    e = v - S @ x
    R = S + (b * e)[:, None] * x
    return R, R @ q


@published(delta_rule)
def delta_rule_published(S: Any, x: Any, v: Any, q: Any, b: Any) -> Passes:
    e = v - S @ x
    R = S + (b * e)[:, None] * x
    dR, dy = yield R, R @ q
    dR = dR + dy[:, None] * q
    g = dR @ x
    de = b * g
    return {
        "S": dR - de[:, None] * x,
        "x": b * (e @ dR) - de @ S,
        "v": de,
        "q": dy @ R,
        "b": g @ e,
    }


@form(
    "gated linear attention, one step",
    "Yang et al. 2023, eq. 3; backward " + HAND,
    "S[K M] a[K]unit x[K] v[M] q[K]",
    """R[i,m] = a[i]*S[i,m] + x[i]*v[m]
    y[m] = sum(i) q[i]*R[i,m]
    return R, y""",
)
def gated_linear_step(S: Any, a: Any, x: Any, v: Any, q: Any) -> Any:
    R = a[:, None] * S + x[:, None] * v
    return R, q @ R


@published(gated_linear_step)
def gated_linear_step_published(S: Any, a: Any, x: Any, v: Any, q: Any) -> Passes:
    R = a[:, None] * S + x[:, None] * v
    dR, dy = yield R, q @ R
    dR = dR + q[:, None] * dy
    return {
        "S": a[:, None] * dR,
        "a": (dR * S).sum(axis=1),
        "x": dR @ v,
        "v": x @ dR,
        "q": R @ dy,
    }


@form(
    "selective state space, one step",
    "Gu & Dao 2023, eq. 2a with the discretisation of eq. 4 (simplified B); backward " + HAND,
    "h[D K] A[D K]+ B[K] C[K] x[D] d[D]+",
    """r[i,k] = exp(-d[i]*A[i,k])*h[i,k] + d[i]*B[k]*x[i]
    y[i] = sum(k) r[i,k]*C[k]
    return r, y""",
)
def state_space_step(h: Any, A: Any, B: Any, C: Any, x: Any, d: Any) -> Any:
    r = np.exp(-d[:, None] * A) * h + (d * x)[:, None] * B
    return r, r @ C


@published(state_space_step)
def state_space_step_published(h: Any, A: Any, B: Any, C: Any, x: Any, d: Any) -> Passes:
    a = np.exp(-d[:, None] * A)
    u = d * x
    ah = a * h
    r = ah + u[:, None] * B
    dr, dy = yield r, r @ C
    dr = dr + dy[:, None] * C
    du = dr @ B
    g = dr * ah
    return {
        "h": dr * a,
        "A": -d[:, None] * g,
        "B": u @ dr,
        "C": dy @ r,
        "x": d * du,
        "d": x * du - (g * A).sum(axis=1),
    }


@form(
    "spatial gating unit",
    "Liu et al. 2021, eq. 2 and 3 (gMLP); backward " + HAND,
    "U[T K] V[T K] W[T T]small b[T]",
    "Y[t,k] = U[t,k]*((sum(s) W[t,s]*V[s,k]) + b[t])",
)
def spatial_gate(U: Any, V: Any, W: Any, b: Any) -> Any:
    return U * (W @ V + b[:, None])


@published(spatial_gate)
def spatial_gate_published(U: Any, V: Any, W: Any, b: Any) -> Passes:
    f = W @ V + b[:, None]
    dY = yield U * f
    df = dY * U
    return {"U": dY * f, "V": W.T @ df, "W": df @ V.T, "b": df.sum(axis=1)}


@form(
    "mixer block: tokens, then channels",
    "Tolstikhin et al. 2021, eq. 1 (without norms, one matrix each); backward " + HAND,
    "X[T K] W[T T]small V[K K]small",
    """U[t,k] = X[t,k] + tanh(sum(s) W[t,s]*X[s,k])
    Y[t,k] = U[t,k] + tanh(sum(j) U[t,j]*V[j,k])""",
)
def mixer(X: Any, W: Any, V: Any) -> Any:
    U = X + np.tanh(W @ X)
    return U + np.tanh(U @ V)


@published(mixer)
def mixer_published(X: Any, W: Any, V: Any) -> Passes:
    a = np.tanh(W @ X)
    U = X + a
    b = np.tanh(U @ V)
    dY = yield U + b
    db = dY * (1 - b**2)
    dU = dY + db @ V.T
    da = dU * (1 - a**2)
    return {"X": dU + W.T @ da, "W": da @ X.T, "V": U.T @ db}


@form(
    "modern Hopfield update",
    "Ramsauer et al. 2021, eq. 3; backward as attention, " + HAND,
    "X[T K]small z[K] b[]+",
    """E[t] = exp(b[]*sum(k) X[t,k]*z[k])
    P[t] = E[t]/sum(u) E[u]
    Y[k] = sum(t) P[t]*X[t,k]""",
    T=200,
)
def hopfield_update(X: Any, z: Any, b: Any) -> Any:
    E = np.exp(b * (X @ z))
    return (E / E.sum()) @ X


@published(hopfield_update)
def hopfield_update_published(X: Any, z: Any, b: Any) -> Passes:
    s = X @ z
    E = np.exp(b * s)
    P = E / E.sum()
    Y = P @ X
    dY = yield Y
    ds = P * (X @ dY - dY @ Y)
    t = b * ds
    return {"X": P[:, None] * dY + t[:, None] * z, "z": t @ X, "b": ds @ s}


@form(
    "modern Hopfield energy",
    "Ramsauer et al. 2021, eq. 2 (without constants), gradient behind eq. 3",
    "X[T K]small z[K]",
    "L[] = -log(sum(t) exp(sum(k) X[t,k]*z[k])) + 1/2*sum(k) z[k]**2",
    T=200,
)
def hopfield_energy(X: Any, z: Any) -> Any:
    return -np.log(np.exp(X @ z).sum()) + 0.5 * (z**2).sum()


@published(hopfield_energy)
def hopfield_energy_published(X: Any, z: Any) -> Passes:
    E = np.exp(X @ z)
    s = E.sum()
    dL = yield -np.log(s) + 0.5 * (z**2).sum()
    g = (-dL / s) * E
    return {"X": g[:, None] * z, "z": g @ X + dL * z}


@form(
    "feature-wise linear modulation",
    "Perez et al. 2018, eq. 2 and 3; backward " + HAND,
    "X[N C L] z[N K] G[K C] B[K C]",
    "Y[n,c,l] = (sum(k) z[n,k]*G[k,c])*X[n,c,l] + sum(k) z[n,k]*B[k,c]",
    N=16,
)
def film(X: Any, z: Any, G: Any, B: Any) -> Any:
    return (z @ G)[:, :, None] * X + (z @ B)[:, :, None]


@published(film)
def film_published(X: Any, z: Any, G: Any, B: Any) -> Passes:
    g = z @ G
    dY = yield g[:, :, None] * X + (z @ B)[:, :, None]
    dg, db = (dY * X).sum(axis=2), dY.sum(axis=2)
    return {
        "X": g[:, :, None] * dY,
        "z": dg @ G.T + db @ B.T,
        "G": z.T @ dg,
        "B": z.T @ db,
    }


@form(
    "capsules: squashing",
    "Sabour et al. 2017, eq. 1; backward " + HAND,
    "S[N K]",
    """q[n] = sum(k) S[n,k]**2
    Y[n,k] = q[n]/(1 + q[n])*S[n,k]/sqrt(q[n])""",
)
def squash(S: Any) -> Any:
    q = (S**2).sum(axis=1, keepdims=True)
    return q / (1 + q) * S / np.sqrt(q)


@published(squash)
def squash_published(S: Any) -> Passes:
    q = (S**2).sum(axis=1, keepdims=True)
    r = 1 + q
    f = np.sqrt(q) / r
    dY = yield q / r * S / np.sqrt(q)
    # f' = (1 - q)/(2 sqrt(q) (1 + q)²)
    g = (dY * S).sum(axis=1, keepdims=True) * (1 - q) / (q / f) / r
    return {"S": f * dY + g * S}


@form(
    "highway layer",
    "Srivastava et al. 2015, eq. 3; backward " + HAND,
    "X[N D] W[D D]small V[D D]small b[D]",
    """h[n,d] = tanh(sum(k) X[n,k]*W[k,d])
    t[n,d] = sigmoid((sum(k) X[n,k]*V[k,d]) + b[d])
    Y[n,d] = h[n,d]*t[n,d] + X[n,d]*(1 - t[n,d])""",
)
def highway(X: Any, W: Any, V: Any, b: Any) -> Any:
    h = np.tanh(X @ W)
    t = 1 / (1 + np.exp(-(X @ V + b)))
    return h * t + X * (1 - t)


@published(highway)
def highway_published(X: Any, W: Any, V: Any, b: Any) -> Passes:
    h = np.tanh(X @ W)
    t = 1 / (1 + np.exp(-(X @ V + b)))
    q = 1 - t
    dY = yield h * t + X * q
    g = dY * t
    da = g * (1 - h**2)
    dc = g * q * (h - X)
    return {
        "X": dY * q + da @ W.T + dc @ V.T,
        "W": X.T @ da,
        "V": X.T @ dc,
        "b": dc.sum(axis=0),
    }
