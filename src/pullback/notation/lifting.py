"""Opaque operations inside expressions get statements of their own, before names are resolved."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from .tree import Binder, Definition, Line, Name, Operation, Part, Read, Syntax, bare, walk

SPARE = [*"ijklmnpq", *(f"i{n}" for n in range(100))]


def lifted(lines: list[Line]) -> list[Line]:
    """The lines, every operation the whole right side of its own, read at that side's indices."""
    if not any(isinstance(line, Definition) and _holds(line.body) for line in lines):
        return lines
    taken = dict.fromkeys(name for line in lines for name in _names(line))
    out: list[Line] = []
    known: dict[tuple[str, ...], str] = {}
    for line in lines:
        if isinstance(line, Definition) and not _is_whole(line):
            line = _Lifter(out, known, taken).line(line)
        out.append(line)
    return out


def _holds(node: Syntax) -> bool:
    return any(isinstance(part, Operation) for part in walk(node))


def _is_whole(line: Definition) -> bool:
    """Whether the body is one operation, read at the left side's indices in their order."""
    body = bare(line.body)
    if not isinstance(body, Operation) or len(body.subs) != len(line.left):
        return False
    return all(
        isinstance(left, Binder) and isinstance(sub, Name) and sub.name == left.name
        for left, sub in zip(line.left, body.subs, strict=True)
    )


def _names(line: Line) -> list[str]:
    """Every name in a line."""
    if not isinstance(line, Definition):
        return [line.name] if hasattr(line, "name") else []
    inner = [getattr(part, "name", "") for part in walk(line.body)]
    binders = [b.name for part in walk(line.body) for b in getattr(part, "binders", ())]
    return [line.name, *(b.name for b in line.binders), *inner, *binders]


def _letters(subs: tuple[Syntax, ...]) -> list[str]:
    """A letter for every axis: the subscript's own where it is one index."""
    found: list[str] = []
    for sub in map(bare, subs):
        options = [sub.name] if isinstance(sub, Name) else []
        found.append(next(c for c in [*options, *SPARE] if c not in found))
    return found


class _Lifter:
    def __init__(
        self, out: list[Line], known: dict[tuple[str, ...], str], taken: dict[str, None]
    ) -> None:
        self.out = out
        self.known = known
        self.taken = taken

    def line(self, line: Definition) -> Definition:
        return replace(line, body=self.changed(line.body)) if _holds(line.body) else line

    def changed(self, node: Any) -> Any:
        """The syntax with operations replaced by reads of what they are named."""
        if isinstance(node, tuple):
            return tuple(map(self.changed, node))
        if not isinstance(node, Part):
            return node
        if isinstance(node, Operation):
            return Read(node.start, node.end, self.named(node), self.changed(node.subs))
        new = {f.name: self.changed(getattr(node, f.name)) for f in fields(node)}
        return replace(node, **new)

    def named(self, node: Operation) -> str:
        key = (node.name, *(operand.name for operand in node.operands), str(len(node.subs)))
        if key not in self.known:
            self.known[key] = self.fresh("_".join(key[:-1]))
            left = tuple(
                Binder(node.start + 1 + k, node.start + 2 + k, letter, None)  # places of their own
                for k, letter in enumerate(_letters(node.subs))
            )
            subs = tuple(Name(b.start, b.end, b.name, True) for b in left)
            body = replace(node, subs=subs)
            made = Definition(node.start, node.end, self.known[key], "", left, body, False)
            self.out.append(made)
        return self.known[key]

    def fresh(self, stem: str) -> str:
        name, n = stem, 1
        while name in self.taken:
            n += 1
            name = f"{stem}{n}"
        self.taken[name] = None
        return name
