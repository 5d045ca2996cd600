"""A derivation: the backward pass of a program with all that there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..calculus.step import Backward
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, computing, reads
from ..ir.size_conditions import Choice
from ..ir.subscripts import Index
from ..ir.walk import bound_indices
from ..notation.matrix import MatrixForm, matrix_form
from ..notation.naming import COLUMN, Slope
from ..notation.plain import show
from ..text import nearest
from .assumptions import Assumption
from .memory import AvoidedJacobian, Peaks, Stored, itemsize
from .registry import Spelling, service, spelling
from .status import Tally
from .steps import Check, ShownStep, Verification, fold, shown
from .written import written

if TYPE_CHECKING:
    from ..graph.numbers import Numbers
    from ..plan.saved import Frontier
    from ..scalar.approximation import Approximation
    from ..scalar.derived import ByRules
    from ..scalar.quotients import Quotients
    from ..small.case import Small
    from .gradient import Gradient
    from .pushforward import Pushforward
    from .savings import Savings


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


class Pair(NamedTuple):
    """``forward(...) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


@dataclass(frozen=True, eq=False, repr=False)
class Derivation:
    """The derived backward pass of a program.

    ``conventions`` are those that were given (at kinks and ties), ``sizes`` values of named sizes
    and ``dtype`` that of floats, to tell bytes with; ``seed`` is that of the steps' checks.
    ``assumptions`` say what is taken for granted of the sizes, and how it is known, where the
    program was found by tracing; source asserts those that are ``asserted`` and begins with what is
    ``said`` of them. ``again`` are the forward values that the backward pass computes again
    (:meth:`saving`). ``slopes`` are the gradients of an earlier derivation among the program's
    values, where the program is that of a gradient.

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
    assumptions: tuple[Assumption, ...] = ()
    asserted: tuple[Choice, ...] = ()
    said: str = ""
    slopes: Mapping[str, Slope] = field(default_factory=dict)
    again: tuple[Define, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what was found from them is found again."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def passes(self) -> Backward:
        """The passes as source has them: the backward pass begins with what it computes again."""
        if not self.again:
            return self.backward
        from ..plan.saved import applied

        return applied(self.backward, self.again)

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
        return tuple(computing(self._statements, [self.gradient_tensor(name)]))

    def gradient(self, name: str) -> Gradient:
        """A gradient, by the name of the input or its own: its name, shape and dtype, the program
        that computes it, and ``derive(...)``, which differentiates it once more.

        >>> import pullback
        >>> square = pullback.derive("L[] = sum(i) a[i]*x[i]**2")
        >>> print(square.gradient("x").derive(wrt="x").formula("x"))
        d2x[i] = 2*a[i]*ddx[i]

        Raises ArgumentError where nothing was derived for ``name``.
        """
        from .gradient import Gradient  # what is rarely asked for is not loaded to derive

        return Gradient(self, self.gradient_tensor(name))

    def gradient_tensor(self, name: str) -> Tensor:
        """The gradient's tensor, by the name of the input or its own.

        Raises ArgumentError where nothing was derived for ``name``.
        """
        pairs = zip(self.backward.wrt, self.backward.gradients, strict=True)
        for tensor, gradient in pairs:
            if isinstance(name, str) and name in (tensor.name, gradient.name):
                return gradient
        known = [t.name for t in self.backward.wrt]
        close = nearest(name, known) if isinstance(name, str) else []
        raise ArgumentError(
            f"nothing was derived for {name!r}",
            expected=f"one of {', '.join(known)}",
            found=repr(name)[:80],
            hint=self._underived(name, close),
        )

    def _underived(self, name: object, close: Sequence[str]) -> str:
        """What to do about a name by which nothing was derived."""
        if close:
            return f"did you mean {' or '.join(close)}?"
        others = [t.name for t in self.backward.program.inputs if t not in self.backward.wrt]
        return f"derive by it, too: wrt={name!r}" if name in others else ""

    @cached_property
    def forward(self) -> Program:
        """The forward pass as its author would write it.

        Parts that have no name of the user's are put in place, but those that the backward pass
        reads.
        """
        return written(self.backward.program, self._read)

    @cached_property
    def shared(self) -> tuple[Define, ...]:
        """Forward values that the backward pass reads and the user has no name for."""
        named = {s.target for s in self.forward.statements if s.user}
        named |= {*self.forward.inputs, *self.forward.outputs}
        wanted = set(self._read)
        named |= {s.target for s in self.again}
        every = written(self.backward.forward, self._read).statements
        return tuple(computing([s for s in every if s.target not in named], wanted))

    @cached_property
    def _read(self) -> frozenset[Tensor]:
        return frozenset(t for s in self.passes.statements for t in reads(s))

    @property
    def _statements(self) -> tuple[Define, ...]:
        return (*self.shared, *self.passes.statements)

    def matrix(self, statement: Define) -> MatrixForm | None:
        """A statement in matrix form; None where it has none."""
        return matrix_form(statement)

    def _matrix_or_plain(self, statement: Define) -> str:
        form = self.matrix(statement)
        return show(statement) if form is None else form.plain

    # Steps and checks

    @cached_property
    def steps(self) -> tuple[ShownStep, ...]:
        """The steps with their checks' results, quiet ones folded into those beside them.

        These are the steps that every view shows and counts.
        """
        return self._folded(self._own_checks)

    def _folded(self, checks: Sequence[Check]) -> tuple[ShownStep, ...]:
        made = [shown(s, c) for s, c in zip(self.backward.steps, checks, strict=True)]
        return fold(made, [step.quiet for step in self.backward.steps])

    @property
    def tally(self) -> Tally:
        """How many steps there are, and how many of them passed, failed or were not checked."""
        return Tally.of(step.check.status for step in self.steps)

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """How every gradient on the way back comes about, from the outputs to the inputs."""
        by_name = {t.name: t for t in (*self.backward.program.inputs, *self._forward_targets)}
        final = {s.target: s for s in self.backward.statements}
        known = {s.of for s in self.backward.adjoints}
        known |= {t.name for t in self.backward.program.outputs if t.kind == "float"}
        found: list[Account] = []
        for raw in self.backward.adjoints:
            of = by_name.get(raw.of) or Tensor(raw.of, raw.target.shape, raw.target.dtype)
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

    @cached_property
    def _own_checks(self) -> Sequence[Check]:
        return self._step_checks(self.seed)

    def _step_checks(self, seed: int) -> Sequence[Check]:
        if not self.backward.steps:
            return ()
        return tuple(service("check_steps")(self.backward, seed))

    @property
    def known(self) -> Mapping[str, Any]:
        """The values of inputs that are known, by name; of a program alone there are none."""
        return {}

    def verify(self, seed: int | None = None) -> Verification:
        """Checks every step, and the whole against oracles that know nothing of the steps."""
        seed = self.seed if seed is None else seed
        if not isinstance(seed, int):
            raise ArgumentError(
                "the seed is not a whole number", expected="e.g. 0", found=repr(seed)[:80]
            )
        steps = self.steps if seed == self.seed else self._folded(self._step_checks(seed))
        whole = service("check")(self, seed)
        named = [(f"{s.name} ({s.target.name})", s.check) for s in steps]
        return Verification((*named, *whole), seed, len(named))

    # The Jacobian

    def jacobian(self, output: str | None = None, wrt: str | None = None) -> Any:
        """The generalized Jacobian ∂output/∂wrt as a formula, by the names of two values.

        ``output`` is the result and ``wrt`` the first input differentiated by, if not given; a
        named intermediate value may stand for either. It says what the Jacobian is (``I_N ⊗ Wᵀ``),
        with the formula of an element, LaTeX, a picture, a bound on its rank; ``at(X=..., W=...)``
        gives the operator at arrays. Raises ArgumentError for a name that there is none of.
        """
        return service("jacobian")(self, output, wrt)

    def hessian(self, wrt: str | None = None, other: str | None = None) -> Any:
        """The Hessian of a single number as a formula: ∂²L/∂wrt², or ∂²L/∂wrt∂other.

        It is the Jacobian of the gradient, and says what it is as :meth:`jacobian` does;
        ``at(...)`` gives the operator at arrays. ``wrt`` is the first input differentiated by, if
        not given, and ``other`` is ``wrt``.

        >>> import pullback
        >>> print(pullback.derive("L[] = sum(i) w[i]*x[i]**3").hessian("x").text)
        diag(6*w*x)

        Raises ArgumentError where the result is no single number, and for a name that there is
        none of.
        """
        return service("hessian")(self, wrt, other)

    def pushforward(self) -> Pushforward:
        """Forward mode as formulas: the tangents of the results by those of the inputs.

        >>> import pullback
        >>> print(pullback.derive("Y[i] = a[i]*exp(x[i])", wrt="x").pushforward())
        t_Y[i] = Y[i]*t_x[i]
        """
        from .pushforward import Pushforward

        return Pushforward(self)

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
        """What the backward pass reads of the forward pass, inputs first; a mask that no statement
        names is called so."""
        if self.backward.masks:
            from ..plan.both import both
            from ..plan.build import build

            plan = build(self.backward)
            return tuple(self._stored(t, t not in plan.forward.inputs) for t in both(plan).called())
        made = {s.target for s in self.passes.statements}
        live = dict.fromkeys(s for t in self.backward.wrt for s in self.needed(t.name))
        wanted = {t for s in live if s.target in made for t in reads(s)}
        inputs = [self._stored(t, False) for t in self.backward.program.inputs if t in wanted]
        kept = (t for t in self._forward_targets if t in wanted and t not in made)
        return (*inputs, *map(self._stored, kept))

    def peaks(self, **sizes: int) -> Peaks:
        """How many bytes of arrays both passes of the NumPy source hold at most at one time, told
        before they run; results that the backward pass reads are among what is kept. Named sizes
        without a value here or in ``sizes`` count as 64. What NumPy takes inside of a single call,
        as for a decomposition, is left out. Raises ArgumentError for a size that there isn't.

        >>> from pullback.notation.parse import parse
        >>> from pullback.calculus.reverse import reverse
        >>> gate = Derivation(reverse(parse("s[n] = sigmoid(x[n]); y[n] = s[n]*x[n]")))
        >>> gate.peaks(N=1024)
        forward 16 KiB, of which 16 KiB is kept; backward 32 KiB
        """
        from ..plan.build import build
        from ..plan.peak import peaks
        from ..plan.weights import NAMED

        every = (*self.backward.program.inputs, *self._forward_targets, *self.backward.gradients)
        names = {name for t in every for extent in t.shape for name in extent.names()}
        names.update(self.backward.program.sizes)
        if missing := sizes.keys() - names:
            raise ArgumentError(
                f"there is no size {min(missing)}",
                expected=f"sizes: {', '.join(sorted(names)) or 'none'}",
                found=", ".join(sorted(missing)),
            )
        known = {**dict.fromkeys(sorted(names), NAMED), **self.sizes, **sizes}
        return Peaks(*peaks(build(self.passes), known, lambda d: itemsize(d, self.dtype)))

    def savings(self, keep: Sequence[str] = ()) -> Savings:
        """What the backward pass could save of the forward pass instead, and what it would compute
        again for that: from the fastest choice to the one that saves least.

        Sizes without a value in ``sizes`` count as 64. ``keep`` names forward values that are not
        computed again. Raises ArgumentError for a name that there isn't.
        """
        from .savings import Savings

        return Savings(self._frontier(keep))

    def _frontier(self, keep: Sequence[str]) -> Frontier:
        from ..plan.saved import Frontier, tensors_named

        every = (*self.backward.program.inputs, *self._forward_targets)
        dtypes = {t.dtype for t in every} | {"float", "int", "bool"}
        widths = {dtype: itemsize(dtype, self.dtype) for dtype in dtypes}
        kept = tensors_named(self.backward, [keep] if isinstance(keep, str) else keep)
        return Frontier(self.backward, self.sizes, widths, kept)

    def saving(self, memory: str | int = "least", keep: Sequence[str] = ()) -> Self:
        """The derivation with another choice of what is saved: "least", "balanced" (what
        :func:`pullback.derive` gives: one multiplication or addition of what is there anyway is
        computed again), "fastest" (nothing is computed again), or at most so many bytes.

        Inputs and results cost nothing; matrix products are computed again only for what saves
        least, recurrences and matrix operations never. Formulas and source change with the choice.
        Raises ArgumentError where so few bytes are not enough.

        >>> from pullback.notation.parse import parse
        >>> from pullback.calculus.reverse import reverse
        >>> gate = Derivation(reverse(parse("s[n] = sigmoid(x[n]); y[n] = s[n]*x[n]")))
        >>> print(gate.saving("least").formula("x"))
        s[n] = sigmoid(x[n])
        dx[n] = dy[n]*(s[n] + y[n]*(1 - s[n]))
        """
        known = isinstance(memory, int) and not isinstance(memory, bool) and memory >= 0
        if memory not in ("least", "balanced", "fastest") and not known:
            raise ArgumentError(
                "memory says how much may be saved",
                expected='"least", "balanced", "fastest" or a number of bytes',
                found=f"{memory!r}"[:80],
            )
        saved = self.again or any(s.made for s in self.residuals)
        if memory == "balanced" and not (len(keep) or saved):
            return self  # nothing of the forward pass is saved
        frontier = self._frontier(keep)
        match memory:
            case "least":
                chosen = frontier.choices()[-1]
            case "balanced":
                chosen = frontier.balanced()
            case "fastest":
                chosen = frontier.fastest()
            case _:
                chosen = frontier.within(int(memory))
        backward = self.backward
        if memory == "fastest":
            from ..plan.kept import asks, parts_kept

            backward = parts_kept(backward)
            if asks(backward) and not backward.masks:
                backward = replace(backward, masks=True)
        if backward is self.backward and chosen.again == self.again:
            return self
        return replace(self, backward=backward, again=chosen.again)

    @cached_property
    def avoided_jacobians(self) -> tuple[AvoidedJacobian, ...]:
        """What the generalized Jacobians would take: one a forward statement and tensor it reads.

        :meth:`jacobian` gives one of them as an operator.
        """
        active = {s.of for s in self.backward.adjoints}
        found: list[AvoidedJacobian] = []
        for s in self.forward.statements:
            if s.target.kind == "float" and s.target.name in self._active_targets:
                width = itemsize(s.target.dtype, self.dtype)
                found.extend(
                    AvoidedJacobian(s.target, t, width, self._used(t))
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
        """The source of the backward pass (with its forward pass).

        For "numpy" that is what :meth:`compile` runs; "torch" and "jax" are functions of the same
        signatures, which import nothing but their framework and follow the dtype and device of
        their arguments. ``style="flat"`` (NumPy only) writes one line a gate, with every
        intermediate value named. Raises ArgumentError for a backend or a style that there is none
        of, PullbackError for what a framework has no words for.
        """
        spell = spelling(backend, style)
        if spell not in self._sources:
            self._sources[spell] = spell(self)
        return self._sources[spell]

    @cached_property
    def _sources(self) -> dict[Spelling, str]:
        """The source that was written: the same is read and run."""
        return {}

    def compile(self) -> Pair:
        """The pair ``forward(...) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

        Gradients come in the order they were asked for, also by name; a single one comes bare.
        """
        pair: Pair = service("compile")(self)
        return pair

    # Numbers

    def at(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        upstream: Any = None,
        expand: Collection[str] | bool = (),
        **inputs: Any,
    ) -> Numbers:
        """The computational graph at given numbers: print it, ``.svg()``, ``.html()``, ``.save()``.

        Every input gets a number or an array by its name; inputs whose names are keywords here
        come in the dict ``values``. ``upstream`` is the gradient that arrives at the output, by
        name for several outputs; it is 1 for a single number and has to be given otherwise.
        ``expand`` names functions to open into their gates, all if True.

        >>> import pullback
        >>> neuron = pullback.derive("f[] = w[]*x[] + b[]").at(w=2, x=3, b=4)
        >>> float(neuron.values["f"]), float(neuron.gradients["w"])
        (10.0, 3.0)

        Raises ArgumentError for inputs that are missing or unknown, ShapeError for shapes that
        contradict each other.
        """
        found: Numbers = service("at")(self, values, upstream, expand, inputs)
        return found

    def small(
        self, values: Mapping[str, Any] | None = None, /, *, upstream: Any = None, **sizes: Any
    ) -> Small:
        """The case of small sizes as one works it out on paper; print it.

        Explicit matrices with symbolic entries, the derivative by each element, its inner product
        with the upstream gradient, the gradients assembled, and the step to the general formula,
        which is checked at other sizes. Sizes come by name, and arrays of numbers for inputs, which
        tell their sizes: ``small(x=[1, -2], upstream=[4, -1])``.

        >>> import pullback
        >>> case = pullback.derive("y[i] = x[i]**2").small(I=2)
        >>> [str(case.known(e.gradient)) for e in case.elements("x")]
        ['None', 'None']

        Raises ArgumentError for sizes that are missing or unknown, LimitError for what is too large
        for paper.
        """
        found: Small = service("small")(self, {**(values or {}), **sizes}, upstream)
        return found

    # Scalar calculus

    def rules(self, notation: str = "leibniz", wrt: str | None = None) -> ByRules:
        """The derivative of a function of a number by the rules of a first course; print it.

        Chain, product and quotient rule by name, with the point where each outer derivative is
        taken and the condition of each rule; ``.latex()`` and ``.html()`` write the same. The
        notation is "leibniz" (dy/dx) or "lagrange" (f'(x)). ``wrt`` is the variable, the first
        input differentiated by if not given; other inputs are held constant. Each step is checked
        by differences, and the result is the derivation's own formula.

        >>> import pullback
        >>> print(pullback.derive("y = exp(x[]**2)").rules().lines()[0].rule)
        chain rule

        Raises ArgumentError for programs of arrays and for several results, LimitError for
        derivations of more than 60 steps.
        """
        found: ByRules = service("rules")(self, notation, wrt)
        return found

    def quotients(self, values: Mapping[str, Any] | None = None, /, **inputs: Any) -> Quotients:
        """The difference quotients of a function of a number, converging to its derivative.

        A table and a plot (``.svg()``) of (f(x + h) - f(x))/h and (f(x + h) - f(x - h))/(2h) for h
        = 1, 0.1, ... with their errors, and from where on rounding is most of them.

        >>> import pullback
        >>> found = pullback.derive("y = x[]**2").quotients(x=3)
        >>> [round(row.forward.value, 6) for row in found.rows[:3]]
        [7.0, 6.1, 6.01]

        Raises ArgumentError for programs of arrays, and where the function or its slope isn't
        finite.
        """
        found: Quotients = service("quotients")(self, {**(values or {}), **inputs})
        return found

    def approximation(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        along: Any = None,
        seed: int | None = None,
        **inputs: Any,
    ) -> Approximation:
        """The linear approximation f(X + Δ) ≈ f(X) + ∂f/∂X Δ at given numbers, with its remainder.

        A table and a plot (``.svg()``) for Δ = t·V, t = 1, 0.1, ...: the remainder of a smooth
        function falls as Δ². Of a number by a number, of a number by an array (the gradient), of a
        vector by a vector (the Jacobian), and of any array by any other. Inputs come by name; V is
        ``along``, an array or a dict by names, and random if not given.

        >>> import numpy as np, pullback
        >>> layer = pullback.derive("H[m] = tanh(sum(d) W[m,d]*x[d])")
        >>> shown = layer.approximation(x=[1, 2], W=[[1, 0], [0, 1]], along={"x": [1, -1]})
        >>> round(shown.order, 2)
        2.0

        Raises ArgumentError for inputs that are missing or unknown and where the function or its
        slope isn't finite, ShapeError for shapes that don't fit.
        """
        given = {**(values or {}), **inputs}
        found: Approximation = service("approximation")(self, given, along, seed)
        return found

    def compare(self, sizes: Mapping[str, int]) -> None:
        """Refuses sizes that a function was not seen to be derived for; a program has none."""

    # Views

    def latex(
        self,
        name: str | None = None,
        *,
        style: str = "d",
        names: Mapping[str, str] | None = None,
        loss: str | None = None,
        width: float | None = COLUMN,
        matrix: bool = False,
    ) -> str:
        r"""The backward pass as LaTeX, to be put into a paper that loads ``amsmath``.

        With the name of an input, its gradient alone, then "where" and the forward values that the
        gradient is computed from. ``style`` is how gradients are written: "d" as ``\mathrm{d}X``,
        "partial" as ``\frac{\partial L}{\partial X}``, "bar" as ``\bar{X}``, "delta" as
        ``\delta^{X}``. ``names`` are LaTeX for tensors, indices and sizes of the program, by name,
        ``loss`` is that of the loss. Equations wider than ``width``, in em, are broken at
        operators; None leaves each on one line. ``matrix=True`` writes whole matrices where it can.

        >>> import pullback
        >>> square = pullback.derive("L[] = sum(i) a[i]*x[i]**2")
        >>> print(square.latex("x", style="partial", names={"a": r"\alpha"}, loss=r"\mathcal{L}"))
        % needs \usepackage{amsmath}
        \begin{align}
          \frac{\partial \mathcal{L}}{\partial x_{i}} &= 2 \, \alpha_{i} \, x_{i}
        \end{align}

        Raises ArgumentError where nothing was derived for ``name``, for a style or a width that
        there is none of, and for LaTeX that is no name.
        """
        from .fragment import drawn, gradients_in_latex

        return gradients_in_latex(self, name, drawn(self, style, names, loss, width, matrix=matrix))

    def markdown(self) -> str:
        """The derivation as Markdown."""
        return str(service("markdown")(self))

    def show(self, width: int | None = None, *, brief: bool = False) -> None:
        """Prints the derivation, in colour where the terminal has any.

        ``width`` is the number of columns, that of the terminal if not given. With ``brief`` only
        the formulas of the forward and the backward pass are printed: about one page.
        """
        service("show")(self, width, brief=brief)

    def __str__(self) -> str:
        return str(service("text")(self))

    def __repr__(self) -> str:
        names = ", ".join(t.name for t in self.backward.gradients)
        return f"<Derivation of {names}: {len(self.passes.statements)} statements>"

    def __rich__(self) -> Any:
        return service("terminal")(self)

    def _repr_html_(self) -> str:
        return str(service("html")(self))

    def _repr_latex_(self) -> str:
        from .fragment import aligned

        return f"$${aligned(self, self._statements)}$$"
