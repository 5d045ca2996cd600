"""How names are drawn: Greek letters, accents, gradients, numbers at their ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

GREEK: dict[str, str] = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "lam": "λ", "mu": "μ",
    "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
"""Names of Greek letters."""

COMMANDS = {"eps": "epsilon", "lam": "lambda"}
"""Greek letters whose LaTeX command is not their name."""

ACCENTS: dict[str, tuple[str, str]] = {
    "hat": ("\u0302", r"\hat"), "bar": ("\u0304", r"\bar"), "tilde": ("\u0303", r"\tilde"),
    "dot": ("\u0307", r"\dot"), "vec": ("\u20d7", r"\vec"),
}  # fmt: skip
"""Endings that are accents: a combining character and a LaTeX command."""

_GREEK = "|".join(sorted(GREEK, key=len, reverse=True))
_STEM = rf"(?:{_GREEK}|[^\W\d_])"
_PLAIN = rf"[A-Z]\w*'*|{_STEM}[0-9]*'*|{_STEM}_\w+'*"
_GRADIENT = re.compile(rf"d(?P<order>[2-9]|1[0-9])?(?P<of>(?:d(?:[2-9]|1[0-9])?)*(?:{_PLAIN}))\Z")
_NAME = re.compile(r"(?P<stem>[^\W\d_]+)(?P<rest>(?:_\w+)?)(?P<number>[0-9]*)(?P<primes>'*)\Z")


@dataclass(frozen=True)
class Letter:
    """The parts of a name: ``d`` in front, a stem, an accent, a label, a number, primes.

    ``orders`` are those of the d's of a gradient, from the left: ("2", "") of ``d2dX``.
    """

    gradient: bool
    stem: str
    accent: str = ""
    label: str = ""
    number: str = ""
    primes: str = ""
    orders: tuple[str, ...] = ()


def letter(name: str) -> Letter:
    """A name taken apart.

    >>> letter("x_hat")
    Letter(gradient=False, stem='x', accent='hat', label='', number='', primes='', orders=())
    >>> letter("W1").number
    '1'
    >>> letter("d2dX").orders
    ('2', '')
    """
    if name.startswith("t_") and len(name) > 2:  # a tangent
        inner = letter(name[2:])
        if not inner.accent:
            return replace(inner, accent="dot")
    found = _GRADIENT.match(name)
    if found:
        inner = letter(found["of"])
        orders = (found["order"] or "", *inner.orders)
        return replace(inner, gradient=True, orders=orders)
    whole = _NAME.match(name)
    if whole is None:
        return Letter(False, name)
    rest, accent, number = whole["rest"].lstrip("_"), "", whole["number"]
    if rest:
        tail = re.match(r"(.*?)([0-9]*)\Z", rest)
        if tail:
            rest, number = tail[1].rstrip("_"), tail[2] + number
    for ending in ACCENTS:
        if rest == ending or rest.startswith(f"{ending}_"):
            accent, rest = ending, rest[len(ending) + 1 :]
    return Letter(False, whole["stem"], accent, rest, number, whole["primes"])
