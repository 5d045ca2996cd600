"""A derivation: the backward pass of a program with all that there is to say about it.

What it says is here, as data and as index notation and LaTeX. What makes source, runs it, checks it
or draws it lives in higher layers, which register here what they can do (:func:`register_backend`,
:func:`register_service`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

from .calculus.step import Backward, Step
from .errors import ArgumentError
from .ir.expr import Expr, Tensor
from .ir.program import Define, reads, show_shape
from .ir.sizes import Size, size
from .ir.subscripts import Index
from .ir.walk import bound_indices
from .notation.latex import latex
from .notation.matrix import MatrixForm, matrix_form
from .notation.plain import show

Spelling = Callable[["Derivation"], str]

_BACKENDS: dict[tuple[str, str], Spelling] = {}
_SERVICES: dict[str, Callable[..., Any]] = {}
# The module that registers what ships with the package; imported where something is asked for
# first.
_REGISTERS = "pullback.report.services"


def register_backend(name: str, spell: Spelling, *, style: str = "compact") -> None:
    """Makes ``Derivation.source(name, style=style)`` give ``spell(derivation)``."""
    _BACKENDS[name, style] = spell


def register_service(name: str, function: Callable[..., Any]) -> None:
    """Makes a derivation able to do what lives in a higher layer.

    ``check_steps(backward, seed)`` gives one :class:`Check` a step, ``check(derivation, seed)``
    named checks of the whole, ``compile(derivation)`` a :class:`Pair`; ``text``, ``markdown``,
    ``html`` and ``terminal`` show a derivation.
    """
    _SERVICES[name] = function


@dataclass(frozen=True)
class Check:
    """A check's result: passed, failed, or (None) not decided; ``how`` says what was done.

    >>> print(Check(True, "equal at 3 random points"))
    ✓ equal at 3 random points
    """

    passed: bool | None
    how: str

    @property
    def mark(self) -> str:
        """✓, ✗ or – (not decided)."""
        return "–" if self.passed is None else "✓" if self.passed else "✗"

    def __str__(self) -> str:
        return f"{self.mark} {self.how}"


@dataclass(frozen=True)
class Verification:
    """The checks of a derivation, each with its name; ``seed`` repeats them."""

    checks: tuple[tuple[str, Check], ...]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether some check passed and none failed."""
        results = [check.passed for _, check in self.checks]
        return True in results and False not in results

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.checks), default=0)
        lines = [f"{check.mark} {name:<{width}}  {check.how}" for name, check in self.checks]
        return "\n".join([*lines, f"{'passed' if self.passed else 'FAILED'} (seed {self.seed})"])


@dataclass(frozen=True)
class ShownStep:
    """A step for a reader: one named rewriting, with the quiet ones beside it folded into it.

    ``earlier`` and ``later`` are the two equal statements, ``before`` and ``after`` the same as
    index notation.
    """

    name: str
    reason: str
    earlier: Define
    later: Define
    check: Check
    folded: tuple[ShownStep, ...] = ()

    @property
    def target(self) -> Tensor:
        """The tensor whose value is rewritten."""
        return self.earlier.target

    @property
    def before(self) -> str:
        """The statement before the step."""
        return show(self.earlier)

    @property
    def after(self) -> str:
        """The statement after the step."""
        return show(self.later)

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}\n  {self.before}\n  {self.after}\n  {self.check}"


@dataclass(frozen=True)
class Account:
    """How one tensor's gradient comes about.

    ``of`` is the forward tensor, ``through`` the forward statements that read it (the chain rule
    goes through each), ``raw`` the element-wise analysis: the sum over the upstream gradients times
    the local gradients, with its deltas; ``final`` the statement it became, None where it was
    absorbed by others.
    """

    of: Tensor
    through: tuple[Define, ...]
    raw: Define
    steps: tuple[ShownStep, ...]
    final: Define | None


@dataclass(frozen=True)
class Dimensions:
    """The dimension analysis of one statement.

    ``summed`` are the indices summed over, ``operands`` the tensors read; ``like`` is the tensor
    whose shape a gradient must have (None: a shared value, no gradient).
    """

    statement: Define
    operands: tuple[Tensor, ...]
    summed: tuple[Index, ...]
    like: Tensor | None

    @property
    def agrees(self) -> bool:
        """Whether a gradient has the shape of what it is the gradient of."""
        return self.like is None or self.like.shape == self.statement.target.shape


@dataclass(frozen=True)
class Stored:
    """An array in memory; ``made`` tells a forward value from an input of the caller's."""

    tensor: Tensor
    itemsize: int
    made: bool = True

    @property
    def elements(self) -> Size:
        """How many elements it has."""
        return elements(self.tensor.shape)

    @property
    def size(self) -> Size:
        """Its size in bytes."""
        return self.elements * self.itemsize


@dataclass(frozen=True)
class Jacobian:
    """The generalized Jacobian of one forward statement, which the derivation never forms.

    Its shape is ``output.shape + input.shape``. ``used`` is what the gradient is computed from
    instead, and the gradient; empty where that gradient was absorbed by later ones.
    """

    output: Tensor
    input: Tensor
    itemsize: int
    used: tuple[Stored, ...]

    @property
    def shape(self) -> tuple[Size, ...]:
        """shape(Y) + shape(X)."""
        return self.output.shape + self.input.shape

    @property
    def size(self) -> Size:
        """Its size in bytes."""
        return elements(self.shape) * self.itemsize

    @property
    def used_size(self) -> Size:
        """The bytes of what is used instead."""
        return sum((stored.size for stored in self.used), size(0))


class Pair(NamedTuple):
    """``forward(...) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


@dataclass(frozen=True, eq=False, repr=False)
class Derivation:
    """The derived backward pass of a program.

    ``conventions`` are those that were given (at kinks and ties), ``sizes`` values of named sizes
    and ``dtype`` that of floats, to tell bytes with; ``seed`` is that of the steps' checks.

    >>> from pullback.notation.parse import parse
    >>> from pullback.calculus.reverse import reverse
    >>> affine = Derivation(reverse(parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")))
    >>> print(affine.formula("b"))
    db[m] = sum(n) dY[n,m]
    """

    backward: Backward
    conventions: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    dtype: str = "float64"
    seed: int = 0

    # Formulas

    def formula(self, name: str, *, matrix: bool = False) -> str:
        """The gradient with respect to an input as index notation, one statement a line.

        The last line is the gradient; before it stand the shared values and the gradients of named
        intermediates that it needs. ``matrix=True`` writes each line in matrix form where it has
        one. Raises ArgumentError where nothing was derived for ``name``.
        """
        spell = self._matrix_or_plain if matrix else show
        return "\n".join(spell(s) for s in self.needed(name))

    def formulas(self, *, matrix: bool = False) -> dict[str, str]:
        """The formula of every gradient, by input."""
        return {t.name: self.formula(t.name, matrix=matrix) for t in self.backward.wrt}

    def needed(self, name: str) -> tuple[Define, ...]:
        """The statements that compute a gradient, helper values of the forward pass included."""
        target = self.gradient(name)
        wanted, found = {target}, list[Define]()
        for s in reversed(self._statements):
            if s.target in wanted:
                found.append(s)
                wanted.update(reads(s))
        return tuple(reversed(found))

    def gradient(self, name: str) -> Tensor:
        """The gradient's tensor, by the name of the input or its own.

        Raises ArgumentError where nothing was derived for ``name``.
        """
        pairs = zip(self.backward.wrt, self.backward.gradients, strict=True)
        for tensor, gradient in pairs:
            if name in (tensor.name, gradient.name):
                return gradient
        known = ", ".join(t.name for t in self.backward.wrt)
        raise ArgumentError(
            f"nothing was derived for {name!r}",
            expected=f"one of {known}",
            found=repr(name),
            hint="name it when deriving: derive(..., argnums=...)",
        )

    @cached_property
    def shared(self) -> tuple[Define, ...]:
        """Forward values that have no name in the user's program but one in the backward pass."""
        named = {s.target for s in self.backward.program.statements}
        wanted = {t for s in self.backward.statements for t in reads(s)}
        found: list[Define] = []
        for s in reversed(self.backward.forward.statements):
            if s.target in wanted and s.target not in named:
                found.append(s)
                wanted.update(reads(s))
        return tuple(reversed(found))

    @property
    def _statements(self) -> tuple[Define, ...]:
        return (*self.shared, *self.backward.statements)

    def matrix(self, statement: Define) -> MatrixForm | None:
        """A statement in matrix form; None where it has none."""
        return matrix_form(statement)

    def _matrix_or_plain(self, statement: Define) -> str:
        form = self.matrix(statement)
        return show(statement) if form is None else form.plain

    # Steps and checks

    @cached_property
    def steps(self) -> tuple[ShownStep, ...]:
        """The steps with their checks' results, quiet ones folded into those beside them."""
        checks = self._step_checks(self.seed)
        shown = [_shown(s, c) for s, c in zip(self.backward.steps, checks, strict=True)]
        quiet = [step.quiet for step in self.backward.steps]
        return _fold(shown, quiet)

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """How every gradient on the way back comes about, from the outputs to the inputs."""
        by_name = {t.name: t for t in (*self.backward.program.inputs, *self._forward_targets)}
        final = {s.target: s for s in self.backward.statements}
        known = {s.of for s in self.backward.adjoints} | {
            t.name for t in self.backward.program.outputs
        }
        found: list[Account] = []
        for raw in self.backward.adjoints:
            of = by_name[raw.of]
            through = tuple(
                s
                for s in self.backward.forward.statements
                if of in reads(s) and s.target.name in known
            )
            steps = tuple(step for step in self.steps if step.target is raw.target)
            found.append(Account(of, through, raw, steps, final.get(raw.target)))
        return tuple(found)

    @property
    def _forward_targets(self) -> tuple[Tensor, ...]:
        return tuple(s.target for s in self.backward.forward.statements)

    def _step_checks(self, seed: int) -> Sequence[Check]:
        if not self.backward.steps:
            return ()
        return tuple(_service("check_steps")(self.backward, seed))

    def verify(self, seed: int | None = None) -> Verification:
        """Checks every step, and the whole against oracles that know nothing of the steps."""
        seed = self.seed if seed is None else seed
        steps = zip(self.backward.steps, self._step_checks(seed), strict=True)
        whole = _service("check")(self, seed)
        named = [(f"{s.name} ({s.target.name})", check) for s, check in steps]
        return Verification((*named, *whole), seed)

    # Dimensions and memory

    @cached_property
    def dimensions(self) -> tuple[Dimensions, ...]:
        """The dimension analysis of every statement of the backward pass."""
        by_name = {t.name: t for t in (*self.backward.program.inputs, *self._forward_targets)}
        return tuple(
            Dimensions(s, reads(s), bound_indices(s.body), by_name.get(s.of))
            for s in self._statements
        )

    @cached_property
    def residuals(self) -> tuple[Stored, ...]:
        """What the backward pass reads of the forward pass, inputs first."""
        made = {s.target for s in self.backward.statements}
        live = dict.fromkeys(s for t in self.backward.wrt for s in self.needed(t.name))
        wanted = {t for s in live if s.target in made for t in reads(s)}
        inputs = [self._stored(t, False) for t in self.backward.program.inputs if t in wanted]
        return (*inputs, *(self._stored(t) for t in self._forward_targets if t in wanted))

    @cached_property
    def jacobians(self) -> tuple[Jacobian, ...]:
        """The generalized Jacobians avoided: one a forward statement and tensor it reads."""
        active = {s.of for s in self.backward.adjoints}
        found: list[Jacobian] = []
        for s in self.backward.program.statements:
            if s.target.kind == "float" and s.target.name in self._active_targets:
                found.extend(
                    Jacobian(s.target, t, itemsize(s.target.dtype, self.dtype), self._used(t))
                    for t in reads(s)
                    if t.name in active or t in self.backward.wrt
                )
        return tuple(found)

    @cached_property
    def _active_targets(self) -> frozenset[str]:
        """The names of the tensors that depend on what is differentiated."""
        active = {t.name for t in self.backward.wrt}
        for s in self.backward.program.statements:
            if any(t.name in active for t in reads(s)):
                active.add(s.target.name)
        return frozenset(active)

    def _used(self, tensor: Tensor) -> tuple[Stored, ...]:
        for s in self.backward.statements:
            if s.of == tensor.name:
                return tuple(self._stored(t) for t in (*reads(s), s.target))
        return ()

    def _stored(self, tensor: Tensor, made: bool = True) -> Stored:
        return Stored(tensor, itemsize(tensor.dtype, self.dtype), made)

    # Source, and what runs

    def source(self, backend: str = "numpy", *, style: str = "compact") -> str:
        """The source of the backward pass (with its forward pass); it is what :meth:`compile` runs.

        ``style="flat"`` writes one line a gate, with every intermediate value named. Raises
        ArgumentError for a backend or a style that there is none of.
        """
        if (backend, style) not in _BACKENDS:
            import_module(_REGISTERS)
        if (backend, style) not in _BACKENDS:
            known = ", ".join(f'source("{name}", style="{kind}")' for name, kind in _BACKENDS)
            raise ArgumentError(
                "no such source is written", expected=known, found=f"{backend}, {style}"
            )
        return _BACKENDS[backend, style](self)

    def compile(self) -> Pair:
        """The pair ``forward(...) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

        Gradients come in the order they were asked for, also by name; a single one comes bare.
        """
        pair: Pair = _service("compile")(self)
        return pair

    # Views

    def latex(self) -> str:
        """The backward pass as a LaTeX ``align`` block."""
        return _align("align", self._statements)

    def markdown(self) -> str:
        """The derivation as Markdown."""
        return str(_service("markdown")(self))

    def show(self, width: int | None = None) -> None:
        """Prints the derivation, in colour where the terminal has any."""
        _service("show")(self, width)

    def __str__(self) -> str:
        return str(_service("text")(self))

    def __repr__(self) -> str:
        names = ", ".join(t.name for t in self.backward.gradients)
        return f"<Derivation of {names}: {len(self.backward.statements)} statements>"

    def __rich__(self) -> Any:
        return _service("terminal")(self)

    def _repr_html_(self) -> str:
        return str(_service("html")(self))

    def _repr_latex_(self) -> str:
        return f"$${_align('aligned', self._statements)}$$"


def elements(shape: tuple[Size, ...]) -> Size:
    """The product of the extents."""
    total = size(1)
    for extent in shape:
        total = total * extent
    return total


def itemsize(dtype: str, floats: str = "float64") -> int:
    """Bytes of an element; ``floats`` stands in for the kind "float".

    >>> itemsize("float", "float32"), itemsize("int"), itemsize("bool")
    (4, 8, 1)
    """
    name = floats if dtype == "float" else dtype
    bits = {"int": 64, "bool": 8, "longdouble": 128}
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return (int(digits) if digits.isdigit() else bits.get(name, 64)) // 8


def human(count: int) -> str:
    """A number of bytes for people.

    >>> human(2**38), human(1536), human(999)
    ('256 GiB', '1.5 KiB', '999 B')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    k = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    scaled = count / 1024**k
    return (
        f"{scaled:.{0 if scaled == int(scaled) else 3 if scaled < 10 else 4}g} {units[k]}"
        if (scaled != int(scaled))
        else f"{int(scaled)} {units[k]}"
    )


def show_bytes(stored: Size, sizes: Mapping[str, int]) -> str:
    """Bytes as a number where every named size has a value, else as a formula.

    >>> show_bytes(size("N") * 8, {}), show_bytes(size("N") * 8, {"N": 128})
    ('8*N B', '1 KiB')
    """
    if all(name in sizes for name in stored.names()):
        return human(stored.value(sizes))
    return f"{stored} B"


def shape_text(shape: tuple[Size, ...]) -> str:
    """A shape for people: (N, D), or scalar."""
    return show_shape(shape) if shape else "scalar"


def _align(environment: str, statements: Sequence[Define]) -> str:
    lines = [f"  {latex(s.access)} &= {latex(s.body)}" for s in statements]
    return f"\\begin{{{environment}}}\n" + " \\\\\n".join(lines) + f"\n\\end{{{environment}}}"


def _service(name: str) -> Callable[..., Any]:
    if name not in _SERVICES:
        import_module(_REGISTERS)
    return _SERVICES[name]


def _shown(step: Step, check: Check) -> ShownStep:
    def at(value: Expr) -> Define:
        return Define(step.target, step.indices, value)

    return ShownStep(step.name, step.reason, at(step.before), at(step.after), check)


def _fold(steps: Sequence[ShownStep], quiet: Sequence[bool]) -> tuple[ShownStep, ...]:
    """Quiet steps folded into the next one they lead to, or else into the one they follow."""
    out: list[ShownStep] = []
    waiting: list[ShownStep] = []
    for step, silent in zip(steps, quiet, strict=True):
        if waiting and not _follows(waiting[-1], step):
            _settle(out, waiting)
            waiting = []
        if silent:
            waiting.append(step)
        else:
            out.append(_joined([*waiting, step], step) if waiting else step)
            waiting = []
    _settle(out, waiting)
    return tuple(out)


def _follows(one: ShownStep, other: ShownStep) -> bool:
    """Whether a step starts from what the other led to."""
    left, right = one.later, other.earlier
    return (left.access, left.body) == (right.access, right.body)


def _settle(out: list[ShownStep], waiting: list[ShownStep]) -> None:
    """Quiet steps that lead to no other: behind the step before, or as one step of their own."""
    if not waiting:
        return
    if out and _follows(out[-1], waiting[0]):
        last = out.pop()
        out.append(_joined([last, *waiting], last))
    else:
        routine = ShownStep(
            "tidy up",
            "routine rewriting, no more than one line of algebra each",
            waiting[0].earlier,
            waiting[-1].later,
            waiting[0].check,
        )
        out.append(_joined(waiting, routine))


def _joined(chain: Sequence[ShownStep], shown: ShownStep) -> ShownStep:
    folded = tuple(inner for step in chain for inner in (step.folded or (step,)))
    return ShownStep(
        shown.name, shown.reason, chain[0].earlier, chain[-1].later, _worst(folded), folded
    )


def _worst(steps: Sequence[ShownStep]) -> Check:
    """The check of several steps: a failure before what is undecided before what passed."""
    ranks = {False: 0, None: 1, True: 2}
    return min((step.check for step in steps), key=lambda check: ranks[check.passed])
