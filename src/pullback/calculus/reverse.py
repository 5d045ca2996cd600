"""Reverse mode: from a program to its compact backward pass.

The flat statements are visited in reverse. The adjoint of a value is a sum of terms; it is either
*named* (it becomes a statement of the backward pass) or *inlined* into the adjoints of what the
value was made of. Names stand at the borders of regions: at contractions, at gradients that were
asked for, and where inlining would make terms grow. Inside a region everything is brought to base
form, where equal terms meet and cancel; the result is then written in the program's own names.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from fractions import Fraction
from itertools import combinations
from math import isfinite
from typing import Any

from ..errors import DerivationError
from ..functions import FINITE, TABLE
from ..ir.expr import (
    ZERO,
    Access,
    Apply,
    Cond,
    Expr,
    Opaque,
    SizeOf,
    Tensor,
    Zero,
    mul,
    number,
)
from ..ir.program import Define, Program, Source, computing
from ..ir.recurrence import (
    direction,
    elsewhere,
    groups,
    in_order,
    is_recurrent,
    recurrent,
    unpinned,
)
from ..ir.subscripts import Index, Subscript, at, isolated
from ..ir.walk import accesses, free_indices, nodes, rename_tensors, substitute, tensors
from ..text import PRIVATE
from .clips import resolved
from .contained import contained_sums
from .cost import cost, expression_cost, volume
from .definitions import Definitions
from .differentiate import Occurrence, adjoint_terms, sifted_terms
from .effort import FORMULAS, Effort, Limit
from .eliminate import cancel, eliminate, sift
from .flatten import is_reshape
from .guards import says_where
from .introduce import ratio_to_sum, read_once, reads_of, without_idle_ratios, worth_a_name
from .linear import Linear, without_matrices
from .match import Pattern
from .merge import merge_sums
from .normal import (
    Factor,
    Poly,
    Term,
    canonical,
    collect,
    components_of,
    expression,
    free_of,
    poly,
    renamed,
    replaced,
    term,
)
from .operations import one_operation_each
from .present import Known, Names, factored, fold_sums
from .quotients import Divided, cancelled, loses, multiplied_out, over_both
from .refine import refined
from .regions import Regions
from .repeated import repeated, summed_together
from .residuals import fewer_residuals
from .residues import joined
from .saturated import complements
from .share import share
from .solves import solved
from .step import Backward, Later, Step

ONE = Fraction(1)
CHEAPER = 0.98  # of the cost with fewer names, for more names to be worth reading
IN_ALL = 0.99  # of it, with products of matrices that both make
STEPS = 0.9  # of the cost of a program as it is written, for one with an operation a statement
# whose backward pass is longer to read
KEPT = 1.0  # operations that keeping an element from the forward pass costs
SHORT = 64  # flat statements, at most, of a program for which several passes are derived
GROWTH = 24
READS = 3
FEW = 1  # of an adjoint of more than two terms
SPREAD = 8
MANY = 12
FACTORS = 12
FORMS = 5


def reverse(
    program: Program,
    wrt: Sequence[Tensor] | None = None,
    conventions: Mapping[str, str] = {},
    limit: Limit = FORMULAS,
) -> Backward:
    """The backward pass of a program.

    ``wrt`` are the inputs whose gradients are wanted (default: every float input). The cotangent
    of a float output Y is a tensor named dY of Y's shape and dtype; the gradient of X is named dX.

    ``limit`` bounds the search for compact forms. Once no work is left, every adjoint gets a name
    and stands as the chain rule gives it.

    Of programs of at most ``SHORT`` flat statements, as long as there is work left, passes with
    more and with fewer named adjoints are derived, too (:class:`Naming`), and, where formulas are
    asked for, those of the program with an operation a statement; the cheapest is chosen.
    """
    with _collector_paused():
        linear = Linear(refined(program), wrt, conventions)
        best = _cheapest(linear, limit.of(len(linear.flat)))
        short = limit is FORMULAS and len(linear.flat) <= SHORT
        steps = one_operation_each(program) if short else program
        if steps is program:
            return best
        other = _cheapest(Linear(refined(steps), wrt, conventions), limit.of(len(linear.flat)))
        more = _kept(other) - _kept(best)
        longer = _length(other) > _length(best)
        worth = _is_better(other, best, more, STEPS if longer else CHEAPER)
        return replace(other, program=best.program) if worth else best


def _cheapest(linear: Linear, effort: Effort) -> Backward:
    """The cheapest of the backward passes with more and with fewer named adjoints."""
    start = effort.left
    search = _Reverse(linear.copy(), effort)
    best = search.run()
    taken = start - effort.left
    short = len(linear.flat) <= SHORT and not (search.delicate or search.defs.roundings)
    left = search.others if short else []
    while left and effort.left > 2 * taken:
        naming = left.pop(0)
        search = _Reverse(linear.copy(), effort, naming, search.regions)
        try:
            other = search.run()
        except DerivationError:  # with these names, a recurrence can't be taken step by step
            continue
        left = [n for n in left if n in search.others]
        if _is_better(other, best):
            best = other
    return best


def _is_better(
    other: Backward, best: Backward, more: float = 0.0, cheaper_by: float = CHEAPER
) -> bool:
    """Whether a backward pass with more names is so much cheaper that they are worth reading, and
    ``more`` that is kept for it worth its memory. Products of matrices that both make would hide
    it."""
    known = {(s.target, s.body) for s in best.statements}
    same = [s for s in other.statements if (s.target, s.body) in known]
    there = cost([s for s in same if is_product_of_matrices(s)])  # says nothing of the rest
    ours, theirs = cost(other.statements) + more, cost(best.statements)
    cheaper = ours - there < cheaper_by * (theirs - there) and ours < IN_ALL * theirs
    return cheaper and other.unsearched <= best.unsearched


def _kept(backward: Backward) -> float:
    """What the values that a backward pass reads cost to keep: those that are there anyway,
    inputs and outputs, nothing."""
    there = {*backward.program.inputs, *backward.program.outputs}
    read = {t for s in backward.statements for t in tensors(s.body)}
    made = [s for s in backward.forward.statements if s.target in read - there]
    return KEPT * sum(volume(s.indices) for s in made)


def _length(backward: Backward) -> int:
    """How many nodes the statements have."""
    return sum(1 for s in backward.statements for _ in nodes(s.body))


class Naming(Enum):
    """Which adjoints get names besides those at contractions, scatters and reshapes."""

    FEW = auto()  # those read so often that a closed form without them would be long
    PARTS = auto()  # those of several terms, and those with fewer axes than what reads them
    SMALL = auto()  # those with fewer axes than what reads them
    ALL = auto()  # all but copies, multiples and outer products
    NONE = auto()  # no further ones: terms of different readers may meet and cancel


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Python's collector of cycles waits: nodes make none, and looking for them took a quarter of
    a large derivation's time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


class _Reverse:
    def __init__(
        self,
        linear: Linear,
        effort: Effort,
        naming: Naming = Naming.FEW,
        before: Regions | None = None,
    ) -> None:
        self.lin = linear
        self.effort = effort
        self.naming = naming
        self.others: list[Naming] = []  # that would have named other adjoints
        self.delicate = False  # whether a form was chosen for its accuracy
        self.defs = Definitions(linear.flat, effort, before)
        if linear.later:
            solutions = [s for s in linear.flat if isinstance(s.body, Opaque)]
            self.defs.learn_later(linear.later, solutions)
        self.names = Names(self.defs)
        self.divided = Divided(self.defs)
        for tensor, pattern in self.defs.products.items():
            parts = self._multiplied_out(collect([self.defs.expanded(pattern.body)]))
            if parts is not None and len(parts) > 1:
                self.defs.note_sum(tensor, pattern.axes, parts)
        self.regions = self.defs.regions
        self.regions.questions |= {
            "finite": self._finite,
            "away from 0": self.lin.is_away,
            "calm": self._is_calm,
        }
        self.known = Known(self.regions.ask)
        self.reads: dict[Tensor, list[tuple[Tensor, Occurrence]]] = {}
        self.pending: dict[Tensor, list[Term | None]] = {}
        self.adjoint: dict[Tensor, Tensor] = {}
        self.absent: dict[Tensor, tuple[Cond, ...]] = {}  # where these fail, an adjoint is absent
        self.of: dict[Tensor, Tensor] = {}
        self.seeds: dict[Tensor, Poly] = {}
        self.statements: list[Define] = []
        self.unnamed: list[tuple[Tensor, Tensor]] = []
        self.drafts: list[_Draft] = []
        self.forms: dict[Tensor, Poly] = {}
        self.gradients: dict[Tensor, Tensor] = {}
        self.final: dict[Tensor, Define] = {}
        self.cotangents: dict[Tensor, list[Tensor]] = {}
        self.inlined: dict[Pattern, Tensor] = {}
        self.few: set[Tensor] = set()  # values whose adjoints have names that a gradient may take
        self.parts: dict[Tensor, Term] = {}  # inlined adjoints, up to numbers
        self.ratios: list[Pattern] = []
        self.unsearched = 0
        self.steps = recurrent(linear.flat)
        self.uses = Counter(access.tensor for s in linear.flat for access in accesses(s.body))

    def run(self) -> Backward:
        lin = self.lin
        outputs = [t for t in lin.program.outputs if t.kind == "float"]
        given = [(t, self._adjoint_of(t)) for t in outputs]
        for t, cotangent in given:  # a value may be given back more than once
            self.cotangents.setdefault(t, []).append(cotangent)
        first = self._first_uses()
        for t in lin.wrt:
            if t not in first:
                self._visit(t, None)
        for group in reversed(lin.groups):
            self._visit_group([s for s in group if s.target in lin.active])
            for t in lin.wrt:
                if any(first.get(t) is define.target for define in group):
                    self._visit(t, None)
        return self._result([cotangent for _, cotangent in given])

    def _first_uses(self) -> dict[Tensor, Tensor]:
        """For everything that is read, the first statement that does: after it, the gradient is
        complete."""
        found: dict[Tensor, Tensor] = {}
        for define in self.lin.chain:
            for tensor in self.lin.origins_of(define):
                found.setdefault(tensor, define.target)
        return found

    def _result(self, cotangents: Sequence[Tensor]) -> Backward:
        lin = self.lin
        forward = in_order([s for f in lin.flat for s in (f, *lin.extra.get(f.target, ()))])
        statements = repeated(share(self._bodies(), lin, lin.flat), lin)
        if not self.steps:
            given = [t for cotangents in self.cotangents.values() for t in cotangents]
            kept = {*self.gradients.values(), *given}
            before = statements
            statements = self.effort.tried(
                lambda: read_once(before, kept, lin.definitions, self.names), before
            )
        statements = summed_together(statements, lin)
        statements = fewer_residuals(statements, lin.definitions)
        statements = without_matrices(solved(self._uncopied(statements), lin), lin)
        statements = in_order([*lin.later, *statements])
        statements = _computing(statements, self.gradients.values())
        self.final = {s.target: s for s in statements}
        for group in groups(statements):
            if is_recurrent(group) and not direction(group):
                raise DerivationError(
                    "the gradient of a recurrence can't be taken step by step",
                    expected="steps that need what steps before or after them made",
                    found=f"the adjoints of {', '.join(s.of or s.target.name for s in group)} need "
                    "each other at places whose order isn't known",
                    hint="read what is carried at fixed places, or at those of the same step",
                )
        return Backward(
            lin.program,
            Program(
                lin.program.inputs,
                tuple(lin.lettered(s, s.target) for s in forward),
                lin.program.outputs,
                lin.program.sizes,
            ),
            lin.wrt,
            tuple(cotangents),
            tuple(lin.lettered(s, s.target) for s in statements),
            tuple(self.gradients[t] for t in lin.wrt),
            Later(lambda: tuple(in_order([self._slow(t, to) for t, to in self.unnamed]))),
            Later(lambda: tuple(step for d in self.drafts for step in self._written(d))),
            tuple(lin.lettered(s, s.target) for s in lin.later),
            lin.differentials(),
            self.unsearched,
        )

    def _uncopied(self, statements: Sequence[Define]) -> list[Define]:
        """The statements, those left out that only copy the adjoint of a value without a name: it
        takes the copy's name."""
        own = {t for t in self.adjoint if self.lin.origin.get(t) is t} | self.few
        inner = {target for t, target in self.adjoint.items() if t in own}
        copies: dict[Tensor, Define] = {}
        for s in statements:
            if s.copied in inner:
                copies.setdefault(s.copied, s)
        names = {old: s.target for old, s in copies.items()}
        out = []
        for s in statements:
            if s in copies.values():
                continue
            body: Expr = rename_tensors(s.body, names)  # type: ignore[assignment]
            copy = copies.get(s.target)
            if copy is not None:
                s = replace(s, target=copy.target, of=copy.of, user=copy.user)
            scatter = None if s.scatter is None else rename_tensors(s.scatter, names)
            out.append(replace(s, body=body, scatter=scatter))  # type: ignore[arg-type]
        return out

    # A recurrence.

    def _visit_group(self, group: Sequence[Define]) -> None:
        """The adjoints of statements that need each other, or of a single one.

        Those of what a step hands on to later ones are cut out of the circle: they are read by
        their names before they are written.
        """
        reached = self._reached(group)
        handed = {a.tensor for s, a in elsewhere(tuple(group)) if s.target in reached}
        for define in reversed(group):
            if define.target not in handed:
                self._visit(define.target, define)
                continue
            t = define.target
            self.adjoint[t] = target = self._adjoint_of(t)
            self.unnamed.append((t, target))
            for occurrence in self.lin.occurrences(define):
                self._push(t, target, self._plain(target, t), occurrence)
        for define in reversed(group):
            if define.target in handed:
                self._close(define)

    def _reached(self, group: Sequence[Define]) -> set[Tensor]:
        """The targets of a group on which something that was visited depends."""
        found = {s.target for s in group if s.target in self.reads or s.target in self.cotangents}
        left = list(group)
        while users := [s for s in left if s.target in found]:
            found.update(t for s in users for t in self.lin.origins_of(s))
            left = [s for s in left if s not in users]
        return found

    def _close(self, define: Define) -> None:
        """Write the adjoint of what a recurrence hands on, once all of its readers are visited."""
        t = define.target
        sifted = collect([*self._given(t), *self.pending.pop(t, ())])
        eliminated = collect(map(eliminate, sifted))
        mark = len(self.defs.found)
        value = self.effort.tried(lambda: self.defs.base(eliminated), eliminated)
        self._write(t, self.adjoint[t], value, sifted, eliminated, define, steps=True)
        stages: list[tuple[str, Poly | Tensor]] = [
            ("eliminate", eliminated),
            ("known sums", value),
            ("compact form", self.adjoint[t]),
        ]
        self._explain(t, self.adjoint[t], stages, self.defs.found[mark:], define)

    # One tensor.

    def _visit(self, t: Tensor, define: Define | None) -> None:
        lin = self.lin
        sifted = collect([*self._given(t), *self.pending.pop(t, ())])
        unread = define is not None and t not in self.reads
        match self.cotangents.get(t, ()):
            case () if unread:
                return
            case (target,) if unread:
                pass
            case _:
                target = self._adjoint_of(t)
                self.unnamed.append((t, target))
        self.adjoint[t] = target
        eliminated = lin.kinks.joined(joined(collect(map(eliminate, sifted))))
        mark = len(self.defs.found)
        based = self.effort.tried(lambda: self._based(eliminated, t, define), eliminated)
        value = resolved(collect(map(cancel, based)), lin.definitions, self._finite)
        value = self.effort.tried(lambda: self._met(value), value)
        facts = self.defs.found[mark:]
        found = [] if define is None else lin.occurrences(define)
        named = define is None or self._is_border(t, value, define, found)
        stages: list[tuple[str, Poly | Tensor]] = [
            ("inline", sifted),
            ("eliminate", eliminated),
            ("known sums", value),
        ]
        if named:
            self._write(t, target, value, sifted, eliminated, define)
            self._note_absent(t, target, value)
            stages.append(("compact form", target))
        self._explain(t, target, stages, facts, define)
        if named:
            seed = self._plain(target, t)
        else:
            seed = value
            match value:
                case (only,) if not only.bound and is_product(only):
                    self._inline(t, target, only)
        if define is None:
            self.gradients[t] = target
        for occurrence in found:
            self._push(t, target, seed, occurrence)

    def _met(self, value: Poly) -> Poly:
        """Terms that have one divisor, or one exponential, in common though it looks otherwise."""
        if len(value) < 2:
            return value
        value = over_both(value, self.defs)
        exponentials = {a for t in value for a, _ in t.factors if self.defs.is_exponential(a)}
        if len(exponentials) < 2:
            return value
        from .logarithms import exponentials_joined  # needed where there are several

        return exponentials_joined(value, self.defs)

    def _based(self, value: Poly, t: Tensor, define: Define | None) -> Poly:
        """The base form of a tensor's adjoint."""
        if define is None:
            return self.defs.base(value)
        return self.defs.base_of_mean(value, t, self.lin.origins)

    def _push(self, t: Tensor, target: Tensor, seed: Poly, found: Occurrence) -> None:
        x = found.access.tensor
        self.reads.setdefault(x, []).append((t, found))
        if self.absent and not self.lin.kinks.calm(found.partial.factors, FINITE):
            seed = collect(map(self._guarded, seed))
        terms = sifted_terms(*self._apart(t, seed, found), self.lin.axes(x), self._own(t, x))
        self.pending.setdefault(x, []).extend(map(sift, terms))

    # What is absent stays so behind a name.

    def _note_absent(self, t: Tensor, target: Tensor, value: Poly) -> None:
        """Note the conditions on data without which a named adjoint is absent."""
        first, *others = [set(self._conditions(part)) for part in value] or [set()]
        shared = [c for c in first.intersection(*others) if accesses(c)]
        free = set(self.lin.axes(t))
        found = [c for c in shared if free.issuperset(free_indices(c))]
        if found:
            self.absent[target] = tuple(sorted(found, key=lambda cond: cond.key))
            self.of[target] = t

    def _conditions(self, part: Term) -> Iterator[Cond]:
        """The conditions without which a term is absent: its own, and those of the adjoints that it
        reads."""
        yield from part.guards
        for atom, exponent in part.factors:
            if isinstance(atom, Access) and exponent == 1 and atom.tensor in self.absent:
                axes = self.lin.axes(self.of[atom.tensor])
                place = dict(zip(axes, atom.subs, strict=True))
                yield from (substitute(c, place) for c in self.absent[atom.tensor])  # type: ignore[misc]

    def _guarded(self, part: Term) -> Term | None:
        """A term with the conditions of what it reads: what it is going to be multiplied with may
        have no value where they fail, and 0 times that isn't 0."""
        guards = [*self._conditions(part)]
        return (
            part
            if len(guards) == len(part.guards)
            else term(part.coef, part.bound, guards, part.factors, False)
        )

    def _own(self, t: Tensor, x: Tensor) -> tuple[Index, ...]:
        """The indices that a statement's terms in an adjoint are summed over: its target's axes,
        under other names where the statement reads its own target."""
        axes = self.lin.axes(t)
        return axes if x is not t else tuple(Index(f"{i.name}'", i.extent) for i in axes)

    def _apart(self, t: Tensor, seed: Poly, found: Occurrence) -> tuple[Poly, Occurrence]:
        """A statement's seed and an occurrence in it, over :meth:`_own`."""
        if found.access.tensor is not t:
            return seed, found
        names = dict(zip(self.lin.axes(t), self._own(t, t), strict=True))
        moved = [renamed(part, names, False) for part in (found.partial, *seed)]
        partial, *parts = (part for part in moved if part is not None)
        places = {old: at(new) for old, new in names.items()}
        access: Access = substitute(found.access, places)  # type: ignore[assignment]
        return tuple(parts), Occurrence(access, partial)

    def _given(self, t: Tensor) -> list[Term]:
        """The cotangents that the caller gives for a tensor."""
        return [part for target in self.cotangents.get(t, ()) for part in self._plain(target, t)]

    def _raw(self, x: Tensor) -> list[Term]:
        """The adjoint of a tensor as the chain rule gives it: one term for every read."""
        out: list[Term] = list(self._given(x))
        for t, found in self.reads.get(x, ()):
            seed = self._plain(self.adjoint[t], t)
            parts = self._apart(t, seed, found)
            out.extend(adjoint_terms(*parts, self.lin.axes(x), self._own(t, x)))
        return out

    def _slow(self, t: Tensor, target: Tensor) -> Define:
        """The statement of an adjoint before anything is done to it."""
        body = expression(collect(self._raw(t)))
        return self.lin.lettered(
            Define(target, self.lin.axes(t), body, Source(), True, None, t.name), target
        )

    def _adjoint_of(self, of: Tensor) -> Tensor:
        made = Tensor(self.lin.gradient_name(of.name), of.shape, of.dtype)
        self.lin.letters[made] = self.lin.letters[of]
        return made

    def _plain(self, target: Tensor, of: Tensor) -> Poly:
        access = Access(target, tuple(map(at, self.lin.axes(of))))
        return collect([term(ONE, (), (), ((access, ONE),))])

    def _finite(self, tensor: Tensor) -> bool:
        """Cotangents are taken for finite; so are inputs and gradients, unless elements of inputs
        may be missing. What the forward pass computes may overflow, and so may a name for a part of
        a gradient that reads such a value."""
        if not self.lin.complete:
            return any(tensor in given for given in self.cotangents.values())
        if tensor in self.parts:
            open_ended = [f for f in self.parts[tensor].factors if not is_bounded(*f)]
            return self.lin.kinks.calm(open_ended, FINITE)
        return tensor not in self.lin.definitions

    def _is_calm(self, tensor: Tensor) -> bool:
        """Whether a forward value is finite wherever the inputs are, short of an overflow."""
        read = Access(tensor, tuple(map(at, self.lin.axes(tensor))))
        return self.lin.complete and self.lin.kinks.calm([(read, ONE)], FINITE)

    # Borders.

    def _is_border(
        self, t: Tensor, value: Poly, define: Define, found: Sequence[Occurrence]
    ) -> bool:
        if len(value) < 2 and all(map(is_alias, value)):
            return False
        if self.effort.over:
            return True
        if len(value) == 1 and is_rank_one(value[0]):
            return False
        if all(map(is_placed, value)) or (
            len(value) == 1 and self.lin.axes(t) and is_scaled(value[0])
        ):
            return False
        if self._needs_a_name(value, define):
            return True
        small = any(len(self.lin.axes(t)) < len(self.lin.axes(o.access.tensor)) for o in found)
        few = self._is_dear(t, value, define, found)
        choice = {
            Naming.FEW: few,
            Naming.PARTS: few or small or len(value) > 1,
            Naming.SMALL: small or len(value) * len(found) > GROWTH,
            Naming.ALL: True,
            Naming.NONE: False,
        }
        if any(self._is_over_square_of_norm(part) for part in value):
            choice = dict.fromkeys(Naming, few)  # it may leave the range of floats
        own = choice[self.naming]
        self.others = [n for n in Naming if n in self.others or choice[n] is not own]
        return own

    def _is_over_square_of_norm(self, value: Term) -> bool:
        """Whether a term is divided by the square of a norm. Of a small norm that is too large for
        a float, though its product with what the norm is of, as readers make it, is not."""
        return any(
            e <= -1 and isinstance(a, Access) and self._is_squares(a) for a, e in value.factors
        )

    def _is_squares(self, value: Access) -> bool:
        """Whether a value is a sum of squares alone, whose root is a norm."""
        define = self.lin.definitions.get(value.tensor)
        terms = () if define is None else poly(define.body)
        return len(terms) == 1 and bool(terms[0].bound) and self.lin.is_square(value)

    def _needs_a_name(self, value: Poly, define: Define) -> bool:
        return (
            any(is_contraction(x) or is_scatter(x) for x in value)
            or is_product_of_matrices(define)
            or is_reshape(define)
        )

    def _is_dear(self, t: Tensor, value: Poly, define: Define, found: Sequence[Occurrence]) -> bool:
        """Whether an adjoint is read so often, or grows so much, that it is better named."""
        if any(
            is_multiple(o.partial) and o.partial.coef > 0 and self._feeds(o.access.tensor)
            for o in found
        ):
            return True
        if len(value) > 1 and any(self._scatters(t, o) for o in found):
            return True
        if len(value) == 1:
            products = any(len(factors) > 1 for _, _, factors in components_of(value[0])[1])
            return (products and self._fan_out(define) > 1) or len(value[0].factors) > FACTORS
        if self._spreads(define, volume(self.lin.axes(t)), ahead=define.user):
            return True
        fan_out = self._fan_out(define)
        if fan_out > READS or len(value) * len(found) > GROWTH:
            return True
        if fan_out > FEW and len(value) > 2 and define.user and define.indices:
            self.few.add(t)
            return True
        return False

    def _spreads(self, define: Define, size: float, ahead: bool) -> bool:
        """Whether a value of this size is made of one with far more elements: all terms of its
        adjoint would be multiplied with each of them.

        ``ahead``: or of one that only it is made of, and that in turn is. The adjoint of a product
        of matrices gets a name anyway.
        """
        if is_product_of_matrices(define):
            return False
        for access in accesses(define.body):
            read = access.tensor
            if read not in self.lin.active:
                continue
            if volume(free_indices(access)) > SPREAD * size:
                return True
            inner = self.lin.definitions.get(read) if ahead and self.uses[read] == 1 else None
            if inner is not None and not inner.user and self._spreads(inner, size, ahead):
                return True
        return False

    def _fan_out(self, define: Define) -> int:
        """How many products an adjoint goes into: through a plain sum into all that its terms go
        into."""
        total = 0
        for part in poly(define.body):
            for atom, _ in part.factors:
                if not isinstance(atom, Access) or atom.tensor not in self.lin.active:
                    continue
                inner = self.lin.definitions.get(atom.tensor)
                plain = len(part.factors) == 1 and not part.bound and not part.guards
                plain = plain and self.uses[atom.tensor] == 1
                total += self._fan_out(inner) if plain and inner is not None else 1
        return total

    def _feeds(self, tensor: Tensor) -> bool:
        """Whether a tensor that is read once is a product of matrices, perhaps scaled."""
        define = self.lin.definitions.get(tensor)
        if define is None or self.uses[tensor] > 1:
            return False
        if is_product_of_matrices(define):
            return True
        match poly(define.body):
            case (only,) if is_alias(only):
                read = [a for a, _ in only.factors if isinstance(a, Access) and a.subs]
                return any(self._feeds(a.tensor) for a in read)
        return False

    def _scatters(self, t: Tensor, found: Occurrence) -> bool:
        """Whether the adjoint of what is read here is a scatter or a strided window of t's
        adjoint."""
        axes = self.lin.axes(found.access.tensor)
        seed = self._plain(self.adjoint[t], t)
        terms = map(eliminate, sifted_terms(seed, found, axes, self.lin.axes(t)))
        return any(map(is_scatter, filter(None, terms)))

    # Writing.

    def _write(
        self,
        t: Tensor,
        target: Tensor,
        value: Poly,
        sifted: Poly,
        eliminated: Poly,
        define: Define | None,
        steps: bool = False,
    ) -> None:
        compact = self.effort.tried(lambda: self._compact(value), value)
        self.unsearched += self.effort.over
        source = define.source if define is not None else Source()
        while (ratio := self._ratio_in(compact)) is not None:
            self._statement(ratio.target, ratio.axes, (ratio.body,), source, user=False)
            self.names.add(ratio)
            self.ratios.append(ratio)
            compact = self._folded(compact)
        scatter = None
        if set(map(canonical, sifted)) != set(map(canonical, eliminated)):
            scatter = expression(self._folded(sifted))
        axes = self.lin.axes(t)
        of = "" if self.lin.origin.get(t) is t else t.name
        self._statement(target, axes, compact, source, scatter=scatter, of=of)
        if steps:  # a name to be spelled out, or found again, at other steps: a circle
            return
        if self.effort.over:
            return
        match value:
            case (only,) if not is_alias(only):
                self.names.add(Pattern(target, axes, only))
        self.defs.learn_gradient(target, axes, value)
        if target in self.defs.additive:
            self.divided.learn(target)

    def _statement(
        self,
        target: Tensor,
        axes: tuple[Index, ...],
        form: Poly,
        source: Source,
        user: bool = True,
        scatter: Expr | None = None,
        of: str = "",
    ) -> None:
        """Note a statement; its body is written when all are known."""
        self.forms[target] = form
        self.statements.append(Define(target, axes, ZERO, source, user, scatter, of))

    def _inline(self, t: Tensor, target: Tensor, value: Term) -> None:
        """Note an inlined adjoint of one term: what it is up to a number may get a name."""
        if abs(value.coef) != 1:
            target = Tensor(self.lin.name("shared"), t.shape, t.dtype)
            self.lin.letters[target] = self.lin.letters[t]
            value = Term(ONE, value.bound, value.guards, value.factors)
        self.parts[target] = value
        for body in dict.fromkeys((value, *self._folded((value,)))):
            self.inlined[Pattern(target, self.lin.axes(t), body, False)] = t

    def _bodies(self) -> list[Define]:
        """The statements with their bodies, those of introduced names among them."""
        chosen, forms = worth_a_name(
            tuple(self.inlined), self.forms, self.lin, self.known, self.effort
        )
        of = {pattern.target: t for pattern, t in self.inlined.items()}
        for pattern in chosen:
            form = self._folded(forms[pattern.target])
            if forms.keys().isdisjoint(reads_of(form)):  # a gradient may itself read this name
                forms[pattern.target] = form
            t = of[pattern.target]
            of_t = self.lin.definitions.get(t)  # none of what only a differential names
            about = Define(pattern.target, (), ZERO, of_t.source if of_t else Source(), of=t.name)
            if pattern.target is not self.adjoint[t]:  # no gradient, but a part of those of others
                readers = (
                    r for r in self.statements if pattern.target in reads_of(forms[r.target])
                )
                about = replace(next(readers, about), of="")
            made = Define(pattern.target, pattern.axes, ZERO, about.source, user=False, of=about.of)
            self.statements.insert(0, made)
        if not self.steps and not self.effort.over:
            before: tuple[list[Pattern], dict[Tensor, Poly]] = ([], forms)
            sums, forms = self.effort.tried(
                lambda: contained_sums(before[1], self.defs, self.names, self.lin, self.known),
                before,
            )
            for pattern in sums:
                forms[pattern.target] = (pattern.body,)
                self.statements.insert(0, Define(pattern.target, pattern.axes, ZERO, user=False))
        forms = without_idle_ratios(self.ratios, forms, self.known)
        self.statements = [s for s in self.statements if s.target in forms]
        self.forms = forms
        self._repeated()
        out = [replace(s, body=factored(forms[s.target], self.known)) for s in self.statements]
        return [unpinned(s, forms) for s in out] if self.steps else out

    def _repeated(self) -> None:
        """A gradient that is a multiple of another is written as that."""
        found: dict[tuple[Any, ...], tuple[Tensor, Fraction]] = {}
        for n, s in enumerate(() if self.steps else self.statements):
            value = self.forms[s.target]
            if not value or (len(value) == 1 and is_read(value[0])):
                continue
            marks = {i: at(Index(f"#{PRIVATE}{k}", i.extent)) for k, i in enumerate(s.indices)}
            moved = collect(replaced(part, marks) for part in value)
            terms = sorted(((canonical(t).key, t.coef) for t in moved), key=lambda pair: pair[0])
            unit = terms[0][1]
            key = (s.target.shape, s.target.dtype, *((k, coef / unit) for k, coef in terms))
            other, coef = found.setdefault(key, (s.target, unit))
            if other is not s.target:
                same = Access(other, tuple(map(at, s.indices)))
                self.forms[s.target] = poly(mul(number(unit / coef), same))
                self.statements[n] = replace(s, scatter=None)

    def _ratio_in(self, value: Poly) -> Pattern | None:
        """A value over the sum of such values that is to get a name."""
        divided = {a.tensor for r in self.ratios for a, e in r.body.factors if e < 0}  # type: ignore[union-attr]
        return None if self.effort.over else ratio_to_sum(value, self.lin, divided)

    def _folded(self, value: Poly) -> Poly:
        """Terms with names put back, each by itself."""
        return self.effort.tried(lambda: collect(self.names.fold(x) for x in value), value)

    def _compact(self, value: Poly) -> Poly:
        found = self.regions.result("compact form", self._compacted, value)
        assert found is not None
        return found

    def _compacted(self, value: Poly) -> Poly:
        out = self._put_back(value)
        fewer = self.effort.tried(lambda: cancelled(value, self.defs), None)
        for spelled in (fewer, self._multiplied_out(value)):
            if spelled is not None:
                other = self._put_back(spelled)
                if not loses(other, self.defs):
                    out = min(out, other, key=self._weight)
        out = self._taken_apart(collect(map(self.defs.small_for, out)))
        return merge_sums(out, lambda terms: self._weight(terms)[0])

    def _multiplied_out(self, value: Poly) -> Poly | None:
        return self.effort.tried(lambda: multiplied_out(value, self.defs), None)

    def _put_back(self, value: Poly) -> Poly:
        """The terms with the names of sums and products put back."""
        out = fold_sums(value, self.defs)
        safe = complements(out, self.defs, self.names)
        self.delicate = self.delicate or safe != out
        out = safe
        self.effort.spend(len(out) ** 2 / 4)
        return self._named(out)

    def _taken_apart(self, value: Poly) -> Poly:
        """The terms with sums over differences, and the like, as differences of sums, where that is
        cheaper."""
        out = list(value)
        for k, part in enumerate(value):
            for spread in self.defs.taken_apart(part):
                if self._weight(spread)[0] < self._weight((part,))[0]:
                    out[k : k + 1] = [*spread]
                    return self._taken_apart(collect(out))
        return value

    def _named(self, value: Poly) -> Poly:
        """The terms with names put back: each as cheap as can be, or all together if that is
        cheaper.

        A name that is good for one term may hide a factor that it shares with the others.
        """
        forms = [self.names.forms(x)[:FORMS] for x in value]
        best = [options[0] for options in forms]
        if 1 < len(value) <= MANY:
            least = self._weight(collect(best))
            for k, options in enumerate(forms):
                for option in options[1:]:
                    other = list(best)
                    other[k] = option
                    weight = self._weight(collect(other))
                    if weight < least:
                        best, least = other, weight
        return collect(best)

    def _weight(self, value: Poly) -> tuple[float, int, int]:
        """Cost first, then made-up names, then length."""
        self.effort.spend(len(value))
        body = factored(value, self.known)
        made_up = sum(self.regions.ask("made up", tensor) for tensor in tensors(body))
        return expression_cost(body), made_up, sum(1 for _ in nodes(body))

    # Explaining.

    def _explain(
        self,
        t: Tensor,
        target: Tensor,
        stages: Sequence[tuple[str, Poly | Tensor]],
        facts: Sequence[tuple[Term, Poly]],
        define: Define | None,
    ) -> None:
        """Note the stages of one adjoint; they are written down as steps when somebody reads
        them."""
        quiet = define is not None and not define.user
        self.drafts.append(_Draft(t, target, self.lin.axes(t), tuple(stages), tuple(facts), quiet))

    def _written(self, draft: _Draft) -> Iterator[Step]:
        raw = self._raw(draft.of)
        before: Expr = expression(collect(raw))
        stages = [("sift", collect(map(sift, raw))), *draft.stages]
        norm = any(self.lin.is_norm(t) for t, _ in self.reads.get(draft.of, ()))
        for name, value in stages:
            after = (
                expression(value)
                if isinstance(value, tuple)
                else factored(self.forms[value], self.known)
            )
            if after is not before:
                reason = REASONS[name] + (NORM if norm else "")
                norm = False
                if name == "known sums":
                    reason = "; ".join(self._fact(draft, *fact) for fact in draft.facts) or reason
                yield self._lettered_step(
                    Step(name, reason, draft.target, draft.axes, before, after, draft.quiet)
                )
            before = after
        final = self.final.get(draft.target)
        if final is not None and isinstance(final.body, Opaque):
            moved = dict(zip(final.indices, map(at, draft.axes), strict=True))
            after = substitute(final.body, moved)  # type: ignore[assignment]
            yield self._lettered_step(
                Step(
                    "solve", REASONS["solve"], draft.target, draft.axes, before, after, draft.quiet
                )
            )

    def _fact(self, draft: _Draft, value: Term, known: Poly) -> str:
        from ..notation.plain import show

        sides = [
            self.lin.lettered(Define(draft.target, draft.axes, side), draft.target).body
            for side in (expression((value,)), expression(known))
        ]
        return f"{show(sides[0])} = {show(sides[1])}"

    def _lettered_step(self, step: Step) -> Step:
        before = self.lin.lettered(Define(step.target, step.indices, step.before), step.target)
        after = self.lin.lettered(Define(step.target, step.indices, step.after), step.target)
        return replace(step, indices=before.indices, before=before.body, after=after.body)


REASONS = {
    "sift": "a sum over a Kronecker delta is the one term that it picks",
    "inline": "upstream gradients of this region are put in place",
    "eliminate": "each equality of subscripts is solved for an index; its range becomes a guard",
    "known sums": "values are spelled out in what they are defined by, named sums get their names",
    "solve": "a product with the inverse of a matrix solves a system of linear equations",
    "compact form": "the program's own names are put back and common factors taken out",
}


NORM = "; the root of a sum of squares is a norm: its gradient is taken as 0 where it is 0"


@dataclass(frozen=True)
class _Draft:
    """The stages of one adjoint, before anybody reads them."""

    of: Tensor
    target: Tensor
    axes: tuple[Index, ...]
    stages: tuple[tuple[str, Poly | Tensor], ...]
    facts: tuple[tuple[Term, Poly], ...]
    quiet: bool


def is_alias(value: Term) -> bool:
    """Whether a term is a scalar multiple of one tensor's element, perhaps on a diagonal."""
    if value.bound or not all(map(_is_plain_equality, value.guards)):
        return False
    return [e for a, e in value.factors if not _is_scalar(a)] in ([], [1])


def is_read(value: Term) -> bool:
    """Whether a term is a scalar multiple of an element that is read."""
    return is_alias(value) and all(isinstance(a, Access | SizeOf) for a, _ in value.factors)


def is_bounded(atom: Expr, exponent: Fraction) -> bool:
    """Whether a factor is a value of a function between two numbers."""
    match atom:
        case Apply(function):
            return exponent > 0 and isfinite(TABLE[function].low) and isfinite(TABLE[function].high)
    return False


def is_multiple(value: Term) -> bool:
    """Whether a term is a number, a product of sizes and scalars, perhaps on a diagonal."""
    return is_alias(value) and all(_is_scalar(atom) for atom, _ in value.factors)


def is_product(value: Term) -> bool:
    """Whether a term is more than a multiple, by numbers and sizes, of one tensor's element."""
    if not is_alias(value):
        return True
    return sum(not isinstance(a, SizeOf) for a, _ in value.factors) > 1 and not any(
        isinstance(a, Access) and a.subs for a, _ in value.factors
    )


def _is_plain_equality(cond: Cond) -> bool:
    """``[i = j]`` for two indices."""
    match cond:
        case Zero(Subscript(((Index() as i, _), (Index() as j, _)), _)):
            return cond.sub is at(i) - at(j)
    return False


def _is_scalar(atom: Expr) -> bool:
    match atom:
        case SizeOf() | Access(_, ()):
            return True
    return False


def is_contraction(value: Term) -> bool:
    """Whether a sum pairs two factors of which each has a free index that the other lacks."""
    return any(
        left - right and right - left
        for bound, _, factors in components_of(value)[1]
        for left, right in combinations(_frees(bound, factors), 2)
    )


def _frees(bound: Sequence[Index], factors: Sequence[Factor]) -> list[set[Index]]:
    """The free indices of each factor that is summed over."""
    found = [set(free_indices(atom)) for atom, _ in factors]
    return [indices.difference(bound) for indices in found if not indices.isdisjoint(bound)]


def is_rank_one(value: Term) -> bool:
    """Whether a term is an outer product: of two parts that have no index in common. What it is
    multiplied with is better multiplied with the parts."""
    if value.guards or value.bound:
        return False
    sets = [set(free_indices(a)) for a, _ in value.factors]
    sets = [indices for indices in sets if indices]
    first = set(sets[0]) if sets else set()
    for _ in sets:
        for other in sets:
            if not first.isdisjoint(other):
                first |= other
    return any(first.isdisjoint(other) for other in sets)


def is_scaled(value: Term) -> bool:
    """Whether a term is one tensor's element times sums that have no index in common with it: what
    it goes on to has that element as a factor, too, under no other name."""
    (guards, factors), parts = components_of(value)
    return (
        bool(parts)
        and not guards
        and is_alias(Term(value.coef, (), (), factors))
        and not any(free_of(Term(ONE, *part)) for part in parts)
    )


def is_placed(value: Term) -> bool:
    """Whether a term is 0 everywhere but at one place of a long axis, which data says: an element a
    row. What is summed with it is better read there, than multiplied with rows of zeros."""
    return not value.bound and any(
        says_where(c) and all(i.extent.at_least(SPREAD) or not i.extent.literal for i in _placed(c))
        for c in value.guards
    )


def _placed(cond: Cond) -> list[Index]:
    """The indices that are what data says."""
    if not isinstance(cond, Zero):
        return []
    return [i for i in free_indices(cond) if isolated(cond.sub, i) is not None]


def _computing(statements: Sequence[Define], outputs: Iterable[Tensor]) -> list[Define]:
    """The statements that compute some tensors. A form as a scatter that reads what only such forms
    read goes with that."""
    kept = computing(statements, outputs)
    gone = {s.target for s in statements} - {s.target for s in kept}
    return [
        replace(s, scatter=None)
        if s.scatter is not None and not gone.isdisjoint(tensors(s.scatter))
        else s
        for s in kept
    ]


def is_scatter(value: Term) -> bool:
    """Whether an equality that could not be eliminated remains under a sum, or a strided window
    does."""
    from ..ir.expr import Divides

    return any(
        isinstance(c, Zero | Divides) and any(i in value.bound for i in free_indices(c))
        for c in value.guards
    )


def is_product_of_matrices(define: Define) -> bool:
    """Whether a statement sums a product of two tensors that don't run over the same indices."""
    match poly(define.body):
        case (only,):
            frees = _frees(only.bound, only.factors)
            return any(left != right for left, right in combinations(frees, 2))
    return False
