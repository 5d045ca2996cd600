"""Gradients, pullbacks and pushforwards of functions, with JAX's names and signatures."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Sequence
from operator import attrgetter
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
    return GradientFunction(fun, argnums, has_aux)


def value_and_grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like :func:`grad`, but the function returns ``(value, gradient)``.

    With ``has_aux``, ``((value, more), gradient)``.

    >>> value_and_grad(lambda x: x ** 3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """
    return ValueAndGradientFunction(fun, argnums, has_aux)


class GradientFunction:
    """The gradient of a function, as a function of the same arguments.

    It has the function's name and signature, is a method where the function would be one, and
    pickles and copies where the function does; what was derived is derived again.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "about",
        "argnums",
        "fun",
        "has_aux",
        "single",
        "wanted",
    )
    _pullback_reads = ("fun", "wanted", "has_aux")  # what it depends on, see runtime.captured
    _pullback_of = attrgetter("fun")
    _transform = _asked = "grad"

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        self.about = parameters(fun)
        self.wanted, self.single = check_argnums(argnums)
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux
        named = ("__module__", "__name__", "__qualname__", "__doc__")
        functools.update_wrapper(self, fun, assigned=named)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = Call(self.about, args, kwargs)
        try:
            plan = _PLANS.get(self.fun, call, ("grad", self.wanted, self.has_aux), self._make)
            value, more, gradients = plan(call)
        except PullbackError as error:
            refuse_around(error)
            raise
        return self.arranged(value, more, gradients[0] if self.single else gradients)

    def arranged(self, value: Any, more: Any, gradient: Any) -> Any:
        """What is returned, of the function's value and its gradient."""
        return (gradient, more) if self.has_aux else gradient

    def _make(self, call: Call, around: Around | None) -> Gradient:
        chosen = slots(self.wanted, self.about, call)
        for slot in chosen:
            check_floats(call, slot)
        by = {n for slot in chosen for n in call.leaves_of(slot)}
        steering = [n for n in range(len(call.leaves)) if n not in by]
        forward = forward_of(self.fun, call, self.has_aux, steering, around)
        return Gradient(call, forward, chosen, self._asked)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        of = getattr(self.fun, "__qualname__", None) or repr(self.fun)
        return f"<{self._transform} of {of}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        try:  # what decorates a function has its name
            if attrgetter(self.__qualname__)(sys.modules[self.__module__]) is self:  # type: ignore[attr-defined]
                return self.__qualname__  # type: ignore[no-any-return]
        except (AttributeError, KeyError):
            pass
        return type(self), (self.fun, self.argnums, self.has_aux)


class ValueAndGradientFunction(GradientFunction):
    """The value of a function and its gradient, as a function of the same arguments."""

    __slots__ = ()
    _transform = "value_and_grad"

    def arranged(self, value: Any, more: Any, gradient: Any) -> Any:
        """The value and the gradient."""
        return (value, more) if self.has_aux else value, gradient


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
