"""What a derivation is made of: named steps, and the backward pass they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, overload

from ..ir.expr import Expr, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import Index


@dataclass(frozen=True)
class Step:
    """One rewriting of the value of ``target[indices]``: ``before`` and ``after`` are equal.

    ``name`` is the rule's name, ``reason`` one sentence for a reader, ``quiet`` folds it away.
    ``check`` may read: inputs, cotangents, and every tensor defined by ``Backward.forward`` and
    ``Backward.adjoints`` .
    """

    name: str
    reason: str
    target: Tensor
    indices: tuple[Index, ...]
    before: Expr
    after: Expr
    quiet: bool = False


T = TypeVar("T")


class Later(Sequence[T]):
    """A sequence that is made when somebody reads it (running a derivation needs no steps)."""

    def __init__(self, make: Callable[[], tuple[T, ...]]) -> None:
        self._make = make

    @cached_property
    def _all(self) -> tuple[T, ...]:
        return self._make()

    @overload
    def __getitem__(self, k: int) -> T: ...
    @overload
    def __getitem__(self, k: slice) -> tuple[T, ...]: ...
    def __getitem__(self, k: int | slice) -> T | tuple[T, ...]:
        return self._all[k]

    def __iter__(self) -> Iterator[T]:
        return iter(self._all)

    def __reduce__(self) -> tuple[type, tuple[tuple[T, ...]]]:
        return tuple, (self._all,)  # copied or pickled, it has been made

    def __len__(self) -> int:
        return len(self._all)


@dataclass(frozen=True)
class Backward:
    """The result of reverse-mode differentiation of a program.

    ``program``    the forward program as given
    ``forward``    the same values, flattened: every named value of ``program`` plus the helper
    values
                   (temporaries, arg indices) that the backward pass or the steps mention
    ``cotangents`` one per float output of ``program``, in its order: what the caller supplies
    ``statements`` the backward pass, in order: named intermediate adjoints, shared sums,
    gradients; they read
                   inputs, tensors of ``forward``, cotangents and earlier statements
    ``gradients``  one target per requested input, in the requested order
    ``values``     of opaque operations that differentials read and the forward pass lacks; those
    that
                   the backward pass needs are among its statements, too
    ``differentials`` of opaque operations, as their rows say them: δX is the differential of X
    ``unsearched`` gradients, this many, stand as the chain rule gives them: the search for compact
    forms was over before their turn
    ``masks``      whether source keeps the masks that both passes need
    ``adjoints``   the same gradients, underived: one un-eliminated, un-simplified statement per
    tensor
                   of ``forward`` on the way back (the slow truth that steps are checked against)
    """

    program: Program
    forward: Program
    wrt: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]
    statements: tuple[Define, ...]
    gradients: tuple[Tensor, ...]
    adjoints: Sequence[Define]
    steps: Sequence[Step]
    values: tuple[Define, ...] = ()
    differentials: tuple[Define, ...] = ()
    unsearched: int = 0
    masks: bool = False
