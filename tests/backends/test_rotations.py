"""What is read at ``(i + c) % N`` is rolled, forwards and backwards, and keeps its value."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback import derive, grad
from pullback.notation.parse import parse
from tests.backends.agreement import check_backward
from tests.differences import close, differences

SIZES: tuple[dict[str, int], ...] = ({"N": 4, "M": 3}, {"N": 1, "M": 2}, {"N": 2, "M": 1})


def place(rng: Random, letter: str, extent: str) -> str:
    """A place of a periodic axis."""
    by = rng.choice(("", "+1", "-1", "+2", "-3", f"+{extent}//2", f"-{extent}+1"))
    if not by:
        return letter
    return f"({rng.choice(('', '', '-'))}{letter}{by})%{extent}"


def stencil(seed: int) -> str:
    """A sum of products of reads at random places."""
    rng = Random(seed)
    terms = []
    for _ in range(rng.randint(1, 3)):
        reads = [
            f"X[{place(rng, 'n', 'N')},{place(rng, 'm', 'M')}]" for _ in range(rng.randint(1, 2))
        ]
        reads += rng.choice(([], [f"W[{place(rng, 'n', 'N')}]"]))
        terms.append("*".join([str(rng.choice((1, 2, -3))), *reads]))
    body = " + ".join(terms)
    return f"X[N,M]\nW[N]\nY[n:N,m:M] = {rng.choice(('', 'exp'))}({body})"


@pytest.mark.parametrize("seed", range(16))
def test_random_stencils_are_rolled(seed: int) -> None:
    for sizes in SIZES:
        source = check_backward(parse(stencil(seed)), sizes)
        assert not any(word in source for word in ("arange", "add.at", "np.pad"))


OTHERS = {
    "two indices": "X[N,N]\nY[i,j] = X[(i+j)%N,i]*X[(i+1)%N,j]",
    "a diagonal": "X[N,N]\nY[i:N] = X[(i+1)%N,i]",
    "a shorter axis": "X[N]\nY[i:2*N] = X[(i+1)%N]",
    "the same index in a condition": "X[N]\nY[i:N] = [i < 1]*X[(i+1)%N]",
    "under a condition on data": "X[N]\nY[i:N] = [X[i] > 0]*X[(i-1)%N]*X[(i-1)%N]",
    "an index that is summed over": "X[N]\nW[N]\nY[k:N] = sum(i) W[i]*X[(i+k)%N]",
    "a sum of rolled products": "X[N,M]\nW[M,N]\nY[i:N,j] = sum(k:M) X[(i+1)%N,k]*W[k,j]",
    "a convolution": "X[N]\nW[N]\nY[i:N] = sum(k:N) W[k]*X[(i-k)%N]",
    "by a lookup": "X[N,M]\nY[m:M,n:N] = X[(n+1)%N,c[m]]",
    "over two axes": "X[N,M]\nY[n:N,m:M] = X[((M*n+m-1)%(N*M))//M,(m-1)%M]",
    "over three axes": (
        "X[2,N,M]\nY[k:2,n:N,m:M] = "
        "X[((N*M*k+M*n+m+1)%(2*N*M))//(N*M),((N*M*k+M*n+m+1)%(2*N*M))//M%N,(m+1)%M]"
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_cyclic_reads_keep_their_values(name: str) -> None:
    for sizes in SIZES:
        check_backward(parse(OTHERS[name]), sizes)


def test_the_end_and_the_start_of_an_array_are_rolled_as_one() -> None:
    for name in ("over two axes", "over three axes"):
        source = check_backward(parse(OTHERS[name]), SIZES[0])
        assert source.count("np.roll(") == 2 and "arange" not in source


def laplacian(u: Any) -> Any:
    return np.roll(u, 1) - 2 * u + np.roll(u, -1)


def laplacian_2d(u: Any) -> Any:
    return sum(np.roll(u, by, axis) for by in (1, -1) for axis in (0, 1)) - 4 * u


def padded(u: Any) -> Any:
    wide = np.pad(u, 1, mode="wrap")
    return wide[2:] - 2 * u + wide[:-2]


def pieces(u: Any) -> Any:
    return np.concatenate([u[-1:], u[:-1]]) + np.concatenate([u[1:], u[:1]])


def indexed(u: Any) -> Any:
    n = u.shape[0]
    return u[(np.arange(n) - 1) % n] - u[(np.arange(n) + 1) % n]


def half(u: Any) -> Any:
    return np.roll(u, len(u) // 2) * u


def by_tuple(u: Any) -> Any:
    return np.roll(u, (2, -1), axis=(0, 1)) + np.roll(u, 5)


# the function, its axes, rolls of the backward pass
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], str, int]] = {
    "laplacian": (laplacian, "N", 2),
    "laplacian_2d": (laplacian_2d, "N M", 4),
    "padded": (padded, "N", 2),
    "pieces": (pieces, "N", 2),
    "indexed": (indexed, "N", 2),
    "half": (half, "N", 2),
    "by_tuple": (by_tuple, "N M", 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_backward_pass_rolls_as_often_as_the_forward_pass(name: str) -> None:
    function, axes, count = FUNCTIONS[name]
    source = derive(function, u=axes).source()
    backward = source[source.index("def backward") :]
    assert backward.count("np.roll(") == count
    assert not any(word in backward for word in ("arange", "np.pad", "+=", "np.zeros"))
    for shape in ((5, 4), (2, 1), (1, 3)):
        u = np.random.default_rng(0).normal(size=shape[: len(axes.split())])
        seed = np.cos(np.arange(u.size)).reshape(u.shape)
        found = grad(lambda u, seed=seed: (function(u) * seed).sum())(u)
        assert close(found, differences(function, (u,), seed, 0))


def test_a_longer_end_than_the_array_is_no_roll() -> None:
    """NumPy takes what there is: the last three of two are both."""

    def turned(u: Any) -> Any:
        return np.concatenate([u[-3:], u[:-3]]) * u

    space: dict[str, Any] = {}
    exec(derive(turned, u="N").source(), space)
    for n in (2, 5):
        u = np.arange(n) + 1.0
        np.testing.assert_array_equal(space["forward"](u)[0], turned(u))


def test_products_and_sums_that_are_read_at_one_place_are_rolled_once() -> None:
    source = check_backward(parse("X[N]\nW[N]\nY[i:N] = X[(i+1)%N]*W[i]*W[(i+1)%N]"), SIZES[0])
    backward = source[source.index("def backward") :]
    rolls = re.findall(r"np\.roll\(.*?, -?1\)", backward)
    assert len(rolls) == len(set(rolls)) <= 4
    divided = check_backward(parse("X[N]\nW[N]\nY[i:N] = W[i]*X[(i+1)%N]/W[(i+1)%N]"), SIZES[0])
    assert "np.roll(" in divided
