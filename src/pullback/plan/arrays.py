"""Array operations: what a procedure comes to where axes have positions instead of indices.

One kind of node, :class:`Array`, whose ``op`` is one of a closed set. Shapes broadcast as NumPy's
do. The constructors below compute shapes and kinds; none of them simplifies more than its docstring
says. A speller writes each op in the words of its framework.

=============  =====================================================================================
op             ``told`` and meaning
=============  =====================================================================================
``name``       a tensor: an input, or what an earlier line made
``number``     an exact number, a scalar of Python
``size``       a size, a scalar of Python
``real``       a scalar of Python as a float of the framework's, which overflows without an error
``range``      0 .. extent - 1, integers
``map``        a function's name: element by element
``where``      ``parts`` are a mask and two values
``cast``       "float" or "int"
``reshape``    ``shape`` says all
``permute``    the order of the axes
``insert``     the positions of new axes of extent 1, in the result
``slice``      a :class:`Cut` an axis
``flip``       the axes that are reversed
``pad``        the margins below, those above (a margin below 0 is cut off), and what fills them
``diagonal``   two axes that become one, the last
``take``       the axes that integer arrays, the further parts, index
``windows``    a :class:`Window` an axis that windows slide along: the positions stand in its place,
               the places inside the windows behind all axes, in the same order; a view
``roll``       an axis each, and by how much its elements move on, those of its end to its start
``cumsum``     the axis along which sums run
``accumulate``  a function of two numbers, and the axis along which it takes each element with what
               it gave for those before
``half``       "tril" or "triu", and the diagonal from which the last two axes are 0 elsewhere
``repeat``     an axis and how often each of its elements is repeated
``expand``     repeated along axes of extent 1, to ``shape``
``fold``       sum, prod, max, min or mean, and the axes that go
``arg``        max or min, and the axis of which the first such place is taken
``einsum``     the letters of each part and those of the result
``convolve``   steps and spreads: an image, and a kernel that slides over it
``convolve_transposed``  steps and spreads: a kernel added at every place of an image
``operation``  a row of ``opaque.py``
``put``        the first part with values, the second, added at subscripts: a :class:`Cut` an axis,
               or the number of the part that holds integers
``add``        as ``put``, where no subscript occurs twice
``set``        as ``put``, where no subscript occurs twice and the first part is 0 at all of them
``spread``     cuts, variables of loops with their extents, and whether no place is written twice:
               the second part added at the cuts of the first, at all turns
``each``       an operation and variables of loops with their extents: what it makes of the values
               that the part has at all of them
``first``      variables of loops with their extents: how many turns come before the first one at
               which the first part is the second, in row-major order
``fill``       variables of loops, with their extents, of the axes that the part has at their ends:
               the values that the part has at each
``concatenate``  the axis along which the parts lie one behind the other
``full``       ``shape`` filled with a number
``copy``       the same elements in memory of their own
=============  =====================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..functions import WHOLE
from ..ir.expr import Number, Tensor
from ..ir.intern import Node, kept
from ..ir.sizes import ONE, Size, size
from ..opaque import TABLE
from ..text import PRIVATE

# What gives whole numbers of whole numbers (a power may not: its exponent may be below 0).
KEEPING = (WHOLE - {"pow"}) | {"add", "sub", "mul", "neg", "square"}
TESTS = frozenset({"<", "<=", "==", "!=", "and", "or", "not"})


# Reading these again costs nothing, or next to nothing.
CHEAP = frozenset(
    {"name", "number", "size", "range", "slice", "insert", "permute", "reshape", "expand", "flip",
     "diagonal", "full", "copy"}
)  # fmt: skip
# What makes floats without a width of its own, by what is told of it.
MADE: dict[str, tuple[tuple[str, ...], ...]] = {
    "cast": (("float",),),
    "full": ((),),
    "real": ((),),
}


@dataclass(frozen=True, eq=False, repr=False)
class Array(Node):
    """An array operation. ``kind`` is "bool", "int" or "float"; a ``scalar`` is one of Python."""

    op: str
    parts: tuple[Array, ...]
    told: tuple[Any, ...]
    shape: tuple[Size, ...]
    kind: str
    scalar: bool

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Cut(Node):
    """``start::step``, ``count`` elements of an axis; of one place (``count`` None) the axis goes.

    A place may be outside at some step of a loop, where its value isn't used: ``below`` and
    ``above`` say on which side.
    """

    start: Size
    step: Size
    count: Size | None
    below: bool = False
    above: bool = False

    @property
    def is_full(self) -> bool:
        """Whether the elements begin at 0, one after the other."""
        return self.count is not None and self.start.literal == 0 and self.step.literal == 1


@dataclass(frozen=True, eq=False, repr=False)
class Window(Node):
    """``step*position + spread*place`` along an axis, positions and places below extents."""

    axis: int
    step: Size
    count: Size
    spread: Size
    places: Size


def name(tensor: Tensor, shape: tuple[Size, ...] | None = None) -> Array:
    """A tensor by its name; ``shape`` has 1 where it isn't stored along an axis."""
    return Array(
        "name", (), (tensor,), tensor.shape if shape is None else shape, tensor.kind, False
    )


def number(value: Number) -> Array:
    """A scalar of Python."""
    whole = not value.special and value.value.denominator == 1
    return Array("number", (), (value,), (), "int" if whole else "float", True)


def whole(value: int) -> Array:
    """A whole number as a scalar of Python."""
    return number(Number(Fraction(value), ""))


def count(value: Size) -> Array:
    """A size as a scalar of Python."""
    if value.literal is not None:
        return whole(value.literal)
    return Array("size", (), (value,), (), "int", True)


def real(scalar: Array, wide: bool = False) -> Array:
    """A scalar of Python as a float that overflows without an error; of 64 bits if ``wide``."""
    return Array("real", (scalar,), ("float64",) if wide else (), (), "float", True)


def positions(extent: Size) -> Array:
    """0, 1, ... below an extent."""
    return Array("range", (), (), (extent,), "int", False)


def broadcast(shapes: Sequence[tuple[Size, ...]]) -> tuple[Size, ...]:
    """The shape that arrays have together."""
    rank = max(map(len, shapes), default=0)
    result = [ONE] * rank
    for shape in shapes:
        for k, extent in enumerate(shape, rank - len(shape)):
            if extent is not ONE:
                result[k] = extent
    return tuple(result)


def apply(function: str, *parts: Array) -> Array:
    """A function, element by element. Where floats come of it, integer arrays are cast, so that
    their width is that of the other floats; masks become numbers."""
    if function in TESTS:
        kind = "bool"
    elif all(p.kind != "float" for p in parts) and (
        function in KEEPING or (function == "pow" and _is_natural(parts[1]))
    ):
        kind = "int"
    else:
        kind = "float"
    if function not in ("and", "or", "not"):
        inner = "float" if any(p.kind == "float" for p in parts) or kind == "float" else "int"
        mixed = function in TESTS and all(p.kind == "int" for p in parts)
        parts = parts if mixed else tuple(cast(p, inner) for p in parts)
    shape = broadcast([p.shape for p in parts])
    return Array("map", parts, (function,), shape, kind, all(p.scalar for p in parts))


def as_int(array: Array, dtype: str = "int") -> Array:
    """Integers of whatever width as those of the usual width, or of another one."""
    return Array("cast", (array,), (dtype,), array.shape, "int", False)


def widened(array: Array, dtype: str) -> Array:
    """Floats of another width, by the name of their dtype. Integers take it at once: a narrower
    float on the way holds fewer of them."""
    if array.op == "cast" and array.told == ("float",) and array.parts[0].kind == "int":
        (array,) = array.parts
    op = "full" if array.op == "full" else "cast"
    parts = array.parts if array.op == "full" else (array,)
    return Array(op, parts, (dtype,), array.shape, "float", False)


def made_wide(array: Array, dtype: str) -> Array:
    """The array with all that is made in it, of numbers, integers and bools, as floats of one
    width: where inputs have several, that of the first says nothing of the others."""
    known: dict[Array, Array] = {}

    def changed(node: Array) -> Array:
        if node not in known:
            parts = tuple(map(changed, node.parts))
            makes = node.kind == "float" and node.told in MADE.get(node.op, ())
            same = parts == node.parts and not makes
            told = (dtype,) if makes else node.told
            known[node] = node if same else replace(node, parts=parts, told=told)
        return known[node]

    return changed(array)


@kept
def widths(array: Array) -> frozenset[str]:
    """The dtypes of the floats that an array is computed of; those that it is chosen or gathered by
    don't count."""
    match array.op:
        case "name":
            return frozenset([array.told[0].dtype] if array.kind == "float" else [])
        case "cast" | "full" if array.told and array.told[0] not in ("float", "int"):
            return frozenset(array.told)
        case "where":
            return widths(array.parts[1]) | widths(array.parts[2])
        case "take":
            return widths(array.parts[0])
        case _:
            return (
                frozenset().union(*map(widths, array.parts))
                if array.kind == "float"
                else frozenset()
            )


@kept
def whole_widths(array: Array) -> frozenset[str]:
    """The dtypes of the integers that are made where an array is computed: of bools, positions and
    sums. Those that are read have their own."""
    match array.op:
        case "name":
            return frozenset()
        case "range" | "arg" | "first":
            return frozenset(["int"])
        case "cast" if array.kind == "int":
            return frozenset(array.told)
        case "fold" | "cumsum" | "each" if array.kind == "int":
            found = frozenset().union(*map(whole_widths, array.parts))
            wide = array.op == "each" or all(dtype.endswith("64") for dtype in found)
            return found if found and wide else frozenset(["int"])  # NumPy's sums are of 64 bits
        case "where":
            return whole_widths(array.parts[1]) | whole_widths(array.parts[2])
        case "take":
            return whole_widths(array.parts[0])
        case _ if array.kind == "int":
            return frozenset().union(*map(whole_widths, array.parts))
        case _:
            return frozenset()


def _is_natural(array: Array) -> bool:
    """Whether a scalar is a whole number of at least 0."""
    value = literal(array)
    return value is not None and value.denominator == 1 and value >= 0


def cast(array: Array, kind: str) -> Array:
    """The array as floats or integers; a scalar of Python takes the width of what it meets."""
    if array.kind == kind or (array.scalar and array.kind != "bool"):
        return array
    if array.op == "full" and array.parts[0].op == "number" and not array.told:
        return Array("full", array.parts, (), array.shape, kind, False)
    return Array("cast", (array,), (kind,), array.shape, kind, array.scalar)


def where(mask: Array, one: Array, other: Array) -> Array:
    """``one`` where the mask holds, else ``other``; 1 and 0 are the mask itself, as a number."""
    kind = one.kind if one.kind == other.kind else "float"
    if mask.scalar:
        shape = broadcast([one.shape, other.shape])
        scalar = one.scalar and other.scalar
        parts = (one, other) if scalar else (expand(p, shape, kind) for p in (one, other))
        return Array("where", (mask, *parts), (), shape, kind, scalar)
    if kind != "bool":
        one, other = cast(one, kind), cast(other, kind)
    shape = broadcast([mask.shape, one.shape, other.shape])
    return Array("where", (mask, one, other), (), shape, kind, False)


def reshape(array: Array, shape: Sequence[Size]) -> Array:
    """The same elements in another shape."""
    if tuple(shape) == array.shape:
        return array
    return Array("reshape", (array,), (), tuple(shape), array.kind, False)


def permute(array: Array, order: Sequence[int]) -> Array:
    """The axes in another order."""
    if array.op == "permute":
        return permute(array.parts[0], [array.told[k] for k in order])
    if list(order) == list(range(array.rank)):
        return array
    shape = tuple(array.shape[k] for k in order)
    return Array("permute", (array,), tuple(order), shape, array.kind, False)


def insert(array: Array, places: Sequence[int]) -> Array:
    """New axes of extent 1 at places of the result."""
    if not places:
        return array
    if array.scalar:
        return array
    shape = list(array.shape)
    for place in sorted(places):
        shape.insert(place, ONE)
    return Array("insert", (array,), tuple(sorted(places)), tuple(shape), array.kind, False)


def slice_of(array: Array, cuts: Sequence[Cut]) -> Array:
    """Some elements of each axis."""
    full = all(c.is_full and c.count is n for c, n in zip(cuts, array.shape, strict=True))
    if full:
        return array
    flips = [k for k, c in enumerate(cuts) if c.count is not None and (-c.step).at_least(1)]
    if flips:
        kept = [k for k, c in enumerate(cuts) if c.count is not None]
        forward = [_forward(c) if k in flips else c for k, c in enumerate(cuts)]
        return flip(slice_of(array, forward), [kept.index(k) for k in flips])
    shape = tuple(c.count for c in cuts if c.count is not None)
    return Array("slice", (array,), tuple(cuts), shape, array.kind, False)


def _forward(cut: Cut) -> Cut:
    """The elements of a cut that goes backwards, the other way round."""
    assert cut.count is not None
    return Cut(cut.start + cut.step * (cut.count - 1), -cut.step, cut.count)


def flip(array: Array, axes: Sequence[int]) -> Array:
    """Some axes reversed; reversed twice they are as they were."""
    if not axes:
        return array
    if array.op == "flip" and array.told == tuple(axes):
        return array.parts[0]
    return Array("flip", (array,), tuple(axes), array.shape, array.kind, False)


def pad(array: Array, low: Sequence[Size], high: Sequence[Size], fill: Number) -> Array:
    """Margins around an array."""
    shape = tuple(n + a + b for n, a, b in zip(array.shape, low, high, strict=True))
    told = (tuple(low), tuple(high), fill)
    return Array("pad", (array,), told, shape, array.kind, False)


def diagonal(array: Array, one: int, two: int) -> Array:
    """Two axes as one, behind the others."""
    shape = [n for k, n in enumerate(array.shape) if k not in (one, two)]
    return Array("diagonal", (array,), (one, two), (*shape, array.shape[one]), array.kind, False)


def take(array: Array, axes: Sequence[int], places: Sequence[Array]) -> Array:
    """Elements at integers along neighbouring ``axes``, which the integers' axes replace."""
    inner = broadcast([p.shape for p in places])
    before, after = array.shape[: axes[0]], array.shape[axes[-1] + 1 :]
    shape = (*before, *inner, *after)
    return Array("take", (array, *places), tuple(axes), shape, array.kind, False)


def windows(array: Array, slides: Sequence[Window]) -> Array:
    """The windows that slide along some axes."""
    shape = list(array.shape)
    for w in slides:
        shape[w.axis] = w.count
    shape += [w.places for w in slides]
    return Array("windows", (array,), tuple(slides), tuple(shape), array.kind, False)


def roll(array: Array, shifts: Mapping[int, Size]) -> Array:
    """Elements moved on along axes, those of an end to the start."""
    told = tuple(sorted(shifts.items(), key=lambda pair: pair[0]))
    return Array("roll", (array,), told, array.shape, array.kind, False)


def cumsum(array: Array, axis: int) -> Array:
    """The sums up to each element of an axis."""
    kind = "int" if array.kind == "bool" else array.kind
    return Array("cumsum", (array,), (axis,), array.shape, kind, False)


def accumulate(function: str, array: Array, axis: int) -> Array:
    """What a function of two numbers makes of all elements of an axis up to each."""
    return Array("accumulate", (array,), (function, axis), array.shape, array.kind, False)


def half(which: str, array: Array, k: int) -> Array:
    """The lower ("tril") or the upper ("triu") part of the last two axes, with zeros elsewhere."""
    return Array("half", (array,), (which, k), array.shape, array.kind, False)


Turns = tuple[tuple[Size, Size], ...]  # the variables of loops, and their extents


def each(op: str, turns: Turns, body: Array) -> Array:
    """The sum, product, maximum or minimum of what an array is at all turns of loops."""
    if body.kind == "bool":
        body = cast(body, "int")
    return Array("each", (body,), (op, turns), body.shape, body.kind, False)


def first(turns: Turns, body: Array, best: Array) -> Array:
    """How many turns of loops come before the first one at which an array is the best one."""
    return Array("first", (body, best), (None, turns), best.shape, "int", False)


def fill(turns: Turns, body: Array) -> Array:
    """What an array is at each turn of loops, as further axes."""
    shape = (*body.shape, *(n for _, n in turns))
    return Array("fill", (body,), turns, shape, body.kind, False)


def repeat(array: Array, axis: int, times: Size) -> Array:
    """Each element of an axis several times."""
    shape = list(array.shape)
    shape[axis] = shape[axis] * times
    return Array("repeat", (array,), (axis, times), tuple(shape), array.kind, False)


def expand(array: Array, shape: tuple[Size, ...], kind: str = "") -> Array:
    """The array repeated along its axes of extent 1; a scalar fills a new array, of a kind."""
    if array.scalar:
        return Array("full", (array,), (), shape, kind or array.kind, False)
    array = cast(array, kind or array.kind)
    if array.shape == shape:
        return array
    return Array("expand", (array,), (), shape, array.kind, False)


def fold(op: str, array: Array, axes: Sequence[int]) -> Array:
    """sum, prod, max, min or mean over axes."""
    if not axes:
        return array
    if array.kind == "bool" and op in ("sum", "prod"):
        array = cast(array, "int")
    shape = tuple(n for k, n in enumerate(array.shape) if k not in axes)
    return Array("fold", (array,), (op, *sorted(axes)), shape, array.kind, False)


def mean(array: Array, count: Array) -> Array | None:
    """A sum over the number of its terms as their mean; None where a quotient is none."""
    if array.op != "fold" or array.told[0] != "sum" or count.op not in ("number", "size"):
        return None
    (part,), (_, *axes) = array.parts, array.told
    terms = ONE
    for axis in axes:
        terms = terms * part.shape[axis]
    if (count.told[0] if count.op == "size" else _size_of(count)) is not terms:
        return None
    return fold("mean", cast(part, "float"), axes)


def arg(op: str, array: Array, axis: int) -> Array:
    """Where the first greatest, or least, element of an axis is."""
    shape = tuple(n for k, n in enumerate(array.shape) if k != axis)
    return Array("arg", (array,), (op, axis), shape, "int", False)


def einsum(letters: Sequence[str], result: str, parts: Sequence[Array]) -> Array:
    """Products summed over the letters that the result lacks."""
    extents = {
        c: n for w, p in zip(letters, parts, strict=True) for c, n in zip(w, p.shape, strict=True)
    }
    kind = "float" if any(p.kind == "float" for p in parts) else "int"
    parts = tuple(cast(p, kind) for p in parts)
    shape = tuple(extents[c] for c in result)
    return Array("einsum", tuple(parts), (*letters, result), shape, kind, False)


def convolve(
    image: Array,
    kernel: Array,
    steps: Sequence[Size],
    spreads: Sequence[Size],
    extents: Sequence[Size],
) -> Array:
    """An image of batch, channels and further axes, over which a kernel of results, channels and
    taps slides."""
    shape = (image.shape[0], kernel.shape[0], *extents)
    return Array("convolve", (image, kernel), (tuple(steps), tuple(spreads)), shape, "float", False)


def convolve_transposed(
    image: Array, kernel: Array, steps: Sequence[Size], spreads: Sequence[Size]
) -> Array:
    """What a convolution does to a gradient by its image: a kernel of channels, results and taps is
    added at every place of an image of batch, channels and further axes."""
    pairs = zip(image.shape[2:], kernel.shape[2:], steps, spreads, strict=True)
    lengths = (a * (n - 1) + s * (p - 1) + 1 for n, p, a, s in pairs)
    shape = (image.shape[0], kernel.shape[1], *lengths)
    told = (tuple(steps), tuple(spreads))
    return Array("convolve_transposed", (image, kernel), told, shape, "float", False)


def operation(row: str, parts: Sequence[Array], shape: tuple[Size, ...]) -> Array:
    """A matrix operation."""
    return Array("operation", tuple(parts), (row,), shape, TABLE[row].kind, False)


def put(
    array: Array,
    value: Array,
    subs: Sequence[Cut | int],
    places: Sequence[Array],
    *,
    sign: int = 1,
    once: bool = False,
    apart: bool = False,
) -> Array:
    """``array`` with ``value`` added at ``subs``, or subtracted where ``sign`` is -1: cuts, or
    numbers of ``places``; ``once`` where no subscript occurs twice, ``apart`` where the array is 0
    at all of them."""
    op = "put" if not once else "set" if apart or is_zeros(array) else "add"
    return Array(
        op if sign > 0 else {"put": "withdraw", "add": "deduct"}[op],
        (array, cast(value, array.kind), *places),
        tuple(subs),
        array.shape,
        array.kind,
        False,
    )


def spread(array: Array, value: Array, subs: Sequence[Cut], turns: Turns, *, once: bool) -> Array:
    """``array`` with what ``value`` is at each turn of loops added at ``subs``; ``once`` says that
    no two turns write to the same place."""
    told = (tuple(subs), turns, once and is_zeros(array))
    parts = (array, cast(value, array.kind))
    return Array("spread", parts, told, array.shape, array.kind, False)


def concatenate(parts: Sequence[Array], axis: int, shape: tuple[Size, ...]) -> Array:
    """Arrays one behind the other along an axis."""
    kind = "float" if any(p.kind == "float" for p in parts) else parts[0].kind
    every = tuple(cast(p, kind) for p in parts)
    return Array("concatenate", every, (axis,), shape, kind, False)


def zeros(shape: tuple[Size, ...], kind: str = "float") -> Array:
    """Zeros."""
    return Array("full", (whole(0),), (), shape, kind, False)


def unwritten(shape: tuple[Size, ...], kind: str = "float") -> Array:
    """Zeros that are all written over, as a second part says: they need no values."""
    return Array("full", (whole(0), whole(1)), (), shape, kind, False)


NOUGHT = Number(Fraction(0), "")


def is_zeros(array: Array) -> bool:
    """Whether an array is filled with zeros."""
    return array.op == "full" and literal(array.parts[0]) == 0


def nodes(array: Array, seen: set[Array]) -> Iterator[Array]:
    """Every node that isn't in ``seen``, parts first."""
    if array in seen:
        return
    seen.add(array)
    for part in array.parts:
        yield from nodes(part, seen)
    yield array


TURN = f"{PRIVATE}turn"  # ends the name of a variable of a loop inside a statement


def read_twice(made: Sequence[Array]) -> set[Array]:
    """What is more than a view of another array, and is needed several times to make these."""
    counts: Counter[Array] = Counter()
    seen: set[Array] = set()
    for array in made:
        for node in nodes(array, seen):
            counts.update(node.parts)
        counts[array] += 1
    return {a for a, n in counts.items() if n > 1 and a.op not in CHEAP and not a.scalar}


@kept
def open_turns(array: Array) -> frozenset[str]:
    """The variables of loops inside a statement that an array depends on."""
    found = {name for name in sizes_told(array) if name.endswith(TURN)}
    for part in array.parts:
        found |= open_turns(part)
    if array.op in ("each", "first", "fill", "spread"):
        turns = array.told if array.op == "fill" else array.told[1]
        found -= {n for variable, _ in turns for n in variable.names()}
    return frozenset(found)


def sizes_told(array: Array) -> frozenset[str]:
    """The names of sizes in what is told of an array."""
    return frozenset(name for told in _flat(array.told) for name in _sizes(told))


def _flat(told: tuple[Any, ...]) -> Iterator[Any]:
    for one in told:
        if isinstance(one, tuple):
            yield from _flat(one)
        else:
            yield one


def _sizes(told: Any) -> Iterator[str]:
    match told:
        case Size():
            yield from told.names()
        case Cut(start, step, count):
            for n in (start, step, count):
                yield from n.names() if n is not None else ()
        case _:
            pass


def _size_of(number: Array) -> Size | None:
    value = literal(number)
    return None if value is None or value.denominator > 1 else size(int(value))


def literal(array: Array) -> Fraction | None:
    """The number that a scalar is, if it is a literal one."""
    if array.op != "number" or array.told[0].special:
        return None
    value: Fraction = array.told[0].value
    return value
