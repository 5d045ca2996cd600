"""The syntax tree: what was written, with the place of every part in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..ir.expr import Number


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of the text, ``text[start:end]``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Num(Part):
    """A number; ``whole`` if it is written without point and exponent."""

    value: Number
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Name(Part):
    """A name without brackets: an index, a size, a scalar or a constant."""

    name: str
    quoted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Read(Part):
    """``name[subs]``."""

    name: str
    subs: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Part):
    """``pad(name, fill)[subs]``: outside the array there is ``fill``, a value or a mode."""

    name: str
    fill: Syntax
    mode: str
    subs: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call(Part):
    """``name(args)``."""

    name: str
    args: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Part):
    """``name(operands)[subs]``, an opaque operation on whole arrays."""

    name: str
    operands: tuple[Name, ...]
    subs: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Binder(Part):
    """An index where it is bound, ``name`` or ``name:extent``."""

    name: str
    extent: Syntax | None


@dataclass(frozen=True, slots=True, eq=False)
class Radix(Part):
    """``(h, d)``: one axis split into several indices, the last one fastest."""

    parts: tuple[Binder, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bind(Part):
    """``op(binders if domain) body``; ``which`` is the index that an arg asks for."""

    op: str
    binders: tuple[Binder, ...]
    which: str
    domain: tuple[Syntax, ...]
    body: Syntax


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Part):
    """Terms, each with its sign "+" or "-"."""

    parts: tuple[tuple[str, Syntax], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Part):
    """Factors, each with its operator * / // % (the first one's is "*")."""

    parts: tuple[tuple[str, Syntax], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Neg(Part):
    """``-value``."""

    value: Syntax


@dataclass(frozen=True, slots=True, eq=False)
class Pow(Part):
    """``base ** exponent``."""

    base: Syntax
    exponent: Syntax


@dataclass(frozen=True, slots=True, eq=False)
class Iverson(Part):
    """``[cond]``."""

    cond: Syntax


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Part):
    """``a < b <= c``."""

    ops: tuple[str, ...]
    operands: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Logic(Part):
    """``a and b and c`` or ``a or b or c``."""

    op: str
    parts: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not(Part):
    """``not cond``."""

    cond: Syntax


@dataclass(frozen=True, slots=True, eq=False)
class Group(Part):
    """``(inner)``."""

    inner: Syntax


Syntax = (
    Num | Name | Read | Pad | Call | Operation | Radix | Bind | Sum | Chain | Neg | Pow
    | Iverson | Comparison | Logic | Not | Group
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Definition(Part):
    """``name: dtype[left] = body`` (dtype "" if not given); ``user`` if somebody wrote it so."""

    name: str
    dtype: str
    left: tuple[Binder | Radix, ...]
    body: Syntax
    user: bool = True

    @property
    def binders(self) -> tuple[Binder, ...]:
        """The indices on the left."""
        return tuple(
            b for item in self.left for b in (item.parts if isinstance(item, Radix) else (item,))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Declaration(Part):
    """``name: dtype[dims]``, an input (dtype "" if not given)."""

    name: str
    dtype: str
    dims: tuple[Syntax, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SizeNames(Part):
    """``size N, M``: these names are sizes."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Return(Part):
    """``return Y, Z``: the outputs."""

    names: tuple[Name, ...]


Line = Definition | Declaration | SizeNames | Return


def parts(node: Syntax) -> tuple[Syntax, ...]:
    """The syntax directly inside, extents of binders included."""
    match node:
        case Read(subs=subs) | Operation(subs=subs):
            return subs
        case Pad(fill=fill, mode=mode, subs=subs):
            return subs if mode else (fill, *subs)
        case Call(args=args):
            return args
        case Radix(parts=binders):
            return tuple(b.extent for b in binders if b.extent is not None)
        case Bind(binders=binders, domain=domain, body=body):
            return (*(b.extent for b in binders if b.extent is not None), *domain, body)
        case Sum(parts=pairs) | Chain(parts=pairs):
            return tuple(part for _, part in pairs)
        case Neg(value=inner) | Group(inner=inner) | Iverson(cond=inner) | Not(cond=inner):
            return (inner,)
        case Pow(base=base, exponent=exponent):
            return (base, exponent)
        case Comparison(operands=inner) | Logic(parts=inner):
            return inner
        case _:
            return ()


def walk(node: Syntax) -> Iterator[Syntax]:
    """Every part, outer before inner, from left to right."""
    stack = [node]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(parts(part)))


def bare(node: Syntax) -> Syntax:
    """The syntax without parentheses around it."""
    while isinstance(node, Group):
        node = node.inner
    return node
