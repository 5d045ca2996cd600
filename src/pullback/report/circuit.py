"""What the drawing of a computational graph shows: values, what makes them, gradients, numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..backends.gates import gates
from ..calculus.linear import active_values
from ..calculus.reverse import reverse
from ..calculus.step import Backward
from ..derivation import Derivation
from ..ir.expr import (
    Access,
    Add,
    Apply,
    Arg,
    Expr,
    Guard,
    Mul,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
)
from ..ir.interpret import run
from ..ir.program import Define, Program, Source
from ..ir.subscripts import Lookup
from ..ir.walk import Tree, children
from ..opaque import TABLE

MOST_GATES = 4
POWERS = {"2": "square", "1/2": "square root", "-1": "divide", "-1/2": "divide by root"}
NAMES = {"maximum": "max", "minimum": "min"}


@dataclass(frozen=True)
class Circuit:
    """A program with what is written beside its values.

    ``gradients`` names, by value, the gradient that arrives there; ``kinds`` says what each
    statement does; ``active`` are the values that gradients flow through; ``values`` and
    ``slopes`` are numbers, by value.
    """

    program: Program
    gradients: Mapping[str, str]
    kinds: Mapping[str, str]
    active: Collection[Tensor]
    values: Mapping[str, float] = field(default_factory=dict)
    slopes: Mapping[str, float] = field(default_factory=dict)


def circuit(derivation: Derivation, values: Mapping[str, float] = {}) -> Circuit:
    """The user's statements; ``values`` are single numbers, by value, to write beside them."""
    backward, program = derivation.backward, derivation.forward
    kinds = {s.target.name: " · ".join(words(s.body)) for s in program.statements}
    made = _gradients(backward, backward.statements)
    active = active_values(program.statements, backward.wrt)
    return Circuit(program, made, kinds, active, dict(values))


def gate_circuit(derivation: Derivation, values: Mapping[str, float] = {}) -> Circuit:
    """One statement a gate; with a value for every input, each of them a number, all numbers.

    The gradients of the outputs are taken to be 1.
    """
    own = derivation.backward.program
    parts = gates(own)
    defines = tuple(replace(gate.define, source=Source()) for gate in parts)
    program = Program(own.inputs, defines, own.outputs, own.sizes)
    backward = reverse(program, derivation.backward.wrt, dict(derivation.conventions))
    kinds = {gate.define.target.name: gate.kind for gate in parts}
    made = _gradients(backward, backward.adjoints)
    found, slopes = _numbers(backward, values)
    active = active_values(program.statements, backward.wrt)
    return Circuit(program, made, kinds, active, found, slopes)


def is_scalar(program: Program) -> bool:
    """Whether every value is a single number."""
    return not any(t.shape for t in (*program.inputs, *(s.target for s in program.statements)))


def _gradients(backward: Backward, statements: Sequence[Define]) -> dict[str, str]:
    found = {s.of: s.target.name for s in statements if s.of}
    outputs = dict.fromkeys(t for t in backward.program.outputs if t.kind == "float")
    for output, cotangent in zip(outputs, backward.cotangents, strict=False):
        found.setdefault(output.name, cotangent.name)
    return found


def _numbers(
    backward: Backward, values: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """All values and their gradients by the interpreter."""
    program = backward.program
    if not is_scalar(program) or any(t.name not in values for t in program.inputs):
        return dict(values), {}
    inputs = (*program.inputs, *backward.cotangents)
    statements = (*backward.forward.statements, *backward.values, *backward.adjoints)
    ones = {t.name: 1.0 for t in backward.cotangents}
    given = {**{t.name: values[t.name] for t in program.inputs}, **ones}
    found = run(Program(inputs, statements, ()), given)
    numbers = {name: float(array.flat[0]) for name, array in found.items()}
    slopes = {s.of: numbers[s.target.name] for s in backward.adjoints}
    for output, cotangent in _gradients(backward, ()).items():
        slopes.setdefault(output, ones[cotangent])
    return {**given, **numbers}, slopes


# What a statement does, in words


def words(body: Expr) -> tuple[str, ...]:
    """What a statement does, innermost first: at most four words for its gates.

    >>> from pullback.ir.expr import add, mul, number
    >>> words(add(mul(number(2), number(3)), number(1)))
    ('scale', 'add')
    """
    found = tuple(dict.fromkeys(_gates(body)))
    return found if len(found) <= MOST_GATES else (*found[: MOST_GATES - 1], "…")


def _gates(node: Tree) -> Iterator[str]:
    match node:
        case Mul((Power(SizeOf(), minus_one), Reduce("sum", _, _, body))) if minus_one == -1:
            yield from _gates(body)
            yield "mean"
        case Reduce("sum", _, _, Mul(factors)) if _operands(factors) > 1:
            for factor in factors:
                yield from _gates(factor)
            yield "sum of products"
        case _:
            for child in children(node):
                yield from _gates(child)
            yield from _gate(node)


def _gate(node: Tree) -> tuple[str, ...]:
    match node:
        case Add(terms) if len(terms) > 1:
            return ("subtract",) if len(terms) == 2 and _negated(terms[1]) else ("add",)
        case Mul(factors) if _operands(factors) > 1:
            return ("multiply",)
        case Mul((Number(value, _), _)) if value == -1:
            return ()  # a minus sign
        case Mul(factors) if len(factors) > 1 and not any(isinstance(f, Power) for f in factors):
            return ("scale",)
        case Power(SizeOf(), _):
            return ()
        case Power(_, exponent):
            return (POWERS.get(str(exponent), "power"),)
        case Apply(function, _):
            return (NAMES.get(function, function),)
        case Reduce(name, _, _, _):
            return (f"{name} over an index" if name in ("max", "min") else name,)
        case Opaque(operation, _, _):
            return (TABLE[operation].spelled,)
        case Arg(name, _, _, _, _):
            return (f"arg {name}",)
        case Select():
            return ("choose",)
        case Guard():
            return ("mask",)
        case Access(_, subs) if any(isinstance(sub.atom, Lookup) for sub in subs):
            return ("gather",)
        case _:
            return ()


def _operands(factors: tuple[Expr, ...]) -> int:
    """Factors that vary, quotients and masks not counted."""
    return sum(not isinstance(f, Number | SizeOf | Guard | Power) for f in factors)


def _negated(term: Expr) -> bool:
    return (
        isinstance(term, Mul)
        and isinstance(term.factors[0], Number)
        and term.factors[0].value == -1
    )
