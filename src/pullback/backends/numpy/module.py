"""Functions and modules of NumPy source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import Parameter

from ...calculus.step import Backward
from ...ir.expr import Tensor
from ...ir.program import Define
from ...plan.build import procedure
from ...plan.facts import Facts
from ...plan.statements import live_statements
from .. import functional
from ..python.preface import NOTHING, Preface
from .framework import NumPy


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
    facts = Facts(strict=not any(s.of for s in statements))
    facts.learn(statements)
    kept = live_statements(statements, returns)
    made = procedure(name, inputs, kept, returns, facts)
    return functional.spell_function(made, NumPy, comments=comments)


def spell_pair(backward: Backward, *, comments: bool = True, preface: Preface = NOTHING) -> str:
    """Module source: ``forward(*inputs) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

    With several outputs ``Y`` and ``dY`` are tuples. The gradients come in the order of
    ``backward.gradients``, a single one bare. ``cache`` is the tuple of what ``backward`` reads.
    ``preface`` is what ``forward`` says and asserts first.
    """
    return functional.spell(backward, NumPy, preface, comments=comments)


def size_keywords(
    backward: Backward, parameters: Iterable[Parameter], preface: Preface = NOTHING
) -> dict[str, str]:
    """The keyword arguments of the ``forward`` that :func:`spell_pair` writes, each with the name
    of its size: a name that is no identifier of Python, or is taken, gets another one there.
    ``parameters`` are those of this ``forward``."""
    words = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    if not words:
        return {}
    front, back, saved = functional.written_pair(backward, NumPy, comments=False)
    functional.pair_source(backward, front, back, saved, preface)
    names = {name: key for key, name in front.framework.sizes.names.items()}
    return {word: names[word] for word in words}
