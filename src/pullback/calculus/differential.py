"""The differential of an opaque operation's statement, as statements in index notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from ..errors import DerivationError
from ..ir.expr import Access, Expr, Opaque, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up
from ..opaque import TABLE, Operation, axes, batch_of, name_of
from ..text import PRIVATE

TRIANGLES = {
    "": "",
    "lower": "dT[i,j] = [j <= i]*dA[i,j] + [i < j]*dA[j,i]",
    "upper": "dT[i,j] = [i <= j]*dA[i,j] + [j < i]*dA[j,i]",
}
"""The symmetric matrix of which a triangle is read."""


@dataclass(frozen=True)
class Differential:
    """``values`` are what the differential reads of the forward pass, besides what is there.

    ``tangents`` are linear in the operands' differentials; the last one has the statement's own
    target and defines its differential. ``origin`` says of what a tensor that a tangent reads
    linearly is the differential (a tangent itself, where it is that of no tensor of the program).
    """

    values: tuple[Define, ...]
    tangents: tuple[Define, ...]
    origin: Mapping[Tensor, Tensor]


@cache
def _template(row: Operation) -> Program:
    """The row's differential for one matrix; the names of its sizes are the row's letters."""
    shapes = {name_of(x): ",".join(axes(x).upper()) for x in (*row.operands, row.result)}
    declared = [f"{name}[{shape}]" for name, shape in shapes.items()]
    from ..notation.parse import parse  # not needed before there is such an operation

    return parse("\n".join([*declared, TRIANGLES[row.triangle], row.differential]))


def differential(
    define: Define, known: Mapping[Opaque, Tensor], name: Callable[[str], str]
) -> Differential:
    """The differential of ``define``, whose body is an opaque operation.

    ``known`` are operations (read at no subscripts) whose results the forward pass has, ``name``
    makes a name for those that it lacks.
    """
    body = define.body
    assert isinstance(body, Opaque)
    row = TABLE[body.operation]
    if row.refuses:
        raise DerivationError(
            f"{row.refuses} can't be written",
            where=define.target.name,
            hint="write the matrix function out as a series, or by eigenvalues, if it is needed",
        )
    return _Maker(define, body, row, known, name).made()


class _Maker:
    def __init__(
        self,
        define: Define,
        body: Opaque,
        row: Operation,
        known: Mapping[Opaque, Tensor],
        name: Callable[[str], str],
    ) -> None:
        self.define = define
        self.known = known
        self.name = name
        count = batch_of(row, [tensor.shape for tensor in body.operands])
        self.batch = tuple(
            Index(f"~{PRIVATE}{k}", n) for k, n in enumerate(define.target.shape[:count])
        )
        sizes = {
            letter.upper(): extent
            for item, tensor in zip(
                (row.result, *row.operands), (define.target, *body.operands), strict=True
            )
            for letter, extent in zip(axes(item), tensor.shape[count:], strict=True)
        }
        self.program = _template(row).with_sizes(sizes)
        self.tensors: dict[str, Tensor] = {name_of(row.result): define.target}
        self.origin: dict[Tensor, Tensor] = {}
        for item, tensor in zip(row.operands, body.operands, strict=True):
            self.tensors[name_of(item)] = tensor
            label = f"d{name_of(item)} of {define.target.name}"  # nobody's name, and no other's
            own = Tensor(label, tensor.shape, tensor.dtype)
            self.tensors[f"d{name_of(item)}"] = own
            self.origin[own] = tensor

    def made(self) -> Differential:
        values: list[Define] = []
        tangents: list[Define] = []
        *inner, last = self.program.statements
        for s in inner:
            if isinstance(s.body, Opaque):
                values += self.value(s, s.body)
            elif not s.target.name.startswith("d"):
                values.append(self.computed(s))
            else:
                tangents.append(self.tangent(s, self.virtual(s)))
        tangents.append(self.tangent(last, self.define.target))
        return Differential(tuple(values), tuple(tangents), self.origin)

    def value(self, s: Define, body: Opaque) -> list[Define]:
        """The statement of another operation's result, unless the forward pass has it."""
        operands = tuple(self.tensors[t.name] for t in body.operands)
        found = self.known.get(Opaque(body.operation, operands, ()))
        if found is not None:
            self.tensors[s.target.name] = found
            return []
        names = "_".join([body.operation, *(t.name for t in operands)])
        target = self.tensors[s.target.name] = self.tensor(s, self.name(names))
        return [Define(target, *self.placed(s), self.define.source, False)]

    def computed(self, s: Define) -> Define:
        """A value that is made of others."""
        name = f"{s.target.name.lower()}_{self.define.target.name}"
        target = self.tensors[s.target.name] = self.tensor(s, self.name(name))
        return Define(target, *self.placed(s), self.define.source, False)

    def virtual(self, s: Define) -> Tensor:
        """What an inner tangent is the differential of: it has no other name."""
        made = self.tensor(s, self.name(s.target.name.removeprefix("d")))
        self.tensors[s.target.name] = made
        self.origin[made] = made
        return made

    def tangent(self, s: Define, target: Tensor) -> Define:
        user = self.define.user and target is self.define.target
        return Define(target, *self.placed(s), self.define.source, user)

    def tensor(self, s: Define, name: str) -> Tensor:
        shape = (*(i.extent for i in self.batch), *s.target.shape)
        return Tensor(name, shape, self.define.target.dtype)

    def placed(self, s: Define) -> tuple[tuple[Index, ...], Expr]:
        """The indices and the body of a statement, over the batch and of the program's tensors."""
        outer = tuple(map(at, self.batch))

        def change(tree: Tree) -> Tree:
            match tree:
                case Access(tensor, subs):
                    return Access(self.tensors[tensor.name], (*outer, *subs))
                case Opaque(operation, operands, subs):
                    own = tuple(self.tensors[t.name] for t in operands)
                    return Opaque(operation, own, (*outer, *subs))
                case _:
                    return tree

        return (*self.batch, *s.indices), bottom_up(s.body, change)  # type: ignore[return-value]
