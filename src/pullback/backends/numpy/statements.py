"""One statement as one piece of source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...ir.expr import Tensor
from ...ir.program import Define
from .assembly import assembled
from .assign import assign
from .code import method
from .expressions import Speller
from .scatter import scattered
from .scope import Scope


def statement(speller: Speller, define: Define, *, final: bool) -> None:
    """Emits the source of a statement; a ``final`` value shares memory with nothing else."""
    scope = speller.scope
    name = scope.bind(define.target)
    speller.claim(name)
    if scattered(speller, define, name) or assembled(speller, define, name):
        return
    value = assign(speller, name, define.body, define, fresh=final)
    scope.arrays[define.target] = replace(scope.arrays[define.target], dtype=value.dtype)
    speller.remember(define)


def returned(scope: Scope, tensors: Iterable[Tensor], shared: Iterable[Tensor]) -> list[str]:
    """The texts of returned values; one of ``shared``, or one returned before, is copied."""
    seen = set(shared)
    texts = []
    for tensor in tensors:
        code = scope.read(tensor)
        texts.append(str(method(code, "copy") if tensor in seen else code))
        seen.add(tensor)
    return texts
