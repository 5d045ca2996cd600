"""Physics, chemistry, biology, images and economics."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from tests.compactness.forms.form import form, published

HAND = "derived by hand"
Passes = Generator[Any, Any, dict[str, Any]]


@form(
    "SIR epidemic, two Euler steps of many regions",
    "Kermack & McKendrick 1927; adjoint " + HAND,
    "S[N]unit I[N]unit b[N]unit g[N]unit",
    """f[n] = b[n]*S[n]*I[n]
    S1[n] = S[n] - f[n]
    I1[n] = I[n] + f[n] - g[n]*I[n]
    f1[n] = b[n]*S1[n]*I1[n]
    S2[n] = S1[n] - f1[n]
    I2[n] = I1[n] + f1[n] - g[n]*I1[n]
    return S2, I2""",
    N=500,
)
def sir(S: Any, I: Any, b: Any, g: Any) -> Any:
    for _ in range(2):
        f = b * S * I
        S, I = S - f, I + f - g * I
    return S, I


@published(sir)
def sir_published(S: Any, I: Any, b: Any, g: Any) -> Passes:
    kept = []
    for _ in range(2):
        u = b * S
        f = u * I
        kept.append((S, I, u))
        S, I = S - f, I + f - g * I
    s, i = yield S, I
    db, dg = 0.0, 0.0
    for S, I, u in reversed(kept):
        df = i - s
        t = df * I
        db = t * S + db
        dg = dg - i * I
        s = s + b * t
        i = i + u * df - g * i
    return {"S": s, "I": i, "b": db, "g": dg}


@form(
    "Lennard-Jones energy",
    "Lennard-Jones 1924; forces as in Frenkel & Smit 2002, ch. 4",
    "X[N 3]",
    """q[i,j] = 1/((sum(d) (X[i,d] - X[j,d])**2) + 2)
    L[] = sum(i,j) (q[i,j]**6 - q[i,j]**3)""",
)
def lennard_jones(X: Any) -> Any:
    # Softened, so that a particle beside itself is finite.
    q = 1 / (((X[:, None] - X[None]) ** 2).sum(axis=2) + 2)
    return (q**6 - q**3).sum()


@published(lennard_jones)
def lennard_jones_published(X: Any) -> Passes:
    q = 1 / (((X[:, None] - X[None]) ** 2).sum(axis=2) + 2)
    q2 = q**2
    q3 = q2 * q
    dL = yield (q3**2 - q3).sum()
    # The energy of a pair is symmetric: both halves of the force are the same.
    G = (4 * dL) * (3 - 6 * q3) * q2**2
    return {"X": G.sum(axis=1)[:, None] * X - G @ X}


@form(
    "gravity: potential energy of masses",
    "Newton; forces " + HAND,
    "X[N 3] m[N]+",
    """r[i,j] = sqrt((sum(d) (X[i,d] - X[j,d])**2) + 0.01)
    L[] = -sum(i,j) m[i]*m[j]/r[i,j]""",
)
def gravity(X: Any, m: Any) -> Any:
    r = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2) + 0.01)
    return -(m[:, None] * m / r).sum()


@published(gravity)
def gravity_published(X: Any, m: Any) -> Passes:
    r = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2) + 0.01)
    u = m[:, None] * m / r
    dL = yield -u.sum()
    G = (2 * dL) * u / r**2
    return {
        "X": G.sum(axis=1)[:, None] * X - G @ X,
        "m": -2 * dL * u.sum(axis=1) / m,
    }


@form(
    "chain of springs",
    "Hooke; forces " + HAND,
    "x[N] k[N]+",
    "L[] = 1/2*sum(i:N-1) k[i]*(x[i+1] - x[i] - 1)**2",
    N=500,
)
def springs(x: Any, k: Any) -> Any:
    return 0.5 * (k[:-1] * (x[1:] - x[:-1] - 1) ** 2).sum()


@published(springs)
def springs_published(x: Any, k: Any) -> Passes:
    e = x[1:] - x[:-1] - 1
    dL = yield 0.5 * (k[:-1] * e**2).sum()
    f = dL * k[:-1] * e
    dx = np.zeros_like(x)
    dx[1:] = f
    dx[:-1] -= f
    dk = np.zeros_like(k)
    dk[:-1] = 0.5 * dL * e**2
    return {"x": dx, "k": dk}


@form(
    "Ising model: two mean-field steps",
    "MacKay 2003, eq. 33.28; adjoint " + HAND,
    "J[N N]small h[N] m[N]",
    """a[i] = tanh((sum(j) J[i,j]*m[j]) + h[i])
    y[i] = tanh((sum(j) J[i,j]*a[j]) + h[i])""",
)
def mean_field(J: Any, h: Any, m: Any) -> Any:
    return np.tanh(J @ np.tanh(J @ m + h) + h)


@published(mean_field)
def mean_field_published(J: Any, h: Any, m: Any) -> Passes:
    a = np.tanh(J @ m + h)
    y = np.tanh(J @ a + h)
    dy = yield y
    b = dy * (1 - y**2)
    c = (b @ J) * (1 - a**2)
    return {"J": b[:, None] * a + c[:, None] * m, "h": b + c, "m": c @ J}


@form(
    "Hopfield energy",
    "Hopfield 1982, eq. 7 (with biases); gradient " + HAND,
    "W[N N] b[N] s[N]",
    "L[] = -1/2*(sum(i,j) s[i]*W[i,j]*s[j]) - sum(i) b[i]*s[i]",
)
def hopfield(W: Any, b: Any, s: Any) -> Any:
    return -0.5 * s @ W @ s - b @ s


@published(hopfield)
def hopfield_published(W: Any, b: Any, s: Any) -> Passes:
    u = s @ W
    dL = yield -0.5 * u @ s - b @ s
    h = -0.5 * dL
    return {"W": (h * s)[:, None] * s, "b": -dL * s, "s": h * (u + W @ s) - dL * b}


@form(
    "five-point Laplacian with zero boundary, squared",
    HAND,
    "u[N M]",
    """l[i,j] = pad(u,0)[i-1,j] + pad(u,0)[i+1,j] + pad(u,0)[i,j-1] + pad(u,0)[i,j+1] - 4*u[i,j]
    L[] = 1/2*sum(i,j) l[i,j]**2""",
)
def laplacian(u: Any) -> Any:
    p = np.pad(u, 1)
    r = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * u
    return 0.5 * (r**2).sum()


@published(laplacian)
def laplacian_published(u: Any) -> Passes:
    p = np.pad(u, 1)
    r = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * u
    dL = yield 0.5 * (r**2).sum()
    g = dL * r
    d = -4 * g
    d[1:] += g[:-1]
    d[:-1] += g[1:]
    d[:, 1:] += g[:, :-1]
    d[:, :-1] += g[:, 1:]
    return {"u": d}


@form(
    "reaction and diffusion, one step on a ring",
    "Gray & Scott 1984; adjoint " + HAND,
    "u[N]unit v[N]unit",
    """r[i] = u[i]*v[i]**2
    a[i] = u[i] + 0.2*(u[(i+1) % N] - 2*u[i] + u[(i-1) % N]) - r[i] + 0.04*(1 - u[i])
    b[i] = v[i] + 0.1*(v[(i+1) % N] - 2*v[i] + v[(i-1) % N]) + r[i] - 0.1*v[i]
    return a, b""",
    N=400,
)
def gray_scott(u: Any, v: Any) -> Any:
    r = u * v**2
    a = u + 0.2 * (np.roll(u, -1) - 2 * u + np.roll(u, 1)) - r + 0.04 * (1 - u)
    b = v + 0.1 * (np.roll(v, -1) - 2 * v + np.roll(v, 1)) + r - 0.1 * v
    return a, b


@published(gray_scott)
def gray_scott_published(u: Any, v: Any) -> Passes:
    w = v**2
    r = u * w
    x = u + 0.2 * (np.roll(u, -1) - 2 * u + np.roll(u, 1)) - r + 0.04 * (1 - u)
    y = v + 0.1 * (np.roll(v, -1) - 2 * v + np.roll(v, 1)) + r - 0.1 * v
    a, b = yield x, y
    e = b - a
    return {
        "u": 0.2 * (np.roll(a, -1) + np.roll(a, 1)) + 0.56 * a + e * w,
        "v": 0.1 * (np.roll(b, -1) + np.roll(b, 1)) + 0.7 * b + 2 * e * u * v,
    }


@form(
    "Kuramoto oscillators, one step",
    "Kuramoto 1975; adjoint " + HAND,
    "a[N] w[N]",
    "y[i] = a[i] + 0.1*(w[i] + mean(j) sin(a[j] - a[i]))",
)
def kuramoto(a: Any, w: Any) -> Any:
    return a + 0.1 * (w + np.sin(a - a[:, None]).mean(axis=1))


@published(kuramoto)
def kuramoto_published(a: Any, w: Any) -> Passes:
    D = a - a[:, None]
    dy = yield a + 0.1 * (w + np.sin(D).mean(axis=1))
    C = np.cos(D)
    g = 0.1 * dy
    n = g / len(a)
    return {"a": dy + n @ C - n * C.sum(axis=1), "w": g}


@form(
    "total variation, isotropic and smoothed",
    "Rudin et al. 1992, eq. 2.9 (left side); " + HAND,
    "u[N M]",
    "L[] = sum(i:N-1, j:M-1) sqrt((u[i+1,j] - u[i,j])**2 + (u[i,j+1] - u[i,j])**2 + 0.001)",
)
def smooth_variation(u: Any) -> Any:
    x = u[1:, :-1] - u[:-1, :-1]
    y = u[:-1, 1:] - u[:-1, :-1]
    return np.sqrt(x**2 + y**2 + 0.001).sum()


@published(smooth_variation)
def smooth_variation_published(u: Any) -> Passes:
    x = u[1:, :-1] - u[:-1, :-1]
    y = u[:-1, 1:] - u[:-1, :-1]
    r = np.sqrt(x**2 + y**2 + 0.001)
    dL = yield r.sum()
    f = dL / r
    p, q = x * f, y * f
    d = np.zeros_like(u)
    d[1:, :-1] = p
    d[:-1, 1:] += q
    d[:-1, :-1] -= p + q
    return {"u": d}


@form(
    "structural similarity of two windows",
    "Wang et al. 2004, eq. 13 (means over the window); derivative " + HAND,
    "X[N D] Z[N D]",
    """a[n] = mean(d) X[n,d]
    b[n] = mean(d) Z[n,d]
    v[n] = mean(d) (X[n,d] - a[n])**2
    w[n] = mean(d) (Z[n,d] - b[n])**2
    c[n] = mean(d) (X[n,d] - a[n])*(Z[n,d] - b[n])
    S[n] = (2*a[n]*b[n] + 0.01)*(2*c[n] + 0.03)/(
        (a[n]**2 + b[n]**2 + 0.01)*(v[n] + w[n] + 0.03))""",
)
def ssim(X: Any, Z: Any) -> Any:
    a, b = X.mean(axis=1), Z.mean(axis=1)
    x, z = X - a[:, None], Z - b[:, None]
    v, w, c = (x**2).mean(axis=1), (z**2).mean(axis=1), (x * z).mean(axis=1)
    return (2 * a * b + 0.01) * (2 * c + 0.03) / ((a**2 + b**2 + 0.01) * (v + w + 0.03))


@published(ssim)
def ssim_published(X: Any, Z: Any) -> Passes:
    a, b = X.mean(axis=1), Z.mean(axis=1)
    x, z = X - a[:, None], Z - b[:, None]
    v, w, c = (x**2).mean(axis=1), (z**2).mean(axis=1), (x * z).mean(axis=1)
    A, B = 2 * a * b + 0.01, 2 * c + 0.03
    C, D = a**2 + b**2 + 0.01, v + w + 0.03
    S = A * B / (C * D)
    dS = yield S
    g = 2 * dS / X.shape[1]
    # To each pixel: a number, x and z, each by what its row says.
    one = g * (b * B / C - S * a * D / C) / D
    two = g * A / C / D
    three = g * S / D
    return {"X": one[:, None] + two[:, None] * z - three[:, None] * x}


@form(
    "deconvolution of counts",
    "Richardson 1972; Poisson likelihood, gradient " + HAND,
    "x[N]+ k[K]+ y[N]+",
    """m[i:N-K+1] = sum(j) k[j]*x[i+j]
    L[] = sum(i:N-K+1) (m[i] - pad(y, 0)[i]*log(m[i]))""",
    N=200,
)
def deconvolution(x: Any, k: Any, y: Any) -> Any:
    m = np.lib.stride_tricks.sliding_window_view(x, len(k)) @ k
    return (m - y[: len(m)] * np.log(m)).sum()


@published(deconvolution)
def deconvolution_published(x: Any, k: Any, y: Any) -> Passes:
    windows = np.lib.stride_tricks.sliding_window_view(x, len(k))
    m = windows @ k
    dL = yield (m - y[: len(m)] * np.log(m)).sum()
    g = dL * (1 - y[: len(m)] / m)
    padded = np.pad(g, len(k) - 1)
    return {
        "x": np.lib.stride_tricks.sliding_window_view(padded, len(k)) @ k[::-1],
        "k": g @ windows,
    }


@form(
    "PageRank, two steps with teleport",
    "Page et al. 1999; adjoint " + HAND,
    "A[N N]+ p[N]rows",
    """d[j] = sum(i) A[i,j]
    q[i] = 0.85*(sum(j) A[i,j]/d[j]*p[j]) + 0.15*p[i]
    r[i] = 0.85*(sum(j) A[i,j]/d[j]*q[j]) + 0.15*p[i]""",
)
def page_rank(A: Any, p: Any) -> Any:
    d = A.sum(axis=0)
    q = 0.85 * (A @ (p / d)) + 0.15 * p
    return 0.85 * (A @ (q / d)) + 0.15 * p


@published(page_rank)
def page_rank_published(A: Any, p: Any) -> Passes:
    d = A.sum(axis=0)
    a = p / d
    q = 0.85 * (A @ a) + 0.15 * p
    b = q / d
    dr = yield 0.85 * (A @ b) + 0.15 * p
    u = 0.85 * dr
    db = u @ A
    v = 0.85 * db / d
    da = v @ A
    # A's own entries, and its columns through d.
    dd = -(db * b + da * a) / d
    return {
        "A": u[:, None] * b + v[:, None] * a + dd,
        "p": da / d + 0.15 * (db / d + dr),
    }


@form(
    "Rayleigh quotient",
    "Golub & Van Loan 2013, section 8.2; gradient " + HAND,
    "A[N N] x[N]",
    "L[] = (sum(i,j) x[i]*A[i,j]*x[j])/(sum(i) x[i]**2)",
)
def rayleigh(A: Any, x: Any) -> Any:
    return x @ A @ x / (x @ x)


@published(rayleigh)
def rayleigh_published(A: Any, x: Any) -> Passes:
    u, n = x @ A, x @ x
    y = u @ x / n
    dL = yield y
    g = dL / n
    return {"A": (g * x)[:, None] * x, "x": g * (u + A @ x) - (2 * g * y) * x}


@form(
    "neural ODE, two Euler steps",
    "Chen et al. 2018, eq. 2; discrete adjoint " + HAND,
    "Z[N D] W[D D]small b[D]",
    """A[n,d] = tanh((sum(k) Z[n,k]*W[k,d]) + b[d])
    U[n,d] = Z[n,d] + 0.1*A[n,d]
    B[n,d] = tanh((sum(k) U[n,k]*W[k,d]) + b[d])
    Y[n,d] = U[n,d] + 0.1*B[n,d]""",
)
def neural_ode(Z: Any, W: Any, b: Any) -> Any:
    for _ in range(2):
        Z = Z + 0.1 * np.tanh(Z @ W + b)
    return Z


@published(neural_ode)
def neural_ode_published(Z: Any, W: Any, b: Any) -> Passes:
    A = np.tanh(Z @ W + b)
    U = Z + 0.1 * A
    B = np.tanh(U @ W + b)
    dY = yield U + 0.1 * B
    c = 0.1 * dY * (1 - B**2)
    dU = dY + c @ W.T
    a = 0.1 * dU * (1 - A**2)
    return {"Z": dU + a @ W.T, "W": U.T @ c + Z.T @ a, "b": c.sum(axis=0) + a.sum(axis=0)}


@form(
    "Kalman filter, one update",
    "Kalman 1960; Bishop 2006, eq. 13.89, 13.90 and 13.92; adjoint " + HAND,
    "m[K] P[K K]positive_definite C[L K] R[L L]positive_definite y[L]",
    """S[i,j] = (sum(k,l) C[i,k]*P[k,l]*C[j,l]) + R[i,j]
    e[i] = y[i] - sum(k) C[i,k]*m[k]
    w[i] = solve(S, e)[i]
    z[k] = m[k] + sum(l,i) P[k,l]*C[i,l]*w[i]
    return z""",
    L=24,
)
def kalman(m: Any, P: Any, C: Any, R: Any, y: Any) -> Any:
    S = C @ P @ C.T + R
    return m + P @ (C.T @ np.linalg.solve(S, y - C @ m))


@published(kalman)
def kalman_published(m: Any, P: Any, C: Any, R: Any, y: Any) -> Passes:
    S = C @ P @ C.T + R
    w = np.linalg.solve(S, y - C @ m)
    c = w @ C
    dz = yield m + P @ c
    dc = dz @ P
    v = np.linalg.solve(S.T, C @ dc)
    return {"m": dz - v @ C, "y": v}


@form(
    "Bradley-Terry log-likelihood",
    "Bradley & Terry 1952; gradient " + HAND,
    "s[N] W[N N]+",
    "L[] = -sum(i,j) W[i,j]*log(sigmoid(s[i] - s[j]))",
)
def bradley_terry(s: Any, W: Any) -> Any:
    return -(W * np.log(1 / (1 + np.exp(s - s[:, None])))).sum()


@published(bradley_terry)
def bradley_terry_published(s: Any, W: Any) -> Passes:
    p = 1 / (1 + np.exp(s - s[:, None]))
    dL = yield -(W * np.log(p)).sum()
    G = dL * W * (p - 1)
    return {"s": G.sum(axis=1) - G.sum(axis=0)}


@form(
    "mean-variance portfolio: Sharpe ratio",
    "Sharpe 1966; gradient " + HAND,
    "w[N] m[N] S[N N]positive_definite",
    """v[] = sum(i,j) w[i]*S[i,j]*w[j]
    L[] = (sum(i) w[i]*m[i])/sqrt(v[])""",
)
def sharpe(w: Any, m: Any, S: Any) -> Any:
    return w @ m / np.sqrt(w @ S @ w)


@published(sharpe)
def sharpe_published(w: Any, m: Any, S: Any) -> Passes:
    u = w @ S
    s = np.sqrt(u @ w)
    y = w @ m / s
    dL = yield y
    g = dL / s
    h = g * y / s
    return {
        "w": g * m - (h / 2) * (u + S @ w),
        "m": g * w,
        "S": (-h / 2 * w)[:, None] * w,
    }


@form(
    "Black-Scholes price of calls",
    "Black & Scholes 1973, eq. 13; greeks as in Hull 2018, ch. 19",
    "S[N]+ K[N]+ s[N]+ t[N]+",
    """q[n] = s[n]*sqrt(t[n])
    d[n] = log(S[n]/K[n])/q[n] + q[n]/2
    C[n] = S[n]*(1/2 + 1/2*erf(d[n]/sqrt(2))) - K[n]*(1/2 + 1/2*erf((d[n] - q[n])/sqrt(2)))""",
    N=300,
)
def black_scholes(S: Any, K: Any, s: Any, t: Any) -> Any:
    from scipy.special import erf

    q = s * np.sqrt(t)
    d = np.log(S / K) / q + q / 2
    up, down = erf(d / np.sqrt(2)), erf((d - q) / np.sqrt(2))
    return S * (0.5 + 0.5 * up) - K * (0.5 + 0.5 * down)


@published(black_scholes)
def black_scholes_published(S: Any, K: Any, s: Any, t: Any) -> Passes:
    from scipy.special import erf

    r = np.sqrt(t)
    q = s * r
    d = np.log(S / K) / q + q / 2
    a = 0.5 + 0.5 * erf(d / np.sqrt(2))
    b = 0.5 + 0.5 * erf((d - q) / np.sqrt(2))
    dC = yield S * a - K * b
    # S φ(d) = K φ(d - q): delta is Φ(d), vega S φ(d) √t.
    dq = dC * S * (np.exp(-0.5 * d**2) * 0.3989422804014327)
    ds = dq * r
    return {"S": dC * a, "K": -dC * b, "s": ds, "t": 0.5 * dq * s / r}


@form(
    "Michaelis-Menten kinetics: fit of rates",
    "Michaelis & Menten 1913; gradient " + HAND,
    "V[N]+ K[N]+ s[M]+ r[N M]+",
    """f[n,m] = V[n]*s[m]/(K[n] + s[m])
    L[] = 1/2*sum(n,m) (f[n,m] - r[n,m])**2""",
)
def michaelis(V: Any, K: Any, s: Any, r: Any) -> Any:
    f = V[:, None] * s / (K[:, None] + s)
    return 0.5 * ((f - r) ** 2).sum()


@published(michaelis)
def michaelis_published(V: Any, K: Any, s: Any, r: Any) -> Passes:
    d = K[:, None] + s
    f = V[:, None] * s / d
    e = f - r
    dL = yield 0.5 * (e**2).sum()
    g = dL * e * f
    return {"V": g.sum(axis=1) / V, "K": -(g / d).sum(axis=1)}


@form(
    "autoregression of order 2",
    "Box & Jenkins 1970; conditional least squares, " + HAND,
    "x[N] a[] b[]",
    "L[] = 1/2*sum(t:N-2) (x[t+2] - a[]*x[t+1] - b[]*x[t])**2",
    N=500,
)
def autoregression(x: Any, a: Any, b: Any) -> Any:
    return 0.5 * ((x[2:] - a * x[1:-1] - b * x[:-2]) ** 2).sum()


@published(autoregression)
def autoregression_published(x: Any, a: Any, b: Any) -> Passes:
    e = x[2:] - a * x[1:-1] - b * x[:-2]
    dL = yield 0.5 * (e**2).sum()
    g = dL * e
    dx = np.zeros_like(x)
    dx[2:] = g
    dx[1:-1] -= a * g
    dx[:-2] -= b * g
    return {"x": dx, "a": -(g @ x[1:-1]), "b": -(g @ x[:-2])}


@form(
    "volume rendering, four samples a ray",
    "Mildenhall et al. 2020, eq. 3; backward " + HAND,
    "s[4 N]+ c[4 N]",
    """a0[n] = 1 - exp(-s[0,n]); a1[n] = 1 - exp(-s[1,n])
    a2[n] = 1 - exp(-s[2,n]); a3[n] = 1 - exp(-s[3,n])
    Y[n] = a0[n]*c[0,n] + exp(-s[0,n])*(a1[n]*c[1,n] + exp(-s[1,n])*(a2[n]*c[2,n] +
        exp(-s[2,n])*a3[n]*c[3,n]))""",
    N=200,
)
def volume_rendering(s: Any, c: Any) -> Any:
    T, Y = 1.0, 0.0
    for k in range(4):
        e = np.exp(-s[k])
        Y = Y + T * (1 - e) * c[k]
        T = T * e
    return Y


@published(volume_rendering)
def volume_rendering_published(s: Any, c: Any) -> Passes:
    T, Y = 1.0, 0.0
    es, Ts, ws = [], [], []
    for k in range(4):
        e = np.exp(-s[k])
        w = T * (1 - e)
        Y = Y + w * c[k]
        T = T * e
        es.append(e), Ts.append(T), ws.append(w)
    dY = yield Y
    # What lies behind a sample, seen through it.
    ds, dc = np.empty_like(s), np.empty_like(c)
    behind = 0.0
    for k in reversed(range(4)):
        dc[k] = dY * ws[k]
        ds[k] = dY * (Ts[k] * c[k] - behind)
        behind = behind + ws[k] * c[k]
    return {"s": ds, "c": dc}


@form(
    "reprojection error of points",
    "Triggs et al. 1999, section 2 (bundle adjustment); Jacobian " + HAND,
    "P[N 3]+ R[3 3] t[3]+ z[N 2]",
    """q[n,i] = (sum(j) R[i,j]*P[n,j]) + t[i]
    L[] = 1/2*sum(n, i:2) (q[n,i]/(q[n,2]**2 + 1)*q[n,2] - z[n,i])**2""",
    N=100,
)
def reprojection(P: Any, R: Any, t: Any, z: Any) -> Any:
    # 1/z smoothed to z/(z² + 1), so that no point lies in the camera's plane.
    q = P @ R.T + t
    d = q[:, 2:] / (q[:, 2:] ** 2 + 1)
    return 0.5 * ((q[:, :2] * d - z) ** 2).sum()


@published(reprojection)
def reprojection_published(P: Any, R: Any, t: Any, z: Any) -> Passes:
    q = P @ R.T + t
    w = q[:, 2:]
    r = w**2 + 1
    d = w / r
    e = q[:, :2] * d - z
    dL = yield 0.5 * (e**2).sum()
    g = dL * e
    dq = np.empty_like(q)
    dq[:, :2] = g * d
    dd = (g * q[:, :2]).sum(axis=1, keepdims=True)
    dq[:, 2:] = dd * (1 / r - 2 * d**2)
    return {"P": dq @ R, "R": dq.T @ P, "t": dq.sum(axis=0)}


@form(
    "random Fourier features",
    "Tancik et al. 2020, eq. 4; Rahimi & Recht 2007; backward " + HAND,
    "X[N 3] B[K 3] W[K M] V[K M]",
    """a[n,k] = sum(d) X[n,d]*B[k,d]
    Y[n,m] = (sum(k) cos(a[n,k])*W[k,m]) + sum(k) sin(a[n,k])*V[k,m]""",
)
def fourier_features(X: Any, B: Any, W: Any, V: Any) -> Any:
    a = X @ B.T
    return np.cos(a) @ W + np.sin(a) @ V


@published(fourier_features)
def fourier_features_published(X: Any, B: Any, W: Any, V: Any) -> Passes:
    a = X @ B.T
    c, s = np.cos(a), np.sin(a)
    dY = yield c @ W + s @ V
    da = c * (dY @ V.T) - s * (dY @ W.T)
    return {"X": da @ B, "B": da.T @ X, "W": c.T @ dY, "V": s.T @ dY}
