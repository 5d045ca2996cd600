"""Forward mode, by the same partial derivatives: tangents of the inputs in, tangents of the
outputs out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..ir.expr import Access, Expr, Tensor, number
from ..ir.program import Define, Program, live
from ..ir.recurrence import in_order, recurrent, unpinned
from .definitions import Definitions
from .differentiate import Occurrence
from .effort import NUMBERS, Effort
from .eliminate import cancel, eliminate
from .linear import Linear, without_matrices
from .normal import Poly, Term, apart, collect, expression, indices_in, replaced, term
from .present import Known, Names, factored, fold_sums
from .saturated import complements

READS = 3
TERMS = 4
FACTORS = 12


def pushforward(
    program: Program,
    wrt: Sequence[Tensor] | None = None,
    conventions: Mapping[str, str] = {},
) -> Program:
    """The program of the outputs' tangents: the chain rule, statement by statement.

    Inputs: the program's, then one tangent ``t_X`` per tensor X of ``wrt`` (default: all float
    inputs), of X's shape and dtype. Outputs: one tangent per float output, of its shape. Nothing is
    simplified on the way, so that checks of the backward pass have something to be compared with.
    """
    return _Pushforward(Linear(program, wrt, conventions)).run()


def compact_pushforward(
    program: Program,
    wrt: Sequence[Tensor] | None = None,
    conventions: Mapping[str, str] = {},
) -> Program:
    """:func:`pushforward` by the rules of the backward pass.

    A tangent that is read element by element is put in place there, where factors may cancel and
    quotients that over- or underflow are written in another way. At sums, and where that would
    make terms grow, tangents have names. As in the backward pass, the search for compact forms ends
    after some work.
    """
    linear = Linear(program, wrt, conventions)
    return _Compact(linear, NUMBERS.of(len(linear.flat))).run()


class _Pushforward:
    def __init__(self, linear: Linear) -> None:
        self.lin = lin = linear
        self.active = [s for s in lin.chain if s.target in lin.active]
        self.tangents: dict[Tensor, Tensor] = {}
        for of in (*lin.wrt, *(s.target for s in self.active)):  # a recurrence reads later ones
            self.tangents[of] = Tensor(lin.name(f"t_{of.name}"), of.shape, of.dtype)

    def run(self) -> Program:
        lin, tangents = self.lin, self.tangents
        statements: list[Define] = []
        steps = {tangents[t] for t in recurrent(lin.flat) if t in tangents}
        for statement in self.active:
            target = statement.target
            body = self.body(statement)
            made = Define(tangents[target], statement.indices, body, statement.source)
            statements.extend(lin.extra.get(target, []))
            statements.append(lin.lettered(unpinned(made, steps), target))
        outputs = []
        for out in lin.program.outputs:
            if out.kind != "float":
                continue
            if out not in tangents:
                zero = Tensor(lin.name(f"t_{out.name}"), out.shape, out.dtype)
                statements.append(lin.lettered(Define(zero, lin.axes(out), number(0)), out))
                tangents[out] = zero
            outputs.append(tangents[out])
        inputs = (*lin.program.inputs, *(tangents[t] for t in lin.wrt))
        statements = in_order([*lin.flat, *lin.later, *self.finished(statements)])
        lettered = tuple(
            lin.lettered(s, s.target) if s.target in lin.letters else s for s in statements
        )
        return live(Program(inputs, lettered, tuple(outputs), lin.program.sizes))

    def finished(self, statements: Sequence[Define]) -> Sequence[Define]:
        """The statements of the tangents, once all are known."""
        return statements

    def body(self, statement: Define) -> Expr:
        """The tangent of a statement's value."""
        found = self.lin.occurrences(statement)
        return expression(self.chain(found, [self.named(o) for o in found]))

    def named(self, found: Occurrence) -> Poly:
        """The tangent of what is read there, by its name."""
        access = Access(self.tangents[found.access.tensor], found.access.subs)
        return collect([term(Fraction(1), (), (), ((access, Fraction(1)),))])

    def chain(self, found: Sequence[Occurrence], inner: Sequence[Poly]) -> Poly:
        """The partial derivatives times the tangents of what is read."""
        pairs = zip(found, inner, strict=True)
        terms = (_times(o.partial, part) for o, tangent in pairs for part in tangent)
        return collect(eliminate(t) for t in terms if t is not None)


class _Compact(_Pushforward):
    def __init__(self, linear: Linear, effort: Effort) -> None:
        super().__init__(linear)
        self.effort = effort
        self.defs = Definitions(linear.flat, effort)
        self.defs.regions.questions |= {"finite": self.is_finite, "away from 0": self.lin.is_away}
        self.known = Known(self.defs.regions.ask)
        self.names = Names(self.defs)
        self.steps = recurrent(linear.flat)
        self.reads = Counter(t for s in self.active for t in linear.origins_of(s))
        self.inner: dict[Tensor, Poly] = {}  # the tangents that are put in place

    def finished(self, statements: Sequence[Define]) -> Sequence[Define]:
        return without_matrices(statements, self.lin)

    def body(self, statement: Define) -> Expr:
        found = self.lin.occurrences(statement)
        value = collect(
            t if t is None else self.defs.expanded(t)
            for t in self.chain(found, [self.placed(o) for o in found])
        )
        value = collect(map(cancel, value))
        if self.is_short(statement.target, value):
            self.inner[statement.target] = value
        compact = self.effort.tried(lambda: self.compacted(value), value)
        return factored(compact, self.known)

    def compacted(self, value: Poly) -> Poly:
        """A tangent in the program's own names."""
        compact = complements(fold_sums(value, self.defs), self.defs, self.names)
        return collect(map(self.names.fold, compact))

    def placed(self, found: Occurrence) -> Poly:
        """The tangent of what is read there: what it is made of, or its name."""
        inner = self.inner.get(found.access.tensor)
        if inner is None or found.partial.bound:
            return self.named(found)
        axes = self.lin.axes(found.access.tensor)
        place = dict(zip(axes, found.access.subs, strict=True))
        return collect(replaced(part, place) for part in inner)

    def is_short(self, target: Tensor, value: Poly) -> bool:
        """Whether a tangent is put in place where it is read."""
        if target in self.steps or any(t.bound or len(t.factors) > FACTORS for t in value):
            return False
        match value:
            case () | (Term(_, _, (), (_,)),):
                return True
        reads = self.reads[target]
        return reads <= READS if len(value) == 1 else reads * len(value) <= TERMS

    def is_finite(self, tensor: Tensor) -> bool:
        """Inputs and tangents are taken for finite, as in the backward pass: inputs unless elements
        of them may be missing."""
        missing = not self.lin.complete and tensor in self.lin.program.inputs
        return not missing and tensor not in self.lin.definitions


def _times(partial: Term, tangent: Term) -> Term | None:
    tangent = apart(tangent, [index.name for index in indices_in(partial)])
    return term(
        partial.coef * tangent.coef,
        (*partial.bound, *tangent.bound),
        (*partial.guards, *tangent.guards),
        (*partial.factors, *tangent.factors),
    )
