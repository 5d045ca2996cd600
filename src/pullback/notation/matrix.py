"""The way back from index form to matrix form: products, transposes, outer products, sums by ones.

A statement whose arrays have at most two axes (after leading batch axes) is read as a graph:
indices are its vertices, matrices its edges, columns stand at vertices. A summed index is
eliminated by a product of the (at most two) matrices that meet in it. Where that does not lead to
one matrix there is no honest matrix form, and None is the answer. Every form is checked against
the interpreter at small sizes before it is given out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PullbackError, ShapeError
from ..ir.expr import (
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Guard,
    Mul,
    Number,
    Opaque,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    Zero,
    mul,
    number,
)
from ..ir.interpret import Array, define
from ..ir.matrices import batch_axes
from ..ir.program import Define, solve_sizes
from ..ir.sizes import Size
from ..ir.subscripts import Index, Subscript, at
from ..ir.walk import bound_indices, tensors
from ..text import PRIVATE
from .arrays import (
    Axis,
    Diagonal,
    DiagonalOf,
    Elementwise,
    Identity,
    Indicator,
    Matrix,
    Ones,
    Plus,
    Raised,
    Result,
    Scalar,
    Trace,
    Transposed,
    Values,
    Whole,
    hadamard,
    is_scalar,
    product,
    transposed,
)
from .program_sizes import tree_sizes
from .spell import show_dimensions
from .whole import LatexArrays, PlainArrays


class NoForm(Exception):
    """There is no honest matrix form."""


@dataclass(frozen=True)
class MatrixForm:
    """``target = value`` in whole matrices, for every position of ``batch``."""

    statement: Define
    target: Whole
    value: Matrix

    @property
    def plain(self) -> str:
        """The form as text: ``dX = dY Wᵀ``."""
        return PlainArrays().equation(self.target, self.value)

    @property
    def latex(self) -> str:
        r"""The form in LaTeX: ``\mathrm{d}X = \mathrm{d}Y \, W^{\top}``."""
        return LatexArrays().equation(self.target, self.value)

    def evaluate(self, values: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> Any:
        """What the form gives for arrays: nested lists of the target's shape. For checks, slow."""
        read = [t for t in tensors(self.statement.body) if t.name in values]
        missing = [t.name for t in tensors(self.statement.body) if t.name not in values]
        if missing:
            raise ShapeError(f"no value for {', '.join(missing)}", hint="give every array")
        arrays = {t.name: Array.of(values[t.name]) for t in read}
        known = solve_sizes({t: arrays[t.name].shape for t in read}, sizes)
        return self.array(arrays, known).tolist()

    def array(self, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> Array:
        """The value as an array."""
        shape = tuple(n.value(sizes) for n in self.statement.target.shape)
        batch = self.target.batch
        flat: list[Any] = []
        for place in _places(shape[: len(batch)]):
            at = dict(zip(batch, place, strict=True))
            rows = Values(arrays, sizes, at).of(self.value)
            flat.extend(x for row in rows for x in row)
        return Array(shape, flat)


def _free_axes(shape: Sequence[Size]) -> tuple[Axis, Axis]:
    """Axes of an operand that no index of the statement runs over."""
    row, col, *_ = (*(Index(f"~{PRIVATE}{k}", n) for k, n in enumerate(shape)), None, None)
    return row, col


def _places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for n in shape:
        found = [(*place, k) for place in found for k in range(n)]
    return found


def matrix_form(statement: Define) -> MatrixForm | None:
    """The matrix form of a statement, None where there is no honest one.

    >>> from .parse import parse
    >>> form = matrix_form(parse("dX[n,d] = sum(m) dY[n,m]*W[d,m]").statements[0])
    >>> print(form.plain)
    dX = dY Wᵀ
    """
    rank = len(statement.indices)
    for lead in range(max(0, rank - 2), rank + (rank == 0)):
        try:
            form = _Reader(statement, lead).form()
        except NoForm:
            continue
        if _agrees(form):
            return form
    return None


def dimension_analysis(statement: Define) -> str:
    """A statement with the shapes of its parts, in named sizes.

    >>> from .parse import parse
    >>> print(dimension_analysis(parse("dX[n,d] = sum(m) dY[n,m]*W[d,m]").statements[0]))
    dX (N×D) = dY (N×M) · Wᵀ (M×D)
    """
    form = matrix_form(statement)
    if form is not None:
        return PlainArrays(shapes=True).equation(form.target, form.value)
    parts = ", ".join(_with_shape(tensor) for tensor in tensors(statement.body))
    summed = bound_indices(statement.body)
    over = ", ".join(f"{index.name} ({show_dimensions([index.extent])})" for index in summed)
    return f"{_with_shape(statement.target)} from {parts or 'sizes only'}" + (
        f", over {over}" if over else ""
    )


def _with_shape(tensor: Tensor) -> str:
    return f"{tensor.name} ({show_dimensions(tensor.shape)})"


def _agrees(form: MatrixForm) -> bool:
    """Whether form and statement have the same values at small sizes."""
    statement = form.statement
    names = dict.fromkeys(n for s in _sizes_of(statement) for n in s.names())
    sizes = {name: 2 + k % 3 for k, name in enumerate(names)}
    arrays: dict[str, Array] = {}
    for seed, tensor in enumerate(tensors(statement.body)):
        shape = tuple(form.value(sizes) for form in tensor.shape)
        count = 1
        for n in shape:
            count *= n
        if min(shape, default=0) < 0 or count > 4096:
            return False
        arrays[tensor.name] = Array(shape, [_sample(tensor, seed, k) for k in range(count)])
    try:
        expected = define(statement, arrays, sizes)
        found = form.array(arrays, sizes)
    except (PullbackError, ArithmeticError, IndexError):
        return False
    return expected.shape == found.shape and all(
        _close(x, y) for x, y in zip(expected.flat, found.flat, strict=True)
    )


def _sizes_of(statement: Define) -> list[Size]:
    return [*statement.target.shape, *tree_sizes(statement.body)]


def _sample(tensor: Tensor, seed: int, k: int) -> float | int:
    """A value in (0.1, 0.9) that no other place has; integers and bools in their ranges."""
    value = 0.1 + 0.8 * ((0.6180339887 * (k + 1) + 0.4142135624 * (seed + 1)) % 1)
    return value if tensor.kind == "float" else int(value * (2 if tensor.kind == "bool" else 9))


def _close(x: float, y: float) -> bool:
    return x == y or (x != x and y != y) or abs(x - y) <= 1e-9 * (1 + abs(x) + abs(y))


@dataclass
class _Sum:
    """Scalars, columns at vertices, matrices at edges: what is left of a sum of products."""

    scalars: list[Matrix]
    columns: dict[Index, list[Matrix]]
    edges: list[Matrix]


class _Reader:
    """Reads one statement with a number of leading batch axes."""

    def __init__(self, statement: Define, lead: int) -> None:
        self.statement = statement
        self.batch = statement.indices[:lead]
        core = statement.indices[lead:]
        self.row: Axis = core[0] if core else None
        self.col: Axis = core[1] if len(core) > 1 else None

    def form(self) -> MatrixForm:
        if not any(tensor.shape for tensor in tensors(self.statement.body)):
            raise NoForm
        value = self.oriented(self.value(self.statement.body), self.row, self.col)
        target = Whole(self.statement.target, self.row, self.col, self.batch)
        return MatrixForm(self.statement, target, value)

    # orientation -------------------------------------------------------------------------------

    def oriented(self, node: Matrix, row: Axis, col: Axis) -> Matrix:
        """The value as a matrix of these rows and columns; what lacks an axis is repeated."""
        if node.row is row and node.col is col:
            return node
        if row is not None and col is not None and node.row is col and node.col is row:
            return transposed(node)
        if is_scalar(node):
            factors: list[Matrix] = [node, Ones(row)]
            if col is not None:
                factors.append(Transposed(Ones(col)))
            one = isinstance(node, Scalar) and node.value is number(1)
            return product(factors[one:], row, col)
        if node.col is None and node.row is row and col is not None:
            return product([node, Transposed(Ones(col))], row, col)
        if node.col is None and node.row is col and row is not None:
            return product([Ones(row), transposed(node)], row, col)
        raise NoForm

    def axes(self, nodes: Sequence[Matrix]) -> tuple[Axis, Axis]:
        """Rows and columns that hold all values: the target's own order where it can be."""
        found: dict[Index, None] = {}
        for node in nodes:
            found.update(dict.fromkeys(i for i in (node.row, node.col) if i is not None))
        if len(found) > 2:
            raise NoForm
        if not found:
            return None, None
        order = sorted(found, key=lambda i: i is self.col) if self.row in found else list(found)
        if self.col in found and self.row not in found and len(order) == 2:
            order.sort(key=lambda i: i is self.col)
        return order[0], order[1] if len(order) > 1 else None

    def matched(self, nodes: Sequence[Matrix], *, scalars: bool) -> tuple[list[Matrix], Axis, Axis]:
        """Values with the same axes; with ``scalars``, scalars stay as they are."""
        row, col = self.axes(nodes)
        return (
            [
                node if scalars and is_scalar(node) else self.oriented(node, row, col)
                for node in nodes
            ],
            row,
            col,
        )

    # values ------------------------------------------------------------------------------------

    def value(self, node: Expr) -> Matrix:
        match node:
            case Number(_, special) if not special:
                return Scalar(node)
            case SizeOf():
                return Scalar(node)
            case Access():
                return self.access(node)
            case Add(terms) if terms:
                return self.sum(terms)
            case Mul():
                return self.contracted((node,), ())
            case Reduce("sum", indices, (), body):
                return self.contracted((body,), indices)
            case Power(base, exponent):
                inner = self.value(base)
                if isinstance(inner, Scalar):
                    return Scalar(Power(inner.value, exponent))
                return Raised(inner, exponent, inner.row, inner.col)
            case Apply(function, args):
                found = [self.argument(arg) for arg in args]
                values, row, col = self.matched(found, scalars=True)
                return Elementwise(function, tuple(values), row, col)
            case Guard():
                return self.guard(node)
            case Opaque():
                return self.result(node)
            case _:
                raise NoForm

    def result(self, node: Opaque) -> Result:
        count = batch_axes(node.operation, len(node.operands[0].shape))
        if node.subs[:count] != tuple(map(at, self.batch)):
            raise NoForm
        operands = tuple(Whole(t, *_free_axes(t.shape[count:]), self.batch) for t in node.operands)
        row, col, *_ = (*(sub.index for sub in node.subs[count:]), None, None)
        return Result(node.operation, operands, row, col)

    def argument(self, node: Expr) -> Matrix:
        """What a function is applied to, its sign in front."""
        return self.sum((node,)) if _signed(node)[0] < 0 else self.value(node)

    def access(self, node: Access) -> Matrix:
        plain = [self.plain(sub) for sub in node.subs]
        batch = self.batch if tuple(plain[: len(self.batch)]) == self.batch else ()
        core = plain[len(batch) :]
        if len(core) > 2 or any(index in self.batch for index in core):
            raise NoForm
        if any(i.extent is not n for i, n in zip(plain, node.tensor.shape, strict=True)):
            raise NoForm
        if not core:
            return Whole(node.tensor, None, None, batch) if batch else Scalar(node)
        row, col = core[0], core[1] if len(core) > 1 else None
        whole = Whole(node.tensor, row, col, batch)
        return DiagonalOf(whole, row) if row is col else whole

    def plain(self, sub: Subscript) -> Index:
        index = sub.index
        if index is None:
            raise NoForm
        return index

    def sum(self, terms: tuple[Expr, ...]) -> Matrix:
        signed = [_signed(term) for term in terms]
        values, row, col = self.matched([self.value(term) for _, term in signed], scalars=False)
        signs = [sign for sign, _ in signed]
        return Plus(tuple(zip(signs, values, strict=True)), row, col)

    def guard(self, node: Guard) -> Matrix:
        match node.cond:
            case Compare(op, left, right):
                sides = [self.value(left), self.value(right)]
                (low, high), row, col = self.matched(sides, scalars=True)
                return Indicator(op, low, high, row, col)
            case Zero(sub) if len(sub.terms) == 2 and not sub.const.terms:
                (one, n), (other, m) = sub.terms
                unit = {n.literal, m.literal} == {1, -1}
                if (
                    unit
                    and isinstance(one, Index)
                    and isinstance(other, Index)
                    and (one.extent is other.extent and not {one, other} & {*self.batch})
                ):
                    row, col = self.axes([Ones(one), Ones(other)])
                    return Identity(row, col)
                raise NoForm
            case _:
                raise NoForm

    # sums of products --------------------------------------------------------------------------

    def contracted(self, factors: Sequence[Expr], indices: tuple[Index, ...]) -> Matrix:
        """The sum over ``indices`` of a product."""
        parts = _Sum([], {}, [])
        literal: list[Expr] = []
        for factor in _flat(factors):
            value = self.value(factor)
            if isinstance(value, Scalar):
                literal.append(value.value)
            elif is_scalar(value):
                parts.scalars.append(value)
            elif value.col is None and value.row is not None:
                parts.columns.setdefault(value.row, []).append(value)
            else:
                parts.edges.append(value)
        self.merge(parts)
        left = list(indices)
        while left:
            index = min(left, key=lambda i: (self.degree(parts, i), -left.index(i)))
            left.remove(index)
            self.eliminate(parts, index, literal)
            self.merge(parts)
        whole = self.assembled(parts)
        if whole is None:
            return Scalar(mul(*literal) if literal else number(1))
        if not literal:
            return whole
        return product([Scalar(mul(*literal)), whole], whole.row, whole.col)

    def degree(self, parts: _Sum, index: Index) -> int:
        return sum(index in (edge.row, edge.col) for edge in parts.edges)

    def merge(self, parts: _Sum) -> None:
        """Elementwise products of matrices over the same two indices."""
        merged: list[Matrix] = []
        for edge in parts.edges:
            for k, other in enumerate(merged):
                if {edge.row, edge.col} == {other.row, other.col}:
                    own = self.oriented(edge, other.row, other.col)
                    merged[k] = hadamard([other, own], other.row, other.col)
                    break
            else:
                merged.append(edge)
        parts.edges = merged

    def column(self, parts: _Sum, index: Index) -> Matrix | None:
        found = parts.columns.pop(index, None)
        return hadamard(found, index, None) if found else None

    def eliminate(self, parts: _Sum, index: Index, literal: list[Expr]) -> None:
        meeting = [edge for edge in parts.edges if index in (edge.row, edge.col)]
        parts.edges = [edge for edge in parts.edges if edge not in meeting]
        if len(meeting) > 2:
            raise NoForm
        if not meeting:
            self.summed(parts, index, literal)
        elif len(meeting) == 1:
            (edge,) = meeting
            other = edge.row if edge.col is index else edge.col
            if other is None:
                raise NoForm
            weight = self.column(parts, index) or Ones(index)
            matrix = self.oriented(edge, other, index)
            parts.columns.setdefault(other, []).append(product([matrix, weight], other, None))
        else:
            parts.edges.append(self.chained(parts, index, meeting))

    def summed(self, parts: _Sum, index: Index, literal: list[Expr]) -> None:
        """The sum of a column: a scalar product where it is one of two."""
        found = parts.columns.pop(index, [])
        if not found:
            literal.append(SizeOf(index.extent))
        elif len(found) == 1 and isinstance(found[0], DiagonalOf):
            parts.scalars.append(Trace(found[0].inner))
        elif len(found) == 1:
            parts.scalars.append(product([Transposed(Ones(index)), found[0]], None, None))
        else:
            rest = hadamard(found[1:], index, None)
            parts.scalars.append(product([transposed(found[0]), rest], None, None))

    def chained(self, parts: _Sum, index: Index, meeting: list[Matrix]) -> Matrix:
        """``A diag(w) B`` for the two matrices that meet in a summed index."""
        ends = [edge.row if edge.col is index else edge.col for edge in meeting]
        if None in ends or ends[0] is ends[1]:
            raise NoForm
        if ends[1] is self.row or ends[0] is self.col:
            ends.reverse()
            meeting = meeting[::-1]
        factors = [self.oriented(meeting[0], ends[0], index)]
        weight = self.column(parts, index)
        if weight is not None:
            factors.append(Diagonal(weight, index, index))
        factors.append(self.oriented(meeting[1], index, ends[1]))
        return product(factors, ends[0], ends[1])

    def assembled(self, parts: _Sum) -> Matrix | None:
        """One value from what is left after the sums."""
        if len(parts.edges) > 1 or len(parts.columns) > 2:
            raise NoForm
        core = self.core(parts)
        if core is not None:
            return product([*parts.scalars, core], core.row, core.col)
        return product(parts.scalars, None, None) if parts.scalars else None

    def core(self, parts: _Sum) -> Matrix | None:
        if parts.edges:
            (edge,) = parts.edges
            row, col = self.axes([edge])
            if row is None or col is None or any(i not in (row, col) for i in parts.columns):
                raise NoForm
            factors: list[Matrix] = [self.oriented(edge, row, col)]
            before, after = self.column(parts, row), self.column(parts, col)
            if before is not None:
                factors.insert(0, Diagonal(before, row, row))
            if after is not None:
                factors.append(Diagonal(after, col, col))
            return product(factors, row, col)
        columns = [self.column(parts, index) for index in list(parts.columns)]
        found = [column for column in columns if column is not None]
        if len(found) == 2:
            row, col = self.axes(found)
            one, other = found if found[0].row is row else found[::-1]
            return product([one, transposed(other)], row, col)
        return found[0] if found else None


def _flat(factors: Sequence[Expr]) -> list[Expr]:
    """The factors of a product and of the products in it."""
    found: list[Expr] = []
    stack = list(reversed(factors))
    while stack:
        node = stack.pop()
        if isinstance(node, Mul):
            stack.extend(reversed(node.factors))
        else:
            found.append(node)
    return found


def _signed(term: Expr) -> tuple[int, Expr]:
    """The sign of a term and what it multiplies."""
    if isinstance(term, Number) and term.value < 0:
        return -1, number(-term.value)
    if isinstance(term, Mul) and term.factors and isinstance(first := term.factors[0], Number):
        if first.value == -1 and len(term.factors) > 1:
            return -1, mul(*term.factors[1:])
        if first.value < 0:
            return -1, mul(number(-first.value), *term.factors[1:])
    return 1, term


__all__ = ["MatrixForm", "dimension_analysis", "matrix_form"]
