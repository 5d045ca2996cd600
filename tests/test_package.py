"""The package as a whole: what it shows and what it loads when."""

from __future__ import annotations

import ast
import importlib.resources
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pullback

SOURCE = Path(pullback.__file__).parent


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after running ``code``."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE.parent), "PATH": ""},
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import pullback")
    assert "numpy" not in loaded
    assert {name for name in loaded if name.startswith("pullback")} == {"pullback"}


def test_gradients_need_neither_reports_nor_checks() -> None:
    loaded = modules_after("import pullback, numpy; pullback.grad(lambda x: x * x)(2.0)")
    for name in ("rich", "mpmath", "scipy", "pullback.report", "pullback.verify", "pullback.cli"):
        assert name not in loaded


def test_notation_and_calculus_need_no_numpy() -> None:
    loaded = modules_after(
        "from pullback.notation.parse import parse\n"
        "from pullback.calculus.reverse import reverse\n"
        "from pullback.notation.plain import show_program\n"
        "reverse(parse('P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])'))"
    )
    assert "numpy" not in loaded


@pytest.mark.parametrize("name", pullback.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(pullback, name)
    assert name in dir(pullback)
    if callable(value):
        assert value.__doc__


def test_public_names_are_sorted_and_type_checkers_see_the_same() -> None:
    assert pullback.__all__ == sorted(pullback.__all__)
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == pullback._HOMES
    assert {*seen, "__version__"} == set(pullback.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        pullback.nothing_of_the_kind  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert pullback.__version__ == project["project"]["version"]


def test_the_package_is_typed() -> None:
    assert importlib.resources.files("pullback").joinpath("py.typed").is_file()
