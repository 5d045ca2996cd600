"""Kinks and steps that share their argument.

At the kink of ``max(x, 0)`` one of two one-sided slopes is taken, or their mean; so it is at every
other kink, and at a step ``[x > 0]`` that multiplies what is 0 with x. (A step that multiplies
anything else is a jump, or a mask: it passes as written.) A sum of kinks of one argument has a
slope where its one-sided slopes agree, and any choice gives that slope as long as all of the kinks
are taken from the *same side*. Where a program takes kinks of one argument from different sides
(``max(x, 0)`` at 0 from the left, ``min(x, 0)`` from the right, ``abs(x)`` from both), each of them
takes the mean of its one-sided slopes: a sum that is smooth in the end, as ``max(x, 0) + min(x,
0)``, gets its slope, and any other sum the mean of its two.

Arguments are compared up to what multiplies them, with values spelled out in what they are sums and
products of: ``x``, ``-2*x``, and ``x - y`` where y isn't differentiated, are 0 together or may be.
The mean of a product of steps is no product of means: a product in which a step meets kinks of the
same argument is differentiated with these spelled out.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, prod

from ..functions import FINITE, STEEP
from ..ir.expr import (
    ZERO,
    Access,
    And,
    Apply,
    Compare,
    Cond,
    Expr,
    Guard,
    Not,
    Number,
    Opaque,
    Reduce,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    neg,
    number,
)
from ..ir.program import Define
from ..ir.recurrence import recurrent
from ..ir.subscripts import Index, Subscript, at, bounds
from ..ir.walk import accesses, free_indices, map_tensors, substitute, tensors
from .arguments import NEARBY, SIGNED, TERMS, UNITY, Arguments, is_square, scaled
from .calm import Calm
from .conventions import is_finite, sides_at_kink
from .guards import negation
from .levels import Levels
from .normal import (
    Factor,
    Poly,
    Term,
    canonical,
    collect,
    expression,
    poly,
    term,
)
from .roots import Roots
from .sides import Sides, difference

HALF = Fraction(1, 2)
UNSEEN: Factor = ZERO, UNITY
READS = 8  # values that are looked at to find elements that may be one
SMOOTH = FINITE - {"cbrt"}  # finite for finite arguments, and so are their slopes

Form = tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True)
class _Kink:
    """A kink or a step: the differentiated part of its argument up to a factor, the side from which
    it is taken (-1, 1, or 0 for the mean), what this part reads, what of unknown sign multiplies
    it, and the number that is added to it, None for any other value."""

    form: Form
    side: int
    reads: tuple[Access, ...]
    scale: tuple[str, ...]
    shift: Fraction | None


@dataclass(frozen=True)
class Resolved:
    """A value above and below 0 of an argument of its kinks and steps, which are resolved there."""

    argument: Expr
    above: Poly
    below: Poly


@dataclass(frozen=True)
class _Step:
    """A factor that depends on nothing but the sign of an argument: what it is above 0, below 0
    and at 0, and the condition for the latter. It is a condition, or an atom with its exponent."""

    value: Expr
    above: Fraction
    below: Fraction
    level: Fraction
    tie: Compare
    part: Cond | Factor

    def turned(self) -> _Step:
        """The same step of the negated argument."""
        value = expression(poly(neg(self.value)))
        return replace(self, value=value, above=self.below, below=self.above)


class Kinks:
    """The kinks of a flat program, and what its derivatives take at them."""

    def __init__(
        self,
        definitions: Mapping[Tensor, Define],
        active: Callable[[Tensor], bool],
        conventions: Mapping[str, str],
        roots: Roots,
        outputs: Sequence[Tensor],
        signed: frozenset[str] = SIGNED,
    ) -> None:
        self.definitions = dict(definitions)
        self.active = active
        self.roots = roots
        self.conventions = conventions
        self.steps = recurrent(list(self.definitions.values()))
        self._bodies: dict[Tensor, Expr] = {}
        self.arguments = Arguments(
            self._definition, _at, lambda define: self._without_kinks(define), roots, signed
        )
        self.argument, self.zero = self.arguments.argument, self.arguments.zero
        calm = Calm(self.definitions, self.arguments.spelled_out, roots)
        self.calm, self.is_away = calm.product, calm.is_away
        self.levels = Levels(lambda value: self.argument(value)[0], self.arguments.spelled_out)
        self.sides = Sides(
            self.argument,
            self._definition,
            _at,
            self._spelled,
            lambda value: self._depends(value),
            signed,
            roots,
        )
        self._continuous: dict[tuple[Poly, Poly], bool] = {}
        self._inner: dict[Tensor, tuple[_Kink, ...]] = {}
        self._nearby: Kinks | None = None
        if signed is SIGNED and any(
            isinstance(s.body, Apply) and s.body.function in ("cos", *(NEARBY - SIGNED))
            for s in self.definitions.values()
        ):
            self._nearby = Kinks(definitions, active, conventions, roots, outputs, NEARBY)
        reached = self._reaching(outputs)
        made = [
            (s, kink) for t, s in self.definitions.items() if t in reached for kink in self._of(s)
        ]
        self.lone = len(made) < 2
        self.found = tuple(self._kink(*kink) for _, kink in made)
        self.near = {} if self.lone else self._near([(s, value) for s, (value, _) in made])

    def _reaching(self, outputs: Sequence[Tensor]) -> set[Tensor]:
        """The values that outputs are computed from, but for what they only compare."""
        found: set[Tensor] = set()
        left = [*outputs]
        while left:
            tensor = left.pop()
            define = self.definitions.get(tensor)
            if tensor in found or define is None:
                continue
            found.add(tensor)
            if isinstance(define.body, Opaque):
                left += tensors(define.body)
            else:
                left += [
                    t for part in poly(define.body) for a, _ in part.factors for t in tensors(a)
                ]
        return found

    def mixed(self, value: Expr) -> bool:
        """Whether kinks of this argument are taken from different sides."""
        return not self.lone and self.argument(value)[0] != () and len(self._taken(value)) > 1

    def _near(self, kinks: Sequence[tuple[Define, Expr]]) -> dict[Form, set[Form]]:
        """For each argument those others that are 0 where it is 0, or it where they are, and that
        have no kink of it: ``sin(x)`` and ``x``."""
        near: dict[Form, set[Form]] = {}
        forms = {(s, value): form for s, value in kinks if (form := self._kink(value, 0).form)}
        support = {key: self._support(key[1]) for key in forms}
        own: dict[Tensor, set[Form]] = {}
        for (s, _), form in forms.items():
            own.setdefault(s.target, set()).add(form)
        behind = {
            key: {form for t in found for form in own.get(t, ())} for key, found in support.items()
        }
        for (here, value), form in forms.items():
            argument = self.argument(value)[0]
            read = {a.tensor for t in argument for f, _ in t.factors for a in accesses(f)}
            for (there, theirs), other in forms.items():
                if other == form or not read <= support[there, theirs]:
                    continue
                if form in behind[there, theirs]:
                    continue
                if [i.extent for i in here.indices] != [i.extent for i in there.indices]:
                    continue
                moved = {i: at(j) for i, j in zip(there.indices, here.indices, strict=True)}
                placed: Expr = substitute(theirs, moved)  # type: ignore[assignment]
                if not self.levels.at_zero(placed, argument):
                    near.setdefault(form, set()).add(other)
                    near.setdefault(other, set()).add(form)
        return near

    def _support(self, value: Expr) -> set[Tensor]:
        """What a value is computed from, element by element."""
        found: set[Tensor] = set()
        left = [*accesses(value)]
        while left:
            access = left.pop()
            if access.tensor in found:
                continue
            found.add(access.tensor)
            define = self._definition(access)
            if define is not None and not isinstance(define.body, Opaque | Reduce):
                left += accesses(define.body)
        return found

    def _taken(self, value: Expr) -> set[tuple[int, tuple[str, ...]]]:
        """The sides from which the kinks of an argument are taken, and what multiplies it there;
        both, where others are 0 there, too."""
        seen, new = [], [self._kink(value, 0)]
        if new[0].form in self.near:
            return {(-1, ()), (1, ())}
        left = [k for k in self.found if k.form == new[0].form]
        while new:
            seen += new
            new = [k for k in left if any(_meet(k, other) for other in new)]
            left = [k for k in left if k not in new]
        return {(k.side, k.scale) for k in seen[1:]}

    def _sides(self, argument: Expr) -> set[int]:
        """The sides of an argument's zero from which its kinks are taken."""
        own = self._kink(argument, 1).side
        return {own * side for side, _ in self._taken(argument)}

    def is_mixed(self, value: Apply) -> bool:
        """Whether a function has a kink of which others are taken from another side."""
        return not self.lone and any(
            self.mixed(argument) for argument, _ in self.of_function(value)
        )

    # Which kinks there are.

    def _depends(self, *values: Expr) -> bool:
        return any(self.active(t) for value in values for t in tensors(value))

    def _of(self, statement: Define) -> Iterator[tuple[Expr, int]]:
        """The arguments of a statement's kinks and steps, and the sides that they are taken
        from."""
        body = statement.body
        if isinstance(body, Apply):
            yield from self.of_function(body)
        elif statement.target.kind == "float" and not isinstance(body, Opaque):
            whole = poly(body)
            for part in whole:
                yield from self._of_product(part, whole)

    def of_function(self, value: Apply) -> Iterator[tuple[Expr, int]]:
        """The arguments of a function's kinks, and the sides that they are taken from."""
        for k, argument in enumerate(value.args):
            if self._depends(argument):
                lone = not self._depends(*(a for j, a in enumerate(value.args) if j != k))
                yield from sides_at_kink(value, k, lone, self.conventions)

    def _of_product(self, part: Term, whole: Poly) -> Iterator[tuple[Expr, int]]:
        for step in self._jumps(part, whole):
            if step.level in (step.above, step.below):
                yield step.value, 1 if step.level == step.above else -1
        yield from self._of_functions(part)

    def _of_functions(self, part: Term) -> Iterator[tuple[Expr, int]]:
        for atom, exponent in part.factors:
            root = self.sides.root(atom, exponent)
            if root is not None and self._depends(root):
                yield root, 0
            elif isinstance(atom, Apply):
                yield from self.of_function(atom)

    def _jumps(self, part: Term, whole: Poly) -> Iterator[_Step]:
        """The steps in one product of a sum that are kinks: what the sum jumps by where their
        argument is 0, is 0 there, too."""
        for step in self._steps(part):
            if step.above != step.below and any(
                kinks._is_kink(kinks.argument(step.value)[0], whole)
                for kinks in (self, self._nearby)
                if kinks is not None
            ):
                yield step

    def _steps(self, part: Term) -> Iterator[_Step]:
        found = (*map(self._as_step, part.guards), *map(self._sign, part.factors))
        return filter(None, found)

    def _is_kink(self, argument: Poly, whole: Poly) -> bool:
        """Whether a sum has no jump where an argument of its steps is 0, as far as that is seen,
        and what the steps multiply has values on both sides."""
        key = argument, whole
        if key not in self._continuous:
            jumps = [*filter(None, (self._jump(part, argument) for part in whole))]
            total = expression(collect(jumps))
            self._continuous[key] = all(
                self.calm(jump.factors, SMOOTH | STEEP) for jump in jumps
            ) and not self.levels.at_zero(total, argument)
        return self._continuous[key]

    def _jump(self, part: Term, argument: Poly) -> Term | None:
        """What a product is above 0 of an argument of its steps, less what it is below."""
        steps = []
        for step in self._steps(part):
            found, sign = self.argument(step.value)
            if found == argument:
                steps.append(step if sign > 0 else step.turned())
        rest = _without(part, steps) if steps else None
        return None if rest is None else _times(rest, _above(steps) - _below(steps))

    def _sign(self, factor: Factor) -> _Step | None:
        """The sign that a named factor is, as a step."""
        define = self._definition(factor[0])
        step = _of_sign((define.body, factor[1])) if define is not None else None
        if step is None or not self._depends(step.value):
            return None
        value = _at(define, factor[0], step.value)  # type: ignore[arg-type]
        return self._of_root(replace(step, value=value, part=factor))

    def _as_step(self, cond: Cond) -> _Step | None:
        match self._spelled(cond):
            case Compare("<" | "<=" as op, left, right):
                values = 1, 0, int(op == "<=")
            case Not(Compare("<" | "<=" as op, left, right)):
                values = 0, 1, int(op == "<")
            case Compare("==", left, right):
                values = 0, 0, 1
            case _:
                return None
        value = difference(right, left)
        if left is right or not (is_finite(left) and is_finite(right) and self._depends(value)):
            return None
        above, below, level = map(Fraction, values)
        return self._of_root(_Step(value, above, below, level, Compare("==", left, right), cond))

    def _of_root(self, step: _Step) -> _Step:
        """The step of a square, on both sides of the zero of its root."""
        argument, sign = self.argument(step.value)
        if not is_square(argument):
            return step
        value, both = argument[0].factors[0][0], step.above if sign > 0 else step.below
        return replace(step, value=value, above=both, below=both)

    def _spelled(self, cond: Cond) -> Cond:
        """A condition that has a name by what it says."""
        match cond:
            case Truth(Access(tensor, subs)) if tensor in self.definitions:
                define = self.definitions[tensor]
                if isinstance(define.body, Guard):
                    place = dict(zip(define.indices, subs, strict=True))
                    return self._spelled(substitute(define.body.cond, place))  # type: ignore[arg-type]
            case Not(inner):
                return negation(self._spelled(inner))
        return cond

    # Arguments.

    def _without_kinks(self, define: Define) -> Expr:
        """What defines a value, as one formula where that is the same on both sides of a kink."""
        match define.body:
            case Apply("maximum" | "minimum", (one, other)) if one is other:
                return one
        if define.target not in self._bodies:
            self._bodies[define.target] = define.body  # while it is being looked at
            for _, found in self._on_both_sides(define.body):
                if found.above == found.below:
                    self._bodies[define.target] = expression(found.above)
                    break
        return self._bodies[define.target]

    def _definition(self, atom: Expr) -> Define | None:
        """What defines an element, where that is no step of a recurrence."""
        if not isinstance(atom, Access) or atom.tensor in self.steps:
            return None
        return self.definitions.get(atom.tensor)

    def _kink(self, value: Expr, side: int) -> _Kink:
        spread, sign = self.argument(value)
        moving = [t for t in spread if self._depends(*(a for a, _ in t.factors))]
        fixed = [t for t in spread if t not in moving]
        scale: tuple[str, ...] = ()
        if len(moving) == 1:
            still = [f for f in moving[0].factors if not self._depends(f[0])]
            scale = tuple(_erased(f) for f in still if not isinstance(f[0], SizeOf))
            moving = [_times(moving[0], UNITY, factors=[(a, -e) for a, e in still]) or moving[0]]
        most = max((abs(t.coef) for t in moving), default=UNITY)
        parts = [("*".join(map(_erased, t.factors)), t.coef / most) for t in moving]
        form, turned = min((tuple(sorted((s, c * w) for s, c in parts)), w) for w in (1, -1))
        reads = tuple(a for t in moving for f, _ in t.factors for a in accesses(f))
        shift = sum((t.coef for t in fixed), Fraction(0)) * turned / most
        known = not scale and not any(t.factors for t in fixed)
        return _Kink(form, turned * sign * side, reads, scale, shift if known else None)

    # Both sides of a zero.

    def resolved(self, value: Expr) -> Iterator[Resolved]:
        """A value on both sides of the zeros of its kinks and steps, where it has no jump there:
        first of all those where it is the same on both, and for others only where several of its
        kinks are mixed."""
        kinked = []
        for zero, found in self._on_both_sides(value):
            if found.above == found.below:
                yield found
            elif self.sides.meet(value, zero) and not self._is_harmless(value, found, zero):
                kinked.append(found)
        yield from kinked

    def _on_both_sides(self, value: Expr) -> Iterator[tuple[Poly, Resolved]]:
        """The zeros where a value with kinks and steps has no jump, and the value on both sides."""
        own = self.sides.own(value)
        if not own:
            return
        knots = self.sides.within(value)
        nonnegative = [poly(k) for k in own if self.roots.is_nonnegative(k)]
        for zero in dict.fromkeys((*nonnegative, *map(self.zero, knots))):
            known = zero in nonnegative or any(self.sides.is_known(k, zero) for k in own)
            if not zero or not known:
                continue
            above, at, below = (poly(self.sides.on(value, zero, side), True) for side in (1, 0, -1))
            if self.roots.is_nonnegative(expression(zero)):
                below = above
            jump = expression(collect([*above, *(scaled(t, -UNITY) for t in at)]))
            gap = expression(collect([*above, *(scaled(t, -UNITY) for t in below)]))
            if self.levels.at_zero(jump, zero) or self.levels.at_zero(gap, zero):
                continue
            left = (*above, *below)
            if len(left) > TERMS or any(
                zero in (self.zero(k), poly(k)) for k in self.sides.within(expression(left))
            ):
                continue
            named = (k for k in knots if self.argument(k)[0] == zero)
            yield zero, Resolved(next(named, expression(zero)), above, below)

    def close(self, value: Expr) -> tuple[Cond, Poly] | None:
        """The condition under which an argument of kinks in a value is 0, and the one formula that
        the value is on both sides, where that is seen close to the zero only: ``x`` for
        ``abs(x)*sign(sin(x))``."""
        if self._nearby is None or not self.sides.own(value):
            return None
        if any(found.above == found.below for _, found in self._on_both_sides(value)):
            return None  # it is that everywhere
        for zero, found in self._nearby._on_both_sides(value):
            if found.above == found.below:
                return Compare("==", expression(zero), ZERO), found.above
        return None

    def coinciding(self, value: Expr) -> tuple[Cond, Expr] | None:
        """A value in which kinks are resolved where two elements of a tensor are one: at i = j in
        ``min(X[i], max(X[j], 0))``. The condition for that, and the value there."""
        if not self.sides.own(value):
            return None
        reads = self._reads(value)
        knotted = [read for knot in self.sides.within(value) for read in self._reads(knot)]
        for one in dict.fromkeys(knotted):
            for other in reads:
                if one is other or one.tensor is not other.tensor or _apart(one, other):
                    continue
                there = self._with(value, other, one)
                if next(self.resolved(there), None) is not None:
                    pairs = zip(one.subs, other.subs, strict=True)
                    equal: list[Cond] = [Zero(a - b) for a, b in pairs if a != b]
                    return equal[0] if len(equal) == 1 else And(tuple(equal)), there
        return None

    def _reads(self, value: Expr) -> list[Access]:
        """The elements of inputs that a value is made of, element by element, where these are
        few."""
        found: dict[Access, bool] = {}
        left = _outside_sums(value)
        while left and len(found) <= READS:
            access = left.pop()
            if access in found or not self._depends(access):
                continue
            define = self._definition(access)
            found[access] = define is None or isinstance(define.body, Opaque | Reduce)
            if define is not None and not found[access]:
                left += _outside_sums(_at(define, access, define.body))
        return [] if left else [access for access, is_input in found.items() if is_input]

    def _with(self, value: Expr, old: Access, new: Access) -> Expr:
        """A value with one element in the place of another, also in what it is made of."""

        def changed(access: Access) -> Expr:
            if access is old:
                return new
            define = self._definition(access)
            if define is None or access.tensor.kind != "float":
                return access
            body = _at(define, access, define.body)
            return self._with(body, old, new) if old in self._reads(body) else access

        return map_tensors(value, changed)  # type: ignore[return-value]

    def _is_harmless(self, value: Expr, found: Resolved, zero: Poly) -> bool:
        """Whether the kinks in a value take one side of a zero, as written, and all others of this
        argument the same."""
        turned = self.argument(found.argument)[1]
        taken = {turned * side for side in self._sides(found.argument)}
        sides: dict[Poly, list[int]] = {}
        for knot, side in self._within(value):
            argument, sign = self.argument(knot)
            sides.setdefault(argument, []).append(sign * side)
        for knot in self.sides.own(value):
            if self.sides.is_known(knot, zero):
                argument, sign = self.argument(knot)
                for side in sides.get(argument, [0]):
                    taken |= self._side_of(zero, knot, sign * side)
        return taken in _ONE_SIDED

    def _side_of(self, zero: Poly, knot: Expr, side: int) -> set[int]:
        """The sides of a zero on which an argument has this sign; 0 for neither."""
        return {w for w in (1, -1) if self.sides.signs(knot, zero, w) == {side}} or {0}

    def _within(self, value: Expr) -> Iterator[tuple[Expr, int]]:
        """The arguments of the kinks and steps in a formula, and the sides they are taken from."""
        if isinstance(value, Apply):
            yield from self.of_function(value)
            return
        for part in poly(value):
            for step in self._steps(part):
                if step.level in (step.above, step.below) and step.above != step.below:
                    yield step.value, 1 if step.level == step.above else -1
            yield from self._of_functions(part)

    def stepped(self, argument: Expr, above: Poly, below: Poly) -> Poly:
        """A derivative that is one on one side of a zero, and another one on the other side: the
        mean of both at the zero."""
        signs: dict[Term, list[Fraction]] = {}
        for parts, side in (above, 0), (below, 1):
            for part in parts:
                signs.setdefault(canonical(part), [Fraction(0)] * 2)[side] += part.coef
        turned = self.argument(argument)[1]
        tie = Compare("==", argument, ZERO)
        sides = self._sides(argument)
        made: list[Term | None] = []
        for rest, (right, left) in signs.items():
            values = (right, left) if turned > 0 else (left, right)
            if sides in _ONE_SIDED and right != left:
                made += self._one_sided(rest, argument, *values, *sides)
                continue
            if right and left and right != -left:  # what both sides have, and what one has more
                made.append(_times(rest, values[1]))
                values = values[0] - values[1], Fraction(0)
            step = _Step(argument, *values, Fraction(0), tie, UNSEEN)
            made += self._mean(rest, [step], None, False) or ()
        return collect(made)

    def _one_sided(
        self, rest: Term, argument: Expr, above: Fraction, below: Fraction, side: int
    ) -> list[Term | None]:
        """``rest`` times what it is multiplied with on each side, and at 0 on one of the sides."""
        upper, lower = ("<=", "<") if side > 0 else ("<", "<=")
        return [
            _times(rest, above, [Compare(upper, ZERO, argument)]),
            _times(rest, below, [Compare(lower, argument, ZERO)]),
        ]

    # Products of steps.

    def kinked(self, part: Term, whole: Poly) -> tuple[Poly, ...]:
        """The arguments of the steps in one product of a sum that are kinks."""
        functions = [
            k for a, _ in part.factors if isinstance(a, Apply) for k in self.of_function(a)
        ]
        found = [*(s.value for s in self._jumps(part, whole)), *(value for value, _ in functions)]
        return tuple(dict.fromkeys(self.argument(value)[0] for value in found))

    def opened(self, part: Term, whole: Poly) -> Term | None:
        """One product of a sum in which a step meets kinks of its argument, with the names of these
        spelled out where they take means; None for any other product."""
        near = [self._kink(*kink) for kink in self._of_product(part, whole)]
        jumps = {self._kink(s.value, 0).form: s.value for s in self._jumps(part, whole)}
        if not jumps:
            return None
        near += [kink for atom, _ in part.factors for kink in self._reached(atom)]
        sides = {form: [k.side for k in near if k.form == form] for form in jumps}
        forms = {
            form
            for form, found in sides.items()
            if len(found) > 1 and ({*found} not in _ONE_SIDED or self.mixed(jumps[form]))
        }
        if not forms:
            return None
        made = [(self._named_by_what(atom, forms), e) for atom, e in part.factors]
        return term(part.coef, part.bound, part.guards, made, False)

    def _reached(self, atom: Expr) -> tuple[_Kink, ...]:
        """The kinks that an element is made of, element by element."""
        define = self._definition(atom)
        if define is None or isinstance(define.body, Opaque | Reduce):
            return ()
        if define.target not in self._inner:
            found = dict.fromkeys(self._kink(*kink) for kink in self._of(define))
            for access in accesses(define.body):
                found.update(dict.fromkeys(self._reached(access)))
            self._inner[define.target] = tuple(found)
        return self._inner[define.target]

    def _named_by_what(self, atom: Expr, forms: set[Form]) -> Expr:
        """An element made of kinks of these arguments as what it is made of."""
        define = self._definition(atom)
        if define is None or not any(k.form in forms for k in self._reached(atom)):
            return atom
        body = map_tensors(define.body, lambda access: self._named_by_what(access, forms))
        return _at(define, atom, body)  # type: ignore[arg-type]

    def settled(self, part: Term, read: Access, kinked: Container[Poly] | None = None) -> Poly:
        """The derivative by a read with steps of one argument at the mean of their one-sided
        values, where the argument is mixed or there are several.

        Of the steps in a product only those of arguments ``kinked`` count (None for those of a
        function), and only where all that they multiply has a value at the step.
        """
        return self._settled(part, read, kinked, ())

    def _settled(
        self,
        part: Term,
        read: Access,
        kinked: Container[Poly] | None,
        done: tuple[Poly, ...],
    ) -> Poly:
        for argument, steps in self._groups(part).items():
            only = steps[0] if len(steps) == 1 else None
            if argument in done or (kinked is not None and argument not in kinked):
                continue
            if any(s.above == s.below == 0 for s in steps):
                continue
            if only is not None and only.level * 2 == only.above + only.below:
                continue
            if only is not None and only.above != only.below and not self.mixed(only.value):
                continue
            made = self._mean(_without(part, steps), steps, read, kinked is not None)
            if made is not None:
                done = (*done, argument)
                return collect(t for each in made for t in self._settled(each, read, kinked, done))
        return (part,)

    def _groups(self, part: Term) -> dict[Poly, list[_Step]]:
        """The steps in a term by their arguments, which are up to a positive number."""
        groups: dict[Poly, list[_Step]] = {}
        signs = map(self._of_root, filter(None, map(_of_sign, part.factors)))
        for step in (*filter(None, map(self._as_step, part.guards)), *signs):
            argument, sign = self.argument(step.value)
            groups.setdefault(argument, []).append(step if sign > 0 else step.turned())
        return groups

    def _mean(
        self, rest: Term | None, steps: Sequence[_Step], read: Access | None, cautious: bool
    ) -> Poly | None:
        """``rest`` times the product of steps, which takes its mean where their argument is 0."""
        above, below = _above(steps), _below(steps)
        value, tie = steps[0].value, steps[0].tie
        if rest is None or above == below:
            return collect([] if rest is None else [_times(rest, above)])
        if above == -below:
            return collect([_times(rest, above, factors=[(Apply("sign", (value,)), UNITY)])])
        coef = above + below
        factors = rest.factors if read is None else (*rest.factors, (read, UNITY))
        if Number in map(type, (tie.left, tie.right)) and self.calm(factors, SMOOTH):
            upwards = value if above else expression(poly(neg(value)))
            made = Apply("heaviside", (upwards, number(HALF)))
            return collect([_times(rest, coef, factors=[(made, UNITY)])])
        if cautious and not self.calm(factors, SMOOTH | STEEP):
            return None
        shape = abs(above), abs(below)
        side: Cond = Compare("<", ZERO, value) if above else Compare("<", value, ZERO)
        cond, level = next(
            (
                (s.part, s.level)
                for s in steps
                if not isinstance(s.part, tuple) and (s.above, s.below) == shape
            ),
            (side, Fraction(0)),
        )
        return collect([_times(rest, coef, [cond]), _times(rest, coef * (HALF - level), [tie])])

    def joined(self, value: Poly) -> Poly:
        """A sum of terms in which those are one that differ in steps of one argument and together
        depend on it no longer: ``[x > 0] + [x < 0] + [x = 0]`` is 1.

        The argument stands in the term that is compared: under a sum it reads one of its indices,
        and which one makes a difference.
        """
        groups: dict[Term, list[tuple[Term, Term, _Step]]] = {}
        for part in () if self.lone else value:
            for argument, steps in self._groups(part).items():
                rest = _without(part, steps)
                mark = Apply("sign", (expression(argument),)), UNITY
                whole = None if rest is None else _times(rest, UNITY, factors=[mark])
                if len(steps) == 1 and rest is not None and whole is not None:
                    groups.setdefault(canonical(whole), []).append((part, rest, steps[0]))
        for group in groups.values():
            sums = {
                sum(part.coef * getattr(step, place) for part, _, step in group)
                for place in ("above", "below", "level")
            }
            if len(group) > 1 and len(sums) == 1:
                gone = [part for part, _, _ in group]
                rest = group[0][1]
                made = _times(rest, sums.pop() / rest.coef)
                return self.joined(collect([*(t for t in value if t not in gone), made]))
        return value


# The sides of kinks that are one and the same.
_ONE_SIDED = ({-1}, {1})


def _outside_sums(value: Expr) -> list[Access]:
    """The reads at the value's own indices, none of which a reduction inside goes through."""
    own = set(free_indices(value))
    return [access for access in accesses(value) if own.issuperset(free_indices(access))]


def _of_sign(factor: Factor) -> _Step | None:
    """A power of a sign, or a Heaviside step, as a step."""
    match factor:
        case Apply("sign", (value,)), exponent if exponent.denominator == 1:
            values = UNITY, -UNITY if exponent.numerator % 2 else UNITY, Fraction(0)
        case Apply("heaviside", (value, Number(level, ""))), 1:
            values = UNITY, Fraction(0), level
        case _:
            return None
    return _Step(value, *values, Compare("==", value, ZERO), factor)


def _at(define: Define, read: Access, body: Expr) -> Expr:
    """A body of a statement at the places where its target is read."""
    place = dict(zip(define.indices, read.subs, strict=True))
    return substitute(body, place)  # type: ignore[return-value]


def _times(
    value: Term, coef: Fraction, guards: Sequence[Cond] = (), factors: Sequence[Factor] = ()
) -> Term | None:
    return term(
        value.coef * coef,
        value.bound,
        (*value.guards, *guards),
        (*value.factors, *factors),
        False,
    )


def _above(steps: Sequence[_Step]) -> Fraction:
    """What a product of steps is above 0."""
    return prod((s.above for s in steps), start=UNITY)


def _below(steps: Sequence[_Step]) -> Fraction:
    return prod((s.below for s in steps), start=UNITY)


def _without(value: Term, steps: Sequence[_Step]) -> Term | None:
    """The term without some of its guards and factors."""
    gone = [s.part for s in steps]
    guards = [c for c in value.guards if c not in gone]
    return term(value.coef, value.bound, guards, [f for f in value.factors if f not in gone], False)


def _erased(factor: Factor) -> str:
    """A factor, whatever places it reads."""
    atom, exponent = factor
    return f"{' '.join(t.name for t in tensors(atom)) or atom.key}^{exponent}"


def _meet(one: _Kink, other: _Kink) -> bool:
    """Whether two arguments may be 0 together because they read the same elements."""
    if one.shift is not None and other.shift is not None and one.shift != other.shift:
        return False
    for tensor in dict.fromkeys(a.tensor for a in one.reads):
        mine = [a for a in one.reads if a.tensor is tensor]
        theirs = [a for a in other.reads if a.tensor is tensor]
        if theirs and all(_apart(a, b) for a in mine for b in theirs):
            return False
    return True


def _apart(one: Access, other: Access) -> bool:
    """Whether two reads of a tensor never meet."""
    return any(map(_never_equal, one.subs, other.subs))


def _never_equal(one: Subscript, other: Subscript) -> bool:
    here, there = bounds(one), bounds(other)
    if here is None or there is None:
        return False
    if (here[0] - there[1]).at_least(1) or (there[0] - here[1]).at_least(1):
        return True
    strides = [n.literal for atom, n in (*one.terms, *other.terms) if isinstance(atom, Index)]
    shift = (one.const - other.const).literal
    if shift is None or None in strides or len(strides) < len((*one.terms, *other.terms)):
        return False
    stride = gcd(*(n for n in strides if n is not None))
    return shift % stride != 0 if stride else shift != 0
