"""One statement as one piece of source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...ir.expr import Tensor
from ...ir.program import Define
from ...ir.subscripts import constant
from ...ir.walk import bound_indices, substitute
from ...plan.splitting import Split, split
from ...plan.spread import reads_quotients, ties
from ..python.code import method
from .arrays import Array
from .assembly import assembled
from .assign import assign, finished, is_a
from .expressions import Context, Speller
from .grouping import grouped
from .rotations import together
from .scatter import scattered
from .scope import Pending, Scope

WIDTH = 88  # of a line with values in it that could have had names of their own
SHORT = 80  # of such a value
PARENTHESES = 2


def statement(speller: Speller, define: Define, *, final: bool, waits: bool) -> None:
    """Emits the source of a statement; a ``final`` value shares memory with nothing else.

    One that ``waits`` is spelled where it is read, if it is short.
    """
    scope = speller.scope
    define = _thinned(define)
    scope.inlined = []
    before, start = scope.kept(), len(scope.lines)
    while True:
        _spell(speller, define, final, waits)
        inlined = scope.inlined
        lines = scope.lines[start:]
        counts = Counter(inlined)
        # read twice, or once as it is and once by a name
        repeated = [t for t in inlined if counts[t] > 1 or t not in scope.pending]
        excess = max((len(line) for line in lines), default=0) - WIDTH
        if not repeated and (not inlined or excess <= 0):
            for tensor in inlined:
                scope.pending.pop(tensor, None)
            speller.remember(define)
            return
        named = repeated[:1] or _to_be_named(scope, inlined, excess)
        scope.restore(before)
        for tensor in named:
            scope.held(tensor)
        before, start = scope.kept(), len(scope.lines)


def _to_be_named(scope: Scope, inlined: Sequence[Tensor], excess: int) -> list[Tensor]:
    """The longest values that wait, so many that a line which is too long may become short enough
    without them: with one less it would not."""
    found: list[Tensor] = []
    for tensor in sorted(inlined, key=lambda t: _length(scope, t), reverse=True):
        if found and excess <= 0:
            break
        found.append(tensor)
        excess -= _length(scope, tensor) + PARENTHESES
    return found


def _length(scope: Scope, tensor: Tensor) -> int:
    """How much source waits for a tensor to be read."""
    return len(str(scope.pending[tensor].array.code)) if tensor in scope.pending else 0


def _thinned(define: Define) -> Define:
    """The statement with 0 for its indices of extent 1."""
    thin = {i: constant(0) for i in define.indices if i.extent.literal == 1}
    if not thin:
        return define
    body = substitute(define.body, thin)
    scatter = None if define.scatter is None else substitute(define.scatter, thin)
    return replace(define, body=body, scatter=scatter)  # type: ignore[arg-type]


def _spell(speller: Speller, define: Define, final: bool, wait: bool) -> None:
    scope = speller.scope
    hidden = bound_indices(define.scatter) if define.scatter is not None else ()
    for index in (*define.indices, *bound_indices(define.body), *hidden):
        scope.sizes.alias(index.extent, index.name.upper())
    if not scope.facts.strict:
        define = replace(define, body=together(define.body, scope.facts))
    speller.whole = define.target.kind != "float"
    speller.share(define.body)
    if wait and not _is_scattered(speller, define) and _waits(speller, define):
        return
    name = scope.bind(define.target)
    speller.claim(name)
    digits = split(define.indices, define.body)
    if digits is not None:
        value = _reshaped(speller, define, digits)
        scope.emit(f"{name} = {value.code}")
        scope.arrays[define.target] = replace(scope.arrays[define.target], dtype=value.dtype)
        return
    if ties(define) and scattered(speller, define, name):
        return
    if assembled(speller, define, name):
        return
    if reads_quotients(define) and scattered(speller, define, name):
        return
    (body,) = grouped([define.body], scope.facts)
    speller.share(body)
    value = assign(speller, name, body, define, fresh=final)
    scope.arrays[define.target] = replace(scope.arrays[define.target], dtype=value.dtype)


def _reshaped(speller: Speller, define: Define, digits: Split) -> Array:
    """The value with an axis a digit, reshaped to the target; a new array."""
    speller.claim("")
    value = speller.value(digits.body, Context((), digits.indices))
    value = finished(speller, value, digits.indices, define.target.dtype)
    if value.view:  # before the reshape, which would copy what is transposed too
        value = value.with_code(method(value.code, "copy"))
    shape = speller.scope.extents(define.indices)
    return Array(method(value.code, "reshape", *shape), define.indices, value.dtype)


def _is_scattered(speller: Speller, define: Define) -> bool:
    """Whether the values of a statement are put in their places one by one: where the statement is
    read, each place would be compared with each."""
    if not ties(define):
        return False
    with speller.trial():
        found = scattered(speller, define, speller.scope.bind(define.target))
    speller.share(define.body)
    return found


def _waits(speller: Speller, define: Define) -> bool:
    """Keeps a short value for where it is read."""
    scope = speller.scope
    speller.claim("")
    kept, before = scope.kept(), len(scope.lines)
    value = speller.value(define.body, Context((), define.indices))
    named = value.weak or (value.code.is_name and len(scope.lines) > before)
    if named or len(str(value.code)) > SHORT or not is_a(value.dtype, define.target.dtype):
        scope.restore(kept)
        speller.share(define.body)
        return False

    def settle() -> None:
        full = finished(speller, value, define.indices, define.target.dtype)
        name = scope.bind(define.target)
        scope.arrays[define.target] = replace(scope.arrays[define.target], dtype=full.dtype)
        scope.emit(f"{name} = {full.code}")

    scope.pending[define.target] = Pending(define.indices, value, settle)
    return True


def returned(scope: Scope, tensors: Iterable[Tensor], shared: Iterable[Tensor]) -> list[str]:
    """The texts of returned values; one of ``shared``, or one returned before, is copied."""
    seen = set(shared)
    texts = []
    for tensor in tensors:
        code = scope.read(tensor)
        texts.append(str(method(code, "copy") if tensor in seen else code))
        seen.add(tensor)
    return texts
