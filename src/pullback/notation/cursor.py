"""A place in the tokens of a text, and refusals that point at it."""

from __future__ import annotations

from typing import NoReturn

from ..errors import LimitError, NotationError, PullbackError
from .limits import MAX_NODES
from .tokens import Token, refuse, tokens
from .tree import Part


class Cursor:
    """Takes the tokens of a text one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0
        self.depth = 0
        self.nodes = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def look(self, ahead: int) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.tokens[self.position]
        if token.kind != "eof":
            self.position += 1
        self.nodes += 1
        if self.nodes > 4 * MAX_NODES:
            self.fail(token, "the text has too many parts", kind=LimitError)
        return token

    def at(self, *texts: str) -> bool:
        token = self.next
        return token.kind in ("operator", "name") and token.text in texts

    def expect(self, text: str, purpose: str) -> Token:
        if not self.at(text):
            self.fail(self.next, f"{text!r} is missing {purpose}", found=self.describe(self.next))
        return self.take()

    def name(self, purpose: str) -> Token:
        if self.next.kind not in ("name", "quoted"):
            self.fail(self.next, f"{purpose} needs a name", found=self.describe(self.next))
        return self.take()

    def describe(self, token: Token) -> str:
        return {"eof": "the end of the text", "end": "the end of the statement"}.get(
            token.kind, repr(token.text)
        )

    def fail(
        self, place: Token | Part, message: str, *, expected: str = "", found: str = "",
        hint: str = "", kind: type[PullbackError] = NotationError,
    ) -> NoReturn:  # fmt: skip
        raise refuse(
            self.text, place.start, place.end, message,
            expected=expected, found=found, hint=hint, kind=kind,
        )  # fmt: skip
