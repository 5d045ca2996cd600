"""Jacobians, Hessians and linear maps of functions, with JAX's names and signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ArgumentError, PullbackError, UnsupportedError
from ..gradients import GradientFunction, jvp
from ..ir.expr import Tensor
from ..ir.program import Program
from ..runtime.calls import Argnums, Call, check_argnums, check_floats, parameters, slots
from ..runtime.compiled import evaluation
from ..runtime.cotangents import check_nothing, dtype_of, like_primal, shape_of
from ..runtime.forward import Forward, forward_of, sizes_of
from ..runtime.hidden import Around
from ..runtime.nested import refuse_around
from ..runtime.plans import Plans
from ..trees import Leaf, holds_complex, matched, unflatten
from .modes import local
from .operator import Jacobian

_PLANS: Plans[Any] = Plans()
LAYOUTS = ("numerator", "denominator")


def jacobian(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    layout: str = "numerator",
) -> Callable[..., Any]:
    """The generalized Jacobian of a function, as a function of the same arguments that returns a
    :class:`Jacobian`: an operator of shape ``Y.shape + X.shape``.

    ``argnums`` says by which arguments, as in :func:`pullback.grad`; of several a tuple comes back,
    and a tree where results or arguments are trees. With ``has_aux`` the function returns
    ``(result, more)`` and this one ``(jacobian, more)``. ``layout="denominator"`` gives the
    transposes, of shape ``X.shape + Y.shape``, which upstream gradients are multiplied by from the
    right.

    >>> J = jacobian(lambda X, W: X @ W)(np.ones((2, 3)), np.ones((3, 4)))
    >>> print(J)
    ∂Y/∂X, shape (2, 4, 2, 3)
      is:       Kronecker product, I_2 ⊗ Wᵀ
      element:  ∂Y[i,k]/∂X[i',j] = W[j,k]*[i' = i]
      rank:     at most 6
      bytes:    96 B kept, 384 B dense

    Raises TraceError for what can't be traced, ArgumentError for arguments that are no floats.
    """
    if layout not in LAYOUTS:
        raise ArgumentError(
            "there is no such layout", expected=" or ".join(LAYOUTS), found=repr(layout)[:80]
        )
    return _Function(fun, argnums, has_aux, "jacobian", lambda J: J.T if layout[0] == "d" else J)


def jacrev(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Any:
    """The Jacobian of a function as an array of shape ``Y.shape + X.shape``, as ``jax.jacrev``.

    It is computed by the formula of the Jacobian where there is one, and by products with the fewer
    of rows and columns else. Raises LimitError above 1 GiB: :func:`jacobian` needs no array.

    >>> jacrev(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return _Function(fun, argnums, has_aux, "jacrev", _array)


def jacfwd(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Any:
    """The same array as :func:`jacrev`: which mode is cheaper is seen from the shapes.

    >>> jacfwd(lambda x: np.exp(x))(0.0)
    np.float64(1.0)
    """
    return _Function(fun, argnums, has_aux, "jacfwd", _array)


def hessian(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Any:
    """The Hessian of a function with a scalar result, as an array of shape ``X.shape + X.shape``.

    It is the Jacobian of the gradient. With several ``argnums`` a tuple of tuples comes back,
    as from ``jax.hessian``. ``pullback.jacobian(pullback.grad(fun))`` gives the operator, which
    multiplies without the array, and its ``sparse()``.

    >>> hessian(lambda x: (x ** 3).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])

    Raises ArgumentError for a result that is no scalar, LimitError above 1 GiB.
    """
    inner = _HessianGradient(fun, argnums, has_aux)
    return _Function(inner, argnums, has_aux, "hessian", _array)


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function and its derivative there as a linear function of tangents.

    Returns ``(out, f_jvp)``, with ``has_aux`` ``(out, f_jvp, more)``. The function runs once, and
    ``f_jvp(*tangents)`` computes nothing but the tangent of the result.

    >>> out, along = linearize(lambda x, y: x * y, 2.0, 3.0)
    >>> out, along(1.0, 0.0), along(0.0, 1.0)
    (np.float64(6.0), np.float64(3.0), np.float64(2.0))
    """
    about = parameters(fun)
    call = Call(about, primals, {})

    def make(call: Call, around: Around | None) -> _Plan:
        chosen = tuple(range(len(call.structures)))
        return _Plan(call, forward_of(fun, call, has_aux, (), around), chosen)

    plan = _planned(fun, call, ("linearize", has_aux), make, "linearize")
    out, more = plan.value(call)
    along = plan.linear(call)
    return (out, along, more) if has_aux else (out, along)


def hvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a function with a scalar result times ``tangents``, at ``primals``.

    Both are tuples with one entry an argument, as those of :func:`pullback.jvp`. Of one argument
    the product comes bare, of several a tuple. It is the derivative of the gradient along the
    tangents, which takes a few gradients' time.

    >>> hvp(lambda x: (x ** 3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])

    Raises ArgumentError for a result that is no scalar.
    """
    if not isinstance(primals, tuple | list):
        raise ArgumentError(
            "hvp takes the primals as a tuple, one entry an argument",
            expected="hvp(fun, (x, y), (dx, dy))",
            found=f"a {type(primals).__name__}",
            hint="for a single argument: hvp(fun, (x,), (dx,))",
        )
    every: Argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(_HvpGradient(fun, every, False), primals, tangents)[1]


def _array(of: Jacobian) -> Any:
    """The dense array; a NumPy scalar where it has no axes."""
    return of.dense()[()]


class _HessianGradient(GradientFunction):
    """The gradient that a Hessian is the Jacobian of; errors say what was asked for."""

    __slots__ = ()
    _pullback_reads = GradientFunction._pullback_reads
    _asked = "hessian"


class _HvpGradient(GradientFunction):
    """The gradient that is differentiated along a direction."""

    __slots__ = ()
    _pullback_reads = GradientFunction._pullback_reads
    _asked = "hvp"


class _Function:
    """Jacobians of a function, as a function of the same arguments."""

    def __init__(
        self,
        fun: Callable[..., Any],
        argnums: Argnums,
        has_aux: bool,
        name: str,
        finish: Callable[[Jacobian], Any],
    ) -> None:
        self.about = parameters(fun)
        self.wanted, self.single = check_argnums(argnums)
        self.fun, self.has_aux, self.name, self.finish = fun, has_aux, name, finish
        self.__name__ = getattr(fun, "__name__", name)
        self.__doc__ = getattr(fun, "__doc__", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = Call(self.about, args, kwargs)

        def make(call: Call, around: Around | None) -> _Plan:
            chosen = slots(self.wanted, self.about, call)
            for slot in chosen:
                check_floats(call, slot)
            by = {n for slot in chosen for n in call.leaves_of(slot)}
            steering = [n for n in range(len(call.leaves)) if n not in by]
            return _Plan(call, forward_of(self.fun, call, self.has_aux, steering, around), chosen)

        kind = ("jacobian", self.wanted, self.has_aux)
        plan = _planned(self.fun, call, kind, make, self.name)
        found = plan.jacobians(call, self.finish, self.single, self.name)
        return (found, plan.value(call)[1]) if self.has_aux else found

    def __repr__(self) -> str:
        of = getattr(self.fun, "__qualname__", None) or repr(self.fun)
        return f"<{self.name} of {of}>"


def _planned(
    fun: Callable[..., Any],
    call: Call,
    kind: tuple[Any, ...],
    make: Callable[[Call, Around | None], _Plan],
    name: str,
) -> _Plan:
    """The plan of a call; refused inside a traced function."""
    try:
        plan: _Plan = _PLANS.get(fun, call, kind, make)
        if call.closes_over or call.given_traced:
            raise UnsupportedError(
                f"{name} can't be called inside a function that is traced",
                expected="arrays",
                hint="pullback.jvp and pullback.vjp can, and so can pullback.grad",
            )
    except PullbackError as error:
        refuse_around(error)
        raise
    return plan


class _Plan:
    """What was traced for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward, chosen: Sequence[int]) -> None:
        self.forward = forward
        if any(map(holds_complex, (forward.structure, *call.structures))):
            raise UnsupportedError(
                "a Jacobian of complex arrays can't be taken",
                expected="real arguments and results",
                hint="take that of a function of real arrays: z = x + 1j*y in it, "
                "np.stack([w.real, w.imag]) as its result",
            )
        self.trees = [(call.structures[slot], call.leaves_of(slot)) for slot in chosen]
        self.labels, self.structures, self.places = call.labels, call.structures, call.places

    def inputs(self, call: Call) -> tuple[Program, dict[Tensor, Any]]:
        """The program with every size a number, and the values of its inputs."""
        arrays = self.forward.arrays(call)
        sizes = sizes_of(self.forward.program, arrays)
        program = self.forward.program.with_sizes(sizes) if sizes else self.forward.program
        return program, dict(zip(program.inputs, arrays, strict=True))

    def value(self, call: Call) -> tuple[Any, Any]:
        """The function's result, and the auxiliary one."""
        program, inputs = self.inputs(call)
        found = evaluation(program)(*(inputs[t] for t in program.inputs))
        return self.forward.built(found)

    def jacobians(
        self, call: Call, finish: Callable[[Jacobian], Any], single: bool, name: str
    ) -> Any:
        """A tree like the result's, of trees like the arguments'."""
        if not self.forward.results:
            raise ArgumentError(
                f"{name} needs a function that returns arrays",
                expected="an array, or a tree with some",
                found="no array",
                hint="return what is computed from the arguments",
            )
        program, inputs = self.inputs(call)
        rows = [
            self.row(program, inputs, program.outputs[n], finish, single)
            for n in range(self.forward.results)
        ]
        if isinstance(self.forward.structure, Leaf):
            return rows[0]
        return unflatten(self.forward.structure, rows, static=False)

    def row(
        self,
        program: Program,
        inputs: Mapping[Tensor, Any],
        output: Tensor,
        finish: Callable[[Jacobian], Any],
        single: bool,
    ) -> Any:
        """The Jacobians of one output."""
        if output.kind != "float":
            return None
        found = []
        for structure, leaves in self.trees:
            tensors = [program.inputs[self.forward.given.index(n)] for n in leaves]
            made = [
                finish(Jacobian.at(local(program, output, t), inputs))
                if t.kind == "float"
                else None
                for t in tensors
            ]
            whole = isinstance(structure, Leaf)
            found.append(made[0] if whole else unflatten(structure, made, static=False))
        return found[0] if single else tuple(found)

    def linear(self, call: Call) -> Callable[..., Any]:
        """The derivative as a function of tangents."""
        program, inputs = self.inputs(call)
        given = self.forward.given
        floats = [
            n for n in range(len(call.leaves)) if program.inputs[given.index(n)].kind == "float"
        ]
        outputs = program.outputs[: self.forward.results]
        maps = {
            (k, n): Jacobian.at(local(program, out, program.inputs[given.index(n)]), inputs)
            for k, out in enumerate(outputs)
            if out.kind == "float"
            for n in floats
        }
        like = {n: (shape_of(call.leaves[n]), dtype_of(call.leaves[n])) for n in floats}

        def along(*tangents: Any) -> Any:
            flat = self.tangents(tangents, like)
            moved: list[Any] = [None] * len(outputs)
            for (k, n), J in maps.items():
                part = J @ flat[n]
                moved[k] = part if moved[k] is None else moved[k] + part
            return unflatten(self.forward.structure, moved, static=False)

        return along

    def tangents(self, given: Sequence[Any], like: Mapping[int, tuple[Any, Any]]) -> dict[int, Any]:
        """The tangents of the float leaves of the arguments."""
        if len(given) != len(self.structures):
            raise ArgumentError(
                "there is one tangent an argument",
                expected=f"{len(self.structures)} tangents",
                found=str(len(given)),
            )
        flat = [
            value
            for label, structure, tangent in zip(self.labels, self.structures, given, strict=True)
            for value in matched(tangent, structure, f"the tangent of {label}", label)
        ]
        found = {}
        for n, (value, place) in enumerate(zip(flat, self.places, strict=True)):
            if n in like:
                found[n] = like_primal(value, *like[n], f"the tangent of {place}", place)
            else:
                check_nothing(value, f"the tangent of {place}", place)
        return found
