"""What is longer than published, how much longer it may be, and why: ``exceptions.txt``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("exceptions.txt")
BOUND = 1.05  # times the published work, where nothing else is stated
ROOM = 1.01  # by which a stated figure may be exceeded: BLAS and NumPy differ in what is a view


@dataclass(frozen=True)
class Allowed:
    """How many times the published work, and the largest array that may be made, is allowed."""

    work: float = BOUND
    largest: float = 1.0
    why: str = ""

    def broken(self, work: float, largest: float) -> str:
        """What is wrong with figures, if anything."""
        if work > self.work * ROOM:
            return f"{work:.2f} times the published work, {self.work:.2f} are allowed"
        if largest > self.largest * ROOM:
            return f"an array {largest:.2f} times as large as is needed"
        return ""


def read() -> dict[str, Allowed]:
    """All exceptions, by form and notation."""
    found = {}
    for line in FILE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, work, largest, why = (part.strip() for part in line.split("|"))
            found[name] = Allowed(float(work), float(largest), why)
    return found


def write(exceptions: Mapping[str, Allowed]) -> None:
    """Writes the file, the longest first."""
    head = "# form, notation | work, times published | largest array, times allowed | why\n"
    rows = sorted(exceptions.items(), key=lambda row: (-row[1].work, row[0]))
    lines = [f"{n:<34} | {a.work:6.2f} | {a.largest:6.2f} | {a.why}".rstrip() for n, a in rows]
    FILE.write_text(head + "\n".join(lines) + "\n", "utf-8")
