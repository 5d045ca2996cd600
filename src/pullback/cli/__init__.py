"""The ``pullback`` command: derive, code, check, dims, book."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from ..errors import ArgumentError, PullbackError
from ..text import json_text, visible
from .book import add_book
from .inputs import names, pairs, shapes, sizes, source, write

if TYPE_CHECKING:
    from ..derivation import Derivation, Status

OK, FAILED, BAD_INPUT, NOT_CHECKED, INTERRUPTED = 0, 1, 2, 3, 130

_ABOUT = """\
Derives the backward pass of a forward pass: the gradient of a loss with respect to each input, in
compact closed form, checked.
"""

_INPUT = """\
INPUT is index notation, or a plain NumPy function:
  "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"    index notation; ; or a new line between statements
  layer.txt                                 a file of index notation
  -                                         index notation from standard input
  model.py:loss                             the function loss in the file model.py
"""

_EXAMPLES = {
    "derive": """\
examples:
  pullback derive "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"
  pullback derive "P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])" --latex S --style partial
  pullback derive model.py:loss --shape X="N D" --shape W="D M" --wrt W --out loss.html
  pullback derive "f = sigmoid(w[]*x[] + b[])" --at w=2,x=-1,b=1
  pullback derive "y[n,m] = sum(d) x[n,d]*w[d,m]" --small N=1,D=2,M=3
  pullback derive "y = sin(x[]**2)/(1 + x[])" --rules
  pullback derive "y[n] = sum(d) x[n,d]*w[d]" --at x=[[1,2]],w=[3,4] --upstream [1]""",
    "code": """\
examples:
  pullback code "Y[i] = X[i]*[X[i] > 0]"
  pullback code "y = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])" --style flat
  pullback code model.py:loss --shape X="N D" --shape W="D M" --out backward.py""",
    "check": """\
examples:
  pullback check "Y[n,m] = sum(d) X[n,d]*W[d,m]" --size N=5 --seed 1
  pullback check model.py:forward --backward model.py:backward --shape X="N D" --shape W="D M"

exit status: 0 the check passed, 1 it failed, 2 the input can't be used, 3 nothing was compared""",
    "dims": """\
examples:
  pullback dims "Y[n,m] = sum(d) X[n,d]*W[d,m]" --wrt W
  pullback dims "H[n,c] = relu(sum(d) X[n,d]*W[d,c])" --wrt W
  pullback dims model.py:loss --shape X="N D" --shape W="D M" --wrt X,W""",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status.

    0 is success, 1 a check that failed, 2 bad input, 3 a check that could check nothing, 130 ^C.

    >>> main(["code", "Y[i] = 2*X[i]", "--size", "N"])
    2
    """
    try:
        arguments = _parser().parse_args(argv)
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except PullbackError as error:
        print(f"pullback: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("pullback: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, e.g. head, has gone; nothing more may be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


# --------------------------------------------------------------------------------------------------
# What can be asked


class Parser(argparse.ArgumentParser):
    """Shows what was typed as text: nothing in it is obeyed by the terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pullback",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="pullback COMMAND --help says more, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"pullback {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    derive = _command(commands, "derive", _derive, "show the backward pass and how it was found")
    derive.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        help="how to write it (default: by the ending of --out, else text)",
    )
    _add_numbers(derive)
    _add_papers(derive)
    derive.add_argument("--seed", type=int, default=0, help="of the steps' checks (default: 0)")
    code = _command(commands, "code", _code, "write the backward pass as source")
    code.add_argument(
        "--to", choices=("numpy", "torch", "jax"), default="numpy", help="default: numpy"
    )
    code.add_argument(
        "--memory",
        default="balanced",
        help="what the backward pass saves: balanced (default: one multiplication or addition of"
        " what is there anyway is computed again), fastest (nothing is), least, or at most so many"
        " bytes",
    )
    code.add_argument(
        "--style",
        choices=("compact", "flat"),
        default="compact",
        help="compact: as by hand (default); flat: one line a gate, every intermediate named",
    )
    check = _command(commands, "check", _check, "check a backward pass against the definition")
    check.add_argument(
        "--backward",
        metavar="FILE.py:FUNCTION",
        help="a backward pass that you wrote, as a function of (dY, cache) where the forward pass "
        "returns (Y, cache), else of dY and the inputs; if not given, the derived one is checked",
    )
    check.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    check.add_argument("--tol", type=float, help="largest relative error (default: by dtype)")
    _command(commands, "dims", _dims, "argue from shapes which arrangement is the gradient")
    add_book(commands)
    return parser


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    """The options for numbers."""
    add = parser.add_argument
    add(
        "--at",
        action="append",
        default=[],
        metavar="X=1,W=[[1,2],[3,4]]",
        help="numbers of the inputs: shows the computational graph with every value and every "
        "gradient; repeat it, or separate several by commas. With --out FILE.html a page to step "
        "through, with --out FILE.svg a drawing",
    )
    add(
        "--small",
        action="append",
        default=[],
        metavar="N=1,D=2,M=3",
        help="the case of small sizes as on paper: explicit matrices, one element at a time, and "
        "the step to the general formula; arrays of numbers may be given, too",
    )
    add(
        "--rules",
        action="store_true",
        help="of a function of a number: the derivative by named rules, step by step",
    )
    add(
        "--notation",
        choices=("leibniz", "lagrange"),
        help="with --rules: dy/dx (leibniz, the default) or y'(x) (lagrange)",
    )
    add(
        "--quotients",
        action="append",
        default=[],
        metavar="x=2",
        help="of a function of a number: the difference quotients there, converging; with --out "
        "FILE.svg as a plot",
    )
    add(
        "--approximate",
        action="append",
        default=[],
        metavar="X=[1,2]",
        help="the linear approximation at these numbers and how its remainder falls; with --out "
        "FILE.svg as a plot",
    )
    add(
        "--along",
        action="append",
        default=[],
        metavar="X=[1,0]",
        help="with --approximate: the direction to move in (default: random)",
    )
    add(
        "--upstream",
        metavar="VALUE",
        help="with --at or --small: the gradient that arrives at the output, as a number, a nested "
        "list or NAME=VALUE,... for several outputs (default: 1 for a single number)",
    )
    add(
        "--expand",
        metavar="FUNCTION",
        nargs="?",
        const="all",
        help="with --at: open functions such as sigmoid into the gates that they are made of",
    )


def _add_papers(parser: argparse.ArgumentParser) -> None:
    """The options for papers."""
    add = parser.add_argument_group("LaTeX, also by --format latex or --out FILE.tex").add_argument
    add(
        "--latex",
        metavar="X",
        nargs="?",
        const="",
        help="LaTeX of the backward pass, or of the gradient of X with what it is computed from",
    )
    add("--style", metavar="STYLE", help="how gradients are written: d, partial, bar or delta")
    add(
        "--name",
        action="append",
        default=[],
        metavar=r"X_hat=\hat{X}",
        help="LaTeX for a name of the program; repeat it",
    )
    add("--loss", metavar="LATEX", help=r"LaTeX for the loss, e.g. \mathcal{L}")
    add("--width", type=float, metavar="EM", help="of a line, in em (default: 31)")
    add("--matrix", action="store_true", help="whole matrices where there is such a form")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.\n\n{_INPUT}",
        epilog=_EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("input", metavar="INPUT", help="index notation, a file, - or FILE.py:FUNCTION")
    add(
        "--shape",
        "--shapes",
        dest="shapes",
        action="append",
        default=[],
        metavar='X="N D"',
        help='the shape of an input: sizes between blanks, a dtype after a colon ("N: int"); '
        "repeat it, or separate several by ;",
    )
    add(
        "--size",
        "--sizes",
        dest="sizes",
        action="append",
        default=[],
        metavar="N=64",
        help="the value of a named size; repeat it, or separate several by commas",
    )
    add("--wrt", metavar="X,W", help="the inputs to differentiate by (default: all floats)")
    add(
        "--convention",
        dest="conventions",
        action="append",
        default=[],
        metavar="NAME=CHOICE",
        help="what holds at a kink or a tie, see docs/conventions.md",
    )
    add("--json", action="store_true", help="write JSON")
    add("--out", metavar="FILE", help="write to a file instead of the terminal")
    return parser


# --------------------------------------------------------------------------------------------------
# The commands


def _derive(arguments: argparse.Namespace) -> int:
    ending = Path(arguments.out).suffix if arguments.out else ""
    if arguments.latex is not None and arguments.format is None:
        arguments.format = "latex"
    style = arguments.format or _ENDINGS.get(ending, "text")
    if style != "latex" and not arguments.json:
        _refuse(arguments, ("style", "name", "loss", "width", "matrix"))
    if style != "latex" and arguments.latex is not None:
        raise ArgumentError(
            "LaTeX is not another format", expected="--latex alone", found=f"--format {style}"
        )
    shown = _shown(arguments)
    derivation = _derivation(arguments, seed=arguments.seed)
    if shown:
        from .numbers import SHOWN

        write(SHOWN[shown](derivation, arguments), arguments.out)
        return OK
    if arguments.json:
        write(json_text(_as_data(derivation, arguments)), arguments.out)
        return OK
    if style == "text" and arguments.out is None and sys.stdout.isatty():
        derivation.show()
        return OK
    write(_FORMATS[style](derivation, arguments), arguments.out)
    return OK


_WAYS = ("at", "small", "rules", "quotients", "approximate")
_GO_WITH = {
    "notation": ("rules",),
    "along": ("approximate",),
    "upstream": ("at", "small"),
    "expand": ("at",),
}


def _shown(arguments: argparse.Namespace) -> str:
    """Which of the ways to see numbers is asked for, "" for none. Refuses several, and options of
    another way."""
    asked = [name for name in _WAYS if getattr(arguments, name)]
    if len(asked) > 1:
        raise ArgumentError(
            "one of these at a time",
            expected=f"one of {', '.join(f'--{name}' for name in _WAYS)}",
            found=" and ".join(f"--{name}" for name in asked),
        )
    shown = asked[0] if asked else ""
    for option, ways in _GO_WITH.items():
        if shown not in ways and getattr(arguments, option) not in (None, []):
            words = " or ".join(f"--{way}" for way in ways)
            raise ArgumentError(f"--{option} is for {words}", expected=words)
    return shown


def _refuse(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Refuses options for LaTeX where something else is written."""
    for option in options:
        if getattr(arguments, option) not in (None, False, []):
            raise ArgumentError(
                f"--{option} is for LaTeX", expected="--latex, --format latex or --out FILE.tex"
            )


def _latex(derivation: Derivation, arguments: argparse.Namespace) -> str:
    from .papers import latex

    return latex(derivation, arguments)


def _page(derivation: Derivation) -> str:
    from ..report.page import page

    return page(derivation)


_FORMATS: dict[str, Callable[[Derivation, argparse.Namespace], str]] = {
    "text": lambda derivation, _: str(derivation),
    "markdown": lambda derivation, _: derivation.markdown(),
    "latex": _latex,
    "html": lambda derivation, _: _page(derivation),
}
_ENDINGS = {".md": "markdown", ".tex": "latex", ".html": "html", ".htm": "html"}


def _as_data(derivation: Derivation, arguments: argparse.Namespace) -> dict[str, Any]:
    """A derivation as JSON's dicts and lists."""
    backward = derivation.backward
    return {
        "input": arguments.input,
        "inputs": [
            {"name": t.name, "shape": [*map(str, t.shape)], "dtype": t.dtype}
            for t in backward.program.inputs
        ],
        "outputs": [
            {"name": t.name, "shape": [*map(str, t.shape)], "dtype": t.dtype}
            for t in backward.program.outputs
        ],
        "gradients": {
            t.name: {
                "formula": derivation.formula(t.name),
                "matrix": derivation.formula(t.name, matrix=True),
            }
            for t in backward.wrt
        },
        "latex": _latex(derivation, arguments),
        "steps": [
            {
                "target": step.target.name,
                "name": step.name,
                "reason": step.reason,
                "before": step.before,
                "after": step.after,
                "status": step.check.status,
                "passed": step.check.passed,
                "check": step.check.how,
                "elements": step.check.elements,
                "unchecked": step.check.unchecked,
            }
            for step in derivation.steps
        ],
        "checked": derivation.tally._asdict(),
        "sizes": dict(derivation.sizes),
        "conventions": dict(derivation.conventions),
        "seed": derivation.seed,
    }


def _code(arguments: argparse.Namespace) -> int:
    memory: str = arguments.memory
    derivation = _derivation(arguments).saving(int(memory) if memory.isdecimal() else memory)
    text = derivation.source(arguments.to, style=arguments.style)
    if arguments.json:
        data = {
            "input": arguments.input,
            "to": arguments.to,
            "style": arguments.style,
            "gradients": [t.name for t in derivation.backward.gradients],
            "source": text,
        }
        text = json_text(data)
    write(text, arguments.out)
    return OK


def _derivation(arguments: argparse.Namespace, seed: int = 0) -> Derivation:
    """The derivation of what INPUT stands for."""
    from ..api import derive

    given = source(arguments.input)
    found = derive(
        given,
        wrt=names(arguments.wrt),
        conventions=pairs(arguments.conventions),
        sizes=sizes(arguments.sizes),
        **{**_numbers(given, arguments), **shapes(arguments.shapes)},
    )
    return dataclasses.replace(found, seed=seed)


def _numbers(given: object, arguments: argparse.Namespace) -> dict[str, str]:
    """The shapes of a function's parameters that can only be numbers: all where a function of a
    number is asked for, and those that a number is given for."""
    if not callable(given) or not hasattr(arguments, "rules"):
        return {}
    from .numbers import values

    options = {"--at": arguments.at, "--approximate": arguments.approximate}
    named = {n: v for option, text in options.items() for n, v in values(text, option).items()}
    alone = bool(arguments.rules or arguments.quotients)
    return {
        name: ""
        for name, one in inspect.signature(given).parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        and one.annotation is one.empty
        and one.default is one.empty
        and (alone or not isinstance(named.get(name, []), list))
    }


def _dims(arguments: argparse.Namespace) -> int:
    from ..dims.argue import arrangements_of

    derivation = _derivation(arguments)
    asked = [t.name for t in derivation.backward.wrt]
    found = [arrangements_of(derivation, name) for name in asked]
    text = "\n\n".join(map(str, found))
    if arguments.json:
        data = [
            {
                "of": one.of.name,
                "fits": [{"text": a.text, "right": a.right} for a in one.candidates],
                "stages": [
                    {"gradient": s.name, "formula": s.rule, "shape": s.shape, "why": s.reason}
                    for s in one.stages
                ],
            }
            for one in found
        ]
        text = json_text({"input": arguments.input, "gradients": data})
    write(text, arguments.out)
    return OK


def _check(arguments: argparse.Namespace) -> int:
    from .checks import check

    status, text = check(arguments)
    write(text, arguments.out)
    return _EXITS[status]


_EXITS: dict[Status, int] = {"passed": OK, "failed": FAILED, "not checked": NOT_CHECKED}
