"""NumPy, written from the plan: how it says array operations, in place where that is its habit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import factorial
from typing import ClassVar

from ...functions import TABLE
from ...ir.arithmetic import sinc_series
from ...ir.expr import Number, Tensor
from ...ir.sizes import ONE
from ...plan import arrays
from ...plan.arrays import CHEAP, Array, Cut, Turns, nodes, open_turns
from ...plan.lines import WIDTHS, Steps
from ...plan.lower import bits
from ...plan.matmul import matrix_product
from ...text import PRIVATE
from .. import functional
from ..matrices import LINALG, REAL, SUFFIXES, triangular
from ..python.code import (
    ATOM,
    COMPARE,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Code,
    binary,
    call,
    minus,
    tuple_of,
)
from ..python.layout import INDENT
from .contractions import contraction
from .grids import gridded

START = {
    "sum": ("np.zeros",),
    "prod": ("np.ones",),
    "max": ("np.full", "-np.inf"),
    "min": ("np.full", "np.inf"),
}
UPDATE = {
    "sum": "{name} += {value}",
    "prod": "{name} *= {value}",
    "max": "np.maximum({name}, {value}, out={name})",
    "min": "np.minimum({name}, {value}, out={name})",
}
# What makes a new array by writing to it; arithmetic that may then be done in its memory.
MADE = frozenset({"put", "withdraw", "add", "deduct", "set", "spread", "each", "fill"})
IN_PLACE = {"add": "+=", "mul": "*=", "sub": "-=", "div": "/="}


class NumPy(functional.Framework):
    """How NumPy writes array operations."""

    module: ClassVar[str] = "np"
    in_place: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("import numpy as np",)
    optional: ClassVar[dict[str, str]] = {
        "scipy.special": "import scipy.special",
        "scipy.linalg": "import scipy.linalg",
        "math.": "import math",
        "sliding_window_view(": "from numpy.lib.stride_tricks import sliding_window_view",
    }
    reserved: ClassVar[tuple[str, ...]] = ("np", "scipy", "math", "sliding_window_view")
    functions: ClassVar[dict[str, str]] = {
        **{name: row.numpy for name, row in TABLE.items() if row.numpy.startswith("scipy.")},
        "pow": "power",
    }

    matrices: ClassVar[dict[str, str]] = {
        **LINALG,
        "eigenvalues": "{m}.linalg.eigvalsh({0})",
        "eigenvalues_upper": '{m}.linalg.eigvalsh({0}, UPLO="U")',
        **dict.fromkeys(REAL, "{m}.linalg.eig({0})"),
        **{f"svd_values{suffix}": "{m}.linalg.svd({0}, compute_uv=False)" for suffix in SUFFIXES},
        "exponential": "scipy.linalg.expm({0})",
        **triangular("scipy.linalg.solve_triangular({matrix}, {{1}}, lower={lower})"),
        "least_squares_of_one": "{m}.linalg.lstsq({0}, {1})[0]",  # NumPy's takes no stacks
        "least_squares_columns_of_one": "{m}.linalg.lstsq({0}, {1})[0]",
    }

    @classmethod
    def decorated(cls, quiet: Sequence[str]) -> list[str]:
        """``np.errstate``."""
        kinds = ", ".join(f'{kind}="ignore"' for kind in quiet)
        return [f"@np.errstate({kinds})"] if kinds else []

    def function(self, function: str, parts: Sequence[Array]) -> Code:
        """A function of the table; a sigmoid is spelled out."""
        if function == "sigmoid":
            power = call("np.exp", minus(self.code(parts[0])))
            return binary("/", Code("1"), binary("+", Code("1"), power))
        if function == "softplus":
            x = self.under_a_name(parts[0], "x")
            return Code(f"np.maximum({x}, 0) + np.log1p(np.exp(-np.abs({x})))", SUM)
        if function.startswith("sinc") and function != "sinc":
            return self.sinc(int(function.removeprefix("sinc")), parts[0])
        if function == "polygamma" and parts[0].scalar and str(self.code(parts[0])).isdigit():
            return self.polygamma(int(str(self.code(parts[0]))), self.code(parts[1]))
        return super().function(function, parts)

    def polygamma(self, order: int, code: Code) -> Code:
        """As it is defined by Hurwitz' zeta function: SciPy's own widens what it is given."""
        if not order:
            return call("scipy.special.digamma", code)
        zeta = call("scipy.special.zeta", order + 1, code)
        scale = (-1) ** (order + 1) * factorial(order)
        return zeta if scale == 1 else binary("*", Code(str(scale), ATOM), zeta)

    def under_a_name(self, array: Array, wanted: str) -> str:
        """An array under a name, made up unless it has one."""
        code = self.code(array)
        return code.text if code.is_name else self.kept(wanted, code.text)

    def kept(self, wanted: str, value: str) -> str:
        """The name of a new line."""
        name = self.names.fresh(wanted)
        self.emit(f"{name} = {value}")
        return name

    def sinc(self, order: int, array: Array) -> Code:
        """The derivative of np.sinc of this order: near 0 its series, else ``t s(t) = sin(t)``
        differentiated so many times."""
        limit, series = sinc_series(order)
        angle = self.kept("angle", f"np.pi * {self.code(array).at(PRODUCT + 1)}")
        near = self.kept("near", f"np.abs({angle}) < {limit!r}")
        far = self.kept("far", f"np.where({near}, {limit!r}, {angle})")
        small = self.kept("small", f"np.where({near}, {angle}, 0)")
        square = self.kept("square", f"{small} * {small}")
        terms = self.kept("coefficients", f"({', '.join(map(repr, reversed(series)))})")
        name, each = self.kept("series", "0"), self.names.fresh("coefficient")
        self.emit(f"for {each} in {terms}:")
        self.emit(f"{INDENT}{name} = {name} * {square} + {each}")
        total = f"{small} * {name}" if order % 2 else name
        waves = [f"np.sin({far})", f"np.cos({far})"]
        value = f"{waves[0]} / {far}"
        for k in range(1, order + 1):
            slope = self.kept("slope", value)
            wave = f"{'' if k % 4 < 2 else '-'}{waves[k % 2]}"
            value = f"({wave} - {'' if k == 1 else f'{k} * '}{slope}) / {far}"
        found = call("np.where", near, total, value)
        return binary("*", Code("np.pi") if order == 1 else Code(f"np.pi ** {order}", POWER), found)

    def fold(self, op: str, array: Array, axes: tuple[int, ...], keep: bool) -> Code:
        """A method of the array."""
        named = {"keepdims": True} if keep else {}
        if len(axes) == array.rank and not keep:
            return self.method(array, op)
        axis = axes[0] if len(axes) == 1 else tuple_of([*map(str, axes)])
        return self.method(array, op, axis=axis, **named)

    def written(self, array: Array) -> Code:
        """One operation."""
        parts = array.parts
        match array.op:
            case "where":
                chosen = call("np.where", *map(self.code, parts))
                if array.kind == "float" and parts[1].scalar and parts[2].scalar:
                    return call(f"{chosen}.astype", self.dtype("float"))
                return chosen
            case "cast":
                return self.method(parts[0], "astype", self.dtype(array.told[0]))
            case "range":
                return call("np.arange", *self.shape(array.shape))
            case "permute":
                return self.permuted(array)
            case "expand":
                return call("np.broadcast_to", self.code(parts[0]), self.extents(array))
            case "full":
                return self.full(array)
            case "cumsum":
                axis = {"axis": array.told[0]} if array.rank > 1 else {}
                return call("np.cumsum", self.code(parts[0]), **axis)
            case "flip":
                return self.flipped(array)
            case "pad":
                return self.pad(array)
            case "windows":
                return self.windows(array)
            case "diagonal":
                one, two = array.told
                axes = {} if (one, two) == (0, 1) else {"axis1": one, "axis2": two}
                return self.method(parts[0], "diagonal", **axes)
            case "repeat":
                axis, times = array.told
                return self.method(parts[0], "repeat", self.size(times), axis=axis)
            case "arg":
                op, axis = array.told
                return self.method(parts[0], f"arg{op}", axis=axis)
            case "concatenate":
                texts = f"[{', '.join(str(self.code(part)) for part in parts)}]"
                named = {"axis": array.told[0]} if array.told[0] else {}
                return call("np.concatenate", texts, **named)
            case "put" | "withdraw" | "add" | "deduct" | "set":
                return self.put(array)
            case "spread":
                return self.spread(array)
            case "each":
                return self.each(array)
            case "first":
                return self.first(array)
            case "fill":
                return self.fill(array)
            case "copy" if parts[0].op == "expand" and not _unrepeated(parts[0]).rank:
                return call("np.full", self.extents(array), self.code(_unrepeated(parts[0])))
            case "copy":
                return self.method(parts[0], "copy")
            case "operation":
                return self.operation(array)
        raise AssertionError(array.op)

    def real(self, code: Code) -> Code:
        """A scalar of NumPy, which doesn't widen what it meets."""
        return call(f"{self.like}.dtype.type" if self.like else "np.float64", code)

    def wide_real(self, code: Code, dtype: str) -> Code:
        """A scalar of NumPy of a width."""
        return call(f"np.{dtype}", code)

    def map(self, array: Array) -> Code:
        """A function, element by element; arithmetic of an array that was just made is done in its
        memory."""
        place = self.place_of(array)
        if place is None:
            return super().map(array)
        name = self.code(array.parts[place])
        self.emit(f"{name} {IN_PLACE[array.told[0]]} {self.code(array.parts[1 - place])}")
        return name

    def place_of(self, array: Array) -> int | None:
        """Which operand of a sum or product is an array that was just made, and nothing else
        reads."""
        if array.op != "map" or array.told[0] not in IN_PLACE or array.kind != "float":
            return None
        sides = (0, 1) if array.told[0] in ("add", "mul") else (0,)
        return next((k for k in sides if self.is_room(array, k)), None)

    def is_room(self, array: Array, k: int) -> bool:
        """Whether an operand is an array that was just made, which can hold the result."""
        part, other = array.parts[k], array.parts[1 - k]
        if part in self.shared or part.shape != array.shape or part.kind != array.kind:
            return False
        if not arrays.widths(part) | arrays.widths(other) <= self.made:
            return False
        return part.op in MADE or self.place_of(part) is not None

    def operands(self, array: Array) -> list[Code]:
        """A mask is a factor as it is: it takes the width of the other one."""
        codes = super().operands(array)
        for k, (part, other) in enumerate(zip(array.parts, array.parts[::-1], strict=True)):
            if array.told == ("mul",) and not other.scalar:
                codes[k] = self.mask(part, other) or codes[k]
        return codes

    def mask(self, part: Array, other: Array) -> Code | None:
        """A mask that is a factor beside floats, as it is; None for anything else."""
        if part.op != "cast" or part.parts[0].kind != "bool" or part in self.shared:
            return None
        return self.code(part.parts[0]) if other.kind == "float" else None

    def product(self, array: Array) -> Code:
        """A contraction that is a matrix product: of a mask, too."""
        product = matrix_product(array)
        assert product is not None
        left, right = product.left, product.right
        if product.left_turned or product.right_turned:
            return super().product(array)
        one = self.mask(left, right) or self.code(left)
        other = self.mask(right, left) if left.op != "cast" else None
        return binary("@", one, other or self.code(right))

    def extents(self, array: Array) -> str:
        """A shape as a tuple."""
        sizes = self.shape(array.shape)
        return sizes[0] if len(sizes) == 1 else tuple_of(sizes) if sizes else "()"

    def permuted(self, array: Array) -> Code:
        """The axes in another order."""
        return self.turned_to(self.code(array.parts[0]), array.told)

    def turned_to(self, code: Code, order: Sequence[int]) -> Code:
        """``T`` of a matrix, ``swapaxes`` where two axes are exchanged, else ``transpose``."""
        moved = [k for k, axis in enumerate(order) if axis != k]
        if not moved:
            return code
        if len(order) == 2:
            return Code(f"{code.at(ATOM)}.T")
        if len(moved) == 2:
            return call(f"{code.at(ATOM)}.swapaxes", *moved)
        return call(f"{code.at(ATOM)}.transpose", *order)

    def flipped(self, array: Array) -> Code:
        """A subscript with steps of -1."""
        last = max(array.told)
        parts = ["::-1" if k in array.told else ":" for k in range(last + 1)]
        return Code(f"{self.code(array.parts[0]).at(ATOM)}[{', '.join(parts)}]")

    def pad(self, array: Array) -> Code:
        """``np.pad``; a margin below 0 is cut off before."""
        (part,) = array.parts
        low, high, fill = array.told
        code = self.code(part)
        cuts = []
        for n, below, above in zip(part.shape, low, high, strict=True):
            first = "" if self.facts.at_least_zero(below) else f"max({self.size(-below)}, 0)"
            last = (
                ""
                if self.facts.at_least_zero(above)
                else f"{self.size(n)} + min({self.size(above)}, 0)"
            )
            cuts.append(f"{first}:{last}")
        while cuts and cuts[-1] == ":":
            cuts.pop()
        if cuts:
            code = Code(f"{code.at(ATOM)}[{', '.join(cuts)}]")
        widths = [tuple_of(self.shape(pair)) for pair in zip(low, high, strict=True)]
        if all(width == "(0, 0)" for width in widths):
            return code
        named = (
            {} if not fill.special and fill.value == 0 else {"constant_values": self.number(fill)}
        )
        return call("np.pad", code, widths[0] if len(widths) == 1 else tuple_of(widths), **named)

    def windows(self, array: Array) -> Code:
        """``sliding_window_view``: positions where the axes were, the places inside them last."""
        (part,) = array.parts
        spans, axes = [], []
        picked = [":"] * array.rank
        for k, w in enumerate(array.told):
            spans.append(str(self.size(w.spread * (w.places - 1) + 1)))
            axes.append(str(w.axis))
            if w.step is not ONE:
                picked[w.axis] = f"::{self.size(w.step)}"
            if w.spread is not ONE:
                picked[part.rank + k] = f"::{self.size(w.spread)}"
        span, axis = (spans[0], axes[0]) if len(spans) == 1 else (tuple_of(spans), tuple_of(axes))
        view = call("sliding_window_view", self.code(part), span, axis=axis)
        while picked and picked[-1] == ":":
            picked.pop()
        return Code(f"{view}[{', '.join(picked)}]") if picked else view

    def start(self, wanted: str, value: str) -> str:
        """A new array under the name of the statement at hand, if that is free."""
        name, self.claimed = self.claimed or self.names.fresh(wanted), ""
        self.emit(f"{name} = {value}")
        return name

    @contextmanager
    def turns(self, turns: Turns, body: Array, *, last: bool = True) -> Iterator[list[str]]:
        """A loop, if asked for without its ``last`` turn; what its body needs that is the same at
        all turns is computed before."""
        own = {n for variable, _ in turns for n in variable.names()}
        inside = [node for node in nodes(body, set()) if open_turns(node) & own]
        for node in inside:
            for part in node.parts:
                if not open_turns(part) & own and self.costs(part):
                    self.named(part)
        if not open_turns(body) & own and self.costs(body):
            self.named(body)
        before = self.shared, self.repeated, self.turning, self.around
        names = []
        extents = ", ".join(self.shape(n for _, n in turns))
        for variable, _ in turns:
            (key,) = variable.names()
            name = self.names.fresh(key.partition(PRIVATE)[0])
            self.sizes.names[key] = name
            self.sizes.locals.add(key)
            names.append(name)
        every = f"range({extents})" if len(turns) == 1 else f"np.ndindex({extents})"
        if not last:
            every = f"list({every})[:-1]" if len(turns) > 1 else f"{every}[:-1]"
        self.emit(f"for {', '.join(names)} in {every}:")
        self.indent += INDENT
        self.shared, self.turning = dict(self.shared), self.turning | own
        self.around = (*self.around, *turns)
        counts = Counter(part for node in inside for part in node.parts if part in inside)
        self.repeated = {n for n, k in counts.items() if k > 1 and n.op not in CHEAP}
        self.settle(body)
        yield names
        self.indent = self.indent[: -len(INDENT)]
        self.shared, self.repeated, self.turning, self.around = before
        self.names.taken.difference_update(names)

    def costs(self, array: Array) -> bool:
        """Whether an array that has no name yet is more than a view of what has one."""
        if array in self.shared or array.scalar:
            return False
        return array.op not in CHEAP or any(map(self.costs, array.parts))

    def each(self, array: Array) -> Code:
        """A fold in a loop."""
        (body,) = array.parts
        op, turns = array.told
        function, *fill = START[op]
        dtype = self.dtype_of(array)
        shape = self.extents(array)
        name = self.start("total", str(call(function, shape, *fill, dtype=dtype)))
        with self.turns(turns, body):
            self.emit(UPDATE[op].format(name=name, value=self.code(body)))
        return Code(name)

    def first(self, array: Array) -> Code:
        """How many turns come before the one that equals the best: nothing is copied."""
        body, best = array.parts
        (_, turns) = array.told
        if self.costs(best):
            self.named(best)
        most, count = self.code(best), self.start("first", f"np.zeros({self.extents(array)}, int)")
        later = self.names.fresh("later")
        self.emit(f"{later} = np.ones({self.extents(array)}, bool)")
        with self.turns(turns, body, last=False):
            self.emit(f"{later} &= {self.code(body).at(COMPARE + 1)} != {most}")
            self.emit(f"{count} += {later}")
        return Code(count)

    def number(self, value: Number) -> Code:
        """A literal."""
        if value.special:
            text = {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[value.special]
            return Code(text, ATOM if text[0] != "-" else UNARY)
        return super().number(value)

    def fill(self, array: Array) -> Code:
        """An array that a loop fills, a part a turn."""
        (body,) = array.parts
        dtype = self.dtype_of(array)
        name = self.start("filled", f"np.empty({self.extents(array)}, dtype={dtype})")
        with self.turns(array.told, body) as names:
            places = names if len(names) == array.rank else ["...", *names]
            self.emit(f"{name}[{', '.join(places)}] = {self.code(body)}")
        return Code(name)

    def spread(self, array: Array) -> Code:
        """An array that a loop adds to, a slice a turn."""
        base, value = array.parts
        cuts, turns, once = array.told
        name = self.based(base)
        with self.turns(turns, value):
            places = [self.cut(c, n) for c, n in zip(cuts, base.shape, strict=True)]
            while places and places[-1] == ":":
                places.pop()
            text = ", ".join(places) or "..."
            self.emit(f"{name}[{text}] {'=' if once else '+='} {self.code(value)}")
        return Code(name)

    def based(self, base: Array) -> str:
        """A new array that holds what another does."""
        wanted, self.claimed = self.claimed, ""
        new = base.op in MADE or self.place_of(base) is not None
        if new and base not in self.shared and base not in self.repeated:
            self.claimed = wanted
            name = str(self.code(base))
            self.claimed = ""
            return name
        name = wanted or self.names.fresh("filled")
        self.emit(f"{name} = {self.owned(base, 'copy')}")
        return name

    def einsum(self, array: Array) -> Code:
        """The product of two arrays, in the words of :mod:`.contractions`."""
        return contraction(self, array)

    def put(self, array: Array) -> Code:
        """Values written into, or added to, a new array."""
        base, value, *places = array.parts
        name = self.based(base)
        ufunc = {"put": "add", "withdraw": "subtract"}.get(array.op) if places else None
        places = gridded(self, places)
        cuts = self.cuts(array, places)
        code = self.code(value if ufunc else self.unrepeated(value))
        if not ufunc:
            op = {"set": "=", "deduct": "-=", "withdraw": "-="}.get(array.op, "+=")
            self.emit(f"{name}[{cuts}] {op} {code}")
        elif all(not isinstance(told, Cut) for told in array.told):
            texts = [str(self.code(place)) for place in places]
            where = texts[0] if len(texts) == 1 else tuple_of(texts)
            self.emit(f"np.{ufunc}.at({name}, {where}, {code})")
        else:
            self.emit(f"np.{ufunc}.at({name}, np.index_exp[{cuts}], {code})")
        return Code(name)

    def unrepeated(self, value: Array) -> Array:
        """What is written over and over where a value is."""
        while value not in self.shared:
            match value.op:
                case "expand" | "full":
                    value = value.parts[0]
                case "cast" if value.parts[0].op == "full":
                    (value,) = value.parts
                case "insert" if value.told == tuple(range(len(value.told))):
                    (value,) = value.parts
                case _:
                    break
        return value

    def full(self, array: Array) -> Code:
        """An array filled with one number, or one that is all written over."""
        value, *unwritten = array.parts
        code = self.code(value)
        shape, dtype = self.extents(array), self.dtype(*array.told or (array.kind,))
        named = {} if dtype == "float" else {"dtype": dtype}
        if code.text == "0" and array.kind == "float":
            return call("np.empty" if unwritten else "np.zeros", shape, **named)
        return call("np.full", shape, code, dtype=dtype)

    def dtype(self, kind: str) -> str:
        """The dtype of a kind."""
        if kind not in ("float", "int", "bool"):
            return self.width(kind)
        if kind != "float":
            return kind
        return f"{self.like}.dtype" if self.like else "float"

    def dtype_of(self, array: Array) -> str:
        """The dtype of a new array for values of another width than the first input's."""
        if array.kind == "int":
            return self.dtype(max(arrays.whole_widths(array), key=bits, default="int"))
        known = [WIDTHS.index(dtype) for dtype in arrays.widths(array) if dtype in WIDTHS]
        own = [WIDTHS.index(dtype) for dtype in self.made if dtype in WIDTHS]
        other = known and own and max(known) != max(own)
        return self.dtype(WIDTHS[max(known)] if other else array.kind)

    one_triangle: ClassVar[str] = ""

    def identity(self, like: str, extent: Code) -> str:
        """The identity as a mask."""
        return f"np.eye({extent}, dtype=bool)"

    def loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        """A ``for`` loop; the steps are written into arrays made before, or into their places."""
        stacks = {}
        for whole, _ in steps.kept:
            if whole in places:
                stacks[whole] = places[whole]
                continue
            name = stacks[whole] = self.names.fresh(whole.name)
            shape = self.extents(arrays.name(whole))
            dtype = self.dtype(whole.dtype if whole in steps.wide else whole.kind)
            self.emit(f"{name} = np.empty({shape}, dtype={dtype})")
        for prev, first, _ in steps.carried:
            self.tensors[prev] = self.handed_name(prev)
            self.emit(f"{self.tensors[prev]} = {self.code(first)}")
        step, every = self.bound_step(steps), f"range({self.size(steps.count)})"
        self.emit(f"for {step} in {f'reversed({every})' if steps.turn < 0 else every}:")
        self.indent += INDENT
        alike = {prev for prev, *_ in steps.carried}
        own = {now: _element(stacks[whole], step) for whole, now in steps.kept}
        for now, place in own.items():
            if now in alike:
                self.emit(f"{place} = {self.tensors[now]}")
        self.in_turn(steps.lines, own)
        self.hand_on(steps)
        self.indent = self.indent[: -len(INDENT)]
        self.end_step(step)
        self.tensors.update(stacks)


def _element(array: str, place: str) -> str:
    """An element of an array, or of a part of one: ``u[i]`` at j is ``u[i, j]``."""
    return f"{array[:-1]}, {place}]" if array.endswith("]") else f"{array}[{place}]"


def _unrepeated(array: Array) -> Array:
    """What an array repeats along new axes."""
    while array.op in ("expand", "insert"):
        (array,) = array.parts
    return array
