"""What stands on a page of the book."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A section: its name in links, its title, its HTML."""

    anchor: str
    title: str
    inner: str


@dataclass(frozen=True)
class Chapter:
    """A page: the HTML before its first section, and the sections."""

    lead: str
    parts: tuple[Part, ...]
