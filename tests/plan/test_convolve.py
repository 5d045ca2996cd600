"""What is a convolution: axes along which a kernel slides, and the transposed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Access, Tensor
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant
from pullback.notation.parse import parse
from pullback.plan import arrays
from pullback.plan.convolve import Slide, slide

from . import array_api

N, K = size("N"), size("K")
PLACE, P = Index("i", N), Index("p", K)


def test_a_kernel_slides_along_an_axis() -> None:
    two, three = size(2), size(3)
    start = size(-1)
    sub = at(PLACE) * 2 + at(P) * 3 - constant(1)
    assert slide(sub, [P]) == Slide(PLACE, two, P, three, start)
    assert slide(sub, [PLACE]) == Slide(P, three, PLACE, two, start)
    assert slide(at(PLACE) - at(P), [P]) == Slide(PLACE, size(1), P, size(-1), size(0))
    looked_up = at(Lookup(Access(Tensor("k", (N,), "int"), (at(PLACE),))))
    for sub, taps in (
        (at(PLACE) + at(P), [PLACE, P]),
        (at(PLACE) + at(P), []),
        (at(P) - at(PLACE), [P]),
        (at(PLACE), [PLACE]),
        (at(PLACE) + at(P) + at(Index("q", K)), [P]),
        (looked_up + at(P), [P]),
        (looked_up + at(PLACE), []),
    ):
        assert slide(sub, taps) is None, sub


def convolutions(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The convolutions that a derivation's two passes make, where nothing is changed in place."""
    found: list[str] = []
    for name in ("convolve", "convolve_transposed"):
        make = getattr(arrays, name)

        def noted(*given: Any, name: str = name, make: Callable[..., Any] = make) -> Any:
            found.append(name)
            return make(*given)

        monkeypatch.setattr(arrays, name, noted)
    array_api.spell(reverse(parse(text)))
    return found


CONVOLUTIONS = {
    "one axis": "X[N]; Y[i:N-2] = sum(p:3) X[i+p]*K[p]",
    "strides": "X[N]; Y[i:(N-3)//2+1] = sum(p:3) X[2*i+p]*K[p]",
    "channels": "X[B,C,N]; Y[b,o,i:N-2] = sum(c,p:3) X[b,c,i+p]*K[o,c,p]",
    "margins": "X[N]; Y[i:N] = sum(p:3) pad(X,0)[i+p-1]*K[p]",
    "two axes": "X[H,W]; Y[i:H-1,j:W-2] = sum(p:2,q:3) X[i+p,j+q]*K[p,q]",
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_seen_and_so_is_its_gradient(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = convolutions(CONVOLUTIONS[name], monkeypatch)
    assert set(found) == {"convolve", "convolve_transposed"}


OTHERS = {
    "a kernel of every place": "X[N]; Y[i:N-2] = sum(p:3) X[i+p]*K[i,p]",
    "a diagonal": "X[N,N]; Y[i:N-2] = sum(p:3) X[i+p,i+p]*K[p]",
    "a window without a kernel": "X[N]; Y[i:N-2] = sum(p:3) X[i+p]",
    "a condition": "X[N]; Y[i:N-2] = sum(p:3) [i != p]*X[i+p]*K[p]",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_convolution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not convolutions(OTHERS[name], monkeypatch)
