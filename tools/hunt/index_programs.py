"""Random index notation, through text, against the plain interpreter and its differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import pullback
from pullback.errors import CheckError
from pullback.ir.arithmetic import FLOAT
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.plain import show_program
from pullback.verify.samples import draw, draw_sizes
from tests.properties.random_programs import Maker

from .outcome import Array, Undefined, Wrong, expect_equal, expect_slope, finite, slopes


def index_program(rng: Random) -> None:
    """Value and gradient of a random program that was printed and read again."""
    program = Maker(rng, kinks=rng.randrange(2) == 0).program()
    statements = [*program.statements]
    (sizes,) = list(draw_sizes(statements, program.inputs, rng, 1))[:1] or [None]
    if sizes is None:
        raise Undefined
    sizes = {**dict.fromkeys(program.sizes, 2), **sizes}  # some that nothing reads among them
    style = rng.choice(("signed", "ties"))
    sample = draw(program.inputs, program.statements, sizes, rng, FLOAT, style)
    if sample is None:
        raise Undefined
    given = {t.name: _array(sample.arrays[t.name]) for t in program.inputs}
    given = {
        t.name: given[t.name].astype({"float": np.float64, "int": np.int64, "bool": bool}[t.kind])
        for t in program.inputs
    }
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(rng, program, given, sizes)


def check(rng: Random, program: Program, given: dict[str, Array], sizes: dict[str, int]) -> None:
    def plainly(arrays: dict[str, Any]) -> list[Array]:
        try:
            found = run(program, arrays, sizes=sizes)
        except (CheckError, ZeroDivisionError, OverflowError, ValueError) as error:
            raise Undefined from error
        return [_array(found[t.name]) for t in program.outputs]

    wanted = plainly(given)
    if not finite(wanted):
        raise Undefined
    text = show_program(program)
    derivation = pullback.derive(text)
    free = {name: sizes[name] for name in derivation.backward.program.sizes}
    forward, backward = derivation.compile()
    value, cache = forward(**given, **free)
    results = value if isinstance(value, tuple) else (value,)
    for tensor, one, other in zip(program.outputs, results, wanted, strict=True):
        expect_equal(f"{tensor.name} of\n{text}", one, other, 1e-8)
    values = np.random.default_rng(rng.randrange(2**32))
    seeds = tuple(np.asarray(values.normal(size=np.shape(y))) for y in wanted)
    floats = [t.name for t in program.inputs if t.kind == "float"]
    gradients = backward(seeds if isinstance(value, tuple) else seeds[0], cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    compared = False

    def line_along(along: dict[str, Array]) -> Callable[[float], float]:
        def line(t: float) -> float:
            moved = plainly({**given, **{n: given[n] + t * v for n, v in along.items()}})
            return sum(float(np.sum(s * y)) for s, y in zip(seeds, moved, strict=True))

        return line

    def drawn() -> dict[str, Array]:
        return {name: np.asarray(values.normal(size=given[name].shape)) for name in floats}

    def along_one_element() -> dict[str, Array]:
        found = {name: np.zeros(given[name].shape) for name in floats}
        filled = [array for array in found.values() if array.size]
        if filled:
            rng.choice(filled).flat[0] = 1.0
            for array in filled:
                rng.shuffle(array.reshape(-1))
        return found

    def is_linear() -> bool:
        """Whether slopes add up as those of a gradient do: at some kinks no gradient has them."""
        for turn in range(16):
            one, two = drawn(), along_one_element() if turn % 2 else drawn()
            both = {name: one[name] + two[name] for name in floats}
            found = [slopes(line_along(along)) for along in (one, two, both)]
            if any(s is None or abs(s[0] - s[1]) > 1e-3 * (1 + abs(s[0])) for s in found):
                return False
            first, second, third = (s[0] for s in found if s is not None)
            if abs(first + second - third) > 1e-3 * (1 + abs(first) + abs(second)):
                return False
        return True

    for _ in range(2):
        along = drawn()
        says = sum(float(np.sum(g * along[n])) for g, n in zip(gradients, floats, strict=True))
        if not np.isfinite(says):
            raise Wrong(f"a gradient that is not finite of\n{text}")
        try:
            compared |= expect_slope(f"gradient of\n{text}", line_along(along), says, 1e-6)
        except Wrong:
            if is_linear():
                raise
            raise Undefined from None
    if not compared:
        raise Undefined


def _array(value: Any) -> Array:
    """The interpreter's array as NumPy's."""
    flat = value.flat if hasattr(value, "flat") else [value]
    return np.array(list(flat)).reshape(value.shape)
