"""Places that are permuted digit by digit: their gradients are views, and no scatter."""

from __future__ import annotations

import pytest

from pullback.notation.parse import parse
from tests.backends.agreement import check_backward

SIZES: tuple[dict[str, int], ...] = ({"N": 2, "D": 3, "E": 2}, {"N": 1, "D": 1, "E": 3})

PERMUTED = {
    "the other of two": "X[N,2*D]\nY[n,d:2*D] = X[n,2*(d//2)+1-d%2]",
    "the other of two, spelled with a remainder": (
        "X[N,2*D]\nY[n,d:2*D] = [0 <= d+1-2*(d%2) < 2*D]*X[n,d+1-2*(d%2)]"
    ),
    "the other half": "X[N,2*D]\nS[N,2*D]\nY[n,d:2*D] = X[n,(d+D)%(2*D)]*S[n,d]",
    "digits backwards": "X[N,D*E]\nY[n,k:D*E] = X[n,E*(k//E)+E-1-k%E]",
    "both digits backwards": "X[N,D*E]\nY[n,k:D*E] = X[n,E*(D-1-k//E)+E-1-k%E]",
    "digits exchanged": "X[N,D*E]\nY[n,k:E*D] = X[n,E*(k%D)+k//D]",
    "one backwards, exchanged": "X[N,D*E]\nY[n,k:E*D] = X[n,E*(k%D)+E-1-k//D]",
    "rotary embedding, pairs": (
        "X[N,2*D]\nC[N,D]\nS[N,D]\n"
        "Y[n,d:2*D] = X[n,d]*C[n,d//2] + where(d%2 == 0, -1, 1)*X[n,2*(d//2)+1-d%2]*S[n,d//2]"
    ),
    "rotary embedding, even and odd": (
        "X[N,2*D]\nC[N,D]\nS[N,D]\nA[n,k:D] = X[n,2*k]*C[n,k] - X[n,2*k+1]*S[n,k]\n"
        "B[n,k:D] = X[n,2*k+1]*C[n,k] + X[n,2*k]*S[n,k]\n"
        "Y[n,d:2*D] = where(d%2 == 0, A[n,d//2], B[n,d//2])"
    ),
    "rotary embedding, halves": (
        "X[N,2*D]\nC[N,2*D]\nS[N,2*D]\n"
        "R[n,d:2*D] = where(d < D, -pad(X,0)[n,d+D], pad(X,0)[n,d-D])\n"
        "Y[n,d] = X[n,d]*C[n,d] + R[n,d]*S[n,d]"
    ),
    "a stride": "X[N,2*D]\nY[n,k:D] = X[n,2*k]*X[n,2*k+1]",
    "odd places only": "X[N,2*D]\nY[n,d:2*D] = [not d%2 == 0]*X[n,d]**2",
}


@pytest.mark.parametrize("name", PERMUTED)
def test_digits_are_gathered_and_not_scattered(name: str) -> None:
    for sizes in SIZES:
        source = check_backward(parse(PERMUTED[name]), sizes)
        assert "add.at" not in source


def test_what_is_no_permutation_keeps_its_values() -> None:
    for text in (
        "X[N,2*D]\nY[n,d:2*D] = X[n,2*(d//2)]",
        "X[N,2*D]\nY[n,d:2*D] = X[n,d//2+d%2]",
        "X[N,D]\nY[n,d:2*D] = X[n,d//2]*X[n,(2*D-1-d)//2]",
        "X[N,3*D]\nY[n,d:2*D] = X[n,d//2*3+2-d%2]",
        "X[N,2*D]\nY[n,d:D,e:2] = X[n,2*d+1-e]*X[n,2*d+e]",
    ):
        for sizes in SIZES:
            check_backward(parse(text), sizes)
