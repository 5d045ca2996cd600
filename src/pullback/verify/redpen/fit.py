"""Which single mistake gives the numbers that were found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ...calculus.eliminate import eliminate
from ...calculus.normal import collect, expression, poly
from ...derivation.written import apart
from ...errors import PullbackError
from ...ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Arg,
    Expr,
    Mul,
    Opaque,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    add,
    mul,
    neg,
    number,
)
from ...ir.program import Define, Program, computing
from ...ir.recurrence import in_order
from ...ir.sizes import Size, size
from ...ir.walk import bottom_up, bound_indices, map_tensors, nodes, substitute, tensors
from .changes import Change, changes, reshaped, scaled
from .grid import Grid, TooLarge, reads
from .trials import Place, Trial, Trials, drawn, near

Array = np.ndarray[Any, Any]

EXACT = 1e-9  # how well a formula has to fit, in parts of the greatest element
WORK = 500_000_000  # elements that may be computed for one gradient
SHARES = (0.25, 0.4, 0.5, 0.7, 0.85, 0.92, 0.96, 1.0)  # of the work, up to the end of each form
UNNAMED = 6  # what it costs a mistake to take up a value that has no name in the user's program
NUMBERS = 8  # that a formula has to fit at least
SMALLEST = 3  # sizes up to here are tried for the smallest case


@dataclass(frozen=True)
class Fit:
    """A formula that gives what was found, beside the right one.

    ``kind`` is the kind of the mistake, ``before`` and ``after`` the part that should stand there
    and the part that does; ``coefficient`` is how many times too large it is, a number or a size.
    ``statements`` is the whole backward pass as it is right, ``wrong`` as it was found.
    """

    kind: str
    gradient: Tensor
    right: Define
    found: Define
    before: Expr
    after: Expr
    coefficient: Expr
    outer: Expr
    statements: tuple[Define, ...]
    wrong: tuple[Define, ...]
    smallest: Mapping[str, int]
    number: Fraction = Fraction(1)
    other: str = ""
    spread: bool = False


Ratio = tuple[Fraction, Size, Size] | float


class Fitter:
    """The candidates for one gradient, and the runs that they have to fit."""

    def __init__(self, trials: Trials, place: Place, work: int) -> None:
        self.all, self.place, self.left = trials, place, work
        self.gradient = trials.gradients[place]
        self.spread = False
        self.floor = 0.0
        self._take([t for t in trials.trials if place in t.found])

    def _take(self, trials: list[Trial]) -> None:
        """The runs that a formula has to fit."""
        self.trials, place = trials, self.place
        self.found = [np.asarray(t.found[place], np.float64) for t in self.trials]
        self.rights = [t.grid.arrays[self.gradient] for t in self.trials]
        self.single = all(r.size == 1 for r in self.rights)

    def fit(self) -> Fit | None:
        """The only simplest mistake that fits all runs; None where there is no such one."""
        if sum(r.size for r in self.rights) < NUMBERS or len(self.trials) < 2:
            return None
        pairs = list(zip(self.found, self.rights, strict=True))
        if any(f.size and not np.isfinite(f).all() for f in self.found):
            return None
        if all(near(f, r, EXACT) for f, r in pairs):
            return None
        swapped = self._swapped()
        if swapped is not None:
            return swapped
        if any(f.shape != r.shape for f, r in pairs):
            found = self._reshaped()
            if found is not None:
                return found
            if all(_spreads(f, r) for f, r in pairs):
                self.found = [np.broadcast_to(f, r.shape) for f, r in pairs]
                self.spread = True
                return self._searched_all()
            # a backward pass that runs at other sizes, but is written for one
            fitting = [t for t in [*self.trials, *self.all.given()] if self._has_shape(t)]
            self._take(fitting)
            if len(fitting) < 2 or sum(r.size for r in self.rights) < NUMBERS:
                return None
        return self._searched_all()

    def _has_shape(self, trial: Trial) -> bool:
        found = trial.found.get(self.place)
        return found is not None and found.shape == trial.grid.arrays[self.gradient].shape

    def _searched_all(self) -> Fit | None:
        """A single change of the compact form, of that form spelled out, or of the chain rule;
        only then of a forward value, as the backward pass computes it again."""
        backward = self.all.backward
        forward, compact = backward.forward.statements, backward.statements
        named = backward.program.outputs
        budget = self.left
        forms = [
            spelled(forward, compact, named),
            (forward, compact),
            spelled(forward, compact, named, functions=True),
            (forward, self._chain()),
        ]
        every = [(form, part) for part in (False, True) for form in forms]
        for share, ((values, gradients), part) in zip(SHARES, every, strict=True):
            self.floor = budget * (1 - share)
            found = self._searched(values, gradients, part)
            if found is not None:
                return found
        return None

    def _chain(self) -> tuple[Define, ...]:
        """The chain rule as it is before anything is drawn together: one gradient a value."""
        try:
            own = [
                replace(s, body=expression(collect(map(eliminate, poly(s.body)))))
                for s in self.all.backward.adjoints
            ]
            own = computing(in_order([*self.all.backward.values, *own]), [self.gradient])
        except (PullbackError, AssertionError):
            return ()
        return tuple(own)

    # A search through single changes.

    def _searched(
        self, forward: Sequence[Define], backward: Sequence[Define], values: bool
    ) -> Fit | None:
        """A single change of the gradients' statements, or of those of the ``values``."""
        if not backward:
            return None
        chain = computing([*forward, *backward], [self.gradient])
        made = {s.target for s in backward}
        grids = []
        for trial in self.trials:
            arrays = dict(trial.grid.arrays)
            grid = Grid(trial.sizes, arrays)
            try:
                grid.define([s for s in chain if s.target in made])
                grid.define([s for s in chain if s.target not in made])
            except (PullbackError, TooLarge, KeyError):
                return None
            if not near(grid.arrays[self.gradient], trial.grid.arrays[self.gradient], 1e-7):
                return None
            grids.append(grid)
        changed = [s for s in chain if (s.target in made) != values]
        return _Search(self, tuple(chain), made, grids).run(changed)

    # What concerns a gradient as a whole.

    def _swapped(self) -> Fit | None:
        for place, tensor in self.all.gradients.items():
            if place == self.place:
                continue
            others = [t.grid.arrays[tensor] for t in self.trials]
            if all(near(f, o, EXACT) for f, o in zip(self.found, others, strict=True)):
                mine = self._final(self.gradient)
                return self._whole("swapped", mine, self._final(tensor), other=tensor.name)
        return None

    def _reshaped(self) -> Fit | None:
        mine = self._final(self.gradient)
        ranks = {f.ndim for f in self.found}
        if mine is None or len(ranks) > 1:
            return None
        fits = []
        for kind, wrong in reshaped(mine, ranks.pop()):
            try:
                values = []
                for trial in self.trials:
                    shape = tuple(i.extent.value(trial.sizes) for i in wrong.indices)
                    if shape != trial.found[self.place].shape:
                        break
                    values.append(trial.grid.over().whole(wrong))
                else:
                    if all(near(f, v, EXACT) for f, v in zip(self.found, values, strict=True)):
                        fits.append((kind, wrong))
            except (PullbackError, TooLarge):
                continue
        return self._whole(*fits[0][:1], mine, fits[0][1]) if fits else None

    def _final(self, tensor: Tensor) -> Define | None:
        return next((s for s in self.all.backward.statements if s.target is tensor), None)

    def _whole(
        self, kind: str, right: Define | None, found: Define | None, other: str = ""
    ) -> Fit | None:
        if right is None or found is None:
            return None
        backward = self.all.backward
        statements = tuple(
            computing([*backward.forward.statements, *backward.statements], [self.gradient])
        )
        wrong = tuple(found if s is right else s for s in statements)
        if kind == "swapped":
            wrong = tuple(
                computing([*backward.forward.statements, *backward.statements], [found.target])
            )
        return Fit(
            kind, self.gradient, right, found, right.body, found.body, number(1), number(1),
            statements, wrong, {}, other=other,
        )  # fmt: skip


class _Search:
    """Single changes of one way to write the gradient."""

    def __init__(
        self, fitter: Fitter, chain: tuple[Define, ...], made: set[Tensor], grids: Sequence[Grid]
    ) -> None:
        self.fitter, self.chain, self.made, self.grids = fitter, chain, made, grids
        self.users: dict[Tensor, list[Define]] = {}
        own = {s.target for s in chain}
        backward = fitter.all.backward
        others = (*backward.forward.statements, *backward.statements)
        self.others = [s for s in others if s.target not in own]
        for s in (*chain, *self.others):
            for t in tensors(s.body):
                self.users.setdefault(t, []).append(s)
        self.depend = {s.target: self._dependent(s.target) for s in chain}
        self.after = {t: [s for s in chain if s.target in own] for t, own in self.depend.items()}
        extents = [i.extent for s in chain for i in (*s.indices, *bound_indices(s.body))]
        self.extents = [n for n in dict.fromkeys(extents) if n.literal is None][:6]
        self.tolerances = []
        for f, r in zip(fitter.found, fitter.rights, strict=True):
            scale = max(float(np.max(np.abs(f), initial=0)), float(np.max(np.abs(r), initial=0)))
            off = float(np.max(np.abs(f - r), initial=0))
            self.tolerances.append(max(1e-12 * scale, min(1e-8 * scale, 1e-3 * off), 1e-300))

    def _dependent(self, tensor: Tensor) -> set[Tensor]:
        """What is computed from a tensor; the tensor itself where it recurs."""
        found: set[Tensor] = set()
        todo = [tensor]
        while todo:
            for user in self.users.get(todo.pop(), ()):
                if user.target not in found:
                    found.add(user.target)
                    todo.append(user.target)
        return found

    def run(self, changed: Sequence[Define]) -> Fit | None:
        best: list[tuple[Change, Ratio]] = []
        for change in self._candidates(changed):
            if best and change.cost > best[0][0].cost:
                break
            if self.fitter.left <= self.fitter.floor:
                break
            ratio = self.fits(change)
            if ratio is not None:
                best.append((change, ratio))
        if not best:
            return None
        return self._told(best)

    def _candidates(self, changed: Sequence[Define]) -> list[Change]:
        every: list[Change] = []
        target = self.fitter.gradient
        backward = self.fitter.all.backward
        known = [*backward.program.inputs, *backward.cotangents]
        known += [s.target for s in backward.forward.statements]
        known += [s.target for s in backward.statements]  # a value that lies around is easily taken
        known += [s.target for s in self.chain]
        known = list(dict.fromkeys(t for t in known if t.kind == "float"))
        nameless = unnamed([*backward.forward.statements, *backward.statements, *self.chain])
        for s in changed:
            penalty = 0 if s.target is target else 3 if s.target in self.made else 6
            later = {*self.depend[s.target], s.target}
            here = [t for t in known if t not in later and t in self.grids[0].arrays]
            for change in changes(s, here, penalty, s.target not in self.made):
                taken = set(tensors(change.after)) ^ set(tensors(change.before))
                more = 0 if change.scaled or not taken & nameless else UNNAMED
                every.append(replace(change, cost=change.cost + more))
        return sorted(every, key=lambda c: c.cost)

    # One change.

    def value(self, k: int, wrong: Define) -> Array:
        """The gradient at one run, with one statement changed."""
        grid = self.grids[k].over()
        try:
            if wrong.target is self.fitter.gradient and wrong.target not in reads(wrong.body):
                return grid.whole(wrong)
            later = self.after[wrong.target]
            own = [wrong if s.target is wrong.target else s for s in later]
            if all(s is not wrong for s in own):
                own = [wrong, *own]
            grid.define(own)
            return grid.arrays[self.fitter.gradient]
        finally:
            self.fitter.left -= grid.work

    def fits(self, change: Change) -> Ratio | None:
        """The coefficient with which a change gives all that was found; None where it doesn't."""
        try:
            with np.errstate(all="ignore"):
                if change.scaled:
                    return self._coefficient(change)
                for k in range(len(self.grids)):
                    if not self.close(k, self.value(k, change.wrong)):
                        return None
                return Fraction(1), size(1), size(1)
        except (PullbackError, TooLarge, ValueError, KeyError, IndexError):
            return None

    def close(self, k: int, value: Array) -> bool:
        """Whether a value is what was found."""
        found = self.fitter.found[k]
        return value.shape == found.shape and bool(
            np.max(np.abs(value - found), initial=0.0) <= self.tolerances[k]
        )

    def _coefficient(self, change: Change) -> Ratio | None:
        ratios, sizes = [], []
        for k in range(len(self.grids)):
            without = self.value(k, change.put(ZERO))
            own = change.kind == "coefficient"
            full = self.fitter.rights[k] if own else self.value(k, change.wrong)
            step, gap = full - without, self.fitter.found[k] - without
            norm = float(np.sum(step * step))
            if not np.isfinite(norm):
                return None
            ratio = float(np.sum(step * gap)) / norm if norm else 0.0
            if not self.close(k, without + ratio * step):
                return None
            if norm:  # where the term is 0, as behind units that are all off, any ratio fits
                ratios.append(ratio)
                sizes.append(self.grids[k].sizes)
        if not _varied(sizes, [grid.sizes for grid in self.grids]):
            return None
        found = recognised(ratios, sizes, self.extents, exact=self.fitter.single)
        if found is None or (change.kind != "coefficient" and isinstance(found, float)):
            return None
        plain = not isinstance(found, float) and found == (Fraction(1), size(1), size(1))
        if change.kind == "coefficient":
            return None if plain else found
        if isinstance(found, float) or abs(found[0]) != 1:
            return None
        return found

    # What is told.

    def _told(self, best: list[tuple[Change, Ratio]]) -> Fit | None:
        """The first of the mistakes, if all of them are one and the same function."""
        wrongs = [tidied(self._written(change, ratio)) for change, ratio in best]
        first, ratio = best[0]
        fit = self._fit(first, ratio, wrongs[0])
        probe = _Probe(self.fitter.all, self.fitter.gradient)
        if not probe.same([self._all(w) for w in wrongs]):
            return None
        smallest = probe.smallest(fit.statements, fit.wrong)
        return replace(fit, smallest=smallest)

    def _written(self, change: Change, ratio: Ratio) -> Define:
        if not change.scaled:
            return change.wrong
        return change.put(scaled(coefficient_of(ratio), change.after))

    def _all(self, wrong: Define) -> tuple[Define, ...]:
        own = [wrong if s.target is wrong.target else s for s in self.chain]
        return tuple(computing(in_order([*self.others, *own]), [self.fitter.gradient]))

    def _fit(self, change: Change, ratio: Ratio, wrong: Define) -> Fit:
        return Fit(
            change.kind, self.fitter.gradient, change.right, wrong, change.before, change.after,
            coefficient_of(ratio), change.outer, self.chain, self._all(wrong), {},
            change.number, spread=self.fitter.spread,
        )  # fmt: skip


def _varied(some: Sequence[Mapping[str, int]], every: Sequence[Mapping[str, int]]) -> bool:
    """Whether some of the runs tell a size from a number, if all of them do."""
    if len(some) == len(every):
        return True
    return len(some) > 1 and (any(s != some[0] for s in some) or all(s == every[0] for s in every))


def _spreads(found: Array, right: Array) -> bool:
    """Whether a result of fewer elements stands for all of them."""
    try:
        return bool(np.broadcast_shapes(found.shape, right.shape) == right.shape)
    except ValueError:
        return False


def unnamed(statements: Sequence[Define]) -> set[Tensor]:
    """The values that have no name in the user's program, and the gradients of these."""
    found = {s.target for s in statements if not s.user}
    names = {f"d{t.name}" for t in found}
    return found | {s.target for s in statements if s.target.name in names}


PART = 24  # nodes of a value without a name that is put where it is read
FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {  # as people write them out
    "sigmoid": lambda x: Power(Add((ONE, Apply("exp", (neg(x),)))), Fraction(-1)),
    "softplus": lambda x: Apply("log", (Add((ONE, Apply("exp", (x,)))),)),
}


def spelled(
    forward: Sequence[Define],
    backward: Sequence[Define],
    named: Sequence[Tensor],
    functions: bool = False,
) -> tuple[list[Define], list[Define]]:
    """Statements with element-wise values that have no name put in place, and ``functions`` such as
    the sigmoid written out; nothing where that changes nothing. What is ``named`` stays."""
    parts: dict[Tensor, Define] = {}
    made: list[list[Define]] = [[], []]
    for which, statements in enumerate((forward, backward)):
        for s in statements:
            placed = replace(s, body=_placed(s, parts, functions), scatter=None)
            if not which and not s.user and s.target not in named and _is_part(placed.body):
                parts[s.target] = placed
            made[which].append(placed)
    before = [s.body for s in (backward if not functions else spelled(forward, backward, named)[1])]
    same = before == [s.body for s in made[1]]
    return ([], []) if same else (made[0], made[1])


def inlined(statement: Define, parts: Mapping[Tensor, Define]) -> Define:
    """A statement with the values ``parts`` put in their places, while it stays short."""
    own = [t for t in tensors(statement.body) if t in parts and t is not statement.target]
    for tensor in dict.fromkeys(own):
        body = _placed(statement, {tensor: inlined(parts[tensor], parts)}, False)
        if sum(1 for _ in nodes(body)) <= PART:
            statement = replace(statement, body=body, scatter=None)
    return statement


def _is_part(body: Expr) -> bool:
    every = list(nodes(body))
    return len(every) <= PART and not any(isinstance(n, Reduce | Arg | Opaque) for n in every)


def _placed(statement: Define, parts: Mapping[Tensor, Define], functions: bool) -> Expr:
    taken = {i.name for i in statement.indices}

    def place(access: Access) -> Expr:
        part = parts.get(access.tensor)
        if part is None:
            return access
        moved = dict(zip(part.indices, access.subs, strict=True))
        return substitute(apart(part.body, taken), moved)  # type: ignore[return-value]

    def write(node: Any) -> Any:
        if functions and isinstance(node, Apply) and node.function in FUNCTIONS:
            return FUNCTIONS[node.function](*node.args)
        if isinstance(node, Mul) and any(isinstance(f, Mul) for f in node.factors):
            return Mul(
                tuple(g for f in node.factors for g in (f.factors if isinstance(f, Mul) else (f,)))
            )
        return node

    return bottom_up(map_tensors(statement.body, place), write)  # type: ignore[return-value]


def tidied(statement: Define) -> Define:
    """A statement without factors 1 and terms 0, which a part that is left out leaves behind."""

    def change(node: Any) -> Any:
        if isinstance(node, Mul) and ONE in node.factors and len(node.factors) > 1:
            return mul(*(f for f in node.factors if f is not ONE))
        if isinstance(node, Add) and ZERO in node.terms and len(node.terms) > 1:
            return add(*(t for t in node.terms if t is not ZERO))
        return node

    return replace(statement, body=bottom_up(statement.body, change))  # type: ignore[arg-type]


def coefficient_of(ratio: Ratio) -> Expr:
    """A coefficient as a formula."""
    if isinstance(ratio, float):
        return number(float(f"{ratio:.9g}"))
    value, over, under = ratio
    parts: list[Expr] = [] if value == 1 else [number(value)]
    if over.literal != 1:
        parts.append(SizeOf(over))
    if under.literal != 1:
        parts.append(Power(SizeOf(under), Fraction(-1)))
    if not parts:
        return number(1)
    return parts[0] if len(parts) == 1 else Mul(tuple(parts))


def recognised(
    ratios: Sequence[float],
    sizes: Sequence[Mapping[str, int]],
    extents: Sequence[Size],
    exact: bool = False,
) -> Ratio | None:
    """The number or the size that a coefficient is at all runs: a small fraction, a size or a
    quotient of sizes times 1, 2 or a half, else a decimal that is the same everywhere."""
    for value, over, under in _monomials(extents):
        if all(
            abs(r - float(value) * over.value(s) / under.value(s)) <= 1e-7 * max(1e-3, abs(r))
            for r, s in zip(ratios, sizes, strict=True)
        ):
            return value, over, under
    first = ratios[0]
    if all(abs(r - first) <= 1e-7 * max(abs(first), 1e-3) for r in ratios):
        near_by = Fraction(first).limit_denominator(48)
        if abs(float(near_by) - first) <= 1e-8 * max(abs(first), 1e-3):
            return near_by, size(1), size(1)
        return None if exact else first
    return None


def _monomials(sizes: Sequence[Size]) -> Iterator[tuple[Fraction, Size, Size]]:
    one = size(1)
    units = [Fraction(n) for n in (1, -1)]
    for plain in (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2), 3, 4):
        yield Fraction(plain), one, one
    products = [*sizes, *(a * b for k, a in enumerate(sizes) for b in sizes[k:])]
    if len(sizes) >= 3:
        products += [
            a * b * c
            for k, a in enumerate(sizes)
            for m, b in enumerate(sizes[k + 1 :], k + 1)
            for c in sizes[m + 1 :]
        ]
    for unit in (*units, Fraction(2), Fraction(1, 2), Fraction(-2), Fraction(-1, 2)):
        for n in products:
            yield unit, n, one
            yield unit, one, n
        for a in sizes:
            for b in sizes:
                if a is not b:
                    yield unit, a, b


class _Probe:
    """The formulas alone, at values that need not suit the functions of a person."""

    def __init__(self, trials: Trials, gradient: Tensor) -> None:
        self.trials, self.gradient = trials, gradient
        self.rng = np.random.default_rng(20011)

    def grid(self, sizes: Mapping[str, int], like: Trial) -> Grid | None:
        backward = self.trials.backward
        arrays: dict[Tensor, Array] = {}
        for t in (*backward.program.inputs, *backward.cotangents):
            shape = tuple(n.value(sizes) for n in t.shape)
            if any(n < 0 for n in shape):
                return None
            given = like.grid.arrays[t]
            arrays[t] = np.asarray(drawn(np.asarray(given), shape, self.rng, 0))
            if t.kind != "float" and arrays[t].size:
                least = min(sizes.values(), default=1)
                if int(np.max(arrays[t])) >= least:
                    arrays[t] = arrays[t] % max(1, least)
        grid = Grid(dict(sizes), arrays)
        try:
            grid.define(backward.forward.statements)
        except (PullbackError, TooLarge, ValueError, IndexError):
            return None
        return grid

    def gradients(self, grid: Grid, wholes: Sequence[tuple[Define, ...]]) -> list[Array] | None:
        found = []
        for statements in wholes:
            own = grid.over()
            own.base = None
            try:
                own.define(statements)
            except (PullbackError, TooLarge, ValueError, KeyError, IndexError):
                return None
            found.append(own.arrays[self.gradient])
        return found if all(np.isfinite(f).all() for f in found) else None

    def same(self, wholes: Sequence[tuple[Define, ...]]) -> bool:
        """Whether formulas are the same function."""
        if len(wholes) == 1:
            return True
        like = self.trials.trials[0]
        seen = 0
        for trial in self.trials.trials[:3]:
            grid = self.grid(trial.sizes, like)
            values = None if grid is None else self.gradients(grid, wholes)
            if values is None:
                continue
            seen += 1
            if not all(near(values[0], v, 1e-7) for v in values[1:]):
                return False
        return seen > 0 or all(t.fresh for t in self.trials.trials)

    def smallest(self, right: tuple[Define, ...], wrong: tuple[Define, ...]) -> dict[str, int]:
        """The least sizes at which two formulas differ."""
        names = self.trials.letters
        if not names or len(names) > 6:
            return {}
        every = sorted(
            product(range(1, SMALLEST + 1), repeat=len(names)), key=lambda n: (prod(n), n)
        )
        for values in every[:120]:
            sizes = dict(zip(names, values, strict=True))
            grid = self.grid(sizes, self.trials.trials[0])
            if grid is None:
                continue
            both = self.gradients(grid, [right, wrong])
            if both is not None and both[0].size and not near(both[0], both[1], 1e-6):
                return sizes
        return {}


def programs(fit: Fit, trials: Trials) -> tuple[Program, Program]:
    """From the inputs and cotangents to the gradient as it should be, and as it was found."""
    backward = trials.backward
    inputs = (*backward.program.inputs, *backward.cotangents)
    sizes = backward.program.sizes
    right = Program(inputs, fit.statements, (fit.gradient,), sizes)
    last = fit.found.target if fit.kind in ("swapped",) else fit.gradient
    if fit.right.target is fit.gradient:
        last = fit.found.target
    return right, Program(inputs, fit.wrong, (last,), sizes)
