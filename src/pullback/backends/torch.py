"""PyTorch: plain functions of tensors, which follow the dtype and device of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..calculus.step import Backward
from ..errors import PullbackError
from ..ir.expr import Tensor
from ..ir.sizes import ONE, Size
from ..plan import arrays
from ..plan.arrays import Array
from ..plan.lines import VIEWS_IN_MEMORY, Steps
from . import functional
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
        dt1 = torch.where(t1 > 0, dY, 0)
        # gradient of X
        dX = dt1 @ W.T
        # gradient of W
        dW = X.T @ dt1
        return dX, dW
    """
    return functional.spell(backward, Torch, preface)


# Functions that PyTorch has under SciPy's names.
SPECIAL = (
    *("gammaln", "digamma", "polygamma", "gammainc", "gammaincc", "erfc", "erfcx", "erfinv"),
    *("ndtr", "log_ndtr", "ndtri", "entr", "i0", "i1", "i0e", "i1e"),
)
BESSEL = {
    **{name: f"torch.special.bessel_{name}" for name in ("j0", "j1", "y0", "y1")},
    **{name: f"torch.special.modified_bessel_{name}" for name in ("k0", "k1")},
    "k0e": "torch.special.scaled_modified_bessel_k0",
    "k1e": "torch.special.scaled_modified_bessel_k1",
}


def _sign(of: str) -> str:
    """The sign of the gamma function: it turns at each pole below 0."""
    return f"(1 - 2 * torch.remainder(torch.floor(torch.clamp({of}, max=0)), 2))"


_LOG_BETA = (
    "torch.special.gammaln({0}) + torch.special.gammaln({1})"
    " - torch.special.gammaln(torch.add({0}, {1}))"
)
_SIGN_OF_BETA = f"{_sign('{0}')} * {_sign('{1}')} * {_sign('torch.add({0}, {1})')}"
_REL_ENTR = "torch.special.xlogy({0}, torch.where(torch.eq({0}, 0), 1, torch.div({0}, {1})))"
# Functions that PyTorch hasn't got, by those that it has.
MADE = {
    "gamma": f"(torch.exp(torch.special.gammaln({{0}})) * {_sign('{0}')})",
    "rgamma": f"(torch.exp(-torch.special.gammaln({{0}})) * {_sign('{0}')})",
    "gammasgn": _sign("{0}"),
    "betaln": f"({_LOG_BETA})",
    "beta": f"(torch.exp({_LOG_BETA}) * {_SIGN_OF_BETA})",
    "erfcinv": "(torch.special.ndtri(torch.mul({0}, 0.5)) * -0.7071067811865476)",
    "rel_entr": _REL_ENTR,
    "kl_div": f"({_REL_ENTR} + torch.sub({{1}}, {{0}}))",
}


class Torch(functional.Framework):
    """How PyTorch writes array operations."""

    module: ClassVar[str] = "torch"
    axes: ClassVar[str] = "dims"
    imports: ClassVar[tuple[str, ...]] = ("import torch",)
    optional: ClassVar[dict[str, str]] = {
        "F.": "import torch.nn.functional as F",
        "math.": "import math",
    }
    reserved: ClassVar[tuple[str, ...]] = ("torch", "F", "math")
    views: ClassVar[frozenset[str]] = VIEWS_IN_MEMORY | {
        "take"
    }  # a tensor without axes selects, too
    functions: ClassVar[dict[str, str]] = {
        "rint": "round",
        "cbrt": "torch.sign({0}) * torch.abs({0}) ** (1 / 3)",
        "softplus": "torch.logaddexp({0}, torch.zeros_like({0}))",
        "pow": "pow",
        **dict(zip(("sigmoid", "erf", "xlogy"), ("sigmoid", "erf", "xlogy"), strict=True)),
        **{name: f"torch.special.{name}" for name in SPECIAL},
        **BESSEL,
        **MADE,
    }

    def as_array(self, array: Array) -> Code:
        """Functions of PyTorch take tensors."""
        if not array.scalar:
            return self.code(array)
        return call(f"{self.like}.new_tensor" if self.like else "torch.tensor", self.code(array))

    def function(self, function: str, parts: tuple[Array, ...]) -> Code:  # type: ignore[override]
        """``torch.clamp`` where a bound is a number of Python."""
        if function == "polygamma" and not parts[0].scalar:
            raise PullbackError(
                "torch has polygamma of orders that are numbers only",
                hint='source("numpy") has it of any',
            )
        if function == "polygamma":
            return call(self.functions[function], self.code(parts[0]), self.as_array(parts[1]))
        bounds = {"maximum": "min", "minimum": "max"}
        if function in bounds and any(p.scalar for p in parts):
            array, bound = sorted(parts, key=lambda p: p.scalar)
            named = {bounds[function]: self.code(bound)}
            return call("torch.clamp", self.code(array), **named)
        if function == "clip" and all(p.scalar for p in parts[1:]) and not parts[0].scalar:
            return call("torch.clamp", *map(self.code, parts))
        if function == "clip":
            low = call("torch.maximum", *map(self.as_array, parts[:2]))
            return call("torch.minimum", low, self.as_array(parts[2]))
        return super().function(function, parts)

    def real(self, code: Code) -> Code:
        """A tensor without axes: numbers of Python refuse to overflow."""
        return call("torch.tensor", code, dtype="torch.float64", device=f"{self.device}.device")

    def fold(self, op: str, array: Array, axes: tuple[int, ...], keep: bool) -> Code:
        """``sum``, ``amax`` and ``amin`` take several axes, ``prod`` one."""
        name = {"max": "amax", "min": "amin"}.get(op, op)
        named = {"keepdim": True} if keep else {}
        if op == "prod":
            code = self.code(array)
            for axis in reversed(axes):
                code = call(f"{code.at(ATOM)}.prod", axis, **named)
            return code
        if len(axes) == array.rank and not keep:
            return self.method(array, name)
        return self.method(
            array, name, axes[0] if len(axes) == 1 else tuple_of([*map(str, axes)]), **named
        )

    def written(self, array: Array) -> Code:
        """One operation."""
        parts = array.parts
        match array.op:
            case "where":
                mask, one, other = parts
                if one.scalar and other.scalar:
                    return call(
                        "torch.where", self.code(mask), self.as_array(one), self.as_array(other)
                    )
                return call("torch.where", *map(self.code, parts))
            case "cast":
                kind = self.dtype(array.told[0])
                return self.method(parts[0], "to", kind)
            case "range":
                device = {"device": f"{self.device}.device"} if self.device else {}
                return call("torch.arange", *self.shape(array.shape), **device)
            case "permute":
                order = array.told
                if order == (*range(array.rank - 2), array.rank - 1, array.rank - 2):
                    return Code(f"{self.code(parts[0]).at(ATOM)}.mT")
                return self.method(parts[0], "permute", *order)
            case "expand":
                return self.method(parts[0], "expand", *self.shape(array.shape))
            case "full":
                return self.full(array)
            case "cumsum":
                return call("torch.cumsum", self.code(parts[0]), array.told[0])
            case "flip":
                return self.method(parts[0], "flip", *array.told)
            case "pad":
                low, high, fill = array.told
                pairs = list(zip(low, high, strict=True))
                while pairs and not pairs[0][0].terms and not pairs[0][1].terms:
                    pairs.pop(0)
                widths = [str(self.size(n)) for pair in reversed(pairs) for n in pair]
                named = {} if not fill.special and fill.value == 0 else {"value": self.number(fill)}
                return call("F.pad", self.code(parts[0]), tuple_of(widths), **named)
            case "convolve" | "convolve_transposed":
                return self.convolved(array)
            case "diagonal":
                return self.method(parts[0], "diagonal", dim1=array.told[0], dim2=array.told[1])
            case "repeat":
                axis, times = array.told
                return self.method(parts[0], "repeat_interleave", self.size(times), axis)
            case "arg":
                op, axis = array.told
                return self.method(parts[0], f"arg{op}", axis)
            case "put" | "add" | "set":
                if not parts[2:]:
                    return self.put(array)
                base, value, *places = parts
                where = tuple_of([str(self.index(place)) for place in places])
                return self.method(
                    base, "index_put", where, self.code(value), accumulate=array.op != "set"
                )
            case "concatenate":
                texts = tuple_of([str(self.code(part)) for part in parts])
                return call("torch.cat", texts, *([array.told[0]] if array.told[0] else []))
            case "copy":
                return self.method(parts[0], "clone")
            case "operation":
                return self.operation(array)
            case _:
                raise AssertionError(array.op)

    def convolved(self, array: Array) -> Code:
        """A convolution of one to three axes."""
        steps, spreads = array.told
        word = "conv_transpose" if array.op == "convolve_transposed" else "conv"
        named = {
            name: self.each(sizes)
            for name, sizes in (("stride", steps), ("dilation", spreads))
            if any(n is not ONE for n in sizes)
        }
        return call(f"F.{word}{len(steps)}d", *map(self.code, array.parts), **named)

    def each(self, sizes: Sequence[Size]) -> str:
        """A number an axis; one for all where they are the same."""
        texts = self.shape(sizes)
        return texts[0] if len(set(texts)) == 1 else tuple_of(texts)

    def index(self, place: Array) -> Code:
        """A place as a tensor."""
        code = self.code(place)
        if not place.scalar:
            return code
        return call("torch.tensor", code, device=f"{self.device}.device")

    def put(self, array: Array) -> Code:
        """Values written into slices of an array that is new."""
        base, value = array.parts
        wanted, self.claimed = self.claimed, ""
        if base.op in ("put", "add", "set") and not base.parts[2:] and base not in self.repeated:
            self.claimed = wanted
            name = str(self.code(base))
            self.claimed = ""
        else:
            name = wanted or self.names.fresh("filled")
            self.emit(f"{name} = {self.owned(base, 'clone')}")
        self.emit(
            f"{name}[{self.cuts(array)}] {'=' if array.op == 'set' else '+='} {self.code(value)}"
        )
        return Code(name)

    @property
    def device(self) -> str:
        """An argument that tells the device."""
        return self.like or next((self.tensors[t] for t in self.inputs), "")

    def dtype(self, kind: str) -> str:
        """The dtype of a kind."""
        if kind not in ("float", "int", "bool"):
            return self.width(kind)
        if kind == "int":
            return "torch.long"
        return f"{self.like}.dtype" if self.like else "torch.get_default_dtype()"

    def full(self, array: Array) -> Code:
        """An array filled with one number."""
        (value,) = array.parts
        code = self.code(value)
        shape = tuple_of(self.shape(array.shape))
        if array.kind == "float" and self.like and not array.told:
            if code.text == "0":
                return call(f"{self.like}.new_zeros", shape)
            return call(f"{self.like}.new_full", shape, code)
        dtype = self.dtype(*array.told or (array.kind,))
        return call("torch.full", shape, code, dtype=dtype, device=f"{self.device}.device")

    def identity(self, like: str, extent: Code) -> str:
        """The identity as a mask, where ``like`` is."""
        return f"torch.eye({extent}, dtype=torch.bool, device={like}.device)"

    def loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        """A ``for`` loop; the steps are collected in lists and stacked."""
        for prev, first, _ in steps.carried:
            name = self.handed_name(prev)
            self.tensors[prev] = name
            self.emit(f"{name} = {self.code(first)}")
        lists = {}
        for whole, now in steps.kept:
            lists[now] = self.names.fresh(f"{whole.name}_steps")
            self.emit(f"{lists[now]} = []")
        step = self.bound_step(steps)
        every = f"range({self.size(steps.count)})"
        self.emit(f"for {step} in {every if steps.turn > 0 else f'reversed({every})'}:")
        self.indent += INDENT
        self.in_turn(steps.lines)
        for _, now in steps.kept:
            self.emit(f"{lists[now]}.append({self.tensors[now]})")
        self.hand_on(steps)
        self.indent = self.indent[: -len(INDENT)]
        self.end_step(step)
        for whole, now in steps.kept:
            name = self.names.fresh(whole.name)
            steps_of = lists[now] if steps.turn > 0 else f"{lists[now]}[::-1]"
            stacked = f"torch.stack({steps_of})"
            if not steps.count.at_least(1):
                none = self.code(arrays.zeros(whole.shape, whole.kind))
                stacked = f"{stacked} if {lists[now]} else {none}"
            self.emit(f"{name} = {stacked}")
            self.tensors[whole] = name
