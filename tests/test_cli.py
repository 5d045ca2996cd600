"""The command, as a process of its own and as a function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.cli import main
from pullback.runtime.load import load_module

SOURCE = Path(pullback.__file__).parents[1]

MODEL = """\
import numpy as np

STARTED = True

def loss(X, W, y):
    s = X @ W
    return -s[np.arange(len(y)), y].mean() + np.log(np.exp(s).sum(axis=1)).mean()

def annotated(X: 'Float[np.ndarray, "N D"]', scale: float = 2.0):
    return (scale * X ** 2).sum()

def nested(params: dict, X):
    return ((X @ params["W"] + params["b"]) ** 2).sum()

def forward(X, W):
    Y = np.tanh(X @ W)
    return Y, (X, W, Y)

def backward(dY, cache):
    X, W, Y = cache
    dZ = dY * (1 - Y * Y)
    return dZ @ W.T, X.T @ dZ

def wrong(dY, cache):
    X, W, Y = cache
    dZ = dY * (1 + Y * Y)
    return dZ @ W.T, X.T @ dZ

def untraceable(X):
    return np.unique(X).sum()

def affine_backward(dY, X, W, b):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0)
"""
AFFINE = "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return str(path)


def pullback_process(
    arguments: Sequence[str], text: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """``python -m pullback``."""
    return subprocess.run(
        [sys.executable, "-m", "pullback", *arguments],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "utf-8", **environment},
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process."""

    def running(*arguments: str) -> SimpleNamespace:
        status = main(arguments)
        captured = capsys.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err)

    return running


# --- processes ---


def test_version_and_help() -> None:
    shown = pullback_process(["--version"])
    assert shown.stdout.strip() == f"pullback {pullback.__version__}"
    for command in ("derive", "code", "check"):
        helped = pullback_process([command, "--help"])
        assert helped.returncode == 0
        assert "examples:" in helped.stdout
        assert "--shape" in helped.stdout


def test_standard_input_and_exit_statuses(model: str) -> None:
    good = pullback_process(["code", "-"], text="Y[i] = exp(X[i])\n")
    assert good.returncode == 0
    assert "def backward(dY, cache):" in good.stdout
    bad = pullback_process(["code", "-"], text="Y[i] = exp(X[i]\n")
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert "^" in bad.stderr
    assert "Traceback" not in bad.stderr
    failed = pullback_process(
        [
            *("check", f"{model}:forward", "--backward", f"{model}:wrong"),
            *("--shape", "X=N D; W=D M"),
        ]
    )
    assert failed.returncode == 1
    assert "FAILED" in failed.stdout
    usage = pullback_process(["derive"])
    assert usage.returncode == 2


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pullback", "derive", AFFINE, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_output_does_not_depend_on_the_hash_seed() -> None:
    seen = {
        pullback_process(["derive", AFFINE, "--json"], PYTHONHASHSEED=seed).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1


# --- derive ---


def test_derive_shows_the_derivation(run: Any) -> None:
    shown = run("derive", AFFINE)
    assert shown.status == 0
    assert "dW[d,m] = sum(n) X[n,d]*dY[n,m]" in shown.out


@pytest.mark.parametrize(
    ("style", "mark"),
    [("markdown", "#"), ("latex", r"\begin{align}"), ("html", "<!DOCTYPE html>"), ("text", "dX")],
)
def test_formats_by_name_and_by_ending(run: Any, tmp_path: Path, style: str, mark: str) -> None:
    shown = run("derive", AFFINE, "--format", style)
    assert mark in shown.out
    ending = {"markdown": "md", "latex": "tex", "html": "html", "text": "txt"}[style]
    path = tmp_path / f"out.{ending}"
    written = run("derive", AFFINE, "--out", str(path))
    assert written.status == 0
    assert written.out == ""
    assert str(path) in written.err
    assert mark in path.read_text(encoding="utf-8")


def test_derive_as_json(run: Any) -> None:
    data = json.loads(run("derive", AFFINE, "--json", "--wrt", "b,W", "--size", "N=64").out)
    assert list(data["gradients"]) == ["b", "W"]
    assert data["gradients"]["b"]["formula"] == "db[m] = sum(n) dY[n,m]"
    assert data["sizes"] == {"N": 64}
    assert all(step["passed"] for step in data["steps"])


def test_functions_in_files(run: Any, model: str) -> None:
    shown = run("derive", f"{model}:loss", "--shapes", "X=N D; W=D C; y=N: int", "--wrt", "W")
    assert shown.status == 0
    assert "dW[d,c]" in shown.out
    assert run("derive", f"{model}:annotated").status == 0


def test_conventions(run: Any) -> None:
    plain = run("code", "Y[i] = maximum(X[i], 0)").out
    other = run("code", "Y[i] = maximum(X[i], 0)", "--convention", "maximum=one").out
    assert plain != other


# --- code ---


def test_the_code_runs(run: Any) -> None:
    module = load_module(run("code", AFFINE).out)
    X, W, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    Y, cache = module.forward(X, W, b)
    dX, dW, db = module.backward(np.ones((2, 4)), cache)
    assert np.array_equal(Y, X @ W + b)
    assert np.array_equal(dX, np.full((2, 3), 4.0))
    assert np.array_equal(dW, np.full((3, 4), 2.0))
    assert np.array_equal(db, np.full(4, 2.0))


def test_flat_code_runs_too(run: Any) -> None:
    source = run("code", "f = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])", "--style", "flat").out
    assert "#" in source
    assert source != run("code", "f = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])").out
    compile(source, "flat", "exec")


def test_code_as_json_and_to_a_file(run: Any, tmp_path: Path) -> None:
    data = json.loads(run("code", AFFINE, "--json").out)
    assert data["gradients"] == ["dX", "dW", "db"]
    path = tmp_path / "affine.py"
    run("code", AFFINE, "--out", str(path))
    assert path.read_text(encoding="utf-8") == data["source"]


# --- check ---


def test_check_of_a_formula_says_what_it_used(run: Any) -> None:
    shown = run("check", AFFINE, "--size", "N=5,D=3", "--seed", "4", "--tol", "1e-5")
    assert shown.status == 0
    assert "N=5, D=3" in shown.out
    assert "seed 4, tolerance 1e-05" in shown.out
    assert "gradient of W" in shown.out


def test_check_tries_odd_sizes_and_ones(run: Any) -> None:
    data = json.loads(run("check", AFFINE, "--json").out)
    values = {n for done in data["rounds"] for n in done["sizes"].values()}
    assert 1 in values
    assert any(n % 2 and n > 1 for n in values)
    assert data["passed"]
    assert data["seed"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "Y[i] = log(X[i])",
        "L[] = -mean(n) log(P[n, y[n]])",
        "Y[n,c,i,j] = max(p:2, q:2) X[n,c,2*i+p,2*j+q]",
        "X[N]; Z[i:2*N] = X[i//2]",
        "Y[i:4, j:P] = X[i]*j",
    ],
)
def test_check_finds_inputs_for_any_formula(run: Any, text: str) -> None:
    shown = run("check", text)
    assert shown.status == 0, shown.out + shown.err


def test_check_of_functions(run: Any, model: str) -> None:
    assert run("check", f"{model}:loss", "--shape", "X=N D;W=D C;y=N: int").status == 0
    assert run("check", f"{model}:annotated").status == 0


def test_check_of_a_written_backward(run: Any, model: str) -> None:
    shape = ("--shape", "X=N D", "--shape", "W=D M")
    good = run("check", f"{model}:forward", "--backward", f"{model}:backward", *shape)
    assert good.status == 0
    bad = run("check", f"{model}:forward", "--backward", f"{model}:wrong", *shape, "--json")
    assert bad.status == 1
    data = json.loads(bad.out)
    assert not data["passed"]
    worst = next(c for done in data["rounds"] for c in done["checks"] if not c["passed"])
    assert worst["expected"] != worst["found"]
    assert worst["index"] is not None


def test_a_written_backward_of_a_formula(run: Any, model: str) -> None:
    assert run("check", AFFINE, "--backward", f"{model}:affine_backward").status == 0


# --- bad input ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("code", "nothing.txt"), "neither index notation nor a file"),
        (("code", "nothing.py:f"), "no file nothing.py"),
        (("code", "MODEL"), "which function"),
        (("code", "MODEL:lost"), "one of loss, annotated"),
        (("code", "MODEL:STARTED"), "STARTED, a bool"),
        (("code", "MODEL:loss"), "no shape is given for X, W, y"),
        (("code", "MODEL:untraceable", "--shape", "X=N"), "np.unique"),
        (("code", "MODEL:loss", "--shape", "X=N D; Z=N"), "no parameter Z"),
        (("code", "Y[i] = Q["), "never closed"),
        (("code", ""), "INPUT is empty"),
        (("code", "Y[i] = X[i]", "--wrt", "Z"), "no input 'Z'"),
        (("code", "MODEL:los", "--shape", "X=N"), "did you mean loss?"),
        (("code", "Y[i] = X[i]", "--wrt", ","), "names no input"),
        (("code", "Y[i] = X[i]", "--size", "M=3"), "no size M"),
        (("code", "Y[i] = X[i]", "--size", "I=-3"), "NAME=NUMBER"),
        (("code", "Y[i] = X[i]", "--size", "I"), "NAME=NUMBER"),
        (("code", "Y[i] = X[i]", "--shape", "X"), 'NAME="SIZES"'),
        (("code", "Y[i] = X[i]", "--shape", "Z=N"), "no input"),
        (("code", "Y[i] = X[i]", "--shape", "wrt=N"), "can't be called wrt"),
        (("code", "Y[i] = X[i]", "--convention", "relu=0"), "no convention 'relu'"),
        (("code", "Y[i] = X[i]", "--convention", "maximum=2"), "no choice '2'"),
        (("code", "Y[i] = X[i]", "--convention", "maximum"), "NAME=CHOICE"),
        (("code", "Y[i] = X[i]", "--out", "/nowhere/at/all.py"), "can't be written"),
        (("check", "Y[i] = X[i]", "--tol", "0"), "tol is not a tolerance"),
        (("check", "Y[i] = X[i]", "--backward", "model"), "FILE.py:FUNCTION"),
        (("check", "X[N]; Y[i:N-50] = X[i]", "--size", "N=5"), "no small sizes"),
        (("derive", "Y[i] = y[i]", "--shape", "y=N", "--wrt", "y,y"), "twice"),
    ],
)
def test_bad_input_is_said_and_no_traceback(
    run: Any, model: str, arguments: tuple[str, ...], said: str
) -> None:
    done = run(*(part.replace("MODEL", model) for part in arguments))
    assert done.status == 2
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError"),
        ("x = 1\ny = 1 / 0\n", "ZeroDivisionError"),
        ("raise SystemExit(3)\n", "SystemExit"),
    ],
)
def test_a_file_that_fails_is_bad_input(run: Any, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text, encoding="utf-8")
    done = run("code", f"{path}:f")
    assert done.status == 2
    assert said in done.err
    assert "broken.py" in done.err


def test_a_file_of_bytes_or_of_nothing_is_bad_input(run: Any, tmp_path: Path) -> None:
    for content, said in ((b"\xff\xfe\x00", "is not text"), (b"  \n", "is empty")):
        path = tmp_path / "formula.txt"
        path.write_bytes(content)
        done = run("code", str(path))
        assert done.status == 2
        assert said in done.err


def test_a_huge_file_is_refused(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "formula.txt"
    path.write_text("Y = X" + " + X" * 400_000, encoding="utf-8")
    done = run("code", str(path))
    assert done.status == 2
    assert "too long" in done.err


def test_an_interrupt_is_status_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pullback.api, "derive", interrupted)
    done = run("code", "Y[i] = X[i]")
    assert done.status == 130
    assert "interrupted" in done.err


def test_numbers_tell_which_parameters_are_numbers(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text("def f(x):\n    return x*x\n\ndef g(w, x):\n    return w*x\n", "utf-8")
    for way in (["--rules"], ["--quotients", "x=2"], ["--approximate", "x=2"], ["--at", "x=2"]):
        assert run("derive", f"{path}:f", *way).status == 0
    assert run("derive", f"{path}:g", "--at", "x=2,w=3").status == 0
    done = run("derive", f"{path}:g", "--at", "x=2,w=[1,2]")
    assert done.status == 2 and "no shape is given for w" in done.err
    asked = ["--at", "x=2,w=[1,2]", "--upstream", "[1,1]"]
    assert run("derive", f"{path}:g", "--shape", "w=2", *asked).status == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rules", "--quotients", "x=1"], "one of these at a time"),
        (["--at", "x=1", "--small", "x=1"], "one of these at a time"),
        (["--quotients", "x=1", "--notation", "lagrange"], "--notation is for --rules"),
        (["--upstream", "1"], "--upstream is for --at or --small"),
        (["--at", "x=1", "--along", "x=1"], "--along is for --approximate"),
        (["--small", "x=1", "--expand"], "--expand is for --at"),
    ],
)
def test_options_that_would_be_ignored_are_refused(run: Any, options: list[str], said: str) -> None:
    done = run("derive", "y = x[]**2", *options)
    assert done.status == 2 and said in done.err
