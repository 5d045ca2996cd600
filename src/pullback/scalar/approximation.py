"""The linear approximation f(X + Δ) ≈ f(X) + ∂f/∂X Δ, with what it leaves: a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isfinite, isnan, log10
from typing import Any

from ..derivation import Derivation
from ..graph.figures import summary
from ..graph.names import label
from ..ir.expr import Tensor
from ..report.curve import Points, loglog
from .line import NEAR, Line, least, norm
from .page import Plot, power_of, times_less

STEPS = tuple(Fraction(1, 10**k) for k in range(7))
NEAREST = NEAR[0]
CLEAR = 1e4  # a remainder so many times the noise has some right digits
CONVENTION = "What stands for the derivative there is a convention."


@dataclass(frozen=True)
class Row:
    """One step of the way to X: its length, the values (of a number by a number), the norms of the
    change, of its linear part and of the remainder. ``rounded`` tells that the remainder is
    rounding."""

    length: float
    value: float | None
    linear: float | None
    change: float
    first: float
    remainder: float
    rounded: bool


class Approximation(Plot):
    """A linear approximation at given numbers; made by :meth:`Derivation.approximation`.

    ``rows`` are the steps, ``order`` the power of ‖Δ‖ with which the remainder falls near X: 2 for
    a smooth function, 1 at a kink, None where the function is linear along Δ. ``svg()`` is the
    plot.

    >>> import pullback
    >>> shown = pullback.derive("y = x[]**3").approximation(x=2)
    >>> round(shown.order, 3), round(shown.rows[1].remainder, 3)
    (2.0, 0.061)
    """

    def __init__(
        self, derivation: Derivation, given: Mapping[str, Any], along: Any, seed: int | None
    ) -> None:
        self.seed = derivation.seed if seed is None else seed
        self.random = along is None and any(t.shape for t in derivation.backward.wrt)
        self.line = Line(derivation, given, along, self.seed, "approximation")
        moved, outputs = self.line.moved, self.line.outputs
        self.scalar = len(moved) == len(outputs) == 1 and not (moved[0].shape or outputs[0].shape)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """From a step of the direction itself down to a millionth of it."""
        return tuple(self._row(t) for t in STEPS)

    def _row(self, step: Fraction) -> Row:
        line, t = self.line, self.line.number(step)
        values = line.values(t)
        first = [t * slope for slope in line.slope]
        change = norm([a - b for a, b in zip(values, line.here, strict=True)])
        remainder = line.remainder(step)
        number = self.scalar and isfinite(change)
        return Row(
            float(step) * line.length,
            float(values[0]) if number else None,
            float(line.here[0] + first[0]) if number else None,
            change,
            norm(first),
            remainder,
            remainder <= line.noise(step),
        )

    @property
    def order(self) -> float | None:
        """The power of ‖Δ‖ with which the remainder falls near X."""
        return least(self.line.orders)

    # What is shown

    @property
    def names(self) -> tuple[str, str]:
        """The outputs and what moves, as one writes them."""
        return ", ".join(label(t.name) for t in self.line.outputs), ", ".join(
            label(t.name) for t in self.line.moved
        )

    def title(self) -> str:
        """The heading."""
        y, x = self.names
        deltas = [f"{label(t.name)} + Δ{label(t.name)}" for t in self.line.moved]
        inside = f"{x} + Δ" if len(deltas) == 1 else ", ".join(deltas)
        y = y if len(self.line.outputs) == 1 else "f"
        if self.scalar:
            return f"{y}({inside}) ≈ {y}({x}) + {y}'({x})·Δ"
        return f"{y}({inside}) ≈ {y}({x}) + {' + '.join(map(self._term, self.line.moved))}"

    def _term(self, of: Tensor) -> str:
        """The linear part that one input brings."""
        y = label(self.line.outputs[0].name) if len(self.line.outputs) == 1 else "f"
        x = label(of.name)
        delta = "Δ" if len(self.line.moved) == 1 else f"Δ{x}"
        if y != "f" and not self.line.outputs[0].shape:
            return f"⟨∂{y}/∂{x}, {delta}⟩" if of.shape else f"∂{y}/∂{x}·{delta}"
        return f"∂{y}/∂{x} {delta}"

    def kinds(self) -> list[str]:
        """What each derivative is: a number, a gradient, a Jacobian, a generalized Jacobian."""
        return [self._kind(y, x) for y in self.line.outputs for x in self.line.moved]

    def _kind(self, y: Tensor, x: Tensor) -> str:
        rows, columns = (tuple(n.value(self.line.sizes) for n in t.shape) for t in (y, x))
        of, by = label(y.name), label(x.name)
        shape = _shape((*rows, *columns))
        match len(rows), len(columns):
            case 0, 0:
                what = f"a number, the {'' if self.alone else 'partial '}derivative"
            case 0, _:
                what = (
                    f"the gradient, of {by}'s shape {shape}: times Δ element by element, added up"
                )
            case _, 0:
                what = f"the derivative by a number, of {of}'s shape {shape}: times the number Δ"
            case 1, 1:
                what = f"the Jacobian, a matrix {shape}: times the vector Δ"
            case _, last:
                axes = f"last {last} axes" if last > 1 else "last axis"
                what = f"the generalized Jacobian, {shape}: summed with Δ over the {axes}, {by}'s"
        return f"∂{of}/∂{by} is {what}"

    def place(self) -> str:
        """Where and along what."""
        line = self.line
        held = [f"{label(t.name)} = {_shown(line.given[t.name])}" for t in line.program.inputs]
        at = f"at {', '.join(held)}"
        if self.scalar:
            y, x = self.names
            slope = line.slope[0] / self._way
            return f"{at}: {y} = {figure(line.here[0])}, {y}'({x}) = {figure(slope)}"
        ways = [f"{label(name)}: {_shown(v)}" for name, v in line.along.items()]
        way = f"drawn at random (seed {self.seed})" if self.random else ", ".join(ways)
        return f"{at}; Δ = t·V with V {way}, ‖V‖ = {figure(line.length)}"

    @property
    def alone(self) -> bool:
        """Whether the function is one of a single variable, as far as it moves."""
        return len(self.line.moved) == 1

    @property
    def _delta(self) -> str:
        return "Δ" if self.scalar else "‖Δ‖"

    @property
    def _way(self) -> float:
        """The direction of a number."""
        (way,) = self.line.along.values()
        return float(way)

    def verdict(self) -> str:
        """How the remainder falls, in words."""
        order, delta, x = self.order, self._delta, self.names[1]
        seen = "" if self.line.exact else ", as far as rounding lets one see"
        left = [row for row in self.rows if not row.rounded]
        if order is None and not left:
            return f"The remainder is 0{seen}: the function is linear along Δ."
        if order is None:
            return (
                f"Near {x} the remainder is 0{seen}: the function is linear there. What is left at "
                f"{delta} = {figure(left[-1].length)} and above comes from beyond a kink."
            )
        said = f"The remainder falls as {power_of(delta, order)}{seen}: "
        said += f"a tenth of Δ leaves {times_less(order)}."
        if order < 0.9:
            said = f"The remainder does not fall as {delta}{seen}: the function jumps at {x}, or "
            said += f"has no finite slope. {CONVENTION}"
        elif order < 1.1:
            said = f"The remainder falls only as {delta}{seen}, like the change itself: a kink at "
            said += f"{x}, where there is no linear approximation. {CONVENTION}"
        elif order < 1.9:
            said += f" There is no second derivative at {x}."
        elif order < 2.1:
            said += f" Remainder/{delta}² tends to {self._half():.4g}, half the second derivative "
            said += "along Δ."
        else:
            said += f" The second derivative along Δ is 0 at {x}."
        if len(left) > 1 and abs(log10(left[-2].remainder / left[-1].remainder) - order) > 0.1:
            said += " The steps in the table are too long to show it."
        sides = self.line.orders
        if len({o is None or isnan(o) for o in sides}) == 2:
            bare = "the remainder is 0" if None in sides else "it has no value"
            said += f" On one side of {x} {bare}."
        return said

    def _half(self) -> float:
        """Half the second derivative along Δ, for a length of 1."""
        if self.line.exact:
            return self.line.remainder(NEAREST) / (float(NEAREST) * self.line.length) ** 2
        noise = self.line.noise
        clear = [row for row in self.rows if row.remainder > CLEAR * noise(row.length)]
        row = (clear or self.rows)[-1]
        return row.remainder / row.length**2

    def columns(self) -> tuple[list[str], list[list[str]]]:
        """The table: heads and rows of text."""
        y, x = self.names if len(self.line.outputs) == 1 else ("f", self.names[1])
        heads = ["‖Δ‖", f"‖change of {y}‖", "‖linear part‖", "‖remainder‖", "remainder/‖Δ‖²"]
        if self.scalar:
            heads = ["Δ", f"{y}({x} + Δ)", f"{y}({x}) + {y}'({x})·Δ", "remainder", "remainder/Δ²"]
        return heads, [self._cells(row) for row in self.rows]

    def _cells(self, row: Row) -> list[str]:
        start, middle = f"{row.length:.6g}", [f"{row.change:.6g}", f"{row.first:.6g}"]
        if self.scalar and self._way < 0:
            start = f"-{start}"
        if row.value is not None and row.linear is not None:
            middle = [f"{row.value:.12g}", f"{row.linear:.12g}"]
        if isnan(row.change):
            return [start, "not finite", "", "", ""]
        if row.rounded:
            return [start, *middle, "0" if self.line.exact else "rounding", ""]
        square = f"{row.remainder / row.length**2:.4g}"
        return [start, *middle, f"{row.remainder:.3g}", square]

    def intro(self) -> list[str]:
        """The kinds of derivatives, and where."""
        return [*(f"  {kind}" for kind in self.kinds()), self.place()]

    def said(self) -> list[str]:
        """How the remainder falls, and whether the derivation's gradients give the same slope."""
        mark = "✓" if self.line.agrees else "✗"
        y, x = self.names
        same = f"{mark} the derived gradients of {x} give the same slope of {y} along Δ"
        return [self.verdict(), same]

    def svg(self) -> str:
        """The plot, with both axes logarithmic; a remainder that is 0 or rounding isn't drawn."""
        rows = [row for row in self.rows if isfinite(row.remainder)]
        change = [(row.length, row.change, True) for row in rows if row.change > 0]
        left = [(row.length, row.remainder, True) for row in rows if not row.rounded]
        name = "remainder" if left else "remainder: 0"
        if left and self.order is not None:
            name += f", falls as {power_of(self._delta, self.order)}"
        lines: dict[str, Points] = {"change of the function": change, name: left}
        return loglog(lines, across=self._delta, up="size")


def figure(value: Any) -> str:
    """A number in few digits."""
    return f"{float(value):.6g}"


def _shown(value: Any) -> str:
    return summary(value) if value.shape else figure(value)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def approximation(
    derivation: Derivation, given: Mapping[str, Any], along: Any, seed: int | None
) -> Approximation:
    """The service behind :meth:`Derivation.approximation`."""
    return Approximation(derivation, given, along, seed)
