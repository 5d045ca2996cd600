"""What stands on a page of the book."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A section: its name in links, its title, its HTML.

    A section with a ``teaser`` is folded: the sentence says what is inside. Those that are
    looked up, ``reference``, stand together at the end.
    """

    anchor: str
    title: str
    inner: str
    teaser: str = ""
    reference: bool = False


@dataclass(frozen=True)
class Chapter:
    """A page: the HTML before its first section, and the sections."""

    lead: str
    parts: tuple[Part, ...]
