"""Random index programs, well formed by construction: reads are in bounds where evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

from hypothesis import strategies as st

from pullback.ir.expr import (
    Access,
    Add,
    And,
    Apply,
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
    mul,
    number,
)
from pullback.ir.program import Define, Program
from pullback.ir.sizes import Size, size
from pullback.ir.subscripts import Index, Lookup, Subscript, at, constant

SMOOTH = ("sin", "tanh", "sigmoid", "cos", "arctan", "softplus", "erf")


@dataclass
class Maker:
    """Draws programs; ``kinks`` allows max, abs, comparisons of values and the like."""

    rng: Random
    kinks: bool = True
    sizes: tuple[Size, ...] = ()
    tensors: list[Tensor] = field(default_factory=list)
    lookups: list[tuple[Tensor, Size]] = field(default_factory=list)
    mask: Tensor | None = None
    fresh: int = 0

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def program(self) -> Program:
        """Two or three inputs and one to three statements, the last one the output."""
        names = [size("N"), size("M"), size("K"), size(2), size(3)]
        self.sizes = tuple(self.rng.sample(names, 1 + self.rng.randrange(3)))
        if len(self.sizes) > 1 and self.chance(30):
            self.sizes = (*self.sizes[:2], self.sizes[0] * self.sizes[1])  # axes that are merged
        inputs = [
            self.tensor(f"X{k}", 1 + self.rng.randrange(2))
            for k in range(1 + self.rng.randrange(2))
        ]
        if self.chance(40):
            extent = self.rng.choice(self.sizes)
            index = Tensor("idx", (self.rng.choice(self.sizes),), "int")
            self.lookups.append((index, extent))
            inputs.append(index)
        if self.chance(15):
            self.mask = Tensor("mask", (self.rng.choice(self.sizes),), "bool")
            inputs.append(self.mask)
        self.tensors = [t for t in inputs if t.kind == "float"]
        statements = []
        for k in range(1 + self.rng.randrange(3)):
            target = self.tensor(f"Y{k}", self.rng.randrange(3))
            indices = tuple(self.index(n) for n in target.shape)
            statements.append(Define(target, indices, self.value(indices, 3)))
            self.tensors.append(target)
        outputs = [statements[-1].target]
        if len(statements) > 1 and self.chance(25):
            outputs.insert(0, statements[0].target)
        given = {name for t in inputs for n in t.shape for name in n.names()}
        others = tuple(name for name in ("N", "M", "K") if name not in given)
        return Program(tuple(inputs), tuple(statements), tuple(outputs), others)

    def tensor(self, name: str, rank: int) -> Tensor:
        return Tensor(name, tuple(self.rng.choice(self.sizes) for _ in range(rank)))

    def index(self, extent: Size) -> Index:
        self.fresh += 1
        return Index(f"i{self.fresh}", extent)

    def value(self, scope: tuple[Index, ...], depth: int) -> Expr:
        """A float at the indices of ``scope``."""
        leaf: list[Callable[[], Expr]] = [lambda: self.read(scope)] * 4 + [self.literal]
        if depth == 0:
            return self.rng.choice(leaf)()

        def inner() -> Expr:
            return self.value(scope, depth - 1)

        forms: list[Callable[[], Expr]] = [
            *leaf,
            lambda: Mul((inner(), inner())),
            lambda: Mul((inner(), self.read(scope))),
            lambda: Add((inner(), inner())),
            lambda: Add((inner(), Mul((number(-1), inner())))),
            lambda: Power(inner(), Fraction(self.rng.choice((2, 3)))),
            lambda: Power(
                Add((number("3/2"), Power(inner(), Fraction(2)))),
                Fraction(self.rng.choice(("-1", "1/2", "-1/2", "-2", "3/2"))),
            ),
            lambda: Apply(self.rng.choice(SMOOTH), (inner(),)),
            lambda: Apply("log", (Add((number(1), Power(inner(), Fraction(2)))),)),
            lambda: Apply("exp", (Apply("tanh", (inner(),)),)),
            lambda: self.total(scope, depth),
            lambda: self.total(scope, depth),
            lambda: self.total(scope, depth),
            lambda: self.mean(scope, depth),
            lambda: self.guarded(scope, inner()),
            lambda: Select(self.condition(scope), inner(), inner()),
            lambda: self.positions(scope),
        ]
        if self.kinks:
            forms += [
                lambda: self.extremum(scope, depth),
                lambda: Apply(self.rng.choice(("maximum", "minimum")), (inner(), inner())),
                lambda: Apply("maximum", (inner(), number(0))),
                lambda: Apply("abs", (inner(),)),
                lambda: Select(Compare("<", inner(), inner()), inner(), inner()),
                lambda: Mul((inner(), Guard(Compare("<", number(0), inner())))),
                lambda: Power(self.squares(scope, depth), Fraction(1, 2)),
            ]
        return self.rng.choice(forms)()

    def literal(self) -> Expr:
        return number(self.rng.choice(("1", "2", "-1", "1/2", "-3", "0.1")))

    def positions(self, scope: tuple[Index, ...]) -> Expr:
        if scope and self.chance(60):
            return Mul((IndexOf(at(self.rng.choice(scope))), self.read(scope)))
        return Mul((Power(SizeOf(self.rng.choice(self.sizes)), Fraction(-1)), self.read(scope)))

    def squares(self, scope: tuple[Index, ...], depth: int) -> Expr:
        index = self.index(self.rng.choice(self.sizes))
        return Reduce(
            "sum", (index,), (), Power(self.value((*scope, index), depth - 1), Fraction(2))
        )

    def total(self, scope: tuple[Index, ...], depth: int) -> Expr:
        bound = tuple(self.index(self.rng.choice(self.sizes)) for _ in range(1 + self.chance(25)))
        op = "prod" if self.chance(12) else "sum"
        domain = tuple(self.static((*scope, *bound)) for _ in range(self.chance(25)))
        return Reduce(op, bound, domain, self.value((*scope, *bound), depth - 1))

    def mean(self, scope: tuple[Index, ...], depth: int) -> Expr:
        index = self.index(self.rng.choice(self.sizes))
        body = self.value((*scope, index), depth - 1)
        return Mul((Power(SizeOf(index.extent), Fraction(-1)), Reduce("sum", (index,), (), body)))

    def extremum(self, scope: tuple[Index, ...], depth: int) -> Expr:
        bound = tuple(self.index(self.rng.choice(self.sizes)) for _ in range(1 + self.chance(25)))
        body = self.value((*scope, *bound), depth - 1)
        return Reduce(self.rng.choice(("max", "min")), bound, (), body)

    def guarded(self, scope: tuple[Index, ...], value: Expr) -> Expr:
        return Mul((Guard(self.condition(scope)), value))

    def condition(self, scope: tuple[Index, ...]) -> Cond:
        if self.mask is not None and self.chance(30):
            sub, conds = self.subscript(scope, self.mask.shape[0])
            truth: Cond = Truth(Access(self.mask, (sub,)))
            return And((*conds, truth)) if conds else truth
        return self.static(scope)

    def static(self, scope: tuple[Index, ...]) -> Cond:
        """A condition on indices alone."""
        sub = self.affine(scope)
        kind = self.rng.randrange(6)
        if kind == 0:
            return Zero(sub)
        if kind == 1:
            return Divides(size(self.rng.choice((2, 3))), sub)
        if kind == 2:
            return Not(Zero(sub))
        if kind == 3:
            return Or((Inside(sub, size(1)), Divides(size(2), self.affine(scope))))
        return Inside(sub, self.rng.choice(self.sizes))

    def affine(self, scope: tuple[Index, ...]) -> Subscript:
        sub = constant(self.rng.choice((0, 0, -1, 1)))
        for index in self.rng.sample(scope, min(len(scope), 1 + self.chance(60))):
            sub = sub + at(index) * self.rng.choice((1, 1, 1, -1, 2))
        return sub

    def read(self, scope: tuple[Index, ...]) -> Expr:
        """A read of a tensor, guarded or selected where a subscript may leave its extent."""
        tensor = self.rng.choice(self.tensors)
        found = [self.subscript(scope, n) for n in tensor.shape]
        access = Access(tensor, tuple(sub for sub, _ in found))
        conds = tuple(dict.fromkeys(cond for _, conds in found for cond in conds))
        if not conds:
            return access
        if self.chance(20):
            return Select(conds[0] if len(conds) == 1 else And(conds), access, self.literal())
        return mul(*(Guard(cond) for cond in conds), access)

    def digits(self, scope: tuple[Index, ...], extent: Size) -> list[Subscript]:
        """An axis as a digit of an index that runs over merged axes, or merged of two indices."""
        found = []
        for i in scope:
            over = i.extent.exactly_over(extent)
            if over is not None and over.literal != 1:
                found += [at(i) // over, at(i) % extent]
            found += [at(i) * j.extent + at(j) for j in scope if i.extent * j.extent is extent]
        return found

    def subscript(
        self, scope: tuple[Index, ...], extent: Size, lookups: int = 2
    ) -> tuple[Subscript, tuple[Cond, ...]]:
        """A subscript of an axis and what must hold for it to be inside."""
        same = [i for i in scope if i.extent is extent]
        if same and self.chance(65):
            sub = at(self.rng.choice(same))
            if self.chance(12):
                return constant(extent - 1) - sub, ()  # reversed
            return sub, ()
        digits = self.digits(scope, extent)
        if digits and self.chance(60):
            return self.rng.choice(digits), ()
        fitting = [t for t, n in self.lookups if n is extent]
        if fitting and lookups and self.chance(50):
            tensor = fitting[0]
            place, conds = self.subscript(scope, tensor.shape[0], lookups - 1)
            return at(Lookup(Access(tensor, (place,)))), conds
        if not scope:
            return constant(0), (Inside(constant(0), extent),) if extent.literal is None else ()
        kind = self.rng.randrange(5)
        sub = at(self.rng.choice(scope))
        if kind == 0:
            sub = sub // self.rng.choice((2, 3))
        elif kind == 1:
            return sub % extent, ()
        elif kind == 2 and len(scope) > 1:
            sub = sub * self.rng.choice((1, 2, 3)) + at(self.rng.choice(scope))
        elif kind == 3:
            sub = sub * self.rng.choice((2, 3, -1, 1))
        sub = sub + self.rng.choice((0, 0, 1, -1, 2))
        return sub, (Inside(sub, extent),)


def programs(kinks: bool = True) -> st.SearchStrategy[Program]:
    """Random programs of any seed; small ones that shrink well among them."""
    drawn = st.randoms(use_true_random=False).map(lambda rng: Maker(rng, kinks).program())
    return st.one_of(seeded(kinks), seeded(kinks), drawn)


def seeded(kinks: bool = True) -> st.SearchStrategy[Program]:
    """Random programs by their seed: large ones, the same as ``Maker(Random(seed)).program()``."""
    return st.integers(0, 10**6).map(lambda seed: Maker(Random(seed), kinks).program())
