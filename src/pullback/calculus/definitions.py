"""What the flat program defines, as the rewriting of terms needs it.

The *base form* of a term: defined products are spelled out in what they are products of, defined
sums are called by their names, and sums of values that are known in the end (Σ_n (x - mean) = 0,
Σ_c P = 1) are replaced by what they are. Two terms that are equal because of the program's
definitions meet there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction

from ..ir.expr import Access, Apply, Expr, SizeOf, Tensor
from ..ir.program import Define
from ..ir.recurrence import groups, offsets
from ..ir.subscripts import Index
from ..ir.walk import free_indices, substitute
from .cost import volume
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
    free_of,
    indices_in,
    multiply,
    nonnegative_atom,
    poly,
    rational_power,
    renamed,
    replaced,
    term,
    times,
)
from .regions import Regions

ONE = Fraction(1)
DEPTH = 4
TERMS = 200


class Definitions:
    """The flat statements as rewriting needs them: products, sums, and sums of products."""

    def __init__(self, statements: Sequence[Define]) -> None:
        self.products: dict[Tensor, Pattern] = {}
        self.sums: dict[Tensor, tuple[Pattern, ...]] = {}
        self.additive: dict[Tensor, tuple[tuple[Index, ...], Poly]] = {}
        self.order: dict[Tensor, int] = {}
        self.facts: dict[Term, Poly | None] = {}
        self.contractions: dict[Tensor, Pattern] = {}  # gradients that are sums of products
        self._outer: dict[Tensor, tuple[Factor, ...]] = {}
        self._terms: dict[Tensor, Poly] = {}
        self._signs: dict[Tensor, bool] = {}
        self.found: list[tuple[Term, Poly]] = []
        self._readers: dict[Tensor, dict[Tensor, None]] = {}
        self.regions = Regions()
        self.regions.questions |= {
            "product": self.products.get,
            "sums": lambda tensor: self.sums.get(tensor, ()),
            "outer": self._outer.__getitem__,
            "additive": self.additive.get,
            "additive in": self._additive_in,
            "nonnegative": self.nonnegative,
            "function": self.function_of,
        }
        for group in groups(statements):
            steps = {s.target for s, _, ahead in offsets(group) if ahead != 0}
            for statement in group:
                self.learn(statement, statement.target in steps)

    def learn(self, statement: Define, steps: bool = False) -> None:
        """Add a statement's definition; what ``steps`` from one place to the next isn't spelled
        out."""
        self.order[statement.target] = len(self.order)
        if statement.target.kind != "float":
            return
        terms = self._terms[statement.target] = poly(statement.body)
        if steps:
            return
        if len(terms) == 1:
            only = terms[0]
            if only.bound:
                self._learn_sum(statement.target, statement.indices, only, statement.user)
            elif _is_product(only):
                self.products[statement.target] = Pattern(
                    statement.target, statement.indices, only, statement.user
                )
        elif len(terms) > 1 and all(not t.bound for t in terms):
            self._learn_additive(statement.target, statement.indices, terms)

    def learn_gradient(self, target: Tensor, axes: tuple[Index, ...], value: Poly) -> None:
        """Add a gradient that got a name: what sums of it are may follow from what it is."""
        if len(value) > 1:
            self._learn_additive(target, axes, value)
        elif len(value) == 1 and value[0].bound:
            self._learn_sum(target, axes, value[0], True)
            if not value[0].guards:
                self.contractions[target] = Pattern(target, axes, value[0])

    def _learn_additive(self, target: Tensor, axes: tuple[Index, ...], terms: Poly) -> None:
        self.additive[target] = (axes, terms)
        for part in terms:
            for atom, _ in part.factors:
                if isinstance(atom, Access):
                    self._readers.setdefault(atom.tensor, {})[target] = None

    def _additive_in(
        self, present: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, tuple[Index, ...], Poly], ...]:
        """The sums of terms that each read one of these tensors, last defined first."""
        near = {target for tensor in present for target in self._readers.get(tensor, ())}
        if not near:
            return ()
        return tuple(
            (target, *self.additive[target])
            for target in reversed(self.additive)
            if target in near and _could_hold(self.additive[target][1], present)
        )

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
        terms = self._terms.get(tensor, ())
        if len(terms) == 1 and len(terms[0].factors) == 1:
            atom, exponent = terms[0].factors[0]
            if isinstance(atom, Apply) and exponent == 1:
                return atom.function
        return ""

    def _nonnegative(self, atom: Expr, exponent: Fraction) -> bool:
        if exponent.denominator != 1 or exponent.numerator % 2 == 0:
            return True  # a root is, or is undefined
        if isinstance(atom, Access):
            return self.nonnegative(atom.tensor)
        return nonnegative_atom(atom)

    def _learn_sum(self, target: Tensor, axes: tuple[Index, ...], only: Term, user: bool) -> None:
        """``target = c·Σ inner``: what stands outside the sum and is never 0 is divided off."""
        base = self.expanded(only)
        if base is None:
            return
        outer: list[Factor] = [
            (a, e)
            for a, e in base.factors
            if isinstance(a, SizeOf)
            or (e < 0 and not any(i in base.bound for i in free_indices(a)))
        ]
        rest = [f for f in base.factors if f not in outer]
        inner = term(base.coef, base.bound, base.guards, rest)
        if inner is None or not inner.bound or not any(isinstance(a, Access) for a, _ in rest):
            return
        if set(inner.bound) != set(base.bound):
            return
        held = {i for a, _ in rest for i in free_indices(a)}
        if any(i not in held and i.extent.literal != 1 for i in axes):
            return
        self._outer[target] = tuple(outer)
        key = next(a.tensor for a, _ in inner.factors if isinstance(a, Access))
        self.sums[key] = (*self.sums.get(key, ()), Pattern(target, axes, inner, user))

    # Base form.

    def base(self, value: Poly) -> Poly:
        """The base form of a sum of terms."""
        terms = collect(self._base_term(t) for t in value)
        for _ in range(DEPTH):
            changed = self._with_facts(terms)
            if changed == terms:
                break
            terms = changed
        return collect(map(self._without_gradients, terms)) if self.contractions else terms

    def _base_term(self, value: Term) -> Term | None:
        out = self.expanded(value)
        return None if out is None else self.named_sums(out)

    def expanded(self, value: Term) -> Term | None:
        """The term with defined products spelled out."""
        for _ in range(100):
            hit = next(
                ((a, e) for a, e in value.factors if isinstance(a, Access) and self._spells(a, e)),
                None,
            )
            if hit is None:
                return value
            atom, exponent = hit
            assert isinstance(atom, Access)
            pattern = self.regions.ask("product", atom.tensor)
            inner = replaced(pattern.body, dict(zip(pattern.axes, atom.subs, strict=True)))
            rest = [(a, e) for a, e in value.factors if a is not atom]
            if inner is None:
                return None
            scale = rational_power(inner.coef, exponent)
            if scale is None:
                return value
            made = term(
                value.coef * scale,
                value.bound,
                (*value.guards, *inner.guards),
                [*rest, *((a, e * exponent) for a, e in inner.factors)],
            )
            if made is None:
                return None
            value = made
        return value

    def _spells(self, atom: Access, exponent: Fraction) -> bool:
        """Whether a factor is a product that can be spelled out."""
        pattern = self.regions.ask("product", atom.tensor)
        if pattern is None:
            return False
        body = pattern.body
        if body.guards and exponent < 0:
            return False
        if exponent.denominator == 1:
            return True
        if rational_power(body.coef, exponent) is None:
            return False
        unsure = [(a, e) for a, e in body.factors if e.denominator == 1 and not nonnegative_atom(a)]
        return not unsure or (len(unsure) == 1 and abs(unsure[0][1]) == 1)

    def named_sums(self, value: Term) -> Term:
        """The term with defined sums called by their names."""
        while value.bound:
            changed = self._one_named_sum(value)
            if changed is None:
                return value
            value = changed
        return value

    def _one_named_sum(self, value: Term) -> Term | None:
        tensors = dict.fromkeys(a.tensor for a, _ in value.factors if isinstance(a, Access))
        for tensor in tensors:
            for pattern in self.regions.ask("sums", tensor):
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

    def _without_gradients(self, value: Term) -> Term:
        """The term with a sum over a gradient taken of what that is a sum of, where a forward value
        holds the rest: after ``Y = P V``, ``Σ P·dP`` is ``Σ dY·Y``.

        It is where that costs no more: it needs one sum after another no longer.
        """
        for bound, guards, factors in components_of(value)[1]:
            for atom, exponent in factors:
                known = self.contractions.get(atom.tensor) if isinstance(atom, Access) else None
                if known is None or guards or exponent != 1:
                    continue
                assert isinstance(atom, Access)
                for made, name in self._summed_before(value, atom, known):
                    size = volume(dict.fromkeys(i for a, _ in factors for i in free_indices(a)))
                    if not set(bound) & set(made.bound) and _volume_with(made, name) <= size:
                        return made
        return value

    def _summed_before(
        self, value: Term, atom: Access, known: Pattern
    ) -> Iterator[tuple[Term, Access]]:
        """The term with a gradient spelled out, and a forward value's name put for a sum in
        that."""
        inner = replaced(known.body, dict(zip(known.axes, atom.subs, strict=True)))
        if inner is None:
            return
        inner = apart(inner, [i.name for i in indices_in(value)])
        spread = term(
            value.coef * inner.coef,
            (*value.bound, *inner.bound),
            value.guards,
            [*(f for f in value.factors if f[0] is not atom), *inner.factors],
        )
        read = [] if spread is None else [a for a, _ in spread.factors if isinstance(a, Access)]
        for tensor in dict.fromkeys(access.tensor for access in read):
            for pattern in self.sums.get(tensor, ()):
                if pattern.target not in self.order:
                    continue
                for found, name in places(pattern, spread):  # type: ignore[arg-type]
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
            if inner is None or inner.bound != bound:
                continue
            known = self.known(inner)
            if known is None:
                continue
            rest: Poly = collect([_without(value, (bound, guards, factors))])
            return multiply(rest, known)
        return None

    def known(self, inner: Term) -> Poly | None:
        """What a closed sum of forward values is, if that is simpler than the sum; else None."""
        reads = [a.tensor for a, _ in inner.factors if isinstance(a, Access)]
        if len(reads) > 1 and any(t not in self.order for t in reads):
            return None  # a gradient beside other factors: what it is made of can't make it known
        names = {index: Index(f"?{k}", index.extent) for k, index in enumerate(free_of(inner))}
        general = renamed(inner, names)
        if general is None:
            return ()
        key = canonical(general)
        if key not in self.facts:
            self.facts[key] = None  # while it is being looked for, and where nothing is found
            self.facts[key] = self.regions.result("known sum", self._search, (general,))
        found = self.facts[key]
        if found is None:
            return None
        back = {new: old for old, new in names.items()}
        out = collect(renamed(t, back) for t in found)
        self.found.append((inner, out))
        return out

    def _search(self, value: Poly) -> Poly | None:
        best = collect(value)
        for _ in range(DEPTH):
            nxt = self._expand_one_level(best)
            if nxt is None or len(nxt) > TERMS:
                return None
            best = nxt
            if all(not t.bound for t in best) and len(best) <= 1:
                return best
        return None

    def _expand_one_level(self, terms: Poly) -> Poly | None:
        changed = False
        out: list[Term | None] = []
        for value in terms:
            atom = next((a for a in self._summed_sums(value)), None)
            if atom is None:
                out.append(value)
                continue
            changed = True
            out.extend(self._base_term(t) for t in self._distributed(value, atom))
        return collect(out) if changed else None

    def _summed_sums(self, value: Term) -> Iterable[Access]:
        """Factors under a sum that are themselves defined as sums of terms."""
        for atom, exponent in value.factors:
            if (
                isinstance(atom, Access)
                and self.regions.ask("additive", atom.tensor) is not None
                and exponent.denominator == 1
                and 0 < exponent <= 2
                and any(i in value.bound for i in free_indices(atom))
            ):
                yield atom

    def _distributed(self, value: Term, atom: Access) -> Poly:
        axes, terms = self.regions.ask("additive", atom.tensor)
        rest = term(
            value.coef,
            (),
            value.guards,
            [(a, e - 1 if a is atom else e) for a, e in value.factors],
        )
        if rest is None:
            return ()
        out: list[Term | None] = []
        for part in terms:
            moved = replaced(part, dict(zip(axes, atom.subs, strict=True)))
            if moved is None:
                continue
            moved = apart(moved, [i.name for i in indices_in(value)])
            joined = times(rest, moved)
            if joined is not None:
                out.append(
                    term(joined.coef, (*value.bound, *joined.bound), joined.guards, joined.factors)
                )
        return collect(out)


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


def _could_hold(terms: Poly, present: Collection[Tensor]) -> bool:
    return all(
        any(isinstance(a, Access) and a.tensor in present for a, _ in t.factors) or not t.factors
        for t in terms
    )


def _is_product(value: Term) -> bool:
    """Whether a term is a product of tensors' powers, to be spelled out.

    A function's value is named for a reason; a guarded product's name says where it is 0.
    """
    return (
        bool(value.factors)
        and not value.guards
        and all(isinstance(a, Access | SizeOf) for a, _ in value.factors)
    )
