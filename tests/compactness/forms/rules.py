"""One form or more for each thing that an expert does without thinking."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "t-SNE",
    "van der Maaten & Hinton 2008, eq. 5 (there for symmetric P)",
    "Y[N 2] P[N N]",
    """W[i,j] = 1/(1 + sum(d) (Y[i,d] - Y[j,d])**2)
    Z[] = sum(i,j) W[i,j]*[i != j]
    L[] = -sum(i,j) P[i,j]*log(W[i,j]/Z[])""",
)
def t_sne(Y: Any, P: Any) -> Any:
    W = 1 / (1 + ((Y[:, None] - Y[None]) ** 2).sum(axis=-1))
    Z = (W * (1 - np.eye(len(Y)))).sum()
    return -(P * np.log(W / Z)).sum()


@published(t_sne)
def t_sne_published(Y: Any, P: Any) -> Passes:
    W = 1 / (1 + ((Y[:, None] - Y[None]) ** 2).sum(axis=-1))
    Z = (W * (1 - np.eye(len(Y)))).sum()
    dL = yield -(P * np.log(W / Z)).sum()
    # On the diagonal Y - Y is 0, whatever the factor.
    G = W * (P - P.sum() / Z * W)
    G = 2 * dL * (G + G.T)
    return {"Y": G.sum(axis=1)[:, None] * Y - G @ Y}


@form(
    "batch-hard triplet loss",
    "Hermans et al. 2017, eq. 5; backward " + HAND,
    "X[N D] y[N]:C",
    """D[i,j] = sum(d) (X[i,d] - X[j,d])**2
    p[i] = max(j) where(y[i] = y[j], D[i,j], 0)
    q[i] = min(j) where(y[i] = y[j], 1000000, D[i,j])
    L[] = mean(i) relu(p[i] - q[i] + 1)""",
    C=6,
)
def batch_hard(X: Any, y: Any) -> Any:
    D = ((X[:, None] - X[None]) ** 2).sum(axis=-1)
    same = y[:, None] == y
    p = np.where(same, D, 0.0).max(axis=1)
    q = np.where(same, 1e6, D).min(axis=1)
    return np.maximum(p - q + 1.0, 0).mean()


@published(batch_hard)
def batch_hard_published(X: Any, y: Any) -> Passes:
    D = ((X[:, None] - X[None]) ** 2).sum(axis=-1)
    same = y[:, None] == y
    far = np.where(same, D, 0.0)
    near = np.where(same, 1e6, D)
    p, q = far.max(axis=1), near.min(axis=1)
    dL = yield np.maximum(p - q + 1.0, 0).mean()
    a, b = far.argmax(axis=1), near.argmin(axis=1)
    g = (2 * dL / len(X) * (p - q + 1.0 > 0))[:, None]
    Xa, Xb = X[a], X[b]
    dX = g * (Xb - Xa)
    np.add.at(dX, a, g * (Xa - X))
    np.add.at(dX, b, g * (X - Xb))
    return {"X": dX}


@form(
    "Gaussian process, RBF kernel: negative log marginal likelihood",
    "Rasmussen & Williams 2006, eq. 5.8 and 5.9",
    "X[N D] y[N] l[]+ s[]+ v[]+",
    """R[i,j] = sum(d) (X[i,d] - X[j,d])**2
    K[i,j] = s[]**2*exp(-R[i,j]/(2*l[]**2)) + v[]*[i = j]
    L[] = 1/2*sum(i) y[i]*solve(K, y)[i] + 1/2*logdet(K)[]
    return L""",
    D=8,
)
def gaussian_process(X: Any, y: Any, l: Any, s: Any, v: Any) -> Any:
    R = ((X[:, None] - X[None]) ** 2).sum(axis=-1)
    K = s**2 * np.exp(-R / (2 * l**2)) + v * np.eye(len(X))
    return 0.5 * y @ np.linalg.solve(K, y) + 0.5 * np.linalg.slogdet(K)[1]


@published(gaussian_process)
def gaussian_process_published(X: Any, y: Any, l: Any, s: Any, v: Any) -> Passes:
    R = ((X[:, None] - X[None]) ** 2).sum(axis=-1)
    Kf = s**2 * np.exp(-R / (2 * l**2))
    K = Kf + v * np.eye(len(X))
    alpha = np.linalg.solve(K, y)
    dL = yield 0.5 * y @ alpha + 0.5 * np.linalg.slogdet(K)[1]
    dK = dL / 2 * (np.linalg.inv(K) - alpha[:, None] * alpha)
    G = dK * Kf
    rows = G.sum(axis=1)
    return {
        "X": -2 / l**2 * (rows[:, None] * X - G @ X),
        "y": dL * alpha,
        "l": np.vdot(G, R) / l**3,
        "s": 2 / s * rows.sum(),
        "v": np.trace(dK),
    }


@form(
    "heat equation, three explicit steps with fixed ends",
    "FTCS scheme; adjoint scheme " + HAND,
    "u[N]",
    """a[i] = where(1 <= i < N-1, u[i] + 1/5*(pad(u,0)[i-1] - 2*u[i] + pad(u,0)[i+1]), u[i])
    b[i] = where(1 <= i < N-1, a[i] + 1/5*(pad(a,0)[i-1] - 2*a[i] + pad(a,0)[i+1]), a[i])
    Y[i] = where(1 <= i < N-1, b[i] + 1/5*(pad(b,0)[i-1] - 2*b[i] + pad(b,0)[i+1]), b[i])""",
    N=500,
)
def heat(u: Any) -> Any:
    for _ in range(3):
        inner = u[1:-1] + 0.2 * (u[:-2] - 2 * u[1:-1] + u[2:])
        u = np.concatenate([u[:1], inner, u[-1:]])
    return u


@published(heat)
def heat_published(u: Any) -> Passes:
    for _ in range(3):
        inner = u[1:-1] + 0.2 * (u[:-2] - 2 * u[1:-1] + u[2:])
        u = np.concatenate([u[:1], inner, u[-1:]])
    g = yield u
    for _ in range(3):
        k = 0.2 * g[1:-1]
        g = g.copy()
        g[1:-1] -= 2 * k
        g[:-2] += k
        g[2:] += k
    return {"u": g}


@form(
    "pairwise distances",
    "Euclidean distance matrix; " + HAND,
    "X[N D] Z[M D]",
    "R[n,m] = sqrt(sum(d) (X[n,d] - Z[m,d])**2)",
)
def distances(X: Any, Z: Any) -> Any:
    return np.sqrt(((X[:, None] - Z[None]) ** 2).sum(-1))


@published(distances)
def distances_published(X: Any, Z: Any) -> Passes:
    R = np.sqrt(((X[:, None] - Z[None]) ** 2).sum(-1))
    dR = yield R
    W = dR / R
    return {
        "X": W.sum(axis=1)[:, None] * X - W @ Z,
        "Z": W.sum(axis=0)[:, None] * Z - W.T @ X,
    }


@form(
    "mixture of experts: softmax gate",
    "Jacobs et al. 1991; Shazeer et al. 2017, eq. 1; backward " + HAND,
    "X[N D] W[D E] Y[N E M]",
    """G[n,e] = exp(sum(d) X[n,d]*W[d,e])
    P[n,e] = G[n,e]/sum(k) G[n,k]
    O[n,m] = sum(e) P[n,e]*Y[n,e,m]""",
)
def experts(X: Any, W: Any, Y: Any) -> Any:
    G = np.exp(X @ W)
    P = G / G.sum(axis=1, keepdims=True)
    return (P[:, :, None] * Y).sum(axis=1)


@published(experts)
def experts_published(X: Any, W: Any, Y: Any) -> Passes:
    G = np.exp(X @ W)
    P = G / G.sum(axis=1, keepdims=True)
    O = (P[:, :, None] * Y).sum(axis=1)
    dO = yield O
    dP = (Y @ dO[:, :, None])[:, :, 0]
    dS = P * (dP - (O * dO).sum(axis=1)[:, None])
    return {"X": dS @ W.T, "W": X.T @ dS, "Y": P[:, :, None] * dO[:, None]}


@form(
    "two products that share their outer factors",
    HAND,
    "Y[M K] A[K M] U[M K] Q[M K]",
    """L[] = sum(i,j,m,n) Y[i,j]*Y[i,m]*A[m,n]*U[n,j] +
        sum(i,j,m,n) Y[i,j]*Y[n,j]*A[m,n]*Q[i,m]""",
)
def shared_factors(Y: Any, A: Any, U: Any, Q: Any) -> Any:
    return np.trace(Y.T @ Y @ A @ U) + np.trace(Y @ Y.T @ A.T @ Q.T)


@published(shared_factors)
def shared_factors_published(Y: Any, A: Any, U: Any, Q: Any) -> Passes:
    dL = yield np.trace(Y.T @ Y @ A @ U) + np.trace(Y @ Y.T @ A.T @ Q.T)
    # Two products of sizes K M K and K M M of which none has more than two axes.
    return {"A": dL * ((Y.T @ Y) @ U.T + (Q.T @ Y) @ Y.T)}


@form(
    "softmax focal loss",
    "Lin et al. 2017, eq. 4; backward " + HAND,
    "S[N C] y[N]:C",
    """E[n,c] = exp(S[n,c])
    P[n,c] = E[n,c]/sum(k) E[n,k]
    L[] = -mean(n) (1 - P[n,y[n]])**2*log(P[n,y[n]])""",
)
def softmax_focal(S: Any, y: Any) -> Any:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    p = P[np.arange(len(S)), y]
    return -((1 - p) ** 2 * np.log(p)).mean()


@published(softmax_focal)
def softmax_focal_published(S: Any, y: Any) -> Passes:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    n = np.arange(len(S))
    p = P[n, y]
    q, log = 1 - p, np.log(p)
    dL = yield -(q**2 * log).mean()
    c = dL / len(S) * q * (q - 2 * p * log)
    dS = c[:, None] * P
    dS[n, y] -= c
    return {"S": dS}


@form(
    "logistic regression, from probabilities",
    "Bishop 2006, eq. 4.90 and 4.91",
    "X[N D] w[D]small t[N]unit",
    """p[n] = sigmoid(sum(d) X[n,d]*w[d])
    L[] = -mean(n) (t[n]*log(p[n]) + (1 - t[n])*log(1 - p[n]))""",
)
def logistic(X: Any, w: Any, t: Any) -> Any:
    p = 1 / (1 + np.exp(-(X @ w)))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()


@published(logistic)
def logistic_published(X: Any, w: Any, t: Any) -> Passes:
    p = 1 / (1 + np.exp(-(X @ w)))
    dL = yield -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return {"w": X.T @ (dL / len(X) * (p - t))}


@form(
    "sigmoid layer",
    HAND,
    "X[N D] W[D M]small",
    "Y[n,m] = sigmoid(sum(d) X[n,d]*W[d,m])",
)
def sigmoid_layer(X: Any, W: Any) -> Any:
    return 1 / (1 + np.exp(-(X @ W)))


@published(sigmoid_layer)
def sigmoid_layer_published(X: Any, W: Any) -> Passes:
    Y = 1 / (1 + np.exp(-(X @ W)))
    dY = yield Y
    dZ = dY * Y * (1 - Y)
    return {"X": dZ @ W.T, "W": X.T @ dZ}


@form(
    "soft orthogonality",
    "Bansal et al. 2018, eq. 1 (without the factor); " + HAND,
    "X[N D]",
    """R[i,j] = (sum(n) X[n,i]*X[n,j]) - [i = j]
    L[] = sum(i,j) R[i,j]**2""",
)
def orthogonality(X: Any) -> Any:
    R = X.T @ X - np.eye(X.shape[1])
    return (R**2).sum()


@published(orthogonality)
def orthogonality_published(X: Any) -> Passes:
    R = X.T @ X - np.eye(X.shape[1])
    dL = yield (R**2).sum()
    return {"X": 4 * dL * (X @ R)}


@form(
    "log-determinant of a covariance",
    "Petersen & Pedersen 2012, eq. 57 (derivative of log det); " + HAND,
    "X[N D]",
    """S[i,j] = (sum(n) X[n,i]*X[n,j]) + [i = j]
    L[] = logdet(S)[]
    return L""",
)
def log_volume(X: Any) -> Any:
    return np.linalg.slogdet(X.T @ X + np.eye(X.shape[1]))[1]


@published(log_volume)
def log_volume_published(X: Any) -> Passes:
    S = X.T @ X + np.eye(X.shape[1])
    dL = yield np.linalg.slogdet(S)[1]
    return {"X": 2 * dL * (X @ np.linalg.inv(S))}


@form(
    "a symmetric system",
    HAND,
    "X[N D] b[D]",
    """S[i,j] = (sum(n) X[n,i]*X[n,j]) + [i = j]
    z[i] = solve(S, b)[i]
    return z""",
)
def symmetric_solve(X: Any, b: Any) -> Any:
    return np.linalg.solve(X.T @ X + np.eye(X.shape[1]), b)


@published(symmetric_solve)
def symmetric_solve_published(X: Any, b: Any) -> Passes:
    S = X.T @ X + np.eye(X.shape[1])
    z = np.linalg.solve(S, b)
    dz = yield z
    db = np.linalg.solve(S, dz)
    return {"X": -(X @ z)[:, None] * db - (X @ db)[:, None] * z, "b": db}


@form(
    "multi-head attention with output projection",
    "Vaswani et al. 2017, section 3.2.2; backward " + HAND,
    "Q[H T K] K[H T K] V[H T K] W[H K M]",
    """S[h,t,s] = sum(k) Q[h,t,k]*K[h,s,k]
    r[h,t] = max(s) S[h,t,s]
    E[h,t,s] = exp(S[h,t,s] - r[h,t])
    P[h,t,s] = E[h,t,s]/sum(u) E[h,t,u]
    O[h,t,k] = sum(s) P[h,t,s]*V[h,s,k]
    Y[t,m] = sum(h,k) O[h,t,k]*W[h,k,m]""",
    H=4,
)
def multi_head(Q: Any, K: Any, V: Any, W: Any) -> Any:
    S = Q @ K.transpose(0, 2, 1)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)
    return ((P @ V) @ W).sum(axis=0)


@published(multi_head)
def multi_head_published(Q: Any, K: Any, V: Any, W: Any) -> Passes:
    S = Q @ K.transpose(0, 2, 1)
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    P = E / E.sum(axis=-1, keepdims=True)
    O = P @ V
    dY = yield (O @ W).sum(axis=0)
    dO = dY @ W.transpose(0, 2, 1)
    dS = P * (dO @ V.transpose(0, 2, 1) - (dO * O).sum(axis=-1, keepdims=True))
    return {
        "Q": dS @ K,
        "K": dS.transpose(0, 2, 1) @ Q,
        "V": P.transpose(0, 2, 1) @ dO,
        "W": O.transpose(0, 2, 1) @ dY,
    }


@form(
    "causal linear attention with a mask",
    "Katharopoulos et al. 2020, eq. 8; backward " + HAND,
    "Q[T K]+ K[T K]+ V[T M]",
    """A[t,s] = [s <= t]*sum(k) Q[t,k]*K[s,k]
    z[t] = sum(s) A[t,s]
    Y[t,m] = (sum(s) A[t,s]*V[s,m])/z[t]""",
    T=64,
)
def masked_linear_attention(Q: Any, K: Any, V: Any) -> Any:
    A = np.tril(Q @ K.T)
    return (A @ V) / A.sum(axis=1, keepdims=True)


@published(masked_linear_attention)
def masked_linear_attention_published(Q: Any, K: Any, V: Any) -> Passes:
    A = np.tril(Q @ K.T)
    z = A.sum(axis=1, keepdims=True)
    Y = (A @ V) / z
    dY = yield Y
    g = dY / z
    dA = np.tril(g @ V.T - (g * Y).sum(axis=1, keepdims=True))
    return {"Q": dA @ K, "K": dA.T @ Q, "V": A.T @ g}


@form(
    "global response normalisation",
    "Woo et al. 2023, eq. 1 to 3; backward " + HAND,
    "X[N L C] a[C] b[C]",
    """g[n,c] = sqrt((sum(l) X[n,l,c]**2) + 1e-6)
    s[n,c] = g[n,c]/(1e-6 + mean(k) g[n,k])
    Y[n,l,c] = a[c]*X[n,l,c]*s[n,c] + b[c] + X[n,l,c]""",
    N=12,
)
def response_norm(X: Any, a: Any, b: Any) -> Any:
    g = np.sqrt((X**2).sum(axis=1, keepdims=True) + 1e-6)
    s = g / (1e-6 + g.mean(axis=2, keepdims=True))
    return a * (X * s) + b + X


@published(response_norm)
def response_norm_published(X: Any, a: Any, b: Any) -> Passes:
    g = np.sqrt((X**2).sum(axis=1, keepdims=True) + 1e-6)
    m = 1e-6 + g.mean(axis=2, keepdims=True)
    s = g / m
    dY = yield a * (X * s) + b + X
    q = (dY * X).sum(axis=1, keepdims=True)  # all that the two sums over the image need
    ds = a * q
    dg = ds / m - (ds * s).sum(axis=2, keepdims=True) / (m * X.shape[2])
    return {
        "X": (a * s + 1) * dY + dg / g * X,
        "a": (s * q).sum(axis=(0, 1)),
        "b": dY.sum(axis=(0, 1)),
    }


@form(
    "natural cubic spline: second derivatives",
    "de Boor 1978, ch. IV; backward " + HAND,
    "x[N]ascending y[N]",
    """h[i:N-1] = x[i+1] - x[i]
    e[i:N-1] = (y[i+1] - y[i])/h[i]
    A[i:N-2, j:N-2] = [i = j]*2*(h[i] + h[i+1]) + [j = i+1]*h[i+1] + [i = j+1]*h[i]
    r[i:N-2] = 6*(e[i+1] - e[i])
    m[i] = sum(j) inverse(A)[i,j]*r[j]
    return m""",
)
def spline(x: Any, y: Any) -> Any:
    h = x[1:] - x[:-1]
    e = (y[1:] - y[:-1]) / h
    A = np.diag(2 * (h[:-1] + h[1:])) + np.diag(h[1:-1], 1) + np.diag(h[1:-1], -1)
    return np.linalg.inv(A) @ (6 * (e[1:] - e[:-1]))


@published(spline)
def spline_published(x: Any, y: Any) -> Passes:
    h = x[1:] - x[:-1]
    e = (y[1:] - y[:-1]) / h
    A = np.diag(2 * (h[:-1] + h[1:])) + np.diag(h[1:-1], 1) + np.diag(h[1:-1], -1)
    inverse = np.linalg.inv(A)
    m = inverse @ (6 * (e[1:] - e[:-1]))
    dm = yield m
    dr = inverse @ dm
    f = 6 * dr
    de = np.zeros_like(h)
    de[1:] += f
    de[:-1] -= f
    dh = -de * e / h
    dh[:-1] -= 2 * dr * m
    dh[1:] -= 2 * dr * m
    dh[1:-1] -= dr[:-1] * m[1:] + dr[1:] * m[:-1]
    de = de / h
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    dx[1:] += dh
    dx[:-1] -= dh
    dy[1:] += de
    dy[:-1] -= de
    return {"x": dx, "y": dy}


@form(
    "linear attention, elu + 1",
    "Katharopoulos et al. 2020, eq. 5 and 7; backward " + HAND,
    "Q[T K] K[T K] V[T M]",
    """q[t,k] = where(Q[t,k] > 0, Q[t,k] + 1, exp(Q[t,k]))
    p[t,k] = where(K[t,k] > 0, K[t,k] + 1, exp(K[t,k]))
    S[k,m] = sum(t) p[t,k]*V[t,m]
    u[k] = sum(t) p[t,k]
    z[t] = sum(k) q[t,k]*u[k]
    Y[t,m] = (sum(k) q[t,k]*S[k,m])/z[t]""",
    T=100,
)
def linear_attention(Q: Any, K: Any, V: Any) -> Any:
    q = np.where(Q > 0, Q + 1, np.exp(Q))
    p = np.where(K > 0, K + 1, np.exp(K))
    return (q @ (p.T @ V)) / (q @ p.sum(axis=0))[:, None]


@published(linear_attention)
def linear_attention_published(Q: Any, K: Any, V: Any) -> Passes:
    q = np.where(Q > 0, Q + 1, np.exp(Q))
    p = np.where(K > 0, K + 1, np.exp(K))
    S, u = p.T @ V, p.sum(axis=0)
    z = (q @ u)[:, None]
    Y = (q @ S) / z
    dY = yield Y
    g = dY / z
    dz = -(g * Y).sum(axis=1)
    dq = g @ S.T + dz[:, None] * u
    dS, du = q.T @ g, q.T @ dz
    dp = V @ dS.T + du
    return {
        "Q": dq * np.where(Q > 0, 1.0, q),
        "K": dp * np.where(K > 0, 1.0, p),
        "V": p @ dS,
    }


@form(
    "group centring by reshape",
    HAND,
    "x[N 8*C L]",
    """m[n,g:8] = mean(c:C, l) x[n,(g,c),l]
    z[n,g,c:C,l] = x[n,(g,c),l] - m[n,g]
    Y[n,(g,c),l] = z[n,g,c,l]""",
    N=6,
    C=3,
)
def group_centred(x: Any) -> Any:
    z = x.reshape(x.shape[0], 8, -1)
    z = z - z.mean(axis=2, keepdims=True)
    return z.reshape(x.shape)


@published(group_centred)
def group_centred_published(x: Any) -> Passes:
    z = x.reshape(x.shape[0], 8, -1)
    g = yield (z - z.mean(axis=2, keepdims=True)).reshape(x.shape)
    g = g.reshape(x.shape[0], 8, -1)
    return {"x": (g - g.mean(axis=2, keepdims=True)).reshape(x.shape)}


@form(
    "group normalisation by reshape",
    "Wu & He 2018, eq. 1 and 2; backward " + HAND,
    "x[N 8*C L]",
    """m[n,g:8] = mean(c:C, l) x[n,(g,c),l]
    z[n,g,c:C,l] = x[n,(g,c),l] - m[n,g]
    r[n,g] = sqrt((mean(c,l) z[n,g,c,l]**2) + 1e-5)
    Y[n,(g,c),l] = z[n,g,c,l]/r[n,g]""",
    N=6,
    C=3,
)
def group_norm(x: Any) -> Any:
    z = x.reshape(x.shape[0], 8, -1)
    z = z - z.mean(axis=2, keepdims=True)
    z = z / np.sqrt((z**2).mean(axis=2, keepdims=True) + 1e-5)
    return z.reshape(x.shape)


@published(group_norm)
def group_norm_published(x: Any) -> Passes:
    z = x.reshape(x.shape[0], 8, -1)
    z = z - z.mean(axis=2, keepdims=True)
    r = np.sqrt((z**2).mean(axis=2, keepdims=True) + 1e-5)
    y = z / r
    g = yield y.reshape(x.shape)
    g = g.reshape(y.shape)
    n = y.shape[2]
    a, b = g.sum(axis=2, keepdims=True) / n, (g * y).sum(axis=2, keepdims=True) / n
    return {"x": ((g - a - y * b) / r).reshape(x.shape)}


@form(
    "periodic second difference by rolls",
    HAND,
    "u[N]",
    "Y[i] = u[(i-1) % N] - 2*u[i] + u[(i+1) % N]",
    N=500,
)
def periodic_difference(u: Any) -> Any:
    return np.roll(u, 1) - 2 * u + np.roll(u, -1)


@published(periodic_difference)
def periodic_difference_published(u: Any) -> Passes:
    dY = yield np.roll(u, 1) - 2 * u + np.roll(u, -1)
    return {"u": np.roll(dY, 1) - 2 * dY + np.roll(dY, -1)}


@form(
    "similarities to all others, off the diagonal",
    "as in Chen et al. 2020, eq. 1; " + HAND,
    "X[N D]small",
    """E[i,j] = [i != j]*exp(sum(d) X[i,d]*X[j,d])
    P[i,j] = E[i,j]/sum(k) E[i,k]""",
)
def off_diagonal(X: Any) -> Any:
    E = np.exp(X @ X.T) * (1 - np.eye(len(X)))
    return E / E.sum(axis=1, keepdims=True)


@published(off_diagonal)
def off_diagonal_published(X: Any) -> Passes:
    E = np.exp(X @ X.T) * (1 - np.eye(len(X)))
    P = E / E.sum(axis=1, keepdims=True)
    dP = yield P
    dS = P * (dP - (P * dP).sum(axis=1, keepdims=True))
    return {"X": (dS + dS.T) @ X}


@form(
    "rotary embedding, neighbours paired",
    "Su et al. 2021, eq. 34; backward " + HAND,
    "X[T 2*K] c[T K] s[T K]",
    "Y[t,d] = X[t,d]*c[t,d//2] + (2*(d % 2) - 1)*X[t,2*(d//2) + 1 - d % 2]*s[t,d//2]",
)
def rotary(X: Any, c: Any, s: Any) -> Any:
    a, b = X[:, 0::2], X[:, 1::2]
    return np.stack([a * c - b * s, b * c + a * s], axis=-1).reshape(X.shape)


@published(rotary)
def rotary_published(X: Any, c: Any, s: Any) -> Passes:
    a, b = X[:, 0::2], X[:, 1::2]
    dY = yield np.stack([a * c - b * s, b * c + a * s], axis=-1).reshape(X.shape)
    a, b = dY[:, 0::2], dY[:, 1::2]
    return {"X": np.stack([a * c + b * s, b * c - a * s], axis=-1).reshape(X.shape)}


@form(
    "rotary embedding, halves paired",
    "Su et al. 2021, as in GPT-NeoX; backward " + HAND,
    "X[T 2*K] c[T 2*K] s[T 2*K]",
    "Y[t,d] = X[t,d]*c[t,d] + where(d < K, -1, 1)*X[t,(d + K) % (2*K)]*s[t,d]",
)
def rotary_half(X: Any, c: Any, s: Any) -> Any:
    half = X.shape[1] // 2
    return X * c + np.concatenate([-X[:, half:], X[:, :half]], axis=1) * s


@published(rotary_half)
def rotary_half_published(X: Any, c: Any, s: Any) -> Passes:
    half = X.shape[1] // 2
    dY = yield X * c + np.concatenate([-X[:, half:], X[:, :half]], axis=1) * s
    g = dY * s
    return {"X": dY * c + np.concatenate([g[:, half:], -g[:, :half]], axis=1)}


@form(
    "label smoothing",
    "Szegedy et al. 2016, section 7; backward " + HAND,
    "S[N C] y[N]:C",
    """E[n,c] = exp(S[n,c])
    P[n,c] = E[n,c]/sum(k) E[n,k]
    L[] = -mean(n) (0.9*log(P[n,y[n]]) + 0.1*mean(c) log(P[n,c]))""",
)
def label_smoothing(S: Any, y: Any) -> Any:
    E = np.exp(S)
    P = np.log(E / E.sum(axis=1, keepdims=True))
    return -(0.9 * P[np.arange(len(S)), y] + 0.1 * P.mean(axis=1)).mean()


@published(label_smoothing)
def label_smoothing_published(S: Any, y: Any) -> Passes:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    logs, n = np.log(P), np.arange(len(S))
    dL = yield -(0.9 * logs[n, y] + 0.1 * logs.mean(axis=1)).mean()
    g = dL / len(S)
    dS = g * P - 0.1 * g / S.shape[1]
    dS[n, y] -= 0.9 * g
    return {"S": dS}


@form(
    "softmax focal loss by a mask of labels",
    "Lin et al. 2017, eq. 4; backward " + HAND,
    "S[N C] y[N]:C",
    """E[n,c] = exp(S[n,c])
    P[n,c] = E[n,c]/sum(k) E[n,k]
    L[] = -sum(n,c) [y[n] = c]*(1 - P[n,c])**2*log(P[n,c])""",
)
def masked_focal(S: Any, y: Any) -> Any:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    mask = y[:, None] == np.arange(S.shape[1])
    return -(mask * (1 - P) ** 2 * np.log(P)).sum()


@published(masked_focal)
def masked_focal_published(S: Any, y: Any) -> Passes:
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    mask = y[:, None] == np.arange(S.shape[1])
    q, log = 1 - P, np.log(P)
    dL = yield -(mask * q**2 * log).sum()
    n = np.arange(len(S))
    p, q, log = P[n, y], q[n, y], log[n, y]
    c = dL * q * (q - 2 * p * log)
    dS = c[:, None] * P
    dS[n, y] -= c
    return {"S": dS}


@form(
    "an elementwise function of a symmetric matrix",
    HAND,
    "X[N D]small",
    """T[i,j] = tanh(sum(n) X[n,i]*X[n,j])
    L[] = sum(i,j) T[i,j]**2""",
)
def symmetric_tanh(X: Any) -> Any:
    return (np.tanh(X.T @ X) ** 2).sum()


@published(symmetric_tanh)
def symmetric_tanh_published(X: Any) -> Passes:
    T = np.tanh(X.T @ X)
    dL = yield (T**2).sum()
    return {"X": X @ (4 * dL * T * (1 - T**2))}


@form(
    "attention with a row maximum and an output projection",
    "Vaswani et al. 2017, eq. 1; backward " + HAND,
    "Q[T K] K[T K] V[T M] W[M L]",
    """S[t,s] = sum(k) Q[t,k]*K[s,k]
    r[t] = max(s) S[t,s]
    E[t,s] = exp(S[t,s] - r[t])
    z[t] = sum(s) E[t,s]
    Y[t,l] = sum(m) (sum(s) E[t,s]/z[t]*V[s,m])*W[m,l]""",
)
def projected_attention(Q: Any, K: Any, V: Any, W: Any) -> Any:
    S = Q @ K.T
    E = np.exp(S - S.max(axis=1)[:, None])
    return E / E.sum(axis=1)[:, None] @ V @ W


@published(projected_attention)
def projected_attention_published(Q: Any, K: Any, V: Any, W: Any) -> Passes:
    S = Q @ K.T
    E = np.exp(S - S.max(axis=1)[:, None])
    P = E / E.sum(axis=1)[:, None]
    O = P @ V
    dY = yield O @ W
    dO = dY @ W.T
    dS = P * (dO @ V.T - (dO * O).sum(axis=1, keepdims=True))
    return {"Q": dS @ K, "K": dS.T @ Q, "V": P.T @ dO, "W": O.T @ dY}


@form(
    "group normalisation by reshape and var",
    "Wu & He 2018, eq. 1 and 2; backward " + HAND,
    "x[N 4*C L] g[4*C] b[4*C]",
    """m[n,k:4] = mean(c:C, l) x[n,(k,c),l]
    z[n,k,c:C,l] = x[n,(k,c),l] - m[n,k]
    r[n,k] = sqrt((mean(c,l) z[n,k,c,l]**2) + 1e-5)
    u[n,(k,c),l] = z[n,k,c,l]/r[n,k]
    Y[n,d,l] = u[n,d,l]*g[d] + b[d]""",
    N=6,
    C=5,
)
def group_norm_var(x: Any, g: Any, b: Any) -> Any:
    z = x.reshape(x.shape[0], 4, -1)
    m, v = z.mean(axis=2, keepdims=True), z.var(axis=2, keepdims=True)
    z = (z - m) / np.sqrt(v + 1e-5)
    return z.reshape(x.shape) * g[:, None] + b[:, None]


@published(group_norm_var)
def group_norm_var_published(x: Any, g: Any, b: Any) -> Passes:
    z = x.reshape(x.shape[0], 4, -1)
    m, v = z.mean(axis=2, keepdims=True), z.var(axis=2, keepdims=True)
    r = np.sqrt(v + 1e-5)
    y = (z - m) / r
    u = y.reshape(x.shape)
    dY = yield u * g[:, None] + b[:, None]
    d = (dY * g[:, None]).reshape(y.shape)
    n = y.shape[2]
    a, c = d.sum(axis=2, keepdims=True) / n, (d * y).sum(axis=2, keepdims=True) / n
    return {
        "x": ((d - a - y * c) / r).reshape(x.shape),
        "g": (dY * u).sum(axis=(0, 2)),
        "b": dY.sum(axis=(0, 2)),
    }


@form(
    "logistic regression by exp(z)/(1 + exp(z))",
    "Bishop 2006, eq. 4.90 and 4.91",
    "X[N D]small w[D] t[N]unit",
    """E[n] = exp(sum(d) X[n,d]*w[d])
    p[n] = E[n]/(1 + E[n])
    L[] = -mean(n) (t[n]*log(p[n]) + (1 - t[n])*log(1 - p[n]))""",
)
def logistic_quotient(X: Any, w: Any, t: Any) -> Any:
    E = np.exp(X @ w)
    p = E / (1 + E)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()


@published(logistic_quotient)
def logistic_quotient_published(X: Any, w: Any, t: Any) -> Passes:
    E = np.exp(X @ w)
    p = E / (1 + E)
    dL = yield -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return {"w": X.T @ (dL / len(X) * (p - t))}


@form(
    "exact Gaussian error linear unit",
    "Hendrycks & Gimpel 2016, section 2; slope " + HAND,
    "X[N D]",
    "Y[n,d] = X[n,d]*1/2*(1 + erf(X[n,d]/sqrt(2)))",
)
def exact_gelu(X: Any) -> Any:
    from scipy.special import erf

    return X * 0.5 * (1 + erf(X / np.sqrt(2)))


@published(exact_gelu)
def exact_gelu_published(X: Any) -> Passes:
    from scipy.special import erf

    u = 1 + erf(X / np.sqrt(2))
    dY = yield X * 0.5 * u
    return {"X": dY * (0.5 * u + X * (0.3989422804014327 * np.exp(-0.5 * X**2)))}
