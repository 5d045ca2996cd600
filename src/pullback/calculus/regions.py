"""Equal regions once: a result is kept with all that was asked on the way to it, and where the same
answers would be given under other names it is renamed instead of computed.

What is done inside a region is a function of a sum of terms and of the answers to a few *questions*
about the tensors met: what a tensor is a product of, which names begin with it, whether it is
finite. All state is reached by :meth:`Regions.ask`, which writes the questions down. A later sum
is the same region if a one-to-one renaming of tensors takes the terms and every answer to the
kept ones. So no distance has to be guessed within which definitions may matter.

Where forms cost the same, texts decide, and the texts hold names. So the names must also stand in
the same order as before; then a renamed result is the computed one to the letter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..ir.expr import Tensor
from ..ir.intern import Node, spelled, unspelled
from ..ir.subscripts import Index
from ..ir.walk import accesses, bound_indices, free_indices
from ..ir.walk import renamed as renamed_tree
from ..text import PRIVATE
from .effort import Effort
from .match import Pattern
from .normal import Poly, Term, indices_in

About = Tensor | tuple[Tensor, ...]
Answer = Any  # nested tuples of nodes, patterns and plain values
Question = Callable[[Any], Answer]

# In a node's key: the name of a tensor, or the owner of an axis (``X`` of the index ``X.0``),
# both as they are spelled there.
_NAME = re.compile(rf"((?<=Tensor\()(?:\\.|[^,\\])+|(?:\\.|[^(),:\\ ])+(?=\.{PRIVATE}))")
_LETTER = re.compile(rf"(?<=[(,])((?:\\.|[^(),:.\\{PRIVATE}])+)(?=:)")
NUMBERED = 10  # index names ``i1`` to ``i9`` are looked at where there is an ``i``

Shape = tuple[str, ...]  # a text without its names


@dataclass(frozen=True)
class _Answered:
    """A question, what it was about, and the answer as a text with its names taken out."""

    question: str
    about: About
    shape: Shape
    names: Sequence[str]


@dataclass(frozen=True)
class _Region:
    """A result, and all that it depends on."""

    names: Sequence[str]
    asked: Sequence[_Answered]
    ranked: Sequence[tuple[str, str]]  # names and letters with what follows them, in order
    result: Poly | None


class Regions:
    """The results of one derivation, by what they depend on, and those of one ``before``."""

    def __init__(self, effort: Effort | None = None, before: Regions | None = None) -> None:
        self.effort = effort or Effort()
        self.questions: dict[str, Question] = {}
        self.computed: Counter[str] = Counter()
        self.reused: Counter[str] = Counter()
        self._asked: dict[tuple[str, About], Answer] | None = None
        self._regions: dict[tuple[str, Shape], list[_Region]] = before._regions if before else {}
        self._texts: dict[tuple[str, About], tuple[Answer, Shape, Sequence[str]]] = {}

    def ask(self, question: str, about: About) -> Answer:
        """The answer to a question, noted where a result is being computed."""
        if self._asked is None:
            return self.questions[question](about)
        key = question, about
        if key not in self._asked:
            self._asked[key] = self.questions[question](about)
        return self._asked[key]

    def result(self, task: str, compute: Callable[[Poly], Poly | None], value: Poly) -> Poly | None:
        """``compute(value)``, renamed from an equal region where there is one."""
        text = _text(value)
        if self._asked is not None or "Opaque(" in text:
            return compute(value)
        shape, names = _without_names(text)
        kept = self._regions.setdefault((task, shape), [])
        for region in reversed(kept):
            found = self._renaming(region, names)
            if found is not None:
                self.reused[task] += 1
                return None if region.result is None else _renamed(region.result, found)
        self.computed[task] += 1
        self._asked = {}
        try:
            result = compute(value)
            asked = self._asked
        finally:
            self._asked = None
        kept.append(self._region(shape, names, asked, result))
        return result

    def _region(
        self,
        shape: Shape,
        names: Sequence[str],
        asked: Mapping[tuple[str, About], Answer],
        result: Poly | None,
    ) -> _Region:
        answered = [
            _Answered(question, about, *self._answer(question, about)) for question, about in asked
        ]
        every = dict.fromkeys(
            name for part in (names, *(a.names for a in answered)) for name in part
        )
        letters = dict.fromkeys(
            letter
            for part in (shape, *(a.shape for a in answered))
            for letter in _LETTER.findall("%".join(part))
        )
        return _Region(names, answered, _ranked(every, letters), result)

    def _answer(self, question: str, about: About) -> tuple[Shape, Sequence[str]]:
        """The answer as it is now, without its names, and the names."""
        answer = self.questions[question](about)
        known = self._texts.get((question, about))
        if known is None or known[0] is not answer:
            known = self._texts[question, about] = (answer, *_without_names(_text(answer)))
        return known[1:]

    def _renaming(self, region: _Region, names: Sequence[str]) -> dict[str, str] | None:
        """The names in place of a region's that make it the region of these names."""
        new: dict[str, str] = {}
        old: dict[str, str] = {}
        if not _matched(region.names, names, new, old):
            return None
        for known in region.asked:
            shape, now = self._answer(known.question, _moved(known.about, new))
            if shape != known.shape or not _matched(known.names, now, new, old):
                return None
        order = [new.get(name, name) + end for name, end in region.ranked]
        return new if all(a < b for a, b in pairwise(order)) else None


def _matched(
    ours: Sequence[str], theirs: Sequence[str], new: dict[str, str], old: dict[str, str]
) -> bool:
    """Whether names correspond one to one; what is learned of that is added."""
    return len(ours) == len(theirs) and all(
        new.setdefault(a, b) == b and old.setdefault(b, a) == a
        for a, b in zip(ours, theirs, strict=True)
    )


def _moved(about: About, names: Mapping[str, str]) -> About:
    if isinstance(about, Tensor):
        name = unspelled(names[spelled(about.name)])
        return Tensor(name, about.shape, about.dtype)
    return tuple(_moved(t, names) for t in about)  # type: ignore[misc]


def _text(answer: Answer) -> str:
    """A text that is equal exactly for equal answers."""
    match answer:
        case Node():
            return answer.key
        case Pattern(target, axes, body, user):
            return f"Pattern({_text((target, axes, body))},{user})"
        case tuple():
            return "(" + ",".join(map(_text, answer)) + ")"
        case _:
            return str(answer)


def _without_names(text: str) -> tuple[Shape, Sequence[str]]:
    parts = _NAME.split(text)
    return tuple(parts[::2]), tuple(parts[1::2])


def _ranked(names: Iterable[str], letters: Iterable[str]) -> list[tuple[str, str]]:
    """Names and letters with what may follow them in a text that decides, in order.

    A letter may get a number inside (:func:`pullback.ir.walk.fresh`). Letters are not renamed:
    they are told from names by an end of their own.
    """
    stems = [letter.rstrip("0123456789'") for letter in letters]
    ends = [f"{stem}{n or ''}:" for stem in dict.fromkeys(stems) for n in range(NUMBERED)]
    found = [*((name, end) for name in names for end in ",."), *(("", text) for text in ends)]
    return sorted(found, key=lambda part: part[0] + part[1])


def _renamed(value: Poly, names: Mapping[str, str]) -> Poly:
    """Terms as they are, in the same order, under other names."""
    return tuple(_renamed_term(term, names) for term in value)


def _renamed_term(value: Term, names: Mapping[str, str]) -> Term:
    trees = (*value.guards, *(atom for atom, _ in value.factors))
    indices = dict.fromkeys(
        i for tree in trees for i in (*free_indices(tree), *bound_indices(tree))
    )
    moved = {index: _index(index, names) for index in (*indices_in(value), *indices)}
    tensors = {a.tensor: _moved(a.tensor, names) for tree in trees for a in accesses(tree)}

    def change(tree: Any) -> Any:
        return renamed_tree(tree, moved, tensors)  # type: ignore[arg-type]

    return Term(
        value.coef,
        tuple(moved[i] for i in value.bound),
        tuple(map(change, value.guards)),
        tuple((change(atom), exponent) for atom, exponent in value.factors),
    )


def _index(index: Index, names: Mapping[str, str]) -> Index:
    owner, dot, rest = index.name.partition(f".{PRIVATE}")
    if not dot:
        return index
    return Index(f"{unspelled(names[spelled(owner)])}{dot}{rest}", index.extent)
