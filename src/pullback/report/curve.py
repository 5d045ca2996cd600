"""Curves over steps, such as a training loss, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..notation.terminal import SUPERSCRIPTS
from .mathml import text

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 16, 42
# Points of a drawn line; longer series are thinned, the least and the greatest of each stretch
# kept.
MOST_POINTS = 900
# A running mean is drawn over series longer than this, over one part in so many of it.
SMOOTHED_FROM, SMOOTHED_OVER = 60, 30
# Greatest over least value from which on the axis of values is logarithmic.
LOG_FROM = 100.0

STYLE = """
.pb-curve { font: 12px ui-sans-serif, system-ui, sans-serif; max-width: 100%; height: auto;
  color-scheme: light dark; }
.pb-curve text { fill: var(--pb-muted, light-dark(#5d6378, #a0a7bd)); }
.pb-curve .grid { stroke: var(--pb-line, light-dark(#dfe3ee, #323848)); stroke-width: 1; }
.pb-curve .axis { stroke: var(--pb-muted, light-dark(#5d6378, #a0a7bd)); stroke-width: 1; }
.pb-curve .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.pb-curve .raw { fill: none; stroke-width: 1; opacity: .35; }
.pb-curve .faint { fill: none; stroke-width: 1.5; opacity: .7; }
.pb-curve path.faint { stroke-dasharray: 2 4; }
.pb-curve .s0 { stroke: var(--pb-forward, light-dark(#2f5fc4, #8db0ff)); }
.pb-curve .s1 { stroke: var(--pb-gradient, light-dark(#ae1f67, #ff8fc4)); }
.pb-curve .s2 { stroke: var(--pb-good, light-dark(#17784a, #62d39c)); }
.pb-curve .s3 { stroke: var(--pb-ink, light-dark(#1a1d29, #e6e9f3)); }
.pb-curve .last { text-anchor: end; }
.pb-curve :is(.last, .key) { font-weight: 600; fill: var(--pb-ink, light-dark(#1a1d29, #e6e9f3)); }
"""


def curve(
    values: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    across: str = "step",
    up: str = "loss",
) -> str:
    """The ``<svg>`` of one series, or of several by name; what is not finite is a gap.

    >>> curve([2.0, 1.0]).startswith("<svg")
    True
    """
    series = dict(values) if isinstance(values, Mapping) else {up: values}
    lines = {name: [float(v) for v in line] for name, line in series.items()}
    finite = [v for line in lines.values() for v in line if math.isfinite(v)]
    steps = max((len(line) for line in lines.values()), default=0)
    body = _empty() if not finite else "".join(_drawn(lines, finite, steps, across, up))
    return _framed(f"{up} over {steps} steps", body)


def _framed(label: str, body: str) -> str:
    return (
        f'<svg class="pb-curve" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{text(label)}">'
        f"<style>{STYLE}</style>{body}</svg>"
    )


Points = Sequence[tuple[float, float, bool]]


def loglog(lines: Mapping[str, Points], *, across: str, up: str) -> str:
    """The ``<svg>`` of lines over positive numbers, both axes logarithmic.

    A point is a pair of numbers and whether it counts: the others are joined by a faint line. What
    is 0, negative or not finite is left out.

    >>> loglog({"error": [(0.1, 0.1, True), (1, 1, True)]}, across="h", up="error").count("<circle")
    2
    """
    lines = {
        name: [p for p in line if p[0] > 0 and p[1] > 0 and math.isfinite(p[1])]
        for name, line in lines.items()
    }
    every = [point for line in lines.values() for point in line]
    drawn = _empty() if not every else "".join(_loglog(lines, every, across, up))
    return _framed(f"{up} over {across}, both logarithmic", drawn)


def _loglog(lines: Mapping[str, Points], every: Points, across: str, up: str) -> Iterator[str]:
    ends = [_powers(min(p[k] for p in every), max(p[k] for p in every)) for k in (0, 1)]
    (left, right), (low, high) = ((math.log10(e[0]), math.log10(e[-1])) for e in ends)
    right_end, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - left) / (right - left) * (right_end - LEFT)

    def y(value: float) -> float:
        return TOP + (high - math.log10(value)) / (high - low) * (bottom - TOP)

    for mark in _thin(ends[1], 7):
        yield f'<path class="grid" d="M{LEFT} {y(mark):.1f}H{right_end}"/>'
        yield _words(LEFT - 8, y(mark) + 4, _power(mark), "end")
    for mark in _thin(ends[0], 9):
        yield _words(x(mark), bottom + 18, _power(mark), "middle")
    yield from _titles(across, up)
    for k, (name, line) in enumerate(lines.items()):
        for one, two in pairwise(line):
            kind = "line" if one[2] and two[2] else "faint"
            ends_of = f"M{x(one[0]):.1f} {y(one[1]):.1f}L{x(two[0]):.1f} {y(two[1]):.1f}"
            yield f'<path class="{kind} s{k}" d="{ends_of}"/>'
        for at, value, counts in line:
            kind = "line" if counts else "faint"
            yield f'<circle class="{kind} s{k}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="2.5"/>'
        height = TOP + 12 + 18 * k
        yield f'<path class="line s{k}" d="M{LEFT + 12} {height - 4}h22"/>'
        yield _words(LEFT + 42, height, name, "start", ' class="key"')


def _thin(marks: Sequence[float], most: int) -> Sequence[float]:
    """Every mark, or every second, third, ... of many."""
    return marks[:: -(-len(marks) // most)]


def _power(mark: float) -> str:
    """A power of ten.

    >>> _power(1.0), _power(1e-6)
    ('1', '10⁻⁶')
    """
    exponent = round(math.log10(mark))
    return "1" if not exponent else f"10{str(exponent).translate(SUPERSCRIPTS)}"


def _empty() -> str:
    return f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">no values</text>'


@dataclass(frozen=True)
class _Axes:
    """From steps and values to places; a value axis over several powers of ten is logarithmic."""

    steps: int
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, finite: Sequence[float], steps: int) -> _Axes:
        least, most = min(finite), max(finite)
        log = least > 0 and most / least >= LOG_FROM
        marks = _powers(least, most) if log else ticks(min(0.0, least), most)
        return cls(steps, min(marks[0], least), max(marks[-1], most), log)

    def x(self, step: float) -> float:
        return LEFT + step / max(self.steps - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return TOP + (high - value) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    def marks(self) -> list[float]:
        return _powers(self.low, self.high) if self.log else ticks(self.low, self.high)


def _powers(low: float, high: float) -> list[float]:
    """The powers of ten that enclose a range."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [10.0**k for k in range(first, max(last, first + 1) + 1)]


def _drawn(
    lines: Mapping[str, list[float]], finite: Sequence[float], steps: int, across: str, up: str
) -> Iterator[str]:
    axes = _Axes.of(finite, steps)
    yield from _frame(axes, across, f"{up} (logarithmic)" if axes.log else up)
    for k, (name, line) in enumerate(lines.items()):
        yield from _line(k % 4, line, axes)
        known = [v for v in line if math.isfinite(v)]
        if known:
            words = f"{name}: {known[0]:.3g} → {known[-1]:.3g}"
            yield _words(WIDTH - RIGHT, TOP + 12 + 18 * k, words, "end", ' class="last"')


def _frame(axes: _Axes, across: str, up: str) -> Iterator[str]:
    """Grid, marks and titles."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for mark in axes.marks():
        yield f'<path class="grid" d="M{LEFT} {axes.y(mark):.1f}H{right}"/>'
        yield _words(LEFT - 8, axes.y(mark) + 4, f"{mark:g}", "end")
    for mark in ticks(0, axes.steps, most=8):
        if mark == int(mark) and mark <= axes.steps:
            yield _words(min(axes.x(mark), float(right)), bottom + 18, f"{mark:g}", "middle")
    yield from _titles(across, up)


def _titles(across: str, up: str) -> Iterator[str]:
    """The axis and what both axes are."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>'
    yield _words(LEFT + (right - LEFT) / 2, HEIGHT - 6, across, "middle")
    middle = (TOP + bottom) / 2
    yield _words(14, middle, up, "middle", f' transform="rotate(-90 14 {middle})"')


def _words(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{text(words)}</text>'


def _line(k: int, line: Sequence[float], axes: _Axes) -> Iterator[str]:
    smooth = running_mean(line, max(1, len(line) // (2 * SMOOTHED_OVER)))
    if len(line) >= SMOOTHED_FROM:
        yield f'<path class="raw s{k}" d="{_path(line, axes)}"/>'
        yield f'<path class="line s{k}" d="{_path(smooth, axes)}"/>'
    else:
        yield f'<path class="line s{k}" d="{_path(line, axes)}"/>'


def _path(line: Sequence[float], axes: _Axes) -> str:
    out, broken = [], True
    for step, value in thinned(line):
        if math.isfinite(value):
            out.append(f"{'M' if broken else 'L'}{axes.x(step):.1f} {axes.y(value):.1f}")
        broken = not math.isfinite(value)
    return "".join(out)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that cover a range.

    >>> ticks(0, 2.3)
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    span = (high - low) or abs(high) or 1.0
    raw = span / (most - 1)
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(s * scale for s in (1, 2, 2.5, 5, 10) if s * scale >= raw * 0.999999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]


def running_mean(line: Sequence[float], window: int) -> list[float]:
    """The mean of the finite values around every step, ``window`` to each side at most.

    >>> running_mean([1.0, 3.0, 5.0, 9.0], 1)
    [2.0, 3.0, 5.666666666666667, 7.0]
    """
    out: list[float] = []
    for step, value in enumerate(line):
        near = [v for v in line[max(0, step - window) : step + window + 1] if math.isfinite(v)]
        out.append(sum(near) / len(near) if near and math.isfinite(value) else math.nan)
    return out


def thinned(line: Sequence[float]) -> list[tuple[int, float]]:
    """The points of a line, of a long one the least and the greatest of every stretch."""
    if len(line) <= MOST_POINTS:
        return list(enumerate(line))
    stretch = -(-2 * len(line) // MOST_POINTS)
    out: list[tuple[int, float]] = []
    for start in range(0, len(line), stretch):
        part = list(enumerate(line[start : start + stretch], start))
        finite = [point for point in part if math.isfinite(point[1])]
        if len(finite) < len(part):
            out.append((start, math.nan))
        if finite:
            ends = {min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])}
            out.extend(sorted(ends))
    return out
