"""Gradients, pullbacks and pushforwards of functions, with JAX's names and signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .errors import ArgumentError, PullbackError
from .runtime.calls import Argnums, Call, check_argnums, check_floats, parameters, slots
from .runtime.forward import forward_of
from .runtime.hidden import Around
from .runtime.nested import refuse_around
from .runtime.plans import Plans
from .runtime.transforms import Gradient, Pullback, Pushforward

_PLANS: Plans[Any] = Plans()


def grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a function with a scalar result, as a function of the same arguments.

    ``argnums`` says by which arguments: a position, a parameter's name, or a tuple of them (then a
    tuple of gradients comes back). A gradient has its argument's shape, dtype and, where that is a
    dict, list, tuple or dataclass, its structure. With ``has_aux`` the function returns ``(result,
    more)`` and its gradient function ``(gradient, more)``.

    >>> loss = lambda X, w: ((X @ w) ** 2).sum()
    >>> grad(loss, argnums="w")(np.eye(2), np.array([1.0, 3.0]))
    array([2., 6.])

    Raises TraceError for what can't be traced, ArgumentError for arguments that are no floats and
    for a result that is no scalar.
    """
    return _gradient_function(
        fun,
        argnums,
        has_aux,
        lambda value, more, gradient: (gradient, more) if has_aux else gradient,
        "grad",
    )


def value_and_grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like :func:`grad`, but the function returns ``(value, gradient)``.

    With ``has_aux``, ``((value, more), gradient)``.

    >>> value_and_grad(lambda x: x ** 3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """
    return _gradient_function(
        fun,
        argnums,
        has_aux,
        lambda value, more, gradient: ((value, more) if has_aux else value, gradient),
        "value_and_grad",
    )


def _gradient_function(
    fun: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    arrange: Callable[[Any, Any, Any], Any],
    name: str,
) -> Callable[..., Any]:
    about = parameters(fun)
    wanted, single = check_argnums(argnums)
    kind = ("grad", wanted, has_aux)

    def make(call: Call, around: Around | None) -> Gradient:
        chosen = slots(wanted, about, call)
        for slot in chosen:
            check_floats(call, slot)
        by = {n for slot in chosen for n in call.leaves_of(slot)}
        steering = [n for n in range(len(call.leaves)) if n not in by]
        return Gradient(call, forward_of(fun, call, has_aux, steering, around), chosen)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def gradient_function(*args: Any, **kwargs: Any) -> Any:
        call = Call(about, args, kwargs)
        try:
            plan = _PLANS.get(fun, call, kind, make)
            value, more, gradients = plan(call)
        except PullbackError as error:
            refuse_around(error)
            raise
        return arrange(value, more, gradients[0] if single else gradients)

    gradient_function.__pullback__ = (name, wanted, has_aux)  # type: ignore[attr-defined]
    return gradient_function


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function, and its pullback: from the cotangent of the result to those of the
    arguments.

    Returns ``(out, vjp_fn)``, with ``has_aux`` ``(out, vjp_fn, more)``. ``vjp_fn(cotangent)``
    takes a tree like ``out`` (None stands for zeros) and returns a tuple with one gradient an
    argument, None in the place of what is no float.

    >>> out, pull = vjp(lambda X, w: X @ w, np.eye(2), np.array([1.0, 3.0]))
    >>> pull(np.array([1.0, 10.0]))[1]
    array([ 1., 10.])
    """
    about = parameters(fun)
    call = Call(about, primals, {})

    def make(call: Call, around: Around | None) -> Pullback:
        return Pullback(call, forward_of(fun, call, has_aux, (), around))

    try:
        plan = _PLANS.get(fun, call, ("vjp", has_aux), make)
        out, more, vjp_fn = plan(call)
    except PullbackError as error:
        refuse_around(error)
        raise
    return (out, vjp_fn, more) if has_aux else (out, vjp_fn)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """The value of a function and its derivative along ``tangents``, which are trees like
    ``primals``.

    Returns ``(out, tangent_out)``, with ``has_aux`` ``(out, tangent_out, more)``. None stands for
    a zero tangent; it is the only tangent of what is no float.

    >>> jvp(lambda x: x ** 2, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise ArgumentError(
                f"jvp takes the {name} as a tuple, one entry an argument",
                expected="jvp(fun, (x, y), (dx, dy))",
                found=f"a {type(given).__name__}",
                hint="for a single argument: jvp(fun, (x,), (dx,))",
            )
    about = parameters(fun)
    call = Call(about, primals, {})

    def make(call: Call, around: Around | None) -> Pushforward:
        return Pushforward(call, forward_of(fun, call, has_aux, (), around))

    try:
        plan = _PLANS.get(fun, call, ("jvp", has_aux), make)
        out, tangent, more = plan(call, tangents)
    except PullbackError as error:
        refuse_around(error)
        raise
    return (out, tangent, more) if has_aux else (out, tangent)
