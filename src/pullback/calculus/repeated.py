"""Products, sums of terms and powers of arrays that stand more than once in a backward pass are
computed once and get a name.

``Σ_j T[i,j]/D[i,j]`` beside ``Σ_i T[i,j]/D[i,j]`` takes the array ``T/D``. A factor of a product
under a sum counts, too: of ``Σ_j Y[j,k]·T[i,j]/D[i,j]`` the factors over i and j are such an array.

``Σ_j A[i,j] + Σ_j A[j,i]`` beside ``Σ_j (A[i,j] + A[j,i])·X[j,k]`` is the sum over j of one array,
which both read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..ir.expr import (
    Access,
    Add,
    Apply,
    Arg,
    Cond,
    Expr,
    Guard,
    Mul,
    Number,
    Power,
    Reduce,
    Select,
    Tensor,
    add,
    mul,
    number,
)
from ..ir.program import Define
from ..ir.recurrence import in_order, recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import (
    Tree,
    accesses,
    bottom_up,
    children,
    free_indices,
    nodes,
    rebuild,
    substitute,
    tensors,
)
from ..text import PRIVATE
from .cost import expression_cost, volume
from .flatten import alpha
from .linear import Linear
from .normal import in_bounds
from .share import named_value, value_key

LEAST = 1.5  # operations an element, for a name to be worth writing and reading an array
ROUNDS = 8
MOST = 400  # of more statements, none is looked at


@dataclass(frozen=True)
class _Found:
    """An array's value as it stands in a statement."""

    value: Expr
    statement: Define
    held: bool  # whether only where conditions hold


def repeated(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements, arrays that stand more than once named, in an order in which they can run."""
    out = list(statements)
    if len(out) > MOST:
        return out
    out = _of_one_sign(out)
    for _ in range(ROUNDS):
        found = _most(out)
        if found is None:
            break
        made = replace(named_value(found.value, "shared", found.statement, linear), of="")
        key = value_key(found.value)
        out = [made, *(_put_in(s, key, made.target) for s in out)]
    return in_order(out)


def _of_one_sign(statements: Sequence[Define]) -> list[Define]:
    """The statements with ``c*(b - a)`` as ``-c*(a - b)`` where ``a - b`` stands before."""
    known: set[Tree] = set()
    opposite: set[Tree] = set()
    steps = recurrent(statements)
    for s in statements:
        for node in nodes(s.body) if s.target not in steps else ():
            if isinstance(node, Add) and _is_array(node) and len(node.terms) == 2:
                key = value_key(node)
                other = key in known or key in opposite or value_key(_negated(node)) not in known
                (known if other else opposite).add(key)

    def change(node: Tree) -> Tree:
        match node:
            case Mul(factors) if any(isinstance(f, Add) for f in factors):
                whole = set(free_indices(node))
                for n, factor in enumerate(factors):
                    other = factors[:n] + factors[n + 1 :]
                    small = any(not whole.issubset(free_indices(f)) for f in other)
                    if small and isinstance(factor, Add) and value_key(factor) in opposite:
                        return mul(*_minus(other), _negated(factor))
        return node

    return [_written(s, change) for s in statements] if opposite else list(statements)


def _written(statement: Define, change: Callable[[Tree], Tree]) -> Define:
    body = bottom_up(statement.body, change)
    return statement if body is statement.body else replace(statement, body=body)  # type: ignore[arg-type]


def _minus(factors: Sequence[Expr]) -> tuple[Expr, ...]:
    """The factors of a product with the opposite sign."""
    match factors:
        case (Number(value, ""), *rest):
            return (*([] if value == -1 and rest else [number(-value)]), *rest)
    return (number(-1), *factors)


def _negated(value: Add) -> Add:
    """A sum with the opposite sign, what is added first."""
    terms = [_minus(t.factors if isinstance(t, Mul) else (t,)) for t in value.terms]
    below = [isinstance(t[0], Number) and t[0].value < 0 for t in terms]
    pairs = sorted(zip(below, terms, strict=True), key=lambda pair: pair[0])
    return Add(tuple(mul(*t) for _, t in pairs))


def _most(statements: Sequence[Define]) -> _Found | None:
    """The array that costs most of those that stand more than once.

    Where the same value stands twice in one statement, at the same indices, no name is needed: what
    computes a statement computes equal values once. One that stands under conditions only isn't
    computed elsewhere.
    """
    alike: dict[Tree, dict[tuple[Tensor, Expr], _Found]] = {}
    for places in _candidates(statements):
        for place in places:
            alike.setdefault(value_key(place.value), {})[place.statement.target, place.value] = (
                place
            )
    free = [[f for f in found.values() if not f.held] for found in alike.values() if len(found) > 1]
    often = sorted((f[0] for f in free if f), key=lambda f: -expression_cost(f.value))
    return next((f for f in often if _is_dear(f.value) and in_bounds(f.value)), None)


def _candidates(statements: Sequence[Define]) -> Iterator[Sequence[_Found]]:
    """The arrays in statements, together those that read the same tensors, where there are several
    of them."""
    found: dict[tuple[type, tuple[Tensor, ...]], dict[tuple[Tensor, Expr], _Found]] = {}
    steps = recurrent(statements)
    for s in statements:
        if s.target not in steps:
            for value, held in _arrays(s.body):
                names = tuple(sorted(tensors(value), key=lambda t: t.name))
                places = found.setdefault((type(value), names), {})
                if not held or (s.target, value) not in places:
                    places[s.target, value] = _Found(value, s, held)
    yield from (tuple(places.values()) for places in found.values() if len(places) > 1)


def _arrays(node: Tree, held: bool = False) -> Iterator[tuple[Expr, bool]]:
    """The values in an expression that are arrays of their own, and whether conditions hold
    wherever they are computed."""
    for value in _parts(node):
        if _is_array(value):
            yield value, held
    held = held or _holds(node)
    for child in children(node):
        if not isinstance(child, Cond):
            yield from _arrays(child, held)


def _parts(node: Tree) -> Iterator[Expr]:
    """The values that a node is, or has among its factors, that may be an array."""
    match node:
        case Mul(factors) if not _holds(node):
            yield from _products(factors)
        case Power(_, exponent) if exponent < 0:
            return  # 1/x may overflow where y/x doesn't
        case Add() | Power() | Apply():
            yield node


def _holds(node: Tree) -> bool:
    """Whether there are conditions without which parts of a node aren't computed."""
    match node:
        case Mul(factors):
            return any(isinstance(f, Guard) for f in factors)
        case Reduce(_, _, domain, _) | Arg(_, _, _, domain, _):
            return bool(domain)
    return isinstance(node, Select)


def _products(factors: Sequence[Expr]) -> Iterator[Mul]:
    """The parts of a product that are arrays: factors over the same indices, and with those that
    have none."""
    groups: dict[frozenset[Index], list[Expr]] = {}
    for factor in factors:
        groups.setdefault(frozenset(free_indices(factor)), []).append(factor)
    scalars = groups.pop(frozenset(), [])
    for group in groups.values():
        if all(isinstance(f, Power) and f.exponent < 0 for f in group):
            continue
        if len(groups) == 1 and scalars:
            yield Mul((*scalars, *_sorted(group)))
        if len(group) > 1:
            yield Mul(_sorted(group))


def _sorted(factors: Sequence[Expr]) -> tuple[Expr, ...]:
    """Factors in an order that their indices have no part in."""

    def key(factor: Expr) -> str:
        mark = {i: at(Index(f"${PRIVATE}", i.extent)) for i in free_indices(factor)}
        return substitute(factor, mark).key

    return tuple(sorted(factors, key=key))


def _is_array(value: Expr) -> bool:
    """Whether a value is no larger than one that is read."""
    free = set(free_indices(value))
    return bool(free) and any(free.issubset(free_indices(a)) for a in accesses(value))


def _is_dear(value: Expr) -> bool:
    """Whether a value takes enough operations for a name."""
    reads = sum(expression_cost(a) for a in accesses(value))
    return expression_cost(value) - reads >= LEAST * volume(free_indices(value))


def _put_in(statement: Define, key: Tree, name: Tensor) -> Define:
    """The statement with the array's name in place of its value."""

    def read(value: Expr) -> Access:
        return Access(name, tuple(map(at, free_indices(value))))

    def change(node: Tree) -> Tree:
        for part in _parts(node):
            if _is_array(part) and value_key(part) is key:
                rest = list(node.factors) if isinstance(node, Mul) else []
                for factor in part.factors if isinstance(part, Mul) else ():
                    rest.remove(factor)
                return mul(*rest, read(part))
        return node

    body = _changed(statement.body, change)
    if body is statement.body:
        return statement
    scatter = None if statement.scatter is None else _changed(statement.scatter, change)
    return replace(statement, body=body, scatter=scatter)  # type: ignore[arg-type]


def _changed(node: Tree, change: Callable[[Tree], Tree]) -> Tree:
    """A node with the arrays that :func:`_arrays` finds in it changed, the largest first."""
    if isinstance(node, Cond):
        return node
    node = change(node)
    return rebuild(node, tuple(_changed(c, change) for c in children(node)))


# Arrays that are added for a product and summed term by term beside it.


@dataclass(frozen=True)
class _Added:
    """A sum of terms that a product is summed with, and the indices that this runs over."""

    value: Add
    bound: tuple[Index, ...]

    @property
    def sums(self) -> list[Tree]:
        """The sum of each term over these indices, whatever they are called."""
        return [alpha(Reduce("sum", self.bound, (), term)) for term in self.value.terms]


def summed_together(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements, arrays named that are added for a product and summed term by term beside it,
    in an order in which they can run."""
    steps = recurrent(statements)
    out: list[Define] = []
    for s in statements:
        for found in () if s.target in steps else tuple(dict.fromkeys(_added(s.body))):
            if not any(_term_sums(node, found) for node in nodes(s.body)):
                continue
            made = replace(named_value(found.value, "shared", s, linear), of="")
            out.append(made)
            s = _with_array(s, found, Access(made.target, tuple(map(at, made.indices))))
        out.append(s)
    return in_order(out) if len(out) > len(statements) else list(statements)


def _added(body: Expr) -> Iterator[_Added]:
    """The sums of terms that an expression multiplies with and sums over, as arrays: each of them
    no larger than one that is read."""
    bound = {i for node in nodes(body) if isinstance(node, Reduce) for i in node.indices}
    for node in nodes(body):
        match node:
            case Reduce("sum", indices, (), Mul(factors) as product) if not _holds(product):
                for value in factors:
                    free = set(free_indices(value))
                    own = tuple(i for i in indices if i in free)
                    if (
                        isinstance(value, Add)
                        and len(own) == len(indices)
                        and free.intersection(bound) == set(own)
                        and any(free.issubset(free_indices(a)) for a in accesses(value))
                        and in_bounds(value)
                    ):
                        yield _Added(value, own)


def _term_sums(node: Tree, found: _Added) -> list[Expr]:
    """The parts of a sum that are the sums of all terms; none where one is missing."""
    if not isinstance(node, Add):
        return []
    left = {alpha(part): part for part in node.terms if isinstance(part, Reduce)}
    wanted = found.sums
    if len(set(wanted)) < len(wanted) or not all(key in left for key in wanted):
        return []
    return [left[key] for key in wanted]


def _with_array(statement: Define, found: _Added, read: Access) -> Define:
    """The statement with the array read in place of its terms, and of their sums."""

    def change(node: Tree) -> Tree:
        if node is found.value:
            return read
        parts = _term_sums(node, found)
        if not parts or not isinstance(node, Add):
            return node
        return add(*(t for t in node.terms if t not in parts), Reduce("sum", found.bound, (), read))

    body = bottom_up(statement.body, change)
    return replace(statement, body=body)  # type: ignore[arg-type]
