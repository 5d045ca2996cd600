"""Steps as a reader sees them: in plain words, checked, the quiet ones folded into those beside
them, and no form twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..calculus.reverse import REASONS
from ..calculus.step import Step
from ..ir.expr import Expr, Guard, Tensor, Zero
from ..ir.program import Define
from ..ir.subscripts import NOTHING, Index
from ..ir.walk import bound_indices, free_indices, nodes, renamed
from ..notation.plain import show
from .registry import service
from .status import MARKS, WORST, Status, Tally, overall, verdict

# A step's name and its reason for readers, by the name that the calculus has for it.
PLAIN = {
    "sift": ("one term survives", "a sum over a bracket is the one term where the bracket holds"),
    "inline": ("put in", "the gradients that were found above are put in their places"),
    "eliminate": (
        "solve for the index",
        "each bracket is solved for the index that is summed over; what remains says where there "
        "is a solution",
    ),
    "known sums": (
        "spell out",
        "named values are spelled out in what they are defined by, sums that have a name get it",
    ),
}
ZERO_SUM = re.compile(r"sum\(([^)]*)\) ([^\W\d]\w*)\[[^\]]*\] = 0")


@dataclass(frozen=True)
class Check:
    """A check's result: its status, and ``how`` that was found, or why nothing was.

    ``elements`` counts the values that were compared, ``unchecked`` those that could not be;
    ``worst`` is the greatest relative difference.

    >>> print(Check("passed", "equal at 3 random points", 3))
    ✓ equal at 3 random points
    """

    status: Status
    how: str
    elements: int = 0
    unchecked: int = 0
    worst: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.status == "passed"

    @property
    def mark(self) -> str:
        """✓ passed, ✗ failed, – not checked."""
        return MARKS[self.status]

    def __str__(self) -> str:
        return f"{self.mark} {self.how}"


@dataclass(frozen=True, repr=False)
class Verification:
    """The checks of a derivation, each with its name; ``seed`` repeats them.

    The first ``steps`` of them are those of the derivation's steps, the others are of the whole.
    """

    checks: tuple[tuple[str, Check], ...]
    seed: int
    steps: int = 0

    @property
    def status(self) -> Status:
        """Failed where any check failed; passed where none failed and something was compared.

        Where no gradient was compared with anything, right steps alone are no success.
        """
        found = overall(check.status for _, check in self.checks)
        whole = [check for name, check in self.checks[self.steps :] if name.startswith("gradient")]
        alone = whole and overall(check.status for check in whole) == "not checked"
        return "not checked" if found == "passed" and alone else found

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.status == "passed"

    @property
    def tally(self) -> Tally:
        """The counts of the derivation's steps."""
        return Tally.of(check.status for _, check in self.checks[: self.steps])

    @property
    def failures(self) -> tuple[tuple[str, Check], ...]:
        """The checks that failed, with their names."""
        return tuple(entry for entry in self.checks if entry[1].status == "failed")

    @property
    def unchecked(self) -> tuple[tuple[str, Check], ...]:
        """The checks in which nothing could be compared, with their names and reasons."""
        return tuple(entry for entry in self.checks if entry[1].status == "not checked")

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        count = f"{len(self.checks)} check{'s' * (len(self.checks) != 1)}"
        return f"<Verification: {self.status}, {count} (seed {self.seed})>"

    def _repr_html_(self) -> str:
        return str(service("html of verification")(self))

    def __str__(self) -> str:
        """A line for all steps that passed, one for every other check, the verdict."""
        steps, whole = self.checks[: self.steps], self.checks[self.steps :]
        tally = self.tally
        shown = [*(entry for entry in steps if not entry[1].passed), *whole]
        lines = [f"{check.mark} {name}: {check.how}" for name, check in shown]
        if tally.passed:
            some = f"{tally.passed} of {tally.total} steps, one by one"
            count = some if tally.total > 1 else "the step"
            lines.insert(0, f"✓ {count}: what stands after equals what stood before")
        open_ = len(self.unchecked) if self.passed else 0
        rest = f", {open_} of {len(self.checks)} checks not made" if open_ else ""
        return "\n".join([*lines, f"{verdict(self.status)}{rest} (seed {self.seed})"])


@dataclass(frozen=True, repr=False)
class ShownStep:
    """A step for a reader: one named rewriting, with the quiet ones beside it folded into it.

    ``earlier`` and ``later`` are the two equal statements, ``before`` and ``after`` the same as
    index notation.
    """

    name: str
    reason: str
    earlier: Define
    later: Define
    check: Check
    folded: tuple[ShownStep, ...] = ()

    @property
    def target(self) -> Tensor:
        """The tensor whose value is rewritten."""
        return self.earlier.target

    @property
    def before(self) -> str:
        """The statement before the step."""
        return show(self.earlier)

    @property
    def after(self) -> str:
        """The statement after the step."""
        return show(self.later)

    def __repr__(self) -> str:
        return f"<{self.check.mark} {self.name}: {self.after}>"

    def _repr_html_(self) -> str:
        return str(service("html of step")(self))

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}\n  {self.before}\n  {self.after}\n  {self.check}"


def shown(step: Step, check: Check) -> ShownStep:
    def at(value: Expr) -> Define:
        return primed(Define(step.target, step.indices, value))

    before, after = at(step.before), at(step.after)
    return ShownStep(*_words(step, before, after), before, after, check)


def _words(step: Step, before: Define, after: Define) -> tuple[str, str]:
    """The name of a step and its reason, in plain words."""
    if step.name not in PLAIN:
        return step.name, step.reason
    name, reason = PLAIN[step.name]
    known = REASONS[step.name]
    if step.name == "sift":
        reason = _survivors(before.body, after.body) or reason
    if not step.reason.startswith(known):  # what the step relies on
        return "what cancels" if " = 0" in step.reason else name, _facts(step.reason)
    return name, reason + step.reason.removeprefix(known)


def _survivors(before: Expr, after: Expr) -> str:
    """Which term is left of a sum over brackets: ``only n' = n survives``; "" if none is plain."""
    left = _equalities(after)
    gone = [text for text in _equalities(before) if text not in left]
    return f"only {' and '.join(gone)} survive{'s' * (len(gone) == 1)}" if gone else ""


def _equalities(value: Expr) -> dict[str, None]:
    """The brackets of a value that hold where two indices are the same."""
    found: dict[str, None] = {}
    for node in nodes(value):
        if not isinstance(node, Guard) or not isinstance(node.cond, Zero):
            continue
        sub = node.cond.sub
        names = [atom.name for atom, _ in sub.terms if isinstance(atom, Index)]
        counts = sorted(n.literal or 0 for _, n in sub.terms)
        if len(names) == 2 and counts == [-1, 1] and sub.const is NOTHING:
            left, right = sorted(names, key=lambda name: (-len(name), name))
            found[f"{left} = {right}"] = None
    return found


def primed(statement: Define) -> Define:
    """The statement with ``n'`` in place of ``n2`` for what is summed over beside ``n``.

    >>> from pullback.notation.parse import parse
    >>> (s,) = parse("Y[n] = X[n]*(sum(n2) X[n2])").statements
    >>> print(show(primed(s)))
    Y[n] = X[n]*sum(n') X[n']
    """
    taken = {i.name for i in (*statement.indices, *bound_indices(statement.body))}
    names = {}
    for index in bound_indices(statement.body):
        stem = index.name.removesuffix("2")
        if stem != index.name and stem in taken and f"{stem}'" not in taken:
            names[index] = Index(f"{stem}'", index.extent)
            taken.add(f"{stem}'")
    if not names:
        return statement
    every = (*statement.indices, *bound_indices(statement.body), *free_indices(statement.body))
    body = renamed(statement.body, {i: names.get(i, i) for i in every}, {})
    return replace(statement, body=body)  # type: ignore[arg-type]


def _facts(reason: str) -> str:
    """What is known of sums, those that are 0 in words, too."""
    found = ZERO_SUM.fullmatch(reason)
    return f"{reason}: the values of {found[2]} sum to 0 over {found[1]}" if found else reason


def fold(steps: Sequence[ShownStep], quiet: Sequence[bool]) -> tuple[ShownStep, ...]:
    """Quiet steps folded into the next one they lead to, or else into the one they follow; steps
    that lead back to an earlier form into the step that led there first."""
    return straight(_folded(steps, quiet))


def straight(steps: Sequence[ShownStep]) -> tuple[ShownStep, ...]:
    """The steps without circles: what leads back to a form that stood before is left out.

    A circle with a check that did not pass is kept, inside the step before it.
    """
    out: list[ShownStep] = []
    for step in steps:
        own = [k for k, s in enumerate(out) if s.target is step.target]
        before = [out[own[0]].earlier.body, *(out[k].later.body for k in own)] if own else []
        if step.later.body not in before[:-1]:
            out.append(step)
            continue
        kept = own[0] + before.index(step.later.body)
        circle = [*out[kept:], step]
        out = out[:kept]
        if not all(s.check.passed for s in circle) and kept > own[0]:
            last = out.pop()
            out.append(replace(_joined([last, *circle], last), later=last.later))
    return tuple(out)


def _folded(steps: Sequence[ShownStep], quiet: Sequence[bool]) -> tuple[ShownStep, ...]:
    """Quiet steps folded into their neighbours."""
    out: list[ShownStep] = []
    waiting: list[ShownStep] = []
    for step, silent in zip(steps, quiet, strict=True):
        if waiting and not _follows(waiting[-1], step):
            _settle(out, waiting)
            waiting = []
        if silent:
            waiting.append(step)
        else:
            out.append(_joined([*waiting, step], step) if waiting else step)
            waiting = []
    _settle(out, waiting)
    return tuple(out)


def _follows(one: ShownStep, other: ShownStep) -> bool:
    """Whether a step starts from what the other led to."""
    left, right = one.later, other.earlier
    return (left.access, left.body) == (right.access, right.body)


def _settle(out: list[ShownStep], waiting: list[ShownStep]) -> None:
    """Quiet steps that lead to no other: behind the step before, or as one step of their own."""
    if not waiting:
        return
    if out and _follows(out[-1], waiting[0]):
        last = out.pop()
        out.append(_joined([last, *waiting], last))
    else:
        routine = ShownStep(
            "tidy up",
            "routine rewriting, no more than one line of algebra each",
            waiting[0].earlier,
            waiting[-1].later,
            waiting[0].check,
        )
        out.append(_joined(waiting, routine))


def _joined(chain: Sequence[ShownStep], shown: ShownStep) -> ShownStep:
    folded = tuple(inner for step in chain for inner in (step.folded or (step,)))
    return ShownStep(
        shown.name, shown.reason, chain[0].earlier, chain[-1].later, _worst(folded), folded
    )


def _worst(steps: Sequence[ShownStep]) -> Check:
    """The check of several steps: a failure before one that was not made before one that passed."""
    return min((step.check for step in steps), key=lambda check: WORST.index(check.status))
