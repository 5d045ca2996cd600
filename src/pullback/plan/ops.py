"""What a plan is made of: procedures of statements, scatters and loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..ir.expr import Expr, Tensor
from ..ir.program import Define
from .facts import Facts
from .pieces import Piece
from .splitting import Split
from .spread import Spread


@dataclass(frozen=True)
class Let:
    """A statement: each element of its target by itself. ``split`` is the statement with an axis a
    digit of its target's indices, if they are read as numbers of several digits."""

    define: Define
    split: Split | None = None


@dataclass(frozen=True)
class Build:
    """A statement whose target is made part by part.

    The target is the sum of ``terms`` (0 without any), to which each of ``parts`` is added; all of
    that is multiplied by ``factors``. Where pieces lie one behind the other and fill the target,
    ``row`` is the axis along which they do.
    """

    define: Define
    terms: tuple[Expr, ...]
    parts: tuple[Spread | Piece, ...]
    factors: tuple[Expr, ...] = ()
    row: int | None = None


@dataclass(frozen=True)
class Loop:
    """Statements that need each other, one step of their first index after the other.

    ``turn`` is 1 where the steps go up, -1 where they go down.
    """

    group: tuple[Define, ...]
    turn: int


Op: TypeAlias = Let | Build | Loop


@dataclass(frozen=True)
class Procedure:
    """A function: what it takes, its operations in order, and what it returns.

    Results share no memory with the arguments or with each other. ``facts`` is what is known of
    its tensors.
    """

    name: str
    inputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    results: tuple[Tensor, ...]
    facts: Facts

    def statements(self) -> Iterator[Define]:
        """All statements, in order."""
        for op in self.ops:
            if isinstance(op, Loop):
                yield from op.group
            else:
                yield op.define


@dataclass(frozen=True)
class Plan:
    """A forward pass, which also hands over what is ``saved``, and its backward pass; ``masks``
    where masks that both need are saved, too."""

    forward: Procedure
    backward: Procedure
    saved: tuple[Tensor, ...]
    masks: bool = False
