"""A program along a line: f(X + t·V) for numbers t, and the slope there by the derivation.

Small programs are evaluated by the interpreter in 100-digit numbers, so that no rounding is seen;
larger ones by generated NumPy source, where what rounding does is estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from math import isnan, log10, sqrt
from typing import Any

import numpy as np

from ..calculus.pushforward import pushforward
from ..derivation import Derivation
from ..errors import ArgumentError, ShapeError
from ..graph.evaluate import Runner, points
from ..graph.numbers import numbers_given
from ..ir.interpret import Array, run
from ..ir.program import Program
from ..text import nearest
from ..verify.decimals import MORE_DECIMALS

MOST_EXACT = 1500  # points of all statements up to which 100-digit numbers are affordable
NOISE = 1e-80  # what 100-digit numbers leave of a zero, relative
TINY = 1e-12  # a step, relative, over which floats change in their last digits
# Pairs of steps, the smaller one first looked at, from which the order of an error is read.
NEAR = (Fraction(1, 10**17), Fraction(1, 10**9), Fraction(1, 10**5))


class Line:
    """f(X + t·V): ``given`` are the arrays X by name, ``along`` the arrays V of those that move."""

    def __init__(
        self,
        derivation: Derivation,
        given: Mapping[str, Any],
        along: Any,
        seed: int,
        method: str,
        *,
        exact: bool = False,
    ) -> None:
        self.derivation = derivation
        self.program = derivation.backward.program
        self.given, self.sizes = numbers_given(derivation, given, method)
        self.along = _direction(derivation, self.given, along, seed)
        self.moved = tuple(t for t in derivation.backward.wrt if t.name in self.along)
        self.outputs = tuple(t for t in self.program.outputs if t.kind == "float")
        count = sum(points(s, self.sizes) for s in self.program.statements)
        self.exact = exact or count <= MOST_EXACT
        self.length = sqrt(sum(float(np.sum(v * v)) for v in self.along.values()))
        for name, value in (("", self.here), ("the slope of ", self.slope)):
            if not all(_finite(v) for v in value):
                what = ", ".join(t.name for t in self.outputs)
                raise ArgumentError(
                    f"{name}{what} is not finite at these numbers", hint="choose others"
                )

    def values(self, t: Any) -> list[Any]:
        """All elements of the outputs at X + t·V."""
        return self._run(self.program, self._at(t))

    @cached_property
    def here(self) -> list[Any]:
        """All elements of the outputs at X."""
        return self.values(0)

    @cached_property
    def slope(self) -> list[Any]:
        """∂f/∂X V by forward mode."""
        return self._slope(0)

    def _slope(self, t: Any) -> list[Any]:
        forward = pushforward(self.program, self.moved, dict(self.derivation.conventions))
        tangents = forward.inputs[len(self.program.inputs) :]
        directions = {
            t.name: self.along[of.name] for t, of in zip(tangents, self.moved, strict=True)
        }
        return self._run(forward, {**self._at(t), **directions})

    def remainder(self, t: Any) -> float:
        """The norm of f(X + t·V) - f(X) - t·∂f/∂X V; NaN where f isn't finite there."""
        t = self.number(t)
        parts = zip(self.values(t), self.here, self.slope, strict=True)
        return norm([moved - here - t * slope for moved, here, slope in parts])

    def number(self, t: Any) -> Any:
        """A number of the arithmetic."""
        return MORE_DECIMALS.element(t) if self.exact else float(t)

    @cached_property
    def agrees(self) -> bool:
        """Whether ⟨U, ∂f/∂X V⟩ = ⟨dX, V⟩ for the derivation's own gradients and a random U."""
        backward = self.derivation.backward
        rng = np.random.default_rng(self.derivation.seed)
        shapes = [tuple(n.value(self.sizes) for n in t.shape) for t in self.outputs]
        seeds = [rng.normal(size=shape) for shape in shapes]
        upstream = {t.name: u for t, u in zip(backward.cotangents, seeds, strict=True)}
        statements = (*backward.forward.statements, *backward.statements)
        pairs = zip(backward.wrt, backward.gradients, strict=True)
        wanted = [(t, gradient) for t, gradient in pairs if t in self.moved]
        inputs = (*self.program.inputs, *backward.cotangents)
        own = Program(inputs, statements, tuple(g for _, g in wanted))
        found = self._run(own, {**self._at(0), **upstream})
        directions = [v for t, _ in wanted for v in np.ravel(self.along[t.name])]
        left = sum(float(u) * float(s) for u, s in zip(_flat(seeds), self.slope, strict=True))
        right = sum(float(g) * float(v) for g, v in zip(found, directions, strict=True))
        size = sum(abs(float(g) * float(v)) for g, v in zip(found, directions, strict=True))
        return bool(abs(left - right) <= 1e-9 * max(1.0, size))

    def _at(self, t: Any) -> dict[str, Any]:
        found = dict(self.given)
        for tensor in self.moved:
            value, along = self.given[tensor.name], self.along[tensor.name]
            if self.exact and t:
                pairs = zip(np.ravel(value).tolist(), np.ravel(along).tolist(), strict=True)
                number, step = MORE_DECIMALS.element, self.number(t)
                moved = [number(x) + step * number(v) for x, v in pairs]
                found[tensor.name] = Array(value.shape, moved)
            else:
                found[tensor.name] = value + float(t) * along
        return found

    def _run(self, program: Program, values: Mapping[str, Any]) -> list[Any]:
        if self.exact:
            made = run(program, values, MORE_DECIMALS, self.sizes)
            return [v for t in program.outputs for v in made[t.name].flat]
        runner = Runner(dict(values), self.sizes)
        runner.compiled(program.statements)
        return _flat([runner.values[t.name] for t in program.outputs])

    # How errors fall

    def noise(self, t: Any) -> float:
        """What rounding is in a remainder, about."""
        if self.exact:
            return NOISE * max(1.0, norm(self.here))
        here, slope = self._noises
        return here + abs(float(t)) * slope

    @cached_property
    def _noises(self) -> tuple[float, float]:
        """What rounding is in f and in its slope: their second differences over steps so small
        that nothing else is left of them (Moré and Wild 2011)."""
        inputs = [np.max(np.abs(self.given[t.name]), initial=1.0) for t in self.moved]
        ways = [np.max(np.abs(v), initial=0.0) for v in self.along.values()]
        step = TINY * float(max(inputs) / max(ways))
        found = []
        for value in (self.values, self._slope):
            bends = np.diff([np.array(value(k * step)) for k in range(-4, 5)], 2, axis=0)
            typical = float(np.median([np.linalg.norm(bend) for bend in bends]))
            found.append(8 * typical + 4 * float(np.finfo(np.float64).eps) * norm(value(0)))
        return found[0], found[1]

    @cached_property
    def orders(self) -> tuple[float | None, float | None]:
        """The powers of t with which the remainder falls along V and against it."""
        return self.order(self.remainder), self.order(lambda t: self.remainder(-t))

    def order(self, error: Callable[[Any], float]) -> float | None:
        """With which power of t an error falls near t = 0; None where it is 0.

        Read from pairs of steps, of which the smallest with more than rounding errors tells. NaN
        where an error isn't finite.
        """
        for t in NEAR if self.exact else (Fraction(1, 10**k) for k in range(8, 1, -1)):
            small, large = error(t), error(10 * t)
            if not (_finite(small) and _finite(large)):
                return float("nan")
            if small > self.noise(t) * (1 if self.exact else 10):
                return log10(large / small) if large > 0 else 0.0
        return None


def least(orders: Iterable[float | None]) -> float | None:
    """The least of some orders that there are."""
    return min((o for o in orders if o is not None and not isnan(o)), default=None)


def norm(values: list[Any]) -> float:
    """The root of the sum of squares."""
    total = sum(v * v for v in values)
    return float(total**0.5) if _finite(total) else float("nan")


def _finite(value: Any) -> bool:
    return bool(value - value == 0)


def _flat(arrays: list[Any]) -> list[Any]:
    return [v for array in arrays for v in np.ravel(array).tolist()]


def _direction(
    derivation: Derivation, given: Mapping[str, Any], along: Any, seed: int
) -> dict[str, Any]:
    """The arrays of a direction, by the names of the inputs that move."""
    if along is None:
        found = _drawn(derivation, given, seed)
    else:
        found = _along([t.name for t in derivation.backward.wrt], given, along)
    length = sum(float(np.sum(v * v)) for v in found.values())
    if not 0 < length < float("inf"):
        raise ArgumentError("the direction is 0 or not finite", expected="a direction to move in")
    return found


def _drawn(derivation: Derivation, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A random direction of length 1 in which all inputs move; 1 for a number alone."""
    wrt = derivation.backward.wrt
    if len(wrt) == 1 and not wrt[0].shape:
        return {wrt[0].name: np.ones(())}
    rng = np.random.default_rng(seed)
    drawn = {t.name: rng.normal(size=given[t.name].shape) for t in wrt}
    length = sqrt(sum(float(np.sum(v * v)) for v in drawn.values())) or 1.0
    return {name: v / length for name, v in drawn.items()}


def _along(names: list[str], given: Mapping[str, Any], along: Any) -> dict[str, Any]:
    """A direction as it is given."""
    if not isinstance(along, Mapping):
        if len(names) > 1:
            raise ArgumentError(
                "the direction could be that of several inputs",
                expected=f"a dict by names: along={{{names[0]!r}: ...}}",
            )
        along = {names[0]: along}
    found = {}
    for name, value in along.items():
        if name not in names:
            close = nearest(str(name), names)
            raise ArgumentError(
                f"nothing was derived for {str(name)[:80]!r}, so that it can't move",
                expected=f"a direction for some of {', '.join(names)}",
                hint=f"did you mean {' or '.join(close)}?" if close else "",
            )
        array = np.asarray(value, dtype=np.float64)
        if array.shape != given[name].shape:
            raise ShapeError(
                f"the direction has another shape than {name}",
                expected=f"shape {given[name].shape}",
                found=f"shape {array.shape}",
            )
        found[name] = array
    return found
