"""The slow truth: what a program means, by loops over every point of every index.

Nothing is reordered, shared or left out except what a false guard leaves out. Every other way to
run a program (generated source of all backends) and every rewriting of one is checked against this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from ..errors import CheckError, LimitError, PullbackError, ShapeError
from .arithmetic import FLOAT, INF, MODULAR, Abstain, Arithmetic, Resample, Value
from .expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
)
from .matrices import batch_axes, opaque
from .program import Define, Program, show_shape, solve_sizes
from .recurrence import Group, direction, groups, is_recurrent
from .sizes import Size
from .subscripts import Index, Lookup, Quotient, Remainder, Subscript, at, indices_of
from .walk import Tree, accesses, free_indices

__all__ = [
    "FLOAT",
    "MODULAR",
    "Abstain",
    "Arithmetic",
    "Array",
    "Resample",
    "define",
    "define_group",
    "evaluate",
    "fill",
    "holds",
    "place",
    "run",
]

MOST_POINTS = 10**8
"""Points that one statement or one reduction may have: each takes about a microsecond."""

Point = list[int]
Reader = Callable[[Point], Any]


@dataclass(frozen=True)
class Array:
    """A plain array: its shape and its elements in row-major order."""

    shape: tuple[int, ...]
    flat: list[Any]

    @classmethod
    def of(cls, value: Any) -> Array:
        """From a number, nested lists, or anything with ``shape`` and ``tolist()``.

        >>> Array.of([[1, 2], [3, 4]]).shape
        (2, 2)
        """
        if isinstance(value, Array):
            return value
        if hasattr(value, "shape") and hasattr(value, "tolist"):
            shape = tuple(int(n) for n in value.shape)
            flat = [value.tolist()]
            for _ in shape:
                flat = [x for row in flat for x in row]
            return cls(shape, flat)
        if not isinstance(value, list | tuple):
            return cls((), [value])
        rows = [cls.of(row) for row in value]
        if any(row.shape != rows[0].shape for row in rows):
            raise ShapeError("nested lists of different lengths", found=repr(value)[:80])
        inner = rows[0].shape if rows else ()
        return cls((len(rows), *inner), [x for row in rows for x in row.flat])

    def tolist(self) -> Any:
        """Nested lists (a plain number for shape ())."""
        if not self.shape:
            return self.flat[0]
        rows = self.flat
        for axis in range(len(self.shape) - 1, 0, -1):
            n, count = self.shape[axis], prod(self.shape[:axis])
            rows = [rows[k * n : (k + 1) * n] for k in range(count)]
        return rows

    def __getitem__(self, place: tuple[int, ...]) -> Any:
        k = 0
        for n, where in zip(self.shape, place, strict=True):
            if not 0 <= where < n:
                raise IndexError(place)
            k = k * n + where
        return self.flat[k]


def run(
    program: Program,
    values: Mapping[str, Any],
    arithmetic: Arithmetic = FLOAT,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The value of every statement and output, by name; raises ShapeError, CheckError, and
    LimitError for more than ``MOST_POINTS`` points of one statement or reduction.

    ``values`` holds the inputs: numbers, nested lists or arrays. ``sizes`` gives the named sizes
    that no input's shape gives.
    """
    missing = [t.name for t in program.inputs if t.name not in values]
    if missing:
        raise ShapeError(f"no value for {', '.join(missing)}", hint="give every input")
    given = {t: Array.of(values[t.name]) for t in program.inputs}
    known = solve_sizes({t: a.shape for t, a in given.items()}, sizes)
    arrays = {t.name: typed(a, t, arithmetic) for t, a in given.items()}
    fill(arrays, program.statements, known, arithmetic)
    wanted = [s.target for s in program.statements] + list(program.outputs)
    return {t.name: arrays[t.name] for t in wanted}


def typed(array: Array, tensor: Tensor, arithmetic: Arithmetic) -> Array:
    """The elements as values of the arithmetic; of int and bool tensors: Python ints and bools."""
    match tensor.kind:
        case "int":
            if any(x != x or abs(x) == INF or x != int(x) for x in array.flat):
                raise ShapeError(f"{tensor.name} holds numbers that are not whole")
            return Array(array.shape, [int(x) for x in array.flat])
        case "bool":
            return Array(array.shape, [bool(x) for x in array.flat])
        case _:
            return Array(array.shape, [arithmetic.element(x) for x in array.flat])


def fill(
    arrays: dict[str, Array],
    statements: Sequence[Define],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic = FLOAT,
) -> None:
    """Adds the values of statements to the arrays that they read."""
    for group in groups(statements):
        arrays.update(define_group(group, arrays, sizes, arithmetic))


def define(
    statement: Define,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic = FLOAT,
) -> Array:
    """The value of one statement that does not read its own target, cast to its target's kind."""
    shape = _shape(statement, sizes)
    element = _element(statement, arrays, sizes, arithmetic)
    return Array(shape, [element(place) for place in product(*map(range, shape))])


def define_group(
    group: Group,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic = FLOAT,
) -> dict[str, Array]:
    """The values of statements that need each other, one place of their first index after the
    other; what an element reads that has no value yet gets one first.

    Raises CheckError where an element needs itself.
    """
    if not is_recurrent(group):
        return {group[0].target.name: define(group[0], arrays, sizes, arithmetic)}
    steps = {value_of(s.indices[0].extent, sizes) if s.indices else None for s in group}
    if len(steps) > 1 or None in steps:
        names = ", ".join(s.target.name for s in group)
        raise CheckError(f"{names} need each other and don't share a first axis to step along")
    return _Stepwise(group, arrays, sizes, arithmetic).run()


class Unready(CheckError):
    """An element of a recurrence is read before it has a value: of ``tensor``, at a ``place``
    counted in row-major order."""

    def __init__(self, tensor: Tensor, place: int) -> None:
        super().__init__(f"{tensor.name} is read before it has a value there")
        self.needed = tensor, place


class _Stepwise:
    """The elements of statements that need each other, as they come to have values."""

    def __init__(
        self,
        group: Group,
        arrays: Mapping[str, Array],
        sizes: Mapping[str, int],
        arithmetic: Arithmetic,
    ) -> None:
        self.upwards = direction(group) >= 0
        shapes = {s.target: _shape(s, sizes) for s in group}
        self.made = {t: _Growing(n, [_UNREADY] * prod(n)) for t, n in shapes.items()}
        self.places = {t: list(product(*map(range, n))) for t, n in shapes.items()}
        every = {**arrays, **{t.name: array for t, array in self.made.items()}}
        self.elements = {s.target: _element(s, every, sizes, arithmetic) for s in group}

    def run(self) -> dict[str, Array]:
        """The arrays, by name."""
        steps = range(next(iter(self.made.values())).shape[0])
        for step in steps if self.upwards else reversed(steps):
            for target, array in self.made.items():
                row = prod(array.shape[1:])
                for place in range(step * row, (step + 1) * row):
                    self.fill(target, place)
        return {t.name: Array(array.shape, array.flat) for t, array in self.made.items()}

    def fill(self, target: Tensor, place: int) -> None:
        """Gives an element a value, after those that it needs."""
        waiting = {(target, place): None}
        while waiting:
            one, at = next(reversed(waiting))
            try:
                if self.made[one].flat[at] is _UNREADY:
                    self.made[one].flat[at] = self.elements[one](self.places[one][at])
            except Unready as why:
                if why.needed in waiting:
                    raise
                waiting[why.needed] = None
            except Abstain as why:
                why.tensor = one.name
                raise
            else:
                waiting.popitem()


_UNREADY = object()


class _Growing(Array):
    """An array of which not all elements have values yet."""

    def at_place(self, outer: Sequence[int]) -> range:
        """Where the elements at a place of its first axes are, in row-major order."""
        count = prod(self.shape[len(outer) :])
        k = 0
        for n, place in zip(self.shape, outer, strict=False):
            k = k * n + place
        return range(k * count, (k + 1) * count)


def _shape(statement: Define, sizes: Mapping[str, int]) -> tuple[int, ...]:
    shape = tuple(value_of(n, sizes) for n in statement.target.shape)
    _check_points(prod(shape), statement.target.name)
    return shape


def _check_points(count: int, where: str) -> None:
    if count > MOST_POINTS:
        raise LimitError(
            "there are too many points to go through one by one", where=where,
            expected=f"at most {MOST_POINTS}", found=str(count), hint="make the sizes smaller",
        )  # fmt: skip


def _element(
    statement: Define, arrays: Mapping[str, Array], sizes: Mapping[str, int], arithmetic: Arithmetic
) -> Callable[[tuple[int, ...]], Value]:
    """The value of a statement at a place of its target."""
    shape = _shape(statement, sizes)
    extents = tuple(value_of(i.extent, sizes) for i in statement.indices)
    if shape != extents or len(set(statement.indices)) != len(shape):
        raise CheckError(
            f"the statement of {statement.target.name} doesn't fill its target",
            expected=f"one distinct index per axis of {show_shape(shape)}",
            found=f"indices of extents {show_shape(extents)}",
        )
    stray = [i.name for i in free_indices(statement.body) if i not in statement.indices]
    if stray:
        raise CheckError(f"{statement.target.name} has stray indices {', '.join(stray)}")
    context = Context(arrays, sizes, arithmetic)
    slots = {index: k for k, index in enumerate(statement.indices)}
    scope = Scope(context, slots)
    if any(n == 0 for n in shape):
        return lambda place: None
    body = scope.value(statement.body)
    point = context.point
    store = STORES.get(statement.target.kind, _as_float)

    def element(place: tuple[int, ...]) -> Value:
        point[: len(place)] = place
        return store(body(point), arithmetic)

    return element


def _as_float(value: Value, arithmetic: Arithmetic) -> Value:
    return arithmetic.element(value) if isinstance(value, bool) or type(value) is int else value


STORES: dict[str, Callable[[Value, Arithmetic], Value]] = {
    "float": _as_float,
    "int": lambda value, arithmetic: arithmetic.whole(value),
    "bool": lambda value, arithmetic: arithmetic.compare("!=", value, 0),
}


def evaluate(
    value: Expr,
    point: Mapping[Index, int] = {},
    arrays: Mapping[str, Array] = {},
    sizes: Mapping[str, int] = {},
    arithmetic: Arithmetic = FLOAT,
) -> Value:
    """The value of an expression at one point of its free indices."""
    scope, at = _scope(point, arrays, sizes, arithmetic)
    return scope.value(value)(at)


def holds(
    cond: Cond,
    point: Mapping[Index, int] = {},
    arrays: Mapping[str, Array] = {},
    sizes: Mapping[str, int] = {},
    arithmetic: Arithmetic = FLOAT,
) -> bool:
    """Whether a condition holds at one point of its free indices."""
    scope, at = _scope(point, arrays, sizes, arithmetic)
    return bool(scope.cond(cond)(at))


def place(
    sub: Subscript,
    point: Mapping[Index, int] = {},
    arrays: Mapping[str, Array] = {},
    sizes: Mapping[str, int] = {},
) -> int:
    """The integer that a subscript is at one point of its indices."""
    scope, at = _scope(point, arrays, sizes, FLOAT)
    return int(scope.sub(sub)(at))


def _scope(
    point: Mapping[Index, int],
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic,
) -> tuple[Scope, Point]:
    context = Context(arrays, sizes, arithmetic)
    scope = Scope(context, {index: k for k, index in enumerate(point)})
    context.point[: len(point)] = point.values()
    return scope, context.point


def value_of(size: Size, sizes: Mapping[str, int]) -> int:
    """The integer that a size is; a division by zero in it is a ShapeError."""
    try:
        return size.value(sizes)
    except ZeroDivisionError:
        raise ShapeError("a size is divided by zero", found=f"{size} at {dict(sizes)}") from None


@dataclass
class Context:
    """What is the same in all of one evaluation; ``point`` holds the indices' current values."""

    arrays: Mapping[str, Array]
    sizes: Mapping[str, int]
    arithmetic: Arithmetic
    point: Point = field(default_factory=list)


class Scope:
    """Turns expressions into functions of the point, once; an index's value stands in its own slot.

    A reduction opens a scope of its own with new slots, so an inner index hides an outer one of the
    same name and extent without disturbing it.
    """

    def __init__(self, context: Context, slots: Mapping[Index, int]) -> None:
        self.context = context
        self.slots = slots
        self.made: dict[Tree, Reader] = {}
        self.depth = max(slots.values(), default=-1) + 1
        context.point.extend([0] * (self.depth - len(context.point)))

    def inner(self, indices: Sequence[Index], depth: int) -> Scope:
        new = {index: depth + k for k, index in enumerate(indices)}
        return Scope(self.context, {**self.slots, **new})

    def value(self, node: Expr) -> Reader:
        if node not in self.made:
            self.made[node] = self._value(node)
        return self.made[node]

    def cond(self, node: Cond) -> Reader:
        if node not in self.made:
            self.made[node] = self._cond(node)
        return self.made[node]

    def _value(self, node: Expr) -> Reader:
        arithmetic = self.context.arithmetic
        match node:
            case Number(value, special):
                return _constant_later(lambda: arithmetic.number(value, special))
            case SizeOf(size):
                return _constant(value_of(size, self.context.sizes))
            case IndexOf(sub):
                return self.sub(sub)
            case Access():
                return self.access(node)
            case Apply(function, args):
                readers = [self.value(a) for a in args]
                apply = arithmetic.apply
                return lambda p: apply(function, [r(p) for r in readers])
            case Add(terms):
                return _folded(arithmetic.add, [self.value(t) for t in terms], 0)
            case Mul(factors):
                return self.product(factors)
            case Power(base, exponent):
                inner, power = self.value(base), arithmetic.power
                if isinstance(base, SizeOf | Number):
                    return _constant_later(lambda: power(inner([]), exponent))
                return lambda p: power(inner(p), exponent)
            case Reduce():
                return self.reduction(node)
            case Arg():
                return self.arg(node)
            case Select(cond, then, other):
                test, yes, no = self.cond(cond), self.value(then), self.value(other)
                return lambda p: yes(p) if test(p) else no(p)
            case Guard(cond):
                test = self.cond(cond)
                return lambda p: 1 if test(p) else 0
            case Opaque():
                return self.opaque(node)

    def opaque(self, node: Opaque) -> Reader:
        """An element of the result, which is computed once for every place of the batch."""
        arrays = [self.whole(tensor) for tensor in node.operands]
        every = zip(node.operands, arrays, strict=True)
        growing = [(tensor, array) for tensor, array in every if isinstance(array, _Growing)]
        operands = [(array.shape, array.flat) for array in arrays]
        batch = batch_axes(node.operation, len(node.operands[0].shape))
        subs = [self.sub(sub) for sub in node.subs]
        index = node.subs[-1].index if node.subs else None
        last = 0 if index is None else value_of(index.extent, self.context.sizes)
        made: dict[tuple[int, ...], Any] = {}

        def read(p: Point) -> Value:
            place = tuple(where(p) for where in subs)
            outer = place[:batch]
            if outer not in made:
                for tensor, array in growing:
                    for k in array.at_place(outer):
                        if array.flat[k] is _UNREADY:
                            raise Unready(tensor, k)
                made[outer] = opaque(self.context.arithmetic, node.operation, operands, outer, last)
            value = made[outer]
            for k in place[batch:]:
                value = value[k]
            return value

        return read

    def product(self, factors: Sequence[Expr]) -> Reader:
        """Guards first, wherever they stand; the rest only where all of them hold."""
        guards = in_order([f.cond for f in factors if isinstance(f, Guard)])
        rest = [self.value(f) for f in factors if not isinstance(f, Guard)]
        inner = _folded(self.context.arithmetic.mul, rest, 1)
        if not guards:
            return inner
        test = self.all_of(guards)
        return lambda p: inner(p) if test(p) else 0

    def all_of(self, conds: Sequence[Cond]) -> Reader:
        """Whether all hold; a read outside an array is an error only where no other is false."""
        tests = [self.cond(c) for c in conds]
        if len(tests) == 1:
            return tests[0]

        def together(p: Point) -> bool:
            outside = None
            for test in tests:
                try:
                    if not test(p):
                        return False
                except CheckError as error:
                    outside = error
            if outside is not None:
                raise outside
            return True

        return together

    def _cond(self, node: Cond) -> Reader:
        arithmetic = self.context.arithmetic
        match node:
            case Compare(op, left, right):
                a, b, compare = self.value(left), self.value(right), arithmetic.compare
                return lambda p: compare(op, a(p), b(p))
            case Zero(sub):
                where = self.sub(sub)
                return lambda p: where(p) == 0
            case Inside(sub, extent):
                where, n = self.sub(sub), value_of(extent, self.context.sizes)
                return lambda p: 0 <= where(p) < n
            case Divides(divisor, sub):
                where, n = self.sub(sub), self.divisor(divisor)
                return lambda p: where(p) % n == 0
            case And(conds):
                tests = [self.cond(c) for c in conds]
                return lambda p: all(test(p) for test in tests)
            case Or(conds):
                tests = [self.cond(c) for c in conds]
                return lambda p: any(test(p) for test in tests)
            case Not(cond):
                test = self.cond(cond)
                return lambda p: not test(p)
            case Truth(value):
                inner, compare = self.value(value), arithmetic.compare
                return lambda p: compare("!=", inner(p), 0)

    def divisor(self, size: Size) -> int:
        n = value_of(size, self.context.sizes)
        if n < 1:
            raise CheckError("a divisor must be at least 1", found=f"{size} = {n}")
        return n

    def sub(self, sub: Subscript) -> Reader:
        const = value_of(sub.const, self.context.sizes)
        parts = [(self.atom(atom), value_of(n, self.context.sizes)) for atom, n in sub.terms]
        if not parts:
            return _constant(const)
        if len(parts) == 1:
            read, n = parts[0]
            if n == 1 and const == 0:
                return read
            return lambda p: const + n * read(p)
        if len(parts) == 2:
            (left, m), (right, n) = parts
            return lambda p: const + m * left(p) + n * right(p)
        return lambda p: const + sum(n * read(p) for read, n in parts)

    def atom(self, atom: Index | Quotient | Remainder | Lookup) -> Reader:
        match atom:
            case Index():
                if atom not in self.slots:
                    raise CheckError(f"the index {atom.name} is not bound here")
                slot = self.slots[atom]
                return lambda p: p[slot]
            case Quotient(value, divisor):
                inner, n = self.sub(value), self.divisor(divisor)
                return lambda p: inner(p) // n
            case Remainder(value, divisor):
                inner, n = self.sub(value), self.divisor(divisor)
                return lambda p: inner(p) % n
            case Lookup(access):
                inner, whole = self.access(access), self.context.arithmetic.whole
                return lambda p: whole(inner(p))

    def whole(self, tensor: Tensor) -> Array:
        """The array of a tensor; CheckError where there is none, or one of another shape."""
        array = self.context.arrays.get(tensor.name)
        if array is None:
            raise CheckError(f"{tensor.name} is read before it has a value")
        shape = tuple(value_of(n, self.context.sizes) for n in tensor.shape)
        if shape != array.shape:
            raise CheckError(
                f"{tensor.name} doesn't have the shape it is read with",
                expected=show_shape(shape),
                found=f"shape {show_shape(array.shape)}",
            )
        return array

    def access(self, node: Access) -> Reader:
        array = self.whole(node.tensor)
        shape = array.shape
        if len(node.subs) != len(shape):
            raise CheckError(
                f"{node.tensor.name} doesn't have the shape it is read with",
                expected=show_shape(shape),
                found=f"{len(node.subs)} subscripts",
            )
        axes = [(self.sub(sub), n) for sub, n in zip(node.subs, shape, strict=True)]
        flat = array.flat
        growing = isinstance(array, _Growing)

        def read(p: Point) -> Value:
            k = 0
            for where, n in axes:
                at = where(p)
                if not 0 <= at < n:
                    raise _outside(node, [w(p) for w, _ in axes], shape)
                k = k * n + at
            if growing and flat[k] is _UNREADY:
                raise Unready(node.tensor, k)
            return flat[k]

        return read

    def reduction(self, node: Reduce) -> Reader:
        arithmetic = self.context.arithmetic
        domain, body = list(node.domain), node.body
        if node.op == "sum" and isinstance(body, Mul):  # an absent product adds nothing
            domain += [f.cond for f in body.factors if isinstance(f, Guard)]
            body = Mul(tuple(f for f in body.factors if not isinstance(f, Guard)))
        points, inner = self.points(node.indices, domain)
        read = inner.value(body)
        step = self.steps()[node.op]
        special = {"max": "-inf", "min": "inf"}.get(node.op, "")
        of_none = Fraction(1 if node.op == "prod" else 0)

        def value(p: Point) -> Value:
            total, empty = None, True
            for _ in points(p):
                total, empty = (read(p), False) if empty else (step(total, read(p)), False)
            return arithmetic.number(of_none, special) if empty else total

        return value

    def steps(self) -> dict[str, Callable[[Value, Value], Value]]:
        """How each reduction takes in one more value."""
        arithmetic = self.context.arithmetic
        return {
            "sum": arithmetic.add,
            "prod": arithmetic.mul,
            "max": self.extreme("max"),
            "min": self.extreme("min"),
        }

    def extreme(self, op: str) -> Callable[[Value, Value], Value]:
        """The greater (lesser) of two; the first where they are equal; NaN wins, as in NumPy."""
        compare = self.context.arithmetic.compare

        def pick(best: Value, new: Value) -> Value:
            return new if beats(compare, op, new, best) else best

        return pick

    def arg(self, node: Arg) -> Reader:
        points, inner = self.points(node.indices, node.domain)
        read = inner.value(node.body)
        slot = inner.slots[node.indices[node.which]]
        compare = self.context.arithmetic.compare

        def value(p: Point) -> int:
            best, found = None, -1
            for _ in points(p):
                new = read(p)
                if found < 0 or beats(compare, node.op, new, best):
                    best, found = new, p[slot]
            if found < 0:
                raise CheckError(f"arg{node.op} of no points has no value")
            return found

        return value

    def points(
        self, indices: Sequence[Index], domain: Sequence[Cond]
    ) -> tuple[Callable[[Point], Any], Scope]:
        """The points of ``indices`` where the domain holds, in row-major order, put in their slots.

        A condition that reads nothing is tested as soon as all its indices have values; one that
        reads, last.
        """
        depth = max(self.depth, self.context_depth())
        inner = self.inner(indices, depth)
        extents = [value_of(i.extent, self.context.sizes) for i in indices]
        most = max(extents, default=1) if domain else prod(extents)
        _check_points(most, ", ".join(index.name for index in indices))
        levels: list[list[Cond]] = [[] for _ in range(len(indices) + 1)]
        for cond in in_order(domain):
            bound = [k for k, i in enumerate(indices, 1) if i in free_indices(cond)]
            last = len(indices) if reads_arrays(cond) else max(bound, default=0)
            levels[last].append(cond)
        first, *tests = (inner.all_of(conds) if conds else None for conds in levels)
        choices = [
            inner.choices(i, n, conds)
            for i, n, conds in zip(indices, extents, levels[1:], strict=True)
        ]
        last = len(indices) - 1

        def walk(p: Point, level: int) -> Iterator[None]:
            slot, test = depth + level, tests[level]
            for k in choices[level](p):
                p[slot] = k
                if test is not None and not test(p):
                    continue
                if level == last:
                    yield
                else:
                    yield from walk(p, level + 1)

        def start(p: Point) -> Iterable[None]:
            if first is not None and not first(p):
                return ()
            return walk(p, 0) if indices else (None,)

        return start, inner

    def choices(
        self, index: Index, extent: int, conds: Sequence[Cond]
    ) -> Callable[[Point], Iterable[int]]:
        """The values of an index that have to be tested: one where [i = ...], otherwise all."""
        every = range(extent)
        for cond in conds:
            if not isinstance(cond, Zero) or reads_arrays(cond):
                continue
            for atom, n in cond.sub.terms:
                factor = value_of(n, self.context.sizes)
                rest = cond.sub - at(atom) * n
                if atom is index and abs(factor) == 1 and index not in indices_of(rest):
                    where = self.sub(rest)

                    def solved(
                        p: Point, factor: int = factor, where: Reader = where
                    ) -> Iterable[int]:
                        k = -factor * where(p)  # factor * k + where(p) = 0, and factor is 1 or -1
                        return (k,) if 0 <= k < extent else ()

                    return solved
        return lambda p: every

    def context_depth(self) -> int:
        """Slots in use anywhere: the value of one reduction is never disturbed by another."""
        return len(self.context.point)


def beats(compare: Callable[[str, Value, Value], bool], op: str, new: Value, best: Value) -> bool:
    """Whether ``new`` takes the place of ``best`` (which came first) in a max or a min."""
    if isinstance(best, float) and best != best:
        return False
    if isinstance(new, float) and new != new:
        return True
    return compare("<", best, new) if op == "max" else compare("<", new, best)


def in_order(conds: Sequence[Cond]) -> list[Cond]:
    """Conditions that read no array first: other reads may be in bounds only because of them."""
    return sorted(conds, key=reads_arrays)


def reads_arrays(cond: Cond) -> bool:
    """Whether a condition reads an array anywhere."""
    return bool(accesses(cond))


def _constant(value: Value) -> Reader:
    return lambda p: value


def _constant_later(make: Callable[[], Value]) -> Reader:
    """A constant that is made when it is first needed: making it may be refused."""
    made: list[Value] = []

    def read(p: Point) -> Value:
        if not made:
            made.append(make())
        return made[0]

    return read


def _folded(step: Callable[[Value, Value], Value], parts: list[Reader], empty: int) -> Reader:
    if not parts:
        return _constant(empty)
    first, rest = parts[0], parts[1:]
    if len(rest) == 1:
        second = rest[0]
        return lambda p: step(first(p), second(p))

    def read(p: Point) -> Value:
        total = first(p)
        for part in rest:
            total = step(total, part(p))
        return total

    return read


def _outside(node: Access, at: list[int], shape: tuple[int, ...]) -> PullbackError:
    return CheckError(
        f"{node.tensor.name} is read outside its extent",
        where=node.key,
        expected=f"0 <= subscripts < {show_shape(shape)}",
        found=show_shape(tuple(at)),
    )
