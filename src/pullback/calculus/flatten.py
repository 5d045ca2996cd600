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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import count

from ..ir.digits import Digit, chain, number
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Arg,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    add,
    mul,
)
from ..ir.magnitudes import is_beyond, is_remainder, is_whole
from ..ir.program import Define, Program, Source, reads
from ..ir.recurrence import in_order, recurrent
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    at,
    indices_of,
    isolated,
    map_indices,
    reduced,
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
from ..text import PRIVATE
from .guards import decide, negation, positive_names, says_where, tidy
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
        self.pieces: dict[Tensor, Define] = {}  # what is made of parts of other tensors
        self.known: dict[object, Access] = {}
        self.taken = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
        self.source = Source()
        self.guards: tuple[Cond, ...] = ()
        self.exact = False  # whether whole numbers are needed as such
        self.indices: tuple[Index, ...] = ()
        self.recurrent = recurrent(program.statements)
        counts = Counter(t for s in program.statements for t in reads(s))
        self.kept = {s.target for s in program.statements if counts[s.target] > 1 and is_reshape(s)}

    def run(self) -> Program:
        for statement in self.program.statements:
            self.source = statement.source
            self._statement(statement)
        statements = tuple(in_order(self.statements))
        return Program(self.program.inputs, statements, self.program.outputs, self.program.sizes)

    def _statement(self, statement: Define) -> None:
        body = split_digits(turned(self._read(statement.body)), statement.indices)
        if self.recurrent:
            body = _decided(body)
        self.indices = statement.indices
        shaped = self._top if statement.target.kind == "float" else self._plain
        simple = tidy(shaped(body))
        made = replace(statement, body=simple)
        key = _key(made)
        known = self.known.setdefault(key, made.access)
        if known is not made.access and known.tensor not in self.views:  # another name for it
            moved = dict(zip(indices_in(known), map(at, made.indices), strict=True))
            made = replace(made, body=substitute(known, moved))  # type: ignore[arg-type]
        self.statements.append(made)
        if made.target in reads(made):
            return
        if made.target in self.kept:
            return
        if is_view(made) or (made.target.kind == "bool" and (not made.user or _says_where(made))):
            self.views[made.target] = made
        elif isinstance(made.body, Add) and all(map(_is_piece, made.body.terms)):
            self.pieces[made.target] = made

    def _read(self, body: Expr) -> Expr:
        """The body with views read through and made-up masks spelled out."""
        if not self.views and not self.pieces:
            return body

        def through(access: Access) -> Expr:
            view = self.views.get(access.tensor) or self.pieces.get(access.tensor)
            if view is None:
                return access
            out = substitute(view.body, dict(zip(view.indices, access.subs, strict=True)))
            body = tidy(out)  # type: ignore[arg-type]
            return body if access.tensor in self.views else one_piece(body) or access

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
                with self._under(held):
                    then = self._product(then)
                with self._under(negation(held)):
                    return Select(held, then, self._product(other))
            case Reduce(op, indices, domain, inner):
                conds = self._conds(domain)
                with self._under(*conds):
                    simple = self._product(inner) if op == "sum" else self._atom(inner)
                return Reduce(op, indices, conds, simple)
            case Arg(op, indices, which, domain, inner):
                conds = self._conds(domain)
                with self._under(*conds):
                    return Arg(op, indices, which, conds, self._atom(inner))
            case Apply(function, args):
                with self._exactly(self.exact or is_remainder(body)):
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
        if view.copied is tensor:
            return Opaque(body.operation, (tensor, *others), body.subs)
        turned = TABLE[body.operation].turned
        if turned and (subs, tensor.shape) == _turned(view):
            return Opaque(turned, (tensor, *others), body.subs)
        return body

    @contextmanager
    def _under(self, *guards: Cond) -> Iterator[None]:
        """The values that are named in here are absent where these guards fail, too."""
        before = self.guards
        self.guards = (*before, *guards)
        yield
        self.guards = before

    def _product(self, body: Expr, top: bool = False) -> Expr:
        """A product of powers of atoms."""
        match body:
            case Mul(factors):
                if top:
                    lone = self._scaled_reduction(_spread_product(factors))
                    if lone is not None:
                        return lone
                flat = _in_order(factors)
                conds = self._conds([f.cond for f in flat if isinstance(f, Guard)])
                held = iter(conds)
                with self._under(*conds):
                    match [f for f in flat if not isinstance(f, Guard)]:
                        case [Apply() as only] if top and conds:
                            return Mul((*map(Guard, conds), self._top(only)))
                    return Mul(
                        tuple(
                            Guard(next(held)) if isinstance(f, Guard) else self._product(f)
                            for f in flat
                        )
                    )
            case Power(base, exponent):
                return self._power(base, exponent)
            case Guard(cond):
                return Guard(self._cond(cond))
            case _:
                return self._atom(body)

    def _scaled_reduction(self, factors: Sequence[Expr]) -> Expr | None:
        """A sum times numbers and sizes stays one statement (a mean)."""
        match [f for f in factors if not _is_scalar(f)]:
            case [Reduce("sum") as total]:
                return Mul((*filter(_is_scalar, factors), self._top(total)))
        return None

    def _power(self, base: Expr, exponent: Fraction) -> Expr:
        match base:
            case Mul(factors) if exponent.denominator == 1 and not any(
                isinstance(f, Guard if exponent > 0 else Guard | Reduce)
                for f in _spread_product(factors)
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
        with self._exactly(True):
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
        out = []
        for cond in conds:
            with self._under(*(c for c in conds if c is not cond and not accesses(c))):
                out.append(self._cond(cond))
        return tuple(out)

    def _named_reductions(self, node: Tree) -> Tree:
        """Reductions and functions inside a condition or an integer value get names."""
        match node:
            case Apply(_, args) if all(isinstance(a, Number | SizeOf | IndexOf) for a in args):
                return node
            case Reduce() | Arg() | Apply():
                return self._atom(node)
            case Compare(_, left, right):
                with self._exactly(is_whole(left) and is_whole(right)):
                    return rebuild(node, tuple(map(self._named_reductions, children(node))))
            case _:
                return rebuild(node, tuple(map(self._named_reductions, children(node))))

    @contextmanager
    def _exactly(self, exact: bool) -> Iterator[None]:
        """Inside, what is made of whole numbers is needed as whole numbers, however large."""
        before, self.exact = self.exact, exact
        yield
        self.exact = before

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
        if self._is_total(body):
            guards = ()
        exposed = has_lookup_node(body) or not in_bounds(body)
        before, self.guards = self.guards, (guards if exposed else ())
        simple = self._top(body)
        self.guards = before
        if guards:
            simple = Mul((*map(Guard, guards), simple))
        return self._name(tidy(simple), free)

    def _is_total(self, body: Expr) -> bool:
        """Whether a value is a sum of products of inputs, which has a value everywhere."""
        match body:
            case Number(_, special):
                return not special
            case Access(tensor):
                return tensor in self.program.inputs and in_bounds(body)
            case SizeOf() | IndexOf():
                return True
            case Add() | Mul() | Reduce("sum", _, (), _) | Power(_, Fraction(denominator=1)):
                if isinstance(body, Power) and body.exponent < 0:
                    return False
                return all(self._is_total(part) for part in children(body))  # type: ignore[arg-type]
        return False

    def _name(self, simple: Expr, free: tuple[Index, ...]) -> Access:
        dtype = dtype_of(simple)
        if dtype == "int" and not self.exact and is_beyond(simple):
            dtype = "float"
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
        """The axes of a value without a name: in the statement's order, else in that of a tensor
        which has them all, else what is summed comes last."""
        free = free_indices(body)
        order = list(self.indices)
        if not set(free) <= set(order):
            read = [[i for s in a.subs for i in indices_of(s) if i in free] for a in accesses(body)]
            widest = max(read, key=len, default=[])
            full = set(free) <= set(widest)
            order = [*widest, *order] if full else [*order, *widest]
        if self.recurrent:  # all values of a recurrence have its steps on their first axes
            order = [*self.indices[: max(self.recurrent.values())], *order]
        rank = {index: k for k, index in reversed(list(enumerate(order)))}
        return tuple(sorted(free, key=lambda i: rank.get(i, len(order))))

    def _fresh(self) -> str:
        name = next(name for name in map("t{}".format, count(1)) if name not in self.taken)
        self.taken.add(name)
        return name


def indices_in(access: Access) -> list[Index]:
    """The indices of an access to a target at its own indices."""
    return [index for sub in access.subs for index in indices_of(sub)]


def has_lookup_node(node: Tree) -> bool:
    """Whether a node reads through an integer tensor."""
    return any(has_lookup(sub) for access in accesses(node) for sub in access.subs)


def _key(define: Define) -> object:
    """Equal for statements that define the same value on the same axes."""
    marks = {i: at(Index(f"${PRIVATE}{k}", i.extent)) for k, i in enumerate(define.indices)}
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
        names = tuple(Index(f"%{PRIVATE}{depth}.{k}", i.extent) for k, i in enumerate(node.indices))
        moved = {old: at(new) for old, new in zip(node.indices, names, strict=True)}
        parts = tuple(alpha(substitute(c, moved), depth + 1) for c in children(node))
        return rebuild(replace(node, indices=names), parts)
    return rebuild(node, tuple(alpha(c, depth) for c in children(node)))


def dtype_of(body: Expr) -> str:
    """The dtype of a made-up value: the widest float that it reads, or that of the integers if they
    have one, else of the kind it is."""
    match body:
        case Arg():
            return "int"
        case Guard() | Truth():
            return "bool"
    floats = [t.dtype for t in tensors(body) if t.kind == "float"]
    if floats:
        return max(floats, key=_width)
    if not _is_whole(body):
        return "float"
    integers = {t.dtype for t in tensors(body) if t.kind == "int"}
    promotes = any(isinstance(node, Reduce | SizeOf | IndexOf) for node in nodes(body))
    return integers.pop() if len(integers) == 1 and not promotes else "int"


def float_of(body: Expr) -> str:
    """The dtype of a made-up value in a derivative, where integers are floats: NumPy's wrap, and
    what a derivative puts together wasn't together before."""
    dtype = dtype_of(body)
    return dtype if dtype.startswith("float") else "float"


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


def _turned(matrices: Define) -> tuple[tuple[Subscript, ...], tuple[Size, ...]]:
    """Where the transposes of a statement's matrices are read, and their shape."""
    *batch, row, column = map(at, matrices.indices)
    *sizes, rows, columns = matrices.target.shape
    return (*batch, column, row), (*sizes, columns, rows)


def is_view(statement: Define) -> bool:
    """Whether a statement only re-reads one tensor's elements, perhaps absent outside a range."""
    body = statement.body
    parts = body.factors if isinstance(body, Mul) else (body,)
    match [p for p in parts if not isinstance(p, Guard)]:
        case [Access(tensor, subs)] if tensor.dtype == statement.target.dtype:
            guards = (p for p in parts if isinstance(p, Guard))
            return not any(map(has_lookup, subs)) and not any(map(accesses, guards))
    return False


def _says_where(statement: Define) -> bool:
    """Whether a mask holds at one place of an axis, or everywhere else on it."""
    match statement.body:
        case Guard(Not(cond)) | Guard(cond):
            return says_where(cond)
    return False


def is_reshape(statement: Define) -> bool:
    """Whether a statement is a reshape of a tensor that splits or merges axes, perhaps transposed:
    its indices and the tensor's subscripts are made up of the same digits.

    Where several statements read one (the groups of a group norm, the patches of an image), it is
    not read through: their gradients add up on its own axes.
    """
    read = statement.body
    if not isinstance(read, Access) or read.tensor.dtype != statement.target.dtype:
        return False
    found: dict[Index, list[Digit]] = {i: [] for i in statement.indices if i.extent is not size(1)}
    for sub, extent in zip(read.subs, read.tensor.shape, strict=True):
        digits = number(sub, extent)
        if not digits and not (extent is size(1) and not sub.terms):
            return False
        for part, _ in digits:
            found.setdefault(part.index, []).append(part)
    if set(found) - set(statement.indices):
        return False
    if all(len(sub.terms) < 2 for sub in read.subs) and all(len(own) < 2 for own in found.values()):
        return False
    return all(map(_makes_up, found, found.values()))


def _makes_up(index: Index, digits: Sequence[Digit]) -> bool:
    """Whether digits are all those of an index, each once."""
    places = chain({n for part in digits for n in part.bounds}, index.extent) or []
    own = sorted(((part.weight, part.extent) for part in digits), key=str)
    return own == sorted(places, key=str)


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


def _in_order(factors: Sequence[Expr]) -> list[Expr]:
    """The factors of a product, those of a product in front of them included, in the order in
    which they are multiplied; a guard is no factor of a product further in."""
    match factors:
        case [Mul(inner), *rest]:
            return [*_in_order(inner), *_in_order([ONE, *rest])[1:]]
    out: list[Expr] = []
    for part in factors:
        guarded = isinstance(part, Mul) and any(
            isinstance(f, Guard) for f in _spread_product(part.factors)
        )
        out.extend(_spread_product([part]) if guarded else [part])
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


def turned(body: Expr) -> Expr:
    """The end of an axis and what stands before it, side by side, are the axis moved on:
    ``[i < s]·X[i + N - s] + [s <= i]·X[i - s]`` is ``X[(i - s) % N]``."""
    match body:
        case Select(cond, Access() as then, Access() as other):
            parts = [(cond, then), (negation(cond), other)]
        case Add((Mul((Guard(a), Access() as one)), Mul((Guard(b), Access() as two)))):
            parts = [(a, one), (b, two)]
        case _:
            return body
    for (before, first), (behind, second) in (parts, parts[::-1]):
        start, rest = _start(before), _start(negation(behind))
        if start is not None and start == rest:
            return _moved_on(*start, first, second) or body
    return body


def _is_piece(term: Expr) -> bool:
    """Whether a term is what one tensor holds somewhere, absent elsewhere."""
    parts = term.factors if isinstance(term, Mul) else (term,)
    others = [part for part in parts if not isinstance(part, Guard)]
    return len(others) == 1 and isinstance(others[0], Access)


def one_piece(pieces: Expr) -> Access | None:
    """What pieces are where they are read: one of them, or two that are one axis moved on."""
    assert isinstance(pieces, Add)
    names = positive_names(free_indices(pieces))
    there: list[Expr] = []
    for piece in pieces.terms:
        parts = piece.factors if isinstance(piece, Mul) else (piece,)
        verdicts = {part: decide(part.cond, names) for part in parts if isinstance(part, Guard)}
        if False not in verdicts.values():
            there.append(mul(*(part for part in parts if not verdicts.get(part))))  # type: ignore[arg-type]
    whole = turned(add(*there)) if there else ZERO
    return whole if isinstance(whole, Access) else None


def _start(cond: Cond) -> tuple[Index, Size] | None:
    """The index i and the size s for which a condition says ``i < s``."""
    positive = cond.cond if isinstance(cond, Not) else cond
    if not isinstance(positive, Inside | Zero) or len(positive.sub.terms) != 1:
        return None
    index = positive.sub.terms[0][0]
    first = isolated(positive.sub, index)
    if not isinstance(index, Index) or first is None or first.terms:
        return None
    low, extent = first.const, index.extent
    if isinstance(positive, Inside) and positive.sub.coefficient(index).literal == -1:
        return None
    high = low + (positive.extent if isinstance(positive, Inside) else 1)
    if positive is cond:
        return (index, high) if (-low).at_least(0) else None
    return (index, low) if (high - extent).at_least(0) else None


def _moved_on(index: Index, start: Size, first: Access, second: Access) -> Access | None:
    """The one read that is ``first`` for ``i < start`` and ``second`` behind, if it is one."""
    extent = index.extent
    if first.tensor is not second.tensor or not _fits(start, index):
        return None
    places = []
    lower, upper = Index(index.name, start), Index(index.name, extent - start)
    for axis, (one, two) in enumerate(zip(first.subs, second.subs, strict=True)):
        if one is two and index not in indices_of(one):
            places.append(one)
            continue
        if (
            first.tensor.shape[axis] is not extent
            or reduced(map_indices(one, {index: at(lower)}))
            is not reduced(at(lower) + extent - start)
            or reduced(map_indices(two, {index: at(upper) + start})) is not reduced(at(upper))
        ):
            return None
        places.append((at(index) - start) % extent)
    return Access(first.tensor, tuple(places))


def _fits(start: Size, index: Index) -> bool:
    """Whether ``0 <= start <= extent`` wherever the index has a value."""
    positive = positive_names([index])
    return start.at_least(0, positive) and (index.extent - start).at_least(0, positive)


def split_digits(body: Expr, free: Sequence[Index]) -> Expr:
    """Summation indices read as ``k // D`` and ``k % D`` are split into those digits."""
    match body:
        case Mul(parts):
            return Mul(tuple(split_digits(p, free) for p in parts))
        case Add(parts):
            return Add(tuple(split_digits(p, free) for p in parts))
        case Reduce("sum", indices, domain, inner):
            inner = split_digits(inner, (*free, *indices))
            taken = {i.name for i in (*free, *indices, *bound_indices(inner))}
            return _split(indices, domain, inner, taken)
        case _:
            return body


def _split(
    indices: tuple[Index, ...], domain: Sequence[Cond], inner: Expr, taken: set[str]
) -> Expr:
    for k, index in enumerate(indices):
        found = _digit(index, (*domain, inner))
        if found is None:
            continue
        over, divisor = found
        high = fresh(Index(index.name, over), taken)
        low = fresh(Index(index.name, divisor), taken)
        moved = {index: at(high) * divisor + at(low)}
        return _split(
            (*indices[:k], high, low, *indices[k + 1 :]),
            tuple(tidy(substitute(c, moved)) for c in domain),  # type: ignore[arg-type, misc]
            tidy(substitute(inner, moved)),  # type: ignore[arg-type]
            taken,
        )
    return Reduce("sum", indices, tuple(domain), inner)


def _digit(index: Index, where: Sequence[Tree]) -> tuple[Size, Size] | None:
    """How often the greatest divisor goes into an index that stands alone under ``//`` or ``%``,
    and that divisor; None if there is none."""
    found: dict[Size, Size] = {}
    for root in where:
        for access in accesses(root):
            for sub in access.subs:
                for divisor in _divisors(sub, index):
                    over = index.extent.exactly_over(divisor)
                    if over is not None and divisor.literal != 1:
                        found[divisor] = over
    if not found:
        return None
    greatest = max(found, key=_magnitude)
    return found[greatest], greatest


def _magnitude(value: Size) -> tuple[int, int, str]:
    return max(len(m) for m, _ in value.terms), sum(n for _, n in value.terms), str(value)


def _divisors(sub: Subscript, index: Index) -> list[Size]:
    out: list[Size] = []
    for atom, _ in sub.terms:
        if isinstance(atom, Quotient | Remainder):
            alone = atom.value.index is index
            out += [atom.divisor] if alone else _divisors(atom.value, index)
    return out
