"""One walker for expressions and conditions: children, rebuilding, free indices, substitution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .expr import (
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
from .intern import noted
from .sizes import Size, SizeLike
from .subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    constant,
    indices_of,
    map_indices,
)

Tree = Expr | Cond


@noted
def children(node: Tree) -> tuple[Tree, ...]:
    """The expressions and conditions directly inside (subscripts are not among them)."""
    match node:
        case Apply(_, args):
            return args
        case Add(parts) | Mul(parts) | And(parts) | Or(parts):
            return parts
        case Power(base, _):
            return (base,)
        case Reduce(_, _, domain, body) | Arg(_, _, _, domain, body):
            return (*domain, body)
        case Select(cond, then, other):
            return (cond, then, other)
        case Guard(cond) | Not(cond):
            return (cond,)
        case Compare(_, left, right):
            return (left, right)
        case Truth(value):
            return (value,)
        case _:
            return ()


@noted
def subscripts(node: Tree) -> tuple[Subscript, ...]:
    """The subscripts directly inside."""
    match node:
        case Access(_, subs) | Opaque(_, _, subs):
            return subs
        case IndexOf(sub) | Zero(sub) | Inside(sub, _) | Divides(_, sub):
            return (sub,)
        case _:
            return ()


def rebuild(node: Tree, parts: tuple[Tree, ...]) -> Tree:
    """The same node with other children (the same object if they are the same)."""
    if parts == children(node):
        return node
    match node:
        case Apply(function, _):
            return Apply(function, parts)  # type: ignore[arg-type]
        case Add() | Mul() | And() | Or():
            return type(node)(parts)  # type: ignore[arg-type]
        case Power(_, exponent):
            return Power(parts[0], exponent)  # type: ignore[arg-type]
        case Reduce(op, indices, _, _):
            return Reduce(op, indices, parts[:-1], parts[-1])  # type: ignore[arg-type]
        case Arg(op, indices, which, _, _):
            return Arg(op, indices, which, parts[:-1], parts[-1])  # type: ignore[arg-type]
        case Select():
            return Select(*parts)  # type: ignore[arg-type]
        case Guard() | Not() | Truth():
            return type(node)(parts[0])  # type: ignore[arg-type]
        case Compare(op, _, _):
            return Compare(op, *parts)  # type: ignore[arg-type]
        case _:
            return node


def bottom_up(node: Tree, change: Callable[[Tree], Tree]) -> Tree:
    """Rebuild from the leaves, ``change`` applied to every node; memoised."""
    return _bottom_up(node, change, {})


def _bottom_up(node: Tree, change: Callable[[Tree], Tree], memo: dict[Tree, Tree]) -> Tree:
    # No function inside of another one: such a pair is a cycle, which only the collector frees.
    found = memo.get(node)
    if found is None:
        parts = tuple([_bottom_up(child, change, memo) for child in children(node)])
        found = memo[node] = change(rebuild(node, parts))
    return found


def nodes(node: Tree) -> Iterator[Tree]:
    """Every distinct node, parents before children; accesses inside lookups included."""
    seen: set[Tree] = set()
    stack: list[Tree] = [node]
    while stack:
        tree = stack.pop()
        if tree in seen:
            continue
        seen.add(tree)
        yield tree
        inner = [access for sub in subscripts(tree) for access in lookups(sub)]
        stack.extend(reversed((*children(tree), *inner)))


@noted
def lookups(sub: Subscript) -> tuple[Access, ...]:
    """The accesses inside a subscript."""
    found: list[Access] = []
    for atom, _ in sub.terms:
        match atom:
            case Lookup(access):
                found.append(access)
            case Quotient(value, _) | Remainder(value, _):
                found.extend(lookups(value))
    return tuple(found)


def accesses(node: Tree) -> tuple[Access, ...]:
    """Every distinct access, in order of first occurrence, those inside lookups included."""
    inner = _accesses_inside(node)
    return (node, *inner) if isinstance(node, Access) else inner


@noted
def _accesses_inside(node: Tree) -> tuple[Access, ...]:
    found: dict[Access, None] = {}
    for part in _inside(node):
        found.update(dict.fromkeys(accesses(part)))
    return tuple(found)


def _inside(node: Tree) -> Iterator[Tree]:
    """The expressions and conditions directly inside, and what is read in subscripts."""
    yield from children(node)
    for sub in subscripts(node):
        yield from lookups(sub)


@noted
def tensors(node: Tree) -> tuple[Tensor, ...]:
    """Every distinct tensor that is read, in order of first occurrence."""
    found: dict[Tensor, None] = {}
    if isinstance(node, Access):
        found[node.tensor] = None
    elif isinstance(node, Opaque):
        found.update(dict.fromkeys(node.operands))
    for part in _inside(node):
        found.update(dict.fromkeys(tensors(part)))
    return tuple(found)


@noted
def bound_indices(node: Tree) -> tuple[Index, ...]:
    """Every index bound by a reduction inside, in order of first occurrence."""
    found: dict[Index, None] = {}
    for tree in nodes(node):
        if isinstance(tree, Reduce | Arg):
            found.update(dict.fromkeys(tree.indices))
    return tuple(found)


@noted
def free_indices(node: Tree) -> tuple[Index, ...]:
    """The indices that are not bound inside, in order of first occurrence."""
    order: dict[Index, None] = {}
    for sub in subscripts(node):
        order.update(dict.fromkeys(indices_of(sub)))
    for child in children(node):
        order.update(dict.fromkeys(free_indices(child)))
    if isinstance(node, Reduce | Arg):
        for index in node.indices:
            order.pop(index, None)
    return tuple(order)


def fresh(index: Index, taken: set[str]) -> Index:
    """``index``, renamed if its name is taken; the new name is added to ``taken``."""
    name, stem, n = index.name, index.name.rstrip("0123456789'"), 1
    while name in taken:
        name, n = f"{stem}{n}", n + 1
    taken.add(name)
    return Index(name, index.extent)


def substitute(node: Tree, indices: Mapping[Index, Subscript]) -> Tree:
    """``node`` with free indices replaced by subscripts; bound indices are renamed where they
    would capture."""
    return _substitute(node, indices, {}) if indices else node


def _substitute(node: Tree, indices: Mapping[Index, Subscript], memo: dict[Tree, Tree]) -> Tree:
    if indices.keys().isdisjoint(free_indices(node)):
        return node
    found = memo.get(node)
    if found is None:
        found = memo[node] = _substituted(node, indices, memo)
    return found


def _substituted(node: Tree, indices: Mapping[Index, Subscript], memo: dict[Tree, Tree]) -> Tree:
    match node:
        case Access(tensor, subs):
            return Access(tensor, tuple([map_indices(sub, indices) for sub in subs]))
        case Opaque(operation, operands, subs):
            return Opaque(operation, operands, tuple([map_indices(sub, indices) for sub in subs]))
        case IndexOf(sub):
            return IndexOf(map_indices(sub, indices))
        case Zero(sub):
            return Zero(map_indices(sub, indices))
        case Inside(sub, extent):
            return Inside(map_indices(sub, indices), extent)
        case Divides(divisor, sub):
            return Divides(divisor, map_indices(sub, indices))
        case Reduce() | Arg():
            return _under_binder(node, indices)
        case _:
            parts = tuple([_substitute(child, indices, memo) for child in children(node)])
            return rebuild(node, parts)


def _under_binder(node: Reduce | Arg, indices: Mapping[Index, Subscript]) -> Tree:
    live = {i: s for i, s in indices.items() if i not in node.indices and i in free_indices(node)}
    incoming = {index.name for sub in live.values() for index in indices_of(sub)}
    taken = incoming | {i.name for i in (*free_indices(node), *node.indices)}
    renamed = tuple(fresh(i, taken) if i.name in incoming else i for i in node.indices)
    full: dict[Index, Subscript] = {**live}
    full.update(
        {old: at(new) for old, new in zip(node.indices, renamed, strict=True) if old is not new}
    )
    parts = tuple(substitute(child, full) for child in children(node))
    if isinstance(node, Reduce):
        return Reduce(node.op, renamed, parts[:-1], parts[-1])  # type: ignore[arg-type]
    return Arg(node.op, renamed, node.which, parts[:-1], parts[-1])  # type: ignore[arg-type]


def map_subscripts(node: Tree, change: Callable[[Subscript], Subscript]) -> Tree:
    """``node`` with every top-level subscript changed."""

    def visit(tree: Tree) -> Tree:
        match tree:
            case Access(tensor, subs):
                return Access(tensor, tuple(map(change, subs)))
            case Opaque(operation, operands, subs):
                return Opaque(operation, operands, tuple(map(change, subs)))
            case IndexOf(sub):
                return IndexOf(change(sub))
            case Zero(sub):
                return Zero(change(sub))
            case Inside(sub, extent):
                return Inside(change(sub), extent)
            case Divides(divisor, sub):
                return Divides(divisor, change(sub))
            case _:
                return tree

    return bottom_up(node, visit)


def map_tensors(node: Tree, change: Callable[[Access], Expr]) -> Tree:
    """``node`` with every access replaced, those inside lookups included (they must stay
    accesses). Operands of opaque operations stay: see :func:`rename_tensors`."""

    def lookup(access: Access) -> Access:
        changed = change(access)
        return changed if isinstance(changed, Access) else access

    def visit(tree: Tree) -> Tree:
        match tree:
            case Access(tensor, subs):
                return change(Access(tensor, tuple(map_indices(s, {}, lookup) for s in subs)))
            case IndexOf(sub):
                return IndexOf(map_indices(sub, {}, lookup))
            case Zero(sub):
                return Zero(map_indices(sub, {}, lookup))
            case Inside(sub, extent):
                return Inside(map_indices(sub, {}, lookup), extent)
            case Divides(divisor, sub):
                return Divides(divisor, map_indices(sub, {}, lookup))
            case _:
                return tree

    return bottom_up(node, visit)


def rename_tensors(node: Tree, names: Mapping[Tensor, Tensor]) -> Tree:
    """``node`` reading other tensors of the same rank."""

    def renamed(tree: Tree) -> Tree:
        if not isinstance(tree, Opaque):
            return tree
        return Opaque(tree.operation, tuple(names.get(t, t) for t in tree.operands), tree.subs)

    return bottom_up(
        map_tensors(node, lambda a: Access(names.get(a.tensor, a.tensor), a.subs)), renamed
    )


def renamed(tree: Tree, indices: Mapping[Index, Index], tensors: Mapping[Tensor, Tensor]) -> Tree:
    """``tree`` with other names for tensors and for indices, bound ones included."""
    subs = {old: at(new) for old, new in indices.items()}

    def lookup(access: Access) -> Access:
        return Access(tensors.get(access.tensor, access.tensor), access.subs)

    def moved(sub: Subscript) -> Subscript:
        return map_indices(sub, subs, lookup)

    def change(node: Tree) -> Tree:
        match node:
            case Access(tensor, own):
                return Access(tensors.get(tensor, tensor), tuple(map(moved, own)))
            case Opaque(operation, operands, own):
                whole = tuple(tensors.get(t, t) for t in operands)
                return Opaque(operation, whole, tuple(map(moved, own)))
            case IndexOf(sub):
                return IndexOf(moved(sub))
            case Zero(sub):
                return Zero(moved(sub))
            case Inside(sub, extent):
                return Inside(moved(sub), extent)
            case Divides(divisor, sub):
                return Divides(divisor, moved(sub))
            case Reduce(op, bound, domain, body):
                return Reduce(op, tuple(indices[i] for i in bound), domain, body)
            case Arg(op, bound, which, domain, body):
                return Arg(op, tuple(indices[i] for i in bound), which, domain, body)
            case _:
                return node

    return bottom_up(tree, change)


def map_sizes(node: Tree, names: Mapping[str, SizeLike]) -> Tree:
    """``node`` with named sizes replaced everywhere: extents, shapes, subscripts, values."""
    memo: dict[Tree, Tree] = {}

    def of(value: Size) -> Size:
        return value.replace(names)

    def sub_of(sub: Subscript) -> Subscript:
        out = constant(of(sub.const))
        for atom, n in sub.terms:
            match atom:
                case Index(name, extent):
                    part = at(Index(name, of(extent)))
                case Quotient(value, divisor):
                    part = sub_of(value) // of(divisor)
                case Remainder(value, divisor):
                    part = sub_of(value) % of(divisor)
                case Lookup(access):
                    part = at(Lookup(visit(access)))  # type: ignore[arg-type]
            out = out + part * of(n)
        return out

    def visit(tree: Tree) -> Tree:
        if tree not in memo:
            memo[tree] = change(tree)
        return memo[tree]

    def change(tree: Tree) -> Tree:
        match tree:
            case SizeOf(value):
                return SizeOf(of(value))
            case Access(tensor, subs):
                return Access(resized(tensor, names), tuple(map(sub_of, subs)))
            case Opaque(operation, operands, subs):
                moved = tuple(resized(tensor, names) for tensor in operands)
                return Opaque(operation, moved, tuple(map(sub_of, subs)))
            case IndexOf(sub):
                return IndexOf(sub_of(sub))
            case Zero(sub):
                return Zero(sub_of(sub))
            case Inside(sub, extent):
                return Inside(sub_of(sub), of(extent))
            case Divides(divisor, sub):
                return Divides(of(divisor), sub_of(sub))
            case Reduce() | Arg():
                apart = _apart(tree, of)
                parts = tuple(map(visit, children(apart)))
                indices = tuple(Index(i.name, of(i.extent)) for i in apart.indices)
                if isinstance(apart, Reduce):
                    return Reduce(apart.op, indices, parts[:-1], parts[-1])  # type: ignore[arg-type]
                return Arg(apart.op, indices, apart.which, parts[:-1], parts[-1])  # type: ignore[arg-type]
            case _:
                return rebuild(tree, tuple(map(visit, children(tree))))

    return visit(node)


def _apart(node: Reduce | Arg, of: Callable[[Size], Size]) -> Reduce | Arg:
    """``node`` with bound indices renamed that would meet another index of their name.

    ``j:M`` and ``j:2`` are two indices, but one where M is 2.
    """
    met = {(i.name, of(i.extent)) for i in free_indices(node)}
    taken = {i.name for i in (*free_indices(node), *node.indices)}
    moved: dict[Index, Index] = {}
    for index in node.indices:
        if (index.name, of(index.extent)) in met:
            moved[index] = fresh(index, taken)
        met.add((index.name, of(index.extent)))
    if not moved:
        return node
    subs = {old: at(new) for old, new in moved.items()}
    parts = tuple(substitute(child, subs) for child in children(node))
    indices = tuple(moved.get(i, i) for i in node.indices)
    if isinstance(node, Reduce):
        return Reduce(node.op, indices, parts[:-1], parts[-1])  # type: ignore[arg-type]
    return Arg(node.op, indices, node.which, parts[:-1], parts[-1])  # type: ignore[arg-type]


def resized(tensor: Tensor, names: Mapping[str, SizeLike]) -> Tensor:
    """The tensor with named sizes replaced in its shape."""
    return Tensor(tensor.name, tuple(n.replace(names) for n in tensor.shape), tensor.dtype)
