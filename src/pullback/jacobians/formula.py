"""The generalized Jacobian of a derivation: a formula for all sizes and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..derivation import Derivation, elements, itemsize, register_service, show_bytes
from ..derivation.fragment import drawn
from ..derivation.registry import service
from ..errors import ArgumentError, ShapeError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, check_extents, live, reads, show_shape, solve_sizes
from ..ir.recurrence import recurrent
from ..ir.sizes import Size, size
from ..notation.naming import COLUMN, USUAL, Look
from ..notation.program_sizes import free_sizes
from ..runtime.lookups import check_lookups, positions
from ..text import nearest
from . import shown
from .modes import Local, local
from .operator import Jacobian
from .structure import Structure, read

SMALL = (3, 4, 5, 6, 7)  # sizes of a picture, where none are given


class JacobianFormula:
    """∂Y/∂X of a derivation, for all sizes and values: what it is, and :meth:`at` arrays an
    operator.

    >>> import pullback
    >>> affine = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    >>> print(affine.jacobian("Y", "X"))
    ∂Y/∂X, shape (N, M, N, D)
      is:       Kronecker product, I_N ⊗ Wᵀ
      element:  ∂Y[n,m]/∂X[n',d] = W[d,m]*[n' = n]
      rank:     at most N·min(M, D)
      bytes:    8*D*M B kept, 8*D*M*N*N B dense
    """

    def __init__(self, derivation: Derivation, program: Program, output: Tensor, wrt: Tensor):
        self.derivation = derivation
        self.program, self.output, self.wrt = program, output, wrt

    @cached_property
    def local(self) -> Local:
        """The derivative that it is read from."""
        conventions = tuple(sorted(self.derivation.conventions.items()))
        return local(self.program, self.output, self.wrt, conventions)

    @property
    def shape(self) -> tuple[Size, ...]:
        """The output's shape followed by the input's."""
        return self.output.shape + self.wrt.shape

    @property
    def label(self) -> str:
        """``∂Y/∂X``."""
        return self._title.text.plain

    @property
    def _title(self) -> shown.Title:
        return self._titled(USUAL)

    def _titled(self, look: Look) -> shown.Title:
        return shown.Title.of(self.output.name, self.wrt.name, look=look)

    @cached_property
    def structure(self) -> Structure | None:
        """What the formula says that it is; None where it is a composition without one."""
        return None if self.local.readable is None else read(self.local.readable)

    @property
    def kind(self) -> str:
        """The structure by name, from the outside to the inside: ``Kronecker product``."""
        return "composition" if self.structure is None else self.structure.kind

    @property
    def text(self) -> str:
        """The structure as a formula of matrices: ``I_N ⊗ Wᵀ``."""
        return self.label if self.structure is None else self.structure.text.plain

    @property
    def formula(self) -> str:
        """The element as index notation; "" where it is a composition."""
        closed = self.local.closed
        return "" if closed is None else shown.formula(closed, self._title)

    def latex(
        self,
        *,
        style: str = "d",
        names: Mapping[str, str] | None = None,
        loss: str | None = None,
        width: float | None = COLUMN,
    ) -> str:
        r"""The element and the structure in LaTeX, an ``aligned`` block; see ``Derivation.latex``.

        >>> import pullback
        >>> scaled = pullback.derive("y[i] = w[i]*x[i]").jacobian("y", "x")
        >>> print(scaled.latex(names={"w": r"\omega", "i": "k"}).splitlines()[-2])
          \frac{\partial y}{\partial x} &= \operatorname{diag}\left(\omega\right)
        """
        closed, readable = self.local.closed, self.local.readable
        more = [
            Define(self.output, (*form.rows, *form.columns), form.expression)
            for form in (closed, readable)
            if form is not None
        ]
        drawing = drawn(self.derivation, style, names, loss, width, more=more)
        title = self._titled(drawing.look)
        if closed is None or readable is None:
            return title.text.latex
        structure = read(readable, drawing.look)
        return shown.latex_lines(closed, structure, title, drawing.look, drawing.width)

    def _repr_html_(self) -> str:
        return str(service("html of jacobian")(self))

    def _repr_latex_(self) -> str:
        return f"$${self.latex()}$$"

    @property
    def rank(self) -> str:
        """A bound on the rank: ``N·min(M, D)``."""
        if self.structure is not None:
            return str(self.structure.rank)
        rows, columns = (show_size(elements(t.shape)) for t in (self.output, self.wrt))
        return rows if rows == columns else f"min({rows}, {columns})"

    @property
    def where(self) -> tuple[str, ...]:
        """The statements of values that the formula reads and that are no inputs."""
        closed = self.local.closed
        if closed is None:
            return ()
        read = (*closed.tensors, *self.local.readable.tensors)  # type: ignore[union-attr]
        found = shown.definitions(self.local.backward.forward, read)
        return tuple(map(shown.statement, found))

    @property
    def along(self) -> tuple[str, ...]:
        """The statements by which a tangent is multiplied: ``t_H[t] = A*t_H[t-1] + t_X[t]``."""
        return tuple(map(shown.statement, self.local.tangents.statements))

    @property
    def nbytes(self) -> Size:
        """The bytes of the arrays that products are computed from."""
        dtype = self.derivation.dtype
        kept = (elements(t.shape) * itemsize(t.dtype, dtype) for t in self.local.kept)
        return sum(kept, size(0))

    @property
    def dense_nbytes(self) -> Size:
        """The bytes that the dense array would take."""
        return elements(self.shape) * itemsize(self.output.dtype, self.derivation.dtype)

    def __str__(self) -> str:
        lines = [f"{self.label}, shape {show_shape(self.shape)}", f"  is:       {self.kind}"]
        if self.structure is not None:
            lines[1] += f", {shown.folded(self.text)}"
            lines.append(f"  element:  {shown.folded(self.formula)}")
        else:
            lines.append(f"  because:  {self.local.why}")
            lines += [f"  along:    {line}" for line in self.along]
        lines += [f"  where:    {line}" for line in self.where]
        lines.append(f"  rank:     at most {self.rank}")
        sizes = self.derivation.sizes
        kept, dense = (show_bytes(n, sizes) for n in (self.nbytes, self.dense_nbytes))
        lines.append(f"  bytes:    {kept} kept, {dense} dense")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Jacobian {self.label} {show_shape(self.shape)}: {self.text}>"

    def at(self, **values: Any) -> Jacobian:
        """The operator at arrays, by the names of the inputs, and of sizes that no shape tells.

        Arrays that the derivation knows need not be given, nor those that the derivative doesn't
        read and whose shapes follow from the others'.

        Raises ArgumentError where one is missing or there is no such input, ShapeError for shapes
        that don't fit each other.
        """
        inputs = {t.name: t for t in self.program.inputs}
        whole = self.derivation.backward.program
        beside = {t.name: t for t in whole.inputs if t.name not in inputs}
        names = {*_sizes(self.program), *_sizes(whole)}
        for name in values:
            if name not in (*inputs, *beside, *names):
                raise ArgumentError(
                    f"there is no input {name}",
                    expected=f"some of {', '.join((*inputs, *sorted(names)))}",
                    found=name,
                )
        known = {n: v for n, v in self.derivation.known.items() if n in inputs}
        given = {n: _array(v, inputs[n]) for n, v in {**known, **values}.items() if n in inputs}
        plain = {n: _count(n, v) for n, v in values.items() if n in names and n not in inputs}
        shapes = {inputs[n]: tuple(v.shape) for n, v in given.items()}
        shapes |= {t: np.shape(values[n]) for n, t in beside.items() if n in values}
        sizes = solve_sizes(shapes, {n: v for n, v in plain.items() if n not in beside})
        missing = sorted({*_sizes(self.program)}.difference(sizes))
        needed = [t.name for t in self.program.inputs if t in self.local.read]
        absent = [n for n in needed if n not in given]
        if absent or missing:
            raise ArgumentError(
                f"{self.label} has no values yet for {', '.join(absent or missing)}",
                expected=", ".join(f"{n}=..." for n in absent or missing),
                found=f"values for {', '.join(given)}" if given else "no values",
                hint="" if absent else _told_by(missing[0], whole.inputs),
            )
        return self._at(given, sizes)

    def _at(self, given: Mapping[str, Any], sizes: Mapping[str, int]) -> Jacobian:
        program = self.program.with_sizes(sizes)
        check_extents(program.statements, {})
        inputs = {}
        for t in program.inputs:
            shape = tuple(n.value({}) for n in t.shape)
            name = {"float": "float64", "int": "int64"}.get(t.dtype, t.dtype)
            inputs[t] = given[t.name] if t.name in given else np.zeros(shape, name)
        check_lookups(positions(program), program, [inputs[t] for t in program.inputs])
        conventions = tuple(sorted(self.derivation.conventions.items()))
        pair = [_same(program, t) for t in (self.output, self.wrt)]
        return Jacobian.at(local(program, *pair, conventions), inputs, self._title)

    def picture(self, **sizes: int) -> str:
        """The pattern as SVG, at small sizes where none are given."""
        return self._small(sizes).picture()

    def blocks(self, width: int = 48, **sizes: int) -> str:
        """The pattern as text, at small sizes where none are given."""
        return self._small(sizes).blocks(width)

    def _small(self, sizes: Mapping[str, int]) -> Jacobian:
        names = sorted(_sizes(self.program))
        wrong = [n for n in sizes if n not in names]
        if wrong:
            raise ArgumentError(
                f"there is no size {wrong[0]}", expected=", ".join(names) or "none", found=wrong[0]
            )
        small = {n: SMALL[k % len(SMALL)] for k, n in enumerate(names)}
        chosen = {**small, **sizes}
        try:
            return self._at({}, chosen)
        except ShapeError:  # sizes that depend on each other
            raise ShapeError(
                f"{self.label} has no picture at these sizes",
                expected="sizes at which no axis has a negative extent",
                found=", ".join(f"{n}={v}" for n, v in chosen.items()),
                hint="give sizes: picture(N=8, K=3)",
            ) from None


def jacobian_of(
    derivation: Derivation, output: str | None = None, wrt: str | None = None
) -> JacobianFormula:
    """The Jacobian of a derivation by the names of two values; see ``Derivation.jacobian``."""
    program = derivation.backward.program
    over = _output(program, output)
    under = derivation.backward.wrt[0] if wrt is None else _value(program, wrt, "wrt")
    cut = _cut(program, over, under)
    return JacobianFormula(derivation, cut, over, under)


def _output(program: Program, name: str | None) -> Tensor:
    floats = list(dict.fromkeys(t for t in program.outputs if t.kind == "float"))
    if name is None:
        if len(floats) != 1:
            raise ArgumentError(
                "there are several results",
                expected=f"one of {', '.join(t.name for t in floats)}",
                hint='derivation.jacobian("Y", "X")',
            )
        return floats[0]
    return _value(program, name, "output")


def _value(program: Program, name: str, what: str) -> Tensor:
    named = [s.target for s in program.statements if s.user or s.target in program.outputs]
    every = {t.name: t for t in (*program.inputs, *named) if t.kind == "float"}
    if not isinstance(name, str) or name not in every:
        close = nearest(name, every) if isinstance(name, str) else []
        raise ArgumentError(
            f"there is no such value for {what}",
            expected=f"one of {', '.join(every)}",
            found=repr(name)[:80],
            hint=f"did you mean {' or '.join(close)}?" if close else "",
        )
    return every[name]


def _cut(program: Program, output: Tensor, wrt: Tensor) -> Program:
    """The program from one of its values on."""
    if output is wrt:
        raise ArgumentError(
            "the Jacobian of a value by itself is the identity",
            expected="two values",
            found=output.name,
        )
    statements = program.statements
    inputs = program.inputs
    if wrt not in inputs:
        if wrt in recurrent(statements):
            raise ArgumentError(
                f"{wrt.name} is computed from its own elements",
                expected="an input, or a value outside of a recurrence",
                found=wrt.name,
            )
        statements = tuple(s for s in statements if s.target is not wrt)
        inputs = (*inputs, wrt)
    whole = live(Program(inputs, statements, (output,), program.sizes))
    read = {t for s in whole.statements for t in reads(s)} | {wrt, output}
    kept = tuple(t for t in inputs if t in read)
    return Program(kept, whole.statements, (output,), free_sizes(kept, whole.statements))


def _sizes(program: Program) -> list[str]:
    """The named sizes in a program's inputs and beside them."""
    found = (n for t in program.inputs for e in t.shape for n in e.names())
    return [*dict.fromkeys((*found, *program.sizes))]


def _told_by(name: str, inputs: Sequence[Tensor]) -> str:
    """Which arrays tell the value of a size."""
    told = [t.name for t in inputs if any(str(extent) == name for extent in t.shape)]
    return f"the shape of {' or '.join(told)} tells the size {name}" if told else ""


def _same(program: Program, tensor: Tensor) -> Tensor:
    """The tensor of the same name in a program with other sizes."""
    every = (*program.inputs, *(s.target for s in program.statements))
    return next(t for t in every if t.name == tensor.name)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentError(
            f"{name} is a size", expected="a whole number", found=f"a {type(value).__name__}"
        )
    return int(value.__index__())


def _array(value: Any, tensor: Tensor) -> Any:
    found = np.asarray(value)
    if found.dtype.kind not in "fiub" or (tensor.kind != "float" and found.dtype.kind == "f"):
        raise ArgumentError(
            f"{tensor.name} has the wrong dtype",
            expected=tensor.dtype,
            found=f"dtype {found.dtype}",
        )
    if tensor.kind == "float" and found.dtype.kind != "f":
        return found.astype("float64" if tensor.dtype == "float" else tensor.dtype)
    exact = tensor.dtype not in ("float", "int", "bool")
    return found.astype(tensor.dtype, copy=False) if exact else found


def show_size(value: Size) -> str:
    """A size for people."""
    return str(value).replace("*", "·")


register_service("jacobian", jacobian_of)
