"""A gradient of a derivation as a value of its own: the program that computes it, to be derived
again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..calculus.introduce import with_ratios
from ..calculus.seeds import with_ones
from ..ir.expr import Tensor
from ..ir.program import Program, live, reads
from ..ir.recurrence import in_order
from ..notation.plain import show
from ..notation.program_sizes import free_sizes
from .registry import service
from .written import written

if TYPE_CHECKING:
    from ..calculus.step import Backward
    from .derivation import Derivation


@dataclass(frozen=True, eq=False, repr=False)
class Gradient:
    """One gradient of a derivation: its tensor, and :attr:`program` to compute it.

    ``name``, ``shape`` and ``dtype`` are those of the tensor. :meth:`derive` differentiates the
    gradient once more.

    >>> import pullback
    >>> cube = pullback.derive("L[] = sum(i) x[i]**3").gradient("x")
    >>> print(cube.name, *cube.shape)
    dx I
    >>> print(cube.formula)
    dx[i] = 3*x[i]**2
    """

    derivation: Derivation
    tensor: Tensor

    @property
    def name(self) -> str:
        """The gradient's name, ``dX``."""
        return self.tensor.name

    @property
    def shape(self) -> Any:
        """The shape, that of what is differentiated by."""
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        """The dtype."""
        return self.tensor.dtype

    @property
    def of(self) -> Tensor:
        """The input that this is the gradient by."""
        passes = self.derivation.backward
        return passes.wrt[passes.gradients.index(self.tensor)]

    @cached_property
    def program(self) -> Program:
        """From the inputs and the upstream gradients to this gradient.

        The upstream gradient of a result that is a single number, and the only one, is 1: it is no
        input of the program.
        """
        return live(self.whole)

    @cached_property
    def whole(self) -> Program:
        """:attr:`program` with the values that the gradient doesn't need, such as the loss."""
        return gradient_program(self.derivation.backward, self.tensor)

    @property
    def formula(self) -> str:
        """The statements of :attr:`program` as index notation, one a line."""
        return "\n".join(map(show, self.program.statements))

    def derive(
        self, wrt: Any = None, *, of: str | None = None, conventions: Any = None, **shapes: Any
    ) -> Derivation:
        """The derivation of the gradient: it is a program like any other, and is derived again.

        ``wrt`` says by which inputs, by name or position; all float ones, upstream gradients
        included, if not given. ``of`` is index notation for something that is computed from the
        gradient and, by their names, from the inputs and forward values; without it the derivation
        is that of the gradient itself, with an upstream gradient of its shape. ``conventions``
        are those of the first derivation if not given; ``shapes`` are for what ``of`` reads
        besides.

        >>> import pullback
        >>> model = pullback.derive("L[] = sum(m) v[m]*tanh(sum(d) W[m,d]*x[d])")
        >>> penalty = model.gradient("x").derive(wrt="v", of="P[] = sum(d) dx[d]**2")
        >>> penalty.verify().passed
        True

        Raises ArgumentError for names that there are none of, NotationError for a text that can't
        be read.
        """
        found: Derivation = service("derive_gradient")(self, wrt, of, conventions, shapes)
        return found

    def __str__(self) -> str:
        return self.formula

    def __repr__(self) -> str:
        extents = ", ".join(map(str, self.shape))
        return f"<Gradient {self.name} ({extents}) of {self.of.name}>"


def gradient_program(passes: Backward, gradient: Tensor) -> Program:
    """The program from inputs and upstream gradients to one gradient, with all values that the
    forward and the backward pass have names for.

    >>> from ..calculus.reverse import reverse
    >>> from ..notation.parse import parse
    >>> square = reverse(parse("L[] = sum(i) x[i]**2"))
    >>> [s.target.name for s in gradient_program(square, square.gradients[0]).statements]
    ['L', 'dx']
    """
    named = {s.target.name for s in passes.forward.statements if s.user}
    named |= {t.name for t in passes.program.inputs}
    backward = [replace(s, scatter=None, of="", user=s.of in named) for s in passes.statements]
    backward = with_ratios(backward, passes.forward)
    used = frozenset(t for s in backward for t in reads(s))
    forward = written(passes.forward, used).statements
    fixed = fixed_upstream(passes)
    statements = tuple(in_order([*forward, *with_ones(backward, fixed, (gradient,))]))
    inputs = (*passes.program.inputs, *(t for t in passes.cotangents if t not in fixed))
    sizes = free_sizes(inputs, statements, passes.program.sizes)
    return Program(inputs, statements, (gradient,), sizes)


def fixed_upstream(passes: Backward) -> tuple[Tensor, ...]:
    """The upstream gradient of a result that is a single number and the only one: it is 1."""
    return (
        passes.cotangents if len(passes.cotangents) == 1 and not passes.cotangents[0].shape else ()
    )
