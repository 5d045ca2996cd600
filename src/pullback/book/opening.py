"""The opening of the book: from a number to an array, the general layer, notation, two rules,
errata of common texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from importlib.resources import files
from string import Template
from typing import Any

from ..api import derive
from ..derivation import Derivation
from ..report.html import blocks
from ..report.outline import Block, Formula, Table, Walk, outline
from .chapter import Chapter, Part
from .formulas import by_katex, display, inline

ROWS = 4  # of the tables of linear approximations
# What is moved: a definition, where it stands, and along what.
MOVED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "number": ("f = x[]**2", {"x": 3}, {"x": 1}),
    "array": (
        "h[m] = tanh(sum(d) W[m,d]*x[d])",
        {"x": [1, 2], "W": [[1, 0], [0, 1]]},
        {"x": [1, -1]},
    ),
}
AFFINE = "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"
# What the opening derives: a definition, and by which input.
DERIVED = {
    "rows": ("Y[n,m] = sum(d) X[n,d]*W[d,m]", "X W"),
    "columns": ("Y[m,n] = sum(d) W[m,d]*X[d,n]", "X W"),
    "relu": ("Y[n,d] = maximum(X[n,d], 0)", "X"),
    "softmax": ("P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])", "S"),
    "sigmoid": ("y[i] = sigmoid(x[i])", "x"),
    "bias": (AFFINE, "b"),
    "norm": (
        "mu[d] = mean(n) X[n,d]; xc[n,d] = X[n,d] - mu[d]; v[d] = mean(n) xc[n,d]**2; "
        "s[d] = 1/sqrt(v[d] + 0.00001); Y[n,d] = xc[n,d]*s[d]",
        "X",
    ),
}


@cache
def opening() -> Chapter:
    """The first page: its text with what is derived put in."""
    written = files(__package__).joinpath("assets", "opening.html").read_text(encoding="utf-8")
    whole = Template(_formulas(written)).substitute(_affine(), **dict(_derived()), **dict(_moved()))
    lead, *rest = re.split(r"<!-- (\w+): (.*?) -->\n", whole)
    parts = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return Chapter(lead, tuple(Part(anchor, title, inner) for anchor, title, inner in parts))


def _formulas(written: str) -> str:
    r"""The text with ``\(...\)`` and ``\[...\]`` as formulas."""
    shown = re.sub(r"\\\[(.*?)\\\]", lambda m: display(unescape(m[1])), written, flags=re.DOTALL)
    return re.sub(r"\\\((.*?)\\\)", lambda m: inline(unescape(m[1])), shown, flags=re.DOTALL)


def _affine() -> dict[str, str]:
    """The dimension analysis of the affine layer, and the walk to the gradient of its input."""
    affine, product = derive(AFFINE), derive(DERIVED["rows"][0])
    (walk,) = (b for b in _blocks(product, "steps") if isinstance(b, Walk) and b.of.name == "X")
    return {
        "dimensions": blocks(_blocks(affine, "dimensions"), by_katex(affine)),
        "walk": blocks([walk], by_katex(product)),
    }


def _moved() -> Iterator[tuple[str, str]]:
    """The linear approximations, for a step and tenths of it."""
    for name, (definition, given, along) in MOVED.items():
        derived = derive(definition)
        head, rows = derived.approximation(given, along=along).columns()
        table = Table(tuple(head), tuple(map(tuple, rows[:ROWS])), tuple(range(len(head))))
        yield name, blocks([table], by_katex(derived))


def _derived() -> Iterator[tuple[str, str]]:
    for name, (definition, wanted) in DERIVED.items():
        derived = derive(definition, wrt=wanted.split())
        formulas = [b for b in _blocks(derived, "backward") if isinstance(b, Formula)]
        yield name, blocks(formulas, by_katex(derived))


def _blocks(derived: Derivation, anchor: str) -> tuple[Block, ...]:
    """A section of the report's outline."""
    return next(s.blocks for s in outline(derived, source=False) if s.anchor == anchor)
