"""Random programs built directly from nodes: every kind of node, odd names, all legal places."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from pullback.functions import TABLE
from pullback.ir.expr import (
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
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    number,
)
from pullback.ir.program import Define, Program
from pullback.ir.sizes import Size, size
from pullback.ir.subscripts import Index, Lookup, Subscript, at, constant
from pullback.ir.walk import tensors
from pullback.notation.program_sizes import free_sizes

N, M = size("N"), size("M")
SIZES = (N, M, size(3), size(1), M * 2, (N + 1) // 2, N * M)
INPUTS = (
    Tensor("X", (N, M)),
    Tensor("v", (N,)),
    Tensor("K", (size(3),), "float32"),
    Tensor("y", (N,), "int"),
    Tensor("mask", (N, M), "bool"),
    Tensor("s", ()),
    Tensor("k", (), "int64"),
    Tensor("i", ()),  # also the name of an index
    Tensor("N", ()),  # also the name of a size
    Tensor("exp", (M,)),
    Tensor("params['w']", (M, M * 2)),
    Tensor("if", (N,)),
    Tensor("inf", ()),
    Tensor("a`\\b ", (N,)),
    Tensor("é'", (N, M, N)),
)
LETTERS = ("i", "j", "k", "p", "q", "N", "size", "not", "max", "x y", "t'")

NUMBERS = st.one_of(
    st.sampled_from([number(n) for n in (0, 1, -1, 2, -2, 10)]),
    st.sampled_from([number(x) for x in (0.5, 1e-5, 1e20, -2.5, 123.456, 1e300)]),
    st.sampled_from([number(Fraction(n, d)) for n, d in ((1, 3), (-2, 7), (22, 7))]),
    st.sampled_from([number(float(name)) for name in ("inf", "-inf", "nan")]),
)
EXPONENTS = st.sampled_from(
    [Fraction(n, 2) for n in (4, -2, 1, -1, 3, 0, -4, 2)]
    + [Fraction("1/7"), Fraction("-3/1000"), Fraction("0.12345")]
)
FUNCTIONS = sorted(TABLE)
Scope = tuple[Index, ...]


def subscripts_for(extent: Size, scope: Scope) -> list[Subscript]:
    """Subscripts that are in bounds of an axis wherever they are evaluated."""
    found = [at(index) for index in scope if index.extent is extent]
    found += [constant(extent - 1) - at(index) for index in scope if index.extent is extent]
    if extent.literal:
        found += [constant(extent.literal - 1), *(at(i) % extent for i in scope)]
    for index in scope:
        if (extent - index.extent).at_least(0) and index.extent is not extent:
            found.append(at(index))
        if index.extent is extent * 2:
            found.append(at(index) // 2)
        if index.extent is M:
            pairs = [other for other in scope if other.extent is N]
            found += [at(index) + at(other) * M for other in pairs if extent is N * M]
    return found


@st.composite
def reads(draw: st.DrawFn, tensor: Tensor, scope: Scope, depth: int = 1) -> Expr | None:
    """A read of a tensor; guarded where it is shifted; None where no index fits."""
    subs, guards = [], []
    for extent in tensor.shape:
        options = subscripts_for(extent, scope)
        if depth and extent is N and draw(st.integers(0, 3)) == 0:
            inner = draw(reads(INPUTS[3], scope, 0))
            if isinstance(inner, Access):
                options = [at(Lookup(inner)), at(Lookup(inner)) * 2 + 1]
        if scope and draw(st.integers(0, 4)) == 0:
            index = draw(st.sampled_from(scope))
            shifted = at(index) * draw(st.sampled_from([1, 2, -1])) + draw(st.integers(-2, 2))
            guards.append(Guard(Inside(shifted, extent)))
            subs.append(shifted)
            continue
        if not options:
            return None
        subs.append(draw(st.sampled_from(options)))
    access = Access(tensor, tuple(subs))
    if not guards or depth == 0:
        return access if not guards else None
    if draw(st.booleans()):
        conds = tuple(guard.cond for guard in guards)
        return Select(conds[0] if len(conds) == 1 else And(conds), access, draw(NUMBERS))
    return Mul((*guards, access))


def positions(scope: Scope) -> st.SearchStrategy[Subscript]:
    """Any subscript."""
    options = [constant(3), constant(N - 1), constant(N) // size(2)]
    options += [at(i) for i in scope] + [at(i) * 2 + 1 for i in scope]
    options += [at(i) // 2 for i in scope] + [(at(i) + N) % 3 for i in scope]
    options += [at(i) - at(j) + M for i in scope for j in scope]
    options += [at(i) * M + at(j) * -3 for i in scope for j in scope]
    options += [(at(i) // N) * -1 - (at(i) % 2) * 2 for i in scope]
    lookups = [Lookup(Access(INPUTS[3], (at(i),))) for i in scope if i.extent is N]
    options += [at(a) for a in lookups] + [at(a) * 2 - at(i) for a in lookups for i in scope]
    return st.sampled_from(options)


@st.composite
def conditions(draw: st.DrawFn, scope: Scope, depth: int) -> Cond:
    """Any condition."""
    kind = draw(st.integers(0, 8 if depth else 5))
    if kind == 0:
        return Zero(draw(positions(scope)))
    if kind == 1:
        return Inside(draw(positions(scope)), draw(st.sampled_from(SIZES)))
    if kind == 2:
        return Divides(draw(st.sampled_from([size(2), N, N * M])), draw(positions(scope)))
    if kind in (3, 4):
        op = draw(st.sampled_from(["<", "<=", "==", "!="]))
        return Compare(op, draw(values(scope, depth - 1)), draw(values(scope, depth - 1)))
    if kind == 5:
        return Truth(draw(values(scope, depth - 1)))
    if kind == 6:
        return Not(draw(conditions(scope, depth - 1)))
    form = And if kind == 7 else Or
    return form(tuple(draw(st.lists(conditions(scope, depth - 1), max_size=3))))


@st.composite
def values(draw: st.DrawFn, scope: Scope, depth: int) -> Expr:
    """Any value."""
    kind = draw(st.integers(0, 14 if depth > 0 else 4))
    if kind == 0:
        return draw(NUMBERS)
    if kind == 1:
        return SizeOf(draw(st.sampled_from(SIZES)))
    if kind == 2:
        return IndexOf(draw(positions(scope)))
    if kind in (3, 4):
        read = draw(reads(draw(st.sampled_from(INPUTS)), scope))
        return Access(INPUTS[5], ()) if read is None else read
    inner = values(scope, depth - 1)
    if kind in (5, 6):
        return Add(tuple(draw(st.lists(inner, max_size=3))))
    if kind in (7, 8, 9):
        return Mul(tuple(draw(st.lists(inner, max_size=4))))
    if kind == 10:
        return Power(draw(inner), draw(EXPONENTS))
    if kind == 11:
        name = draw(st.sampled_from(FUNCTIONS))
        return Apply(name, tuple(draw(inner) for _ in range(TABLE[name].arity)))
    if kind == 12:
        return Select(draw(conditions(scope, depth - 1)), draw(inner), draw(inner))
    if kind == 13:
        return Guard(draw(conditions(scope, depth - 1)))
    return draw(reductions(scope, depth))


@st.composite
def reductions(draw: st.DrawFn, scope: Scope, depth: int) -> Expr:
    """A reduction or an arg, over indices that hide none of the scope."""
    taken = {index.name for index in scope}
    free = [letter for letter in LETTERS if letter not in taken]
    if not free:
        return draw(values(scope, 0))
    count = draw(st.integers(1, min(2, len(free))))
    indices = tuple(Index(name, draw(st.sampled_from(SIZES))) for name in free[:count])
    wider = (*scope, *indices)
    body = draw(values(wider, depth - 1))
    domain = tuple(draw(st.lists(conditions(wider, depth - 1), max_size=2)))
    if draw(st.booleans()) and draw(st.booleans()):
        which = draw(st.integers(0, count - 1))
        return Arg(draw(st.sampled_from(["max", "min"])), indices, which, domain, body)
    op = draw(st.sampled_from(["sum", "prod", "max", "min", "mean"]))
    if op != "mean":
        return Reduce(op, indices, domain, body)
    whole = size(1)
    for index in indices:
        whole = whole * index.extent
    return Mul((Power(SizeOf(whole), Fraction(-1)), Reduce("sum", indices, (), body)))


@st.composite
def programs(draw: st.DrawFn, depth: int = 3) -> Program:
    """A program of one or two statements over ``INPUTS``."""
    statements: list[Define] = []
    for name in draw(st.sampled_from([("Y",), ("Y", "for"), ("return",)])):
        letters = draw(st.lists(st.sampled_from(LETTERS), max_size=3, unique=True))
        scope = tuple(Index(letter, draw(st.sampled_from(SIZES))) for letter in letters)
        body = draw(values(scope, depth))
        dtype = draw(st.sampled_from(["float", "int", "bool", "float32"]))
        target = Tensor(name, tuple(i.extent for i in scope), dtype)
        statements.append(Define(target, scope, body))
    made = tuple(statements)
    read = {t for s in made for t in tensors(s.body)}
    outputs = tuple(s.target for s in made if s.target not in read)
    if draw(st.booleans()):
        outputs = (made[0].target, INPUTS[0])
    return Program(INPUTS, made, outputs, free_sizes(INPUTS, made))


def as_user(program: Program) -> Program:
    """The program with all names the user's, as the parser gives it."""
    return replace(program, statements=tuple(replace(s, user=True) for s in program.statements))
