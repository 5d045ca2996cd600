"""Letters for indices of named extents: an axis of size N goes by n, one letter for one extent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ..ir.program import Define, Program
from ..ir.sizes import Size, size
from ..ir.subscripts import Index
from ..ir.walk import bound_indices, renamed

LETTERS = "ijklmnpqrstuvwxyzabcdefgho"


def lettered(program: Program, names: Sequence[str]) -> Program:
    """The program with an index letter belonging to one extent only, that of size N being n."""
    letters = Letters(
        names, [t.name for t in (*program.inputs, *(s.target for s in program.statements))]
    )
    return Program(
        program.inputs,
        tuple(map(letters.statement, program.statements)),
        program.outputs,
        program.sizes,
    )


class Letters:
    """Which letters belong to which extent."""

    def __init__(self, names: Sequence[str], tensors: Sequence[str] = ()) -> None:
        self.avoid = {*names, *tensors}
        self.owner: dict[str, Size] = {}
        for name in names:
            letter: str = next((c for c in name.lower() if c.isalpha() and self.free(c)), "")
            if letter:
                self.owner[letter] = size(name)

    def free(self, letter: str) -> bool:
        return letter not in self.avoid and letter not in self.owner

    def of(self, extent: Size, wish: str, used: set[str]) -> str:
        """A letter of this extent that is not used yet."""
        for letter, owner in self.owner.items():
            if owner is extent and letter not in used:
                return letter
        for letter in chain([wish] if wish.isidentifier() else [], LETTERS):
            if letter not in used and self.free(letter):
                self.owner[letter] = extent
                return letter
        n = 1
        while f"i{n}" in used or not self.free(f"i{n}"):
            n += 1
        self.owner[f"i{n}"] = extent
        return f"i{n}"

    def axes(self, shape: Sequence[Size]) -> tuple[str, ...]:
        """A letter for each axis of an input."""
        used: set[str] = set()
        names = []
        for extent in shape:
            names.append(self.of(extent, "", used))
            used.add(names[-1])
        return tuple(names)

    def statement(self, statement: Define) -> Define:
        own = dict.fromkeys((*statement.indices, *bound_indices(statement.body)))
        used: set[str] = set()
        new: dict[Index, Index] = {}
        for index in own:
            new[index] = Index(self.of(index.extent, index.name, used), index.extent)
            used.add(new[index].name)
        return replace(
            statement,
            indices=tuple(new[index] for index in statement.indices),
            body=renamed(statement.body, new, {}),  # type: ignore[arg-type]
        )
