"""JAX: plain functions of arrays, to be differentiated, compiled or mapped as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..calculus.step import Backward
from ..ir.expr import Tensor
from ..ir.sizes import ONE, Size
from ..plan.arrays import Array, Cut, is_zeros
from ..plan.lines import Steps
from . import functional
from .matrices import LINALG, triangular
from .python.code import ATOM, Code, call, tuple_of
from .python.layout import INDENT
from .python.preface import NOTHING, Preface


def spell(backward: Backward, preface: Preface = NOTHING) -> str:
    """Module source: ``forward(*inputs) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

    >>> from pullback.calculus.reverse import reverse
    >>> from pullback.notation.parse import parse
    >>> source = spell(reverse(parse("Y[n,m] = relu(sum(d) X[n,d]*W[d,m])")))
    >>> print(source[source.index("def backward"):], end="")
    def backward(dY, cache):
        X, W, t1 = cache
        # gradient of t1, from Y[n,m] = relu(sum(d) X[n,d]*W[d,m])
        dt1 = jnp.where(t1 > 0, dY, 0)
        # gradient of X
        dX = dt1 @ W.T
        # gradient of W
        dW = X.T @ dt1
        return dX, dW
    """
    return functional.spell(backward, Jax, preface)


# Functions that JAX has under SciPy's names.
SPECIAL = (
    *("erf", "xlogy", "gamma", "gammaln", "gammasgn", "digamma", "polygamma", "beta", "betaln"),
    *("poch", "gammainc", "gammaincc", "betainc", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr"),
    *("ndtri", "dawsn", "exp1", "expi", "i0", "i1", "i0e", "i1e", "entr", "rel_entr", "kl_div"),
)


class Jax(functional.Framework):
    """How JAX writes array operations."""

    module: ClassVar[str] = "jnp"
    chooses: ClassVar[bool] = False
    one_triangle: ClassVar[str] = ", symmetrize_input=False"
    matrices: ClassVar[dict[str, str]] = {
        **LINALG,
        "exponential": "jax.scipy.linalg.expm({0})",
        **triangular("jax.scipy.linalg.solve_triangular({matrix}, {{1}}, lower={lower})"),
    }
    imports: ClassVar[tuple[str, ...]] = ("import jax.numpy as jnp",)
    optional: ClassVar[dict[str, str]] = {
        "jax.nn.": "import jax",
        "jax.scipy.": "import jax",
        "lax.": "from jax import lax",
        "math.": "import math",
    }
    reserved: ClassVar[tuple[str, ...]] = ("jax", "jnp", "lax", "math")
    functions: ClassVar[dict[str, str]] = {
        "sigmoid": "jax.nn.sigmoid",
        "softplus": "jax.nn.softplus",
        **{name: f"jax.scipy.special.{name}" for name in SPECIAL},
        "rgamma": "(1 / jax.scipy.special.gamma({0}))",
        "erfcinv": "(jax.scipy.special.ndtri(jnp.multiply({0}, 0.5)) * -0.7071067811865476)",
        "pow": "power",
    }

    def as_array(self, array: Array) -> Code:
        """A number of Python takes the width of what it meets, unless it meets nothing."""
        return self.code(array)

    def place(self, cut: Cut, extent: Size) -> str:
        """JAX reads inside the array by itself."""
        return str(self.size(cut.start))

    def real(self, code: Code) -> Code:
        """An array without axes: numbers of Python refuse to overflow."""
        return call("jnp.asarray", code, self.dtype("float"))

    def counted(self, kind: str, code: Code) -> Code:
        """The same where sizes are traced."""
        return call("jnp.asarray", code, self.dtype(kind))

    def fold(self, op: str, array: Array, axes: tuple[int, ...], keep: bool) -> Code:
        """A method of the array."""
        named = {"keepdims": True} if keep else {}
        if len(axes) == array.rank and not keep:
            return self.method(array, op)
        told = axes[0] if len(axes) == 1 else tuple_of([*map(str, axes)])
        return self.method(array, op, told, **named)

    def written(self, array: Array) -> Code:
        """One operation."""
        parts = array.parts
        match array.op:
            case "where":
                mask, one, other = parts
                if one.scalar and other.scalar and array.kind == "float":
                    one = Array("full", (one,), (), (), "float", False)
                return call("jnp.where", *map(self.code, (mask, one, other)))
            case "cast":
                return self.method(parts[0], "astype", self.dtype(array.told[0]))
            case "range":
                return call("jnp.arange", *self.shape(array.shape))
            case "permute":
                order = array.told
                if order == (*range(array.rank - 2), array.rank - 1, array.rank - 2):
                    return Code(f"{self.code(parts[0]).at(ATOM)}.mT")
                return self.method(parts[0], "transpose", *order)
            case "expand":
                shape = tuple_of(self.shape(array.shape))
                return call("jnp.broadcast_to", self.code(parts[0]), shape)
            case "full":
                return self.full(array)
            case "cumsum":
                return call("jnp.cumsum", self.code(parts[0]), array.told[0])
            case "flip":
                told = array.told[0] if len(array.told) == 1 else array.told
                return call("jnp.flip", self.code(parts[0]), told)
            case "convolve" | "convolve_transposed":
                return self.convolved(array)
            case "pad" if not all(map(self.facts.at_least_zero, (*array.told[0], *array.told[1]))):
                low, high, _ = array.told
                widths = [
                    f"({self.size(a)}, {self.size(b)}, 0)" for a, b in zip(low, high, strict=True)
                ]
                padded = self.code(parts[0])
                nought = call("jnp.zeros", "()", f"{padded.at(ATOM)}.dtype")
                return call("lax.pad", padded, nought, tuple_of(widths))
            case "pad":
                low, high, fill = array.told
                pairs = [
                    f"({self.size(a)}, {self.size(b)})" for a, b in zip(low, high, strict=True)
                ]
                zero = not fill.special and fill.value == 0
                named = {} if zero else {"constant_values": self.number(fill)}
                return call("jnp.pad", self.code(parts[0]), tuple_of(pairs), **named)
            case "diagonal":
                one, two = array.told
                return call("jnp.diagonal", self.code(parts[0]), axis1=one, axis2=two)
            case "repeat":
                axis, times = array.told
                return call("jnp.repeat", self.code(parts[0]), self.size(times), axis=axis)
            case "arg":
                op, axis = array.told
                return self.method(parts[0], f"arg{op}", axis)
            case "put" | "add" | "set":
                base, value = parts[:2]
                how = "set" if is_zeros(base) and not parts[2:] else "add"
                code = self.code(base).at(ATOM)
                return Code(f"{code}.at[{self.cuts(array)}].{how}({self.code(value)})")
            case "concatenate":
                texts = tuple_of([str(self.code(part)) for part in parts])
                return call("jnp.concatenate", texts, *([array.told[0]] if array.told[0] else []))
            case "copy":
                return self.code(parts[0])
            case "operation":
                return self.operation(array)
            case _:
                raise AssertionError(array.op)

    def dtype(self, kind: str) -> str:
        """The dtype of a kind."""
        if kind not in ("float", "int", "bool"):
            return self.width(kind)
        if kind == "int":
            return "int"
        return f"{self.like}.dtype" if self.like else "float"

    def full(self, array: Array) -> Code:
        """An array filled with one number."""
        code = self.code(array.parts[0])
        shape = tuple_of(self.shape(array.shape)) if array.shape else "()"
        dtype = self.dtype(*array.told or (array.kind,))
        if not array.shape:
            return call("jnp.asarray", code, dtype)
        if code.text == "0":
            return call("jnp.zeros", shape, dtype)
        return call("jnp.full", shape, code, dtype)

    def convolved(self, array: Array) -> Code:
        """A convolution; a transposed one is one with the kernel turned round, over an image with
        zeros between its elements and around them."""
        steps, spreads = array.told
        image, kernel = array.parts
        named = {}
        if any(n is not ONE for n in spreads):
            named["rhs_dilation"] = tuple_of(self.shape(spreads))
        if array.op == "convolve":
            strides = tuple_of(self.shape(steps))
            codes = map(self.code, (image, kernel))
            return call("lax.conv_general_dilated", *codes, strides, '"VALID"', **named)
        around = [self.size(s * (p - 1)) for s, p in zip(spreads, kernel.shape[2:], strict=True)]
        margins = tuple_of([f"({n}, {n})" for n in around])
        ones = tuple_of(["1"] * len(steps))
        if any(n is not ONE for n in steps):
            named["lhs_dilation"] = tuple_of(self.shape(steps))
        turned = ", ".join([":", ":", *["::-1"] * len(steps)])
        other = f"{self.code(kernel).at(ATOM)}[{turned}].swapaxes(0, 1)"
        return call("lax.conv_general_dilated", self.code(image), other, ones, margins, **named)

    def identity(self, like: str, extent: Code) -> str:
        """The identity as a mask, where ``like`` is."""
        return f"jnp.eye({extent}, dtype=bool)"

    def loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        """``lax.scan``: a step hands on what the next one reads, and its results are stacked."""
        carried: list[str] = []
        firsts: list[str] = []
        for prev, first, _ in steps.carried:
            firsts.append(str(self.code(first)))
            carried.append(self.handed_name(prev))
            self.tensors[prev] = carried[-1]
        function = self.names.fresh("step")
        step = self.bound_step(steps)
        before = dict(self.tensors)
        name = self.names.fresh("carry") if carried else "_"
        self.emit(f"def {function}({name}, {step}):")
        self.indent += INDENT
        if carried:
            self.emit(f"{', '.join(carried)}{',' if len(carried) == 1 else ''} = {name}")
        self.in_turn(steps.lines)
        handed = tuple_of([self.tensors[now] for _, _, now in steps.carried]) if carried else "()"
        stacked = tuple_of([self.tensors[now] for _, now in steps.kept]) if steps.kept else "()"
        self.emit(f"return {handed}, {stacked}")
        self.indent = self.indent[: -len(INDENT)]
        self.end_step(step)
        self.tensors = {**before}
        names = [self.names.fresh(whole.name) for whole, _ in steps.kept]
        self.tensors.update(zip((whole for whole, _ in steps.kept), names, strict=True))
        results = tuple_of(names) if names else "_"
        every = f"jnp.arange({self.size(steps.count)})"
        start = tuple_of(firsts) if firsts else "()"
        turned = ", reverse=True" if steps.turn < 0 else ""
        last = "_"
        if steps.last:
            ends = [self.names.fresh(t.name) if t in steps.last else "_" for t, *_ in steps.carried]
            self.tensors.update(zip((t for t, *_ in steps.carried), ends, strict=True))
            last = tuple_of(ends)
        self.emit(f"{last}, {results} = lax.scan({function}, {start}, {every}{turned})")
