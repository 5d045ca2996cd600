"""The table of docs/papers.md: each derived backward pass beside the published one, both run.

python -m tests.compactness > docs/papers.md
python -m tests.compactness --allow   # states what is measured now in exceptions.txt
python -m tests.compactness --check   # fails where exceptions.txt allows less than was measured
python -m tests.compactness --times   # CPU seconds of deriving, the longest first
python -m tests.compactness --plain   # what the search makes longer than the plain chain rule
python -m tests.compactness --long    # generated and published source of all that is longer
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

from pullback.layers import LAYERS
from tests.compactness import exceptions
from tests.compactness.exceptions import BOUND, Allowed
from tests.compactness.layers import measure_layer
from tests.compactness.measure import Measured, cases, measure, plain_work

HEAD = """# Forms from papers: ours beside the published backward pass

Forward passes from papers and from practice, in NumPy and in index notation, each with the
backward pass that was published or that an expert writes. Both are *run*, on arrays that count
(`tests/compactness/counter.py`): the cost by which forms are chosen has no part in it.

- *flops*: elements computed, times the work of each operation; *moved*: elements read and written;
- *work*: both together, ours as a multiple of the published one. Forward values that are needed
  for the outputs are free for both, and so is to keep them (`memory="fastest"`); what the forward
  pass makes for the gradients alone counts;
- *largest*: elements of the largest array that was made: ours (in both passes), published (in the
  backward pass), and the largest of inputs, outputs and the function's own forward values.

Both passes give the same gradients, and the published ones agree with central differences
(`tests/compactness/test_forms.py`). That test fails where ours takes more than 1.05 times the
work, or makes an array larger than all inputs, outputs, forward values and published arrays, unless
`tests/compactness/exceptions.txt` says so with the reason.
`python -m tests.compactness > docs/papers.md` writes this page.

"""

LAYERS_HEAD = """
## The layers of the reference

Ours beside the published passes of [compactness.md](compactness.md), counted in the same way. Those
are index notation, and the NumPy backend spells them as they stand, without a search.

"""

COLUMNS = """| form | notation | work | flops | moved | largest | why not less |
|---|---|---|---|---|---|---|
"""


def row(m: Measured, why: str) -> str:
    """A derivation's line."""
    ours, theirs = m.ours, m.theirs
    return (
        f"| {m.title} | {m.notation} | {m.ratio:.2f} "
        f"| {ours.flops:.0f} : {theirs.flops:.0f} | {ours.moved:.0f} : {theirs.moved:.0f} "
        f"| {max(m.forward, ours.largest)} : {theirs.largest} : {m.bound} | {why} |"
    )


def summary(found: Sequence[Measured]) -> str:
    """How many are as short as published."""
    within = sum(m.ratio <= BOUND for m in found)
    far = sum(m.ratio > 1.3 for m in found)
    large = sum(m.too_large > 1 for m in found)
    return (
        f"{len({m.title for m in found})} forms, {len(found)} derivations: {within} "
        f"({100 * within / len(found):.0f} %) take at most {BOUND} times the published work, "
        f"{far} more than 1.3 times; {large} make an array larger than all others.\n\n"
    )


def table(found: Sequence[Measured]) -> str:
    """The table of some."""
    allowed = exceptions.read()
    lines = [row(m, allowed.get(m.name, Allowed()).why) for m in found]
    return summary(found) + COLUMNS + "\n".join(lines) + "\n"


def page(forms: Sequence[Measured], layers: Sequence[Measured]) -> str:
    """The whole page."""
    return HEAD + table(forms) + LAYERS_HEAD + table(layers)


def allow(found: Sequence[Measured]) -> None:
    """States today's figures, and keeps the reasons."""
    known = exceptions.read()
    exceptions.write(
        {
            m.name: Allowed(
                _above(max(m.ratio, BOUND)),
                _above(max(m.too_large, 1.0)),
                known.get(m.name, Allowed()).why,
            )
            for m in found
            if m.ratio > BOUND or m.too_large > 1
        }
    )


def check(found: Sequence[Measured]) -> str:
    """What takes more than is allowed, a line each."""
    known = exceptions.read()
    verdicts = [(m, known.get(m.name, Allowed()).broken(m.ratio, m.too_large)) for m in found]
    return "\n".join(f"{m.name}: {verdict}" for m, verdict in verdicts if verdict)


def _above(ratio: float) -> float:
    """The next number of two decimals."""
    return math.ceil(100 * ratio - 1e-9) / 100


def workload() -> float:
    """CPU seconds of a fixed piece of pure Python, to compare with."""
    start = time.process_time()
    table: dict[int, int] = {}
    for n in range(200_000):
        table[n % 1009] = table.get(n % 1013, 0) + n
    return time.process_time() - start


def times(found: Sequence[Measured]) -> str:
    """The time of deriving each."""
    rows = sorted(found, key=lambda m: -m.seconds)
    unit = workload()
    lines = [f"{m.seconds:7.2f} {m.seconds / unit:7.1f} {m.name}" for m in rows]
    return f"CPU s, and times the fixed workload of {unit:.3f} s\n" + "\n".join(lines)


def plain(found: Sequence[Measured]) -> str:
    """Ours as a multiple of the plain chain rule, where it takes more."""
    rows = [
        (m.ours.work / plain_work(form, notation), m.name)
        for m, (form, notation) in zip(found, cases(), strict=True)
    ]
    longer = sorted((r for r in rows if r[0] > 1.005), reverse=True)
    return "\n".join(f"{ratio:7.2f} {name}" for ratio, name in longer)


def long(found: Sequence[Measured]) -> str:
    """Generated source beside the published one, the longest first."""
    rows = sorted((m for m in found if m.ratio > BOUND), key=lambda m: -m.ratio)
    return "\n\n".join(
        f"{'=' * 20} {m.name}: {m.ratio:.2f}\n\n{m.source}\n{m.published}" for m in rows
    )


def main(options: Sequence[str]) -> None:
    """Measures all and prints what is asked for."""
    forms = [measure(form, notation) for form, notation in cases()]
    layers = [measure_layer(kind) for kind in LAYERS.values()]
    found = [*forms, *layers]
    wrong = [f"{m.name}: {', '.join(m.wrong)}" for m in found if m.wrong]
    if wrong:
        sys.exit("differ from the published pass:\n" + "\n".join(wrong))
    match list(options):
        case []:
            print(page(forms, layers), end="")
        case ["--allow"]:
            allow(found)
        case ["--check"]:
            sys.exit(check(found) or 0)
        case ["--times"]:
            print(times(found))
        case ["--plain"]:
            print(plain(forms))
        case ["--long"]:
            print(long(found))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
