"""The package as a whole: what it shows, what it loads when, and which way its imports point."""

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

# From low to high; an import goes to a lower layer or stays in its own.
LAYERS = (
    ("errors",),
    ("trees", "ir"),
    ("functions",),
    ("notation",),
    ("calculus",),
    ("derivation",),
    ("trace",),
    ("plan",),
    ("backends",),
    ("runtime",),
    ("verify",),
    ("report",),
    ("api",),
    ("cli",),
    ("__main__",),
)
SYMBOLIC = ("errors.py", "functions.py", "derivation.py", "ir", "notation", "calculus")


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


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, absolute names; whether each is only for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["pullback", *path.relative_to(SOURCE).parts[:-1]]
    for_types = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node in for_types) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *filter(None, [node.module])])
            names = [f"{name}.{alias.name}" for alias in node.names] if not node.module else [name]
            found += [(full, node in for_types) for full in names]
    return found


def rank(module: str) -> int:
    """The layer of a module of the package."""
    top = module.split(".")[1]
    return next(n for n, layer in enumerate(LAYERS) if top in layer)


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_to_lower_layers(path: Path) -> None:
    if path == SOURCE / "__init__.py":
        return
    own = ".".join(["pullback", *path.relative_to(SOURCE).with_suffix("").parts])
    for name, for_types in imports_of(path):
        known = name.startswith("pullback.") and name != "pullback.__version__"
        if known and not for_types:
            assert rank(name) <= rank(own), f"{own} imports {name}"


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.relative_to(SOURCE).parts[0] in SYMBOLIC],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_the_symbolic_part_imports_the_standard_library_only(path: Path) -> None:
    for name, _ in imports_of(path):
        assert name.split(".")[0] in {*sys.stdlib_module_names, "pullback"}, name
