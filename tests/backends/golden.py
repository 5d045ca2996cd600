"""The source of ten forms, as it is written for PyTorch and for JAX.

``python -m tests.backends.golden`` writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path

GOLDEN = str(Path(__file__).parent / "golden_{}.txt")

TEXTS = {
    "affine and relu": "Y[n,m] = relu(sum(d) X[n,d]*W[d,m] + b[m])",
    "layer norm": "mu[n] = mean(d) X[n,d]; c[n,d] = X[n,d] - mu[n]; "
    "r[n] = (mean(d) c[n,d]**2 + eps[])**(-1/2); Y[n,d] = g[d]*c[n,d]*r[n] + b[d]",
    "softmax": "m[n] = max(c) S[n,c]; E[n,c] = exp(S[n,c] - m[n]); P[n,c] = E[n,c]/(sum(k) E[n,k])",
    "cross-entropy": "m[n] = max(c) S[n,c]; E[n,c] = exp(S[n,c] - m[n]); "
    "L[] = mean(n) (log(sum(k) E[n,k]) + m[n] - S[n,y[n]])",
    "attention": "A[b,h,q,k] = sum(d) Q[b,h,q,d]*K[b,h,k,d]/D**(1/2); "
    "m[b,h,q] = max(k) A[b,h,q,k]; E[b,h,q,k] = exp(A[b,h,q,k] - m[b,h,q]); "
    "P[b,h,q,k] = E[b,h,q,k]/(sum(j) E[b,h,q,j]); O[b,h,q,d] = sum(k) P[b,h,q,k]*V[b,h,k,d]",
    "embedding": "Y[n,v] = E[t[n],v]",
    "gated linear unit": "X[N, 2*D]; Y[n,d:D] = X[n,d]*sigmoid(X[n,D+d])",
    "convolution": "Y[b,f,i,j] = sum(c,p,q) X[b,c,i+p,j+q]*K[f,c,p,q]",
    "max pooling": "X[N, 2*H, 2*W]; Y[n,h:H,w:W] = max(p:2,q:2) X[n,2*h+p,2*w+q]",
    "recurrence": "H[t,j] = tanh(X[t,j] + sum(k) W[j,k]*where(t >= 1, H[t-1,k], h[k]))",
}


def sections(text: str) -> dict[str, str]:
    """The sources of a file by title."""
    parts = re.split(r"^#### (.*)\n", text, flags=re.M)[1:]
    return dict(zip(parts[::2], (part.rstrip("\n") + "\n" for part in parts[1::2]), strict=True))


def main() -> None:
    """Writes the files."""
    import pullback

    for name in ("torch", "jax"):
        written = [f"#### {t}\n{pullback.derive(x).source(name)}" for t, x in TEXTS.items()]
        Path(GOLDEN.format(name)).write_text("\n\n".join(written))


if __name__ == "__main__":
    main()
