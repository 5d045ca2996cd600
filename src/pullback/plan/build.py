"""A backward pass as a plan: which forward values are saved, and how each statement is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..calculus.cost import volume
from ..calculus.step import Backward
from ..errors import PullbackError
from ..ir.expr import Add, Expr, Tensor
from ..ir.program import Define
from ..ir.recurrence import direction, groups, is_recurrent, recurrent
from ..ir.subscripts import Lookup, at, constant, indices_of
from ..ir.walk import substitute, tensors
from .choices import with_clips
from .common import common_products
from .facts import Facts
from .masked import masks_read
from .ops import Build, Let, Loop, Op, Plan, Procedure
from .pieces import (
    Piece,
    Term,
    cheaper_inside,
    empty,
    in_a_row,
    is_diagonal,
    is_sparse,
    locate,
    reused,
    spellable,
    split_terms,
    summed,
    whole_and_part,
)
from .rotations import together
from .running import outside, runs
from .scaled import divided_through, scaled
from .splitting import split
from .spread import reads_quotients, spread_of, ties
from .statements import joined, live_statements, residuals_of, without_copies


def build(backward: Backward) -> Plan:
    """The plan of a backward pass and its forward pass."""
    statements = live_statements(backward.statements, backward.gradients)
    statements = scaled(divided_through(statements), backward.gradients)
    statements = common_products(statements, backward.gradients)
    statements = with_clips(statements, backward.forward.statements)
    saved = tuple(residuals_of(statements, backward))
    outputs = backward.program.outputs
    kept = live_statements(masks_read(backward.forward.statements), [*outputs, *saved])
    facts = Facts()
    facts.learn([*backward.forward.statements, *statements])
    facts.learn_means(backward.forward.statements)
    strict = replace(facts, strict=True)
    inputs = (*backward.cotangents, *saved)
    return Plan(
        procedure("forward", backward.program.inputs, kept, outputs, strict, saved),
        procedure("backward", inputs, statements, backward.gradients, facts),
        saved,
        backward.masks,
    )


def procedure(
    name: str,
    inputs: Sequence[Tensor],
    statements: Sequence[Define],
    results: Sequence[Tensor],
    facts: Facts,
    saved: Sequence[Tensor] = (),
) -> Procedure:
    """Statements as a procedure."""
    statements = without_copies(statements, (*results, *saved))
    if not facts.strict:
        statements = joined(statements, results, recurrent(statements))
    names = {t.name for t in inputs} | {s.target.name for s in statements}
    ops: list[Op] = []
    for group in groups(statements):
        if is_recurrent(group):
            before, group = outside(group, names)
            facts.learn(before)
            ops += [operation(define, facts) for define in before]
        ops.append(_op(group, facts))
    return Procedure(name, tuple(inputs), tuple(ops), tuple(results), facts)


def _op(group: tuple[Define, ...], facts: Facts) -> Op:
    if is_recurrent(group):
        turn = direction(group)
        if not turn:
            names = ", ".join(s.target.name for s in group)
            raise PullbackError(
                f"{names} need each other, and neither the step before nor the step after comes "
                "first",
                where=names,
            )
        return Loop(group, turn)
    (define,) = group
    return operation(define, facts)


def operation(define: Define, facts: Facts) -> Let | Build:
    """A statement as an operation."""
    define = _thinned(define)
    if not facts.strict:
        define = replace(define, body=together(define.body, facts))
    if (digits := split(define.indices, define.body)) is not None:
        return Let(define, digits)
    if ties(define) and not _runs(define, facts) and (found := _scattered(define)):
        return found
    if (found := pieced(define, facts)) is not None:
        return found
    if reads_quotients(define) and (found := _scattered(define)):
        return found
    return Let(define)


def _runs(define: Define, facts: Facts) -> bool:
    """Whether all that is tied to a target's indices are sums that run along an axis."""
    made = pieced(define, facts)
    if made is None:
        return runs(define.body, define.indices)
    pieces = [p for p in made.parts if isinstance(p, Piece)]
    parts = [(p.body, [i for sub in p.subs for i in indices_of(sub)]) for p in pieces]
    return all(
        runs(body, own) for body, own in (*((t, define.indices) for t in made.terms), *parts)
    )


def _thinned(define: Define) -> Define:
    """The statement with 0 for its indices of extent 1."""
    thin = {i: constant(0) for i in define.indices if i.extent.literal == 1}
    if not thin:
        return define
    body = substitute(define.body, thin)
    scatter = None if define.scatter is None else substitute(define.scatter, thin)
    return replace(define, body=body, scatter=scatter)  # type: ignore[arg-type]


def _scattered(define: Define) -> Build | None:
    """A statement that puts values at computed subscripts, where its elements would be compared
    with each value, or be read at quotients of subscripts."""
    if define.target.kind != "float":
        return None
    body = define.body
    if define.scatter is not None and set(tensors(define.scatter)) <= set(tensors(body)):
        body = define.scatter
    terms = body.terms if isinstance(body, Add) else (body,)
    spreads = [spread_of(term, define.indices) for term in terms]
    parts = tuple(s for s in spreads if s is not None)
    if not parts:
        return None
    rest = tuple(term for term, s in zip(terms, spreads, strict=True) if s is None)
    return Build(define, rest, parts)


def pieced(define: Define, facts: Facts) -> Build | None:
    """A statement whose terms fill parts of its target."""
    outer, terms = split_terms(define.body, define.indices)
    if not facts.strict:
        terms = whole_and_part(terms, facts)
    dense, parts = _located(define, terms, facts)
    if outer:
        filling = [piece for piece in parts if not is_sparse(piece) and not is_diagonal(piece)]
        terms = [Term(term.conds, (*outer, *term.factors)) for term in terms]
        found = _located(define, terms, facts)
        few = len(dense) + len(filling) <= 1
        inside = few or any(_may_be_infinite(factor, facts) for factor in outer)
        points = volume(define.indices)
        if inside or cheaper_inside(outer, _values(dense, parts), _values(*found), points):
            (dense, parts), outer = found, []
    shape = define.target.shape
    inside = all(
        facts.inside(sub, n) or isinstance(sub.atom, Lookup)
        for p in parts
        for sub, n in zip(p.subs, shape, strict=True)
    )
    if not parts or not inside or not all(map(spellable, parts)):
        return None
    parts = summed([piece for piece in parts if not empty(piece)])
    if not facts.strict:
        parts = reused(parts)
    row = None if dense or outer else in_a_row(parts, define)
    if row is not None:
        return Build(define, (), tuple(row[1]), (), row[0])
    if define.target.kind != "float":
        return None
    return Build(define, tuple(dense), tuple(parts), tuple(outer))


def _located(define: Define, terms: Sequence[Term], facts: Facts) -> tuple[list[Expr], list[Piece]]:
    """The values of the terms that fill the target, and the pieces that fill a part of it."""
    everywhere = tuple(map(at, define.indices))
    pieces = [locate(term, define.indices, facts) for term in terms]
    dense = [piece.body for piece in pieces if piece.subs == everywhere]
    return dense, [piece for piece in pieces if piece.subs != everywhere]


def _values(dense: Sequence[Expr], parts: Sequence[Piece]) -> list[Expr]:
    """What is added up."""
    return [*dense, *(piece.body for piece in parts)]


def _may_be_infinite(factor: Expr, facts: Facts) -> bool:
    """Whether a factor may be so for its sizes alone: 1/(N - 1) at N = 1, where nothing may be
    filled. It would make NaNs of the zeros between the pieces."""
    return not any(tensors(factor)) and bool(facts.how_infinite(factor))
