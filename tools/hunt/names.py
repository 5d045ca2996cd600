"""The same program under names and keys from all of Unicode: only names may differ."""

from __future__ import annotations

from random import Random

import numpy as np

import pullback
from pullback.errors import PullbackError
from tests.properties.random_names import (
    PLAIN,
    controls,
    draw_name,
    formula,
    function,
    is_allowed,
    parts,
    tags,
    tree,
    views,
)

from .outcome import Undefined, Wrong, expect_equal


def names(rng: Random) -> None:
    """Index notation under other names, or a function of a dict with other keys."""
    (keys if rng.randrange(3) == 0 else notation)(rng)


def notation(rng: Random) -> None:
    drawn = [draw_name(rng) if rng.randrange(2) else plain for plain in PLAIN]
    if len(set(drawn)) < len(drawn):
        raise Undefined
    try:
        derived = pullback.derive(formula(drawn))
    except PullbackError as refused:
        if is_allowed(drawn):
            raise Wrong(f"names that are allowed are refused: {drawn!r}: {refused}") from refused
        if controls(str(refused)):
            raise Wrong(f"control characters in an error about {drawn!r}") from refused
        raise
    plain = pullback.derive(formula())
    for style in ("compact", "flat"):
        source = derived.source(style=style)
        if controls(source) or parts(source) != parts(plain.source(style=style)):
            raise Wrong(f"the {style} source changes with the names {drawn!r}")
    X, w = np.array([[1.0, 2], [3, 4]]), np.array([0.5, -0.25])
    forward, backward = derived.compile()
    value, cache = forward(X, w)
    expect_equal(f"the value under {drawn!r}", value, np.sin(w) * (X @ w) / 2 + np.exp(w))
    dX = backward(np.ones(2), cache)[drawn[0]]
    expect_equal(f"the gradient under {drawn!r}", dX, (np.sin(w) / 2)[:, None] * w)
    if rng.randrange(8) == 0:
        shown, usual = views(derived), views(plain)
        for view, text in shown.items():
            if controls(text):
                raise Wrong(f"control characters in the {view} of {drawn!r}")
        if tags(shown["page"])[0] != tags(usual["page"])[0]:
            raise Wrong(f"the tags of the page change with the names {drawn!r}")


def keys(rng: Random) -> None:
    pair = [draw_name(rng), draw_name(rng)]
    if pair[0] == pair[1]:
        raise Undefined
    called, shapes = function(pair)
    plain, own = function(["a", "b"])
    if tree(pullback.derive(called, p=shapes).source()) != tree(
        pullback.derive(plain, p=own).source()
    ):
        raise Wrong(f"the source changes with the keys {pair!r}")
