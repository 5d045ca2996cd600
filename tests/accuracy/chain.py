"""Reverse mode operation by operation, in float32, float64 or decimals: what compact forms are
compared with.

The same NumPy function runs on a :class:`Var`, which notes each operation with its pullback as
textbooks give it. Nothing is shared with the package but the function that is run. An array of
:mod:`mpmath` numbers in it makes the same chain rule the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

DIGITS = 60
Array = np.ndarray[Any, Any]
Pull = Callable[[Array], Sequence[Any]]

CONTEXT = mpmath.mp.clone()
CONTEXT.dps = DIGITS


def exact(value: Any) -> Array:
    """An array of numbers with 60 digits, equal to these floats."""
    return np.asarray(np.frompyfunc(lambda x: CONTEXT.mpf(float(x)), 1, 1)(value), dtype=object)


def _logistic(x: Any) -> Any:
    return 1 / (1 + CONTEXT.exp(-x))


DECIMAL: dict[str, Callable[..., Any]] = {
    **{name: getattr(CONTEXT, name) for name in ("exp", "expm1", "log", "log1p", "sqrt")},
    **{name: getattr(CONTEXT, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "exp2": lambda x: CONTEXT.mpf(2) ** x,
    "log2": lambda x: CONTEXT.log(x, 2),
    "log10": CONTEXT.log10,
    "arctan": CONTEXT.atan,
    "arcsin": CONTEXT.asin,
    "arcsinh": CONTEXT.asinh,
    "arctanh": CONTEXT.atanh,
    "arctan2": CONTEXT.atan2,
    "hypot": CONTEXT.hypot,
    "cbrt": CONTEXT.cbrt,
    "abs": abs,
    "sign": CONTEXT.sign,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "logaddexp": lambda x, y: max(x, y) + CONTEXT.log1p(CONTEXT.exp(-abs(x - y))),
    "erf": CONTEXT.erf,
    "expit": _logistic,
}


def call(name: str, *args: Any) -> Any:
    """A NumPy function of arrays, or the same in decimals."""
    if any(np.asarray(a).dtype == object for a in args):
        if name in DECIMAL:
            found = np.frompyfunc(DECIMAL[name], len(args), 1)(*args)
            return np.asarray(found, dtype=object)
        args = tuple(a if isinstance(a, np.ndarray) else np.asarray(a) for a in args)
    if name in ("erf", "expit"):
        import scipy.special

        return getattr(scipy.special, name)(*args)
    return getattr(np, name)(*args)


def _fitted(grad: Any, like: Array) -> Any:
    """A gradient summed over the axes along which a value was broadcast."""
    grad = np.asarray(grad)
    if grad.ndim > like.ndim:
        grad = grad.sum(axis=tuple(range(grad.ndim - like.ndim)))
    axes = tuple(k for k, n in enumerate(like.shape) if n == 1 and grad.shape[k] != 1)
    return grad.sum(axis=axes, keepdims=True) if axes else grad + np.zeros_like(like)


_HALF_PI = 1.1283791670955126  # 2/sqrt(pi)


def _erf_slope(x: Array) -> Any:
    scale = 2 / CONTEXT.sqrt(CONTEXT.pi) if x.dtype == object else x.dtype.type(_HALF_PI)
    return scale * call("exp", -x * x)


def _log_of(base: int) -> Callable[[Array], Any]:
    def value(x: Array) -> Any:
        return CONTEXT.log(base) if x.dtype == object else x.dtype.type(np.log(base))

    return value


# The textbook derivative by each argument, of the arguments and the value.
PARTIALS: dict[str, tuple[Callable[..., Any], ...]] = {
    "add": (lambda g, y, a, b: g, lambda g, y, a, b: g),
    "subtract": (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "multiply": (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "divide": (lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
    "negative": (lambda g, y, a: -g,),
    "exp": (lambda g, y, a: g * y,),
    "exp2": (lambda g, y, a: g * y * _log_of(2)(a),),
    "expm1": (lambda g, y, a: g * (y + 1),),
    "log": (lambda g, y, a: g / a,),
    "log2": (lambda g, y, a: g / a / _log_of(2)(a),),
    "log10": (lambda g, y, a: g / a / _log_of(10)(a),),
    "log1p": (lambda g, y, a: g / (1 + a),),
    "sqrt": (lambda g, y, a: g / 2 / y,),
    "cbrt": (lambda g, y, a: g / 3 / (y * y),),
    "square": (lambda g, y, a: 2 * a * g,),
    "reciprocal": (lambda g, y, a: -g * y * y,),
    "abs": (lambda g, y, a: g * call("sign", a),),
    "sin": (lambda g, y, a: g * call("cos", a),),
    "cos": (lambda g, y, a: -g * call("sin", a),),
    "tan": (lambda g, y, a: g * (1 + y * y),),
    "sinh": (lambda g, y, a: g * call("cosh", a),),
    "cosh": (lambda g, y, a: g * call("sinh", a),),
    "tanh": (lambda g, y, a: g * (1 - y * y),),
    "arctan": (lambda g, y, a: g / (1 + a * a),),
    "arcsin": (lambda g, y, a: g / call("sqrt", 1 - a * a),),
    "arcsinh": (lambda g, y, a: g / call("sqrt", 1 + a * a),),
    "arctanh": (lambda g, y, a: g / (1 - a * a),),
    "expit": (lambda g, y, a: g * y * (1 - y),),
    "erf": (lambda g, y, a: g * _erf_slope(a),),
    "hypot": (lambda g, y, a, b: g * a / y, lambda g, y, a, b: g * b / y),
    "arctan2": (
        lambda g, y, a, b: g * b / (a * a + b * b),
        lambda g, y, a, b: -g * a / (a * a + b * b),
    ),
    "logaddexp": (
        lambda g, y, a, b: g * call("exp", a - y),
        lambda g, y, a, b: g * call("exp", b - y),
    ),
    "maximum": (lambda g, y, a, b: g * (a > b), lambda g, y, a, b: g * (b > a)),
    "minimum": (lambda g, y, a, b: g * (a < b), lambda g, y, a, b: g * (b < a)),
}

NAMES = {"absolute": "abs", "true_divide": "divide"}
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")


class Var(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of the chain, with the pullback of the operation that made it."""

    __array_priority__ = 1000

    def __init__(self, value: Any, parents: Sequence[Any] = (), pull: Pull | None = None) -> None:
        self.value = np.asarray(value)
        self.parents = parents
        self.pull = pull
        self.grad: Any = 0

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: _moved(self, lambda a: a.T, lambda g: g.T))

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        assert method == "__call__" and not options
        name = NAMES.get(ufunc.__name__, ufunc.__name__)
        if name == "matmul":
            return _matmul(*args)
        if name == "power":
            return _power(*args)
        values = [_value(a, args) for a in args]
        if name in COMPARISONS or name == "sign":
            return call(name, *values)
        result = np.asarray(call(name, *values))
        arrays = [np.asarray(v) for v in values]

        def pull(g: Array) -> list[Any]:
            return [
                _fitted(partial(g, result, *values), array) if isinstance(a, Var) else None
                for partial, array, a in zip(PARTIALS[name], arrays, args, strict=True)
            ]

        return Var(result, args, pull)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return HANDLED[function.__name__](*args, **options)

    def __getitem__(self, key: Any) -> Var:
        def pull(g: Array) -> list[Any]:
            out = np.zeros_like(self.value)
            np.add.at(out, key, g) if out.dtype != object else out.__setitem__(key, g)
            return [out]

        return Var(self.value[key], [self], pull)

    def __len__(self) -> int:
        return len(self.value)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Var:
        """The sum over axes."""
        value = self.value

        def pull(g: Array) -> list[Any]:
            g = np.asarray(g)
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            return [g + np.zeros_like(value)]

        return Var(value.sum(axis=axis, keepdims=keepdims), [self], pull)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean over axes, as sum and division."""
        total = self.sum(axis, keepdims)
        return total / (self.size // total.size)

    def var(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
        """The mean of the squares of what is centred."""
        centred = self - self.mean(axis, True)
        total = (centred * centred).sum(axis, keepdims)
        return total / (self.size // total.size - ddof)

    def std(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The root of the variance."""
        return np.sqrt(self.var(axis, keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Var:
        """The greatest; the gradient goes to the first such."""
        return _extremum(self, axis, keepdims, "argmax")

    def min(self, axis: Any = None, keepdims: bool = False) -> Var:
        """The least; the gradient goes to the first such."""
        return _extremum(self, axis, keepdims, "argmin")

    def prod(self) -> Var:
        """The product of all; the gradient divides by each."""
        value = self.value.prod()
        return Var(value, [self], lambda g: [g * value / self.value])

    def cumsum(self) -> Var:
        """Sums from the first on, of one axis."""
        return Var(self.value.cumsum(), [self], lambda g: [g[::-1].cumsum()[::-1]])

    def reshape(self, *shape: Any) -> Var:
        """Other axes."""
        return _moved(self, lambda a: a.reshape(*shape), lambda g: g.reshape(self.shape))


def _value(a: Any, args: Sequence[Any]) -> Any:
    """What an operation computes with: decimals beside decimals."""
    value = a.value if isinstance(a, Var) else a
    wide = any(isinstance(b, Var) and b.dtype == object for b in args)
    if not wide or np.asarray(value).dtype == object:
        return value
    if np.asarray(value).dtype.kind in "iub":
        return value
    return exact(value) if np.ndim(value) else CONTEXT.mpf(float(value))


def _moved(x: Var, there: Callable[[Array], Array], back: Callable[[Array], Array]) -> Var:
    return Var(there(x.value), [x], lambda g: [back(np.asarray(g))])


def _extremum(x: Var, axis: Any, keepdims: bool, name: str) -> Var:
    if axis is None:
        flat = x.reshape(-1)
        picked = flat[int(getattr(flat.value, name)())]
        return picked.reshape((1,) * x.ndim) if keepdims else picked
    place = np.expand_dims(getattr(x.value, name)(axis=axis), axis)
    value = np.take_along_axis(x.value, place, axis)

    def pull(g: Array) -> list[Any]:
        out = np.zeros_like(x.value)
        wide = np.asarray(g) if keepdims else np.expand_dims(g, axis)
        np.put_along_axis(out, place, wide, axis)
        return [out]

    return Var(value if keepdims else value.squeeze(axis), [x], pull)


def _matmul(a: Any, b: Any) -> Var:
    left, right = (np.asarray(_value(x, (a, b))) for x in (a, b))

    def pull(g: Array) -> list[Any]:
        g = np.asarray(g)
        if left.ndim == right.ndim == 1:
            return [g * right, g * left]
        if right.ndim == 1:
            return [np.multiply.outer(g, right), left.T @ g]
        if left.ndim == 1:
            return [right @ g, np.multiply.outer(left, g)]
        return [g @ right.T, left.T @ g]

    return Var(left @ right, [a, b], pull)


def _power(a: Var, n: Any) -> Var:
    value = a.value
    if value.dtype == object:
        n = n if isinstance(n, int) else CONTEXT.mpf(n)
    down = n - 1

    def pull(g: Array) -> list[Any]:
        return [g * n * value**down, None]

    return Var(value**n, [a, n], pull)


def _where(cond: Any, a: Any, b: Any) -> Var:
    values = [np.asarray(_value(x, (a, b))) for x in (a, b)]
    zero = np.zeros_like(values[0])

    def pull(g: Array) -> list[Any]:
        parts = np.where(cond, g, zero), np.where(cond, zero, g)
        return [_fitted(p, v) for p, v in zip(parts, values, strict=True)]

    return Var(np.where(cond, *values), [a, b], pull)


def _concatenate(parts: Sequence[Any], axis: int = 0) -> Var:
    values = [p.value if isinstance(p, Var) else np.asarray(p) for p in parts]
    ends = np.cumsum([v.shape[axis] for v in values])[:-1]
    return Var(np.concatenate(values, axis), parts, lambda g: np.split(g, ends, axis))


HANDLED: dict[str, Callable[..., Any]] = {
    "sum": lambda x, axis=None, keepdims=False: x.sum(axis, keepdims),
    "mean": lambda x, axis=None, keepdims=False: x.mean(axis, keepdims),
    "var": lambda x, axis=None, keepdims=False: x.var(axis, keepdims),
    "std": lambda x, axis=None, keepdims=False: x.std(axis, keepdims),
    "max": lambda x, axis=None, keepdims=False: x.max(axis, keepdims),
    "prod": lambda x: x.prod(),
    "cumsum": lambda x: x.cumsum(),
    "where": _where,
    "concatenate": _concatenate,
    "dot": _matmul,
}


def gradients(
    function: Callable[..., Any], inputs: Sequence[Array], seed: Any
) -> tuple[Array, list[Array]]:
    """The value, and the gradients of ``(seed * value).sum()`` by each input, op by op."""
    given = [Var(x) for x in inputs]
    out = function(*given)
    order: list[Var] = []
    seen: set[int] = set()
    stack: list[tuple[Var, bool]] = [(out, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((p, False) for p in node.parents if isinstance(p, Var))
    out.grad = np.asarray(seed)
    for node in reversed(order):
        if node.pull is None:
            continue
        for parent, grad in zip(node.parents, node.pull(node.grad), strict=True):
            if isinstance(parent, Var):
                parent.grad = parent.grad + grad
    return out.value, [np.asarray(x.grad) + np.zeros_like(x.value) for x in given]
