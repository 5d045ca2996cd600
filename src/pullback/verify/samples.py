"""Points to check at: small sizes (1 and odd ones among them) and random values of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from math import inf, prod
from random import Random
from typing import Any, TypeGuard

from ..errors import CheckError, PullbackError, ShapeError
from ..ir.arithmetic import FLOAT, PRIME, Abstain, Arithmetic, Modular, Resample, Residue
from ..ir.expr import (
    Access,
    Arg,
    Divides,
    Expr,
    Inside,
    Number,
    Opaque,
    Reduce,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.interpret import Array, define_group, typed, value_of
from ..ir.matrices import OF_VECTORS
from ..ir.program import Define, Program, reads
from ..ir.recurrence import groups, in_order
from ..ir.sizes import Size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript
from ..ir.walk import (
    Tree,
    bound_indices,
    children,
    free_indices,
    lookups,
    nodes,
    subscripts,
)
from ..opaque import TABLE
from .decimals import MORE_DECIMALS

TRIES = 60
SMALL = (2, 3, 5, 4, 1, 7)
# How often a style is drawn at which scale, until a forward pass is finite and accurate there;
# None is the style itself. Published in docs/checks.md.
LADDER: tuple[tuple[int, str | None, Fraction], ...] = (
    (16, None, Fraction(1)),
    (8, None, Fraction(3, 10)),
    (8, None, Fraction(1, 10)),
    (4, None, Fraction(1, 100)),
    (8, "positive", Fraction(1)),
    (8, "positive", Fraction(1, 10)),
    (8, "positive", Fraction(1, 100)),
)
DRAWS = sum(count for count, _, _ in LADDER)
ACCURATE = 1e-8  # of a sample: float64 against 50 digits, relative to an array's greatest element
ZERO = 1e-6  # an array whose elements are all smaller may be 0 but for rounding
SAME = 1e-20  # 50 digits against 100
ROOTS = 12  # so many draws modulo the prime, of which half the numbers have no square root
UNSOUND = 6  # so many draws may be nothing but rounding errors; then there are no others
PART = 4  # so many samples, at least, are affordable at sizes that are chosen
SIZES = 12  # so many sizes are looked at, to find a few at which the forward pass is defined
STYLES = ("signed", "grid", "ties", "positive", "unit", "mixed")
KINKS = ("grid", "ties")  # where values meet and vanish: a derivative there is a convention


@dataclass
class Sample:
    """Values of named tensors at some sizes; ``free`` are floats that were drawn, not computed.

    A tensor whose value the arithmetic could not compute is drawn, too: what holds then holds
    whatever its definition is, and what doesn't hold may still follow from the definition.
    ``exact`` are the inputs as they were drawn, ``accurate`` tells whether float64 gives about the
    same values.
    """

    sizes: Mapping[str, int]
    arithmetic: Arithmetic
    arrays: dict[str, Array] = field(default_factory=dict)
    loose: dict[str, str] = field(default_factory=dict)  # tensor: why its value was drawn
    exact: dict[Tensor, Array] = field(default_factory=dict)
    accurate: bool = True

    def given(self, arithmetic: Arithmetic) -> Sample:
        """The same inputs in another arithmetic; nothing is computed from them yet."""
        arrays = {t.name: typed(a, t, arithmetic) for t, a in self.exact.items()}
        return Sample(self.sizes, arithmetic, arrays, {}, self.exact)

    def again(self, arithmetic: Arithmetic, *parts: Sequence[Define]) -> Sample | None:
        """The same inputs in another arithmetic, with the statements' values if there are any."""
        made = self.given(arithmetic)
        try:
            for statements in parts:
                compute(made, statements, Random(0))
        except (Resample, PullbackError, ArithmeticError):
            return None
        return made


def names_in(statements: Iterable[Define], inputs: Iterable[Tensor]) -> tuple[str, ...]:
    """Every named size in inputs and statements, sorted."""
    sizes = [n for tensor in inputs for n in tensor.shape]
    for statement in statements:
        sizes += extents(statement)
        for node in nodes(statement.body):
            sizes += [n for sub in subscripts(node) for n in _sizes_in(sub)]
            match node:
                case SizeOf(n) | Inside(_, n) | Divides(n, _):
                    sizes.append(n)
    return tuple(sorted({name for n in sizes for name in n.names()}))


def _sizes_in(sub: Subscript) -> Iterator[Size]:
    yield sub.const
    for atom, n in sub.terms:
        yield n
        match atom:
            case Index(_, extent):
                yield extent
            case Quotient(value, divisor) | Remainder(value, divisor):
                yield divisor
                yield from _sizes_in(value)
            case Lookup(access):
                for inner in access.subs:
                    yield from _sizes_in(inner)


def extents(statement: Define) -> list[Size]:
    """The extents of the target's axes, of the bound indices and of every array that is read."""
    inner = [i.extent for i in bound_indices(statement.body)]
    read = [n for tensor in reads(statement) for n in tensor.shape]
    return [*statement.target.shape, *inner, *read]


def draw_sizes(
    statements: Sequence[Define], inputs: Sequence[Tensor], rng: Random, count: int
) -> list[dict[str, int]]:
    """Up to ``count`` assignments at which no extent is negative: odd sizes, ones, any small."""
    names = names_in(statements, inputs)
    every = [*dict.fromkeys(n for s in statements for n in extents(s))]
    every += [n for t in inputs for n in t.shape]
    found: list[dict[str, int]] = []
    for attempt in range(TRIES):
        if len(found) == count:
            break
        sizes = {name: _size(rng, attempt, k) for k, name in enumerate(names)}
        if sizes not in found and _fits(every, sizes, least=1 if attempt < TRIES // 2 else 0):
            found.append(sizes)
        if not names:
            break
    return found


def beyond_literals(
    statements: Sequence[Define], inputs: Sequence[Tensor]
) -> Iterator[dict[str, int]]:
    """Assignments beyond the whole numbers that statements hold, the greatest number first."""
    names = names_in(statements, inputs)
    every = [*dict.fromkeys(n for s in statements for n in extents(s))]
    found = {n for s in statements for node in nodes(s.body) for n in _whole_numbers(node)}
    found |= {n for size in every for mono, n in size.terms if not mono}
    for literal in sorted((n for n in map(abs, found) if n > max(SMALL)), reverse=True):
        sizes = {name: literal + 1 + k for k, name in enumerate(names)}
        if names and _fits(every, sizes, least=1):
            yield sizes


def _whole_numbers(node: Tree) -> Iterator[int]:
    """The whole numbers in one node: a number, or those in sizes and subscripts."""
    sizes = [n for sub in subscripts(node) for n in _sizes_in(sub)]
    match node:
        case Number(value, "") if value.denominator == 1:
            yield int(value)
        case SizeOf(n) | Inside(_, n) | Divides(n, _):
            sizes.append(n)
    yield from (n for size in sizes for mono, n in size.terms if not mono)


def _size(rng: Random, attempt: int, k: int) -> int:
    if attempt == 0:
        return (3, 2, 5, 4, 7)[k % 5]
    return rng.choice((1, 1, 2, 3, 5) if attempt % 2 else SMALL)


def _fits(every: Sequence[Size], sizes: Mapping[str, int], least: int) -> bool:
    try:
        return all(value_of(n, sizes) >= least for n in every)
    except PullbackError:
        return False


def draw_inputs(
    tensors: Sequence[Tensor],
    statements: Sequence[Define],
    sizes: Mapping[str, int],
    rng: Random,
    arithmetic: Arithmetic,
    style: str,
) -> dict[str, Array]:
    """Random values of inputs and cotangents; integers used as subscripts stay inside."""
    exact = draw_exact(tensors, statements, sizes, rng, arithmetic, style)
    return {tensor.name: typed(drawn, tensor, arithmetic) for tensor, drawn in exact.items()}


def draw_exact(
    tensors: Sequence[Tensor],
    statements: Sequence[Define],
    sizes: Mapping[str, int],
    rng: Random,
    arithmetic: Arithmetic,
    style: str,
    scale: Fraction = Fraction(1),
) -> dict[Tensor, Array]:
    """The same as fractions, residues, integers and bools; floats times ``scale``."""
    ranges = lookup_ranges(statements, sizes)
    direct = {a.tensor for s in statements for a in lookups_in(s.body)}
    positive = {tensor for s in statements for tensor in positive_in(s.body)}
    apart = {tensor for s in statements for tensor in apart_in(s.body)}
    ascending = {tensor for s in statements for tensor in ascending_in(s.body)}
    found = {}
    for tensor in tensors:
        shape = tuple(value_of(n, sizes) for n in tensor.shape)
        extent = ranges.get(tensor)
        low = -extent if extent and tensor not in direct and rng.random() < 0.5 else 0
        draw = _DRAWS[tensor.kind](rng, (low, extent), arithmetic, style)
        drawn = Array(shape, [draw() for _ in range(prod(shape))])
        if tensor.kind == "float" and scale != 1:
            drawn = Array(shape, [x * scale for x in drawn.flat])
        if tensor in apart and not isinstance(arithmetic, Modular):
            drawn = _apart(drawn)
        if tensor in positive and not isinstance(arithmetic, Modular):
            drawn = _positive(drawn)
        if tensor in ascending:
            drawn = _ascending(drawn)
        found[tensor] = drawn
    return found


def rungs(style: str) -> Iterator[tuple[str, Fraction]]:
    """What is drawn one after the other, until the forward pass is defined: styles and scales."""
    for count, other, scale in LADDER:
        for _ in range(count):
            yield other or style, scale


# The same statements are drawn for many times over.
_kept = lru_cache(maxsize=4096)


@_kept
def positive_in(body: Expr) -> tuple[Tensor, ...]:
    """The operands in a value that are positive definite matrices."""
    bodies = [node for node in nodes(body) if isinstance(node, Opaque)]
    return tuple(body.operands[0] for body in bodies if TABLE[body.operation].positive)


@_kept
def apart_in(body: Expr) -> tuple[Tensor, ...]:
    """The operands in a value that are matrices of different real eigenvalues."""
    bodies = [node for node in nodes(body) if isinstance(node, Opaque)]
    return tuple(body.operands[0] for body in bodies if TABLE[body.operation].apart)


@_kept
def ascending_in(body: Expr) -> tuple[Tensor, ...]:
    """The operands in a value whose elements have to be in ascending order."""
    bodies = [node for node in nodes(body) if isinstance(node, Opaque)]
    return tuple(body.operands[0] for body in bodies if TABLE[body.operation].ascending)


def _ascending(array: Array) -> Array:
    """The elements of each row in order."""
    n = array.shape[-1]
    rows = [sorted(array.flat[k : k + n]) for k in range(0, len(array.flat), n or 1)]
    return Array(array.shape, [x for row in rows for x in row])


def _apart(matrices: Array) -> Array:
    """Matrices of which each diagonal element is far from the others, seen from the rest of its
    row: eigenvalues are near these (Gershgorin's circles don't meet)."""
    n, flat = matrices.shape[-1], list(matrices.flat)
    for k in range(0, len(flat), n * n or 1):
        far = 2 * sum(map(abs, flat[k : k + n * n])) + 1
        for i in range(n):
            flat[k + i * (n + 1)] += i * far
    return Array(matrices.shape, flat)


def _positive(matrices: Array) -> Array:
    """Matrices with dominant diagonals; their lower triangles are those of positive ones."""
    n, flat = matrices.shape[-1], list(matrices.flat)
    for k in range(0, len(flat), n * n or 1):
        least = sum(map(abs, flat[k : k + n * n])) + 1
        for i in range(k, k + n * n, n + 1):
            flat[i] += least
    return Array(matrices.shape, flat)


Span = tuple[int, int | None]  # of integers: the least, one beyond the greatest if that matters


def _floats(rng: Random, span: Span, arithmetic: Arithmetic, style: str) -> Callable[[], Any]:
    if isinstance(arithmetic, Modular):
        return lambda: rng.randrange(PRIME)
    own = rng.choice(("signed", "positive", "unit")) if style == "mixed" else style
    return {
        "signed": lambda: Fraction(rng.randint(-2000, 2000) * 2 + 1, 1000),
        "example": lambda: Fraction(rng.randint(-2000, 2000) * 2 + 1, 1000),
        "grid": lambda: Fraction(rng.randint(-2, 2), 2),
        "ties": lambda: Fraction(rng.choice((0, 0, 1, -1))),
        "positive": lambda: Fraction(rng.randint(200, 3000), 1000),
        "unit": lambda: Fraction(rng.randint(-900, 900), 1000),
    }[own]


def _ints(rng: Random, span: Span, arithmetic: Arithmetic, style: str) -> Callable[[], Any]:
    low, high = span
    return lambda: rng.randrange(low, max(1, 3 if high is None else high))


def _bools(rng: Random, span: Span, arithmetic: Arithmetic, style: str) -> Callable[[], Any]:
    return lambda: rng.random() < 0.5


_DRAWS = {"float": _floats, "int": _ints, "bool": _bools}


def lookup_ranges(statements: Sequence[Define], sizes: Mapping[str, int]) -> dict[Tensor, int]:
    """For each integer tensor that subscripts depend on: the least extent that they subscript."""
    found: dict[Tensor, int] = {}
    for statement in statements:
        for tensor, extent in looked_up(statement.body):
            n = value_of(extent, sizes)
            found[tensor] = min(found.get(tensor, n), n)
    for statement in reversed(list(statements)):  # what a subscript is computed from
        if statement.target in found:
            for tensor in reads(statement):
                if tensor.kind == "int" and tensor not in found:
                    found[tensor] = found[statement.target]
    return found


@_kept
def looked_up(body: Expr) -> tuple[tuple[Tensor, Size], ...]:
    """The integer tensors that subscript axes of these extents in a value."""
    return tuple(
        (atom.access.tensor, extent)
        for node in nodes(body)
        for sub, extent in _axes(node)
        for atom, _ in sub.terms
        if isinstance(atom, Lookup)
    )


@_kept
def lookups_in(body: Expr) -> tuple[Access, ...]:
    """The reads of integer tensors inside a value's subscripts."""
    every = [sub for node in nodes(body) for sub in subscripts(node)]
    return tuple(access for sub in every for access in lookups(sub))


def _axes(node: Tree) -> Iterator[tuple[Subscript, Size]]:
    if isinstance(node, Access):
        yield from zip(node.subs, node.tensor.shape, strict=True)
    elif isinstance(node, Zero):  # [i = idx[n]]: as good as a subscript of i's axis
        for atom, _ in node.sub.terms:
            if isinstance(atom, Index):
                yield node.sub, atom.extent


def compute(
    sample: Sample,
    statements: Iterable[Define],
    rng: Random,
    loosen: bool = False,
    fine: Callable[[Any], bool] | None = None,
) -> None:
    """Adds the statements' values to a sample; raises Resample where one is not ``fine``.

    With ``loosen`` a value that the arithmetic abstains from is drawn instead.
    """
    for group in _groups(tuple(s for s in statements if s.target.name not in sample.arrays)):
        while left := [s for s in group if s.target.name not in sample.arrays]:
            try:
                own = tuple(in_order(left)) if len(left) > 1 else tuple(left)
                made = define_group(own, sample.arrays, sample.sizes, sample.arithmetic)
            except Abstain as why:
                if not loosen:
                    raise
                failed = next((s for s in left if s.target.name == why.tensor), left[0])
                made = {failed.target.name: _drawn(failed, sample, rng)}
                sample.loose[failed.target.name] = str(why)
            if fine is not None and not all(fine(x) for a in made.values() for x in a.flat):
                raise Resample
            sample.arrays.update(made)


_groups = lru_cache(maxsize=64)(groups)


def _drawn(statement: Define, sample: Sample, rng: Random) -> Array:
    shape = tuple(value_of(n, sample.sizes) for n in statement.target.shape)
    extent: int | None = None
    if isinstance(statement.body, Arg):
        extent = value_of(statement.body.indices[statement.body.which].extent, sample.sizes)
    draw = _DRAWS[statement.target.kind](rng, (0, extent), sample.arithmetic, "signed")
    flat = [draw() for _ in range(prod(shape))]
    return typed(Array(shape, flat), statement.target, sample.arithmetic)


def draw(
    inputs: Sequence[Tensor],
    statements: Sequence[Define],
    sizes: Mapping[str, int],
    rng: Random,
    arithmetic: Arithmetic,
    style: str = "signed",
    loosen: bool = False,
    readers: Sequence[Define] = (),
    known: Mapping[Tensor, Array] | None = None,
) -> Sample | None:
    """A sample with the values of all statements, None where no draw gives defined ones.

    ``readers`` are further statements whose subscripts the integers must fit, ``known`` are values
    of inputs that are not drawn. Draws become smaller
    and then positive (:data:`LADDER`) until float64 agrees with the arithmetic; if none of them
    does, the first is taken whose values are the same with twice the digits.
    """
    users = (*statements, *readers)
    fine = is_number if any(map(is_infinite, users)) else is_finite
    spare: Sample | None = None
    unsound = 0
    modular = isinstance(arithmetic, Modular)
    for how, scale in islice(rungs(style), ROOTS if modular else None):
        exact = draw_exact(inputs, users, sizes, rng, arithmetic, how, scale)
        exact |= {
            t: a for t, a in (known or {}).items() if t in exact and a.shape == exact[t].shape
        }
        sample = Sample(sizes, arithmetic, {}, {}, exact).given(arithmetic)
        if modular:
            found = computed(sample, statements, rng, fine, loosen)
            if found is not None:
                return found
            continue
        floats = computed(sample.given(FLOAT), statements, rng, fine)
        if floats is None and spare is not None:
            continue
        found = computed(sample, statements, rng, fine, loosen)
        if found is None:
            continue
        if floats is not None and near(floats, found, ACCURATE):
            return found
        if spare is None and is_sound(found, statements):
            found.accurate = False
            spare = found
        unsound += spare is None
        if unsound == UNSOUND:
            break
    return spare


def exact_values(inputs: Sequence[Tensor], known: Mapping[str, Any]) -> dict[Tensor, Array]:
    """Known arrays as fractions, integers and bools; those that are not finite are left out."""
    found = {}
    for tensor in inputs:
        if tensor.name in known:
            array = Array.of(known[tensor.name])
            if all(x == x and abs(x) != inf for x in array.flat):
                floats = tensor.kind == "float"
                flat = [Fraction(x) if floats else x for x in array.flat]
                found[tensor] = Array(array.shape, flat)
    return found


def computed(
    sample: Sample,
    statements: Sequence[Define],
    rng: Random,
    fine: Callable[[Any], bool],
    loosen: bool = False,
) -> Sample | None:
    """A sample with the statements' values; None where one is undefined or not ``fine``."""
    try:
        compute(sample, statements, rng, loosen, fine)
    except (Resample, CheckError, ShapeError, ArithmeticError):
        return None
    return sample


def is_sound(sample: Sample, *parts: Sequence[Define]) -> bool:
    """Whether a sample's values stay the same with twice the digits.

    What is 0 in exact arithmetic, such as the determinant of a singular matrix, comes out as
    rounding errors, and all that is divided by it means nothing.
    """
    again = sample.again(MORE_DECIMALS, *parts)
    return again is not None and near(again, sample, SAME)


def near(one: Sample, other: Sample, tolerance: float) -> bool:
    """Whether the arrays of two samples agree, relative to the greatest element of each.

    What is 0 but for rounding agrees with what is 0.
    """
    return all(
        _near(array.flat, other.arrays[name].flat, tolerance) for name, array in one.arrays.items()
    )


def _near(one: Sequence[Any], other: Sequence[Any], tolerance: float) -> bool:
    real = [abs(x) for x in other if is_number(x) and is_finite(x)]
    scale = max(real, default=0)
    scale = max(scale, ZERO)
    return len(one) == len(other) and all(
        a == b or abs(a - b) <= tolerance * scale or (a != a and b != b)
        for a, b in zip(one, other, strict=True)
    )


def is_infinite(statement: Define) -> bool:
    """Whether a statement mentions an infinity, so that its value may be one."""
    return _mentions_infinity(statement.body)


@_kept
def _mentions_infinity(body: Expr) -> bool:
    return any(isinstance(node, Number) and bool(node.special) for node in nodes(body))


def is_number(value: Any) -> bool:
    """Whether a value of any arithmetic is a number (an infinity is one, NaN is not)."""
    return bool(value == value)


def is_finite(value: Any) -> bool:
    """Whether a value of any arithmetic is a finite number."""
    if isinstance(value, int | Residue):
        return True
    difference = value - value
    return bool(difference == difference)


def volume(tensors: Iterable[Tensor], sizes: Mapping[str, int]) -> int:
    """How many elements tensors have together."""
    return sum(prod(value_of(n, sizes) for n in tensor.shape) for tensor in tensors)


def work(statement: Define, sizes: Mapping[str, int]) -> int:
    """About how many operations the interpreter needs for a statement."""
    points = prod(value_of(n, sizes) for n in statement.target.shape)
    whole = sum(_work_of_operation(n, sizes) for n in nodes(statement.body) if _is_opaque(n))
    return points * work_of(statement.body, sizes) + whole


def _is_opaque(node: Tree) -> TypeGuard[Opaque]:
    return isinstance(node, Opaque)


def _work_of_operation(node: Opaque, sizes: Mapping[str, int]) -> int:
    """About how many operations a whole result takes: eliminations, or rotations of all pairs."""
    if TABLE[node.operation].kind == "int":  # sorted, or found by halving
        return 10 * sum(prod(value_of(n, sizes) for n in t.shape) for t in node.operands)
    if node.operation in OF_VECTORS:
        *batch, n = (value_of(extent, sizes) for extent in node.operands[0].shape)
        return 4 * prod(batch) * n**2
    *batch, n, _ = (value_of(extent, sizes) for extent in node.operands[0].shape)
    each = {
        "cofactors": n**5 if n < 7 else 2 * n**3,
        "exponential": 60 * n**3,
        "exponential_pushed": 480 * n**3,
        "exponential_pulled": 480 * n**3,
        "exponential_slopes": 480 * n**5,
    }.get(node.operation, n**3)
    return prod(batch) * (30 * n**3 if node.operation.startswith("eigen") else each)


def work_of(node: Tree, sizes: Mapping[str, int]) -> int:
    """About how many operations one evaluation takes; equalities of indices cut loops short."""
    memo: dict[Tree, int] = {}

    def visit(tree: Tree) -> int:
        if tree not in memo:
            inner = 1 + len(subscripts(tree)) + sum(map(visit, children(tree)))
            memo[tree] = inner * _loops(tree, sizes) if isinstance(tree, Reduce | Arg) else inner
        return memo[tree]

    return visit(node)


def _loops(node: Reduce | Arg, sizes: Mapping[str, int]) -> int:
    left = {i: value_of(i.extent, sizes) for i in node.indices}
    body: Expr = node.body
    guards = [getattr(f, "cond", None) for f in getattr(body, "factors", ())]
    for cond in (*node.domain, *guards):
        if isinstance(cond, Zero):
            own = [i for i in free_indices(cond) if i in left]
            if own:
                left.pop(max(own, key=lambda i: (left[i], i.key)))
    return prod(left.values())


@dataclass
class Budget:
    """Sizes at which a check is affordable, and the work that is left for samples there.

    Work is counted, not timed, so that a check does the same on every machine.
    """

    sizes: list[dict[str, int]]
    costs: list[int]
    left: int

    @classmethod
    def of(
        cls, sizes: Sequence[dict[str, int]], cost: Callable[[Mapping[str, int]], int], work: int
    ) -> Budget:
        """Those sizes at which a sample takes a part of the work; if there are none, the cheapest.

        No sizes are left where a single sample takes more than all of the work.
        """
        priced = [(cost(n), n) for n in sizes]
        cheap = [entry for entry in priced if entry[0] * PART <= work]
        least = min((price for price, _ in priced), default=0)
        chosen = cheap or [entry for entry in priced if entry[0] == least <= work][:1]
        return cls([n for _, n in chosen], [price for price, _ in chosen], work)

    def spend(self, k: int) -> bool:
        """Whether there is work left for a sample at the k-th sizes; it is taken."""
        if self.costs[k] > self.left:
            return False
        self.left -= self.costs[k]
        return True


def program_of(statements: Sequence[Define], inputs: Sequence[Tensor]) -> Program:
    """A program of loose parts whose outputs are all its targets."""
    return Program(tuple(inputs), tuple(statements), tuple(s.target for s in statements))
