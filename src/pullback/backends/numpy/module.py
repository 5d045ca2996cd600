"""Functions and modules: signature, sizes, one piece of source a statement, what is returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from inspect import Parameter

from ...calculus.step import Backward
from ...ir.expr import Access, Add, Mul, Tensor
from ...ir.program import Define, reads
from ...ir.recurrence import groups, is_recurrent
from ...ir.walk import Tree, children
from ...plan.facts import Facts
from ...plan.statements import counts_of, live_statements, residuals_of, without_copies
from ..python import code
from ..python.code import tuple_of
from ..python.layout import broken
from ..python.names import Names
from ..python.preface import NOTHING, Preface, extent_checks
from . import matrices
from .expressions import Speller
from .recurrences import Recurrence
from .scope import INDENT, Scope
from .statements import returned, statement


def spell(
    name: str,
    inputs: Sequence[Tensor],
    statements: Sequence[Define],
    returns: Sequence[Tensor],
    *,
    comments: bool = True,
) -> str:
    """Python source of ``def name(inputs...)`` that returns the tuple of ``returns``, a single one
    bare.

    It needs ``import numpy as np``, which is its first line. Sizes that no input's shape gives are
    keyword arguments. Results are new arrays: they share no memory with the inputs or with each
    other.
    """
    backward = any(s.of for s in statements)
    scope = Scope(inputs, replace(_facts(statements), strict=not backward))
    kept = live_statements(statements, returns)
    body(scope, kept, returns, comments)
    results = returned(scope, returns, inputs)
    value = results[0] if len(results) == 1 else ", ".join(results) or "()"
    lines = function(
        scope, Names(plain=True).fresh(name), [str(scope.read(t)) for t in inputs], value
    )
    return "\n".join([*imports(scope), "", "", *lines]) + "\n"


def spell_pair(backward: Backward, *, comments: bool = True, preface: Preface = NOTHING) -> str:
    """Module source: ``forward(*inputs) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

    With several outputs ``Y`` and ``dY`` are tuples. The gradients come in the order of
    ``backward.gradients``, a single one bare. ``cache`` is the tuple of what ``backward`` reads.
    ``preface`` is what ``forward`` says and asserts first.
    """
    front, back, residuals = _emitted(backward, comments)
    return pair_source(backward, front, back, residuals, preface)


def size_keywords(
    backward: Backward, parameters: Iterable[Parameter], preface: Preface = NOTHING
) -> dict[str, str]:
    """The keyword arguments of the ``forward`` that :func:`spell_pair` writes, each with the name
    of its size: a name that is no identifier of Python, or is taken, gets another one there.
    ``parameters`` are those of this ``forward``."""
    words = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if not words:
        return {}
    front, back, residuals = _emitted(backward, False)
    pair_source(backward, front, back, residuals, preface)
    names = {name: key for key, name in front.sizes.names.items()}
    return {word: names[word] for word in words}


def _emitted(backward: Backward, comments: bool) -> tuple[Scope, Scope, list[Tensor]]:
    """The scopes of the forward and the backward function with their lines, and the forward values
    that the backward lines read."""
    statements = live_statements(backward.statements, backward.gradients)
    residuals = residuals_of(statements, backward)
    facts = _facts([*backward.forward.statements, *statements])
    facts.learn_means(backward.forward.statements)
    back = Scope([*backward.cotangents, *residuals], facts)
    body(back, statements, backward.gradients, comments)

    front = Scope(backward.program.inputs, replace(facts, strict=True))
    outputs = backward.program.outputs
    kept = live_statements(backward.forward.statements, [*outputs, *residuals])
    body(front, kept, outputs, comments, residuals)
    return front, back, residuals


def pair_source(
    backward: Backward,
    front: Scope,
    back: Scope,
    residuals: Sequence[Tensor],
    preface: Preface = NOTHING,
) -> str:
    """The module of a forward and a backward function whose lines have been emitted.

    ``residuals`` are the forward values that the backward lines read.
    """
    back_head, sizes = back.head()
    results = returned(front, backward.program.outputs, backward.program.inputs)
    refused = extent_checks(front, backward.program.statements)
    front.lines[:0] = [*preface.checks(front), *refused]
    saved = [str(front.read(t)) for t in residuals]
    keys = {name: key for key, name in back.sizes.names.items()}
    saved += [front.sizes.name(keys[name]) for name in sizes]
    value = results[0] if len(results) == 1 else tuple_of(results)
    arguments = [str(front.read(t)) for t in backward.program.inputs]
    value = f"{value}, {tuple_of(saved)}"
    first = function(front, "forward", arguments, value, doc=preface.docstring())

    cotangents = [str(back.read(t)) for t in backward.cotangents]
    argument = cotangents[0] if len(cotangents) == 1 else "cotangents"
    unpacked = [f"{', '.join(cotangents)} = cotangents"] if len(cotangents) > 1 else []
    entries = [*(str(back.read(t)) for t in residuals), *sizes]
    if entries:
        unpacked.append(f"{', '.join(entries)}{',' if len(entries) == 1 else ''} = cache")
    gradients = returned(back, backward.gradients, backward.cotangents)
    value = gradients[0] if len(gradients) == 1 else ", ".join(gradients) or "()"
    second = function(back, "backward", [argument, "cache"], value, [*unpacked, *back_head])
    both = imports(front) + [line for line in imports(back) if line not in imports(front)]
    return "\n".join([*both, "", "", *first, "", "", *second]) + "\n"


def _facts(statements: Sequence[Define]) -> Facts:
    facts = Facts()
    facts.learn(statements)
    return facts


def body(
    scope: Scope,
    statements: Sequence[Define],
    final: Sequence[Tensor],
    comments: bool,
    saved: Sequence[Tensor] = (),
) -> None:
    """Emits the source of all statements."""
    speller = Speller(scope)
    statements = without_copies(statements, (*final, *saved))
    waiting = _waiting(statements, (*final, *saved))
    unwritten: list[Define] = []  # gradients that have no line yet
    previous = ""
    paired: set[Tensor] = set()

    def commented(define: Define, before: int) -> None:
        nonlocal previous, unwritten
        if define.target in scope.pending:
            unwritten += [define] if define.user else []
        elif comments and len(scope.lines) > before:
            told = [s for s in unwritten if s.target not in scope.pending]
            unwritten = [s for s in unwritten if s not in told]
            texts = [text for text in map(code.remark, (*told, define)) if text]
            shown = [t for t in texts if t not in (previous, code.comment(scope.lines[-1]))]
            scope.lines[before:before] = [scope.indent + text for text in dict.fromkeys(shown)]
            previous = texts[-1] if texts else previous

    left = groups(statements)
    while left:
        group, *left = left
        define, before = group[0], len(scope.lines)
        if is_recurrent(group):
            loop = Recurrence(speller, group, waiting, commented)
            left = [tuple(map(loop.after, later)) for later in left]
            read = {t for later in left for s in later for t in reads(s)}
            loop.emit({s.target for s in group} & {*read, *final, *saved})
            continue
        if define.target in paired:
            continue
        other = matrices.partner(define, statements)
        if other is not None:
            matrices.pair(speller, define, other)
            paired.add(other.target)
        else:
            waits = define.target in waiting
            statement(speller, define, final=define.target in final, waits=waits)
        commented(define, before)


def _waiting(statements: Sequence[Define], kept: Sequence[Tensor]) -> set[Tensor]:
    """The values that are read once, and so may stand where they are read rather than get a name.

    Of values with a name of their own these are gradients that pass through an element-wise
    operation: NumPy then writes the result into the memory of the value.
    """
    counts = counts_of(statements)
    passing = {t for s in statements for t in _passed(s.body, s.access)}
    return {
        s.target
        for s in statements
        if counts[s.target] == 1
        and s.target not in kept
        and (not s.user or (s.of and s.target in passing))
    }


def _passed(body: Tree, whole: Access) -> Iterator[Tensor]:
    """The tensors of the result's shape that a body reads element by element."""
    if isinstance(body, Access) and body.subs == whole.subs:
        yield body.tensor
    elif isinstance(body, Add | Mul):
        for part in children(body):
            yield from _passed(part, whole)


def function(
    scope: Scope,
    name: str,
    arguments: list[str],
    value: str,
    head: list[str] | None = None,
    doc: Sequence[str] = (),
) -> list[str]:
    """The lines of a function."""
    if head is None:
        head, keywords = scope.head(value)
        if keywords:
            arguments = [*arguments, "*", *keywords]
    lines = [f"def {name}({', '.join(arguments)}):"]
    if scope.quiet:
        kinds = ", ".join(f'{kind}="ignore"' for kind in sorted(scope.quiet))
        lines.insert(0, f"@np.errstate({kinds})")
    inside = (INDENT + line for line in (*doc, *head, *scope.lines, f"return {value}"))
    return [part for line in (*lines, *inside) for part in broken(line)]


def imports(scope: Scope) -> list[str]:
    """The import lines that a function needs."""
    return ["import numpy as np", *sorted(scope.imports)]
