"""A program taken apart into gates: sums of two, products of two, functions, reductions.

The gates are statements like any other, so that what they compute, what their gradients are and how
both are spelled is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..calculus.flatten import alpha
from ..errors import DerivationError
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
    Opaque,
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
from ..ir.walk import Tree, accesses, free_indices, substitute
from ..opaque import TABLE
from ..text import PRIVATE

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


def _expanded_sigmoid(x: Expr) -> Expr:
    return Power(Add((ONE, Apply("exp", (neg(x),)))), Fraction(-1))


def _expanded_softplus(x: Expr) -> Expr:
    return Apply("log", (Add((ONE, Apply("exp", (x,)))),))


# Functions that can be shown as the gates that they are made of.
EXPANSIONS: dict[str, Callable[[Expr], Expr]] = {
    "sigmoid": _expanded_sigmoid,
    "softplus": _expanded_softplus,
}


@dataclass(frozen=True)
class Gate:
    """One statement and the kind of thing that it does."""

    kind: str
    define: Define


def gates(
    program: Program, expand: Collection[str] = (), kept: Collection[Tensor] = ()
) -> tuple[Gate, ...]:
    """The program's statements as gates. Values that have a name keep it; the others get one.

    Functions in ``expand`` are taken apart into the gates that they are made of. The statements of
    the tensors in ``kept`` stay as they are, one gate of the kind "kept" each.
    """
    split = _Split(program, expand)
    for statement in program.statements:
        if statement.target in kept:
            split.gates.append(Gate("kept", statement))
        else:
            split.statement(statement)
    return tuple(split.gates)


class _Split:
    def __init__(self, program: Program, expand: Collection[str]) -> None:
        self.gates: list[Gate] = []
        self.expand = expand
        self.taken = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
        self.counts: dict[str, int] = {}
        self.known: dict[tuple[str, Tree], Tensor] = {}
        self.current: Define
        self.order: tuple[Index, ...] = ()

    def statement(self, statement: Define) -> None:
        self.current, self.order = statement, statement.indices
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

    def emit(self, kind: str, body: Expr, dtype: str) -> Expr:
        """The name of a gate's value; equal gates are one."""
        if dtype == "float":
            dtype = self.current.target.dtype
        axes = self.axes(body)
        marks = {index: at(Index(f"${PRIVATE}{k}", index.extent)) for k, index in enumerate(axes)}
        key = (dtype, alpha(substitute(body, marks)))
        if key not in self.known:
            target = Tensor(self.name(kind), tuple(index.extent for index in axes), dtype)
            made = Define(target, axes, body, self.current.source, user=False)
            self.gates.append(Gate(kind, made))
            self.known[key] = target
        return Access(self.known[key], tuple(map(at, axes)))

    def axes(self, body: Expr) -> tuple[Index, ...]:
        """The free indices, in the order of an operand that has them all if there is one."""
        free = free_indices(body)
        read = accesses(body)
        for access in read:
            plain = [index for index in (sub.index for sub in access.subs) if index in free]
            if len(set(plain)) == len(free) or len(read) == 1:
                order = (*plain, *self.order)
                return tuple(index for index in dict.fromkeys(order) if index in free)
        return tuple(index for index in self.order if index in free)

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
            case Opaque(operation):
                raise DerivationError(
                    f"{TABLE[operation].spelled} is no gate",
                    where=self.current.source.text or self.current.target.name,
                    hint="the compact style differentiates it",
                )

    def sum(self, terms: Sequence[Expr], guards: tuple[Cond, ...]) -> tuple[str, Expr]:
        if len(terms) == 1:
            return self.gate(terms[0], guards)
        total = self.signed(terms[0], guards)
        for term in terms[1:-1]:
            made = guarded(guards, add(total, self.signed(term, guards)))
            total = self.emit("add", made, "float")
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
        shield = [f for f in body.factors if isinstance(f, Guard)]
        varying = [f for f in body.factors if depends(f)]
        if len(varying) < 2 or len(shield) + len(varying) < len(body.factors):
            return None
        if shield:  # to the first factor that is read where they hold
            wanted = {index for guard in shield for index in free_indices(guard)}
            place = next((k for k, f in enumerate(varying) if wanted <= {*free_indices(f)}), None)
            if place is None:
                return None
            varying[place] = Mul((*shield, varying[place]))
        first = self.operand(mul(*varying[:-1]), guards)
        return Mul((first, self.operand(varying[-1], guards)))

    def condition(self, cond: Cond, guards: tuple[Cond, ...]) -> Cond:
        """The condition, with a name if it depends on values."""
        if not reads(cond):
            return cond
        if isinstance(cond, Truth) and isinstance(cond.value, Access):
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
        case Opaque():
            return True
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
