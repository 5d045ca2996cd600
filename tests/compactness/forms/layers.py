"""Layers and cells."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "root mean square norm with gain",
    "Zhang & Sennrich 2019, eq. 4; backward " + HAND,
    "X[N D] g[D]",
    """r[n] = sqrt((mean(d) X[n,d]**2) + 1e-6)
    Y[n,d] = X[n,d]/r[n]*g[d]""",
)
def rms_norm(X: Any, g: Any) -> Any:
    return X / np.sqrt((X**2).mean(axis=1, keepdims=True) + 1e-6) * g


@published(rms_norm)
def rms_norm_published(X: Any, g: Any) -> Passes:
    r = np.sqrt((X**2).mean(axis=1, keepdims=True) + 1e-6)
    x = X / r
    dY = yield x * g
    dx = dY * g
    return {
        "X": (dx - x * (dx * x).mean(axis=1, keepdims=True)) / r,
        "g": (dY * x).sum(axis=0),
    }


@form(
    "dynamic tanh",
    "Zhu et al. 2025, eq. 4 (DyT); backward " + HAND,
    "X[N D] a[]+ g[D] b[D]",
    "Y[n,d] = g[d]*tanh(a[]*X[n,d]) + b[d]",
)
def dynamic_tanh(X: Any, a: Any, g: Any, b: Any) -> Any:
    return g * np.tanh(a * X) + b


@published(dynamic_tanh)
def dynamic_tanh_published(X: Any, a: Any, g: Any, b: Any) -> Passes:
    t = np.tanh(a * X)
    dY = yield g * t + b
    du = dY * g * (1 - t**2)
    return {
        "X": a * du,
        "a": np.vdot(du, X),
        "g": (dY * t).sum(axis=0),
        "b": dY.sum(axis=0),
    }


@form(
    "weight normalisation",
    "Salimans & Kingma 2016, eq. 2 and 3",
    "X[N D] V[D M] g[M]",
    """r[m] = sqrt(sum(d) V[d,m]**2)
    W[d,m] = g[m]*V[d,m]/r[m]
    Y[n,m] = sum(d) X[n,d]*W[d,m]""",
)
def weight_norm(X: Any, V: Any, g: Any) -> Any:
    W = g * V / np.sqrt((V**2).sum(axis=0))
    return X @ W


@published(weight_norm)
def weight_norm_published(X: Any, V: Any, g: Any) -> Passes:
    r = np.sqrt((V**2).sum(axis=0))
    W = g * V / r
    dY = yield X @ W
    dW = X.T @ dY
    dg = (dW * V).sum(axis=0) / r
    s = g / r
    return {"X": dY @ W.T, "V": s * dW - (s * dg / r) * V, "g": dg}


@form(
    "spectral normalisation with power iteration vectors",
    "Miyato et al. 2018, section 2.1 (u and v constant); backward " + HAND,
    "W[N M] u[N] v[M]",
    """s[] = sum(n,m) u[n]*W[n,m]*v[m]
    Y[n,m] = W[n,m]/s[]""",
)
def spectral_norm(W: Any, u: Any, v: Any) -> Any:
    return W / (u @ W @ v)


@published(spectral_norm)
def spectral_norm_published(W: Any, u: Any, v: Any) -> Passes:
    s = u @ W @ v
    Y = W / s
    dY = yield Y
    c = np.vdot(dY, Y) / s
    return {"W": dY / s - (c * u)[:, None] * v}


@form(
    "batch renormalisation",
    "Ioffe 2017, algorithm 1 (r and d constant); backward " + HAND,
    "X[N D] r[D]+ d[D] g[D] b[D]",
    """m[d] = mean(n) X[n,d]
    s[d] = sqrt((mean(n) (X[n,d] - m[d])**2) + 1e-5)
    x[n,k] = (X[n,k] - m[k])/s[k]*r[k] + d[k]
    Y[n,k] = g[k]*x[n,k] + b[k]""",
)
def batch_renorm(X: Any, r: Any, d: Any, g: Any, b: Any) -> Any:
    m = X.mean(axis=0)
    s = np.sqrt(((X - m) ** 2).mean(axis=0) + 1e-5)
    return g * ((X - m) / s * r + d) + b


@published(batch_renorm)
def batch_renorm_published(X: Any, r: Any, d: Any, g: Any, b: Any) -> Passes:
    m = X.mean(axis=0)
    s = np.sqrt(((X - m) ** 2).mean(axis=0) + 1e-5)
    z = (X - m) / s
    x = z * r + d
    dY = yield g * x + b
    db = dY.sum(axis=0)
    c = (dY * z).sum(axis=0)
    n = len(X)
    return {
        "X": g * r / s * (dY - db / n - z * (c / n)),
        "g": r * c + d * db,
        "b": db,
    }


@form(
    "adaptive instance normalisation",
    "Huang & Belongie 2017, eq. 8; backward " + HAND,
    "X[N C L] g[N C] b[N C]",
    """m[n,c] = mean(l) X[n,c,l]
    s[n,c] = sqrt((mean(l) (X[n,c,l] - m[n,c])**2) + 1e-5)
    Y[n,c,l] = g[n,c]*(X[n,c,l] - m[n,c])/s[n,c] + b[n,c]""",
    N=8,
)
def ada_in(X: Any, g: Any, b: Any) -> Any:
    m = X.mean(axis=2, keepdims=True)
    s = np.sqrt(((X - m) ** 2).mean(axis=2, keepdims=True) + 1e-5)
    return g[:, :, None] * ((X - m) / s) + b[:, :, None]


@published(ada_in)
def ada_in_published(X: Any, g: Any, b: Any) -> Passes:
    m = X.mean(axis=2, keepdims=True)
    s = np.sqrt(((X - m) ** 2).mean(axis=2, keepdims=True) + 1e-5)
    x = (X - m) / s
    dY = yield g[:, :, None] * x + b[:, :, None]
    db = dY.sum(axis=2)
    dg = (dY * x).sum(axis=2)
    n = X.shape[2]
    f = g[:, :, None] / s
    return {"X": f * (dY - db[:, :, None] / n - x * (dg[:, :, None] / n)), "g": dg, "b": db}


@form(
    "squeeze and excitation",
    "Hu et al. 2018, eq. 2 to 4; backward " + HAND,
    "X[N C L] W[C K]small V[K C]small",
    """z[n,c] = mean(l) X[n,c,l]
    h[n,k] = relu(sum(c) z[n,c]*W[c,k])
    s[n,c] = sigmoid(sum(k) h[n,k]*V[k,c])
    Y[n,c,l] = X[n,c,l]*s[n,c]""",
    N=16,
)
def squeeze_excite(X: Any, W: Any, V: Any) -> Any:
    z = X.mean(axis=2)
    h = np.maximum(z @ W, 0)
    s = 1 / (1 + np.exp(-(h @ V)))
    return X * s[:, :, None]


@published(squeeze_excite)
def squeeze_excite_published(X: Any, W: Any, V: Any) -> Passes:
    z = X.mean(axis=2)
    h = np.maximum(z @ W, 0)
    s = 1 / (1 + np.exp(-(h @ V)))
    dY = yield X * s[:, :, None]
    da = (dY * X).sum(axis=2) * s * (1 - s)
    dh = (da @ V.T) * (h > 0)
    dz = dh @ W.T
    return {
        "X": dY * s[:, :, None] + (dz / X.shape[2])[:, :, None],
        "W": z.T @ dh,
        "V": h.T @ da,
    }


@form(
    "SwiGLU feed-forward",
    "Shazeer 2020, eq. 6 (FFN_SwiGLU); backward " + HAND,
    "X[N D] W[D M]small V[D M]small U[M D]",
    """a[n,m] = sum(d) X[n,d]*W[d,m]
    b[n,m] = sum(d) X[n,d]*V[d,m]
    h[n,m] = a[n,m]*sigmoid(a[n,m])*b[n,m]
    Y[n,d] = sum(m) h[n,m]*U[m,d]""",
)
def swiglu(X: Any, W: Any, V: Any, U: Any) -> Any:
    a = X @ W
    return (a * (1 / (1 + np.exp(-a))) * (X @ V)) @ U


@published(swiglu)
def swiglu_published(X: Any, W: Any, V: Any, U: Any) -> Passes:
    a, b = X @ W, X @ V
    s = 1 / (1 + np.exp(-a))
    q = a * s
    h = q * b
    dY = yield h @ U
    dh = dY @ U.T
    db = dh * q
    da = dh * b * (s + q * (1 - s))
    return {
        "X": da @ W.T + db @ V.T,
        "W": X.T @ da,
        "V": X.T @ db,
        "U": h.T @ dY,
    }


@form(
    "GeGLU feed-forward, tanh GELU",
    "Shazeer 2020, eq. 6 (FFN_GEGLU); Hendrycks & Gimpel 2016; backward " + HAND,
    "A[N M] B[N M]",
    """t[n,m] = tanh(0.7978845608*(A[n,m] + 0.044715*A[n,m]**3))
    Y[n,m] = 1/2*A[n,m]*(1 + t[n,m])*B[n,m]""",
)
def geglu(A: Any, B: Any) -> Any:
    return 0.5 * A * (1 + np.tanh(0.7978845608 * (A + 0.044715 * A**3))) * B


@published(geglu)
def geglu_published(A: Any, B: Any) -> Passes:
    t = np.tanh(0.7978845608 * (A + 0.044715 * A**3))
    u = 1 + t
    g = 0.5 * A * u
    dY = yield g * B
    # t' = 0.798 + 0.107 A²
    slope = 0.5 * u + 0.5 * A * (1 - t**2) * (0.7978845608 + 0.1070322243 * A**2)
    return {"A": dY * B * slope, "B": dY * g}


@form(
    "layer scale and residual",
    "Touvron et al. 2021, eq. 4; backward " + HAND,
    "X[N D] W[D D]small l[D]",
    "Y[n,d] = X[n,d] + l[d]*tanh(sum(k) X[n,k]*W[k,d])",
)
def layer_scale(X: Any, W: Any, l: Any) -> Any:
    return X + l * np.tanh(X @ W)


@published(layer_scale)
def layer_scale_published(X: Any, W: Any, l: Any) -> Passes:
    t = np.tanh(X @ W)
    dY = yield X + l * t
    da = dY * l * (1 - t**2)
    return {"X": dY + da @ W.T, "W": X.T @ da, "l": (dY * t).sum(axis=0)}


@form(
    "low-rank adaptation",
    "Hu et al. 2021, eq. 3; backward " + HAND,
    "X[N D] W[D M] A[D K] B[K M]",
    """Y[n,m] = (sum(d) X[n,d]*W[d,m]) + 2*sum(k) (sum(d) X[n,d]*A[d,k])*B[k,m]""",
    K=4,
)
def lora(X: Any, W: Any, A: Any, B: Any) -> Any:
    return X @ W + 2 * ((X @ A) @ B)


@published(lora)
def lora_published(X: Any, W: Any, A: Any, B: Any) -> Passes:
    h = X @ A
    dY = yield X @ W + 2 * (h @ B)
    dh = 2 * (dY @ B.T)
    return {"X": dY @ W.T + dh @ A.T, "A": X.T @ dh, "B": 2 * (h.T @ dY)}


@form(
    "factorisation machine",
    "Rendle 2010, lemma 3.1; gradient " + HAND,
    "X[N D] w[D] V[D K]",
    """s[n,k] = sum(d) X[n,d]*V[d,k]
    y[n] = (sum(d) X[n,d]*w[d]) +
        1/2*sum(k) (s[n,k]**2 - sum(d) X[n,d]**2*V[d,k]**2)""",
)
def factorisation_machine(X: Any, w: Any, V: Any) -> Any:
    s = X @ V
    return X @ w + 0.5 * (s**2 - X**2 @ V**2).sum(axis=1)


@published(factorisation_machine)
def factorisation_machine_published(X: Any, w: Any, V: Any) -> Passes:
    s = X @ V
    X2 = X**2
    dy = yield X @ w + 0.5 * (s**2 - X2 @ V**2).sum(axis=1)
    return {"w": X.T @ dy, "V": X.T @ (dy[:, None] * s) - (dy @ X2)[:, None] * V}


@form(
    "deep and cross network: cross layer",
    "Wang et al. 2017, eq. 3; backward " + HAND,
    "X[N D] Z[N D] w[D] b[D]",
    "Y[n,d] = X[n,d]*(sum(k) Z[n,k]*w[k]) + b[d] + Z[n,d]",
)
def cross_layer(X: Any, Z: Any, w: Any, b: Any) -> Any:
    return X * (Z @ w)[:, None] + b + Z


@published(cross_layer)
def cross_layer_published(X: Any, Z: Any, w: Any, b: Any) -> Passes:
    a = Z @ w
    dY = yield X * a[:, None] + b + Z
    da = (dY * X).sum(axis=1)
    return {
        "X": dY * a[:, None],
        "Z": dY + da[:, None] * w,
        "w": Z.T @ da,
        "b": dY.sum(axis=0),
    }


@form(
    "graph attention head",
    "Velickovic et al. 2018, eq. 1 to 4; backward " + HAND,
    "H[N D] W[D K]small a[K] b[K] A[N N]binary",
    """h[n,k] = sum(d) H[n,d]*W[d,k]
    u[n] = sum(k) h[n,k]*a[k]
    v[n] = sum(k) h[n,k]*b[k]
    E[i,j] = [A[i,j] > 0 or i = j]*exp(where(u[i] + v[j] > 0, u[i] + v[j], (u[i] + v[j])/5))
    P[i,j] = E[i,j]/sum(k) E[i,k]
    Y[i,k] = sum(j) P[i,j]*h[j,k]""",
)
def graph_attention(H: Any, W: Any, a: Any, b: Any, A: Any) -> Any:
    h = H @ W
    s = (h @ a)[:, None] + h @ b
    E = np.exp(np.where(s > 0, s, 0.2 * s)) * ((A > 0) | (np.eye(len(A)) > 0))
    P = E / E.sum(axis=1, keepdims=True)
    return P @ h


@published(graph_attention)
def graph_attention_published(H: Any, W: Any, a: Any, b: Any, A: Any) -> Passes:
    h = H @ W
    s = (h @ a)[:, None] + h @ b
    positive = s > 0
    E = np.exp(np.where(positive, s, 0.2 * s)) * ((A > 0) | (np.eye(len(A)) > 0))
    P = E / E.sum(axis=1, keepdims=True)
    Y = P @ h
    dY = yield Y
    dE = P * (dY @ h.T - (dY * Y).sum(axis=1, keepdims=True))
    dS = np.where(positive, dE, 0.2 * dE)
    du, dv = dS.sum(axis=1), dS.sum(axis=0)
    dh = P.T @ dY + du[:, None] * a + dv[:, None] * b
    return {"H": dh @ W.T, "W": H.T @ dh, "a": h.T @ du, "b": h.T @ dv}


@form(
    "graph convolution",
    "Kipf & Welling 2017, eq. 2; backward " + HAND,
    "A[N N]+ H[N D] W[D M]",
    """d[i] = 1/sqrt(sum(j) A[i,j])
    h[n,m] = sum(k) H[n,k]*W[k,m]
    Y[i,m] = relu(sum(j) d[i]*A[i,j]*d[j]*h[j,m])""",
)
def graph_convolution(A: Any, H: Any, W: Any) -> Any:
    d = 1 / np.sqrt(A.sum(axis=1))
    return np.maximum((d[:, None] * A * d) @ (H @ W), 0)


@published(graph_convolution)
def graph_convolution_published(A: Any, H: Any, W: Any) -> Passes:
    d = 1 / np.sqrt(A.sum(axis=1))
    S = d[:, None] * A * d
    Y = np.maximum(S @ (H @ W), 0)
    dY = yield Y
    dh = S.T @ (dY * (Y > 0))
    return {"H": dh @ W.T, "W": H.T @ dh}


@form(
    "minimal gated unit, one step",
    "Feng et al. 2024, section 3.1 (minGRU); backward " + HAND,
    "X[N D] h[N M] W[D M]small V[D M]small",
    """z[n,m] = sigmoid(sum(d) X[n,d]*W[d,m])
    c[n,m] = sum(d) X[n,d]*V[d,m]
    Y[n,m] = (1 - z[n,m])*h[n,m] + z[n,m]*c[n,m]""",
)
def min_gru(X: Any, h: Any, W: Any, V: Any) -> Any:
    z = 1 / (1 + np.exp(-(X @ W)))
    return (1 - z) * h + z * (X @ V)


@published(min_gru)
def min_gru_published(X: Any, h: Any, W: Any, V: Any) -> Passes:
    z = 1 / (1 + np.exp(-(X @ W)))
    c = X @ V
    q = 1 - z
    dY = yield q * h + z * c
    dc = dY * z
    dh = dY * q
    da = dc * q * (c - h)
    return {"X": da @ W.T + dc @ V.T, "h": dh, "W": X.T @ da, "V": X.T @ dc}


@form(
    "LSTM cell",
    "Hochreiter & Schmidhuber 1997; Gers et al. 2000; backward " + HAND,
    "X[N D] c[N M] U[D M]small V[D M]small W[D M]small Q[D M]small",
    """i[n,m] = sigmoid(sum(d) X[n,d]*U[d,m])
    f[n,m] = sigmoid(sum(d) X[n,d]*V[d,m])
    o[n,m] = sigmoid(sum(d) X[n,d]*W[d,m])
    g[n,m] = tanh(sum(d) X[n,d]*Q[d,m])
    C[n,m] = f[n,m]*c[n,m] + i[n,m]*g[n,m]
    h[n,m] = o[n,m]*tanh(C[n,m])""",
)
def lstm(X: Any, c: Any, U: Any, V: Any, W: Any, Q: Any) -> Any:
    i = 1 / (1 + np.exp(-(X @ U)))
    f = 1 / (1 + np.exp(-(X @ V)))
    o = 1 / (1 + np.exp(-(X @ W)))
    g = np.tanh(X @ Q)
    return o * np.tanh(f * c + i * g)


@published(lstm)
def lstm_published(X: Any, c: Any, U: Any, V: Any, W: Any, Q: Any) -> Passes:
    i = 1 / (1 + np.exp(-(X @ U)))
    f = 1 / (1 + np.exp(-(X @ V)))
    o = 1 / (1 + np.exp(-(X @ W)))
    g = np.tanh(X @ Q)
    t = np.tanh(f * c + i * g)
    h = o * t
    dh = yield h
    dC = dh * o * (1 - t**2)
    dc = dC * f
    do = dh * h * (1 - o)
    df = dc * c * (1 - f)
    a = dC * i
    di = a * g * (1 - i)
    dg = a * (1 - g**2)
    return {
        "X": di @ U.T + df @ V.T + do @ W.T + dg @ Q.T,
        "c": dc,
        "U": X.T @ di,
        "V": X.T @ df,
        "W": X.T @ do,
        "Q": X.T @ dg,
    }


@form(
    "attention with linear biases, causal",
    "Press et al. 2022, section 3 (ALiBi); backward " + HAND,
    "Q[T K] K[T K] V[T M] m[]+",
    """S[t,s] = (sum(k) Q[t,k]*K[s,k]) - m[]*(t - s)
    E[t,s] = [s <= t]*exp(S[t,s])
    P[t,s] = E[t,s]/sum(u) E[t,u]
    Y[t,m] = sum(s) P[t,s]*V[s,m]""",
)
def alibi(Q: Any, K: Any, V: Any, m: Any) -> Any:
    t = np.arange(len(Q))
    E = np.tril(np.exp(Q @ K.T - m * (t[:, None] - t)))
    P = E / E.sum(axis=1, keepdims=True)
    return P @ V


@published(alibi)
def alibi_published(Q: Any, K: Any, V: Any, m: Any) -> Passes:
    t = np.arange(len(Q))
    E = np.tril(np.exp(Q @ K.T - m * (t[:, None] - t)))
    P = E / E.sum(axis=1, keepdims=True)
    Y = P @ V
    dY = yield Y
    dS = P * (dY @ V.T - (dY * Y).sum(axis=1, keepdims=True))
    return {"Q": dS @ K, "K": dS.T @ Q, "V": P.T @ dY}


@form(
    "retention, parallel form",
    "Sun et al. 2023, eq. 5; backward " + HAND,
    "Q[T K] K[T K] V[T M] decay[T T]triangle",
    """A[t,s] = decay[t,s]*sum(k) Q[t,k]*K[s,k]
    Y[t,m] = sum(s) A[t,s]*V[s,m]""",
)
def retention(Q: Any, K: Any, V: Any, decay: Any) -> Any:
    return ((Q @ K.T) * decay) @ V


@published(retention)
def retention_published(Q: Any, K: Any, V: Any, decay: Any) -> Passes:
    A = (Q @ K.T) * decay
    dY = yield A @ V
    dA = (dY @ V.T) * decay
    return {"Q": dA @ K, "K": dA.T @ Q, "V": A.T @ dY}


@form(
    "affine coupling with log-determinant",
    "Dinh et al. 2017, eq. 4, 5 and 6 (real NVP); backward " + HAND,
    "x[N D] z[N M] W[D M]small V[D M]small",
    """s[n,m] = tanh(sum(d) x[n,d]*W[d,m])
    y[n,m] = z[n,m]*exp(s[n,m]) + sum(d) x[n,d]*V[d,m]
    L[] = (sum(n,m) s[n,m]) - 1/2*sum(n,m) y[n,m]**2""",
)
def coupling(x: Any, z: Any, W: Any, V: Any) -> Any:
    s = np.tanh(x @ W)
    y = z * np.exp(s) + x @ V
    return s.sum() - 0.5 * (y**2).sum()


@published(coupling)
def coupling_published(x: Any, z: Any, W: Any, V: Any) -> Passes:
    s = np.tanh(x @ W)
    e = np.exp(s)
    a = z * e
    y = a + x @ V
    dL = yield s.sum() - 0.5 * (y**2).sum()
    dy = -dL * y
    da = (dL + dy * a) * (1 - s**2)
    return {"x": da @ W.T + dy @ V.T, "z": dy * e, "W": x.T @ da, "V": x.T @ dy}


@form(
    "planar flow with log-determinant",
    "Rezende & Mohamed 2015, eq. 10 to 12; backward " + HAND,
    "Z[N D] u[D]small w[D]small b[]",
    """t[n] = tanh((sum(d) Z[n,d]*w[d]) + b[])
    a[] = sum(d) u[d]*w[d]
    Y[n,d] = Z[n,d] + u[d]*t[n]
    l[n] = log(abs(1 + (1 - t[n]**2)*a[]))
    return Y, l""",
)
def planar_flow(Z: Any, u: Any, w: Any, b: Any) -> Any:
    t = np.tanh(Z @ w + b)
    return Z + t[:, None] * u, np.log(np.abs(1 + (1 - t**2) * (u @ w)))


@published(planar_flow)
def planar_flow_published(Z: Any, u: Any, w: Any, b: Any) -> Passes:
    t = np.tanh(Z @ w + b)
    q, a = 1 - t**2, u @ w
    d = 1 + q * a
    dY, dl = yield Z + t[:, None] * u, np.log(np.abs(d))
    g = dl / d
    da = g @ q
    ds = (dY @ u - 2 * a * g * t) * q
    return {
        "Z": dY + ds[:, None] * w,
        "u": t @ dY + da * w,
        "w": ds @ Z + da * u,
        "b": ds.sum(),
    }


@form(
    "Gumbel softmax",
    "Jang et al. 2017, eq. 2; backward " + HAND,
    "S[N C] G[N C]",
    """E[n,c] = exp((S[n,c] + G[n,c])/0.5)
    Y[n,c] = E[n,c]/sum(k) E[n,k]""",
)
def gumbel_softmax(S: Any, G: Any) -> Any:
    E = np.exp((S + G) / 0.5)
    return E / E.sum(axis=1, keepdims=True)


@published(gumbel_softmax)
def gumbel_softmax_published(S: Any, G: Any) -> Passes:
    E = np.exp((S + G) / 0.5)
    Y = E / E.sum(axis=1, keepdims=True)
    dY = yield Y
    return {"S": 2 * Y * (dY - (dY * Y).sum(axis=1, keepdims=True))}
