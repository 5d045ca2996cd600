"""A derivation that knows the function it comes from: its arguments, its results, its constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..derivation import Check, Derivation, Pair, Verification
from ..derivation.assumptions import at_each, line_of
from ..errors import ShapeError
from ..trees import Structure


@dataclass(frozen=True)
class Origin:
    """The arguments and the result of a function, as trees; each leaf is an input or an output.

    ``asked`` are the arguments that were differentiated by, each a name and a tree of its float
    leaves (by position among ``wrt``). ``disagreement`` tells why the program isn't what the
    function computes at some sizes, "" where it is; ``beyond`` compares both at sizes beyond every
    number in the function's code. ``examples`` are the example arrays that stood for shapes, by the
    names of their inputs, where all arguments are small ones.
    ``variadic`` names the parameters ``*xs`` and ``**more``, by their kind.
    """

    parameters: tuple[tuple[str, Structure], ...]
    structure: Structure
    asked: tuple[tuple[str, Structure], ...]
    constants: tuple[Any, ...] = ()
    disagreement: Callable[[Mapping[str, int]], str] | None = None
    beyond: Callable[[], Sequence[tuple[Mapping[str, int], bool | None, str]]] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    notated: bool = False  # whether it is index notation, whose integers never wrap
    variadic: Mapping[Any, str] = field(default_factory=dict)


class Gradients(tuple[Any, ...]):
    """Gradients in the order they were asked for, also by name.

    >>> both = Gradients.of(("X", "W"), (1.0, 2.0))
    >>> dX, dW = both
    >>> both["W"]
    2.0
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: tuple[str, ...], values: Sequence[Any]) -> Gradients:
        """Values by their names."""
        made = cls(values)
        made.names = names
        return made

    def keys(self) -> tuple[str, ...]:
        """The names: ``dict(gradients)`` works."""
        return self.names

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"{key}; the gradients are those of {', '.join(self.names)}")
            key = self.names.index(key)
        return super().__getitem__(key)


@dataclass(frozen=True, eq=False, repr=False)
class Derived(Derivation):
    """A derivation with its origin: compiled, it takes and gives what the function does."""

    origin: Origin = field(kw_only=True)

    @property
    def known(self) -> Mapping[str, Any]:
        """The values of inputs that are known: captured arrays, and the user's example arrays."""
        inputs, captured = self.backward.program.inputs, self.origin.constants
        hidden = inputs[len(inputs) - len(captured) :]
        values = zip(hidden, captured, strict=True)
        return {**self.origin.examples, **{t.name: value for t, value in values}}

    def compare(self, sizes: Mapping[str, int]) -> None:
        """Refuses sizes at which the function isn't what was derived: it is traced at them."""
        if not sizes:
            return
        at = ", ".join(f"{name} = {n}" for name, n in sizes.items())
        advice = "" if self.origin.notated else "derive with example arrays of these shapes"
        for choice in self.asserted:
            if not choice.condition.holds(sizes):
                told = "the last place of an empty axis is read"
                if not self.origin.notated:
                    told = f"the function branches here: it was derived for {choice.condition}"
                raise ShapeError(
                    told,
                    where=line_of(choice.source),
                    expected=str(choice.condition),
                    found=at,
                    hint=advice,
                )
        if self.origin.disagreement is None:
            return
        reason = self.origin.disagreement(sizes)
        if reason:
            raise ShapeError(
                f"the derivation was not seen to hold at {at}",
                expected="a function that is traced to the derived program at each size",
                found=reason,
                hint="derive with example arrays of these shapes, or derive the function again",
            )

    def verify(self, seed: int | None = None) -> Verification:
        """As of any derivation; and the function is traced at sizes beyond its literals."""
        found = super().verify(seed)
        compared = self.origin.beyond() if self.origin.beyond is not None else ()
        if not compared:
            return found
        return replace(found, checks=(*found.checks, ("the function itself", _beyond(compared))))

    def compile(self) -> Pair:
        """The pair ``forward(...) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

        ``forward`` takes the function's arguments, by position or name, and checks their shapes
        and dtypes; sizes that no shape tells are keyword arguments. A function with named sizes is
        traced once more at the first call with new sizes, and what it does there compared with what
        was derived; ShapeError where it isn't the same. Gradients come in the order they were asked
        for, also by name; a single one comes bare. The cache holds the arrays themselves, not
        copies: change none of them in between.
        """
        from .pairs import Backward, Compiled, Forward  # what runs is not loaded to derive

        forward = Forward(self)
        return Pair(Compiled(forward), Compiled(Backward(self, forward)))


def _beyond(compared: Sequence[tuple[Mapping[str, int], bool | None, str]]) -> Check:
    """What comes of comparisons with the function itself."""
    same = [sizes for sizes, holds, _ in compared if holds]
    others = [found for found in compared if not found[1]]
    wrong = [found for found in others if found[1] is False]
    if same and not wrong:
        return Check("passed", f"traced to this program at {at_each(same)}", len(same), len(others))
    sizes, _, reason = (wrong or others)[0]
    where = f"at {at_each([sizes])}: " if sizes else ""
    how = where + " ".join(reason.split())
    return Check("failed" if wrong else "not checked", how, len(same) + len(wrong))
