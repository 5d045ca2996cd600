"""Random programs, derived plainly and compactly: the same numbers, and what each takes.

python -m tests.compactness.random_pairs 500   # the programs of seeds 0 to 499, what is costlier

The plain derivation is the chain rule statement by statement, without any search. Both are run on
arrays that count (``counter.py``), which shares nothing with the cost by which forms are chosen.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from pullback.backends.numpy.module import spell_pair
from pullback.calculus.effort import FORMULAS, Limit
from pullback.calculus.reverse import reverse
from pullback.ir.program import Program
from tests.compactness.counter import Count, count_source
from tests.properties.random_programs import Maker

PLAIN = Limit(0, 0)
SIZES = {"N": 23, "M": 19, "K": 29}
MOST = 1.05  # times what the plain derivation takes: sums of scalars and copies are not weighed


@dataclass(frozen=True)
class Outcome:
    """A program's two derivations; ``refused`` says why they were not compared, ``wrong`` where
    they differ."""

    seed: int
    program: Program
    compact: Count | None = None
    plain: Count | None = None
    refused: str = ""
    wrong: str = ""

    @property
    def ratio(self) -> float:
        """The work of the compact derivation as a multiple of the plain one's."""
        if self.compact is None or self.plain is None or not self.plain.work:
            return 1.0
        return self.compact.work / self.plain.work


def drawn(seed: int) -> tuple[Program, dict[str, Any]]:
    """The program of a seed, and arrays for its inputs."""
    maker = Maker(Random(seed), kinks=seed % 2 == 0)
    program = maker.program()
    told = {name for t in program.inputs for extent in t.shape for name in extent.names()}
    program = program.with_sizes({n: value for n, value in SIZES.items() if n not in told})
    return program, {t.name: _array(t, maker, seed) for t in program.inputs}


def outcome(seed: int) -> Outcome:
    """The program of a seed, derived in both ways and run."""
    program, inputs = drawn(seed)
    runs: list[tuple[Count, Any, Any]] = []
    for limit in (FORMULAS, PLAIN):
        source = spell_pair(reverse(program, limit=limit))
        try:
            with np.errstate(all="ignore"):
                runs.append(count_source(source, inputs, lambda y: upstream(y, seed)))
        except (TypeError, NotImplementedError, AttributeError) as error:
            return Outcome(seed, program, refused=f"{type(error).__name__}: {error}"[:100])
    (compact, *found), (plain, *expected) = runs
    wrong = "" if _same(found, expected) else "the gradients or values differ"
    return Outcome(seed, program, compact, plain, wrong=wrong)


def _array(tensor: Any, maker: Maker, seed: int) -> Any:
    rng = np.random.default_rng([seed, len(tensor.name), ord(tensor.name[-1])])
    shape = tuple(extent.value(SIZES) for extent in tensor.shape)
    match tensor.kind:
        case "float":
            return rng.uniform(0.2, 1.8, size=shape)
        case "bool":
            return rng.integers(0, 2, size=shape).astype(bool)
    extent = dict(maker.lookups)[tensor]
    return rng.integers(0, extent.value(SIZES), size=shape)


def upstream(outputs: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if isinstance(outputs, tuple):
        return tuple(np.asarray(rng.normal(size=np.shape(y))) for y in outputs)
    return np.asarray(rng.normal(size=np.shape(outputs)))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    one, other = np.asarray(one, float), np.asarray(other, float)
    fine = np.isfinite(other)
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), fine):
        return False
    scale = max(1.0, float(np.max(np.abs(other[fine]), initial=0.0)))
    return bool(np.all(np.abs(one[fine] - other[fine]) <= 1e-9 * scale))


def main(count: int) -> str:
    """What came out for the programs of the first seeds, a line each that takes more."""
    found = [outcome(seed) for seed in range(count)]
    ran = [o for o in found if not o.refused]
    costlier = sorted((o for o in ran if o.ratio > MOST), key=lambda o: -o.ratio)
    lines = [
        f"{count} programs: {len(ran)} compared, {count - len(ran)} not counted, "
        f"{sum(bool(o.wrong) for o in ran)} wrong, {len(costlier)} above {MOST} times plain, "
        f"{sum(o.ratio < 1 / MOST for o in ran)} below 1/{MOST}; "
        f"in all {sum(o.compact.work for o in ran if o.compact):.3g} of "
        f"{sum(o.plain.work for o in ran if o.plain):.3g}"
    ]
    lines += [f"{o.ratio:8.3f} seed {o.seed}" for o in costlier]
    lines += [f"   wrong seed {o.seed}: {o.wrong}" for o in ran if o.wrong]
    lines += [f" refused seed {o.seed}: {o.refused}" for o in found if o.refused]
    return "\n".join(lines)


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
