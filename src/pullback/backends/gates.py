"""A program taken apart into gates: every sum of two, product of two, function, reduction by itself.

The gates are statements like any other, so that what they compute, what their gradients are and how both
are spelled is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..ir.expr import (
    ONE,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    add,
    mul,
    neg,
)
from ..ir.program import Define, Program
from ..ir.subscripts import Index, at
from ..ir.walk import free_indices

HALF = Fraction(1, 2)

# The letter that an unnamed gate's value goes by; functions go by their own first letter.
LETTERS = {
    "add": "s",
    "multiply": "p",
    "scale": "c",
    "negate": "n",
    "reciprocal": "r",
    "contract": "p",
    "guard": "g",
    "compare": "m",
    "read": "v",
    "power": "q",
}
POWERS = {Fraction(-1): "reciprocal", HALF: "sqrt", Fraction(2): "square"}
# Functions that can be shown as the gates that they are made of.
EXPANSIONS = {
    "sigmoid": lambda x: Power(Add((ONE, Apply("exp", (neg(x),)))), Fraction(-1)),
    "softplus": lambda x: Apply("log", (Add((ONE, Apply("exp", (x,)))),)),
    "tanh": lambda x: Add(
        (
            Mul((Number(Fraction(2), ""), Apply("sigmoid", (Mul((Number(Fraction(2), ""), x)),)))),
            Number(Fraction(-1), ""),
        )
    ),
}


@dataclass(frozen=True)
class Gate:
    """One statement and the kind of thing that it does."""

    kind: str
    define: Define


def gates(program: Program, expand: Collection[str] = ()) -> tuple[Gate, ...]:
    """The program's statements as gates; functions in ``expand`` as the gates that they are made of.

    Values that have a name keep it; the others get one.
    """
    split = _Split(program, expand)
    for statement in program.statements:
        split.statement(statement)
    return tuple(split.gates)


class _Split:
    def __init__(self, program: Program, expand: Collection[str]) -> None:
        self.gates: list[Gate] = []
        self.expand = expand
        self.taken = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
        self.counts: dict[str, int] = {}
        self.known: dict[Expr, Access] = {}
        self.current: Define
        self.order: tuple[Index, ...] = ()

    def statement(self, statement: Define) -> None:
        self.current, self.known, self.order = statement, {}, statement.indices
        kind, body = "integer", statement.body
        if statement.target.kind == "float":
            kind, body = self.gate(statement.body, ())
        self.gates.append(Gate(kind, replace(statement, body=body, scatter=None)))

    # What a gate reads: something with a name, or a constant.

    def operand(self, value: Expr, guards: tuple[Cond, ...]) -> Expr:
        """The value as a name or a constant; gates are made for the rest."""
        if isinstance(value, Access) or not depends(value):
            return value
        kind, body = self.gate(value, guards)
        return self.emit(kind, guarded(guards, body), "float")

    def emit(self, kind: str, body: Expr, dtype: str) -> Access:
        if body not in self.known:
            free = free_indices(body)
            axes = tuple(index for index in self.order if index in free)
            if dtype == "float":
                dtype = self.current.target.dtype
            target = Tensor(self.name(kind), tuple(index.extent for index in axes), dtype)
            made = Define(target, axes, body, self.current.source, user=False)
            self.gates.append(Gate(kind, made))
            self.known[body] = made.access
        return self.known[body]

    def name(self, kind: str) -> str:
        letter = LETTERS.get(kind, kind[0])
        while True:
            self.counts[letter] = self.counts.get(letter, 0) + 1
            name = f"{letter}{self.counts[letter]}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    # One gate.

    def gate(self, value: Expr, guards: tuple[Cond, ...]) -> tuple[str, Expr]:
        """The value as one gate of operands, and its kind."""
        if not depends(value):
            return "constant", value
        match value:
            case Access():
                plain = [sub.index for sub in value.subs]
                whole = None not in plain and len(set(plain)) == len(plain)
                return ("copy" if whole else "read"), value
            case Apply(function, args):
                if function in self.expand and function in EXPANSIONS:
                    return self.gate(EXPANSIONS[function](*args), guards)
                return function, Apply(function, tuple(self.operand(a, guards) for a in args))
            case Add(terms):
                return self.sum(terms, guards)
            case Mul(factors):
                return self.product(factors, guards)
            case Power(base, exponent):
                kind = POWERS.get(exponent, "power")
                return kind, Power(self.operand(base, guards), exponent)
            case Reduce():
                return self.reduction(value, guards)
            case Select(cond, then, other):
                chosen = self.condition(cond, guards)
                one = self.operand(then, (*guards, chosen))
                two = self.operand(other, (*guards, Not(chosen)))
                return "select", Select(chosen, one, two)
            case Number() | SizeOf() | IndexOf() | Guard() | Arg():
                return "constant", value

    def sum(self, terms: Sequence[Expr], guards: tuple[Cond, ...]) -> tuple[str, Expr]:
        if len(terms) == 1:
            return self.gate(terms[0], guards)
        total = self.signed(terms[0], guards)
        for term in terms[1:-1]:
            total = self.emit("add", guarded(guards, add(total, self.signed(term, guards))), "float")
        return "add", Add((total, self.signed(terms[-1], guards)))

    def signed(self, term: Expr, guards: tuple[Cond, ...]) -> Expr:
        """A term as an operand with or without a minus sign."""
        match term:
            case Mul((Number(value, ""), first, *rest)) if value == -1:
                if not any(isinstance(factor, Guard) for factor in (first, *rest)):
                    return neg(self.operand(mul(first, *rest), guards))
        return self.operand(term, guards)

    def product(self, factors: Sequence[Expr], guards: tuple[Cond, ...]) -> tuple[str, Expr]:
        own = tuple(self.condition(f.cond, guards) for f in factors if isinstance(f, Guard))
        inner = (*guards, *own)
        others = [f for f in factors if not isinstance(f, Guard)]
        fixed = [f for f in others if not depends(f)]
        varying = [f for f in others if depends(f)]
        shield = tuple(map(Guard, own))
        if fixed:
            value = self.operand(mul(*varying), inner)
            kind = "negate" if fixed == [Number(Fraction(-1), "")] else "scale"
            return kind, Mul((*shield, *fixed, value))
        if len(varying) == 1:
            if not shield:
                return self.gate(varying[0], guards)
            return "guard", Mul((*shield, self.operand(varying[0], inner)))
        total = self.operand(varying[0], inner)
        for factor in varying[1:-1]:
            made = guarded(inner, mul(total, self.operand(factor, inner)))
            total = self.emit("multiply", made, "float")
        return "multiply", Mul((*shield, total, self.operand(varying[-1], inner)))

    def reduction(self, value: Reduce, guards: tuple[Cond, ...]) -> tuple[str, Expr]:
        outer = self.order
        self.order = (*(i for i in outer if i not in value.indices), *value.indices)
        domain = tuple(self.condition(cond, guards) for cond in value.domain)
        inner = (*guards, *domain)
        body = self.contracted(value, inner) or self.operand(value.body, inner)
        self.order = outer
        kind = "contract" if isinstance(body, Mul) else value.op
        return kind, Reduce(value.op, value.indices, domain, body)

    def contracted(self, value: Reduce, guards: tuple[Cond, ...]) -> Expr | None:
        """The body of a sum of products of two: the products themselves are never stored."""
        body = value.body
        if value.op != "sum" or value.domain or not isinstance(body, Mul):
            return None
        if any(isinstance(f, Guard) or not depends(f) for f in body.factors):
            return None
        if len(body.factors) < 2:
            return None
        first = self.operand(mul(*body.factors[:-1]), guards)
        return Mul((first, self.operand(body.factors[-1], guards)))

    def condition(self, cond: Cond, guards: tuple[Cond, ...]) -> Cond:
        """The condition, with a name if it depends on values."""
        if not reads(cond) or isinstance(cond, Truth) and isinstance(cond.value, Access):
            return cond
        inner = self.compared(cond, guards)
        return Truth(self.emit("compare", Guard(_all((*guards, inner))), "bool"))

    def compared(self, cond: Cond, guards: tuple[Cond, ...]) -> Cond:
        match cond:
            case Compare(op, left, right):
                return Compare(op, self.operand(left, guards), self.operand(right, guards))
            case And(conds):
                return And(tuple(self.compared(c, guards) for c in conds))
            case Or(conds):
                return Or(tuple(self.compared(c, guards) for c in conds))
            case Not(inner):
                return Not(self.compared(inner, guards))
            case Truth(value):
                return Truth(self.operand(value, guards))
            case Zero() | Inside() | Divides():
                return cond


def depends(value: Expr) -> bool:
    """Whether a value is made of floats (its conditions and positions aside)."""
    match value:
        case Access(tensor, _):
            return tensor.kind == "float"
        case Apply(_, parts) | Add(parts) | Mul(parts):
            return any(map(depends, parts))
        case Power(base, _):
            return depends(base)
        case Reduce(_, _, _, body):
            return depends(body)
        case Select(_, then, other):
            return depends(then) or depends(other)
        case Number() | SizeOf() | IndexOf() | Guard() | Arg():
            return False


def reads(cond: Cond) -> bool:
    """Whether a condition depends on values (not on indices alone)."""
    match cond:
        case And(conds) | Or(conds):
            return any(map(reads, conds))
        case Not(inner):
            return reads(inner)
        case Compare(_, left, right):
            return not all(isinstance(side, Number | SizeOf | IndexOf) for side in (left, right))
        case Truth():
            return True
        case Zero() | Inside() | Divides():
            return False


def guarded(guards: Iterable[Cond], body: Expr) -> Expr:
    """The body where all guards hold, absent elsewhere."""
    factors = body.factors if isinstance(body, Mul) else (body,)
    shield = [g for g in dict.fromkeys(map(Guard, guards)) if g not in factors]
    return Mul((*shield, *factors)) if shield else body


def _all(conds: tuple[Cond, ...]) -> Cond:
    return conds[0] if len(conds) == 1 else And(conds)
