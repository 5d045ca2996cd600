"""Recurrences that the tests run: recurrent networks, and what else a recurrence can look like."""

from __future__ import annotations


def gate(name: str, function: str, state: str = "H", start: str = "h") -> str:
    """A gate of a recurrent cell: of the input and of what the step before handed on."""
    before = f"where(t >= 1, {state}[t-1,n,k], {start}[n,k])"
    return (
        f"{name}[t,n,j] = {function}(sum(d) X[t,n,d]*U{name}[d,j] + sum(k) {before}*W{name}[k,j]"
        f" + b{name}[j])\n"
    )


RNN = gate("H", "tanh")
LSTM = (
    gate("I", "sigmoid") + gate("F", "sigmoid") + gate("O", "sigmoid") + gate("G", "tanh")
    + "C[t,n,j] = F[t,n,j]*where(t >= 1, C[t-1,n,j], c[n,j]) + I[t,n,j]*G[t,n,j]\n"
    + "H[t,n,j] = O[t,n,j]*tanh(C[t,n,j])\n"
)  # fmt: skip
GRU = (
    gate("R", "sigmoid")
    + gate("Z", "sigmoid")
    + "V[t,n,j] = tanh(sum(d) X[t,n,d]*Uv[d,j] + bu[j] + R[t,n,j]*("
    "(sum(k) where(t >= 1, H[t-1,n,k], h[n,k])*Wv[k,j]) + bw[j]))\n"
    "H[t,n,j] = (1 - Z[t,n,j])*V[t,n,j] + Z[t,n,j]*where(t >= 1, H[t-1,n,j], h[n,j])\n"
)
LAST = "sum(t, n, j if t = T-1) H[t,n,j]**2"

PROGRAMS = {
    "rnn": RNN,
    "named sum": """
        A[t,n,j] = sum(d) X[t,n,d]*U[d,j] + sum(k) pad(H,0)[t-1,n,k]*W[k,j]
        H[t,n,j] = tanh(A[t,n,j])
    """,
    "lstm": LSTM,
    "lstm with its last state": LSTM + "return H, C",
    "gru": GRU,
    "elman": RNN + "Y[t,n,o] = sum(j) H[t,n,j]*V[j,o]",
    "last step": RNN + f"L = {LAST}",
    "linear": "h[t] = a[]*where(t >= 1, h[t-1], h0[]) + x[t]",
    "second order": "y[t] = a[]*pad(y,0)[t-1] + b[]*pad(y,0)[t-2] + x[t]",
    "second order, started": """
        s[2]; y[t:T] = where(t >= 2, a[]*pad(y,0)[t-1] - pad(y,0)[t-2]/2, s[t%2])
    """,
    "reverse": "y[t] = tanh(a[]*pad(y,0)[t+1] + x[t])",
    "bidirectional": """
        F[t,n,j] = tanh(sum(d) X[t,n,d]*U[d,j] + sum(k) pad(F,0)[t-1,n,k]*W[k,j])
        B[t,n,j] = tanh(sum(d) X[t,n,d]*U2[d,j] + sum(k) pad(B,0)[t+1,n,k]*W2[k,j])
        Y[t,n,j] = F[t,n,j] + B[t,n,j]
    """,
    "two layers": RNN + """
        K[t,n,j] = tanh(sum(d) H[t,n,d]*P[d,j] + sum(k) where(t >= 1, K[t-1,n,k], g[n,k])*Q[k,j])
    """,
    "there and back": """
        A[t] = tanh(x[t]*a[] + pad(A,0)[t-1])
        B[t] = A[t]*where(t+1 < T, B[t+1], 1)
        L = sum(t) B[t]*x[t]
    """,
    "first step by itself": """
        H[t,n] = tanh(x[t,n] + where(t = 0, h[n], a[]*H[t-1,n]))
        P[t,n] = where(t = 0, x[t,n], P[t-1,n])*H[t,n]
    """,
    "last step by itself": "H[t,n] = x[t,n]*where(t = T-1, h[n], H[t+1,n])",
    "product": "p[t] = x[t]*where(t >= 1, p[t-1], 1)",
    "running sum": "S[t,n] = x[t,n] + pad(S,0)[t-1,n]",
    "running maximum": "M[t] = where(t >= 1, maximum(x[t], pad(M,0)[t-1]), x[t])",
    "softmax of the state": """
        E[t,k] = exp(sum(j) where(t >= 1, P[t-1,j], p[j])*W[j,k] + x[t,k])
        P[t,k] = E[t,k]/(sum(l) E[t,l])
    """,
    "normalised state": """
        A[t,n,k] = tanh(x[t,n,k] + where(t >= 1, H[t-1,n,k], h[n,k]))
        m[t,n] = mean(k) A[t,n,k]
        H[t,n,k] = (A[t,n,k] - m[t,n])/sqrt((mean(l) (A[t,n,l] - m[t,n])**2) + 1/10)
    """,
    "names of steps": """
        P[t,n] = where(t >= 1, S[t-1,n], s[n])
        Q[t,n] = P[t,n]*P[t,n] + x[t,n]
        S[t,n] = Q[t,n]/(1 + Q[t,n]**2)
    """,
    "whole numbers along": """
        c: int[t] = m[t] + where(t >= 1, c[t-1], 0)
        S[t] = x[t]*a[] + where(t >= 1 and c[t] > 1, pad(S,0)[t-1], 0)
        m: int[T]
    """,
    "gathered": "m: int[T]; H[t,n,j] = tanh(E[m[t],j] + pad(H,0)[t-1,n,j]*w[n,j])",
    "time last in the input": "H[t,n] = tanh(x[n,t] + a[]*where(t >= 1, H[t-1,n], h[n]))",
    "two states crossed": """
        u[t] = x[t] + pad(v,0)[t-1]
        v[t] = u[t]*a[] + pad(u,0)[t-2]
        return v
    """,
    "literal size": "H[t:3,n] = tanh(x[n]*a[] + where(t >= 1, H[t-1,n], h[n]))",
}  # fmt: skip
