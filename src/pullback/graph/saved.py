"""What text may be saved as: not as a file whose name promises a picture or a document."""

from __future__ import annotations

from ..errors import ArgumentError

DRAWN = (".svg", ".tex")
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".ps", ".eps")


def check_text(ending: str) -> None:
    """Refuses to write text to a file whose name ends like that of a picture or a document.

    >>> check_text(".txt")

    Raises ArgumentError.
    """
    if ending.lower() in (*DRAWN, *PICTURES):
        drawing = "" if ending in DRAWN else ", or in .svg for a drawing where there is one"
        raise ArgumentError(
            f"this is not written as {ending}",
            expected=f"a name that ends in .html or .txt{drawing}",
        )
