"""What a Jacobian is, read from the subscripts and the conditions of its formula.

A term is a product of *components*: sets of axes that none of its factors and conditions links with
the others. Each of them is a matrix of its own, and the term their Kronecker product. A component
is the identity where it is an equality of two indices, ``[n' = n]``; a diagonal where there are
values beside; a selection for any other equality, ``[i' = 2*i + 1]``; a Toeplitz matrix where rows
and columns occur as differences; and a matrix else. Equalities that all terms share are taken out:
by the identity, ``I_N ⊗ …``, or, where values depend on their index, as the diagonal of blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from ..calculus.normal import Poly, Term, expression, term
from ..ir.expr import Cond, Expr, Zero, number
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Subscript, at, indices_of
from ..ir.walk import free_indices, nodes, subscripts
from ..notation.latex import latex, set_above
from ..notation.naming import USUAL, Look
from . import ranks
from .closed import Closed
from .placed import groups, tie
from .ranks import Bound
from .worded import Arrays, Text, condition, indexed, joined, summed, valued

ZERO_TEXT = Text("0", "0")
NAMES = {
    "identity": "identity",
    "diagonal": "diagonal",
    "selection": "selection",
    "toeplitz": "Toeplitz",
    "column": "column",
    "row": "row",
    "matrix": "dense",
    "product": "product of matrices",
}


PLAIN = (
    *("dense", "product of matrices", "row vector", "column vector", "rank 1"),
    "Kronecker product",
)


@dataclass(frozen=True)
class Structure:
    """What a Jacobian is: the names of its structure from the outside to the inside, its text and
    LaTeX, and a bound on its rank."""

    kinds: tuple[str, ...]
    text: Text
    rank: Bound

    @property
    def kind(self) -> str:
        """The names in one line."""
        return ", ".join(self.kinds)


@dataclass(frozen=True)
class Component:
    """A factor of a term in the sense of Kronecker: its rows and columns, and what links them."""

    rows: tuple[Index, ...]
    columns: tuple[Index, ...]
    bound: tuple[Index, ...]
    ties: tuple[tuple[Index, Index], ...]
    guards: tuple[Cond, ...]
    factors: tuple[tuple[Expr, Fraction], ...]

    @cached_property
    def kind(self) -> str:
        """Which of the kinds it is."""
        if not self.columns:
            return "column"
        if not self.rows:
            return "row"
        if len(self.ties) == len(self.rows) == len(self.columns):
            return "diagonal" if self.factors or self.guards or self.bound else "identity"
        if self.bound:
            return "product"
        if self.is_selection:
            return "selection"
        if self.is_toeplitz:
            return "toeplitz"
        return "matrix"

    @property
    def is_selection(self) -> bool:
        """Whether equalities fix each of its columns, or each of its rows, by the others."""
        equal = [c.sub for c in self.guards if isinstance(c, Zero)]
        count = len(self.ties) + len(equal)
        return bool(equal) and count >= min(len(self.rows), len(self.columns))

    @property
    def is_shift(self) -> bool:
        """Whether it is a selection of each column at a fixed distance from its row."""
        equal = [c.sub for c in self.guards if isinstance(c, Zero)]
        return all(
            sub.const.literal is not None and len(sub.terms) == 2 and bool(self._linked(sub, 1))
            for sub in equal
        )

    @property
    def is_toeplitz(self) -> bool:
        """Whether rows and columns occur as differences only: values are the same along diagonals.

        Where a row counts in steps, as that of a strided window, the difference is ``a - s*o``.
        """
        pairs = [self._linked(sub) for sub in self._subscripts()]
        if self.ties or None in pairs:
            return False
        shifts: dict[Index, tuple[Index, int]] = {}
        for column, row, step in (shift for pair in pairs for shift in pair or ()):
            if shifts.setdefault(column, (row, step)) != (row, step):
                return False
        return bool(shifts) and len({row for row, _ in shifts.values()}) == len(shifts)

    def _subscripts(self) -> list[Subscript]:
        trees = (*self.guards, *(atom for atom, _ in self.factors))
        found = [sub for tree in trees for node in nodes(tree) for sub in subscripts(node)]
        own = {*self.rows, *self.columns}
        return [sub for sub in found if own.intersection(indices_of(sub))]

    def _linked(
        self, sub: Subscript, most: int | None = None
    ) -> list[tuple[Index, Index, int]] | None:
        """The difference of a column and a row that a subscript is; [] for an index by itself that
        is in no difference, None for anything else. The row's step is at ``most`` this."""
        rows = [(a, n.literal) for a, n in sub.terms if a in self.rows]
        columns = [(a, n.literal) for a, n in sub.terms if a in self.columns]
        if len(rows) == len(columns) == 1 and len(sub.terms) == 2:
            (row, step), (column, sign) = rows[0], columns[0]
            if sign not in (1, -1) or step is None or step * sign > 0:
                return None
            return [(column, row, abs(step))] if most in (None, abs(step)) else None
        return [] if sub.index is not None and sub.index.name not in self._paired else None

    @cached_property
    def _paired(self) -> set[str]:
        """Indices that occur in a difference: elsewhere they would break the diagonals."""
        found: set[str] = set()
        trees = (*self.guards, *(atom for atom, _ in self.factors))
        for tree in trees:
            for node in nodes(tree):
                for sub in subscripts(node):
                    names = [i for i in indices_of(sub) if i in (*self.rows, *self.columns)]
                    if len(names) > 1:
                        found |= {i.name for i in names}
        return found

    @property
    def rank(self) -> Bound:
        """A bound on the rank."""
        rows = ranks.of_size(_elements(self.rows))
        columns = ranks.of_size(_elements(self.columns))
        found = [rows, columns]
        if self.kind == "product":
            found += [ranks.of_size(cut) for cut in self._cuts()]
        return ranks.least(found)

    def _cuts(self) -> list[Size]:
        """Extents through which all that links rows and columns goes: all that is summed over, or
        one index of a chain."""
        whole = _elements([*self.bound, *(row for row, _ in self.ties)])
        return [whole, *(i.extent for i in self.bound if self._separates(i))]

    def _separates(self, index: Index) -> bool:
        """Whether without one index rows and columns are not linked any more."""
        trees = (*self.guards, *(atom for atom, _ in self.factors))
        links = [set(free_indices(tree)) - {index} for tree in trees]
        links += [set(pair) for pair in self.ties]
        reached = set(self.rows) - {index}
        while True:
            more = set().union(*(link for link in links if link & reached)) - reached
            if not more:
                return reached.isdisjoint(self.columns)
            reached |= more


def _elements(indices: Iterable[Index]) -> Size:
    total = size(1)
    for index in indices:
        total = total * index.extent
    return total


def read(closed: Closed, look: Look = USUAL) -> Structure:
    """What a Jacobian is.

    >>> from ..derivation import Derivation
    >>> from ..notation.parse import parse
    >>> from ..calculus.reverse import reverse
    >>> affine = reverse(parse("Y[n,m] = sum(d) X[n,d]*W[d,m]"))
    >>> from .closed import closed_form
    >>> found = read(closed_form(affine, affine.cotangents[0], affine.gradients[0], ("n", "m")))
    >>> print(found.kind, "|", found.text.plain, "|", found.rank)
    Kronecker product | I_N ⊗ Wᵀ | N·min(M, D)
    """
    return _Reader(closed, look).read()


class _Reader:
    def __init__(self, closed: Closed, look: Look) -> None:
        self.closed, self.look = closed, look
        self.parts = [self._apart(part) for part in closed.terms]
        self.shared = [
            pair
            for pair in (self.parts[0][1] if self.parts else ())
            if all(pair in pairs for _, pairs in self.parts)
        ]
        used = {i for part, _ in self.parts for i in _free(part)}
        self.batch = [row for row, _ in self.shared if row in used]
        tied = {i for pair in self.shared for i in pair}
        self.rows = [i for i in closed.rows if i not in tied]
        self.columns = [i for i in closed.columns if i not in tied]

    def _apart(self, part: Term) -> tuple[Term, list[tuple[Index, Index]]]:
        """A term without the equalities that tie rows and columns one to one, and these."""
        pairs = self._pairs(part)
        kept = [c for c in part.guards if tie(c) not in pairs and _turned(tie(c)) not in pairs]
        return Term(part.coef, part.bound, tuple(kept), part.factors), pairs

    def _pairs(self, part: Term) -> list[tuple[Index, Index]]:
        """The rows and columns that a term's equalities tie, one to one."""
        rows, columns = self.closed.rows, self.closed.columns
        axes = (*rows, *columns)
        split = len(rows)
        if len(rows) == len(columns) and all(i.extent.literal == 1 for i in axes):
            return list(zip(rows, columns, strict=True))  # one element by one: they are the same
        found = []
        for group in groups(self.closed, part):
            own = [axes[k] for k in group.axes]
            if (
                len(own) == 2
                and group.axes[0] < split <= group.axes[1]
                and own[0].extent is own[1].extent
            ):
                found.append((own[0], own[1]))
        return found

    def read(self) -> Structure:
        if not self.parts:
            return Structure(("zero",), ZERO_TEXT, ranks.of_size(size(0)))
        if not self.rows and not self.columns:
            return self.diagonal()
        return self.blocks()

    # On the diagonal

    def diagonal(self) -> Structure:
        """All axes are tied in all terms."""
        self.batch = []
        rows = [row for row, _ in self.shared]
        order = [self.closed.columns.index(column) for _, column in self.shared]
        body = tuple(part for part, _ in self.parts)
        rank = ranks.of_size(_elements(rows))
        free = any(_free(part) for part in body)
        moved = order != sorted(order)
        if not rows:
            return Structure(("scalar",), self.value(body, rows), ranks.ONE)
        base = permutation(order) if moved else identity(rows, self.look)
        value = self.value(body, rows)
        if free:
            whole = Text(
                f"diag({value.plain})", rf"\operatorname{{diag}}\left({value.latex}\right)"
            )
            kinds = ("diagonal", "permutation") if moved else ("diagonal",)
            return Structure(kinds, joined([whole, base]) if moved else whole, rank)
        kind = "permutation" if moved else "identity"
        if value.plain == "1":
            return Structure((kind,), base, rank)
        return Structure((f"scaled {kind}",), joined([value, base]), rank)

    def value(self, body: Poly, axes: Sequence[Index]) -> Text:
        """The values on the diagonal, by whole arrays where they are that."""
        if len(body) == 1 and body[0].guards and not body[0].bound:
            return self.masked(body[0], axes)
        found = Arrays(self.batch, self.look).of(expression(body), axes)
        return indexed(expression(body), self.look) if found is None else found

    def masked(self, part: Term, axes: Sequence[Index]) -> Text:
        """A product with masks: ``exp(X)·1(X > 0)``."""
        arrays = Arrays(self.batch, self.look)
        spelled = [condition(c, lambda what: arrays.of(what, axes)) for c in part.guards]
        masks = [text for text in spelled if text is not None]
        rest = term(part.coef, (), (), part.factors, False)
        assert rest is not None  # a term of a sum is not 0
        value = arrays.of(expression((rest,)), axes)
        if len(masks) < len(spelled) or value is None:
            return indexed(expression((part,)), self.look)
        if value.plain in ("1", "-1"):
            mask = joined(masks)
            return mask if value.plain == "1" else Text(f"−{mask.plain}", f"-{mask.latex}")
        return joined([value, *masks])

    # Blocks

    def blocks(self) -> Structure:
        made = [self.term(part, pairs) for part, pairs in self.parts]
        text = summed([(less, text) for less, text, _, _ in made])
        inner = ranks.total([rank for _, _, _, rank in made])
        shape = (_elements(self.rows), _elements(self.columns))
        inner = ranks.least([*map(ranks.of_size, shape), inner])
        kinds = self.inner_kinds([kinds for _, _, kinds, _ in made])
        outer = [pair for pair in self.shared if pair[0] not in self.batch]
        if self.batch:
            names = ",".join(i.name for i in self.batch)
            drawn = ", ".join(latex(at(i), self.look) for i in self.batch)
            text = Text(
                f"blockdiag_{names}({text.plain})",
                rf"\operatorname*{{blockdiag}}_{{{drawn}}}\left({text.latex}\right)",
            )
            kinds = ("block diagonal", *kinds) if kinds != ("dense",) else ("block diagonal",)
        if outer:
            text = self.with_identities(text, outer)
            plain = len(kinds) == 1 and (kinds[0] in PLAIN)
            kinds = ("Kronecker product",) if plain else ("Kronecker product", *kinds)
            if kinds[1:] in (("selection",), ("Toeplitz",), ("banded", "Toeplitz")):
                kinds = kinds[1:]
        rank = ranks.product([ranks.of_size(_elements(r for r, _ in self.shared)), inner])
        return Structure(kinds, text, rank)

    def with_identities(self, text: Text, outer: Sequence[tuple[Index, Index]]) -> Text:
        """``I_N ⊗ … ⊗ I_M``: identities before the block, and those behind it."""
        inside = [pair for pair in self.shared if pair[0] in self.batch]
        rows = [i for i in self.closed.rows if i in self.rows or i in self.batch]
        own = {*self.columns, *(column for _, column in inside)}
        columns = [i for i in self.closed.columns if i in own]
        first = self._first(rows, self.closed.rows) if rows else -1
        place = self._first(columns, self.closed.columns)
        before = [
            (row, column)
            for row, column in outer
            if (self.closed.rows.index(row) < first if rows else False)
            or (not rows and self.closed.columns.index(column) < place)
        ]
        after = [pair for pair in outer if pair not in before]
        parts = [identity([row for row, _ in before], self.look)] if before else []
        parts.append(text)
        parts += [identity([row for row, _ in after], self.look)] if after else []
        made = joined(parts, " ⊗ ", r" \otimes ")
        down = [*(r for r, _ in before), *rows, *(r for r, _ in after)]
        across = [*(c for _, c in before), *columns, *(c for _, c in after)]
        return ordered(made, down, self.closed.rows, across, self.closed.columns)

    def _first(self, own: Sequence[Index], axes: Sequence[Index]) -> int:
        return min((axes.index(i) for i in own), default=len(axes))

    def inner_kinds(self, kinds: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """What the sum of the terms is."""
        if len(kinds) == 1:
            return self.single(kinds[0])
        flat = [kind for own in kinds for kind in own]
        on = [own for own in kinds if set(own) <= {"identity", "diagonal"}]
        low = [own for own in kinds if set(own) == {"column", "row"}]
        if on and len(on) + len(low) == len(kinds):
            return (
                f"diagonal plus rank {len(low)}" if _are_ones(low) else "diagonal plus low rank",
            )
        if set(flat) <= {"identity", "shift"}:
            return "banded", "Toeplitz"
        if set(flat) <= {"identity", "shift", "diagonal", "weighted shift"}:
            return ("banded",)
        if len(low) == len(kinds):
            return ("low rank",)
        if set(flat) <= {"identity", "toeplitz", "shift"}:
            return ("Toeplitz",)
        if set(flat) <= {"matrix", "product", "column", "row"}:
            return ("dense",)
        return ("sum",)

    def single(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """What one term is."""
        distinct = set(kinds) - {"identity"}
        if len(distinct) == 1 and distinct < {"row", "column"}:
            return (f"{kinds[0]} vector",) if "identity" not in kinds else ("Kronecker product",)
        if distinct == {"row", "column"}:
            return ("rank 1",) if "identity" not in kinds else ("Kronecker product",)
        if distinct <= {"selection", "shift"}:
            return ("selection",)
        if distinct <= {"selection", "shift", "weighted selection", "weighted shift"}:
            return ("weighted selection",)
        if distinct == {"toeplitz"}:
            return ("Toeplitz",)
        if len(kinds) == 1:
            return (NAMES[kinds[0]],)
        return ("Kronecker product",)

    def term(
        self, part: Term, pairs: Sequence[tuple[Index, Index]]
    ) -> tuple[bool, Text, tuple[str, ...], Bound]:
        """Whether a term is subtracted, its text, the kinds of its components, and its rank."""
        found = components(self, part, [pair for pair in pairs if pair not in self.shared])
        lone = {i for c in found for i in (*c.rows, *c.columns, *c.bound)}
        scalars = [(a, e) for a, e in part.factors if lone.isdisjoint(free_indices(a))]
        held = [c for c in part.guards if lone.isdisjoint(free_indices(c))]
        rest = [i for i in part.bound if i not in lone]  # sums over what nothing else depends on
        value = term(abs(part.coef), rest, held, scalars, False)
        assert value is not None  # a term of a sum is not 0
        texts = [self.component(c) for c in found]
        placed = _in_order(list(zip(found, texts, strict=True)), self.closed.columns)
        text = joined(_outer(placed), " ⊗ ", r" \otimes ")
        down = [i for c, _ in placed for i in c.rows]
        across = [i for c, _ in placed for i in c.columns]
        text = ordered(text, down, self.rows, across, self.columns)
        scale = expression((value,))
        if scale is not number(1):
            head = Arrays(self.batch, self.look).of(scale, ()) or indexed(scale, self.look)
            text = joined([head, text])
        kinds = tuple(map(_kind, found))
        return part.coef < 0, text, kinds, ranks.product([c.rank for c in found])

    def component(self, found: Component) -> Text:
        """A component's text."""
        match found.kind:
            case "identity":
                return identity(found.rows, self.look)
            case "diagonal":
                value = self.elementwise(found, found.rows)
                return Text(
                    f"diag({value.plain})", rf"\operatorname{{diag}}\left({value.latex}\right)"
                )
            case "column":
                return self.elementwise(found, found.rows)
            case "row":
                value = self.elementwise(found, found.columns)
                return _transposed(value)
            case "selection":
                return self.selection(found)
            case "toeplitz":
                value = indexed(_body(found, False), self.look)
                return Text(
                    f"Toeplitz({value.plain})",
                    rf"\operatorname{{Toeplitz}}\left({value.latex}\right)",
                )
            case _:
                return self.matrix(found)

    def elementwise(self, found: Component, axes: Sequence[Index]) -> Text:
        """Values over some axes; ones where there are none."""
        if not found.factors and not found.guards and not found.bound:
            extent = _elements(axes)
            return Text(f"1_{_short(str(extent))}", rf"\mathbf{{1}}_{{{latex(extent, self.look)}}}")
        made = term(Fraction(1), found.bound, found.guards, found.factors, False)
        assert made is not None  # a term of a sum is not 0
        return self.value((made,), axes)

    def selection(self, found: Component) -> Text:
        """The equalities of a selection, and the values beside them."""
        equal = [c for c in found.guards if isinstance(c, Zero)]
        equal += [Zero(at(column) - at(row)) for row, column in found.ties]
        spelled = [indexed(c, self.look) for c in equal]
        plain = ", ".join(text.plain for text in spelled)
        drawn = ", ".join(text.latex for text in spelled)
        whole = Text(f"S[{plain}]", rf"S\left[{drawn}\right]")
        value = valued(found.factors)
        return whole if value is None else joined([indexed(value, self.look), whole])

    def matrix(self, found: Component) -> Text:
        """A matrix by its name, a chain of products, or its elements."""
        if len(found.rows) == len(found.columns) == 1:
            chain = self.chain(found)
            if chain is not None:
                return chain
        if not found.bound and not found.guards and not found.ties:
            axes = (*found.rows, *found.columns)
            whole = Arrays(self.batch, self.look).of(_body(found, True), axes)
            if whole is not None:
                return whole
        body = indexed(_body(found, True), self.look)
        return Text(f"[{body.plain}]", rf"\left[{body.latex}\right]")

    def chain(self, found: Component) -> Text | None:
        """``Vᵀ diag(1(S > 0)) Wᵀ``: matrices that meet in an index that is summed over, with
        what else depends on that index between them."""
        trees: list[tuple[Expr | Cond, Fraction]] = [*found.factors]
        trees += [(cond, Fraction(1)) for cond in found.guards]
        if found.ties or len(trees) > 12:
            return None
        inner = (*found.rows, *found.bound, *found.columns)
        links = [(t, e, [i for i in free_indices(t) if i in inner]) for t, e in trees]
        if any(not 1 <= len(own) <= 2 for _, _, own in links):
            return None
        here, left = found.rows[0], list(links)
        parts: list[Text | None] = []
        while True:
            own = [link for link in left if link[2] == [here]]
            if own:
                parts.append(self.between(own, here, not parts))
            left = [link for link in left if link not in own]
            ways = [link for link in left if here in link[2]]
            if not ways:
                break
            if len(ways) > 1 or ways[0][1] != 1:
                return None
            tree, _, ends = ways[0]
            following = ends[0] if ends[1] is here else ends[1]
            text = Arrays(self.batch, self.look).of(tree, (here, following))
            if text is None:
                return None
            parts.append(text)
            left.remove(ways[0])
            here = following
        if left or here is not found.columns[0] or None in parts:
            return None
        return joined([p for p in parts if p is not None], " ")

    def between(
        self, own: Sequence[tuple[Expr | Cond, Fraction, list[Index]]], here: Index, first: bool
    ) -> Text | None:
        """What depends on one index of a chain only, as a diagonal matrix."""
        spell = Arrays(self.batch, self.look)
        values: list[Text] = []
        for tree, exponent, _ in own:
            if isinstance(tree, Cond):
                text = condition(tree, lambda what: spell.of(what, (here,)))
            else:
                value = valued([(tree, exponent)])
                assert value is not None  # there is a factor
                text = spell.of(value, (here,))
            if text is None:
                return None
            values.append(text)
        whole = joined(values)
        return Text(f"diag({whole.plain})", rf"\operatorname{{diag}}\left({whole.latex}\right)")


def _turned(pair: tuple[Index, Index] | None) -> tuple[Index, Index] | None:
    return None if pair is None else (pair[1], pair[0])


def components(reader: _Reader, part: Term, ties: Sequence[tuple[Index, Index]]) -> list[Component]:
    """The components of a term, in the order of their axes."""
    order = [*reader.rows, *reader.columns, *part.bound]
    leader = {index: index for index in order}
    trees = (*part.guards, *(atom for atom, _ in part.factors))
    links = [[i for i in free_indices(tree) if i in leader] for tree in trees]
    for own in (*links, *map(list, ties)):
        for one, other in pairwise(own):
            first, second = sorted((leader[one], leader[other]), key=order.index)
            leader = {i: first if of is second else of for i, of in leader.items()}
    found = []
    for head in dict.fromkeys(leader.values()):
        own_indices = {i for i, of in leader.items() if of is head}
        guards = tuple(c for c in part.guards if own_indices.intersection(free_indices(c)))
        factors = tuple(f for f in part.factors if own_indices.intersection(free_indices(f[0])))
        found.append(
            Component(
                tuple(i for i in reader.rows if i in own_indices),
                tuple(i for i in reader.columns if i in own_indices),
                tuple(i for i in part.bound if i in own_indices),
                tuple(pair for pair in ties if own_indices.intersection(pair)),
                guards,
                factors,
            )
        )
    return [c for c in found if c.rows or c.columns]


def _kind(found: Component) -> str:
    """The kind, selections told by whether they are shifts and have values."""
    if found.kind != "selection":
        return found.kind
    name = "shift" if found.is_shift else "selection"
    return f"weighted {name}" if found.factors else name


Placed = list[tuple[Component, Text]]


def _in_order(found: Placed, columns: Sequence[Index]) -> Placed:
    """Components by their rows; those with columns only where these come among the others'."""
    out = [item for item in found if item[0].rows]
    for item in (item for item in found if not item[0].rows):
        own = columns.index(item[0].columns[0])
        behind = [
            k
            for k, (other, _) in enumerate(out)
            if other.columns and columns.index(other.columns[0]) > own
        ]
        out.insert(behind[0] if behind else len(out), item)
    return out


def _outer(found: Placed) -> list[Text]:
    """Components to be joined by ⊗: a column beside a row is their outer product ``u vᵀ``."""
    out: list[Text] = []
    left = list(found)
    while left:
        part, text = left.pop(0)
        if left and {part.kind, left[0][0].kind} == {"column", "row"}:
            other = left.pop(0)[1]
            pair = [text, other] if part.kind == "column" else [other, text]
            text = joined(pair, " ", r" \, ")
        out.append(text)
    return out


def permutation(order: Sequence[int]) -> Text:
    """The matrix that takes X to ``X.transpose(order)``, both row by row."""
    places = ", ".join(map(str, order))
    return Text(f"P({places})", rf"P_{{({places})}}")


def ordered(
    text: Text,
    down: Sequence[Index],
    rows: Sequence[Index],
    across: Sequence[Index],
    columns: Sequence[Index],
) -> Text:
    """A Kronecker product whose factors have their rows and columns in another order than the
    whole, between the permutations of these."""
    parts = [text]
    places = [down.index(row) for row in rows]
    if places != sorted(places):
        parts.insert(0, permutation(places))
    order = [columns.index(column) for column in across]
    if order != sorted(order):
        parts.append(permutation(order))
    if len(parts) == 1:
        return text
    return joined([Text(p.plain, p.latex, p is text and " ⊗ " in p.plain) for p in parts])


def _body(found: Component, guarded: bool) -> Expr:
    """The elements of a component, with its conditions or without."""
    guards = [*found.guards] if guarded else []
    if guarded:
        guards += [Zero(at(c) - at(r)) for r, c in found.ties if found.kind != "diagonal"]
    made = term(Fraction(1), found.bound, guards, found.factors, False)
    return number(1) if made is None else expression((made,))


def _transposed(text: Text) -> Text:
    simple = text.plain.replace("_", "").isalnum() or (
        text.plain.endswith("]") and text.plain.count("[") == 1 and " " not in text.plain
    )
    inner = text if simple else Text(f"({text.plain})", rf"\left({text.latex}\right)")
    return Text(f"{inner.plain}ᵀ", set_above(inner.latex, r"\top"))


def identity(rows: Sequence[Index], look: Look) -> Text:
    """The identity over some axes."""
    extent = _elements(rows)
    return Text(f"I_{_short(str(extent))}", rf"I_{{{latex(extent, look)}}}")


def _short(text: str) -> str:
    """A size as a subscript: ``N``, ``(B·N)``, ``(N - 1)``."""
    text = text.replace("*", "·")
    return text if text.replace("_", "").isalnum() else f"({text})"


def _free(part: Term) -> set[Index]:
    found = {i for atom, _ in part.factors for i in free_indices(atom)}
    found |= {i for cond in part.guards for i in free_indices(cond)}
    return found.difference(part.bound)


def _are_ones(low: Sequence[tuple[str, ...]]) -> bool:
    """Whether each term is one outer product."""
    return all(sorted(own) == ["column", "row"] for own in low)
