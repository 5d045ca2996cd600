"""Names for values that the program has none for, where a name makes the backward pass cheaper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from ..ir.expr import Access, Compare, Cond, Expr, Mul, Number, Opaque, SizeOf, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import Index, at, indices_of
from ..ir.walk import substitute, tensors
from ..text import PRIVATE
from .cost import expression_cost, volume
from .effort import Effort
from .flatten import dtype_of
from .linear import Linear
from .match import Pattern, find
from .normal import Factor, Poly, Term, collect, expression, free_of, poly, rational_power, term
from .present import Known, Names, factored
from .share import cost_together

ONE = Fraction(1)
SMALLER = 0.5  # a value of less than this part of what it would stand in gets a name only
GAIN = 0.1  # where that saves this part of the cost,
OFTEN = 3  # or the value is read so often
IDLE = 0.07  # the part of the cost of all forms for which a ratio, which readers know, is given up


def ratio_to_sum(value: Poly, linear: Linear, known: Collection[Tensor] = ()) -> Pattern | None:
    """``e/Σe`` in a term, a value over the sum of such values (a softmax), as a pattern named P.

    ``known`` are the sums whose ratios have names already.
    """
    for part in value:
        for atom, _ in part.factors:
            if isinstance(atom, Access) and atom.tensor not in known:
                found = _ratio(atom.tensor, part, linear)
                if found is not None:
                    return found
    return None


def with_ratios(statements: Sequence[Define], forward: Program) -> list[Define]:
    """Statements in which every ``e/Σe`` of forward values has a name, with those that define it.

    A gradient that is differentiated once more reads a ratio in several places.
    """
    linear = Linear(forward, (), {})
    linear.taken |= {s.target.name for s in statements}
    bare = Known(lambda question, about: None)
    known: list[Pattern] = []
    out: list[Define] = []
    for s in statements:
        if isinstance(s.body, Opaque):
            out.append(s)
            continue
        value = poly(s.body)
        divided = {a.tensor for r in known for a, e in r.body.factors if e < 0}  # type: ignore[union-attr]
        while (pattern := ratio_to_sum(value, linear, divided)) is not None:
            known.append(pattern)
            divided |= {a.tensor for a, e in pattern.body.factors if e < 0}  # type: ignore[union-attr]
            body = expression((pattern.body,))
            made = Define(pattern.target, pattern.axes, body, s.source)
            out.append(linear.lettered(made, pattern.target))
        folded = value
        for pattern in known:
            folded = collect(put_in(pattern, part, linear, bare) for part in folded)
        out.append(s if folded == value else replace(s, body=expression(folded)))
    return out


def without_idle_ratios(
    ratios: Sequence[Pattern], forms: Mapping[Tensor, Poly], known: Known
) -> dict[Tensor, Poly]:
    """The forms, those ratios spelled out without whose names all forms together are far cheaper.

    >>> without_idle_ratios((), {}, Known(lambda question, about: None))
    {}
    """
    now = dict(forms)
    for ratio in ratios:
        users = [t for t, form in now.items() if ratio.target in reads_of(form)]
        spelled = {t: collect(_spelled(ratio, x) for x in now[t]) for t in users}
        costs = {t: expression_cost(factored(form, known)) for t, form in now.items()}
        saved = sum(costs[t] for t in (*users, ratio.target))
        saved -= sum(expression_cost(factored(f, known)) for f in spelled.values())
        if saved > IDLE * sum(costs.values()):
            now |= spelled
            del now[ratio.target]
    return now


def read_once(
    statements: Sequence[Define],
    kept: Collection[Tensor],
    forward: Collection[Tensor],
    names: Names,
) -> list[Define]:
    """The statements without the products that a single term reads, and that cost less where they
    are read, since they meet what has a name in the forward pass. ``kept`` stay as they are."""
    out = list(statements)
    known = Known(names.ask)
    counts = Counter(t for s in out for t in tensors(s.body))
    for s in statements:
        once = counts[s.target] == 1 and s.target not in kept
        own = poly(s.body) if once and isinstance(s.body, Mul) else ()
        if len(own) != 1 or own[0].bound or own[0].guards or len(own[0].factors) < 2:
            continue
        n, user = next((n, r) for n, r in enumerate(out) if s.target in tensors(r.body))
        form = poly(user.body)
        reads = [f for x in form for f in x.factors if tensors(f[0])[:1] == (s.target,)]
        if [exponent for _, exponent in reads] != [ONE]:
            continue
        inner = reads_of(own)
        outer = {t for x in form if reads_in(x, s.target) for t in reads_of((x,))}
        if not any(
            inner | outer >= (read := reads_of((p.body,))) and inner & read and outer & read
            for t in inner | outer
            for p in names.patterns.get(t, ())
        ):
            continue
        pattern = Pattern(s.target, s.indices, own[0])
        spelled = [x if not reads_in(x, s.target) else _spelled(pattern, x) for x in form]
        folded = (x if x is None or x in form else names.fold(x) for x in spelled)
        body = factored(collect(folded), known)
        met = set(tensors(body)).difference(tensors(user.body), tensors(s.body))
        if not met or not met.issubset(forward) or s.target in tensors(body):
            continue  # nothing is met, or a gradient that may itself read this one
        if expression_cost(body) < cost_together([user.body, s.body]):
            scatter = user.scatter
            if scatter is not None and s.target in tensors(scatter):
                scatter = None
            out[n] = replace(user, body=body, scatter=scatter)
            out = [r for r in out if r.target is not s.target]
    return out


def _spelled(pattern: Pattern, value: Term) -> Term | None:
    """A term with a pattern's name spelled out."""
    factors: list[Factor] = []
    coef = value.coef
    for atom, exponent in value.factors:
        if not (isinstance(atom, Access) and atom.tensor is pattern.target):
            factors.append((atom, exponent))
            continue
        power = rational_power(pattern.body.coef, exponent)
        assert power is not None, f"{pattern.body.coef} to the power {exponent}"
        coef *= power
        place = dict(zip(pattern.axes, atom.subs, strict=True))
        for inner, own in pattern.body.factors:
            factors.append((substitute(inner, place), own * exponent))  # type: ignore[arg-type]
    return term(coef, value.bound, value.guards, factors)


def _ratio(total: Tensor, value: Term, linear: Linear) -> Pattern | None:
    define = linear.definitions.get(total)
    if define is None:
        return None
    match poly(define.body):
        case (Term(coef, (_, *_), (), ((Access() as whole, exponent),)),) if coef == exponent == 1:
            pass
        case _:
            return None
    axes = tuple(Index(f"P.{PRIVATE}{k}", n) for k, n in enumerate(whole.tensor.shape))
    moved = {s.index: at(i) for s, i in zip(whole.subs, axes, strict=True) if s.index}
    if len(moved) != len(axes):
        return None
    under = substitute(define.access, moved)
    part = Access(whole.tensor, tuple(map(at, axes)))
    body = term(ONE, (), (), ((part, ONE), (under, -ONE)))  # type: ignore[arg-type]
    assert body is not None
    if next(find(Pattern(total, axes, body), value), None) is None:
        return None
    dtype = dtype_of(expression((body,)))  # a ratio of integers is no integer
    target = Tensor(linear.name("P"), whole.tensor.shape, dtype)
    linear.letters[target] = linear.letters[whole.tensor]
    return Pattern(target, axes, body, True)


def worth_a_name(
    patterns: Sequence[Pattern],
    forms: Mapping[Tensor, Poly],
    linear: Linear,
    known: Known,
    effort: Effort | None = None,
) -> tuple[list[Pattern], dict[Tensor, Poly]]:
    """The inlined gradients whose names make all forms together cheaper, and the forms with them,
    as far as the effort goes."""
    chosen: list[Pattern] = []
    now = dict(forms)
    reads = {target: reads_of(value) for target, value in now.items()}
    bodies: dict[Tensor, Expr] = {}

    def body_of(target: Tensor) -> Expr:
        if target not in bodies:
            bodies[target] = factored(now[target], known)
        return bodies[target]

    for pattern in patterns:
        if pattern.target in now:
            continue
        for other in chosen:
            pattern = replace(pattern, body=put_in(other, pattern.body, linear, known))
        needed = reads_of((pattern.body,))
        touched = [t for t in now if needed <= reads[t]]
        if effort is not None and not effort.take(2 * sum(len(now[t]) for t in touched)):
            break
        folded = {t: collect(put_in(pattern, x, linear, known) for x in now[t]) for t in touched}
        changed = {t: value for t, value in folded.items() if value != now[t]}
        after = {t: factored(value, known) for t, value in changed.items()}
        own = expression((pattern.body,))
        before = cost_together(map(body_of, changed))
        uses = sum(reads_in(part, pattern.target) for form in changed.values() for part in form)
        small = uses < OFTEN and _share(pattern, changed.values()) < SMALLER
        gain = GAIN if small else 0.0
        if cost_together((own, *after.values())) < (1 - gain) * before:
            chosen.append(pattern)
            now |= changed
            now[pattern.target] = (pattern.body,)
            bodies |= after
            bodies[pattern.target] = own
            for target in (*changed, pattern.target):
                reads[target] = reads_of(now[target])
    return chosen, now


def _share(pattern: Pattern, forms: Iterable[Poly]) -> float:
    """How large a value is, compared with the largest of what it would stand in: an axis of which
    it would be a piece counts as its own."""
    shares = [1.0]
    for form in forms:
        atoms = {a for part in form for a, _ in part.factors if isinstance(a, Access)}
        for read in (a for a in atoms if a.tensor is pattern.target):
            placing = dict(zip(pattern.axes, map(indices_of, read.subs), strict=True))
            for part in form:
                free = set(free_of(part))
                own = volume(axis for axis, used in placing.items() if not free.issuperset(used))
                rest = volume(free.difference(*placing.values()))
                shares.append(own / rest)
    return min(shares)


def reads_of(value: Iterable[Term]) -> set[Tensor]:
    """The tensors that terms read as factors."""
    return {a.tensor for t in value for a, _ in t.factors if isinstance(a, Access)}


def reads_in(value: Term, tensor: Tensor) -> int:
    """How many factors of a term are elements of a tensor."""
    return sum(isinstance(a, Access) and a.tensor is tensor for a, _ in value.factors)


def put_in(pattern: Pattern, value: Term, linear: Linear, known: Known) -> Term:
    """The term with a gradient's name put in, without the guards that the name makes idle."""
    while True:
        found = next(find(pattern, value), None)
        if found is None:
            return value
        kept = [
            c
            for c in found.guards
            if c not in _guards_of(pattern, found)
            or not _idle(c, pattern.target, found, linear, known)
        ]
        left = term(found.coef, found.bound, kept, found.factors)
        assert left is not None
        value = left


def _guards_of(pattern: Pattern, found: Term) -> list[Cond]:
    """The pattern's own guards where its name was put."""
    out: list[Cond] = []
    for atom, _ in found.factors:
        if isinstance(atom, Access) and atom.tensor is pattern.target:
            place = dict(zip(pattern.axes, atom.subs, strict=True))
            out.extend(substitute(c, place) for c in pattern.body.guards)  # type: ignore[misc]
    return out


def _idle(cond: Cond, name: Tensor, value: Term, linear: Linear, known: Known) -> bool:
    """Whether a guard may be left out beside a name that is 0 where it fails.

    It may where every other factor is taken for finite. A sum of squares that is 0 tells that what
    is squared is 0.
    """
    small: set[Access] = set()
    match cond:
        case Compare("!=", Access() as left, Number(0, "")):
            small = linear.squared(left)
        case Compare("<" | "<="):
            pass
        case _:
            return False

    def harmless(read: Access, multiplied: bool) -> bool:
        return multiplied and (known.finite(read.tensor) or read in small)

    return all(
        isinstance(a, SizeOf)
        or (isinstance(a, Access) and (a.tensor is name or harmless(a, multiplied)))
        for a, multiplied in _factors(value)
    )


def _factors(value: Term) -> Iterator[tuple[Expr, bool]]:
    """The factors, each with whether it is multiplied (not divided) by."""
    return ((atom, exponent > 0) for atom, exponent in value.factors)
