"""Names for what a trace found: the user's variables, short temporaries, letters for indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..ir.expr import Expr, Tensor
from ..ir.program import Define
from ..ir.subscripts import Index
from ..ir.walk import renamed
from .record import Line, Sheet

LETTERS = "ijklmnpqrsuvwabcdefgh"


def unique(wish: str, taken: set[str]) -> str:
    """``wish``, numbered if it is taken; it is taken from now on."""
    name, n = wish, 1
    while name in taken:
        name, n = f"{wish}_{n}", n + 1
    taken.add(name)
    return name


def tensor_names(sheet: Sheet, fixed: Sequence[str]) -> tuple[dict[Tensor, str], set[Tensor]]:
    """A name for every constant and statement, and those statements that have the user's own."""
    taken = set(fixed)
    wanted = set(sheet.wishes.values())
    names: dict[Tensor, str] = {}
    own: set[Tensor] = set()
    for line in sheet.lines:
        wish = sheet.wishes.get(line.tensor, "")
        if wish:
            names[line.tensor] = _apart(wish, taken, wanted)
            own.add(line.tensor)
    for n, constant in enumerate(sheet.constants, 1):
        names[constant] = _apart(sheet.wishes.get(constant) or f"c{n}", taken, wanted)
    for tensor, wish in sheet.defaults.items():
        if tensor not in names:
            names[tensor] = _apart(wish, taken, set())
    n = 0
    for line in sheet.lines:
        if line.tensor in names:
            continue
        if line.wish:
            names[line.tensor] = unique(line.wish, taken)
            continue
        n += 1
        while f"t{n}" in taken:
            n += 1
        names[line.tensor] = f"t{n}"
        taken.add(f"t{n}")
    return names, own


def _apart(wish: str, taken: set[str], wanted: set[str]) -> str:
    """``wish``, numbered past names that others wish for."""
    if wish not in taken:
        taken.add(wish)
        return wish
    n = 1
    while f"{wish}_{n}" in taken or f"{wish}_{n}" in wanted:
        n += 1
    taken.add(f"{wish}_{n}")
    return f"{wish}_{n}"


class Letters:
    """One letter for each extent, so that equal axes go by equal names."""

    def __init__(self, avoid: Iterable[str]) -> None:
        self.avoid = set(avoid)
        self.spare = [letter for letter in LETTERS if letter not in self.avoid]
        self.known: dict[tuple[str, int], str] = {}

    def axes(self, extents: Sequence[Any]) -> tuple[str, ...]:
        """Names for an input's axes."""
        seen: dict[str, int] = {}
        names = []
        for extent in map(str, extents):
            seen[extent] = seen.get(extent, -1) + 1
            key = (extent, seen[extent])
            if key not in self.known and len(self.known) < len(self.spare):
                self.known[key] = self.spare[len(self.known)]
            names.append(self.known.get(key, ""))
        return tuple(names)

    def chosen(self, indices: Sequence[Index], labels: Mapping[Index, str]) -> dict[Index, Index]:
        """A name for each index of a statement, its wish where no other has it."""
        used: set[str] = set()
        names: dict[Index, Index] = {}
        for index in indices:
            name = labels.get(index, "")
            if not name or name in used or name in self.avoid:
                name = self._other(index, used)
            used.add(name)
            names[index] = Index(name, index.extent)
        return names

    def _other(self, index: Index, used: set[str]) -> str:
        for occurrence in range(len(used) + 1):
            name = self.known.get((str(index.extent), occurrence), "")
            if name and name not in used:
                return name
        free = [letter for letter in self.spare if letter not in used]
        fresh = [letter for letter in free if letter not in self.known.values()]
        if free:
            return (fresh or free)[0]
        n = 1
        while f"i{n}" in used or f"i{n}" in self.avoid:
            n += 1
        return f"i{n}"


def written(line: Line, letters: Letters, names: Mapping[Tensor, Tensor], user: bool) -> Define:
    """A line as a statement with its final names."""
    indices = letters.chosen(list(line.labels), line.labels)
    body: Expr = renamed(line.body, indices, names)  # type: ignore[assignment]
    target = names[line.tensor]
    return Define(target, tuple(indices[i] for i in line.indices), body, line.source, user)
