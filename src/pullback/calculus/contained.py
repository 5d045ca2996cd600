"""Sums that contain a sum that another gradient needs: the large arrays are summed once.

``Σ_hwc g[c]·dY[h,w,c]·X[h,w,c]`` beside ``Σ_hw dY[h,w,c]·X[h,w,c]`` takes that sum, times g, over
c. A sum's *core* is the sum over those of its indices that only its largest factors have, after
names were spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from ..ir.expr import Access, Tensor
from ..ir.walk import free_indices
from .cost import expression_cost, volume
from .definitions import Definitions, general_form
from .flatten import float_of
from .linear import Linear
from .match import Pattern, find
from .normal import Poly, Term, collect, components_of, expression, free_of
from .present import Known, Names, factored
from .share import cost_together

UNIT = Fraction(1)
MOST = 60  # of more terms in all, no such sums are looked for


def contained_sums(
    forms: Mapping[Tensor, Poly],
    definitions: Definitions,
    names: Names,
    linear: Linear,
    known: Known,
) -> tuple[list[Pattern], dict[Tensor, Poly]]:
    """The sums that several forms contain and that make all of them together cheaper, and the forms
    with them."""
    now = dict(forms)
    if sum(map(len, forms.values())) > MOST:
        return [], now
    spelled = {t: [list(_spellings(x, definitions)) for x in form] for t, form in forms.items()}
    opened = any(len(ways) > 1 for parts in spelled.values() for ways in parts)
    places: dict[Term, list[tuple[Tensor, Term, bool]]] = {}
    for target, parts in spelled.items():
        for part, ways in zip(forms[target], parts, strict=True):
            cores: dict[Term, bool] = {}
            for way in ways:
                for core, larger in (found for x in way for found in _cores(x, opened)):
                    cores.setdefault(core, larger or way != (part,))
            for core, more in cores.items():
                places.setdefault(general_form(core)[0], []).append((target, core, more))
    chosen: list[Pattern] = []
    for found in places.values():
        if len(found) < 2 or not any(larger for _, _, larger in found):
            continue
        pattern = _pattern(found[0][1], linear)
        touched = {t: now[t] for t, _, _ in found}
        changed = {
            t: collect(
                y
                for k, x in enumerate(form)
                for y in _cheapest(x, _ways(pattern, x, forms[t], spelled[t], k, names), known)
            )
            for t, form in touched.items()
        }
        before = cost_together(factored(form, known) for form in touched.values())
        own = expression((pattern.body,))
        after = cost_together([own, *(factored(f, known) for f in changed.values())])
        if after < before:
            chosen.append(pattern)
            now |= changed
    return chosen, now


def _ways(
    pattern: Pattern,
    part: Term,
    given: Poly,
    spelled: Sequence[Sequence[Poly]],
    k: int,
    names: Names,
) -> Iterator[Poly]:
    """Ways to write a term with a sum by its name."""
    if k >= len(given) or given[k] is not part:
        return
    for way in spelled[k]:
        put = [next(find(pattern, x), None) for x in way]
        if any(x is not None for x in put):
            terms = (x if y is None else y for x, y in zip(way, put, strict=True))
            yield collect(map(names.fold, terms))


def _cheapest(part: Term, ways: Iterator[Poly], known: Known) -> Poly:
    return min([(part,), *ways], key=lambda way: expression_cost(factored(way, known)))


def _spellings(part: Term, definitions: Definitions) -> Iterator[Poly]:
    """A term with its names spelled out, and with a factor that is a sum multiplied out, too."""
    if not part.bound:
        return
    out = definitions.expanded(part)
    if out is None:
        return
    yield (out,)
    yield from definitions.distributed(out)


def _cores(part: Term, opened: bool) -> Iterator[tuple[Term, bool]]:
    """The cores of a term's sums, each with whether the sum is more than that; if a factor was
    multiplied out somewhere, sums over one index of two factors, too."""
    for bound, guards, factors in components_of(part)[1]:
        reads = [f for f in factors if isinstance(f[0], Access)]
        if guards or len(reads) < 2 or len(reads) < len(factors):
            continue
        largest = max((free_indices(a) for a, _ in reads), key=volume)
        heavy = [f for f in reads if set(free_indices(f[0])) == set(largest)]
        others = [f for f in reads if f not in heavy]
        held = {i for a, _ in others for i in free_indices(a)}
        inner = tuple(i for i in bound if i not in held and i in largest)
        if len(heavy) > 1 and inner:
            yield Term(UNIT, inner, (), tuple(heavy)), bool(others) or len(inner) < len(bound)
        for index in bound if opened else ():
            pair = [f for f in reads if index in free_indices(f[0])]
            if len(pair) == 2 and pair != heavy:
                yield Term(UNIT, (index,), (), tuple(pair)), len(pair) < len(reads)


def _pattern(core: Term, linear: Linear) -> Pattern:
    axes = free_of(core)
    shape = tuple(i.extent for i in axes)
    target = Tensor(linear.name("sum1"), shape, float_of(expression((core,))))
    for atom, _ in core.factors:
        letters = linear.letters.get(atom.tensor) if isinstance(atom, Access) else None
        indices = [s.index for s in atom.subs] if isinstance(atom, Access) else []
        if letters is not None and set(axes) <= set(indices):
            told = dict(zip(indices, letters, strict=True))
            linear.letters[target] = tuple(told[i] for i in axes)
    return Pattern(target, axes, core)
