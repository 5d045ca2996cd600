"""Likelihoods, kernels, embeddings and transport."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "Gaussian mixture, spherical",
    "Bishop 2006, eq. 9.14; gradient as in eq. 9.16",
    "X[N D] m[K D] w[K]rows",
    """R[n,k] = sum(d) (X[n,d] - m[k,d])**2
    E[n,k] = w[k]*exp(-R[n,k]/40)
    L[] = -sum(n) log(sum(k) E[n,k])""",
)
def gaussian_mixture(X: Any, m: Any, w: Any) -> Any:
    R = ((X[:, None] - m) ** 2).sum(axis=2)
    E = w * np.exp(-R / 40)
    return -np.log(E.sum(axis=1)).sum()


@published(gaussian_mixture)
def gaussian_mixture_published(X: Any, m: Any, w: Any) -> Passes:
    R = ((X[:, None] - m) ** 2).sum(axis=2)
    E = w * np.exp(-R / 40)
    z = E.sum(axis=1, keepdims=True)
    dL = yield -np.log(z).sum()
    G = E * (dL / z)
    k = G.sum(axis=0)
    H = 1 / 20
    return {
        "X": H * (G.sum(axis=1)[:, None] * X - G @ m),
        "m": H * (k[:, None] * m - G.T @ X),
        "w": -k / w,
    }


@form(
    "Gaussian mixture, diagonal, one dimension",
    "Bishop 2006, eq. 9.14, 9.16 and 9.19 (scales); backward " + HAND,
    "x[N] m[K] s[K]+ w[K]rows",
    """z[n,k] = (x[n] - m[k])/s[k]
    E[n,k] = w[k]/s[k]*exp(-1/2*z[n,k]**2)
    L[] = -sum(n) log(sum(k) E[n,k])""",
    N=200,
)
def mixture_line(x: Any, m: Any, s: Any, w: Any) -> Any:
    z = (x[:, None] - m) / s
    return -np.log((w / s * np.exp(-0.5 * z**2)).sum(axis=1)).sum()


@published(mixture_line)
def mixture_line_published(x: Any, m: Any, s: Any, w: Any) -> Passes:
    z = (x[:, None] - m) / s
    z2 = z**2
    E = w / s * np.exp(-0.5 * z2)
    t = E.sum(axis=1, keepdims=True)
    dL = yield -np.log(t).sum()
    G = E * (dL / t)
    A = G * z
    k, a = G.sum(axis=0), A.sum(axis=0)
    return {
        "x": A @ (1 / s),
        "m": -a / s,
        "s": (k - (G * z2).sum(axis=0)) / s,
        "w": -k / w,
    }


@form(
    "hidden Markov model, three forward steps",
    "Rabiner 1989, eq. 19 to 21; backward variables as in eq. 24 and 25",
    "A[K K]rows B[3 K]unit p[K]rows",
    """a0[k] = p[k]*B[0,k]
    a1[k] = (sum(j) a0[j]*A[j,k])*B[1,k]
    a2[k] = (sum(j) a1[j]*A[j,k])*B[2,k]
    L[] = log(sum(k) a2[k])""",
    K=40,
)
def hidden_markov(A: Any, B: Any, p: Any) -> Any:
    a = p * B[0]
    a = (a @ A) * B[1]
    a = (a @ A) * B[2]
    return np.log(a.sum())


@published(hidden_markov)
def hidden_markov_published(A: Any, B: Any, p: Any) -> Passes:
    a0 = p * B[0]
    u1 = a0 @ A
    a1 = u1 * B[1]
    u2 = a1 @ A
    s = (u2 * B[2]).sum()
    dL = yield np.log(s)
    g = dL / s
    v2 = g * B[2]
    b1 = A @ v2
    v1 = b1 * B[1]
    b0 = A @ v1
    dB = np.empty_like(B)
    dB[0], dB[1], dB[2] = b0 * p, b1 * u1, g * u2
    return {"A": a1[:, None] * v2 + a0[:, None] * v1, "B": dB, "p": b0 * B[0]}


@form(
    "conditional random field, three steps in log space",
    "Lafferty et al. 2001; Sutton & McCallum 2012, eq. 4.7; backward " + HAND,
    "S[3 K]small A[K K]small",
    """a1[k] = S[1,k] + log(sum(j) exp(S[0,j] + A[j,k]))
    a2[k] = S[2,k] + log(sum(j) exp(a1[j] + A[j,k]))
    L[] = log(sum(k) exp(a2[k]))""",
)
def random_field(S: Any, A: Any) -> Any:
    a = S[0]
    for t in (1, 2):
        a = S[t] + np.log(np.exp(a[:, None] + A).sum(axis=0))
    return np.log(np.exp(a).sum())


@published(random_field)
def random_field_published(S: Any, A: Any) -> Passes:
    E1 = np.exp(S[0][:, None] + A)
    z1 = E1.sum(axis=0)
    E2 = np.exp((S[1] + np.log(z1))[:, None] + A)
    z2 = E2.sum(axis=0)
    e = np.exp(S[2] + np.log(z2))
    s = e.sum()
    dL = yield np.log(s)
    dS = np.empty_like(S)
    dS[2] = dL / s * e
    M = E2 * (dS[2] / z2)
    dS[1] = M.sum(axis=1)
    G = E1 * (dS[1] / z1)
    dS[0] = G.sum(axis=1)
    return {"S": dS, "A": M + G}


@form(
    "Sinkhorn scaling, two iterations, transport cost",
    "Cuturi 2013, algorithm 1; backward " + HAND,
    "C[N M]+ a[N]rows b[M]rows",
    """K[n,m] = exp(-C[n,m])
    u[n] = a[n]/sum(m) K[n,m]
    v[m] = b[m]/sum(n) K[n,m]*u[n]
    w[n] = a[n]/sum(m) K[n,m]*v[m]
    L[] = sum(n,m) w[n]*K[n,m]*C[n,m]*v[m]""",
)
def sinkhorn(C: Any, a: Any, b: Any) -> Any:
    K = np.exp(-C)
    u = a / K.sum(axis=1)
    v = b / (u @ K)
    w = a / (K @ v)
    return w @ (K * C) @ v


@published(sinkhorn)
def sinkhorn_published(C: Any, a: Any, b: Any) -> Passes:
    K = np.exp(-C)
    p = K.sum(axis=1)
    u = a / p
    q = u @ K
    v = b / q
    r = K @ v
    w = a / r
    KC = K * C
    t = w @ KC
    dL = yield t @ v
    dw = dL * (KC @ v)
    dr = -dw * w / r
    dv = dL * t + dr @ K
    dq = -dv * v / q
    du = K @ dq
    dp = -du * u / p
    dK = dr[:, None] * v + u[:, None] * dq + dp[:, None]
    g = (dL * w)[:, None] * v
    # dC = dKC K - (dK + dKC C) K
    return {"C": K * (g - dK) - KC * g, "a": dw / r + du / p, "b": dv / q}


@form(
    "maximum mean discrepancy, RBF kernel",
    "Gretton et al. 2012, eq. 5 (biased); gradient " + HAND,
    "X[N D]small Z[M D]small",
    """A[i,j] = exp(-1/2*sum(d) (X[i,d] - X[j,d])**2)
    B[i,j] = exp(-1/2*sum(d) (X[i,d] - Z[j,d])**2)
    L[] = (mean(i,j) A[i,j]) - 2*mean(i,j) B[i,j]""",
    D=12,
)
def discrepancy(X: Any, Z: Any) -> Any:
    A = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    B = np.exp(-0.5 * ((X[:, None] - Z[None]) ** 2).sum(axis=2))
    return A.mean() - 2 * B.mean()


@published(discrepancy)
def discrepancy_published(X: Any, Z: Any) -> Passes:
    A = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    B = np.exp(-0.5 * ((X[:, None] - Z[None]) ** 2).sum(axis=2))
    dL = yield A.mean() - 2 * B.mean()
    g, h = 2 * dL / A.size, 2 * dL / B.size
    # A is symmetric.
    rows = h * B.sum(axis=1) - g * A.sum(axis=1)
    return {
        "X": rows[:, None] * X + g * (A @ X) - h * (B @ Z),
        "Z": h * (B.sum(axis=0)[:, None] * Z - B.T @ X),
    }


@form(
    "linear kernel alignment",
    "Kornblith et al. 2019, eq. 3 with linear kernels (centred before); gradient " + HAND,
    "X[N D] Z[N M]",
    """A[i,j] = sum(n) X[n,i]*Z[n,j]
    B[i,j] = sum(n) X[n,i]*X[n,j]
    C[i,j] = sum(n) Z[n,i]*Z[n,j]
    L[] = (sum(i,j) A[i,j]**2)/(sqrt(sum(i,j) B[i,j]**2)*sqrt(sum(i,j) C[i,j]**2))""",
)
def alignment(X: Any, Z: Any) -> Any:
    A, B, C = X.T @ Z, X.T @ X, Z.T @ Z
    return (A**2).sum() / (np.sqrt((B**2).sum()) * np.sqrt((C**2).sum()))


@published(alignment)
def alignment_published(X: Any, Z: Any) -> Passes:
    A, B, C = X.T @ Z, X.T @ X, Z.T @ Z
    a, b, c = (A**2).sum(), (B**2).sum(), (C**2).sum()
    y = a / (np.sqrt(b) * np.sqrt(c))
    dL = yield y
    g = 2 * dL * y
    return {
        "X": g / a * (Z @ A.T) - g / b * (X @ B),
        "Z": g / a * (X @ A) - g / c * (Z @ C),
    }


@form(
    "Barlow twins",
    "Zbontar et al. 2021, eq. 1 and 2 (columns normalised before); backward " + HAND,
    "X[N D] Z[N D]",
    """C[i,j] = (sum(n) X[n,i]*Z[n,j])/N
    L[] = (sum(i) (1 - C[i,i])**2) + 0.005*sum(i,j) [i != j]*C[i,j]**2""",
)
def barlow(X: Any, Z: Any) -> Any:
    C = X.T @ Z / len(X)
    on = ((1 - np.diag(C)) ** 2).sum()
    return on + 0.005 * ((C * (1 - np.eye(len(C)))) ** 2).sum()


@published(barlow)
def barlow_published(X: Any, Z: Any) -> Passes:
    C = X.T @ Z / len(X)
    c = np.diag(C)
    dL = yield ((1 - c) ** 2).sum() + 0.005 * ((C * (1 - np.eye(len(C)))) ** 2).sum()
    g = 2 * dL / len(X)
    G = (0.005 * g) * C
    n = np.arange(len(C))
    G[n, n] = g * (c - 1)
    return {"X": Z @ G.T, "Z": X @ G}


@form(
    "variance and covariance regularisation",
    "Bardes et al. 2022, eq. 1 to 4; backward " + HAND,
    "Z[N D]",
    """m[d] = mean(n) Z[n,d]
    c[n,d] = Z[n,d] - m[d]
    C[i,j] = (sum(n) c[n,i]*c[n,j])/(N - 1)
    s[d] = sqrt(C[d,d] + 0.0001)
    L[] = (mean(d) relu(1 - s[d])) + (sum(i,j) [i != j]*C[i,j]**2)/D""",
)
def vic_reg(Z: Any) -> Any:
    c = Z - Z.mean(axis=0)
    C = c.T @ c / (len(Z) - 1)
    s = np.sqrt(np.diag(C) + 1e-4)
    off = C * (1 - np.eye(len(C)))
    return np.maximum(1 - s, 0).mean() + (off**2).sum() / len(C)


@published(vic_reg)
def vic_reg_published(Z: Any) -> Passes:
    c = Z - Z.mean(axis=0)
    C = c.T @ c / (len(Z) - 1)
    s = np.sqrt(np.diag(C) + 1e-4)
    off = C * (1 - np.eye(len(C)))
    dL = yield np.maximum(1 - s, 0).mean() + (off**2).sum() / len(C)
    # C is symmetric, and so is its gradient; the columns of c sum to 0.
    g = dL / len(C) / (len(Z) - 1)
    G = (4 * g) * off
    n = np.arange(len(C))
    G[n, n] = -g * (s < 1) / s
    return {"Z": c @ G}


@form(
    "k-means, soft assignments",
    "MacKay 2003, algorithm 22.2; gradient of the free energy " + HAND,
    "X[N D]small m[K D]small",
    """R[n,k] = sum(d) (X[n,d] - m[k,d])**2
    L[] = -sum(n) log(sum(k) exp(-R[n,k]))""",
)
def soft_k_means(X: Any, m: Any) -> Any:
    R = (X**2).sum(axis=1)[:, None] - 2 * X @ m.T + (m**2).sum(axis=1)
    return -np.log(np.exp(-R).sum(axis=1)).sum()


@published(soft_k_means)
def soft_k_means_published(X: Any, m: Any) -> Passes:
    R = (X**2).sum(axis=1)[:, None] - 2 * X @ m.T + (m**2).sum(axis=1)
    E = np.exp(-R)
    z = E.sum(axis=1, keepdims=True)
    dL = yield -np.log(z).sum()
    G = (2 * dL / z) * E
    # The responsibilities of a row sum to 1.
    return {"X": 2 * dL * X - G @ m, "m": G.sum(axis=0)[:, None] * m - G.T @ X}


@form(
    "deep embedded clustering",
    "Xie et al. 2016, eq. 1 and 2 (P constant), gradients eq. 4 and 5",
    "Z[N D]small m[K D]small P[N K]rows",
    """q[n,k] = 1/(1 + sum(d) (Z[n,d] - m[k,d])**2)
    Q[n,k] = q[n,k]/sum(j) q[n,j]
    L[] = sum(n,k) P[n,k]*log(P[n,k]/Q[n,k])""",
)
def embedded_clustering(Z: Any, m: Any, P: Any) -> Any:
    q = 1 / (1 + ((Z[:, None] - m) ** 2).sum(axis=2))
    Q = q / q.sum(axis=1, keepdims=True)
    return (P * np.log(P / Q)).sum()


@published(embedded_clustering)
def embedded_clustering_published(Z: Any, m: Any, P: Any) -> Passes:
    q = 1 / (1 + ((Z[:, None] - m) ** 2).sum(axis=2))
    Q = q / q.sum(axis=1, keepdims=True)
    dL = yield (P * np.log(P / Q)).sum()
    # The rows of P aren't known to sum to 1.
    G = (2 * dL) * q * (P - P.sum(axis=1)[:, None] * Q)
    return {
        "Z": G.sum(axis=1)[:, None] * Z - G @ m,
        "m": G.sum(axis=0)[:, None] * m - G.T @ Z,
    }


@form(
    "radial basis function network",
    "Broomhead & Lowe 1988; Bishop 2006, eq. 6.35; gradients " + HAND,
    "X[N D]small m[K D]small w[K] g[]+",
    """E[n,k] = exp(-g[]*sum(d) (X[n,d] - m[k,d])**2)
    y[n] = sum(k) E[n,k]*w[k]""",
)
def radial_basis(X: Any, m: Any, w: Any, g: Any) -> Any:
    E = np.exp(-g * ((X[:, None] - m) ** 2).sum(axis=2))
    return E @ w


@published(radial_basis)
def radial_basis_published(X: Any, m: Any, w: Any, g: Any) -> Passes:
    R = ((X[:, None] - m) ** 2).sum(axis=2)
    E = np.exp(-g * R)
    dy = yield E @ w
    H = dy[:, None] * E * w
    G = (-2 * g) * H
    return {
        "X": G.sum(axis=1)[:, None] * X - G @ m,
        "m": G.sum(axis=0)[:, None] * m - G.T @ X,
        "w": dy @ E,
        "g": -np.vdot(H, R),
    }


@form(
    "Nadaraya-Watson regression",
    "Bishop 2006, eq. 6.45 and 6.46; gradients " + HAND,
    "x[N] c[M] y[M]",
    """E[n,m] = exp(-2*(x[n] - c[m])**2)
    f[n] = (sum(m) E[n,m]*y[m])/sum(m) E[n,m]""",
)
def nadaraya(x: Any, c: Any, y: Any) -> Any:
    E = np.exp(-2 * (x[:, None] - c) ** 2)
    return (E @ y) / E.sum(axis=1)


@published(nadaraya)
def nadaraya_published(x: Any, c: Any, y: Any) -> Passes:
    D = x[:, None] - c
    E = np.exp(-2 * D**2)
    z = E.sum(axis=1)
    f = (E @ y) / z
    df = yield f
    g = df / z
    # ∂/∂E is g (y - f).
    A = E * D * (g[:, None] * (y - f[:, None]))
    return {"x": -4 * A.sum(axis=1), "c": 4 * A.sum(axis=0), "y": g @ E}


@form(
    "support vector machine, squared hinge",
    "Cortes & Vapnik 1995; Chang & Lin 2011; gradient " + HAND,
    "X[N D] w[D] t[N]sign",
    "L[] = 1/2*(sum(d) w[d]**2) + sum(n) relu(1 - t[n]*sum(d) X[n,d]*w[d])**2",
)
def squared_hinge(X: Any, w: Any, t: Any) -> Any:
    return 0.5 * (w**2).sum() + (np.maximum(1 - t * (X @ w), 0) ** 2).sum()


@published(squared_hinge)
def squared_hinge_published(X: Any, w: Any, t: Any) -> Passes:
    h = np.maximum(1 - t * (X @ w), 0)
    dL = yield 0.5 * (w**2).sum() + (h**2).sum()
    return {"w": dL * w + X.T @ (-2 * dL * t * h)}


@form(
    "quantile regression",
    "Koenker & Bassett 1978; subgradient " + HAND,
    "X[N D] w[D] y[N]",
    """r[n] = y[n] - sum(d) X[n,d]*w[d]
    L[] = sum(n) maximum(0.9*r[n], -0.1*r[n])""",
)
def quantile(X: Any, w: Any, y: Any) -> Any:
    r = y - X @ w
    return np.maximum(0.9 * r, -0.1 * r).sum()


@published(quantile)
def quantile_published(X: Any, w: Any, y: Any) -> Passes:
    r = y - X @ w
    dL = yield np.maximum(0.9 * r, -0.1 * r).sum()
    return {"w": X.T @ (dL * np.where(r > 0, -0.9, 0.1))}


@form(
    "ridge regression",
    "Bishop 2006, eq. 3.27; gradient " + HAND,
    "X[N D] w[D] y[N] l[]+",
    "L[] = 1/2*(sum(n) ((sum(d) X[n,d]*w[d]) - y[n])**2) + l[]/2*sum(d) w[d]**2",
)
def ridge(X: Any, w: Any, y: Any, l: Any) -> Any:
    r = X @ w - y
    return 0.5 * (r @ r) + l / 2 * (w @ w)


@published(ridge)
def ridge_published(X: Any, w: Any, y: Any, l: Any) -> Passes:
    r = X @ w - y
    dL = yield 0.5 * (r @ r) + l / 2 * (w @ w)
    return {"w": dL * (r @ X) + dL * l * w}


@form(
    "probit regression",
    "Bishop 2006, section 4.3.5; score " + HAND,
    "X[N D] w[D]small t[N]binary",
    """p[n] = 1/2 + 1/2*erf((sum(d) X[n,d]*w[d])/sqrt(2))
    L[] = -sum(n) (t[n]*log(p[n]) + (1 - t[n])*log(1 - p[n]))""",
)
def probit(X: Any, w: Any, t: Any) -> Any:
    from scipy.special import erf

    p = 0.5 + 0.5 * erf(X @ w / np.sqrt(2))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum()


@published(probit)
def probit_published(X: Any, w: Any, t: Any) -> Passes:
    from scipy.special import erf

    a = X @ w
    p = 0.5 + 0.5 * erf(a / np.sqrt(2))
    s, q = 1 - t, 1 - p
    dL = yield -(t * np.log(p) + s * np.log(q)).sum()
    density = 0.3989422804014327 * np.exp(-0.5 * a**2)
    return {"w": X.T @ (dL * density * (s / q - t / p))}


@form(
    "heteroscedastic Gaussian likelihood",
    "Nix & Weigend 1994, eq. 3; gradients " + HAND,
    "m[N] s[N] y[N]",
    "L[] = 1/2*sum(n) (s[n] + exp(-s[n])*(y[n] - m[n])**2)",
    N=500,
)
def heteroscedastic(m: Any, s: Any, y: Any) -> Any:
    return 0.5 * (s + np.exp(-s) * (y - m) ** 2).sum()


@published(heteroscedastic)
def heteroscedastic_published(m: Any, s: Any, y: Any) -> Passes:
    r, e = y - m, np.exp(-s)
    q = e * r**2
    dL = yield 0.5 * (s + q).sum()
    h = 0.5 * dL
    return {"m": -dL * e * r, "s": h - h * q}


@form(
    "Student t likelihood of a linear model",
    "Lange et al. 1989; gradient " + HAND,
    "X[N D] w[D] y[N]",
    """r[n] = y[n] - sum(d) X[n,d]*w[d]
    L[] = 2.5*sum(n) log(1 + r[n]**2/4)""",
)
def student(X: Any, w: Any, y: Any) -> Any:
    r = y - X @ w
    return 2.5 * np.log(1 + r**2 / 4).sum()


@published(student)
def student_published(X: Any, w: Any, y: Any) -> Passes:
    r = y - X @ w
    q = 1 + r**2 / 4
    dL = yield 2.5 * np.log(q).sum()
    return {"w": X.T @ (-1.25 * dL * r / q)}


@form(
    "ListNet",
    "Cao et al. 2007, eq. 3 with top-one probabilities; gradient eq. 6",
    "s[N M] y[N M]",
    """E[n,m] = exp(s[n,m])
    F[n,m] = exp(y[n,m])
    P[n,m] = E[n,m]/sum(k) E[n,k]
    Q[n,m] = F[n,m]/sum(k) F[n,k]
    L[] = -sum(n,m) Q[n,m]*log(P[n,m])""",
)
def list_net(s: Any, y: Any) -> Any:
    E, F = np.exp(s), np.exp(y)
    P = E / E.sum(axis=1, keepdims=True)
    Q = F / F.sum(axis=1, keepdims=True)
    return -(Q * np.log(P)).sum()


@published(list_net)
def list_net_published(s: Any, y: Any) -> Passes:
    E, F = np.exp(s), np.exp(y)
    P = E / E.sum(axis=1, keepdims=True)
    Q = F / F.sum(axis=1, keepdims=True)
    dL = yield -(Q * np.log(P)).sum()
    return {"s": dL * (P - Q)}


@form(
    "Bayesian personalised ranking",
    "Rendle et al. 2009, BPR-Opt and its gradient (section 4.2), matrix factorisation",
    "U[N K] V[M K] u[L]:N i[L]:M j[L]:M",
    """x[l] = sum(k) U[u[l],k]*(V[i[l],k] - V[j[l],k])
    Y[] = -sum(l) log(sigmoid(x[l]))""",
    L=80,
)
def personalised_ranking(U: Any, V: Any, u: Any, i: Any, j: Any) -> Any:
    x = (U[u] * (V[i] - V[j])).sum(axis=1)
    return -np.log(1 / (1 + np.exp(-x))).sum()


@published(personalised_ranking)
def personalised_ranking_published(U: Any, V: Any, u: Any, i: Any, j: Any) -> Passes:
    a, d = U[u], V[i] - V[j]
    s = 1 / (1 + np.exp(-(a * d).sum(axis=1)))
    dY = yield -np.log(s).sum()
    g = (dY * (s - 1))[:, None]
    dU, dV = np.zeros_like(U), np.zeros_like(V)
    np.add.at(dU, u, g * d)
    v = g * a
    np.add.at(dV, i, v)
    np.add.at(dV, j, -v)
    return {"U": dU, "V": dV}


@form(
    "word2vec with negative samples",
    "Mikolov et al. 2013, eq. 4; backward " + HAND,
    "U[N K]small V[M K]small c[L]:N o[L]:M r[L C]:M",
    """p[l] = sum(k) U[c[l],k]*V[o[l],k]
    q[l,s] = sum(k) U[c[l],k]*V[r[l,s],k]
    Y[] = -(sum(l) log(sigmoid(p[l]))) - sum(l,s) log(sigmoid(-q[l,s]))""",
    L=50,
    C=5,
)
def word2vec(U: Any, V: Any, c: Any, o: Any, r: Any) -> Any:
    p = (U[c] * V[o]).sum(axis=1)
    q = (U[c][:, None] * V[r]).sum(axis=2)
    return -np.log(1 / (1 + np.exp(-p))).sum() - np.log(1 / (1 + np.exp(q))).sum()


@published(word2vec)
def word2vec_published(U: Any, V: Any, c: Any, o: Any, r: Any) -> Passes:
    a, b, d = U[c], V[o], V[r]
    s = 1 / (1 + np.exp(-(a * b).sum(axis=1)))
    t = 1 / (1 + np.exp((a[:, None] * d).sum(axis=2)))
    dY = yield -np.log(s).sum() - np.log(t).sum()
    g, h = (dY * (s - 1))[:, None], (dY * (1 - t))[:, :, None]
    dU, dV = np.zeros_like(U), np.zeros_like(V)
    np.add.at(dU, c, g * b + (h * d).sum(axis=1))
    np.add.at(dV, o, g * a)
    np.add.at(dV, r, h * a[:, None])
    return {"U": dU, "V": dV}


@form(
    "GloVe on a full table",
    "Pennington et al. 2014, eq. 8 (weights and logarithms given); gradients " + HAND,
    "W[N K]small V[M K]small a[N] b[M] f[N M]unit X[N M]",
    """r[i,j] = (sum(k) W[i,k]*V[j,k]) + a[i] + b[j] - X[i,j]
    L[] = sum(i,j) f[i,j]*r[i,j]**2""",
)
def glove(W: Any, V: Any, a: Any, b: Any, f: Any, X: Any) -> Any:
    r = W @ V.T + a[:, None] + b - X
    return (f * r**2).sum()


@published(glove)
def glove_published(W: Any, V: Any, a: Any, b: Any, f: Any, X: Any) -> Passes:
    r = W @ V.T + a[:, None] + b - X
    dL = yield (f * r**2).sum()
    G = (2 * dL) * f * r
    return {"W": G @ V, "V": G.T @ W, "a": G.sum(axis=1), "b": G.sum(axis=0)}


@form(
    "TransE margin loss",
    "Bordes et al. 2013, eq. 1, squared distance; gradients " + HAND,
    "h[N K] r[N K] t[N K] u[N K]",
    """e[n] = sum(k) (h[n,k] + r[n,k] - t[n,k])**2
    f[n] = sum(k) (h[n,k] + r[n,k] - u[n,k])**2
    L[] = sum(n) relu(1 + e[n] - f[n])""",
)
def trans_e(h: Any, r: Any, t: Any, u: Any) -> Any:
    e = ((h + r - t) ** 2).sum(axis=1)
    f = ((h + r - u) ** 2).sum(axis=1)
    return np.maximum(1 + e - f, 0).sum()


@published(trans_e)
def trans_e_published(h: Any, r: Any, t: Any, u: Any) -> Passes:
    x = h + r
    a, b = x - t, x - u
    m = 1 + (a**2).sum(axis=1) - (b**2).sum(axis=1)
    dL = yield np.maximum(m, 0).sum()
    g = (2 * dL * (m > 0))[:, None]
    p, q = g * a, g * b
    d = p - q
    return {"h": d, "r": d, "t": -p, "u": q}


@form(
    "DistMult with logistic loss",
    "Yang et al. 2015, eq. 2; gradients " + HAND,
    "h[N K] r[N K] t[N K] y[N]sign",
    """s[n] = sum(k) h[n,k]*r[n,k]*t[n,k]
    L[] = sum(n) log(1 + exp(-y[n]*s[n]))""",
)
def dist_mult(h: Any, r: Any, t: Any, y: Any) -> Any:
    s = (h * r * t).sum(axis=1)
    return np.log(1 + np.exp(-y * s)).sum()


@published(dist_mult)
def dist_mult_published(h: Any, r: Any, t: Any, y: Any) -> Passes:
    hr = h * r
    e = np.exp(-y * (hr * t).sum(axis=1))
    u = 1 + e
    dL = yield np.log(u).sum()
    g = (-dL * y * (e / u))[:, None]
    gt = g * t
    return {"h": gt * r, "r": gt * h, "t": g * hr}


@form(
    "reconstruction by principal components",
    "Baldi & Hornik 1989; gradient " + HAND,
    "X[N D] W[D K]",
    """z[n,k] = sum(d) X[n,d]*W[d,k]
    R[n,d] = (sum(k) z[n,k]*W[d,k]) - X[n,d]
    L[] = sum(n,d) R[n,d]**2""",
)
def components(X: Any, W: Any) -> Any:
    return ((X @ W @ W.T - X) ** 2).sum()


@published(components)
def components_published(X: Any, W: Any) -> Passes:
    z = X @ W
    R = z @ W.T - X
    dL = yield (R**2).sum()
    G = 2 * dL * R
    dz = G @ W
    return {"X": dz @ W.T - G, "W": G.T @ z + X.T @ dz}


@form(
    "whitening by a Cholesky factor",
    "Kessy et al. 2018, section 2 (Cholesky); backward as Murray 2016, eq. 10",
    "X[N K]",
    """S[i,j] = (sum(n) X[n,i]*X[n,j])/N + [i = j]
    C[i,j] = cholesky(S)[i,j]
    T[k,n] = X[n,k]
    Y[k,n] = solve(C, T)[k,n]
    return Y""",
    K=10,
)
def whitening(X: Any) -> Any:
    S = X.T @ X / len(X) + np.eye(X.shape[1])
    return np.linalg.solve(np.linalg.cholesky(S), X.T)


@published(whitening)
def whitening_published(X: Any) -> Passes:
    S = X.T @ X / len(X) + np.eye(X.shape[1])
    C = np.linalg.cholesky(S)
    Y = np.linalg.solve(C, X.T)
    dY = yield Y
    dT = np.linalg.solve(C.T, dY)
    # dC = -dT Yᵀ, and with Φ the lower triangle with half of the diagonal: C⁻ᵀ Φ(Cᵀ dC) C⁻¹.
    P = np.tril(C.T @ -(dT @ Y.T))
    n = np.arange(len(C))
    P[n, n] *= 0.5
    inverse = np.linalg.inv(C)
    dS = inverse.T @ P @ inverse
    return {"X": dT.T + X @ ((dS + dS.T) / len(X))}


@form(
    "kernel ridge regression: training loss by the dual",
    "Saunders et al. 1998; Bishop 2006, eq. 6.9; gradient " + HAND,
    "K[N N]positive_definite y[N] l[]+",
    """A[i,j] = K[i,j] + l[]*[i = j]
    a[i] = solve(A, y)[i]
    L[] = 1/2*sum(i) ((sum(j) K[i,j]*a[j]) - y[i])**2
    return L""",
    N=50,
)
def kernel_ridge(K: Any, y: Any, l: Any) -> Any:
    a = np.linalg.solve(K + l * np.eye(len(K)), y)
    return 0.5 * ((K @ a - y) ** 2).sum()


@published(kernel_ridge)
def kernel_ridge_published(K: Any, y: Any, l: Any) -> Passes:
    A = K + l * np.eye(len(K))
    a = np.linalg.solve(A, y)
    r = K @ a - y
    dL = yield 0.5 * (r**2).sum()
    r = dL * r
    v = np.linalg.solve(A.T, r @ K)
    # K stands in A and beside a.
    return {"K": (r - v)[:, None] * a, "y": v - r, "l": -(v @ a)}


@form(
    "Plackett-Luce likelihood of rankings",
    "Plackett 1975; Xia et al. 2008, eq. 9 (ListMLE); gradient " + HAND,
    "s[N M]",
    """E[n,m] = exp(s[n,m])
    z[n,m] = sum(k if k >= m) E[n,k]
    L[] = sum(n,m) (log(z[n,m]) - s[n,m])""",
)
def plackett_luce(s: Any) -> Any:
    tail = np.tril(np.ones((s.shape[1], s.shape[1])))
    return (np.log(np.exp(s) @ tail) - s).sum()


@published(plackett_luce)
def plackett_luce_published(s: Any) -> Passes:
    tail = np.tril(np.ones((s.shape[1], s.shape[1])))
    E = np.exp(s)
    z = E @ tail
    dL = yield (np.log(z) - s).sum()
    return {"s": E * ((dL / z) @ tail.T) - dL}


@form(
    "mixture density network, heads given",
    "Bishop 1994, eq. 29; gradients eq. 37 to 41 (one dimension)",
    "a[N K] m[N K] s[N K] t[N]",
    """E[n,k] = exp(a[n,k])
    w[n,k] = E[n,k]/sum(j) E[n,j]
    u[n,k] = (t[n] - m[n,k])*exp(-s[n,k])
    G[n,k] = w[n,k]*exp(-1/2*u[n,k]**2 - s[n,k])
    L[] = -sum(n) log(sum(k) G[n,k])""",
)
def mixture_density(a: Any, m: Any, s: Any, t: Any) -> Any:
    E = np.exp(a)
    w = E / E.sum(axis=1, keepdims=True)
    u = (t[:, None] - m) * np.exp(-s)
    return -np.log((w * np.exp(-0.5 * u**2 - s)).sum(axis=1)).sum()


@published(mixture_density)
def mixture_density_published(a: Any, m: Any, s: Any, t: Any) -> Passes:
    E = np.exp(a)
    w = E / E.sum(axis=1, keepdims=True)
    f = np.exp(-s)
    u = (t[:, None] - m) * f
    u2 = u**2
    G = w * np.exp(-0.5 * u2 - s)
    z = G.sum(axis=1, keepdims=True)
    dL = yield -np.log(z).sum()
    # π - γ with the responsibilities γ, which sum to 1
    g = G * (dL / z)
    gu = g * u
    return {"a": dL * w - g, "m": -gu * f, "s": g - g * u2}
