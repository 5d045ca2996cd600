"""Which reads of what is not defined further up make a recurrence, and refusals of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.program import Define, computing
from ..ir.recurrence import groups, in_order, is_recurrent
from ..ir.subscripts import at
from .lower import Lower
from .names import Names, Use
from .tree import Binder, Definition, Line


def recurrences(
    names: Names, lower: Lower, lines: Sequence[Line], statements: Sequence[Define]
) -> list[Define]:
    """The statements in order, those that need each other together.

    Refused is what can't be evaluated step by step along the first index: every read of what is not
    defined further up has to be a fixed number of places behind (or ahead, in all of them).
    """
    checks = _Checks(names, lower, lines)
    for use in names.ahead:
        checks.ahead(use, statements)
    ordered = in_order(statements)
    for group in groups(ordered):
        if is_recurrent(group):
            checks.group({s.target.name for s in group})
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
        if not self.offset(use):
            itself = name == reader.name
            self.names.fail(
                use.node,
                f"{name} is defined in terms of itself" if itself
                else f"{name} and {reader.name} are defined in terms of each other",
                expected="a read of an earlier or later place of the first index, which a "
                "recurrence steps along", found=self.text(use), hint=self.example(use),
            )  # fmt: skip

    def group(self, made: set[str]) -> None:
        """All reads among the targets of a recurrence: fixed steps, in one direction."""
        every = [*self.names.uses, *self.names.operands]
        own = [u for u in every if u.name in made and self.reader(u).name in made]
        first: Use | None = None
        for use in sorted(own, key=lambda use: use.node.start):
            found = self.offset(use)
            if found is None or self.extent(use) is not self.lower.tensors[use.name].shape[0]:
                self.names.fail(
                    use.node, f"{use.name} is part of a recurrence and read at no fixed step",
                    expected="the statement's first index and a whole number; that index has the "
                    "extent of the array's first axis", found=self.text(use),
                    hint=self.example(use),
                )  # fmt: skip
            if found and first is None:
                first = use
            if found and first is not None and found * (self.offset(first) or 0) < 0:
                self.names.fail(
                    use.node, "the recurrence would have to run in two directions at once",
                    expected=f"all reads {'behind' if found > 0 else 'ahead'}, "
                    f"as {self.text(first)}",
                    found=self.text(use),
                )  # fmt: skip

    def reader(self, use: Use) -> Definition:
        line = self.lines[use.line]
        assert isinstance(line, Definition)
        return line

    def first(self, use: Use) -> Binder | None:
        """The first index of the statement that reads."""
        left = self.reader(use).left
        return left[0] if left and isinstance(left[0], Binder) else None

    def extent(self, use: Use) -> object:
        binder = self.first(use)
        return None if binder is None else self.lower.affine.index(binder).extent

    def offset(self, use: Use) -> int | None:
        """How many places ahead on the first index is read; None if that is no fixed number."""
        binder = self.first(use)
        if binder is None or not use.subs:
            return None
        affine = self.lower.affine
        ahead = affine.subscript(use.subs[0]) - at(affine.index(binder))
        return None if ahead.terms else ahead.const.literal

    def example(self, use: Use) -> str:
        binder = self.first(use)
        if binder is None or not use.subs:
            return "put its definition first"
        rest = ", ..." if len(use.subs) > 1 else ""
        return f"for example where({binder.name} >= 1, {use.name}[{binder.name}-1{rest}], 0)"

    def text(self, use: Use) -> str:
        return self.names.text[use.node.start : use.node.end]
