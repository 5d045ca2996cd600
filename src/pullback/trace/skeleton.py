"""A program of plain ints, taken apart into what sizes can't change and the numbers that they can.

One walk does both ways: reading, it notes every number; writing, it is given what to put in their
place. Two traces of one function have equal skeletons exactly if they differ in numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from ..ir.expr import (
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
)
from ..ir.program import Define, Program, Source
from ..ir.sizes import Size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    at,
    constant,
)
from ..ir.walk import nodes, subscripts

Leaf = int | Number | Fraction  # a size, a number, an exponent
Filling = Size | Expr | Fraction
LOWER = ("float16", "float32")  # dtypes of less than double precision


@dataclass(frozen=True)
class Part:
    """The inputs, one statement, or the outputs of a program: skeleton and numbers.

    ``single`` tells whether the statement's value has less than double precision.
    """

    title: str
    source: Source
    skeleton: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    single: bool = False


def take_apart(program: Program) -> tuple[Part, ...]:
    """The parts of a program whose sizes are all literal: inputs, statements, outputs."""
    parts = []
    walk = _Walk()
    for tensor in program.inputs:
        walk.declare(tensor)
    parts.append(walk.part("the inputs", Source()))
    for statement in program.statements:
        walk.statement(statement)
        single = statement.target.dtype in LOWER
        parts.append(walk.part(statement.target.name, statement.source, single))
    for tensor in program.outputs:
        walk.read(tensor)
    parts.append(walk.part("the outputs", Source()))
    return tuple(parts)


def put_together(program: Program, fillings: Sequence[Sequence[Filling]]) -> Program:
    """The same program with other numbers, given part by part in the order of ``leaves``."""
    rest = iter(fillings)
    walk = _Walk(iter(next(rest)))
    inputs = tuple(map(walk.declare, program.inputs))
    every = [next(rest) for _ in program.statements]
    for statement, own in zip(program.statements, every, strict=True):
        walk.promise(statement, own)
    statements = []
    for statement, own in zip(program.statements, every, strict=True):
        walk.fillings = iter(own)
        statements.append(walk.statement(statement))
    return Program(inputs, tuple(statements), tuple(map(walk.read, program.outputs)), program.sizes)


class _Walk:
    """Goes through a program in a fixed order; writes if it has ``fillings``, else only reads."""

    def __init__(self, fillings: Iterator[Filling] | None = None) -> None:
        self.fillings = fillings
        self.tokens: list[str] = []
        self.leaves: list[Leaf] = []
        self.tensors: dict[Tensor, Tensor] = {}
        self.bound: dict[Index, tuple[int, Index]] = {}
        self.count = 0

    def part(self, title: str, source: Source, single: bool = False) -> Part:
        found = Part(title, source, tuple(self.tokens), tuple(self.leaves), single)
        self.tokens, self.leaves = [], []
        return found

    def leaf(self, value: Leaf) -> Filling | None:
        """Notes a number; what takes its place, None for itself."""
        self.leaves.append(value)
        return None if self.fillings is None else next(self.fillings)

    def size(self, value: Size) -> Size:
        self.tokens.append("size")
        filling = self.leaf(_literal(value))
        return filling if isinstance(filling, Size) else value

    def declare(self, tensor: Tensor) -> Tensor:
        self.tokens += [tensor.name, tensor.dtype, str(len(tensor.shape))]
        shape = tuple(map(self.size, tensor.shape))
        made = tensor if self.fillings is None else Tensor(tensor.name, shape, tensor.dtype)
        self.tensors[tensor] = made
        return made

    def promise(self, statement: Define, fillings: Sequence[Filling]) -> None:
        """Notes a target, which a recurrence reads before it is defined: the sizes of its axes come
        first among the numbers of a statement."""
        target = statement.target
        given = zip(fillings, target.shape, strict=False)
        shape = tuple(new if isinstance(new, Size) else old for new, old in given)
        self.tensors[target] = Tensor(target.name, shape, target.dtype)

    def read(self, tensor: Tensor) -> Tensor:
        self.tokens.append(f"@{tensor.name}")
        return self.tensors.get(tensor, tensor)

    def statement(self, statement: Define) -> Define:
        self.bound, self.count = {}, 0
        indices = self.bind(statement.indices)
        body = self.expr(statement.body)
        target = self.declare(statement.target)
        return Define(target, indices, body, statement.source, statement.user, None, statement.of)

    def bind(self, indices: Sequence[Index]) -> tuple[Index, ...]:
        made = []
        for index in indices:
            new = Index(index.name, self.size(index.extent))
            self.bound = {**self.bound, index: (self.count, new)}
            self.count += 1
            made.append(new)
        self.tokens.append(f"bind {len(made)}")
        return tuple(made)

    def sub(self, value: Subscript) -> Subscript:
        total = constant(self.size(value.const))
        self.tokens.append(f"terms {len(value.terms)}")
        terms = value.terms if len(value.terms) < 2 else sorted(value.terms, key=self.rank)
        if self.fillings is None:
            for atom, n in terms:
                self.size(n)
                self.atom(atom)
            return value
        for atom, n in terms:
            coefficient = self.size(n)
            total = total + self.atom(atom) * coefficient
        return total

    def rank(self, term: tuple[SubscriptAtom, Size]) -> tuple[list[str], list[int]]:
        """An order of a subscript's terms that is the same in all traces."""
        inner = _Walk()
        inner.tensors, inner.bound = self.tensors, self.bound
        inner.atom(term[0])
        sizes = [leaf for leaf in inner.leaves if isinstance(leaf, int)]
        return inner.tokens, [*sizes, _literal(term[1])]

    def atom(self, atom: SubscriptAtom) -> Subscript:
        match atom:
            case Index():
                place, new = self.bound.get(atom, (-1, atom))
                self.tokens.append(f"index {place}")
                return at(new)
            case Quotient(value, divisor):
                self.tokens.append("//")
                return self.sub(value) // self.size(divisor)
            case Remainder(value, divisor):
                self.tokens.append("%")
                return self.sub(value) % self.size(divisor)
            case Lookup(access):
                self.tokens.append("lookup")
                return at(Lookup(self.access(access)))
        assert_never(atom)

    def access(self, access: Access) -> Access:
        tensor = self.read(access.tensor)
        return Access(tensor, tuple(map(self.sub, access.subs)))

    def exprs(self, values: Sequence[Expr]) -> tuple[Expr, ...]:
        self.tokens.append(str(len(values)))
        return tuple(map(self.expr, values))

    def conds(self, values: Sequence[Cond]) -> tuple[Cond, ...]:
        self.tokens.append(str(len(values)))
        return tuple(map(self.cond, values))

    def expr(self, node: Expr) -> Expr:
        self.tokens.append(type(node).__name__)
        match node:
            case Number():
                return _value(self.leaf(node), node)
            case SizeOf(value):
                return SizeOf(self.size(value))
            case IndexOf(sub):
                return IndexOf(self.sub(sub))
            case Access():
                return self.access(node)
            case Apply(function, args):
                self.tokens.append(function)
                return Apply(function, self.exprs(args))
            case Add(terms):
                return Add(self.exprs(terms))
            case Mul(factors):
                return Mul(self.exprs(factors))
            case Power(base, exponent):
                return self.power(self.expr(base), exponent)
            case Reduce(op, indices, domain, body):
                self.tokens.append(op)
                outer = self.bound
                made = self.bind(indices)
                node = Reduce(op, made, self.conds(domain), self.expr(body))
                self.bound = outer
                return node
            case Arg(op, indices, which, domain, body):
                self.tokens.append(f"{op} {which}")
                outer = self.bound
                made = self.bind(indices)
                arg = Arg(op, made, which, self.conds(domain), self.expr(body))
                self.bound = outer
                return arg
            case Select(cond, then, other):
                return Select(self.cond(cond), self.expr(then), self.expr(other))
            case Guard(cond):
                return Guard(self.cond(cond))
            case Opaque(operation, operands, subs):
                self.tokens.append(operation)
                whole = tuple(map(self.read, operands))
                return Opaque(operation, whole, tuple(map(self.sub, subs)))
        assert_never(node)

    def power(self, base: Expr, exponent: Fraction) -> Expr:
        """An exponent that depends on a size is no literal any more: the function pow takes it."""
        filling = self.leaf(exponent)
        if filling is None or isinstance(filling, Size):
            return Power(base, exponent)
        if isinstance(filling, Fraction):
            return Power(base, filling)
        return Apply("pow", (base, filling))

    def cond(self, node: Cond) -> Cond:
        self.tokens.append(type(node).__name__)
        match node:
            case Compare(op, left, right):
                self.tokens.append(op)
                return Compare(op, self.expr(left), self.expr(right))
            case Zero(sub):
                return Zero(self.sub(sub))
            case Inside(sub, extent):
                return Inside(self.sub(sub), self.size(extent))
            case Divides(divisor, sub):
                return Divides(self.size(divisor), self.sub(sub))
            case And(conds):
                return And(self.conds(conds))
            case Or(conds):
                return Or(self.conds(conds))
            case Not(cond):
                return Not(self.cond(cond))
            case Truth(value):
                return Truth(self.expr(value))
        assert_never(node)


def _literal(value: Size) -> int:
    if value.literal is None:
        raise ValueError(f"a trace holds plain ints, this is {value}")
    return value.literal


def _value(filling: Filling | None, node: Number) -> Expr:
    return node if filling is None or isinstance(filling, Size | Fraction) else filling


def show_source(source: Source) -> str:
    """A statement's line as errors quote it, "" where none is known."""
    if not source.line:
        return ""
    quoted = f"\n    {source.text}" if source.text else ""
    return f"{source.file}:{source.line}{quoted}"


def sizes_in(node: Expr | Cond) -> Iterator[Size]:
    """The sizes in a value or a condition, apart from extents and shapes."""
    for tree in nodes(node):
        if isinstance(tree, SizeOf):
            yield tree.size
        elif isinstance(tree, Inside):
            yield tree.extent
        elif isinstance(tree, Divides):
            yield tree.divisor
        for sub in subscripts(tree):
            yield from _sizes_of(sub)


def _sizes_of(sub: Subscript) -> Iterator[Size]:
    yield sub.const
    for atom, n in sub.terms:
        yield n
        if isinstance(atom, Quotient | Remainder):
            yield atom.divisor
            yield from _sizes_of(atom.value)
