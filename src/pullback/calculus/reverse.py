"""Reverse mode: from a program to its backward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..ir.expr import Access, Tensor
from ..ir.program import Define, Program, Source
from ..ir.subscripts import at
from .differentiate import adjoint_terms, occurrences
from .eliminate import eliminate, sift
from .linear import Linear
from .normal import Poly, Term, collect, expression, term
from .step import Backward

ONE = Fraction(1)


def reverse(
    program: Program,
    wrt: Sequence[Tensor] | None = None,
    conventions: Mapping[str, str] = {},
) -> Backward:
    """The backward pass of a program.

    ``wrt`` are the inputs whose gradients are wanted (default: every float input). The cotangent of a float output
    Y is a tensor named dY of Y's shape and dtype; the gradient of X is named dX.
    """
    return _Reverse(Linear(program, wrt, conventions)).run()


class _Reverse:
    def __init__(self, linear: Linear) -> None:
        self.lin = linear
        self.raw: dict[Tensor, list[Term]] = {}
        self.pending: dict[Tensor, list[Term]] = {}

    def run(self) -> Backward:
        lin = self.lin
        program = lin.program
        outputs = [t for t in program.outputs if t.kind == "float"]
        cotangents = {t: self._adjoint(t) for t in outputs}
        statements: list[Define] = []
        adjoints: list[Define] = []
        gradients: dict[Tensor, Tensor] = {}
        for t in reversed([*lin.wrt, *(s.target for s in lin.flat)]):
            if t not in lin.active:
                continue
            axes = lin.axes(t)
            pending, raw = self.pending.get(t, []), self.raw.get(t, [])
            if t in cotangents:
                pending = [*self._plain(cotangents[t], t), *pending]
                raw = [*self._plain(cotangents[t], t), *raw]
            define = lin.definitions.get(t)
            if t in cotangents and len(raw) == 1 and t not in lin.wrt:
                target = cotangents[t]
            else:
                target = self._adjoint(t)
                source = define.source if define else Source()
                body = expression(collect(map(eliminate, pending)))
                scatter = expression(collect(pending))
                slow = expression(collect(raw))
                statements.append(Define(target, axes, body, source, True, scatter, t.name))
                adjoints.append(Define(target, axes, slow, source, True, None, t.name))
            if t in lin.wrt:
                gradients[t] = target
            if define is None:
                continue
            for found in occurrences(define, lin.context(define)):
                x = found.access.tensor
                for made in adjoint_terms(self._plain(target, t), found, lin.axes(x), axes):
                    self.raw.setdefault(x, []).append(made)
                    simple = sift(made)
                    if simple is not None:
                        self.pending.setdefault(x, []).append(simple)
        byname = {t.name: t for t in (*lin.wrt, *(s.target for s in lin.flat))}
        forward = [s for f in lin.flat for s in (f, *lin.extra.get(f.target, ()))]
        return Backward(
            program,
            Program(
                program.inputs,
                tuple(lin.lettered(s, s.target) for s in forward),
                program.outputs,
                program.sizes,
            ),
            lin.wrt,
            tuple(cotangents[t] for t in outputs),
            tuple(lin.lettered(s, byname[s.of]) for s in statements),
            tuple(gradients[t] for t in lin.wrt),
            tuple(lin.lettered(s, byname[s.of]) for s in adjoints),
            (),
        )

    def _adjoint(self, of: Tensor) -> Tensor:
        made = Tensor(self.lin.name(f"d{of.name}"), of.shape, of.dtype)
        self.lin.letters[made] = self.lin.letters[of]
        return made

    def _plain(self, target: Tensor, of: Tensor) -> Poly:
        access = Access(target, tuple(map(at, self.lin.axes(of))))
        made = term(ONE, (), (), ((access, ONE),))
        assert made is not None
        return (made,)
