"""Losses."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "InfoNCE",
    "van den Oord et al. 2018, eq. 4; backward " + HAND,
    "X[N D]small Z[N D]small",
    """S[i,j] = sum(d) X[i,d]*Z[j,d]
    L[] = -mean(i) (S[i,i] - log(sum(j) exp(S[i,j])))""",
)
def info_nce(X: Any, Z: Any) -> Any:
    S = X @ Z.T
    return -(np.diag(S) - np.log(np.exp(S).sum(axis=1))).mean()


@published(info_nce)
def info_nce_published(X: Any, Z: Any) -> Passes:
    S = X @ Z.T
    E = np.exp(S)
    z = E.sum(axis=1, keepdims=True)
    dL = yield -(np.diag(S) - np.log(z[:, 0])).mean()
    dS = E * (dL / len(X) / z)
    n = np.arange(len(X))
    dS[n, n] -= dL / len(X)
    return {"X": dS @ Z, "Z": dS.T @ X}


@form(
    "CLIP: symmetric cross-entropy",
    "Radford et al. 2021, figure 3; backward " + HAND,
    "X[N D]small Z[N D]small s[]+",
    """S[i,j] = s[]*sum(d) X[i,d]*Z[j,d]
    L[] = mean(i) (1/2*log(sum(j) exp(S[i,j])) + 1/2*log(sum(j) exp(S[j,i])) - S[i,i])""",
)
def clip_loss(X: Any, Z: Any, s: Any) -> Any:
    S = s * (X @ Z.T)
    rows = np.log(np.exp(S).sum(axis=1)) - np.diag(S)
    columns = np.log(np.exp(S).sum(axis=0)) - np.diag(S)
    return 0.5 * rows.mean() + 0.5 * columns.mean()


@published(clip_loss)
def clip_loss_published(X: Any, Z: Any, s: Any) -> Passes:
    R = X @ Z.T
    S = s * R
    E = np.exp(S)
    a, b = E.sum(axis=1), E.sum(axis=0)
    dL = yield (0.5 * np.log(a) + 0.5 * np.log(b) - np.diag(S)).mean()
    g = dL / len(X)
    dS = E * ((0.5 * g / a)[:, None] + 0.5 * g / b)
    n = np.arange(len(X))
    dS[n, n] -= g
    ds = np.vdot(dS, R)
    dR = s * dS
    return {"X": dR @ Z, "Z": dR.T @ X, "s": ds}


@form(
    "NT-Xent with normalised rows",
    "Chen et al. 2020, eq. 1; backward " + HAND,
    "X[N D] Z[N D]",
    """u[i,d] = X[i,d]/sqrt(sum(k) X[i,k]**2)
    v[i,d] = Z[i,d]/sqrt(sum(k) Z[i,k]**2)
    S[i,j] = 2*sum(d) u[i,d]*v[j,d]
    L[] = mean(i) (log(sum(j) exp(S[i,j])) - S[i,i])""",
)
def nt_xent(X: Any, Z: Any) -> Any:
    u = X / np.linalg.norm(X, axis=1, keepdims=True)
    v = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    S = u @ v.T / 0.5
    return (np.log(np.exp(S).sum(axis=1)) - np.diag(S)).mean()


@published(nt_xent)
def nt_xent_published(X: Any, Z: Any) -> Passes:
    a = np.linalg.norm(X, axis=1, keepdims=True)
    b = np.linalg.norm(Z, axis=1, keepdims=True)
    u, v = X / a, Z / b
    S = u @ v.T / 0.5
    E = np.exp(S)
    z = E.sum(axis=1)
    dL = yield (np.log(z) - np.diag(S)).mean()
    g = 2 * dL / len(X)
    dS = (g / z)[:, None] * E
    n = np.arange(len(X))
    dS[n, n] -= g
    du, dv = dS @ v, dS.T @ u
    return {
        "X": (du - (du * u).sum(axis=1, keepdims=True) * u) / a,
        "Z": (dv - (dv * v).sum(axis=1, keepdims=True) * v) / b,
    }


@form(
    "supervised contrastive loss",
    "Khosla et al. 2020, eq. 2; backward " + HAND,
    "X[N D]small y[N]:C",
    """S[i,j] = sum(d) X[i,d]*X[j,d]
    z[i] = sum(j) [i != j]*exp(S[i,j])
    c[i] = sum(j) [y[i] = y[j]]*[i != j]
    L[] = -sum(i) 1/(1 + c[i])*(sum(j) [y[i] = y[j]]*[i != j]*(S[i,j] - log(z[i])))""",
    C=6,
)
def sup_con(X: Any, y: Any) -> Any:
    S = X @ X.T
    others = 1 - np.eye(len(X))
    z = (np.exp(S) * others).sum(axis=1, keepdims=True)
    positive = (y[:, None] == y) * others
    return -((positive * (S - np.log(z))).sum(axis=1) / (1 + positive.sum(axis=1))).sum()


@published(sup_con)
def sup_con_published(X: Any, y: Any) -> Passes:
    S = X @ X.T
    others = 1 - np.eye(len(X))
    E = np.exp(S) * others
    z = E.sum(axis=1, keepdims=True)
    positive = (y[:, None] == y) * others
    c = positive.sum(axis=1)
    n = 1 + c
    dL = yield -((positive * (S - np.log(z))).sum(axis=1) / n).sum()
    g = dL / n
    dS = (g * c / z[:, 0])[:, None] * E - g[:, None] * positive
    return {"X": (dS + dS.T) @ X}


@form(
    "triplet loss",
    "Schroff et al. 2015, section 3.1; backward " + HAND,
    "A[N D] P[N D] Q[N D]",
    "L[] = sum(n) relu((sum(d) (A[n,d] - P[n,d])**2) - (sum(d) (A[n,d] - Q[n,d])**2) + 0.2)",
)
def triplet(A: Any, P: Any, Q: Any) -> Any:
    near = ((A - P) ** 2).sum(axis=1)
    far = ((A - Q) ** 2).sum(axis=1)
    return np.maximum(near - far + 0.2, 0).sum()


@published(triplet)
def triplet_published(A: Any, P: Any, Q: Any) -> Passes:
    p, q = A - P, A - Q
    t = (p**2).sum(axis=1) - (q**2).sum(axis=1) + 0.2
    dL = yield np.maximum(t, 0).sum()
    g = (2 * dL * (t > 0))[:, None]
    return {"A": g * (Q - P), "P": -g * p, "Q": g * q}


@form(
    "centre loss",
    "Wen et al. 2016, eq. 2, 3 and 4 (4 without its average)",
    "X[N D] W[C D] y[N]:C",
    "L[] = 1/2*sum(n,d) (X[n,d] - W[y[n],d])**2",
)
def center_loss(X: Any, W: Any, y: Any) -> Any:
    return 0.5 * ((X - W[y]) ** 2).sum()


@published(center_loss)
def center_loss_published(X: Any, W: Any, y: Any) -> Passes:
    r = X - W[y]
    dL = yield 0.5 * (r**2).sum()
    dX = dL * r
    dW = np.zeros_like(W)
    np.add.at(dW, y, -dX)
    return {"X": dX, "W": dW}


@form(
    "ArcFace: margin on the angle",
    "Deng et al. 2019, eq. 3 (rows normalised before); backward " + HAND,
    "S[N C]unit y[N]:C",
    """a[n] = arccos(S[n,y[n]])
    t[n] = exp(8*cos(a[n] + 0.5))
    L[] = -mean(n) log(t[n]/(t[n] + sum(c) [c != y[n]]*exp(8*S[n,c])))""",
)
def arc_face(S: Any, y: Any) -> Any:
    n = np.arange(len(S))
    t = np.exp(8 * np.cos(np.arccos(S[n, y]) + 0.5))
    others = (np.exp(8 * S) * (np.arange(S.shape[1]) != y[:, None])).sum(axis=1)
    return -np.log(t / (t + others)).mean()


@published(arc_face)
def arc_face_published(S: Any, y: Any) -> Passes:
    n = np.arange(len(S))
    s = S[n, y]
    b = np.arccos(s) + 0.5
    t = np.exp(8 * np.cos(b))
    E = np.exp(8 * S) * (np.arange(S.shape[1]) != y[:, None])
    others = E.sum(axis=1)
    z = t + others
    dL = yield -np.log(t / z).mean()
    g = 8 * dL / len(S) / z
    dS = g[:, None] * E
    dS[n, y] = -g * others * np.sin(b) / np.sqrt(1 - s**2)
    return {"S": dS}


@form(
    "mixup loss",
    "Zhang et al. 2018, eq. 1, soft labels; backward as Bishop 2006, eq. 4.109",
    "S[N C] a[N C]rows b[N C]rows l[N]unit",
    """t[n,c] = l[n]*a[n,c] + (1 - l[n])*b[n,c]
    E[n,c] = exp(S[n,c])
    P[n,c] = E[n,c]/sum(k) E[n,k]
    L[] = -mean(n) (sum(c) t[n,c]*log(P[n,c]))""",
)
def mixup(S: Any, a: Any, b: Any, l: Any) -> Any:
    t = l[:, None] * a + (1 - l[:, None]) * b
    E = np.exp(S)
    return -(t * np.log(E / E.sum(axis=1, keepdims=True))).sum(axis=1).mean()


@published(mixup)
def mixup_published(S: Any, a: Any, b: Any, l: Any) -> Passes:
    t = l[:, None] * a + (1 - l[:, None]) * b
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    dL = yield -(t * np.log(P)).sum(axis=1).mean()
    # The labels aren't known to sum to 1.
    return {"S": dL / len(S) * (t.sum(axis=1, keepdims=True) * P - t)}


@form(
    "softmax regression",
    "Bishop 2006, eq. 4.108 and 4.109",
    "X[N D] W[D C]small y[N]:C",
    """S[n,c] = sum(d) X[n,d]*W[d,c]
    L[] = mean(n) (log(sum(c) exp(S[n,c])) - S[n,y[n]])""",
)
def softmax_regression(X: Any, W: Any, y: Any) -> Any:
    S = X @ W
    return (np.log(np.exp(S).sum(axis=1)) - S[np.arange(len(X)), y]).mean()


@published(softmax_regression)
def softmax_regression_published(X: Any, W: Any, y: Any) -> Passes:
    S = X @ W
    E = np.exp(S)
    z = E.sum(axis=1)
    n = np.arange(len(X))
    dL = yield (np.log(z) - S[n, y]).mean()
    g = dL / len(X)
    dS = (g / z)[:, None] * E
    dS[n, y] -= g
    return {"W": X.T @ dS}


@form(
    "sigmoid focal loss",
    "Lin et al. 2017, eq. 5, gamma 2; backward " + HAND,
    "x[N M] t[N M]binary",
    """p[n,m] = sigmoid(x[n,m])
    L[] = -sum(n,m) (0.25*t[n,m]*(1 - p[n,m])**2*log(p[n,m]) +
        0.75*(1 - t[n,m])*p[n,m]**2*log(1 - p[n,m]))""",
)
def sigmoid_focal(x: Any, t: Any) -> Any:
    p = 1 / (1 + np.exp(-x))
    q = 1 - p
    return -(0.25 * t * q**2 * np.log(p) + 0.75 * (1 - t) * p**2 * np.log(q)).sum()


@published(sigmoid_focal)
def sigmoid_focal_published(x: Any, t: Any) -> Passes:
    p = 1 / (1 + np.exp(-x))
    q = 1 - p
    s, a, b = 1 - t, np.log(p), np.log(q)
    dL = yield -(0.25 * t * q**2 * a + 0.75 * s * p**2 * b).sum()
    one = (0.25 * dL) * t * q**2 * (2 * p * a - q)
    two = (0.75 * dL) * s * p**2 * (2 * q * b - p)
    return {"x": one - two}


@form(
    "Dice loss",
    "Milletari et al. 2016, section 3 (objective and gradient, not numbered)",
    "p[N M]unit g[N M]binary",
    "L[] = 1 - 2*(sum(n,m) p[n,m]*g[n,m])/((sum(n,m) p[n,m]**2) + (sum(n,m) g[n,m]**2))",
)
def dice(p: Any, g: Any) -> Any:
    return 1 - 2 * (p * g).sum() / ((p**2).sum() + (g**2).sum())


@published(dice)
def dice_published(p: Any, g: Any) -> Passes:
    a, b = (p * g).sum(), (p**2).sum() + (g**2).sum()
    dL = yield 1 - 2 * a / b
    # 2 [g b - 2 p a]/b**2, with the numbers first
    u = -2 * dL / b
    return {"p": u * g - (2 * u * a / b) * p}


@form(
    "Lovasz hinge of one image, order and Jaccard differences given",
    "Berman et al. 2018, eq. 8 and 9; backward " + HAND,
    "x[N] t[N]binary g[N]+ order[N]permutation",
    """e[n] = 1 - x[n]*(2*t[n] - 1)
    L[] = sum(n) relu(e[order[n]])*g[n]""",
    N=400,
)
def lovasz(x: Any, t: Any, g: Any, order: Any) -> Any:
    e = 1 - x * (2 * t - 1)
    return (np.maximum(e[order], 0) * g).sum()


@published(lovasz)
def lovasz_published(x: Any, t: Any, g: Any, order: Any) -> Passes:
    s = 2 * t - 1
    ranked = (1 - x * s)[order]
    dL = yield (np.maximum(ranked, 0) * g).sum()
    de = np.zeros_like(x)
    np.add.at(de, order, -dL * g * (ranked > 0))  # nobody says that the order is a permutation
    return {"x": de * s}


@form(
    "Huber regression",
    "Huber 1964; " + HAND,
    "X[N D] w[D] y[N]",
    """r[n] = y[n] - sum(d) X[n,d]*w[d]
    L[] = sum(n) where(abs(r[n]) <= 1, 1/2*r[n]**2, abs(r[n]) - 1/2)""",
)
def huber_regression(X: Any, w: Any, y: Any) -> Any:
    r = y - X @ w
    return np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5).sum()


@published(huber_regression)
def huber_regression_published(X: Any, w: Any, y: Any) -> Passes:
    r = y - X @ w
    dL = yield np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5).sum()
    return {"w": X.T @ (-dL * np.clip(r, -1, 1))}


@form(
    "Tukey's biweight regression",
    "Beaton & Tukey 1974; " + HAND,
    "X[N D] w[D]small y[N]",
    """r[n] = y[n] - sum(d) X[n,d]*w[d]
    L[] = sum(n) where(abs(r[n]) < 4, 1 - (1 - r[n]**2/16)**3, 1)""",
)
def tukey(X: Any, w: Any, y: Any) -> Any:
    r = y - X @ w
    return np.where(np.abs(r) < 4, 1 - (1 - r**2 / 16) ** 3, 1).sum()


@published(tukey)
def tukey_published(X: Any, w: Any, y: Any) -> Passes:
    r = y - X @ w
    inside, u = np.abs(r) < 4, 1 - r**2 / 16
    dL = yield np.where(inside, 1 - u**3, 1).sum()
    return {"w": X.T @ ((-6 / 16 * dL) * inside * r * u**2)}


@form(
    "Poisson regression",
    "McCullagh & Nelder 1989, ch. 6; score " + HAND,
    "X[N D] w[D]small y[N]+",
    """e[n] = sum(d) X[n,d]*w[d]
    L[] = mean(n) (exp(e[n]) - y[n]*e[n])""",
)
def poisson(X: Any, w: Any, y: Any) -> Any:
    e = X @ w
    return (np.exp(e) - y * e).mean()


@published(poisson)
def poisson_published(X: Any, w: Any, y: Any) -> Passes:
    e = X @ w
    mu = np.exp(e)
    dL = yield (mu - y * e).mean()
    return {"w": X.T @ (dL / len(X) * (mu - y))}


@form(
    "Cox partial likelihood, Breslow",
    "Cox 1972; score " + HAND,
    "X[N D] w[D]small t[N] d[N]binary",
    """e[n] = sum(k) X[n,k]*w[k]
    u[n] = exp(e[n])
    z[i] = sum(j if t[j] >= t[i]) u[j]
    L[] = -sum(i) d[i]*(e[i] - log(z[i]))""",
)
def cox(X: Any, w: Any, t: Any, d: Any) -> Any:
    e = X @ w
    at_risk = (t >= t[:, None]) * np.exp(e)
    return -(d * (e - np.log(at_risk.sum(axis=1)))).sum()


@published(cox)
def cox_published(X: Any, w: Any, t: Any, d: Any) -> Passes:
    e = X @ w
    risk = t >= t[:, None]
    u = np.exp(e)
    z = risk @ u
    dL = yield -(d * (e - np.log(z))).sum()
    de = dL * (u * ((d / z) @ risk) - d)
    return {"w": X.T @ de}


@form(
    "direct preference optimisation",
    "Rafailov et al. 2023, eq. 7 and the gradient after it (not numbered)",
    "a[N] b[N] p[N] q[N]",
    "L[] = -mean(n) log(sigmoid(0.1*((a[n] - p[n]) - (b[n] - q[n]))))",
    N=500,
)
def dpo(a: Any, b: Any, p: Any, q: Any) -> Any:
    margin = 0.1 * ((a - p) - (b - q))
    return -np.log(1 / (1 + np.exp(-margin))).mean()


@published(dpo)
def dpo_published(a: Any, b: Any, p: Any, q: Any) -> Passes:
    margin = 0.1 * ((a - p) - (b - q))
    s = 1 / (1 + np.exp(-margin))
    dL = yield -np.log(s).mean()
    db = (0.1 * dL / len(a)) * (1 - s)
    return {"a": -db, "b": db}


@form(
    "proximal policy optimisation, clipped",
    "Schulman et al. 2017, eq. 7; backward " + HAND,
    "l[N]small o[N]small A[N]",
    """r[n] = exp(l[n] - o[n])
    L[] = -mean(n) minimum(r[n]*A[n], clip(r[n], 0.8, 1.2)*A[n])""",
    N=500,
)
def ppo(l: Any, o: Any, A: Any) -> Any:
    r = np.exp(l - o)
    return -np.minimum(r * A, np.clip(r, 0.8, 1.2) * A).mean()


@published(ppo)
def ppo_published(l: Any, o: Any, A: Any) -> Passes:
    r = np.exp(l - o)
    rA, cA = r * A, np.clip(r, 0.8, 1.2) * A
    dL = yield -np.minimum(rA, cA).mean()
    # Where both are the same the ratio wasn't clipped.
    return {"l": (-dL / len(l)) * (rA <= cA) * rA}


@form(
    "evidence lower bound: KL to a standard normal",
    "Kingma & Welling 2014, appendix B; backward " + HAND,
    "m[N D] s[N D]",
    "L[] = -1/2*sum(n,d) (1 + s[n,d] - m[n,d]**2 - exp(s[n,d]))",
)
def elbo_kl(m: Any, s: Any) -> Any:
    return -0.5 * (1 + s - m**2 - np.exp(s)).sum()


@published(elbo_kl)
def elbo_kl_published(m: Any, s: Any) -> Passes:
    e = np.exp(s)
    dL = yield -0.5 * (1 + s - m**2 - e).sum()
    return {"m": dL * m, "s": 0.5 * dL * (e - 1)}


@form(
    "multi-dimensional scaling: raw stress",
    "Kruskal 1964; Guttman transform in Borg & Groenen 2005, ch. 8; backward " + HAND,
    "Y[N K] R[N N]+",
    """D[i,j] = sqrt((sum(k) (Y[i,k] - Y[j,k])**2) + 0.01)
    L[] = sum(i,j) (D[i,j] - R[i,j])**2""",
    K=3,
)
def stress(Y: Any, R: Any) -> Any:
    D = np.sqrt(((Y[:, None] - Y[None]) ** 2).sum(axis=2) + 0.01)
    return ((D - R) ** 2).sum()


@published(stress)
def stress_published(Y: Any, R: Any) -> Passes:
    D = np.sqrt(((Y[:, None] - Y[None]) ** 2).sum(axis=2) + 0.01)
    F = D - R
    dL = yield (F**2).sum()
    G = F / D
    G = G + G.T
    return {"Y": 2 * dL * (G.sum(axis=1)[:, None] * Y - G @ Y)}


@form(
    "stochastic neighbour embedding",
    "Hinton & Roweis 2002, gradient in section 2 (not numbered)",
    "Y[N 2] P[N N]rows",
    """E[i,j] = [i != j]*exp(-sum(d) (Y[i,d] - Y[j,d])**2)
    z[i] = sum(j) E[i,j]
    L[] = sum(i,j) P[i,j]*((sum(d) (Y[i,d] - Y[j,d])**2) + log(z[i]))""",
)
def sne(Y: Any, P: Any) -> Any:
    D = ((Y[:, None] - Y[None]) ** 2).sum(axis=2)
    z = (np.exp(-D) * (1 - np.eye(len(Y)))).sum(axis=1)
    return (P * (D + np.log(z)[:, None])).sum()


@published(sne)
def sne_published(Y: Any, P: Any) -> Passes:
    D = ((Y[:, None] - Y[None]) ** 2).sum(axis=2)
    E = np.exp(-D) * (1 - np.eye(len(Y)))
    z = E.sum(axis=1)
    dL = yield (P * (D + np.log(z)[:, None])).sum()
    G = P - (P.sum(axis=1) / z)[:, None] * E
    G = (2 * dL) * (G + G.T)
    return {"Y": G.sum(axis=1)[:, None] * Y - G @ Y}


@form(
    "style loss on Gram matrices",
    "Gatys et al. 2016, eq. 3 to 6 (6 without its ReLU)",
    "F[C L] A[C C]",
    """G[i,j] = sum(l) F[i,l]*F[j,l]
    L[] = sum(i,j) (G[i,j] - A[i,j])**2""",
)
def style(F: Any, A: Any) -> Any:
    return ((F @ F.T - A) ** 2).sum()


@published(style)
def style_published(F: Any, A: Any) -> Passes:
    R = F @ F.T - A
    dL = yield (R**2).sum()
    # A isn't known to be symmetric.
    return {"F": (2 * dL * (R + R.T)) @ F}


@form(
    "matrix factorisation with weights",
    "Lee & Seung 2001, eq. 1 (squared distance), gradient as in section 3; Koren et al. 2009",
    "W[N K]+ H[K M]+ V[N M]+ a[N M]+",
    """R[n,m] = (sum(k) W[n,k]*H[k,m]) - V[n,m]
    L[] = sum(n,m) a[n,m]*R[n,m]**2""",
)
def factorisation(W: Any, H: Any, V: Any, a: Any) -> Any:
    return (a * (W @ H - V) ** 2).sum()


@published(factorisation)
def factorisation_published(W: Any, H: Any, V: Any, a: Any) -> Passes:
    R = W @ H - V
    dL = yield (a * R**2).sum()
    G = (2 * dL) * a * R
    return {"W": G @ H.T, "H": W.T @ G}


@form(
    "divergence of a non-negative factorisation",
    "Lee & Seung 2001, eq. 3, gradient as in section 3",
    "W[N K]+ H[K M]+ V[N M]+",
    """R[n,m] = sum(k) W[n,k]*H[k,m]
    L[] = sum(n,m) (V[n,m]*log(V[n,m]/R[n,m]) - V[n,m] + R[n,m])""",
)
def factor_divergence(W: Any, H: Any, V: Any) -> Any:
    R = W @ H
    return (V * np.log(V / R) - V + R).sum()


@published(factor_divergence)
def factor_divergence_published(W: Any, H: Any, V: Any) -> Passes:
    R = W @ H
    Q = V / R
    dL = yield (V * np.log(Q) - V + R).sum()
    G = dL * (1 - Q)
    return {"W": G @ H.T, "H": W.T @ G}
