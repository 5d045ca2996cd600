"""Sums that hold a sum that another gradient needs: the same values, and no more work."""

from __future__ import annotations

from random import Random

import pytest

from pullback.calculus.contained import contained_sums
from pullback.calculus.effort import Effort
from pullback.calculus.linear import Linear
from pullback.calculus.normal import Poly, expression, poly
from pullback.calculus.present import factored
from pullback.calculus.reverse import _Reverse
from pullback.calculus.share import cost_together
from pullback.ir.expr import Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.notation.parse import parse

from .oracle import draw, flat

INPUTS = "X[H,W,C]; Y[H,W,C]; g[C]; h[C]; w[W]; A[H,W]\nT[i,j,c] = X[i,j,c] + w[j]*g[c]\n"
SIZES = {"H": 3, "W": 2, "C": 2}


def contained(text: str) -> tuple[Program, dict[Tensor, Poly], list[Define]]:
    """A program, the forms of its statements, and the statements with the sums that are found."""
    program = parse(INPUTS + text)
    search = _Reverse(Linear(program, None, {}), Effort())
    own = {s.target: s for s in program.statements if s.target.name != "T"}
    forms = {t: poly(s.body, True) for t, s in own.items()}
    patterns, after = contained_sums(forms, search.defs, search.names, search.lin, search.known)
    found = [Define(p.target, p.axes, expression((p.body,)), user=False) for p in patterns]
    found += [Define(t, own[t].indices, expression(form)) for t, form in after.items()]
    if patterns:
        every = [expression((p.body,)) for p in patterns]
        every += [factored(form, search.known) for form in after.values()]
        before = cost_together(factored(form, search.known) for form in forms.values())
        assert cost_together(every) < before
    return program, forms, found


FOUND = {
    "times a vector": (
        "a[c] = sum(i,j) X[i,j,c]*Y[i,j,c]; b[] = sum(i,j,c) g[c]*X[i,j,c]*Y[i,j,c]",
        1,
    ),
    "both with a vector": (
        "a[] = sum(i,j,c) h[c]*X[i,j,c]*Y[i,j,c]; b[] = sum(i,j,c) g[c]*X[i,j,c]*Y[i,j,c]",
        1,
    ),
    "by another index": (
        "a[j] = sum(i,c) X[i,j,c]*Y[i,j,c]; b[] = sum(i,j,c) g[c]*X[i,j,c]*Y[i,j,c]",
        0,
    ),
    "once only": ("a[c] = sum(i,j) X[i,j,c]*Y[i,j,c]; b[c] = sum(i,j) X[i,j,c]*A[i,j]", 0),
    "the same sum": ("a[c] = sum(i,j) X[i,j,c]*Y[i,j,c]; b[c] = 2*(sum(i,j) X[i,j,c]*Y[i,j,c])", 0),
    "under a condition": (
        "a[c] = sum(i,j) X[i,j,c]*Y[i,j,c]; b[] = sum(i,j,c) g[c]*X[i,j,c]*Y[i,j,c]*[i < j]",
        0,
    ),
    "one factor": ("a[c] = sum(i,j) X[i,j,c]; b[] = sum(i,j,c) g[c]*X[i,j,c]", 0),
    "three large factors": (
        "a[c] = sum(i,j) X[i,j,c]*Y[i,j,c]**2; b[] = sum(i,j,c) g[c]*X[i,j,c]*Y[i,j,c]**2",
        1,
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_which_sums_are_contained(name: str) -> None:
    text, count = FOUND[name]
    _, forms, found = contained(text)
    assert len(found) - len(forms) == count


EXTENTS = {"i": "i:H", "j": "j:W", "c": "c:C"}
READS = ("X[i,j,c]", "Y[i,j,c]", "T[i,j,c]")


def random_sum(rng: Random, name: str) -> str:
    free = rng.sample("ijc", rng.randint(0, 2))
    left, bound = (
        ",".join(EXTENTS[i] for i in "ijc" if (i in free) is side) for side in (True, False)
    )
    terms = []
    for _ in range(rng.randint(1, 2)):
        reads = rng.choices((*READS, *READS, "g[c]", "h[c]", "w[j]", "A[i,j]"), k=rng.randint(2, 4))
        terms.append(f"{rng.choice((1, 2, -1))}*(sum({bound}) {'*'.join(reads)})")
    return f"{name}[{left}] = {' + '.join(terms)}"


@pytest.mark.parametrize("seed", range(60))
def test_random_sums_keep_their_values(seed: int) -> None:
    rng = Random(seed)
    text = "; ".join(random_sum(rng, f"v{k}") for k in range(rng.randint(2, 3)))
    program, forms, found = contained(text)
    values = draw(program.inputs, SIZES, seed)
    given = next(s for s in program.statements if s.target.name == "T")
    after = Program(program.inputs, (given, *found), tuple(forms))
    one, other = (run(p, values, sizes=SIZES) for p in (program, after))
    for tensor in forms:
        assert flat(other[tensor.name]) == pytest.approx(flat(one[tensor.name])), text
