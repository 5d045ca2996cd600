"""Derivations, and functions of index notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError
from .runtime.calls import Argnums, check_argnums, parameters
from .runtime.notated import Formula, text_formula

if TYPE_CHECKING:
    from .derivation import Derivation
    from .dims.argue import Arrangements


def define(text: str, /, **shapes: Any) -> Formula:
    """Index notation as a function of NumPy arrays, by position or by name.

    ``shapes`` fixes shapes that the text leaves open, as names (``b="1 M"``), numbers or example
    arrays. Sizes that no array's shape tells are keyword arguments of the function. It can be
    differentiated, and called inside functions that are.

    >>> affine = define("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    >>> affine([[1.0, 2.0]], W=[[1.0], [10.0]], b=[100.0])
    array([[121.]])

    Raises NotationError for a text that can't be read, ShapeError for shapes that contradict it.
    """
    if not isinstance(text, str):
        raise ArgumentError(
            "define makes a function of index notation",
            expected="a text",
            found=f"a {type(text).__name__}",
            hint="a NumPy function needs no define" if callable(text) else "",
        )
    return text_formula(text, shapes)


def derive(
    fun_or_text: Callable[..., Any] | str,
    /,
    *arguments: Any,
    wrt: Argnums | None = None,
    argnums: Argnums | None = None,
    conventions: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    memory: Any = None,
    keep: Any = None,
    **shapes: Any,
) -> Derivation:
    """The derivation of the backward pass: to read, to check, to compile.

    Of a NumPy function, given the shapes of its arguments, by name or in their order: ``X="N D"``
    with named sizes, ``X=(64, "D")``, an example array, dicts, lists and tuples of these, or
    annotations such as ``Float[Array, "N D"]``; or of index notation, which tells most shapes
    itself. A dtype stands behind a colon, ``y="N: int64"``. Arguments that are ints, bools, None
    or functions are taken as they are.

    ``wrt`` (or ``argnums``) says by which inputs, by name or position; all float ones if not
    given. ``conventions`` switches what holds at kinks and ties. ``sizes`` gives values of named
    sizes, to tell bytes with.

    ``memory`` says how much of the forward pass is saved, "balanced" if not given; ``keep`` names
    values that aren't computed again (see :meth:`Derivation.saving`). Where an argument of the
    function has one of these names, they are its shape.

    A function is traced at a few sizes, and again at the first call of what
    :meth:`Derivation.compile` gives with others: whatever it does besides (printing, counting) is
    done each time. ``Derivation.assumptions`` tells what is taken for granted of the sizes.

    >>> print(derive(lambda X, W: X @ W, X="N D", W="D M").formula("W", matrix=True))
    dW = Xᵀ dY
    """
    if wrt is not None and argnums is not None:
        raise ArgumentError("wrt and argnums say the same", hint="give one of them")
    for name, given in (("conventions", conventions), ("sizes", sizes)):
        if given is not None and not (
            isinstance(given, Mapping)
            and all(isinstance(key, str) for key in given)
            and (name == "sizes" or all(isinstance(value, str) for value in given.values()))
        ):
            raise ArgumentError(
                f"{name} is a dict by names",
                expected='e.g. {"maximum": "half"}' if name == "conventions" else 'e.g. {"N": 64}',
                found=f"a {type(given).__name__}",
            )
    asked = wrt if wrt is not None else argnums
    wanted = None if asked is None else check_argnums(asked)[0]
    if arguments:
        shapes = {**_by_name(fun_or_text, arguments, shapes), **shapes}
    if isinstance(fun_or_text, str):
        fun_or_text = text_formula(fun_or_text, shapes)
        shapes = {}
    if isinstance(fun_or_text, Formula):
        from .runtime.formulas import derive_formula  # what shows derivations is large

        found = derive_formula(fun_or_text, wanted, conventions or {}, sizes or {})
        return found.saving("balanced" if memory is None else memory, () if keep is None else keep)
    named = parameters(fun_or_text).known  # refuses what is no function
    if "memory" in named and memory is not None:
        shapes, memory = {**shapes, "memory": memory}, None
    if "keep" in named and keep is not None:
        shapes, keep = {**shapes, "keep": keep}, None
    from .runtime.deriving import derive_function  # and so is what traces

    found = derive_function(fun_or_text, wanted, conventions or {}, sizes or {}, shapes)
    return found.saving("balanced" if memory is None else memory, () if keep is None else keep)


def _by_name(
    function: Callable[..., Any] | str, given: Sequence[Any], shapes: Mapping[str, Any]
) -> dict[str, Any]:
    """The shapes that are given in the order of a function's arguments, by their names."""
    if isinstance(function, str | Formula):
        raise ArgumentError(
            "shapes in an order are those of a NumPy function's arguments",
            found=f"{len(given)} beside index notation",
            hint='give them by name, as in derive(text, X="N D")',
        )
    names = parameters(function).names
    if len(given) > len(names):
        raise ArgumentError(
            "more shapes are given than the function has arguments",
            expected=f"at most {len(names)}: {', '.join(names) or 'none'}",
            found=f"{len(given)}",
        )
    twice = [name for name in names[: len(given)] if name in shapes]
    if twice:
        raise ArgumentError(f"the shape of {twice[0]} is given by its place and by its name")
    return dict(zip(names, given, strict=False))


def arrangements(
    fun_or_text: Callable[..., Any] | str,
    /,
    *,
    wrt: str,
    conventions: Mapping[str, str] | None = None,
    **shapes: Any,
) -> Arrangements:
    """Which arrangements of a gradient the shapes allow, which one is right, and why.

    The program is given as to :func:`pullback.derive`; ``wrt`` names one input. What fits is judged
    by random numbers at sizes that differ where the shapes have names: a lone fit is no proof.
    Where no product of what is at hand is the gradient, the steps between are named and argued one
    by one, by which elements depend on which.

    >>> print(arrangements("Y[n,m] = sum(d) X[n,d]*W[d,m]", wrt="W"))
    dL/dW must have W's shape, D×M. At hand: dL/dY (N×M), X (N×D).
      fits       Xᵀ (D×N) · dL/dY (N×M)
      right      it is the only one that fits, and it is the gradient; checked at N=5, D=7, M=3, \
where
                 no shapes coincide

    Raises ArgumentError where ``wrt`` is no input or sizes are numbers, LimitError for more than
    two axes.
    """
    from .dims.argue import arrangements_of

    if not isinstance(wrt, str):
        raise ArgumentError("wrt is the name of one input", found=f"{wrt!r}"[:80])
    found = derive(fun_or_text, wrt=wrt, conventions=conventions, **shapes)
    return arrangements_of(found, wrt)
