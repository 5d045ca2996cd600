"""Sizes as a traced function sees them: ints that note what they are compared with.

A function's way may depend on its sizes: ``if X.shape[0] >= 1000``. In a trace that is made for
this alone, the extents that it reads are of a subclass of int, which knows its form in the names
and notes each comparison that the function's own code makes. Sums, products, quotients and
remainders of extents and ints are again extents; what becomes of one in any other way is a plain
int (or float), and comparisons of that go unnoticed. So the notes are no proof: they say on what
the function was seen to turn.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np

from ..ir.size_conditions import COMPARE, Choice, SizeCondition
from ..ir.sizes import Size, size
from .places import is_user, source_of

MOST_CHOICES = 1000  # of one trace; a loop may make many more


@dataclass
class Extents:
    """The forms of the extents in one trace, by their values, and the choices noted so far."""

    forms: Mapping[int, Size]
    choices: dict[Choice, None] = field(default_factory=dict)

    def seen(self, extent: int) -> int:
        """An extent as the function gets to see it."""
        form = self.forms.get(extent)
        return extent if form is None else Extent.of(extent, form, self)

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape as the function gets to see it."""
        return tuple(map(self.seen, shape))

    def note(self, left: Size, op: str, right: Size | Fraction, outcome: bool) -> None:
        """Keeps a comparison that the function's own code makes."""
        frame = sys._getframe(2)  # that of the comparison; this one is called by the operator's
        if is_user(frame) and len(self.choices) < MOST_CHOICES:
            made = SizeCondition(left, op, right)
            self.choices[Choice(made if outcome else made.opposite, source_of(frame))] = None


def extents_of(shapes: Sequence[Sequence[Size]], sizes: Mapping[str, int]) -> Extents:
    """The extents of arguments of these shapes; values that could be of two forms have none."""
    forms: dict[int, Size | None] = {}
    for form in [*(size(name) for name in sizes), *(form for shape in shapes for form in shape)]:
        value = form.value(sizes)
        forms[value] = form if forms.get(value, form) is form else None
    return Extents({n: f for n, f in forms.items() if f is not None and f.names()})


class Extent(int):
    """An extent with its form in the named sizes. It is an int in every other way."""

    form: Size
    extents: Extents

    @classmethod
    def of(cls, value: int, form: Size, extents: Extents) -> Extent:
        """The extent of this value and form."""
        made = cls(value)
        made.form, made.extents = form, extents
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)

    def __neg__(self) -> int:
        return Extent.of(-int(self), -self.form, self.extents)

    def __bool__(self) -> bool:
        outcome = int(self) != 0
        self.extents.note(self.form, "!=", size(0), outcome)
        return outcome

    __hash__ = int.__hash__


def _form(value: Any) -> Size | None:
    if isinstance(value, Extent):
        return value.form
    return size(value) if type(value) is int else None


def _arithmetic(name: str, combine: Callable[[Size, Size], Size], swapped: bool) -> Any:
    plain = getattr(int, name)
    divides = combine in (operator.floordiv, operator.mod)

    def method(self: Extent, other: Any) -> Any:
        found = plain(self, other)
        own = _form(other)
        if own is None or (divides and int(self if swapped else other) < 1):
            return found
        form = combine(own, self.form) if swapped else combine(self.form, own)
        return Extent.of(found, form, self.extents)

    method.__name__ = name
    return method


def _comparison(name: str, op: str) -> Any:
    plain = getattr(int, name)

    def method(self: Extent, other: Any) -> Any:
        given = other.item() if isinstance(other, np.integer | np.floating) else other
        if isinstance(given, float) and isfinite(given):
            outcome = COMPARE[op](int(self), given)
            self.extents.note(self.form, op, _exact(Fraction(given)), outcome)
            return outcome
        outcome = plain(self, given)
        form = _form(given)
        if form is not None:
            self.extents.note(self.form, op, form, outcome)
        return outcome

    method.__name__ = name
    return method


def _exact(value: Fraction) -> Size | Fraction:
    return size(int(value)) if value.denominator == 1 else value


for _name, _make in (
    ("add", operator.add),
    ("sub", operator.sub),
    ("mul", operator.mul),
    ("floordiv", operator.floordiv),
    ("mod", operator.mod),
):
    setattr(Extent, f"__{_name}__", _arithmetic(f"__{_name}__", _make, False))
    setattr(Extent, f"__r{_name}__", _arithmetic(f"__r{_name}__", _make, True))
for _op, _name in zip(COMPARE, ("lt", "le", "eq", "ne", "gt", "ge"), strict=True):
    setattr(Extent, f"__{_name}__", _comparison(f"__{_name}__", _op))


def plain(value: Any) -> Any:
    """The same with plain ints, in nested lists, tuples, dicts and slices too.

    Arrays made inside the function that hold numbers so far are plain arrays, too.
    """
    if isinstance(value, Extent):
        return int(value)
    kind = type(value)
    if hasattr(kind, "_pullback_plain"):
        held = value._pullback_plain
        return value if held is None else held
    if kind is tuple:
        return tuple(map(plain, value))
    if kind is list:
        return list(map(plain, value))
    if kind is dict:
        return {plain(key): plain(part) for key, part in value.items()}
    if kind is slice:
        return slice(plain(value.start), plain(value.stop), plain(value.step))
    return value
