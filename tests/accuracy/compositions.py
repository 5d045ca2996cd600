"""Random compositions of functions that saturate, and their derivatives: in decimals, and in
float64 by the chain rule operation by operation, forward and in reverse."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import mpmath
import numpy as np

Tree = tuple[Any, ...]  # ("w",), ("c", number), (function, tree), (operator, tree, tree)
Array = np.ndarray[Any, Any]
CONTEXT = mpmath.mp.clone()
FAR = 1e15  # beyond that exponentials are taken for 0, or refused
DIGITS = (60, 420, 5000)


class Undefined(Exception):
    """There is no value to compare with."""


def _exp(x: Any) -> Any:
    if x > FAR:
        raise Undefined
    return CONTEXT.exp(x) if x > -FAR else CONTEXT.mpf(0)


def _bounded(function: Callable[[Any], Any], far: Callable[[Any], Any] | None = None) -> Any:
    def value(x: Any) -> Any:
        if abs(x) <= FAR:
            return function(x)
        if far is None:
            raise Undefined
        return far(x)

    return value


def _positive(x: Any) -> Any:
    if x <= 0:
        raise Undefined
    return x


_sinh, _cosh = _bounded(CONTEXT.sinh), _bounded(CONTEXT.cosh)
_slope = _bounded(lambda x: 1 / CONTEXT.cosh(x) ** 2, lambda x: CONTEXT.mpf(0))

# The function in decimals, its derivative in decimals, and t times the derivative in float64.
FUNCTIONS: dict[str, tuple[Any, Any, Callable[[Any, Any, Any], Any]]] = {
    "exp": (_exp, _exp, lambda t, y, x: t * y),
    "log": (lambda x: CONTEXT.log(_positive(x)), lambda x: 1 / x, lambda t, y, x: t / x),
    "log1p": (
        lambda x: CONTEXT.log(_positive(1 + x)),
        lambda x: 1 / (1 + x),
        lambda t, y, x: t / (1 + x),
    ),
    "expm1": (
        lambda x: CONTEXT.expm1(x) if abs(x) < FAR else _exp(x) - 1,
        _exp,
        lambda t, y, x: t * (y + 1),
    ),
    "tanh": (_bounded(CONTEXT.tanh, CONTEXT.sign), _slope, lambda t, y, x: t * (1 - y * y)),
    "sinh": (_sinh, _cosh, lambda t, y, x: t * np.cosh(x)),
    "cosh": (_cosh, _sinh, lambda t, y, x: t * np.sinh(x)),
    "sqrt": (
        lambda x: CONTEXT.sqrt(_positive(x)),
        lambda x: 1 / (2 * CONTEXT.sqrt(x)),
        lambda t, y, x: t / (2 * y),
    ),
    "square": (lambda x: x * x, lambda x: 2 * x, lambda t, y, x: 2 * x * t),
    "reciprocal": (lambda x: 1 / _nonzero(x), lambda x: -1 / x**2, lambda t, y, x: -t * y * y),
    "arctan": (CONTEXT.atan, lambda x: 1 / (1 + x * x), lambda t, y, x: t / (1 + x * x)),
    "negative": (lambda x: -x, lambda x: CONTEXT.mpf(-1), lambda t, y, x: -t),
}
NAMES = (*["exp"] * 3, *FUNCTIONS, "reciprocal", "negative")
OPERATORS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def _nonzero(x: Any) -> Any:
    if x == 0:
        raise Undefined
    return x


def random_tree(random: Random, depth: int) -> Tree:
    """A random composition."""
    if depth <= 0:
        return ("w",) if random.random() < 0.85 else ("c", random.choice([0.5, 2.0, 3.0]))
    inner = random_tree(random, depth - 1)
    if random.random() < 0.5:
        return random.choice(NAMES), inner
    if random.random() < 0.25:
        return "+", ("c", 1.0), inner
    return random.choice("++**-/"), inner, random_tree(random, random.randrange(depth))


def varies(tree: Tree) -> bool:
    """Whether a composition depends on w."""
    return tree[0] == "w" or any(varies(t) for t in tree[1:] if isinstance(t, tuple))


def text(tree: Tree, notation: bool = False) -> str:
    """The composition in Python, or in index notation."""
    parts = [text(t, notation) for t in tree[1:] if isinstance(t, tuple)]
    match tree[0], parts:
        case "w", _:
            return "w[i]" if notation else "w"
        case "c", _:
            return repr(tree[1])
        case "reciprocal", (x,):
            return f"(1/{x})"
        case "square", (x,):
            return f"{x}**2" if x in ("w", "w[i]") else f"({x})**2"
        case "negative", (x,):
            return f"(-{x})"
        case str(name), (x,):
            return f"{name}({x})"
        case operator, (x, y):
            return f"({x} {operator} {y})"
    raise AssertionError(tree)


def function(source: str) -> Callable[[Any], Any]:
    """A function of w by its text."""
    names = {name: getattr(np, name) for name in FUNCTIONS}
    made: Callable[[Any], Any] = eval(f"lambda w: {source}", names)
    return made


def exact(tree: Tree, w: float) -> tuple[Any, Any]:
    """The value and the derivative, to 18 digits."""
    found: list[tuple[Any, Any]] = []
    for digits in DIGITS:
        CONTEXT.dps = digits
        found.append(_exact(tree, CONTEXT.mpf(w)))
        if len(found) > 1 and all(map(_equal, *found[-2:])):
            return found[-1]
    raise Undefined


def _equal(one: Any, other: Any) -> bool:
    return bool(abs(one - other) <= abs(other) * 1e-18)


def _exact(tree: Tree, w: Any) -> tuple[Any, Any]:
    match tree:
        case ("w",):
            return w, CONTEXT.mpf(1)
        case ("c", number):
            return CONTEXT.mpf(number), CONTEXT.mpf(0)
        case (name, inner):
            x, dx = _exact(inner, w)
            value, slope, _ = FUNCTIONS[name]
            y = value(x)
            return y, slope(x) * dx if dx else dx
        case (operator, left, right):
            (a, da), (b, db) = _exact(left, w), _exact(right, w)
            match operator:
                case "+":
                    return a + b, da + db
                case "-":
                    return a - b, da - db
                case "*":
                    return a * b, da * b + a * db
            return a / _nonzero(b), da / b - a * db / (b * b)
    raise AssertionError(tree)


def forward(tree: Tree, w: Array, size: bool = False) -> tuple[Any, Any]:
    """The value and the tangent by the chain rule in float64; of the terms that are added up their
    size, if that is asked for."""
    match tree:
        case ("w",):
            return w, np.ones_like(w)
        case ("c", number):
            return np.float64(number), 0.0
        case (name, inner):
            x, t = forward(inner, w, size)
            y = getattr(np, name)(x)
            if not varies(inner):
                return y, 0.0
            found = FUNCTIONS[name][2](t, y, x)
            return y, abs(found) if size else found
    operator, left, right = tree
    (a, s), (b, t) = forward(left, w, size), forward(right, w, size)
    y = OPERATORS[operator](a, b)
    parts = {
        "+": lambda: (s, t),
        "-": lambda: (s, -t),
        "*": lambda: (s * b, t * a),
        "/": lambda: (s / b, -t * y / b),
    }[operator]()
    used = [p for p, inner in zip(parts, (left, right), strict=True) if varies(inner)]
    return y, sum(map(abs, used) if size else used)


def reverse(tree: Tree, w: Array) -> Any:
    """The gradient by the chain rule in float64."""
    return _reverse(tree, w, np.ones_like(w))


def _reverse(tree: Tree, w: Array, seed: Any) -> Any:
    match tree:
        case ("w",):
            return seed
        case (name, inner) if name != "c" and varies(inner):
            x, _ = forward(inner, w)
            return _reverse(inner, w, FUNCTIONS[name][2](seed, getattr(np, name)(x), x))
        case (operator, left, right):
            a, b = forward(left, w)[0], forward(right, w)[0]
            y = OPERATORS[operator](a, b)
            seeds = {
                "+": lambda: (seed, seed),
                "-": lambda: (seed, -seed),
                "*": lambda: (seed * b, seed * a),
                "/": lambda: (seed / b, -seed * y / b),
            }[operator]()
            found = zip((left, right), seeds, strict=True)
            return sum(_reverse(t, w, s) for t, s in found if varies(t))
    return 0.0
