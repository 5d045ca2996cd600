"""The Hessian of a derivation with a single number for a result: the Jacobian of its gradient."""

from __future__ import annotations

from ..derivation import Derivation, register_service
from ..derivation.gradient import fixed_upstream
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Program, live
from ..notation.naming import Look
from .formula import JacobianFormula
from .shown import Title


class HessianFormula(JacobianFormula):
    """∂²L/∂X∂Z of a derivation, for all sizes and values: the Jacobian of dX by Z.

    >>> import pullback
    >>> fit = pullback.derive("L[] = sum(n,m) (T[n,m] - sum(k) U[n,k]*V[k,m])**2")
    >>> print(fit.hessian("U"))
    ∂²L/∂U², shape (N, K, N, K)
      is:       Kronecker product, I_N ⊗ 2·V Vᵀ
      element:  ∂²L/∂U[n,k]∂U[n',k'] = 2*[n' = n]*sum(m) V[k',m]*V[k,m]
      rank:     at most N·min(K, M)
      bytes:    8*K*M B kept, 8*K*K*N*N B dense
    """

    def __init__(
        self, derivation: Derivation, program: Program, loss: str, pair: tuple[Tensor, Tensor]
    ) -> None:
        gradient = program.outputs[0]
        super().__init__(derivation, program, gradient, pair[1])
        self.loss, self.pair = loss, pair

    def _titled(self, look: Look) -> Title:
        first, second = (t.name for t in self.pair)
        return Title.second(self.loss, first, second, self.output.name, look)


def hessian_of(
    derivation: Derivation, wrt: str | None = None, other: str | None = None
) -> HessianFormula:
    """The Hessian of a derivation; see ``Derivation.hessian``."""
    passes = derivation.backward
    if not fixed_upstream(passes):
        shapes = [
            f"{t.name}{list(map(str, t.shape))}".replace("'", "") for t in _floats(passes.program)
        ]
        raise ArgumentError(
            "only a single number has a Hessian",
            expected="one result without axes, such as a loss",
            found=", ".join(shapes),
            hint="sum the result to a number; jacobian() is for results of any shape",
        )
    name = passes.wrt[0].name if wrt is None else wrt
    gradient = derivation.gradient(name)
    by = gradient.of if other is None else _input(passes.program, other)
    whole = gradient.program
    loss = passes.program.outputs[0].name
    return HessianFormula(derivation, live(whole), loss, (gradient.of, by))


def _floats(program: Program) -> list[Tensor]:
    return [t for t in program.outputs if t.kind == "float"]


def _input(program: Program, name: str) -> Tensor:
    every = {t.name: t for t in program.inputs if t.kind == "float"}
    if not isinstance(name, str) or name not in every:
        raise ArgumentError(
            "there is no such input to differentiate the gradient by",
            expected=f"one of {', '.join(every)}",
            found=repr(name)[:80],
        )
    return every[name]


register_service("hessian", hessian_of)
