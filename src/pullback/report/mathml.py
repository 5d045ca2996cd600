"""MathML of formulas, made from their LaTeX: for a browser, without a script or a font."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from math_core import LatexToMathML

_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MACROS = {
    "gradient": r"\mathord{#1}", "ldots": "…",
    "nless": r"\mathrel{≮}", "nleq": r"\mathrel{≰}", "ngtr": r"\mathrel{≯}", "ngeq": r"\mathrel{≱}",
}  # fmt: skip
_CHANGES = {
    # The converter knows no classes: what stands in \mathord, which nothing else does, is padded.
    '<mpadded style="padding-left:0;padding-right:0;">': '<mpadded class="gradient">',
    # The sign of a sum is closed up to a group in braces, which TeX sets apart.
    '<mo lspace="0" rspace="0">∑': '<mo lspace="0">∑',
    '<mo lspace="0" rspace="0">∏': '<mo lspace="0">∏',
    # f(x) is closed up, and products of brackets.
    '<mo lspace="0.1667em">&ApplyFunction;</mo><mrow><mo>(': "<mo>&ApplyFunction;</mo><mrow><mo>(",
    '<mo lspace="0.1667em">(': "<mo>(",
    '<mo lspace="0.1667em">[': "<mo>[",
    '<mo rspace="0.1667em">)': "<mo>)",
    '<mo rspace="0.1667em">]': "<mo>]",
    # Signs that aren't seen are written as XML has them.
    "&ApplyFunction;": "&#x2061;",
    "\u2063": "&#x2063;",
}
# Primes are raised as they are: without a font for mathematics, those of an exponent are too high.
_PRIMED = re.compile(
    r"<msup>(<m[io][^>]*>[^<]*</m[io]>)(<mo>′</mo>|<mrow>(?:<mo>′</mo>)+</mrow>)</msup>"
)


def text(value: str) -> str:
    """``value`` escaped for XML and HTML; what XML can't hold becomes U+FFFD.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return escape(_UNPRINTABLE.sub("\ufffd", value))


def math(tex: str, *, alt: str = "", block: bool = False) -> str:
    r"""The ``<math>`` element of a formula; ``alt`` is the text for who can't see it.

    >>> math(r"\frac{1}{2}", alt="1/2")
    '<math alttext="1/2"><mfrac><mn>1</mn><mn>2</mn></mfrac></math>'
    >>> math(r"\gradient{x}")
    '<math><mpadded class="gradient"><mi>x</mi></mpadded></math>'
    """
    made = _converter().convert_with_local_state(tex, displaystyle=block)
    for before, after in _CHANGES.items():
        made = made.replace(before, after)
    made = _PRIMED.sub(r"<mrow>\1\2</mrow>", made)
    return made.replace("<math", f'<math alttext="{text(alt)}"', 1) if alt else made


@cache
def _converter() -> LatexToMathML:
    """What converts, loaded when the first formula is set."""
    from math_core import LatexToMathML

    return LatexToMathML(macros=_MACROS, fancy_error=False)
