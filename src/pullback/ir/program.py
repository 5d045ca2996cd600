"""Statements and programs: named tensors defined one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .expr import Access, Expr, Tensor
from .sizes import Size, SizeLike
from .subscripts import Index, at
from .walk import map_sizes, resized, tensors


@dataclass(frozen=True)
class Source:
    """Where a statement comes from: the user's own text, its line number and its file, and the
    kinds of floating-point warnings that are turned off there (``np.errstate``)."""

    text: str = ""
    line: int = 0
    file: str = ""
    quiet: tuple[str, ...] = ()


@dataclass(frozen=True)
class Define:
    """``target[indices] = body``: one plain, distinct index per axis of the target.

    ``user`` tells whether the target's name is the user's (else it was made up). ``scatter`` is,
    where elimination changed the body, the same value over its un-eliminated domain (equalities
    kept under the sums): backends choose. ``of`` names the forward tensor this is the gradient of
    ("" in a forward program).
    """

    target: Tensor
    indices: tuple[Index, ...]
    body: Expr
    source: Source = field(default=Source(), compare=False)
    user: bool = True
    scatter: Expr | None = None
    of: str = ""

    @property
    def access(self) -> Access:
        """The target read at the statement's own indices."""
        return Access(self.target, tuple(map(at, self.indices)))

    @property
    def copied(self) -> Tensor | None:
        """The tensor that this is a copy of, element by element and all of it; else None."""
        match self.body:
            case Access(tensor, subs) if tensor.shape == self.target.shape:
                return tensor if subs == self.access.subs else None
        return None


Statement = Define  # opaque operations and calls will join this union


@dataclass(frozen=True)
class Program:
    """Inputs, statements in order, outputs.

    A statement reads inputs, earlier targets, and targets of its own recurrence: statements that
    need each other stand together (``recurrence.py``). Names are distinct. The named sizes are
    those in the inputs' shapes and in ``sizes``: names whose value no input's shape gives.
    """

    inputs: tuple[Tensor, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[Tensor, ...]
    sizes: tuple[str, ...] = ()

    def definition(self, tensor: Tensor) -> Statement | None:
        """The statement that defines a tensor, None for an input."""
        return next((s for s in self.statements if s.target is tensor), None)

    def with_sizes(self, names: Mapping[str, SizeLike]) -> Program:
        """The program with named sizes replaced everywhere."""
        return Program(
            tuple(resized(t, names) for t in self.inputs),
            tuple(_resized(s, names) for s in self.statements),
            tuple(resized(t, names) for t in self.outputs),
            tuple(name for name in self.sizes if name not in names),
        )


def _resized(statement: Define, names: Mapping[str, SizeLike]) -> Define:
    return Define(
        resized(statement.target, names),
        tuple(Index(i.name, i.extent.replace(names)) for i in statement.indices),
        map_sizes(statement.body, names),  # type: ignore[arg-type]
        statement.source,
        statement.user,
        None if statement.scatter is None else map_sizes(statement.scatter, names),  # type: ignore[arg-type]
        statement.of,
    )


def widened(statements: Iterable[Define]) -> list[Define]:
    """The statements that make float64 of float32 alone: NumPy's own scalars of float64, such as
    ``np.sqrt(4)``, widen an array, where those of Python don't."""
    found = []
    for statement in statements:
        floats = {t.dtype for t in reads(statement) if t.kind == "float"}
        if statement.target.dtype == "float64" and floats == {"float32"}:
            found.append(statement)
    return found


def reads(statement: Define) -> tuple[Tensor, ...]:
    """The tensors that a statement reads."""
    return tensors(statement.body)


def live(program: Program) -> Program:
    """The program without statements that no output needs."""
    kept = tuple(computing(program.statements, program.outputs))
    return Program(program.inputs, kept, program.outputs, program.sizes)


def computing(statements: Sequence[Define], outputs: Iterable[Tensor]) -> list[Define]:
    """The statements that compute some tensors, in their order."""
    made = {s.target: s for s in statements}
    wanted: set[Tensor] = set()
    left = [t for t in outputs if t in made]
    while left:
        tensor = left.pop()
        if tensor not in wanted:
            wanted.add(tensor)
            left.extend(t for t in reads(made[tensor]) if t in made)
    return [s for s in statements if s.target in wanted]


def solve_sizes(
    shapes: Mapping[Tensor, tuple[int, ...]], given: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The named sizes' values from the inputs' actual shapes; raises ShapeError where they
    disagree."""
    from ..errors import ShapeError

    values = dict(given or {})
    origin = {name: f"{name}={value} was given" for name, value in values.items()}
    pending: list[tuple[Tensor, int, Size, int]] = []
    for tensor, shape in shapes.items():
        if len(shape) != len(tensor.shape):
            raise ShapeError(
                f"{tensor.name} has the wrong number of axes",
                where=f"argument {tensor.name}",
                expected=f"shape {show_shape(tensor.shape)}",
                found=f"shape {show_shape(shape)}",
            )
        for axis, (form, actual) in enumerate(zip(tensor.shape, shape, strict=True)):
            pending.append((tensor, axis, form, actual))
    progress = True
    while progress:
        progress = False
        for tensor, axis, form, actual in pending:
            unknown = [name for name in form.names() if name not in values]
            if len(unknown) != 1:
                continue
            solved = _solve(form, unknown[0], actual, values)
            if solved is not None:
                values[unknown[0]] = solved
                origin[unknown[0]] = f"axis {axis} of {tensor.name} is {actual}"
                progress = True
    for tensor, axis, form, actual in pending:
        open_names = [name for name in form.names() if name not in values]
        if len(open_names) == 1 and _is_linear(form, open_names[0], values):
            raise ShapeError(
                f"axis {axis} of {tensor.name} has the wrong extent",
                where=f"argument {tensor.name}",
                expected=f"{form} with a whole number {open_names[0]} >= 0",
                found=str(actual),
            )
        if open_names:
            continue
        if form.value(values) != actual:
            because = "; ".join(origin[name] for name in form.names())
            raise ShapeError(
                f"axis {axis} of {tensor.name} has the wrong extent",
                where=f"argument {tensor.name}",
                expected=f"{form} = {form.value(values)}" + (f" ({because})" if because else ""),
                found=str(actual),
            )
    return values


def check_extents(statements: Iterable[Define], sizes: Mapping[str, int]) -> None:
    """Refuses sizes at which a tensor would have a negative extent; raises ShapeError."""
    from ..errors import ShapeError

    for statement in statements:
        for axis, extent in enumerate(statement.target.shape):
            if any(name not in sizes for name in extent.names()):
                continue
            if extent.value(sizes) < 0:
                given = ", ".join(f"{name} = {sizes[name]}" for name in extent.names())
                raise ShapeError(
                    f"axis {axis} of {statement.target.name} would have a negative extent",
                    where=f"{statement.target.name}, of shape {show_shape(statement.target.shape)}",
                    expected=f"{extent} >= 0",
                    found=f"{extent} = {extent.value(sizes)}" + (f" at {given}" if given else ""),
                )


def _solve(form: Size, name: str, actual: int, values: Mapping[str, int]) -> int | None:
    """The value of ``name`` that makes a form, linear in it, equal to ``actual``."""
    if not _is_linear(form, name, values):
        return None
    zero, one = (form.value({**values, name: n}) for n in (0, 1))
    found, rest = divmod(actual - zero, one - zero)
    return found if rest == 0 and found >= 0 else None


def _is_linear(form: Size, name: str, values: Mapping[str, int]) -> bool:
    """Whether a form grows or falls evenly with ``name``."""
    zero, one, two = (form.value({**values, name: n}) for n in (0, 1, 2))
    return one != zero and two - one == one - zero


def show_shape(shape: tuple[object, ...]) -> str:
    """A shape in parentheses, as NumPy prints it."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
