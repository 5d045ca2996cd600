"""The generalized Jacobian at a point: an operator that is multiplied by without being formed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..derivation.memory import human
from ..derivation.registry import service
from ..errors import ArgumentError, LimitError, PullbackError, ShapeError
from ..ir.expr import Tensor
from ..ir.program import Define, show_shape
from . import placed, shown
from .closed import Closed, NoClosedForm
from .modes import Local
from .shown import Title
from .structure import Structure, read

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = np.ndarray[Any, Any]
Along = Callable[[Array], Array]
LIMIT = 2**30
"""Bytes that :meth:`Jacobian.dense` makes without being asked."""
MOST_PLACED = 12  # terms of a formula that are computed one by one
LONGEST = 40  # characters of a factor in the text of a composition
CHUNK = 2**22  # elements of the directions that are multiplied at once


class Source:
    """A derivative at a point: where the values are that a formula reads."""

    def __init__(self, local: Local, inputs: Mapping[Tensor, Array]) -> None:
        self.local = local
        self.inputs = {
            t: np.array(inputs[t]) if t in local.read else _stand_in(inputs[t])
            for t in local.program.inputs
        }

    @cached_property
    def push(self) -> Along:
        """Along a tangent."""
        return self.local.push.prepared(self.inputs)

    @cached_property
    def pull(self) -> Along:
        """Back along a cotangent."""
        return self.local.pull.prepared(self.inputs)

    @cached_property
    def values(self) -> dict[Tensor, Array]:
        """What the formula reads."""
        closed = self.local.closed
        wanted = () if closed is None else closed.tensors
        found = self.local.values(self.inputs, wanted)
        return {t: np.asarray(v) for t, v in zip(wanted, found, strict=True)}

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays that both passes are computed from."""
        return sum(prod(n.value({}) for n in t.shape) * self.itemsize(t) for t in self.local.kept)

    def itemsize(self, tensor: Tensor) -> int:
        """Bytes of an element."""
        if tensor in self.inputs:
            return int(self.inputs[tensor].itemsize)
        name = {"float": "float64", "int": "int64"}.get(tensor.dtype, tensor.dtype)
        return np.dtype(name).itemsize


def _stand_in(array: Any) -> Array:
    """An array of the same shape and dtype that takes no memory, for values that nothing reads."""
    return np.broadcast_to(np.zeros((), np.asarray(array).dtype), np.shape(array))


class Reads:
    """The values that a formula reads, by its names for them."""

    def __init__(self, of: Mapping[Tensor, tuple[Source, Tensor]]) -> None:
        self.of = dict(of)

    def values(self) -> dict[Tensor, Array]:
        """Every value, by its tensor."""
        return {t: source.values[own] for t, (source, own) in self.of.items()}

    def beside(self, other: Reads) -> dict[Tensor, Tensor]:
        """Other names for what both call alike and isn't the same."""
        taken = {t.name for t in (*self.of, *other.of)}
        names: dict[Tensor, Tensor] = {}
        for tensor, place in other.of.items():
            mine = next((p for t, p in self.of.items() if t.name == tensor.name), place)
            if mine[0] is place[0] and mine[1] is place[1]:
                continue
            n = 2
            while f"{tensor.name}{'_' * tensor.name[-1].isdigit()}{n}" in taken:
                n += 1
            name = f"{tensor.name}{'_' * tensor.name[-1].isdigit()}{n}"
            taken.add(name)
            names[tensor] = Tensor(name, tensor.shape, tensor.dtype)
        return names


class Jacobian:
    """∂Y/∂X at a point, of shape ``Y.shape + X.shape``: what it is, and products with it.

    ``J @ v`` contracts all axes of X (``v`` may have more behind them), ``u @ J`` all of Y, ``J_z @
    J_y`` is the Jacobian of a composition. ``J.T`` is the transpose, ``J[1, 2]`` the gradient of
    one output, ``J.dense()`` the array. Nothing of these but the last makes the dense array.

    >>> import pullback
    >>> J = pullback.jacobian(lambda X: np.maximum(X, 0))(np.array([1.0, -2.0, 3.0, -1.0]))
    >>> J @ np.array([4.0, -1.0, 5.0, 9.0])
    array([4., 0., 5., 0.])
    >>> print(J.kind, J.text, J.rank, J.shape)
    diagonal diag(1(X > 0)) 4 (4, 4)

    Raises ShapeError for arrays whose shapes don't fit.
    """

    __array_ufunc__ = None  # NumPy leaves products to this class
    __array_priority__ = 1000

    def __init__(
        self,
        title: Title,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        dtypes: tuple[np.dtype[Any], np.dtype[Any]],
        ways: tuple[Along, Along],
        closed: Closed | None,
        reads: Reads,
        sources: Sequence[Source],
        rank: int | None = None,
        composed: str = "",
    ) -> None:
        self._title = title
        self.output_shape, self.input_shape = shapes
        self.dtypes = dtypes
        self._push, self._pull = ways
        self.closed = closed
        self._reads = reads
        self._sources = tuple(dict.fromkeys(sources))
        self._rank = rank
        self._composed = composed
        self._transposed: Jacobian | None = None

    @classmethod
    def at(
        cls, local: Local, inputs: Mapping[Tensor, Array], title: Title | None = None
    ) -> Jacobian:
        """The Jacobian of a derivative at values of the program's inputs, which are copied."""
        source = Source(local, inputs)
        closed = local.closed
        reads = Reads({t: (source, t) for t in closed.tensors} if closed is not None else {})
        shapes = (
            tuple(n.value({}) for n in local.output.shape),
            tuple(n.value({}) for n in local.wrt.shape),
        )
        dtypes = _dtype(local.output), np.asarray(inputs[local.wrt]).dtype
        if dtypes[1].kind != "f":
            dtypes = dtypes[0], dtypes[0]
        return cls(
            title or Title.of(local.output.name, local.wrt.name),
            shapes,
            dtypes,
            (lambda v: source.push(v), lambda u: source.pull(u)),
            closed,
            reads,
            (source,),
        )

    # What it is

    @property
    def _readable(self) -> Closed | None:
        """The formula as readers know it, where this is no product, sum or part of others."""
        locals_ = (source.local for source in self._sources)
        return next((own.readable for own in locals_ if own.closed is self.closed), None)

    @property
    def shape(self) -> tuple[int, ...]:
        """The output's shape followed by the input's."""
        return self.output_shape + self.input_shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return np.result_type(*self.dtypes)

    @cached_property
    def structure(self) -> Structure | None:
        """What the formula says that it is; None where it is a composition without one."""
        if self.closed is None:
            return None
        return read(self._readable or self.closed)

    @property
    def kind(self) -> str:
        """The structure by name, from the outside to the inside: ``Kronecker product``."""
        return "composition" if self.structure is None else self.structure.kind

    @property
    def text(self) -> str:
        """The structure as a formula of matrices: ``I_64 ⊗ Wᵀ``."""
        return self._composed or self.label if self.structure is None else self.structure.text.plain

    @property
    def label(self) -> str:
        """``∂Y/∂X``."""
        return self._title.text.plain

    @property
    def formula(self) -> str:
        """The element as index notation: ``∂Y[n,m]/∂X[n',d] = W[d,m]*[n' = n]``; "" where it is a
        composition without a formula."""
        return "" if self.closed is None else shown.formula(self.closed, self._title)

    def latex(self) -> str:
        """The element and the structure in LaTeX, an ``aligned`` block."""
        if self.closed is None or self.structure is None:
            return self._title.text.latex
        return shown.latex_lines(self.closed, self.structure, self._title)

    def _repr_html_(self) -> str:
        return str(service("html of jacobian")(self))

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    @property
    def rank(self) -> int:
        """A bound on the rank, from the structure."""
        bounds = [prod(self.output_shape), prod(self.input_shape)]
        if self._rank is not None:
            bounds.append(self._rank)
        if self.structure is not None:
            bounds.append(self.structure.rank.value({}))
        return min(bounds)

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays that products are computed from."""
        return sum(source.nbytes for source in self._sources)

    @property
    def dense_nbytes(self) -> int:
        """The bytes that the dense array would take."""
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        lines = [f"{self.label}, shape {show_shape(self.shape)}", f"  is:       {self.kind}"]
        lines[1] += f", {shown.folded(self.text)}" if self.text != self.label else ""
        if self.closed is not None:
            lines.append(f"  element:  {shown.folded(self.formula)}")
        lines += [f"  where:    {line}" for line in self.where]
        lines.append(f"  rank:     at most {self.rank}")
        lines.append(f"  bytes:    {human(self.nbytes)} kept, {human(self.dense_nbytes)} dense")
        return "\n".join(lines)

    def __repr__(self) -> str:
        text = shown.folded(self.text)
        return f"<Jacobian {self.label} {show_shape(self.shape)}: {text}>"

    @property
    def where(self) -> tuple[str, ...]:
        """The statements of values that the formula reads and that are no inputs."""
        found: list[Define] = []
        for source in self._sources:
            own = [t for s, t in self._reads.of.values() if s is source]
            own += () if self._readable is None else self._readable.tensors
            found += shown.definitions(source.local.backward.forward, own)
        return tuple(dict.fromkeys(map(shown.statement, found)))

    # Products

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Jacobian):
            return self._after(other)
        given = self._array(other, self.dtypes[1])
        n = len(self.input_shape)
        if given.shape[:n] != self.input_shape:
            _misfit(f"{self.label} @ v", self.input_shape, given.shape, behind=True)
        return self._along(self._push, given, n, self.output_shape)

    def __rmatmul__(self, other: Any) -> Any:
        given = self._array(other, self.dtypes[0])
        n = len(self.output_shape)
        split = given.ndim - n
        if split < 0 or given.shape[split:] != self.output_shape:
            _misfit(f"u @ {self.label}", self.output_shape, given.shape, behind=False)
        moved = np.moveaxis(given, range(split), range(n, given.ndim))
        found = np.asarray(self._along(self._pull, moved, n, self.input_shape))
        rank = len(self.input_shape)
        return np.moveaxis(found, range(rank, found.ndim), range(split)) if split else found[()]

    def _along(self, way: Along, given: Array, n: int, shape: tuple[int, ...]) -> Any:
        """A pass over an array whose first ``n`` axes are contracted."""
        more = given.shape[n:]
        if not more:
            found = np.asarray(way(np.ascontiguousarray(given))).reshape(shape)
            return found + 0.0  # -1 times a mask that is 0 is -0
        flat = np.ascontiguousarray(given).reshape(*given.shape[:n], prod(more))
        if not flat.size or not prod(shape):
            return np.zeros((*shape, *more), self.dtype)
        return np.asarray(way(flat)).reshape((*shape, *more)) + 0.0

    def _array(self, value: Any, dtype: np.dtype[Any]) -> Array:
        found = np.asarray(value)
        if found.dtype.kind not in "fiub":
            raise ArgumentError(
                f"{self.label} is multiplied by arrays of floats",
                expected=str(dtype),
                found=f"dtype {found.dtype}",
            )
        return found.astype(dtype, copy=False)

    def _after(self, inner: Jacobian) -> Jacobian:
        """The product of Jacobians: that of the composition."""
        if self.input_shape != inner.output_shape:
            _misfit(f"{self.label} @ {inner.label}", self.input_shape, inner.output_shape)
        outer = self
        closed, reads = self._joined(inner, lambda a, b: a.after(b))
        return Jacobian(
            self._title.after(inner._title),
            (self.output_shape, inner.input_shape),
            (self.dtypes[0], inner.dtypes[1]),
            (lambda v: outer._push(inner._push(v)), lambda u: inner._pull(outer._pull(u))),
            closed,
            reads,
            (*self._sources, *inner._sources),
            min(self.rank, inner.rank),
            f"{_factor(self)}·{_factor(inner)}",
        )

    def _joined(
        self, other: Jacobian, join: Callable[[Closed, Closed], Closed]
    ) -> tuple[Closed | None, Reads]:
        """The formula that comes of two, and what it reads."""
        if self.closed is None or other.closed is None:
            return None, Reads({})
        names = self._reads.beside(other._reads)
        try:
            made = join(self.closed, other.closed.reading(names))
        except NoClosedForm:
            return None, Reads({})
        both = {**{names.get(t, t): place for t, place in other._reads.of.items()}}
        both.update(self._reads.of)
        return made, Reads({t: both[t] for t in made.tensors})

    # Sums and multiples

    def __add__(self, other: Any) -> Jacobian:
        if not isinstance(other, Jacobian):
            if _is_number(other) and other == 0:
                return self  # so that sum() adds Jacobians up
            return NotImplemented
        if self.shape != other.shape or len(self.output_shape) != len(other.output_shape):
            raise ShapeError(
                "only Jacobians of one shape are added",
                expected=show_shape(self.shape),
                found=show_shape(other.shape),
            )
        one = self
        closed, reads = self._joined(other, lambda a, b: a.plus(b))
        return Jacobian(
            self._title.plus(other._title),
            (self.output_shape, self.input_shape),
            self.dtypes,
            (
                lambda v: one._push(v) + other._push(v),
                lambda u: one._pull(u) + other._pull(u),
            ),
            closed,
            reads,
            (*self._sources, *other._sources),
            self.rank + other.rank,
            f"{_part(self)} + {_part(other)}",
        )

    __radd__ = __add__

    def __sub__(self, other: Any) -> Jacobian:
        return self + -other if isinstance(other, Jacobian) else NotImplemented

    def __neg__(self) -> Jacobian:
        return self * -1

    def __mul__(self, factor: Any) -> Jacobian:
        if not _is_number(factor):
            raise ArgumentError(
                f"{self.label} is multiplied by numbers",
                expected="a float",
                found=f"a {type(factor).__name__}",
                hint="J @ v is the product with an array",
            )
        value = float(factor)
        if value != value or value in (float("inf"), float("-inf")):
            raise ArgumentError("a Jacobian is multiplied by finite numbers", found=repr(factor))
        of = self
        exact = Fraction(repr(value))
        closed = None if self.closed is None else self.closed.times(exact)
        reads = Reads({t: self._reads.of[t] for t in closed.tensors} if closed else {})
        return Jacobian(
            self._title.times(value),
            (self.output_shape, self.input_shape),
            self.dtypes,
            (lambda v: of._push(v) * value, lambda u: of._pull(u) * value),
            closed,
            reads,
            self._sources if value else (),
            self.rank if value else 0,
            f"{value:g}·{_factor(self)}",
        )

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Jacobian:
        if _is_number(divisor) and divisor == 0:
            raise ArgumentError("a Jacobian is not divided by 0")
        made: Jacobian = self * (1 / divisor if _is_number(divisor) else divisor)
        return made

    # The transpose, parts, the whole

    @property
    def T(self) -> Jacobian:
        """The transpose, of shape ``X.shape + Y.shape``: the denominator layout."""
        if self._transposed is None:
            made = Jacobian(
                self._title.transposed,
                (self.input_shape, self.output_shape),
                (self.dtypes[1], self.dtypes[0]),
                (self._pull, self._push),
                None if self.closed is None else self.closed.transposed,
                self._reads,
                self._sources,
                self._rank,
                f"({self._composed})ᵀ" if self._composed else "",
            )
            made._transposed = self
            self._transposed = made
        return self._transposed

    def dense(self, limit: int | None = LIMIT) -> Array:
        """The Jacobian as an array of shape ``Y.shape + X.shape``.

        Raises LimitError where that takes more than ``limit`` bytes, 1 GiB if not given; None is
        no limit.
        """
        self._check(self.shape, limit, "dense(limit=None) makes it all the same")
        return self._elements({})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the array of a Jacobian is made when it is asked for")
        found = self.dense()
        return found if dtype is None else found.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """``J[1, 2]``: the gradient of one output; axes take integers and slices."""
        fixed, rest = self._places(key)
        shape = tuple(n for axis, n in enumerate(self.shape) if axis not in fixed)
        self._check(shape, LIMIT, "ask for fewer elements")
        return self._elements(fixed)[rest]

    def _check(self, shape: Sequence[int], limit: int | None, hint: str) -> None:
        total = prod(shape) * self.dtype.itemsize
        if limit is not None and total > limit:
            raise LimitError(
                f"{self.label} as a dense array is too large",
                expected=f"at most {human(int(limit))}",
                found=f"shape {show_shape(tuple(shape))}, {human(total)}",
                hint=f"J @ v and u @ J need no array, nor does J.sparse(); {hint}",
            )

    def _places(self, key: Any) -> tuple[dict[int, int], tuple[Any, ...]]:
        """The axes that are fixed by integers, and slices of the others."""
        given = key if isinstance(key, tuple) else (key,)
        if sum(item is Ellipsis for item in given) > 1:
            raise IndexError("an index has one ellipsis at most")
        if Ellipsis in given:
            k = given.index(Ellipsis)
            given = (*given[:k], *[slice(None)] * (self.ndim - len(given) + 1), *given[k + 1 :])
        if len(given) > self.ndim:
            raise IndexError(f"{len(given)} indices for {self.ndim} axes of {self.label}")
        fixed: dict[int, int] = {}
        rest: list[slice] = []
        for axis, item in enumerate(given):
            if isinstance(item, slice):
                rest.append(item)
                continue
            if isinstance(item, bool) or not hasattr(item, "__index__"):
                raise ArgumentError(
                    f"{self.label} is indexed by integers and slices", found=repr(item)[:80]
                )
            place, n = item.__index__(), self.shape[axis]
            if not -n <= place < n:
                raise IndexError(f"index {place} is out of range for axis {axis} of extent {n}")
            fixed[axis] = place % n
        return fixed, tuple(rest)

    def _elements(self, fixed: Mapping[int, int]) -> Array:
        """The elements at fixed places of some axes, and all places of the others."""
        rows, columns = len(self.output_shape), len(self.input_shape)
        on = [axis in fixed for axis in range(rows + columns)]
        if self.closed is not None and not self._is_costly(all(on[:rows]) or all(on[rows:])):
            with contextlib.suppress(PullbackError):  # a coefficient that no float holds
                return placed.dense(self.closed, self._reads.values(), self.dtype, fixed)
        free = [
            prod([n for axis, n in enumerate(shape, start) if axis not in fixed])
            for shape, start in ((self.output_shape, 0), (self.input_shape, rows))
        ]
        if free[0] <= free[1]:  # fewer rows: back from each of them
            own = {axis: place for axis, place in fixed.items() if axis < rows}
            found = _unit_directions(self._pull, self.output_shape, own, self.dtypes[0])
            order = found.ndim - columns
            tail = tuple(fixed.get(rows + axis, slice(None)) for axis in range(columns))
            return np.asarray(found.astype(self.dtype, copy=False)[(slice(None),) * order + tail])
        own = {axis - rows: place for axis, place in fixed.items() if axis >= rows}
        found = _unit_directions(self._push, self.input_shape, own, self.dtypes[1])
        lead = found.ndim - rows
        found = np.moveaxis(found, range(lead), range(rows, found.ndim))
        head = tuple(fixed.get(axis, slice(None)) for axis in range(rows))
        return np.asarray(found.astype(self.dtype, copy=False)[head])

    def _is_costly(self, single: bool) -> bool:
        """Whether products along rows or columns take less than the formula, or lose fewer digits:
        many terms often cancel."""
        assert self.closed is not None
        if len(self.closed.terms) > MOST_PLACED:
            return True
        ends = prod(self.output_shape) + prod(self.input_shape)
        return single and placed.work(self.closed) > 4 * ends

    # Where it can be nonzero

    def pattern(self) -> tuple[Array, Array]:
        """The rows and the columns, flat, where the Jacobian can be nonzero, from its subscripts.

        Raises ArgumentError where it is a composition without a formula.
        """
        from .sparse import pattern

        return pattern(self)

    def sparse(self) -> csr_array:
        """The Jacobian as a ``scipy.sparse`` array of shape (Y.size, X.size).

        The pattern is found from the subscripts; columns (or rows) that share no row are computed
        by one product together.
        """
        from .sparse import sparse

        return sparse(self)

    def picture(self) -> str:
        """The pattern as SVG: cells where the Jacobian can be nonzero."""
        from .picture import svg

        return svg(self)

    def blocks(self, width: int = 48) -> str:
        """The pattern as text, of block characters."""
        from .picture import blocks

        return blocks(self, width)


def _unit_directions(
    way: Along, shape: tuple[int, ...], fixed: Mapping[int, int], dtype: np.dtype[Any]
) -> Array:
    """What a pass makes of every unit direction at the fixed places: the free axes first."""
    free = [n for axis, n in enumerate(shape) if axis not in fixed]
    count = prod(free)
    places = np.indices(free).reshape(len(free), count)
    rest = iter(places)
    index = [np.full(count, fixed[a]) if a in fixed else next(rest) for a in range(len(shape))]
    flat = np.ravel_multi_index(index, shape) if shape else np.zeros(count, np.int64)
    total = max(prod(shape), 1)
    step = max(1, CHUNK // total)
    if not shape or count == 1:
        seed = np.zeros(prod(shape), dtype)
        seed[flat] = 1
        found = np.asarray(way(seed.reshape(shape)))
        return found.reshape((*free, *found.shape))
    made = []
    for start in range(0, count, step):
        chosen = flat[start : start + step]
        seeds = np.zeros((prod(shape), len(chosen)), dtype)
        seeds[chosen, np.arange(len(chosen))] = 1
        found = np.asarray(way(seeds.reshape(*shape, len(chosen))))
        made.append(np.moveaxis(found, -1, 0))
    if not made:
        empty = np.asarray(way(np.zeros(shape, dtype)))
        return np.zeros((*free, *empty.shape), dtype)
    whole = np.concatenate(made)
    return whole.reshape((*free, *whole.shape[1:]))


def _is_number(value: Any) -> bool:
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _dtype(tensor: Tensor) -> np.dtype[Any]:
    return np.dtype("float64" if tensor.dtype == "float" else tensor.dtype)


def _misfit(
    what: str, expected: tuple[int, ...], found: tuple[int, ...], behind: bool | None = None
) -> NoReturn:
    words = {None: "", True: ", and more axes behind it", False: ", and more axes before it"}
    raise ShapeError(
        f"the shapes of {what} don't fit",
        expected=f"shape {show_shape(expected)}{words[behind]}",
        found=f"shape {show_shape(found)}",
    )


def _part(of: Jacobian) -> str:
    return of.text if len(of.text) <= LONGEST else of.label


def _factor(of: Jacobian) -> str:
    text = _part(of)
    return f"({text})" if " " in text else text
