"""Steps as a reader sees them: checked, the quiet ones folded into those beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..calculus.step import Step
from ..ir.expr import Expr, Tensor
from ..ir.program import Define
from ..notation.plain import show
from .status import MARKS, WORST, Status, Tally, overall, verdict


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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}\n  {self.before}\n  {self.after}\n  {self.check}"


def shown(step: Step, check: Check) -> ShownStep:
    def at(value: Expr) -> Define:
        return Define(step.target, step.indices, value)

    return ShownStep(step.name, step.reason, at(step.before), at(step.after), check)


def fold(steps: Sequence[ShownStep], quiet: Sequence[bool]) -> tuple[ShownStep, ...]:
    """Quiet steps folded into the next one they lead to, or else into the one they follow."""
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
