"""Text never becomes code, markup or terminal control: programs under all kinds of names."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pullback as pb
from pullback.cli import main
from pullback.errors import PullbackError
from pullback.notation import latex
from pullback.notation.letters import ACCENTS, COMMANDS, GREEK
from pullback.text import forbidden, lines, one_line, visible

from .random_names import (
    NASTY,
    PLAIN,
    allowed_names,
    commands,
    controls,
    formula,
    function,
    is_allowed,
    odd_names,
    odd_texts,
    parts,
    tags,
    tree,
    views,
)

SIX = st.lists(odd_names(), min_size=6, max_size=6, unique=True)

# What names may be drawn with: letters with accents and indices in MathML, and lines where they are
# long; commands in LaTeX.
DRAWN = {
    part
    for tag in (
        "mi", "mn", "mo", "mtext", "mrow", "mspace", "mpadded", "msub", "msup", "msubsup", "mover",
        "mtable", "mtr", "mtd",
    )
    for part in (tag, f"/{tag}")
} | {
    "accent", "mathvariant", "class", "stretchy", "lspace", "rspace", "width", "minsize", "maxsize",
    "displaystyle", "scriptlevel", "style",
}  # fmt: skip
ESCAPES = {
    name
    for table in (
        latex.ESCAPES.values(), (accent for _, accent in ACCENTS.values()),
        (f"\\{COMMANDS.get(name, name)}" for name in GREEK),
    )
    for text in table
    for name in commands(text)
} | {"mathrm", "text", "texttt", "prime", " ", ",", "!"}  # fmt: skip
LINES = {"notag", "quad", "cdot", "bigl", "bigr", "biggl", "biggr"}  # long names break lines


def under(position: int, name: str) -> list[str]:
    """The plain names, one of them replaced."""
    return [name if k == position else plain for k, plain in enumerate(PLAIN)]


@pytest.mark.parametrize("name", ["the weights", "w'", "lambda", "w\u0301", "w#", 'w"""', "w\\"])
def test_a_name_in_the_same_place_gives_the_same_syntax_tree(name: str) -> None:
    source = pb.derive(formula(under(1, name))).source()
    assert tree(source) == tree(pb.derive(formula()).source())


@settings(max_examples=15)
@given(names=SIX | st.lists(allowed_names(), min_size=6, max_size=6, unique=True))
@example(names=under(0, "a\r    __import__('os').environ.__setitem__('PWNED', '1') #"))
@example(names=under(1, "the weights"))
@example(names=["ﬁ", "fi", "\u017f", "s", "K", "\u212a"])
@example(names=["__2x", "X.0", "?0", "#0", "$0", "N of the source"])
@example(names=["self", "np", "forward", "cache", "lambda", "_"])
def test_names_change_nothing_but_names(names: list[str]) -> None:
    plain = pb.derive(formula())
    try:
        derived = pb.derive(formula(names))
    except PullbackError as refused:
        assert not is_allowed(names)
        assert not controls(str(refused))
        return
    assert is_allowed(names)
    for style in ("compact", "flat"):
        source = derived.source(style=style)
        assert not controls(source)
        assert parts(source) == parts(plain.source(style=style))
    X, w = np.array([[1.0, 2], [3, 4]]), np.array([0.5, -0.25])
    forward, backward = derived.compile()
    value, cache = forward(X, **{names[1]: w})
    expected = np.sin(w) * (X @ w) / 2 + np.exp(w)
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(pb.define(formula(names))(X, **{names[1]: w}), expected)
    dX = backward(np.ones(2), cache)[names[0]]
    np.testing.assert_allclose(dX, (np.sin(w) / 2)[:, None] * w)


@settings(max_examples=2)
@given(names=st.lists(allowed_names(), min_size=6, max_size=6, unique=True))
@example(names=["</script>", "<!--", "]]>", '"', "'", "&lt;"])
@example(names=["\\input", "}{", "$$", "%", "#", "\\end{align*}"])
@example(names=["[red]", "[/]", "\ue000", "\u00a0", "X.0", "\\u202e"])
def test_names_are_text_in_every_view(names: list[str]) -> None:
    shown = views(pb.derive(formula(names)))
    plain = views(pb.derive(formula()))
    for kind, text in shown.items():
        assert not controls(text), kind
    around, inside = tags(shown["page"])
    assert around == tags(plain["page"])[0]
    assert inside <= tags(plain["page"])[1] | DRAWN
    assert commands(shown["latex"]) <= commands(plain["latex"]) | ESCAPES | LINES


@settings(max_examples=8)
@given(keys=st.lists(odd_names(), min_size=2, max_size=2, unique=True))
def test_keys_of_dicts_change_nothing_but_names(keys: list[str]) -> None:
    called, shapes = function(keys)
    derived = pb.derive(called, p=shapes)
    plain, own = function(["a", "b"])
    assert tree(derived.source()) == tree(pb.derive(plain, p=own).source())
    w, A = np.array([0.5, -0.25]), np.array([[1.0, 2], [3, 4]])
    gradient = pb.grad(lambda p: called(p).sum())({keys[0]: w, keys[1]: A})
    np.testing.assert_allclose(gradient[keys[1]], np.outer(w, np.sin(w)))
    assert not controls(str(derived)) and not controls(derived._repr_html_())


@settings(max_examples=60)
@given(text=odd_texts(), comment=odd_texts())
def test_errors_hold_no_control_characters(text: str, comment: str) -> None:
    for formula_ in (f"Y[i] = X[i] + {text}", f"Y[i] = (X[i] # {comment}\n + 1)"):
        try:
            derived = pb.derive(formula_)
        except PullbackError as refused:
            assert not controls(str(refused))
        else:
            assert not controls(derived.source())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=odd_texts())
@example(text="\x1b[31m\u202e")
def test_the_command_shows_what_was_typed_as_text(
    text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given_ = text.replace("\0", "").lstrip("-")  # no argument of a command holds \0
    for argv in (
        ["derive", given_],
        ["derive", f"Y[i] = X[i] + {given_}", "--json"],
        ["code", "Y[i] = X[i]", f"--wrt={given_}"],
        ["derive", "Y[i] = X[i]", f"--shape={given_}"],
        ["check", "Y[i] = X[i]", f"--size={given_}"],
        ["derive", "Y[i] = X[i]", given_],
        [given_ or "x"],
    ):
        with contextlib.suppress(SystemExit):
            main(argv)
        out, err = capfd.readouterr()
        assert not controls(out) and not controls(err)


@pytest.mark.parametrize("piece", [p for p in NASTY if forbidden(p)], ids=ascii)
def test_a_name_with_a_forbidden_character_is_refused(piece: str) -> None:
    with pytest.raises(PullbackError) as refused:
        pb.derive(formula(under(0, f"a{piece}b")))
    assert not controls(str(refused.value))


@given(text=st.text())
def test_text_is_shown_on_lines_that_nothing_obeys(text: str) -> None:
    assert visible(text).isprintable()
    assert one_line(text).isprintable()
    assert lines(text).count("\n") == text.count("\n")
    assert not controls(lines(text))
    if text.isprintable():
        assert visible(text) == text
