"""The derivative of a function of one number by the rules of a first course, as a tree of steps.

A rule is a formula in the letters of the parts: ``(D(u)*v - u*D(v))/v**2``. What stands in a step
is this formula, and with the parts' values and derivatives put in place, the derivative. The
derivatives of elementary functions are those of the table of scalar functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count

from ..calculus.conventions import partial_at_kink, sides_at_kink
from ..errors import DerivationError, LimitError
from ..functions import TABLE
from ..ir.arithmetic import COMPARISONS
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Compare,
    Cond,
    Expr,
    Guard,
    Mul,
    Number,
    Power,
    Select,
    Tensor,
    add,
    mul,
    number,
)
from ..ir.walk import Tree, bottom_up, children, rebuild, tensors

# What the formulas of rules hold besides expressions, as functions of no table.
SLOPE = "slope"  # of a part: du/dx, u'(x)
OUTER = "outer"  # of an outer function by a part, where it is taken: dy/du at u = x², f'(u(x))
VALUE = "value"  # of an outer function: f(u(x))
COMPOSED = "composed"  # the slope of a composition: (f ∘ u)'(x)

LETTERS = "uvwpqrszabcdeklmn"
FUNCTIONS = "ghkfFGHK"
MOST_STEPS = 60
LARGEST_OVER = 12  # denominators up to which a factor is written as a fraction
AT_KINKS = "a kink; there the conventions hold"
BETWEEN_STEPS = "constant between its steps"
PIECEWISE = "between the points where the case changes"


@dataclass(frozen=True)
class Outer:
    """The outer function of a chain: its letter as a function, its form in the letters of what it
    is applied to, and its slope by each of these."""

    function: str
    form: Expr
    slopes: Mapping[Tensor, Expr]


@dataclass(frozen=True)
class Step:
    """One use of a rule: the derivative of one part.

    ``name`` is the letter of the part, ``value`` what the part is and ``form`` the same in the
    letters of its own parts; ``formula`` is the rule in these letters, ``derivative`` what comes
    of it. ``conditions`` is where the rule holds, ``note`` a word on it.
    """

    rule: str
    name: Tensor
    value: Expr
    form: Expr
    formula: Expr
    derivative: Expr
    parts: tuple[Step, ...] = ()
    outer: Outer | None = None
    conditions: tuple[Cond, ...] = ()
    note: str = ""

    @property
    def every(self) -> tuple[Step, ...]:
        """The step and those of its parts."""
        return (self, *(inner for part in self.parts for inner in part.every))


@dataclass(frozen=True)
class _Part:
    """A part as a rule sees it: how it is written, the sign for its derivative, and what both are.

    A constant and the variable are written as they are; any other part has a letter and a step.
    """

    form: Expr
    slope: Expr
    value: Expr
    derivative: Expr
    step: Step | None = None


def letter(name: str) -> Tensor:
    """The name of a part."""
    return Tensor(name, ())


def slope_of(part: Tensor) -> Expr:
    """The sign for the derivative of a part by the variable."""
    return Apply(SLOPE, (Access(part, ()),))


class Differentiation:
    """Differentiates by one variable; ``named`` gives the values and derivatives of named steps of
    the program, ``taken`` the names that letters must not have."""

    def __init__(
        self, variable: Tensor, taken: Sequence[str], conventions: Mapping[str, str]
    ) -> None:
        self.x = Access(variable, ())
        self.conventions = conventions
        self.named: dict[Tensor, tuple[Expr, Expr]] = {}
        self.steps = 0
        taken = [*taken, variable.name]
        self.letters = _names(LETTERS, taken)
        self.functions = _names(FUNCTIONS, taken)

    def define(self, name: Tensor, body: Expr) -> Step:
        """The step of a named value, whose derivative later values may use."""
        body = tidy(body)
        if self.depends(body):
            made = self.step(name, body)
        else:
            made = Step("constant", name, body, body, ZERO, ZERO)
        self.named[name] = made.value, made.derivative
        return made

    def depends(self, value: Tree) -> bool:
        """Whether a value changes with the variable."""
        return any(
            t is self.x.tensor or (t in self.named and self.named[t][1] is not ZERO)
            for t in tensors(value)
        )

    # The parts of a rule

    def parts(self, values: Sequence[Expr]) -> list[_Part]:
        """Parts beside each other; their letters come before those of what is in them."""
        ready = [self._known(value) for value in values]
        named = [part or self._next() for part in ready]
        return [
            part if isinstance(part, _Part) else self._opened(part, value)
            for part, value in zip(named, values, strict=True)
        ]

    def _known(self, value: Expr) -> _Part | None:
        if not self.depends(value):
            return _Part(value, ZERO, value, ZERO)
        if value is self.x:
            return _Part(value, ONE, value, ONE)
        if isinstance(value, Access):
            return _Part(value, slope_of(value.tensor), value, self.named[value.tensor][1])
        return None

    def _next(self) -> Tensor:
        return letter(next(self.letters))

    def _opened(self, name: Tensor, value: Expr) -> _Part:
        made = self.step(name, value)
        return _Part(Access(name, ()), slope_of(name), value, made.derivative, made)

    def _made(
        self,
        rule: str,
        name: Tensor,
        form: Expr,
        formula: Expr,
        parts: Sequence[_Part],
        outer: Outer | None = None,
        conditions: Sequence[Cond] = (),
        note: str = "",
    ) -> Step:
        """A step from its rule: values and derivatives of the parts are put in the formula."""
        given = {p.form.tensor: p for p in parts if isinstance(p.form, Access)}

        def placed(node: Tree) -> Tree:
            match node:
                case Apply("slope", (Access(of),)):
                    return given[of].derivative
                case Apply("outer", (_, _, Access(by), *_)):
                    assert outer is not None
                    return placed(outer.slopes[by])
                case Access(of) if of in given:
                    return given[of].value
                case _:
                    return rebuild(node, tuple(map(placed, children(node))))

        def whole(tree: Expr) -> Expr:
            return tidy(placed(tree))  # type: ignore[arg-type]

        steps = tuple(p.step for p in parts if p.step is not None)
        return Step(
            rule, name, whole(form), form, formula, ordered(gathered(whole(formula))), steps, outer,
            tuple(conditions), note,
        )  # fmt: skip

    # The rules

    def step(self, name: Tensor, value: Expr) -> Step:
        """The step of a value that changes with the variable."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise LimitError(
                "the derivation by rules is too long to read",
                expected=f"at most {MOST_STEPS} steps",
                hint="Derivation.at shows every gate of a larger program, Derivation.steps its "
                "derivation",
            )
        match value:
            case Access():
                (part,) = self.parts([value])
                return self._made("identity", name, part.form, part.slope, [part])
            case Add(terms):
                return self.sum(name, terms)
            case Mul(factors):
                return self.product(name, factors)
            case Power(base, exponent):
                return self.power(name, base, exponent)
            case Apply(function, _) if function in TABLE:
                return self.apply(name, value)
            case Select(cond, then, other):
                parts = self.parts([then, other])
                form, formula = (Select(cond, *[f(p) for p in parts]) for f in (_form, _slope))
                return self._made("by cases", name, form, formula, parts, note=PIECEWISE)
            case _:
                raise DerivationError(
                    "the rules of scalar calculus have no name for a step here",
                    expected="sums, products, quotients, powers, functions and cases of numbers",
                    found=type(value).__name__.lower(),
                    hint="Derivation.steps and Derivation.small show the derivation of arrays",
                )

    def sum(self, name: Tensor, terms: Sequence[Expr]) -> Step:
        """Term by term."""
        signed = [_sign(term) for term in terms]
        parts = self.parts([value for _, value in signed])
        form = Add(tuple(_times(s, p.form) for (s, _), p in zip(signed, parts, strict=True)))
        formula = Add(tuple(_times(s, p.slope) for (s, _), p in zip(signed, parts, strict=True)))
        return self._made("sum rule", name, form, formula, parts)

    def product(self, name: Tensor, factors: Sequence[Expr]) -> Step:
        """A constant factor, a product, or a quotient."""
        constant = [f for f in factors if isinstance(f, Guard) or not self.depends(f)]
        masked = any(self.depends(f) for f in constant)
        varying = [f for f in factors if f not in constant]
        below = [_inverse(f) for f in varying if isinstance(f, Power) and f.exponent < 0]
        above = [f for f in varying if not (isinstance(f, Power) and f.exponent < 0)]
        if not varying:
            made = Step("constant", name, mul(*factors), mul(*factors), ZERO, ZERO)
        elif (above and below) or len(below) > 1 or _is_reciprocal(below, self.x):
            made = self.quotient(name, [*constant, *above], below)
        elif len(varying) == 1:
            made = self.scaled(name, constant, varying[0])
        else:
            made = self.several(name, constant, varying)
        return replace(made, note=PIECEWISE) if masked else made

    def scaled(self, name: Tensor, constant: Sequence[Expr], value: Expr) -> Step:
        """A constant factor; where the rest is one step, both are taken at once."""
        if self.is_direct(value):
            inner = self.step(name, value)
            return replace(
                inner,
                rule=f"constant factor, {inner.rule}",
                value=tidy(_times(*constant, value)),
                form=_times(*constant, inner.form),
                formula=_times(*constant, inner.formula),
                derivative=tidy(_times(*constant, inner.derivative)),
            )
        (part,) = self.parts([value])
        form, formula = _times(*constant, part.form), _times(*constant, part.slope)
        return self._made("constant factor", name, form, formula, [part])

    def is_direct(self, value: Expr) -> bool:
        """Whether a value is a power or a function of the variable itself: one step."""
        match value:
            case Power(base, _):
                return base is self.x
            case Apply(function, args) if function in TABLE:
                return [arg for arg in args if self.depends(arg)] == [self.x]
            case _:
                return False

    def several(self, name: Tensor, constant: Sequence[Expr], factors: Sequence[Expr]) -> Step:
        """(uv)' = u'v + uv', and so for more factors: each is differentiated in its turn."""
        parts = self.parts(factors)
        forms = [p.form for p in parts]
        turns = [
            _times(*forms[:k], part.slope, *forms[k + 1 :])
            for k, part in enumerate(parts)
            if part.slope is not ZERO
        ]
        rule = "constant factor, product rule" if constant else "product rule"
        formula = _times(*constant, add(*turns))
        return self._made(rule, name, _times(*constant, *forms), formula, parts)

    def quotient(self, name: Tensor, above: Sequence[Expr], below: Sequence[Expr]) -> Step:
        """(u/v)' = (u'v - uv')/v² where v is not 0."""
        top, bottom = self.parts([tidy(_times(*above)), tidy(_times(*below))])
        form = mul(top.form, Power(bottom.form, Fraction(-1)))
        left = [] if top.slope is ZERO else [_times(top.slope, bottom.form)]
        right = _times(number(-1), top.form, bottom.slope)
        formula = mul(add(*left, right), Power(bottom.form, Fraction(-2)))
        rule = "quotient rule" if left else "quotient rule, constant numerator"
        where = [Compare("!=", bottom.form, ZERO)]
        return self._made(rule, name, form, formula, [top, bottom], conditions=where)

    def power(self, name: Tensor, base: Expr, exponent: Fraction) -> Step:
        """The power rule, under the chain rule where the base isn't the variable."""

        def form(u: Expr) -> Expr:
            return _raised(u, exponent)

        def slope(u: Expr) -> Expr:
            return _times(number(exponent), _raised(u, exponent - 1))

        def where(u: Expr) -> list[Cond]:
            if exponent >= 1:
                return []
            whole = exponent.denominator == 1
            return [Compare("!=", u, ZERO) if whole else Compare("<", ZERO, u)]

        if base is self.x:
            return self._made(
                "power rule", name, form(base), slope(base), [], conditions=where(base)
            )
        if exponent == -1:
            return self.quotient(name, [], [base])
        (part,) = self.parts([base])
        assert isinstance(part.form, Access)
        outer = Outer(next(self.functions), form(part.form), {part.form.tensor: slope(part.form)})
        return self.chain(name, outer, [part], where(part.form), "")

    def apply(self, name: Tensor, value: Apply) -> Step:
        """A function of the table, under the chain rule where its argument isn't the variable."""
        varying = [k for k, arg in enumerate(value.args) if self.depends(arg)]
        direct = self.is_direct(value)
        parts = self.parts([value.args[k] for k in varying])
        forms = [part.form for part in parts]
        if not direct and (self.x in forms or len({*forms}) < len(forms)):
            parts = [self._renamed(part) for part in parts]
        by = dict(zip(varying, parts, strict=True))
        shown = Apply(
            value.function,
            tuple(by[k].form if k in by else arg for k, arg in enumerate(value.args)),
        )
        slopes, kinks, note = {}, [], ""
        for k, part in by.items():
            partial = TABLE[value.function].partials[k]
            own = partial_at_kink(shown, k, len(by) == 1, self.conventions)
            slope = ZERO if partial is None else own or partial(shown.args, shown)
            slopes[_tensor(part)] = tidy(slope)
            sides = sides_at_kink(shown, k, len(by) == 1, self.conventions)
            kinks += [Compare("!=", argument, ZERO) for argument, _ in sides]
            note = BETWEEN_STEPS if partial is None else AT_KINKS if kinks else note
        if direct:
            (formula,) = slopes.values()
            return self._made("elementary", name, shown, formula, [], None, kinks, note)
        outer = Outer(next(self.functions), shown, slopes)
        return self.chain(name, outer, parts, kinks, note)

    def _renamed(self, part: _Part) -> _Part:
        """A part with a letter of its own, also where it is the variable or has a name."""
        if part.step is not None:
            return part
        name = self._next()
        step = self._made("identity", name, part.form, part.slope, [part])
        return replace(part, form=Access(name, ()), slope=slope_of(name), step=step)

    def chain(
        self,
        name: Tensor,
        outer: Outer,
        parts: Sequence[_Part],
        conditions: Sequence[Cond],
        note: str,
    ) -> Step:
        """(f ∘ g)'(x) = f'(g(x)) g'(x), and so for several inner functions."""
        at = [(part.form, self.named.get(_tensor(part), (part.value,))[0]) for part in parts]
        places = [one for pair in at for one in pair]
        ends = Access(letter(outer.function), ()), Access(name, ())
        terms = [
            _times(Apply(OUTER, (*ends, part.form, *places)), slope_of(_tensor(part)))
            for part in parts
        ]
        rule = "chain rule" if len(parts) == 1 else "chain rule, several variables"
        formula = add(*terms)
        return self._made(rule, name, outer.form, formula, parts, outer, conditions, note)


def _form(part: _Part) -> Expr:
    return part.form


def _slope(part: _Part) -> Expr:
    return part.slope


def _names(letters: str, taken: Sequence[str]) -> Iterator[str]:
    """Letters that are free, then letters with numbers."""
    yield from (name for name in letters if name not in taken)
    yield from (name for k in count(1) if (name := f"{letters[0]}{k}") not in taken)


def _sign(term: Expr) -> tuple[Expr, Expr]:
    """A term's sign and the rest."""
    match term:
        case Mul((Number(value), first, *rest)) if value == -1:
            return number(-1), mul(first, *rest)
        case _:
            return ONE, term


def _inverse(factor: Expr) -> Expr:
    assert isinstance(factor, Power)
    return _raised(factor.base, -factor.exponent)


def _raised(base: Expr, exponent: Fraction) -> Expr:
    return ONE if not exponent else base if exponent == 1 else Power(base, exponent)


def _tensor(part: _Part) -> Tensor:
    assert isinstance(part.form, Access)
    return part.form.tensor


def _is_reciprocal(below: Sequence[Expr], x: Expr) -> bool:
    """Whether what is below the bar is neither the variable nor a power: 1/g."""
    return len(below) == 1 and below[0] is not x and not isinstance(below[0], Power)


def _times(*factors: Expr) -> Expr:
    """A product without ones; its numbers are one, and a simple fraction stands as such."""
    left = [part for f in factors for part in (f.factors if isinstance(f, Mul) else (f,))]
    numbers = {f: value for f in left if (value := _number(f)) is not None}
    coefficient = Fraction(1)
    for factor in left:
        coefficient *= numbers.get(factor, 1)
    if not coefficient:
        return ZERO
    over = coefficient.denominator
    simple = 1 < over <= LARGEST_OVER
    front = number(coefficient * over if simple else coefficient)
    below = [Power(number(over), Fraction(-1))] if simple else []
    rest = [*below, *(f for f in left if f not in numbers)]
    return mul(*([front] if front is not ONE or not rest else []), *rest)


def _number(factor: Expr) -> Fraction | None:
    match factor:
        case Number(value, ""):
            return value
        case Power(Number(value, ""), exponent) if exponent == -1 and value:
            return 1 / value
        case _:
            return None


def tidy(value: Expr) -> Expr:
    """The same with no product in a product and no sum in a sum, without ones and zeros, and with
    no condition on numbers."""

    def change(node: Tree) -> Tree:
        match node:
            case Mul(factors):
                return _times(*factors)
            case Add(terms):
                flat = [t for s in terms for t in (s.terms if isinstance(s, Add) else (s,))]
                left = [t for t in flat if t is not ZERO]
                return add(*left) if left else ZERO
            case Power(base, exponent) if exponent == 1:
                return base
            case Select(cond, then, other):
                held = _holds(cond)
                return then if held or then is other else node if held is None else other
            case _:
                return node

    return bottom_up(value, change)  # type: ignore[return-value]


def gathered(value: Expr) -> Expr:
    """The same with equal factors of a product as one power: ``2·x²`` for ``2·x·x``."""

    def change(node: Tree) -> Tree:
        if not isinstance(node, Mul):
            return node
        powers: dict[Expr, Fraction] = {}
        for factor in node.factors:
            match factor:
                case Power(base, exponent) if exponent > 0 and exponent.denominator == 1:
                    powers[base] = powers.get(base, Fraction(0)) + exponent
                case _:
                    powers[factor] = powers.get(factor, Fraction(0)) + 1
        return mul(*(base if n == 1 else Power(base, n) for base, n in powers.items()))

    return bottom_up(value, change)  # type: ignore[return-value]


def _holds(cond: Cond) -> bool | None:
    """Whether a comparison of two numbers holds; None for any other condition."""
    match cond:
        case Compare(op, Number(left, ""), Number(right, "")):
            return COMPARISONS[op](left, right)
        case _:
            return None


def ordered(value: Expr) -> Expr:
    """The same with the factors of every product as one writes them: numbers, letters, functions,
    sums."""

    def change(node: Tree) -> Tree:
        return Mul(tuple(sorted(node.factors, key=_place))) if isinstance(node, Mul) else node

    return bottom_up(value, change)  # type: ignore[return-value]


def _place(factor: Expr) -> int:
    match factor:
        case Number() | Power(Number()):
            return 0
        case Access() | Power(Access()):
            return 1
        case Add() | Select() | Guard() | Power(Add()):
            return 3
        case _:
            return 2
