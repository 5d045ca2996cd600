"""LaTeX for papers: styles, names, lines, values, and what TeX says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.derivation import Derivation
from pullback.derivation.fragment import NEEDS, drawn
from pullback.errors import ArgumentError
from pullback.ir.interpret import Array, define
from pullback.ir.program import Define
from pullback.ir.walk import nodes
from pullback.layers import LAYERS
from pullback.notation.latex import Latex
from pullback.notation.naming import STYLES, checked_latex
from pullback.notation.typeset import broken, pieces
from pullback.ir.expr import Arg, Reduce, Tensor

from .notation.latex_reader import Reader, equations
from .properties.random_programs import Maker

SIZES = {"N": 2, "M": 3, "K": 2}


def arrays_for(derivation: Derivation, random: Random) -> dict[str, Array]:
    """Values for every tensor that a backward pass reads or makes; they need not fit each other."""
    passes = derivation.backward
    made = [s.target for s in (*derivation.shared, *passes.forward.statements, *passes.statements)]
    found = {}
    for tensor in (*passes.program.inputs, *passes.cotangents, *made):
        shape = tuple(n.value(SIZES) for n in tensor.shape)
        flat = [_drawn(tensor, random) for _ in product(*map(range, shape))]
        found[tensor.name] = Array(shape, flat)
    if len(passes.cotangents) == 1 and not passes.cotangents[0].shape:
        found[passes.cotangents[0].name] = Array((), [1.0])
    return found


def _drawn(tensor: Tensor, random: Random) -> float:
    return random.uniform(-1, 1) if tensor.kind == "float" else random.randrange(2)


def check_values(derivation: Derivation, style: str, width: float, seed: int) -> int:
    """Reads the backward pass back, as it is printed, and evaluates it beside the interpreter."""
    arrays = arrays_for(derivation, Random(seed))
    found = equations(derivation.latex(style=style, width=width))
    look = Latex(drawn(derivation, style).look)
    tensors: dict[tuple[str, str], Any] = {}
    for name, array in arrays.items():
        before, _, behind = look.read(name, ["@"] if array.shape else []).partition("@")
        tensors[before, behind] = array.tolist()
    letters = {look.word(name): value for name, value in SIZES.items()}
    checked = 0
    for s in (*derivation.shared, *derivation.backward.statements):
        text = found.get(look.show(s.access))
        extents = _extents(s, look)
        if text is None or extents is None:  # put in place, or one letter for two extents
            continue
        value = Reader(tensors, letters, extents).read(text)
        wanted = define(s, arrays, SIZES)
        indices = [look.index(i) for i in s.indices]
        places = product(*(range(extents[i]) for i in indices))
        got = [value(dict(zip(indices, place, strict=True))) for place in places]
        assert got == pytest.approx(wanted.flat, rel=1e-9, abs=1e-12, nan_ok=True), text
        checked += 1
    return checked


def _extents(statement: Define, look: Latex) -> dict[str, int] | None:
    found: dict[str, int] = {}
    bound = [i for n in nodes(statement.body) if isinstance(n, Reduce) for i in n.indices]
    for index in (*statement.indices, *bound):
        extent = index.extent.value(SIZES)
        if found.setdefault(look.index(index), extent) != extent:
            return None
    return None if any(isinstance(n, Arg) for n in nodes(statement.body)) else found


@pytest.mark.parametrize("seed", range(40))
def test_what_is_printed_has_the_value_of_what_runs(seed: int) -> None:
    derivation = Derivation(reverse(Maker(Random(seed)).program()))
    width = (8.0, 12.0, 31.0)[seed % 3]
    assert check_values(derivation, STYLES[seed % 4], width, seed) or not derivation.shared
