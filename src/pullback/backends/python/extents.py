"""Sizes in generated source: what they are called, and the lines that bind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ...ir.expr import Tensor
from ...ir.sizes import FloorQuotient, Monomial, Size, size
from ...ir.subscripts import is_name
from ...text import PRIVATE
from .code import Code, binary, minus
from .names import Names


class Extents:
    """The sizes of one function.

    ``names`` maps each size that was asked for to its name in the source. A size that is a floor
    quotient in some way may have a name, too, as the extent of an index.
    """

    def __init__(self, inputs: Sequence[Tensor], names: Names, read: Callable[[Tensor], Code]):
        self.inputs = inputs
        self.fresh = names.fresh
        self.read = read
        self.names: dict[str, str] = {}
        self.locals: set[str] = set()  # those that a line of the body binds
        self.aliases: dict[Size, str] = {}

    def name(self, key: str) -> str:
        """The name of a size, which from now on the function binds."""
        if key not in self.names:
            self.names[key] = self.fresh(key)
        return self.names[key]

    def alias(self, extent: Size, wanted: str) -> None:
        """Gives an extent with a floor quotient in it a name of its own."""
        if extent not in self.aliases and _quotients(extent):
            name = self.fresh(wanted)
            key = f"{name}{PRIVATE}extent"
            self.names[key] = name
            self.aliases[extent] = key

    def spell(self, value: Size) -> Code:
        """The source of a size."""
        return self._spell(self._with_aliases(value))

    def _spell(self, value: Size) -> Code:
        if not value.terms:
            return Code("0")
        total: Code | None = None
        terms = sorted(value.terms, key=self._order)
        added = next((term for term in terms if term[1] > 0), terms[0])
        terms.remove(added)
        for mono, n in (added, *terms):
            part = self._monomial(mono, abs(n))
            if total is None:
                total = part if n > 0 else minus(part)
            else:
                total = binary("+" if n > 0 else "-", total, part)
        assert total is not None
        return total

    def _order(self, term: tuple[Monomial, int]) -> tuple[bool, bool, bool]:
        """A loop's variable first, numbers and what is subtracted last. What comes first of all
        is added."""
        mono, n = term
        return not any(atom in self.locals for atom in mono), not mono, n < 0

    def _monomial(self, mono: Monomial, n: int) -> Code:
        total: Code | None = Code(str(n)) if n != 1 or not mono else None
        for atom in mono:
            if isinstance(atom, str):
                part = Code(self.name(atom))
            else:
                part = binary("//", self._spell(atom.numerator), self._spell(atom.denominator))
            total = part if total is None else binary("*", total, part)
        assert total is not None
        return total

    def _with_aliases(self, value: Size) -> Size:
        for extent, key in self.aliases.items():
            mono, n = _quotients(extent)[0]
            found = dict(value.terms).get(mono, 0)
            if found and found % n == 0:
                times = found // n
                value = value - extent * times + size(key) * times
        return value

    def head(self, text: str) -> tuple[list[str], list[str]]:
        """The lines that bind the sizes which ``text`` mentions, and the names of those that no
        shape gives."""
        used = set(re.findall(r"[A-Za-z_]\w*", text))
        needed = [k for k, name in self.names.items() if name in used and k not in self.locals]
        aliases = [k for k in needed if k in self.aliases.values()]
        plain = [k for k in needed if k not in aliases]
        lines, known = self._solve(needed)
        computed = [key for key in aliases if key not in known]
        if computed:
            more = [n for key in computed for n in self._extent_of(key).names()]
            plain = list(dict.fromkeys([*plain, *more]))
            needed = [*plain, *(k for k in aliases if k not in computed)]
            lines, known = self._solve(needed)
        if any(key not in known for key in plain):  # to solve for one, others may be needed
            every = [n for t in self.inputs for form in t.shape for n in form.names()]
            both, more_known = self._solve(list(dict.fromkeys([*needed, *every])))
            if sum(k in more_known for k in plain) > sum(k in known for k in plain):
                lines, known = both, more_known
        for key in computed:
            value = self._spell(self._extent_of(key))
            lines.append(f"{self.names[key]} = {value}")
        return lines, [self.name(key) for key in sorted(plain) if key not in known]

    def _extent_of(self, key: str) -> Size:
        return next(extent for extent, own in self.aliases.items() if own == key)

    def _solve(self, needed: Sequence[str]) -> tuple[list[str], set[str]]:
        known: set[str] = set()
        lines = self._unpacked(needed, known)
        progress = True
        while progress:
            progress = False
            for tensor in self.inputs:
                for axis, form in enumerate(tensor.shape):
                    line = self._solved(tensor, axis, form, needed, known)
                    if line:
                        lines.append(line)
                        progress = True
        return lines, known

    def _unpacked(self, needed: Sequence[str], known: set[str]) -> list[str]:
        """Binds the sizes that are just an axis of some input, several at a time."""
        lines: list[str] = []
        while True:
            best, gain = None, list[str]()
            for tensor in self.inputs:
                found = [k for k in map(self._key, tensor.shape) if k in needed and k not in known]
                if len(dict.fromkeys(found)) > len(gain):
                    best, gain = tensor, [k for k in dict.fromkeys(found) if k]
            if best is None:
                return lines
            known.update(gain)
            lines.append(self._line(best, gain))

    def _line(self, tensor: Tensor, gain: Sequence[str]) -> str:
        keys = [self._key(form) for form in tensor.shape]
        shape = f"{self.read(tensor)}.shape"
        if len(gain) == 1:
            return f"{self.name(gain[0])} = {shape}[{keys.index(gain[0])}]"
        parts = [
            self.name(k) if k in gain and k and keys.index(k) == n else "_"
            for n, k in enumerate(keys)
        ]
        skipped = next(n for n, part in enumerate(parts) if part != "_")
        if skipped > 1 and "_" not in parts[skipped:]:
            return f"{', '.join(parts[skipped:])} = {shape}[{skipped}:]"
        return f"{', '.join(parts)} = {shape}"

    def _key(self, form: Size) -> str | None:
        return form.names()[0] if is_name(form) else self.aliases.get(form)

    def _solved(
        self, tensor: Tensor, axis: int, form: Size, needed: Sequence[str], known: set[str]
    ) -> str:
        """A line that solves a compound extent for its one size that isn't known."""
        unknown = [name for name in form.names() if name not in known]
        if len(unknown) != 1 or unknown[0] not in needed:
            return ""
        name = unknown[0]
        slope = [(mono, n) for mono, n in form.terms if name in mono]
        if len(slope) != 1 or slope[0][0].count(name) != 1:
            return ""
        mono, n = slope[0]
        factor = Size(((tuple(atom for atom in mono if atom != name), n),))
        rest = form - Size(((mono, n),))
        if name in rest.names() or name in factor.names():
            return ""
        value: Code = Code(f"{self.read(tensor)}.shape[{axis}]")
        if rest.terms:
            less = all(n > 0 for _, n in rest.terms)
            value = binary("-" if less else "+", value, self._spell(rest if less else -rest))
        if factor.literal != 1:
            value = binary("//", value, self._spell(factor))
        known.add(name)
        return f"{self.name(name)} = {value}"


def _quotients(value: Size) -> list[tuple[Monomial, int]]:
    """The terms with a floor quotient."""
    return [(mono, n) for mono, n in value.terms if any(isinstance(a, FloorQuotient) for a in mono)]
