"""Which reads of what is not defined further up make a recurrence, and refusals of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ..ir.program import Define, computing
from ..ir.recurrence import groups, in_order, is_recurrent
from ..ir.subscripts import at
from .lower import Lower
from .names import Names, Use
from .tree import Binder, Definition, Line

ORDINALS = ("first", "second", "third")


def recurrences(
    names: Names, lower: Lower, lines: Sequence[Line], statements: Sequence[Define]
) -> list[Define]:
    """The statements in order, those that need each other together.

    Refused is what can't be evaluated step by step along the first index, or at one place of it
    along the next: every read of what is not defined further up has to be a fixed number of places
    behind (or ahead, in all of them).
    """
    checks = _Checks(names, lower, lines)
    for use in names.ahead:
        checks.ahead(use, statements)
    ordered = in_order(statements)
    checks.groups(ordered)
    return ordered


class _Checks:
    def __init__(self, names: Names, lower: Lower, lines: Sequence[Line]) -> None:
        self.names = names
        self.lower = lower
        self.lines = lines

    def ahead(self, use: Use, statements: Sequence[Define]) -> None:
        """A read of what is not defined further up: of another place, in a circle."""
        reader, name = self.reader(use), use.name
        origins = computing(statements, [self.lower.tensors[name]])
        if all(s.target.name != reader.name for s in origins):
            self.names.fail(
                use.node, f"{name} is read before it is defined", hint="put its definition first"
            )
        if not self.steps(use):
            self.circle(use)

    def circle(self, use: Use, which: str = ORDINALS[0]) -> NoReturn:
        """Refuses a read that takes no step along an index."""
        name, reader = use.name, self.reader(use).name
        self.names.fail(
            use.node,
            f"{name} is defined in terms of itself" if name == reader
            else f"{name} and {reader} are defined in terms of each other",
            expected=f"a read of an earlier or later place of the {which} index, which a "
            "recurrence steps along", found=self.text(use), hint=self.example(use),
        )  # fmt: skip

    def groups(self, statements: Sequence[Define], axis: int = 0) -> None:
        """Checks all groups, and those that are left at one place of an index."""
        for group in groups(statements, axis):
            if is_recurrent(group, axis):
                self.group({s.target.name for s in group}, axis)
                self.groups(group, axis + 1)

    def group(self, made: set[str], axis: int) -> None:
        """All reads among the targets of a recurrence, at the same place of the indices before
        ``axis``: fixed steps along that, in one direction."""
        every = [*self.names.uses, *self.names.operands]
        own = [u for u in every if u.name in made and self.reader(u).name in made]
        own = [u for u in own if all(self.offset(u, k) == 0 for k in range(axis))]
        first: Use | None = None
        which = ORDINALS[axis] if axis < len(ORDINALS) else f"{axis + 1}th"
        for use in sorted(own, key=lambda use: use.node.start):
            found = self.offset(use, axis)
            shape = self.lower.tensors[use.name].shape[axis:]
            if found is None or not shape or self.extent(use, axis) is not shape[0]:
                self.names.fail(
                    use.node, f"{use.name} is part of a recurrence and read at no fixed step",
                    expected=f"the statement's {which} index and a whole number; that index has "
                    f"the extent of the array's {which} axis", found=self.text(use),
                    hint=self.example(use),
                )  # fmt: skip
            if found and first is None:
                first = use
            if found and first is not None and found * (self.offset(first, axis) or 0) < 0:
                self.names.fail(
                    use.node, "the recurrence would have to run in two directions at once",
                    expected=f"all reads {'behind' if found > 0 else 'ahead'}, "
                    f"as {self.text(first)}",
                    found=self.text(use),
                )  # fmt: skip
        if first is None:
            self.circle(own[0], which)

    def reader(self, use: Use) -> Definition:
        line = self.lines[use.line]
        assert isinstance(line, Definition)
        return line

    def binder(self, use: Use, axis: int) -> Binder | None:
        """An index of the statement that reads."""
        own = self.reader(use).left[axis : axis + 1]
        return own[0] if own and isinstance(own[0], Binder) else None

    def extent(self, use: Use, axis: int) -> object:
        binder = self.binder(use, axis)
        return None if binder is None else self.lower.affine.index(binder).extent

    def offset(self, use: Use, axis: int) -> int | None:
        """How many places ahead on an index is read; None if that is no fixed number."""
        binder = self.binder(use, axis)
        if binder is None or len(use.subs) <= axis:
            return None
        affine = self.lower.affine
        ahead = affine.subscript(use.subs[axis]) - at(affine.index(binder))
        return None if ahead.terms else ahead.const.literal

    def steps(self, use: Use) -> int | None:
        """How many places ahead on the first index on which another place is read."""
        ahead = (self.offset(use, axis) for axis in range(max(len(use.subs), 1)))
        return next((n for n in ahead if n != 0), None)

    def example(self, use: Use) -> str:
        binder = self.binder(use, 0)
        if binder is None or not use.subs:
            return "put its definition first"
        rest = ", ..." if len(use.subs) > 1 else ""
        return f"for example where({binder.name} >= 1, {use.name}[{binder.name}-1{rest}], 0)"

    def text(self, use: Use) -> str:
        return self.names.text[use.node.start : use.node.end]
