"""What the flat program defines, as the rewriting of terms needs it.

The *base form* of a term: defined products are spelled out in what they are products of, defined
sums are called by their names, and sums of values that are known in the end (Σ_n (x - mean) = 0,
Σ_c P = 1) are replaced by what they are. Two terms that are equal because of the program's
definitions meet there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from ..ir.expr import Access, Apply, Cond, Expr, Opaque, SizeOf, Tensor
from ..ir.program import Define
from ..ir.subscripts import Index, at
from ..ir.walk import free_indices, substitute
from ..opaque import SYSTEMS
from ..text import PRIVATE
from .cost import volume
from .effort import Effort
from .eliminate import eliminate
from .flatten import has_lookup_node, is_reshape
from .guards import in_range, says_where, settle
from .match import Pattern, places
from .normal import (
    Component,
    Factor,
    Poly,
    Term,
    apart,
    canonical,
    collect,
    components_of,
    expression,
    free_of,
    indices_in,
    multiply,
    nonnegative_atom,
    poly,
    rational_power,
    renamed,
    replaced,
    term,
)
from .regions import Regions
from .selecting import Selections, is_zero_beside
from .symmetry import Symmetries

ONE = Fraction(1)
DEPTH = 4
TERMS = 200
SPREAD = 8  # terms of a sum of sums
FACTORS = 24  # a term of more is not spelled out any further
BITS = 128  # nor is one whose coefficient needs more: a float has 53


Held = tuple[tuple[Index, ...], tuple[Cond, ...]]


def _at(access: Access, held: Held | None) -> Iterator[Cond]:
    """The guards of a value where it is read."""
    axes, guards = held or ((), ())
    place = dict(zip(axes, access.subs, strict=True)) if held else {}
    for cond in guards:
        yield from settle((substitute(cond, place),), ()) or ()  # type: ignore[arg-type]


class Definitions:
    """The flat statements as rewriting needs them: products, sums, and sums of products."""

    def __init__(
        self,
        statements: Sequence[Define],
        effort: Effort | None = None,
        before: Regions | None = None,
    ) -> None:
        self.products: dict[Tensor, Pattern] = {}
        self._spelled: dict[Tensor, Pattern] = {}  # products of what is no product
        self.guarded: dict[Tensor, Pattern] = {}  # products that are absent where a guard fails
        self._values: dict[Tensor, tuple[tuple[Index, ...], Poly]] = {}
        self._held: dict[Tensor, Held | None] = {}
        self.sums: dict[Tensor, tuple[Pattern, ...]] = {}
        self.additive: dict[Tensor, tuple[tuple[Index, ...], Poly]] = {}
        self._spread: dict[Tensor, tuple[tuple[Index, ...], Poly | None]] = {}
        self._as_sums: dict[Tensor, tuple[tuple[Index, ...], Poly]] = {}
        self.facts: dict[Term, Poly | None] = {}
        self._hidden: frozenset[Tensor] = frozenset()  # named sums that aren't looked for just now
        self.roundings: set[Term] = set()  # sums that would be 0 if a mean were not rounded
        self.contractions: dict[Tensor, Pattern] = {}  # gradients that are sums of products
        self._outer: dict[Tensor, tuple[Factor, ...]] = {}
        self._terms: dict[Tensor, Poly] = {}
        self._axes: dict[Tensor, tuple[Index, ...]] = {}
        self._signs: dict[Tensor, bool] = {}
        self.found: list[tuple[Term, Poly]] = []
        self._readers: dict[Tensor, dict[Tensor, int]] = {}
        self.symmetries = Symmetries()
        self.regions = Regions(effort, before)
        self._bodies: dict[Tensor, Expr] = {}
        selections = Selections(self._bodies, self._is_away)
        self.regions.questions |= {
            "product": self.products.get,
            "spelled": self._spelled.get,
            "placed": self._placed,
            "sums": self._sums_of,
            "outer": self._outer.__getitem__,
            "additive": self.additive.get,
            "spread": self._spread.get,
            "smaller parts": self._smaller_parts,
            "additive in": self._additive_in,
            "nonnegative": self.nonnegative,
            "function": self.function_of,
            "exponent": self.exponent_of,
            "held": self._held_by,
            "finite": lambda tensor: tensor not in self._terms,
            "away from 0": lambda tensor: False,
            "calm": lambda tensor: False,
            "selects": selections.selects,
            "divides by a selection": selections.divides,
        }
        for statement in statements:
            self.learn(statement)

    def learn(self, statement: Define) -> None:
        """Add a statement's definition."""
        target, axes, user = statement.target, statement.indices, statement.user
        terms = poly(statement.body) if target.kind == "float" else ()
        self._terms[target] = terms
        self._bodies[target] = statement.body
        self._axes[target] = axes
        self.symmetries.learn(target, axes, terms)
        self.symmetries.learn_operation(statement)
        self._values[target] = axes, terms
        match terms:
            case (only,) if only.bound:
                self._learn_sum(target, axes, only, user)
            case (only,) if _is_product(only) and not is_reshape(statement):
                self._learn_product(Pattern(target, axes, only, user))
            case (only,) if only.guards:
                self.guarded[target] = Pattern(target, axes, only, user)
            case (_, _, *_) if not any(t.bound for t in terms):
                self._learn_additive(target, axes, terms)

    def learn_later(self, statements: Sequence[Define], solutions: Sequence[Define]) -> None:
        """Add operations whose results only the derivative reads. An inverse times what a system of
        equations was solved for is the solution that the forward pass has."""
        for statement in statements:
            self.symmetries.learn_operation(statement)
            match statement.body:
                case Opaque(operation, (matrix,)) if operation in SYSTEMS:
                    for found in solutions:
                        self._learn_solution(found, statement.target, matrix, SYSTEMS[operation])

    def _learn_solution(self, define: Define, inverse: Tensor, matrix: Tensor, word: str) -> None:
        match define.body:
            case Opaque(operation, (other, right)) if other is matrix:
                pass
            case _:
                return
        name = operation.removesuffix("_columns")
        if name not in (word, f"{word}_transposed"):
            return
        axes, count = define.indices, len(matrix.shape) - 2
        batch, row, more = axes[:count], axes[count], axes[count + 1 :]
        bound = Index(f"j{PRIVATE}", row.extent)
        places = [(row, bound), (bound, row)][:: 1 if name == word else -1]
        symmetric = (count, count + 1, 1) in self.symmetries.swaps.get(inverse, ())
        for pair in places if symmetric else places[:1]:
            factors = (
                Access(inverse, tuple(map(at, (*batch, *pair)))),
                Access(right, tuple(map(at, (*batch, bound, *more)))),
            )
            only = term(ONE, (bound,), (), [(factor, ONE) for factor in factors])
            assert only is not None  # no guards
            self._learn_sum(define.target, axes, only, define.user)

    def learn_gradient(self, target: Tensor, axes: tuple[Index, ...], value: Poly) -> None:
        """Add a gradient that got a name: what sums of it are may follow from what it is."""
        self.symmetries.learn(target, axes, value)
        self._values[target] = axes, value
        self._bodies[target] = expression(value)
        match value:
            case (only,) if only.bound:
                self._learn_sum(target, axes, only, True)
                if not only.guards:
                    self.contractions[target] = Pattern(target, axes, only)
            case (_, _, *_):
                self._learn_additive(target, axes, value)

    def _learn_product(self, pattern: Pattern) -> None:
        """Add a product. One that is spelled out at length is a factor like any other: a chain of
        products is spelled out in stretches."""
        self.products[pattern.target] = pattern
        body = self.expanded(pattern.body)
        if body is not None and _is_short(body):
            self._spelled[pattern.target] = replace(pattern, body=body)

    def _held_by(self, tensor: Tensor) -> Held | None:
        """The axes of a value, and the guards under which all of its terms stand: it is 0 where
        they fail."""
        if tensor not in self._held:
            self._held[tensor] = None  # a recurrence reads what it defines
            axes, terms = self._values.get(tensor, ((), ()))
            if terms:
                first, *others = [dict.fromkeys(self.guards_of(part)) for part in terms]
                found = [c for c in first if set(axes).issuperset(free_indices(c))]
                shared = tuple(c for c in found if all(c in other for other in others))
                self._held[tensor] = (axes, shared) if shared else None
        return self._held[tensor]

    def guards_of(self, value: Term) -> Iterator[Cond]:
        """The guards without which a term is 0: its own, and those of the values that it reads, of
        which each is multiplied with what is finite."""
        yield from value.guards
        for atom, exponent in value.factors:
            if isinstance(atom, Access) and exponent >= 1:
                for cond in _at(atom, self._held_by(atom.tensor)):
                    if is_zero_beside(atom, value.factors, cond, self._answer):
                        yield cond

    def _answer(self, question: str, tensor: Tensor) -> object:
        return self.regions.questions[question](tensor)

    def _is_away(self, base: Expr) -> object:
        return isinstance(base, Access) and self._answer("away from 0", base.tensor)

    def guards_at(self, access: Access) -> Iterator[Cond]:
        """The guards without which a value is 0 where it is read."""
        return _at(access, self.regions.ask("held", access.tensor))

    def _learn_additive(self, target: Tensor, axes: tuple[Index, ...], terms: Poly) -> None:
        self.additive[target] = (axes, terms)
        self._spread[target] = (axes, self.spread(terms))
        self.note_sum(target, axes, terms)

    def note_sum(self, target: Tensor, axes: tuple[Index, ...], terms: Poly) -> None:
        """Note that these terms together are a value, so that its name can be put for them."""
        self._as_sums[target] = (axes, terms)
        for part in terms:
            for atom, _ in part.factors:
                if isinstance(atom, Access):
                    self._readers.setdefault(atom.tensor, {})[target] = len(self._as_sums)

    def spread(self, terms: Poly) -> Poly | None:
        """Terms in base form, those that are sums themselves spelled out; None where these are
        many."""
        out: list[Term | None] = []
        for part in terms:
            match part:
                case Term(coef, (), (), ((Access(tensor, subs), 1),)) if known := self.regions.ask(
                    "spread", tensor
                ):
                    axes, parts = known
                    if parts is None:
                        return None
                    place = dict(zip(axes, subs, strict=True))
                    out += [replaced(replace(t, coef=coef * t.coef), place) for t in parts]
                case _:
                    out.append(self.expanded(part))
        found = collect(out)
        return found if len(found) <= SPREAD else None

    def _additive_in(
        self, present: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, tuple[Index, ...], Poly], ...]:
        """The sums of terms that read one of these tensors, last defined first."""
        places = {t: k for tensor in present for t, k in self._readers.get(tensor, {}).items()}
        last_first = sorted(places, key=places.__getitem__, reverse=True)
        return tuple((target, *self._as_sums[target]) for target in last_first)

    def nonnegative(self, tensor: Tensor) -> bool:
        """Whether a tensor's elements are >= 0 by what defines them."""
        if tensor not in self._signs:
            self._signs[tensor] = False  # while it is being looked at
            terms = self._terms.get(tensor, ())
            self._signs[tensor] = bool(terms) and all(
                t.coef > 0 and all(self._nonnegative(a, e) for a, e in t.factors) for t in terms
            )
        return self._signs[tensor]

    def function_of(self, tensor: Tensor) -> str:
        """The scalar function whose value a tensor is, "" if it is none's."""
        match self._terms.get(tensor):
            case (Term(factors=((Apply(function), 1),)),):
                return function
        return ""

    def exponent_of(self, tensor: Tensor) -> tuple[tuple[Index, ...], Poly] | None:
        """The axes of an exponential and the terms of what it is taken of, None of anything
        else."""
        match self._terms.get(tensor):
            case (Term(1, (), (), ((Apply("exp", (argument,)), 1),)),):
                return self._axes[tensor], poly(argument)
        return None

    def is_exponential(self, atom: Expr) -> bool:
        """Whether a factor is an exponential, or reads one."""
        match atom:
            case Access(tensor, _):
                return self.function_of(tensor) == "exp"
        return isinstance(atom, Apply) and atom.function == "exp"

    def value_of(self, tensor: Tensor) -> tuple[tuple[Index, ...], Poly] | None:
        """The axes and the terms of a forward value."""
        return self._values[tensor] if tensor in self._terms else None

    def argument_of(self, tensor: Tensor) -> tuple[tuple[Index, ...], Poly]:
        """The axes of a function's value and the terms of what the function is taken of."""
        match self._terms[tensor]:
            case (Term(_, _, _, ((Apply(_, (argument,)), _),)),):
                return self._axes[tensor], poly(argument)
        raise AssertionError(tensor)

    def _nonnegative(self, atom: Expr, exponent: Fraction) -> bool:
        if exponent % 2 != 1:
            return True  # a root is, or is undefined
        if isinstance(atom, Access):
            return self.nonnegative(atom.tensor)
        return nonnegative_atom(atom)

    def _learn_sum(self, target: Tensor, axes: tuple[Index, ...], only: Term, user: bool) -> None:
        """``target = c·Σ inner``: what stands outside the sum and is never 0 is divided off."""
        match self.expanded(only):
            case Term(coef, (_, *_) as bound, guards, factors):
                outer = [
                    (a, e)
                    for a, e in factors
                    if isinstance(a, SizeOf)
                    or (e < 0 and not any(i in bound for i in free_indices(a)))
                ]
                rest = tuple(f for f in factors if f not in outer)
                reads = [a.tensor for a, _ in rest if isinstance(a, Access)]
                if reads:
                    self._outer[target] = tuple(outer)
                    pattern = Pattern(target, axes, Term(coef, bound, guards, rest), user)
                    self.sums[reads[0]] = (*self.sums.get(reads[0], ()), pattern)

    # Base form.

    def base(self, value: Poly) -> Poly:
        """The base form of a sum of terms."""
        terms = collect(map(self.symmetries.oriented, self._based(value)))
        for _ in range(DEPTH):
            changed = self._with_facts(terms)
            if changed == terms:
                break
            terms = changed
        return self._moved(terms) if self.contractions else terms

    def _based(self, value: Poly) -> Iterator[Term]:
        """The terms with products spelled out and sums called by name."""
        return filter(None, map(self._base_term, value))

    def _base_term(self, value: Term) -> Term | None:
        out = self.expanded(value)
        if out is not None and any(map(says_where, out.guards)):
            out = eliminate(out)
        return None if out is None else self.named_sums(out)

    def expanded(self, value: Term) -> Term | None:
        """The term with defined products spelled out."""
        while _is_short(value):
            found = next((f for f in value.factors if self._spelling(*f) is not None), None)
            if found is None:
                return value
            atom, exponent = found
            pattern = self._spelling(atom, exponent)
            assert isinstance(atom, Access) and pattern is not None
            made = _opened(value, atom, pattern.axes, pattern.body, exponent)
            if made is None:
                return None
            value = made
        return value

    def _placed(self, tensor: Tensor) -> Pattern | None:
        """What a value is the product of that is absent everywhere but at one place of an axis,
        which data says: one element a row is less than a row with zeros."""
        pattern = self.guarded.get(tensor)
        if pattern is None or not any(map(says_where, pattern.body.guards)):
            return None
        body = pattern.body
        guards = (*body.guards, *in_range(body.guards))
        return replace(pattern, body=Term(body.coef, body.bound, guards, body.factors))

    def unguarded(self, value: Term) -> Term | None:
        """The term with defined products spelled out, guarded ones too."""
        while _is_short(value):
            out = self.expanded(value)
            if out is None:
                return None
            found = [a for a, e in out.factors if e == 1 and isinstance(a, Access)]
            atom = next((a for a in found if a.tensor in self.guarded), None)
            if atom is None:
                return out
            pattern = self.guarded[atom.tensor]
            made = _opened(out, atom, pattern.axes, pattern.body)
            if made is None:
                return None
            value = made
        return value

    def _spelling(self, atom: Expr, exponent: Fraction) -> Pattern | None:
        """What a factor is the product of, if it can be spelled out."""
        if not isinstance(atom, Access):
            return None
        whole = exponent.denominator == 1
        pattern: Pattern | None = self.regions.ask("spelled" if whole else "product", atom.tensor)
        if pattern is None and exponent == 1:
            pattern = self.regions.ask("placed", atom.tensor)
        if pattern is None or rational_power(pattern.body.coef, exponent) is None:
            return None
        unsure = [
            e for a, e in pattern.body.factors if e.denominator == 1 and not nonnegative_atom(a)
        ]
        return pattern if whole or unsure in ([], [ONE], [-ONE]) else None

    def named_sums(self, value: Term) -> Term:
        """The term with defined sums called by their names."""
        while (changed := self._one_named_sum(value)) is not None:
            value = changed
        return value

    def _one_named_sum(self, value: Term) -> Term | None:
        tensors = dict.fromkeys(a.tensor for a, _ in value.factors if isinstance(a, Access))
        for tensor in tensors:
            for pattern in self.regions.ask("sums", tensor):
                self.regions.effort.spend()
                for found, name in places(pattern, value):
                    made = self._divided(pattern, found, name)
                    if made is not None:
                        return made
        return None

    def _divided(self, pattern: Pattern, found: Term, name: Access) -> Term | None:
        """The term in which a sum's name was put, over what stands outside the sum in its
        definition."""
        place = dict(zip(pattern.axes, name.subs, strict=True))
        outer = [(substitute(a, place), -e) for a, e in self.regions.ask("outer", pattern.target)]
        return term(found.coef, found.bound, found.guards, [*found.factors, *outer])  # type: ignore[list-item]

    # Sums over gradients that are sums themselves.

    def _moved(self, terms: Poly) -> Poly:
        """The terms with sums over gradients taken of what those are sums of, where that costs no
        more, or where equal terms meet."""
        totals: dict[Term, Fraction] = {}
        kept: dict[Term, tuple[Term, Fraction]] = {}
        for value in terms:
            far = self._without_gradients(value, dearer=True)
            key = canonical(far)
            totals[key] = totals.get(key, Fraction(0)) + far.coef
            kept.setdefault(key, (value, far.coef))
        return collect(
            self._without_gradients(replace(value, coef=value.coef * total / first))
            for key, total in totals.items()
            for value, first in [kept[key]]
            if total
        )

    def _without_gradients(self, value: Term, dearer: bool = False) -> Term:
        """The term with a sum over a gradient taken of what that is a sum of, where a forward value
        holds the rest, as long as there is one: after ``Y = P V``, ``Σ P·dP`` is ``Σ dY·Y``.

        Unless ``dearer``, it is where that costs no more: it needs one sum after another no longer.
        """
        while True:
            made = next(self._steps_before(value, dearer), None)
            if made is None:
                return value
            value = made

    def _steps_before(self, value: Term, dearer: bool) -> Iterator[Term]:
        for _, _, factors in components_of(value)[1]:
            for atom in (a for a, _ in factors if isinstance(a, Access)):
                for made, name in self._summed_before(value, atom):
                    size = volume(dict.fromkeys(i for a, _ in factors for i in free_indices(a)))
                    if dearer or _volume_with(made, name) <= size:
                        yield made

    def _summed_before(self, value: Term, atom: Access) -> Iterator[tuple[Term, Access]]:
        """The term with a gradient spelled out, and a forward value's name put for a sum in
        that."""
        known = self.contractions.get(atom.tensor)
        spread = _opened(value, atom, known.axes, known.body) if known is not None else None
        if spread is None:
            return
        read = [a for a, _ in spread.factors if isinstance(a, Access)]
        for tensor in dict.fromkeys(access.tensor for access in read):
            for pattern in self.sums.get(tensor, ()):
                if pattern.target not in self._terms:
                    continue
                self.regions.effort.spend()
                for found, name in places(pattern, spread):
                    made = self._divided(pattern, found, name)
                    if made is not None:
                        yield made, name

    # Reduction facts.

    def _with_facts(self, terms: Poly) -> Poly:
        out: list[Term | None] = []
        for value in terms:
            known = self._fact_in(value)
            if known is None:
                out.append(value)
            else:
                out.extend(self._base_term(t) for t in known)
        return collect(out)

    def _fact_in(self, value: Term) -> Poly | None:
        """The term with one of its closed sums replaced by what it is known to be; None if none
        is."""
        for bound, guards, factors in components_of(value)[1]:
            inner = term(ONE, bound, guards, factors)
            known = self.known(inner) if inner is not None else ()
            if known is not None:
                return multiply(collect([_without(value, (bound, guards, factors))]), known)
        return None

    def base_of_mean(
        self, terms: Poly, mean: Tensor, origins: Callable[[Sequence[Tensor]], set[Tensor]]
    ) -> Poly:
        """The base form of the adjoint of what may be a mean: if nothing else of it would be left,
        it keeps sums that are 0 but for the mean's rounding.

        A value less its mean sums to 0, and in floating point to as many times what the mean was
        rounded by. In the gradient of the value, that takes the rounding away. Such a sum counts
        as unknown from then on. What is centred again is as good as its second mean is small.
        """
        mark = len(self.found)
        value = self.base(terms)
        if not terms or mean not in self._readers or not all(map(self._is_rounding, value)):
            return value
        before = self.found[:mark], self.found[mark:]
        sums = self._vanishing(terms)
        if sums and self._centres(mean, origins([mean]) - {mean}) and not self._is_zero(mean):
            self.roundings.update(sums)
            self.found = before[0]
            return self.base(terms)
        self.found = [*before[0], *before[1]]
        return value

    def _vanishing(self, terms: Poly) -> list[Term]:
        """The sums in terms that are 0 but for the rounding of a mean, whatever their free indices
        are called."""
        based = collect(self._base_term(t) for t in terms)
        closed = (term(ONE, *part) for t in based for part in components_of(t)[1])
        sums = [x for x in closed if x is not None and self.known(x) == ()]
        if not sums:
            return []
        # What is 0 without the names of means that are rounded was centred a second time.
        every = dict.fromkeys(p.target for patterns in self.sums.values() for p in patterns)
        self._hidden = frozenset(t for t in every if t in self._terms and not self._is_zero(t))
        try:
            return [general_form(x)[0] for x in sums if self._search(collect([x])) != ()]
        finally:
            self._hidden = frozenset()

    def _sums_of(self, tensor: Tensor) -> tuple[Pattern, ...]:
        """The named sums over a tensor."""
        found = self.sums.get(tensor, ())
        return tuple(p for p in found if p.target not in self._hidden) if self._hidden else found

    def _is_rounding(self, value: Term) -> bool:
        """Whether a term has a sum that is 0 but for the rounding of a mean."""
        closed = (term(ONE, *part) for part in components_of(value)[1] if self.roundings)
        return any(x is not None and general_form(x)[0] in self.roundings for x in closed)

    def _is_zero(self, mean: Tensor) -> bool:
        """Whether a mean is one of values that are centred already."""
        parts = (self.expanded(part) for part in self._terms[mean])
        return all(part is None or self._fact_in(part) == () for part in parts)

    def _centres(self, mean: Tensor, origins: Collection[Tensor]) -> bool:
        """Whether a value is taken away from something that it is made of."""
        for target in self._readers.get(mean, {}).keys() & self.additive.keys():
            atoms = (atom for part in self.additive[target][1] for atom, _ in part.factors)
            if any(isinstance(a, Access) and a.tensor in origins for a in atoms):
                return True
        return False

    def known(self, inner: Term) -> Poly | None:
        """What a closed sum of forward values is, if that is simpler than the sum; else None."""
        reads = [a.tensor for a, _ in inner.factors if isinstance(a, Access)]
        if len(reads) > 1 and any(t not in self._terms for t in reads):
            return None  # a gradient beside other factors: what it is made of can't make it known
        key, general, names = general_form(inner)
        if key in self.roundings:
            return None
        if key not in self.facts:
            self.facts[key] = self.regions.result("known sum", self._search, (general,))
        found = self.facts[key]
        if found is None:
            return None
        back = {new: old for old, new in names.items()}
        out = collect(renamed(t, back) for t in found)
        self.found.append((inner, out))
        return out

    def _search(self, value: Poly) -> Poly | None:
        for _ in range(DEPTH):
            self.regions.effort.spend(len(value))
            value = collect(part for t in value for part in self._distributed(t))
            if value[TERMS:]:
                return None
            if len(value) <= 1 and not any(t.bound for t in value):
                return value
        return None

    def taken_apart(self, value: Term) -> Iterator[Poly]:
        """The term with a factor under its sum spelled out that is a sum of smaller values:
        ``Σ_j W[i,j]·(X[i,d] - Z[j,d])`` is ``X[i,d]·Σ_j W[i,j] - Σ_j W[i,j]·Z[j,d]``."""
        bound = set(value.bound)
        for atom, exponent in value.factors:
            if isinstance(atom, Access) and exponent == 1 and bound & set(free_indices(atom)):
                known = self.regions.ask("smaller parts", atom.tensor)
                if known is not None:
                    axes, terms = known
                    yield collect(_opened(value, atom, axes, part) for part in terms)

    def small_for(self, value: Term) -> Term | None:
        """The term with each read of a few elements of an array, at places from data, as the sum of
        smaller values that they are: ``X[i,d] - X[a[i],d]`` for ``D[i,a[i],d]``. The array would be
        kept for them."""
        for atom, exponent in value.factors:
            if not isinstance(atom, Access) or not has_lookup_node(atom):
                continue
            known = self.regions.ask("smaller parts", atom.tensor)
            if known is None:
                continue
            place = dict(zip(known[0], atom.subs, strict=True))
            parts = expression(collect(replaced(part, place) for part in known[1]))
            made = term(
                value.coef,
                value.bound,
                value.guards,
                [*value.factors, (atom, -exponent), (parts, exponent)],
            )
            return None if made is None else self.small_for(made)
        return value

    def distributed(self, value: Term) -> Iterator[Poly]:
        """The term with a factor under its sum spelled out that is a sum of terms, in base form.

        No difference of values that are read is spelled out: that of a value and its mean would
        lose what the two share. A product that is subtracted was rounded before.
        """
        for atom, exponent in value.factors:
            known = self._spread.get(atom.tensor) if isinstance(atom, Access) else None
            if known is None or exponent != 1 or set(value.bound).isdisjoint(free_indices(atom)):
                continue
            axes, terms = known
            if terms is None:
                continue
            if any(part.coef < 0 for part in terms) and sum(map(_is_read, terms)) > 1:
                continue
            yield collect(
                self.expanded(made)
                for part in terms
                if (made := _opened(value, atom, axes, part)) is not None  # type: ignore[arg-type]
            )

    def _smaller_parts(self, tensor: Tensor) -> tuple[tuple[Index, ...], Poly] | None:
        """The axes and terms of a sum of values that have fewer elements than the sum."""
        known = self.additive.get(tensor)
        if known is None:
            return None
        axes, terms = known
        size = volume(axes)
        small = (
            not part.bound and all(volume(free_indices(a)) < size for a, _ in part.factors)
            for part in terms
        )
        return known if all(small) else None

    def _distributed(self, value: Term) -> Iterator[Term | None]:
        """The term with a factor under its sum spelled out that is defined as a sum of terms."""
        for atom, exponent in value.factors:
            if (
                isinstance(atom, Access)
                and exponent in (1, 2)
                and any(i in value.bound for i in free_indices(atom))
                and (known := self.regions.ask("additive", atom.tensor)) is not None
            ):
                axes, terms = known
                parts = collect(_opened(value, atom, axes, part) for part in terms)
                return map(self._base_term, parts)
        return iter([value])


def _is_short(value: Term) -> bool:
    """Whether a term is no product of a long chain of factors."""
    bits = max(value.coef.numerator.bit_length(), value.coef.denominator.bit_length())
    return len(value.factors) <= FACTORS and bits <= BITS


def general_form(inner: Term) -> tuple[Term, Term, dict[Index, Index]]:
    """A sum whatever its free indices are called, up to the names of bound ones; the same as it
    stands; and the names that were given."""
    names = {index: Index(f"?{PRIVATE}{k}", index.extent) for k, index in enumerate(free_of(inner))}
    general = renamed(inner, names)
    assert general is not None  # renaming can't make a term vanish
    return canonical(general), general, names


def _opened(
    value: Term, atom: Access, axes: tuple[Index, ...], body: Term, power: Fraction = ONE
) -> Term | None:
    """The term with what is read there in the place of a read to a power: it reads ``body`` at
    ``axes``."""
    inner = replaced(body, dict(zip(axes, atom.subs, strict=True)))
    if inner is None:
        return None
    inner = apart(inner, [i.name for i in indices_in(value)])
    scale = rational_power(inner.coef, power)
    assert scale is not None
    return term(
        value.coef * scale,
        (*value.bound, *inner.bound),
        (*value.guards, *inner.guards),
        [*value.factors, (atom, -power), *((a, e * power) for a, e in inner.factors)],
    )


def _is_read(value: Term) -> bool:
    """Whether a term is a value that is read, up to a number: it isn't rounded."""
    return not value.bound and sum(isinstance(a, Access) for a, _ in value.factors) < 2


def _volume_with(value: Term, name: Access) -> float:
    """The points of a term's sum over a read."""
    for _, _, factors in components_of(value)[1]:
        if any(a is name for a, _ in factors):
            return volume(dict.fromkeys(i for a, _ in factors for i in free_indices(a)))
    return 0.0


def _without(value: Term, part: Component) -> Term | None:
    """The term without one of its closed sums."""
    bound, guards, factors = part
    return term(
        value.coef,
        [i for i in value.bound if i not in bound],
        [c for c in value.guards if c not in guards],
        [f for f in value.factors if f not in factors],
    )


def _is_product(value: Term) -> bool:
    """Whether a term is a product of tensors' powers, to be spelled out.

    A function's value is named for a reason; a guarded product's name says where it is 0.
    """
    return not value.guards and all(isinstance(a, Access | SizeOf) for a, _ in value.factors)
