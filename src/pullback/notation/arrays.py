"""Formulas in whole matrices: a small closed set of nodes, and what they are worth.

Every value is a matrix; a column has one column, a scalar one row and one column. An axis is the
index that runs over it, or None where there is just one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..ir.arithmetic import FLOAT
from ..ir.expr import Expr, Tensor
from ..ir.interpret import Array, evaluate
from ..ir.matrices import opaque
from ..ir.subscripts import Index

Axis = Index | None


@dataclass(frozen=True)
class Whole:
    """An array: rows and columns are its last axes, the axes before them are batches."""

    tensor: Tensor
    row: Axis
    col: Axis
    batch: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Ones:
    """A column of ones."""

    row: Axis
    col: Axis = None


@dataclass(frozen=True)
class Identity:
    """The identity matrix."""

    row: Axis
    col: Axis


@dataclass(frozen=True)
class Scalar:
    """A number from sizes, literals and 0-d arrays."""

    value: Expr
    row: Axis = None
    col: Axis = None


@dataclass(frozen=True)
class Transposed:
    """The transpose."""

    inner: Matrix

    @property
    def row(self) -> Axis:
        return self.inner.col

    @property
    def col(self) -> Axis:
        return self.inner.row


@dataclass(frozen=True)
class Product:
    """A matrix product; scalars among the factors multiply."""

    factors: tuple[Matrix, ...]
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Plus:
    """A sum; each term has a sign, 1 or -1."""

    terms: tuple[tuple[int, Matrix], ...]
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Hadamard:
    """An elementwise product."""

    factors: tuple[Matrix, ...]
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Diagonal:
    """The diagonal matrix of a column."""

    inner: Matrix
    row: Axis
    col: Axis


@dataclass(frozen=True)
class DiagonalOf:
    """The column that is the diagonal of a matrix."""

    inner: Matrix
    row: Axis
    col: Axis = None


@dataclass(frozen=True)
class Trace:
    """The sum of a matrix's diagonal."""

    inner: Matrix
    row: Axis = None
    col: Axis = None


@dataclass(frozen=True)
class Elementwise:
    """A scalar function of every element; scalar arguments go with each."""

    function: str
    args: tuple[Matrix, ...]
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Result:
    """What an opaque operation makes of whole arrays."""

    operation: str
    operands: tuple[Whole, ...]
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Raised:
    """Every element to a literal power."""

    inner: Matrix
    exponent: Fraction
    row: Axis
    col: Axis


@dataclass(frozen=True)
class Indicator:
    """1 where a comparison of elements holds, else 0."""

    op: str
    left: Matrix
    right: Matrix
    row: Axis
    col: Axis


Matrix = (
    Whole | Ones | Identity | Scalar | Transposed | Product | Plus | Hadamard | Diagonal
    | DiagonalOf | Trace | Elementwise | Result | Raised | Indicator
)  # fmt: skip


def is_scalar(node: Matrix) -> bool:
    """Whether a value has one row and one column."""
    return node.row is None and node.col is None


def transposed(node: Matrix) -> Matrix:
    """The transpose, moved inside products and sums."""
    match node:
        case Transposed(inner):
            return inner
        case Product(factors, row, col):
            return Product(tuple(map(transposed, reversed(factors))), col, row)
        case Plus(terms, row, col):
            return Plus(tuple((sign, transposed(term)) for sign, term in terms), col, row)
        case Hadamard(factors, row, col):
            return Hadamard(tuple(map(transposed, factors)), col, row)
        case Diagonal(inner, row, col):
            return Diagonal(inner, col, row)
        case Identity(row, col):
            return Identity(col, row)
        case _:
            return node if is_scalar(node) else Transposed(node)


def product(factors: Sequence[Matrix], row: Axis, col: Axis) -> Matrix:
    """A matrix product without products directly inside it and without needless identities."""
    flat: list[Matrix] = []
    for factor in factors:
        inside = isinstance(factor, Product) and (not is_scalar(factor) or len(factors) == 1)
        flat.extend(factor.factors if inside and isinstance(factor, Product) else (factor,))
    needed: list[Matrix] = [f for f in flat if not isinstance(f, Identity)]
    large = [factor for factor in needed if not is_scalar(factor)]
    if len(needed) < len(flat) and (len(large) > 1 or (large and relabelled(large[0], row, col))):
        flat = needed
    if len(flat) > 1:
        return Product(tuple(flat), row, col)
    return relabelled(flat[0], row, col) or flat[0]


def relabelled(node: Matrix, row: Axis, col: Axis) -> Matrix | None:
    """The same matrix with other names of axes of the same extents; None where it is not easy."""
    if node.row is row and node.col is col:
        return node
    match node:
        case Diagonal(inner, _, _):
            return Diagonal(inner, row, col)
        case Whole(tensor, _, _, batch):
            return Whole(tensor, row, col, batch)
        case Transposed(inner):
            turned = relabelled(inner, col, row)
            return None if turned is None else Transposed(turned)
        case _:
            return None


def hadamard(factors: Sequence[Matrix], row: Axis, col: Axis) -> Matrix:
    """An elementwise product without elementwise products directly inside it."""
    flat: list[Matrix] = []
    for factor in factors:
        flat.extend(factor.factors if isinstance(factor, Hadamard) else (factor,))
    return flat[0] if len(flat) == 1 else Hadamard(tuple(flat), row, col)


# What a formula is worth

Rows = list[list[float]]


@dataclass(frozen=True)
class Values:
    """Arrays, sizes and the position in the batch to evaluate at."""

    arrays: Mapping[str, Array]
    sizes: Mapping[str, int]
    place: Mapping[Index, int]

    def extent(self, axis: Axis) -> int:
        """The number of rows or columns."""
        return 1 if axis is None else axis.extent.value(self.sizes)

    def of(self, node: Matrix) -> Rows:
        """The value of a formula as a list of rows."""
        match node:
            case Whole():
                return self.whole(node)
            case Ones(axis, _):
                return [[1.0] for _ in range(self.extent(axis))]
            case Identity(axis, _):
                n = self.extent(axis)
                return [[float(i == j) for j in range(n)] for i in range(n)]
            case Scalar(value):
                return [[evaluate(value, {}, self.arrays, self.sizes)]]
            case Transposed(inner):
                return self.flipped(self.of(inner), inner)
            case Product(factors):
                return self.product(factors)
            case Plus(terms):
                return self.plus(node, terms)
            case Hadamard(factors):
                return self.each(node, _times, factors)
            case Diagonal(inner):
                column = self.of(inner)
                n = len(column)
                return [[column[i][0] if i == j else 0.0 for j in range(n)] for i in range(n)]
            case DiagonalOf(inner):
                return [[line[i]] for i, line in enumerate(self.of(inner))]
            case Trace(inner):
                total = 0.0
                for i, line in enumerate(self.of(inner)):
                    total = FLOAT.add(total, line[i])
                return [[total]]
            case Elementwise(function, args):
                return self.each(node, lambda *xs: FLOAT.apply(function, xs), args)
            case Result():
                return self.result(node)
            case Raised(inner, exponent):
                return self.each(node, lambda x: FLOAT.power(x, exponent), (inner,))
            case Indicator(op, left, right):
                return self.each(node, lambda x, y: float(FLOAT.compare(op, x, y)), (left, right))

    def whole(self, node: Whole) -> Rows:
        array = self.arrays[node.tensor.name]
        lead = tuple(self.place[index] for index in node.batch)
        rows = range(self.extent(node.row))
        if node.row is None:
            return [[array[lead]]]
        if node.col is None:
            return [[array[(*lead, i)]] for i in rows]
        return [[array[(*lead, i, j)] for j in range(self.extent(node.col))] for i in rows]

    def result(self, node: Result) -> Rows:
        arrays = [self.arrays[operand.tensor.name] for operand in node.operands]
        batch = tuple(self.place[index] for index in node.operands[0].batch)
        last = 0 if node.row is None else self.extent(node.row)
        found = opaque(FLOAT, node.operation, [(a.shape, a.flat) for a in arrays], batch, last)
        if node.row is None:
            return [[found]]
        return [[x] for x in found] if node.col is None else found

    def flipped(self, rows: Rows, inner: Matrix) -> Rows:
        return [[line[j] for line in rows] for j in range(self.extent(inner.col))]

    def product(self, factors: tuple[Matrix, ...]) -> Rows:
        scale, out, last = 1.0, None, None
        for factor in factors:
            if is_scalar(factor):
                scale = FLOAT.mul(scale, self.of(factor)[0][0])
                continue
            out = (
                self.of(factor)
                if out is None or last is None
                else self.matmul(out, self.of(factor), factor.col)
            )
            last = factor
        if out is None:
            return [[scale]]
        return [[FLOAT.mul(scale, x) for x in row] for row in out]

    def matmul(self, left: Rows, right: Rows, col: Axis) -> Rows:
        found: Rows = []
        for row in left:
            line = []
            for j in range(self.extent(col)):
                total = 0.0
                for x, other in zip(row, right, strict=True):
                    total = FLOAT.add(total, FLOAT.mul(x, other[j]))
                line.append(total)
            found.append(line)
        return found

    def plus(self, node: Plus, terms: tuple[tuple[int, Matrix], ...]) -> Rows:
        def total(*values: float) -> float:
            out = 0.0
            for (sign, _), value in zip(terms, values, strict=True):
                out = FLOAT.add(out, FLOAT.mul(sign, value))
            return out

        return self.each(node, total, tuple(term for _, term in terms))

    def each(self, node: Matrix, function: Callable[..., float], args: tuple[Matrix, ...]) -> Rows:
        grids = [(is_scalar(arg), self.of(arg)) for arg in args]
        rows, cols = range(self.extent(node.row)), range(self.extent(node.col))
        return [
            [function(*(g[0][0] if one else g[i][j] for one, g in grids)) for j in cols]
            for i in rows
        ]


def _times(*values: float) -> float:
    out = 1.0
    for value in values:
        out = FLOAT.mul(out, value)
    return out
