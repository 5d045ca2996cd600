"""LaTeX for papers: styles, names, lines, values, and what TeX says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.cli import main
from pullback.derivation import Derivation
from pullback.derivation.fragment import NEEDS, drawn
from pullback.errors import ArgumentError
from pullback.ir.expr import Arg, Reduce, Tensor
from pullback.ir.interpret import Array, define, fill
from pullback.ir.program import Define
from pullback.ir.walk import nodes
from pullback.layers import LAYERS
from pullback.notation.latex import Latex
from pullback.notation.naming import STYLES, checked_latex
from pullback.notation.typeset import broken, pieces

from .notation.latex_reader import Reader, equations
from .properties.random_names import PLAIN, commands, formula
from .properties.random_programs import Maker

LAYER_NORM = """\
mu[n] = mean(d) X[n,d]
v[n] = mean(d) (X[n,d] - mu[n])**2
x_hat[n,d] = (X[n,d] - mu[n])/sqrt(v[n] + 1e-5)
Y[n,d] = gamma[d]*x_hat[n,d] + beta[d]
"""


@cache
def layer_norm() -> Derivation:
    """The derivation of a layer norm."""
    return pullback.derive(LAYER_NORM)


SIZES = {"N": 2, "M": 3, "K": 2, "D": 3}


def arrays_for(derivation: Derivation, random: Random) -> dict[str, Array]:
    """Values for every tensor that a backward pass reads or makes; they need not fit each other."""
    passes = derivation.backward
    made = [s.target for s in (*derivation.shared, *passes.forward.statements, *passes.statements)]
    found = {}
    for tensor in (*passes.program.inputs, *passes.cotangents, *made):
        shape = tuple(n.value(SIZES) for n in tensor.shape)
        flat = [_drawn(tensor, random) for _ in product(*map(range, shape))]
        found[tensor.name] = Array(shape, flat)
    if len(passes.cotangents) == 1 and not passes.cotangents[0].shape:
        found[passes.cotangents[0].name] = Array((), [1.0])
    return found


def _drawn(tensor: Tensor, random: Random) -> float:
    return random.uniform(-1, 1) if tensor.kind == "float" else random.randrange(2)


def check_values(
    derivation: Derivation, style: str, width: float, seed: int, name: str | None = None
) -> int:
    """Reads a fragment back, as it is printed, and evaluates it beside the interpreter: each
    statement for itself, or, of one gradient, every equation at the values that belong together."""
    passes = derivation.backward
    arrays = arrays_for(derivation, Random(seed))
    statements = (*derivation.shared, *passes.statements)
    if name is not None:
        statements = (*passes.forward.statements, *passes.statements)
        fill(arrays, statements, SIZES)
    found = equations(derivation.latex(name, style=style, width=width))
    look = Latex(drawn(derivation, style).look)
    tensors: dict[tuple[str, str], Any] = {}
    for made, array in arrays.items():
        before, _, behind = look.read(made, ["@"] if array.shape else []).partition("@")
        tensors[before, behind] = array.tolist()
    letters = {look.word(size): value for size, value in SIZES.items()}
    shared = _extents(statements, look) if name is not None else {}
    checked = 0
    for s in statements:
        text = found.get(look.show(s.access))
        extents = _extents([s], look) if name is None else shared
        if text is None or extents is None:  # put in place, or one letter for two extents
            continue
        value = Reader(tensors, letters, extents).read(text)
        wanted = arrays[s.target.name] if name is not None else define(s, arrays, SIZES)
        indices = [look.index(i) for i in s.indices]
        places = product(*(range(extents[i]) for i in indices))
        got = [value(dict(zip(indices, place, strict=True))) for place in places]
        assert got == pytest.approx(wanted.flat, rel=1e-7, abs=1e-9, nan_ok=True), text
        checked += 1
    return checked


def _extents(statements: Sequence[Define], look: Latex) -> dict[str, int] | None:
    """The extents of all indices; None where a letter has two, or an arg is taken."""
    found: dict[str, int] = {}
    every = [node for s in statements for node in nodes(s.body)]
    bound = [i for node in every if isinstance(node, Reduce) for i in node.indices]
    for index in (*(i for s in statements for i in s.indices), *bound):
        extent = index.extent.value(SIZES)
        if found.setdefault(look.index(index), extent) != extent:
            return None
    return None if any(isinstance(node, Arg) for node in every) else found


@pytest.mark.parametrize("seed", range(2, 12))
def test_what_is_printed_has_the_value_of_what_runs(seed: int) -> None:
    derivation = Derivation(reverse(Maker(Random(seed)).program()))
    width = (8.0, 12.0, 31.0)[seed % 3]
    assert check_values(derivation, STYLES[seed % 4], width, seed) or not derivation.shared
    for of in derivation.backward.wrt:
        check_values(derivation, STYLES[seed % 4], width, seed, of.name)


def test_layer_norm_reads_back_with_what_is_put_in_place() -> None:
    for style in STYLES:
        for name in ("X", "gamma", "beta"):
            found = equations(layer_norm().latex(name, style=style))
            assert check_values(layer_norm(), style, 12, 1, name) == len(found)


# What is in a fragment


def test_one_gradient_comes_with_what_it_is_computed_from() -> None:
    made = layer_norm()
    found = equations(made.latex("X", style="bar"))
    assert [left.split("_")[0] for left in found] == [
        r"\bar{\hat{x}}", r"\bar{X}", r"\mu", "t^{(1)}", "v", "t^{(2)}", r"\hat{x}",
    ]  # fmt: skip
    assert [left.split("_")[0] for left in equations(made.latex("beta"))] == [r"\mathrm{d}\beta"]
    assert "where" not in made.latex("beta") and "where" not in made.latex()
    with pytest.raises(ArgumentError, match="did you mean gamma"):
        made.latex("gama")


@pytest.mark.parametrize("seed", range(0, 24, 3))
def test_every_name_is_defined_once_and_before_it_is_read(seed: int) -> None:
    """In "where", and of gradients; what is left are inputs and upstream gradients."""
    derivation = Derivation(reverse(Maker(Random(seed)).program()))
    passes = derivation.backward
    look = Latex(drawn(derivation).look)
    heads = {
        look.read(t.name, ["@"] if t.shape else []).partition("@")[0]: t.name for t in _all(passes)
    }
    given = {t.name for t in (*passes.program.inputs, *passes.cotangents)}
    for of in passes.wrt:
        gradients, _, where = derivation.latex(of.name, width=None).partition("\nwhere\n")
        known = set(given)
        for text in (where, gradients):
            for left, right in equations(text).items():
                read = {n for head, n in heads.items() if _names_in(right, head)}
                assert read <= known, (read - known, right)
                made = max((h for h in heads if left.startswith(h)), key=len)
                assert heads[made] not in known
                known.add(heads[made])


def _all(passes: Any) -> list[Tensor]:
    made = [s.target for s in (*passes.forward.statements, *passes.statements)]
    return [*passes.program.inputs, *passes.cotangents, *made]


def _names_in(text: str, head: str) -> bool:
    """Whether a name is read: not as the end of another one, dX of d2dX."""
    return re.search(rf"(?<![a-zA-Z}}]){re.escape(head)}(?![a-zA-Z_^])", text) is not None


def test_gradients_of_gradients_are_derivatives_of_second_order() -> None:
    scalar = pullback.derive("L[] = exp(w[])*a[]").gradient("w").derive()
    assert equations(scalar.latex("w", style="partial")) == {
        r"\frac{\partial^{2} L}{\partial w^{2}}": "L", "L": r"\exp\left(w\right) \, a",
    }  # fmt: skip
    assert r"\frac{\partial^{2} L}{\partial w \, \partial a}" in scalar.latex(style="partial")
    square = pullback.derive("L[] = sum(i) a[i]*x[i]**2")
    twice = square.gradient("x").derive(wrt="x")
    inner = r"\frac{\partial L}{\partial x_{i}}"
    assert equations(twice.latex(style="partial")) == {
        r"\frac{\partial \mathcal{L}}{\partial x_{i}}":
        rf"2 \, a_{{i}} \, \frac{{\partial \mathcal{{L}}}}{{\partial {inner}}}",
    }  # fmt: skip
    assert equations(twice.latex(style="bar")) == {
        r"{}^{2}\bar{x}_{i}": r"2 \, a_{i} \, {}^{2}\bar{\bar{x}}_{i}"
    }
    moving = twice.pushforward()
    assert equations(moving.latex(style="partial", loss="J")) == {
        r"\frac{\partial \dot{L}}{\partial x_{i}}": r"2 \, a_{i} \, \dot{x}_{i}"
    }
    hessian = square.hessian("x").latex(loss=r"\mathcal{L}", names={"x": r"\theta"})
    assert r"\frac{\partial^{2} \mathcal{L}}{\partial \theta^{2}} &=" in hessian


def test_the_loss_itself_has_no_gradient_in_partial_derivatives() -> None:
    """∂L/∂L is 1; with a loss of which the results are only parts, L stands for that."""
    fit = pullback.derive("L[] = sum(n) (X[n] - T[n])**2")
    assert r"\partial L}{\partial L" not in fit.latex(style="partial")
    assert r"\mathrm{d}L" in fit.latex() and r"\bar{L}" in fit.latex(style="bar")
    parts = pullback.derive("L[n] = X[n]**2")
    assert r"\frac{\partial \mathcal{L}}{\partial L_{n}}" in parts.latex(style="partial")


def test_gradients_are_set_apart_where_something_stands_beside_them() -> None:
    affine = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    shown = {style: affine.latex("b", style=style, matrix=True) for style in STYLES}
    assert (
        r"= {\left(\frac{\partial L}{\partial Y}\right)}^{\top} \, \mathbf{1}" in shown["partial"]
    )
    assert r"= {\left(\delta^{Y}\right)}^{\top}" in shown["delta"]
    assert r"= {\bar{Y}}^{\top}" in shown["bar"] and r"= {\mathrm{d}Y}^{\top}" in shown["d"]
    quotient = pullback.derive("Y[n] = X[n]*w[]/(a[]*b[])").latex("X", style="partial")
    double = pullback.derive("Y[n] = 2*X[n]").latex(style="partial")
    assert r"= 2 \, \frac{\partial L}{\partial Y_{n}}" in double
    assert r"= \frac{w}{a \, b} \, \frac{\partial L}{\partial Y_{n}}" in quotient


def test_what_arrives_at_a_value_is_not_its_whole_gradient() -> None:
    text = "A[n,m] = sum(d) X[n,d]*W[d,m]\nL[] = sum(n,m) A[n,m]**2\nreturn A, L"
    found = equations(pullback.derive(text).latex("W", style="partial"))
    whole = r"\frac{\partial \mathcal{L}}{\partial A_{n,m}}"
    assert r"\mathrm{d}A_{n,m}" in found[whole] and whole not in found[whole]


def test_what_gradients_are_taken_by_is_defined() -> None:
    neuron = pullback.derive("y = sigmoid(w[]*x[] + b[])").latex("w", style="partial")
    found = equations(neuron)
    assert r"\frac{\partial y}{\partial t_{1}}" in neuron and found["t_{1}"] == r"w \, x + b"
    layers = pullback.derive("H[n,k] = sum(d) X[n,d]*V[d,k]\nY[n,m] = sum(k) H[n,k]*W[k,m]")
    assert [*equations(layers.latex("X", style="bar"))][-1] == "H_{n,k}"  # which no line reads


# Names


def test_names_that_would_be_drawn_alike_are_spelled_out() -> None:
    made = pullback.derive("X_bar[i] = exp(X[i])\nY[i] = X_bar[i]*lam[i]*lambda[i]")
    plain, bar = made.latex("lam"), made.latex("lam", style="bar")
    assert r"\bar{X}_{i}" in plain and r"\text{X\_bar}_{i}" in bar
    assert r"\lambda_{i}" in plain  # either of the two, and the other one as text
    assert (r"\text{lambda}_{i}" in plain) != (r"\text{lam}_{i}" in plain)
    two = pullback.derive("Y[i] = X[i]*W_1[i]*W1[i]").latex("X")
    assert r"W^{(1)}_{i}" in two and r"\text{W\_1}_{i}" in two


def test_a_shared_sum_is_not_drawn_as_a_gradient() -> None:
    """Nor is what arrives at a result that is read, too, beside the whole gradient of it."""
    derivation = Derivation(reverse(Maker(Random(354)).program()))
    text = derivation.latex(style="partial")
    assert r"\mathrm{sum}^{(1)}_{i_{2}} &=" in text
    assert text.count(r"\frac{\partial L}{\partial Y^{(0)}_{i_{1},i_{2}}} &=") == 1


def test_names_of_the_users() -> None:
    made = layer_norm()
    names = {"v": r"\sigma^2", "gamma": r"\mathbf{g}_1", "n": "b", "d": "i", "x_hat": r"\xi"}
    text = made.latex("X", style="bar", names=names, width=None)
    assert r"\bar{\xi}_{b,i} &= \mathbf{g}_{1;i} \, \bar{Y}_{b,i}" in text
    assert r"\sum_{i_{2}} \bar{\xi}_{b,i_{2}} \, \xi_{b,i_{2}}" in text
    assert r"\sigma^2_{b} + 10^{-5}" in text
    partial = made.latex("gamma", style="partial", names=names, loss=r"\mathcal{L}")
    assert r"\frac{\partial \mathcal{L}}{\partial \mathbf{g}_{1;i}} &= \sum_{b}" in partial
    squared = pullback.derive("Y[n] = v[n]**3").latex(names={"v": r"\sigma^2"})
    assert r"{\left(\sigma^2_{n}\right)}^{2}" in squared
    assert r"\overline{\sigma^2}_{n} &=" in pullback.derive("Y[n] = v[n]**3").latex(
        style="bar", names={"v": r"\sigma^2"}
    )
    moved = made.pushforward().latex(names={"X": r"\mathbf{X}"})
    assert r"\dot{\mathbf{X}}_{n,d}" in moved
    jacobian = made.jacobian("Y", "X").latex(names={"n": "b", "gamma": "g"})
    assert r"\partial X_{b^{\prime},d^{\prime}}" in jacobian and r"\left(g\right)" in jacobian


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "}{", "{", "a\\", "x_", "^x", "x_1_2", "x'^2", "$x$", "%", "a & b", "a#b", "x\ny",
     r"a \\ b", r"\end{align}", r"\left(x\right)", r"W_\mathrm{x}", r"\hat{x^}", "x\x1b", "a~b", 3],
)  # fmt: skip
def test_latex_that_is_no_name_is_refused(text: Any) -> None:
    made = pullback.derive("Y[n] = v[n]**3")
    for names, loss in (({"v": text}, None), (None, text)):
        with pytest.raises(ArgumentError, match="can't be drawn as a name"):
            made.latex(names=names, loss=loss)
    with pytest.raises(ArgumentError):
        checked_latex(text, "names")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "parial"}, "did you mean partial"),
        ({"style": 3}, "no such style"),
        ({"names": {"gama": "x"}}, "did you mean gamma"),
        ({"names": {"gamma": "g", "beta": "g"}}, "drawn alike"),
        ({"names": {"gamma": r"\mu"}}, "gamma and mu would be drawn alike"),
        ({"names": {"gamma": "d"}}, "gamma and d would be drawn alike"),
        ({"names": {"d": "n"}}, "d and n would be drawn alike"),
        ({"loss": "Y"}, "another name is drawn as the loss"),
        ({"names": "X"}, "names come by name"),
        ({"width": 2}, "no width of a column"),
        ({"width": float("nan")}, "no width of a column"),
        ({"width": "20"}, "no width of a column"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        layer_norm().latex("X", **options)


def test_a_loss_has_one_name() -> None:
    made = pullback.derive("L[] = sum(i) x[i]**2")
    assert made.latex(names={"L": "J"}, loss="J") == made.latex(loss="J")
    with pytest.raises(ArgumentError, match="L is the loss and has two names"):
        made.latex(names={"L": "J"}, loss="K")


# How odd names are drawn, and broken where they are long.
ODD = {"text", "textbackslash", "textasciicircum", "textasciitilde", *"_{}$&#%", "overline"}
ODD |= {"notag", "quad", "cdot", "bigl", "bigr", "biggl", "biggr"}


@pytest.mark.parametrize("style", STYLES)
def test_names_of_programs_are_text_in_every_style(style: str) -> None:
    plain = commands(pullback.derive(formula()).latex(style=style))
    for odd in ("\\input", "}{", "$$", "%", "#", "a^_&~", "\\left(", " + ", "\\,", "\\\\", "é"):
        text = pullback.derive(formula([f"{odd}{n}" for n in PLAIN])).latex(style=style)
        assert commands(text) <= plain | ODD
        assert text.count("&") - text.count("\\&") == text.count("\n  ")


# Lines

_COMMAND = re.compile(r"\\(?:[a-zA-Z]+|.)")
_COMMANDS = {
    *_COMMAND.findall(
        r"""\\\,\_ \begin\end\bar\dot\hat\overline\partial\mathrm\text\operatorname\prime\top
        \left\right\bigl\bigr\biggl\biggr\lfloor\rfloor\frac\sqrt\sum\prod\max\min\cdot\notag\quad
        \land\lor\lnot\le\ne\mid\bmod\infty\exp\log\sin\cos\cosh\tanh\det
        \alpha\beta\gamma\delta\epsilon\theta\lambda\mu\pi\rho\sigma\Phi"""
    )
}


def check_structure(text: str) -> None:
    """Braces and brackets in pairs, one & a line, known commands, numbers for whole equations."""
    first, rest = text.split("\n", 1)
    assert first == NEEDS
    assert {*_COMMAND.findall(rest)} <= _COMMANDS
    for block in re.findall(r"\\begin\{align\}\n(.*?)\n\\end\{align\}", rest, re.DOTALL):
        opened: list[str] = []
        for line in block.split("\n"):
            cells = re.sub(r"\\begin\{cases\}.*\\end\{cases\}", "", line)
            assert cells.count("&") == 1
            assert line.endswith(r"\notag \\") or "&=" in line or r"&\quad" in line
            depth = 0
            for sign in re.sub(r"\\.", "", line):
                depth += (sign == "{") - (sign == "}")
                assert depth >= 0
            assert depth == 0
            assert line.count(r"\left") == line.count(r"\right")
            for size, side, sign in re.findall(r"\\(bigg?)([lr])([(\[|)\]])", line):
                if side == "l":
                    opened.append(size + sign)
                else:
                    assert opened.pop() == size + {")": "(", "]": "[", "|": "|"}[sign]
        assert not opened
    assert rest.count(r"\begin{") == rest.count(r"\end{")


# Those that take longest to derive are left out.
QUICK = [kind for name, kind in LAYERS.items() if not re.search("rnn|lstm|gru|norm|att|pix", name)]


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.name)
def test_lines_of_layers_are_well_formed(kind: Any) -> None:
    derivation = kind().derive()
    name = derivation.backward.wrt[0].name
    for style, gradient, width in zip(STYLES, (None, name) * 2, (31, 31, 14, 14), strict=True):
        check_structure(derivation.latex(gradient, style=style, width=width))


@pytest.mark.parametrize("seed", range(100, 104))
def test_lines_of_random_programs_fit_and_are_well_formed(seed: int) -> None:
    derivation = Derivation(reverse(Maker(Random(seed)).program()))
    for style in STYLES:
        check_structure(derivation.latex(style=style, width=8 + seed % 20))


def test_long_formulas_are_broken_at_sums_first() -> None:
    terms = [rf"a_{{{k}}} \, b_{{{k}}}" for k in range(12)]
    lines = broken(" + ".join(terms), 20)
    assert len(lines) > 1 and all(line.startswith(r"\quad + ") for line in lines[1:])
    for line in lines:
        assert sum(part.width for part in pieces(line)) <= 20
    inner = " - ".join(terms)
    held = broken(rf"\frac{{1}}{{N}} \, \left({inner}\right)", 20)
    assert held[0].count(r"\bigl(") == 1 and held[-1].endswith(r"\bigr)")
    assert all(line.startswith(r"\quad\quad - ") for line in held[1:])
    tall = broken(rf"\left(\frac{{x}}{{y}} + {' + '.join(terms)}\right) \, c", 20)
    assert r"\biggl(" in tall[0] and r"\biggr)" in tall[-1]


def test_fractions_roots_and_powers_wider_than_a_line_are_written_to_be_broken() -> None:
    wide = " + ".join(f"a_{{{k}}}" for k in range(20))
    assert broken(rf"\frac{{{wide}}}{{N}}", 15)[0].startswith(r"\frac{1}{N} \, \bigl(a_{0}")
    assert broken(rf"\sqrt{{{wide}}}", 15)[-1].endswith(r"\bigr)^{1/2}")
    assert broken(rf"{{\left({wide}\right)}}^{{3}}", 15)[-1].endswith(r"\bigr)^{3}")
    assert len(broken(rf"X_{{{wide}}}", 15)) == 1  # never in a subscript
    assert len(broken(rf"\frac{{{wide}}}{{N}}^{{2}}", 15)) == 1  # that would square the last factor
    short = broken(
        r"A_{n,m-J} \, z_{n,m-J} \, \left(1 - z_{n,m-J}\right) \, \left(P - c_{n}\right)", 16
    )
    assert len(short) == 2 and "big" not in "".join(short)
    derivative = rf"\frac{{\partial L}}{{\partial X_{{{wide}}}}} \, c"
    assert r"\frac{1}" not in "".join(broken(derivative, 10))  # it is no quotient


def test_nothing_is_broken_without_a_width() -> None:
    text = layer_norm().latex("X", width=None)
    assert r"\notag" not in text and r"\notag" in layer_norm().latex("X", width=15)


# The notebook, the command, TeX


def test_a_notebook_shows_one_aligned_block() -> None:
    made = layer_norm()
    shown = made._repr_latex_()
    assert shown.startswith("$$\\begin{aligned}\n") and shown.endswith("\\end{aligned}$$")
    assert shown.count("&") == len(made.backward.statements) + len(made.shared)
    assert "%" not in shown and r"\notag" not in shown


def test_the_command_writes_latex(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = layer_norm()
    options = ["--style", "partial", "--name", r"v=\sigma^2", "--loss", r"\mathcal{L}"]
    assert main(["derive", LAYER_NORM, "--latex", "X", *options, "--width", "20"]) == 0
    names, loss = {"v": r"\sigma^2"}, r"\mathcal{L}"
    wanted = made.latex("X", style="partial", names=names, loss=loss, width=20)
    assert capsys.readouterr().out == wanted + "\n"
    file = tmp_path / "gradients.tex"
    assert main(["derive", LAYER_NORM, "--out", str(file), "--style", "bar", "--matrix"]) == 0
    assert file.read_text() == made.latex(style="bar", matrix=True) + "\n"
    for refused in (
        ["--style", "bar"],
        ["--latex", "--format", "html"],
        ["--latex", "--name", "v"],
    ):
        assert main(["derive", LAYER_NORM, *refused]) == 2
        assert "LaTeX" in capsys.readouterr().err or "--name" in refused


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="TeX is not installed")
def test_tex_sets_fragments_without_an_overfull_line(tmp_path: Path) -> None:
    """In one column at the usual width and in two at theirs; with names from all over."""
    odd = "Y[i] = `é`[i]*`α`[i]*`the weights`[i]*`a_{b}%$#&~^\\\\`[i]/score[i]"
    derivations = [layer_norm(), pullback.derive(odd)]
    for options, width in (("", 31.0), ("twocolumn", 20.0)):
        body = [rf"\documentclass[{options}]{{article}}\usepackage{{amsmath}}\begin{{document}}"]
        for made in derivations:
            body += [made.latex(style=style, width=width) for style in STYLES]
            body += [made.latex(t.name, width=width) for t in made.backward.wrt]
            body.append(made.latex(matrix=True, width=width))
            body.append(made.pushforward().latex(width=width))
        body.append(made.jacobian()._repr_latex_())
        file = tmp_path / f"paper{options}.tex"
        file.write_text("\n\n".join([*body, r"\end{document}"]), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        log = done.stdout.decode(errors="replace")
        assert done.returncode == 0, log[-2000:]
        assert "Overfull \\hbox" not in log
