"""A program in flat form: every statement is one of a few shapes, every value that matters has a
name.

However a person wrote a computation - one expression or twenty statements - its flat form is the
same up to names: equal values are computed once, views are read through, and each statement's body
is

* a sum of products of powers of tensors (no sums over indices inside), or
* one such product summed over bound indices, or
* a scalar function of tensors, a select between products, a max/min/prod reduction, an arg.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ..ir.expr import (
    ZERO,
    Access,
    Add,
    Apply,
    Arg,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
)
from ..ir.program import Define, Program, Source, reads
from ..ir.recurrence import in_order, recurrent
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    indices_of,
)
from ..ir.walk import (
    Tree,
    accesses,
    bottom_up,
    bound_indices,
    children,
    free_indices,
    fresh,
    map_tensors,
    nodes,
    rebuild,
    substitute,
    tensors,
)
from ..opaque import TABLE
from .guards import decide, negation, tidy
from .normal import canonical, has_lookup, in_bounds, nonnegative_atom, poly


def flatten(program: Program) -> Program:
    """The flat form of a program: the same inputs and outputs, the same values under the same
    names."""
    return _Flattener(program).run()


class _Flattener:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.statements: list[Define] = []
        self.views: dict[Tensor, Define] = {}
        self.known: dict[object, Access] = {}
        self.taken = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
        self.source = Source()
        self.guards: tuple[Cond, ...] = ()
        self.indices: tuple[Index, ...] = ()
        self.recurrent = recurrent(program.statements)
        counts = Counter(t for s in program.statements for t in reads(s))
        self.kept = {s.target for s in program.statements if counts[s.target] > 1 and is_split(s)}

    def run(self) -> Program:
        for statement in self.program.statements:
            self.source = statement.source
            self._statement(statement)
        statements = tuple(in_order(self.statements))
        return Program(self.program.inputs, statements, self.program.outputs, self.program.sizes)

    def _statement(self, statement: Define) -> None:
        body = split_digits(self._read(statement.body), statement.indices)
        if self.recurrent:
            body = _decided(body)
        self.indices = statement.indices
        shaped = self._top if statement.target.kind == "float" else self._plain
        simple = tidy(shaped(body))
        made = replace(statement, body=simple)
        key = _key(made)
        known = self.known.setdefault(key, made.access)
        if known is not made.access:  # the same value again: another name for it
            moved = dict(zip(indices_in(known), map(at, made.indices), strict=True))
            made = replace(made, body=substitute(known, moved))  # type: ignore[arg-type]
        self.statements.append(made)
        if made.target in reads(made):
            return
        if made.target in self.kept:
            return
        if is_view(made) or (made.target.kind == "bool" and not made.user):
            self.views[made.target] = made

    def _read(self, body: Expr) -> Expr:
        """The body with views read through and made-up masks spelled out."""
        if not self.views:
            return body

        def through(access: Access) -> Expr:
            view = self.views.get(access.tensor)
            if view is None:
                return access
            out = substitute(view.body, dict(zip(view.indices, access.subs, strict=True)))
            return tidy(out)  # type: ignore[arg-type]

        inlined: Expr = map_tensors(body, through)  # type: ignore[assignment]
        return _plain_truths(inlined)

    # Shapes of statements.

    def _top(self, body: Expr) -> Expr:
        """A body that is allowed as a whole statement."""
        match body:
            case Add(terms):
                return Add(tuple(self._product(part) for part in _spread_sum(terms)))
            case Select(cond, then, other):
                held = self._cond(cond)
                return Select(
                    held,
                    self._under((held,), then),
                    self._under((negation(held),), other),
                )
            case Reduce("sum", indices, domain, inner):
                conds = self._conds(domain)
                return Reduce("sum", indices, conds, self._under(conds, inner))
            case Reduce(op, indices, domain, inner):
                conds = self._conds(domain)
                return Reduce(op, indices, conds, self._atom_under(conds, inner))
            case Arg(op, indices, which, domain, inner):
                conds = self._conds(domain)
                return Arg(op, indices, which, conds, self._atom_under(conds, inner))
            case Apply(function, args):
                return Apply(function, tuple(map(self._atom, args)))
            case Opaque():
                return self._operation(body)
            case _:
                return self._product(body, top=True)

    def _operation(self, body: Opaque) -> Expr:
        """An operation on what its first operand is a copy or the transpose of, if it is one."""
        first, *others = body.operands
        view = self.views.get(first)
        if view is None or not isinstance(view.body, Access):
            return body
        tensor, subs = view.body.tensor, view.body.subs
        own = tuple(map(at, view.indices))
        if subs == own:
            return Opaque(body.operation, (tensor, *others), body.subs)
        turned = TABLE[body.operation].turned
        if turned and subs == (*own[:-2], own[-1], own[-2]):
            return Opaque(turned, (tensor, *others), body.subs)
        return body

    def _under(self, guards: Sequence[Cond], body: Expr) -> Expr:
        """A product, the values named inside it being absent where the guards fail."""
        before = self.guards
        self.guards = (*before, *guards)
        try:
            return self._product(body)
        finally:
            self.guards = before

    def _atom_under(self, guards: Sequence[Cond], body: Expr) -> Expr:
        before = self.guards
        self.guards = (*before, *guards)
        try:
            return self._atom(body)
        finally:
            self.guards = before

    def _product(self, body: Expr, top: bool = False) -> Expr:
        """A product of powers of atoms."""
        match body:
            case Mul(factors):
                flat = _spread_product(factors)
                guards = tuple(f.cond for f in flat if isinstance(f, Guard))
                if top:
                    lone = self._scaled_reduction(flat)
                    if lone is not None:
                        return lone
                conds = self._conds(guards)
                held, before = iter(conds), self.guards
                self.guards = (*before, *conds)
                try:
                    return Mul(
                        tuple(
                            Guard(next(held)) if isinstance(f, Guard) else self._product(f)
                            for f in flat
                        )
                    )
                finally:
                    self.guards = before
            case Power(base, exponent):
                return self._power(base, exponent)
            case Guard(cond):
                return Guard(self._cond(cond))
            case _:
                return self._atom(body)

    def _scaled_reduction(self, factors: Sequence[Expr]) -> Expr | None:
        """A sum times numbers and sizes stays one statement (a mean)."""
        sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum"]
        rest = [f for f in factors if f not in sums]
        if len(sums) != 1 or len(rest) + 1 != len(factors) or not all(map(_is_scalar, rest)):
            return None
        return Mul((*rest, self._top(sums[0])))

    def _power(self, base: Expr, exponent: Fraction) -> Expr:
        match base:
            case Mul(factors) if exponent.denominator == 1 and exponent > 0:
                flat = _spread_product(factors)
                if any(isinstance(f, Guard) for f in flat):
                    return Power(self._atom(base), exponent)
                return Mul(tuple(self._power(f, exponent) for f in flat))
            case Mul(factors) if exponent.denominator == 1 and not any(
                isinstance(f, Guard | Reduce) for f in factors
            ):
                return Mul(tuple(self._power(f, exponent) for f in _spread_product(factors)))
            case Power(inner, e) if (
                exponent.denominator == 1 or e.denominator % 2 == 0 or nonnegative_atom(inner)
            ):
                return self._power(inner, e * exponent)
            case _:
                return Power(self._atom(base), exponent)

    def _plain(self, body: Expr) -> Expr:
        """An integer or boolean body: kept as written, reductions inside it named."""
        match body:
            case Arg() | Reduce():
                return self._top(body)
            case _:
                return self._named_reductions(body)  # type: ignore[return-value]

    # Names.

    def _cond(self, cond: Cond) -> Cond:
        return self._named_reductions(cond)  # type: ignore[return-value]

    def _conds(self, conds: Sequence[Cond]) -> tuple[Cond, ...]:
        """Conditions that hold together. What is named inside one is protected by the others'
        ranges, not by what they compute: a condition is evaluated before it is known to hold."""
        before, out = self.guards, []
        for cond in conds:
            ranges = (c for c in conds if c is not cond and not accesses(c))
            self.guards = (*before, *ranges)
            out.append(self._cond(cond))
        self.guards = before
        return tuple(out)

    def _named_reductions(self, node: Tree) -> Tree:
        """Reductions and functions inside a condition or an integer value get names."""
        if isinstance(node, Reduce | Arg | Apply) and not _is_cheap(node):
            return self._atom(node)
        return rebuild(node, tuple(map(self._named_reductions, children(node))))

    def _atom(self, body: Expr) -> Expr:
        """A name for a value (the value itself if it is one already)."""
        match body:
            case Access() | Number() | SizeOf() | IndexOf() | Guard():
                return body
            case Mul(factors) if all(isinstance(f, Number | SizeOf) for f in factors):
                return body
            case Power(SizeOf() | Number(), _):
                return body
        free = self._axes(body)
        guards = tuple(c for c in self.guards if set(free_indices(c)) <= set(free))
        exposed = has_lookup_node(body) or not in_bounds(body)
        before, self.guards = self.guards, (guards if exposed else ())
        simple = self._top(body)
        self.guards = before
        if guards:
            simple = Mul((*map(Guard, guards), simple))
        return self._name(tidy(simple), free)

    def _name(self, simple: Expr, free: tuple[Index, ...]) -> Access:
        dtype = _dtype(simple)
        probe = Tensor("", tuple(i.extent for i in free), dtype)
        key = _key(Define(probe, free, simple))
        found = self.known.get(key)
        if found is not None:
            return Access(found.tensor, tuple(map(at, free)))
        target = Tensor(self._fresh(), tuple(i.extent for i in free), dtype)
        made = Define(target, free, simple, self.source, user=False)
        self.statements.append(made)
        self.known[key] = made.access
        return made.access

    def _axes(self, body: Expr) -> tuple[Index, ...]:
        """The axes of a value without a name: in the statement's order, else in the widest
        tensor's."""
        free = free_indices(body)
        order = list(self.indices)
        if not set(free) <= set(order):
            read = [[i for s in a.subs for i in indices_of(s) if i in free] for a in accesses(body)]
            order = [*max(read, key=len, default=[]), *order]
        if self.recurrent:  # all values of a recurrence have its steps on their first axis
            order = [*self.indices[:1], *order]
        rank = {index: k for k, index in reversed(list(enumerate(order)))}
        return tuple(sorted(free, key=lambda i: rank.get(i, len(order))))

    def _fresh(self) -> str:
        n = 1
        while f"t{n}" in self.taken:
            n += 1
        self.taken.add(f"t{n}")
        return f"t{n}"


def indices_in(access: Access) -> list[Index]:
    """The indices of an access to a target at its own indices."""
    return [index for sub in access.subs for index in indices_of(sub)]


def has_lookup_node(node: Tree) -> bool:
    """Whether a node reads through an integer tensor."""
    return any(
        isinstance(inner, Access) and any(has_lookup(s) for s in inner.subs)
        for inner in nodes(node)
    )


def _key(define: Define) -> object:
    """Equal for statements that define the same value on the same axes."""
    marks = {i: at(Index(f"${k}", i.extent)) for k, i in enumerate(define.indices)}
    body = alpha(substitute(define.body, marks))
    terms = poly(body)  # type: ignore[arg-type]
    return (
        define.target.dtype,
        tuple(i.extent for i in define.indices),
        tuple((t.coef, canonical(t)) for t in sorted(terms, key=lambda t: canonical(t).key)),
    )


def alpha(node: Tree, depth: int = 0) -> Tree:
    """The node with the indices of its reductions renamed by depth and place."""
    if isinstance(node, Reduce | Arg):
        names = tuple(Index(f"%{depth}.{k}", i.extent) for k, i in enumerate(node.indices))
        moved = {old: at(new) for old, new in zip(node.indices, names, strict=True)}
        parts = tuple(alpha(substitute(c, moved), depth + 1) for c in children(node))
        if isinstance(node, Reduce):
            return Reduce(node.op, names, parts[:-1], parts[-1])  # type: ignore[arg-type]
        return Arg(node.op, names, node.which, parts[:-1], parts[-1])  # type: ignore[arg-type]
    return rebuild(node, tuple(alpha(c, depth) for c in children(node)))


def _dtype(body: Expr) -> str:
    """The dtype of a made-up value: the widest float that it reads, else of the kind it is."""
    match body:
        case Arg():
            return "int"
        case Guard() | Truth():
            return "bool"
    floats = [t.dtype for t in tensors(body) if t.kind == "float"]
    if floats:
        return max(floats, key=_width)
    return "int" if _is_whole(body) else "float"


_WHOLE = ("floor_divide", "mod", "fmod", "maximum", "minimum", "clip", "abs", "sign")


def _is_whole(body: Expr) -> bool:
    """Whether a value is whole because all that it is made of is: it may be a subscript."""
    for node in nodes(body):
        match node:
            case Access(tensor, _):
                if tensor.kind == "float":
                    return False
            case Number(value, special):
                if special or value.denominator != 1:
                    return False
            case Apply(function, _):
                if function not in _WHOLE:
                    return False
            case Power(_, exponent):
                if exponent < 0 or exponent.denominator != 1:
                    return False
    return True


def _width(dtype: str) -> int:
    digits = dtype.removeprefix("float")
    return int(digits) if digits.isdigit() else 0


def is_view(statement: Define) -> bool:
    """Whether a statement only re-reads one tensor's elements, perhaps absent outside a range."""
    body = statement.body
    if statement.target.kind != "float":
        return isinstance(body, Access) and not has_lookup_node(body)
    parts = body.factors if isinstance(body, Mul) else (body,)
    reads = [p for p in parts if isinstance(p, Access)]
    guards = [p for p in parts if isinstance(p, Guard)]
    if len(reads) != 1 or len(reads) + len(guards) != len(parts):
        return False
    if reads[0].tensor.dtype != statement.target.dtype:
        return False
    return not has_lookup_node(body) and all(not accesses(g) for g in guards)


def is_split(statement: Define) -> bool:
    """Whether a statement is a reshape of a tensor that splits axes: each of its indices is a digit
    of one of the tensor's.

    Where several statements read one (the groups of a group norm), it is not read through: their
    gradients add up on its own axes.
    """
    read = statement.body
    if not isinstance(read, Access) or read.tensor.dtype != statement.target.dtype:
        return False
    digits = [index for sub in read.subs for index in indices_of(sub)]
    whole = len(digits) == len(set(digits)) and set(digits) == set(statement.indices)
    sizes = zip(read.subs, read.tensor.shape, strict=True)
    return whole and len(digits) > len(read.subs) and all(_counts(sub, n) for sub, n in sizes)


def _counts(sub: Subscript, extent: Size) -> bool:
    """Whether a subscript takes each value below an extent once: its indices are digits."""
    left = dict(sub.terms)
    weight = size(1)
    while left:
        digit = next((i for i, n in left.items() if isinstance(i, Index) and n is weight), None)
        if not isinstance(digit, Index):
            return False
        del left[digit]
        weight = weight * digit.extent
    return sub.const.literal == 0 and weight is extent


def _is_scalar(factor: Expr) -> bool:
    match factor:
        case Number() | SizeOf():
            return True
        case Power(base, _):
            return _is_scalar(base)
        case Mul(parts):
            return all(map(_is_scalar, parts))
        case _:
            return False


def _is_cheap(node: Tree) -> bool:
    return isinstance(node, Apply) and all(
        isinstance(a, Number | SizeOf | IndexOf) for a in node.args
    )


def _spread_sum(terms: Sequence[Expr]) -> list[Expr]:
    out: list[Expr] = []
    for part in terms:
        match part:
            case Add(inner):
                out.extend(_spread_sum(inner))
            case Mul((Number() as n, Add(inner))):
                out.extend(Mul((n, p)) for p in _spread_sum(inner))
            case _:
                out.append(part)
    return out


def _spread_product(factors: Sequence[Expr]) -> list[Expr]:
    out: list[Expr] = []
    for part in factors:
        if isinstance(part, Mul):
            out.extend(_spread_product(part.factors))
        else:
            out.append(part)
    return out


def _decided(body: Expr) -> Expr:
    """A value without what is never there: of one step, nothing reads the step before.

    ``where(t = 0, a, b)`` becomes ``where(t >= 1, b, a)``, so that both are one form.
    """

    def change(node: Tree) -> Tree:
        match node:
            case Select(cond, then, other) if (found := decide(cond)) is not None:
                return then if found else other
            case Select(Zero(sub), then, other) if (index := sub.index) is not None:
                return Select(Inside(sub - 1, index.extent - 1), other, then)
            case Mul(factors) if any(
                isinstance(f, Guard) and decide(f.cond) is False for f in factors
            ):
                return ZERO
            case _:
                return node

    return bottom_up(body, change)  # type: ignore[return-value]


def _plain_truths(node: Expr) -> Expr:
    """A truth of a bracket is the bracket's condition."""

    def change(tree: Tree) -> Tree:
        match tree:
            case Truth(Guard(cond)):
                return cond
            case _:
                return tree

    return bottom_up(node, change)  # type: ignore[return-value]


def split_digits(body: Expr, free: Sequence[Index]) -> Expr:
    """Summation indices read as ``k // D`` and ``k % D`` are split into those digits."""
    match body:
        case Mul(parts):
            return Mul(tuple(split_digits(p, free) for p in parts))
        case Add(parts):
            return Add(tuple(split_digits(p, free) for p in parts))
        case Reduce("sum", indices, domain, inner):
            inner = split_digits(inner, free)
            taken = {i.name for i in (*bound_indices(body), *free_indices(body), *free, *indices)}
            return _split(list(indices), domain, inner, taken)
        case _:
            return body


def _split(indices: list[Index], domain: Sequence[Cond], inner: Expr, taken: set[str]) -> Expr:
    for index in indices:
        divisor = _digit(index, (*domain, inner))
        if divisor is None:
            continue
        over = index.extent.exactly_over(divisor)
        if over is None:
            continue
        high = fresh(Index(index.name, over), taken)
        low = fresh(Index(index.name, divisor), taken)
        moved = {index: at(high) * divisor + at(low)}
        k = indices.index(index)
        return _split(
            [*indices[:k], high, low, *indices[k + 1 :]],
            tuple(tidy(substitute(c, moved)) for c in domain),  # type: ignore[arg-type, misc]
            tidy(substitute(inner, moved)),  # type: ignore[arg-type]
            taken,
        )
    return Reduce("sum", tuple(indices), tuple(domain), inner)


def _digit(index: Index, where: Sequence[Tree]) -> Size | None:
    """A divisor that splits an index where it stands alone under ``//`` or ``%``; None if there is
    none."""
    found: list[Size] = []
    for root in where:
        for node in nodes(root):
            if isinstance(node, Access):
                for sub in node.subs:
                    found.extend(_divisors(sub, index))
    found = [d for d in found if index.extent.exactly_over(d) is not None and d.literal != 1]
    return max(found, key=_magnitude) if found else None


def _magnitude(value: Size) -> tuple[int, int, str]:
    literal = value.literal
    degree = max((len(m) for m, _ in value.terms), default=0)
    return degree, literal if literal is not None else 0, str(value)


def _divisors(sub: Subscript, index: Index) -> list[Size]:
    out: list[Size] = []
    for atom, _ in sub.terms:
        match atom:
            case Quotient(value, divisor) | Remainder(value, divisor):
                if value.index is index:
                    out.append(divisor)
                elif index in indices_of(value):
                    out.extend(_divisors(value, index))
            case Lookup(_) | Index():
                pass
    return out
