"""The architecture: imports go one way, and the symbolic part needs the standard library only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "pullback"

# Lower first. An import goes to a lower layer or to the own one.
LAYERS = (
    "text",
    "later",
    "errors",
    "ir",
    "functions",
    "opaque",
    "notation",
    "calculus",
    "plan",
    "derivation",
    "trees",
    "scans",
    "trace",
    "backends",
    "runtime",
    "verify",
    "layers",
    "graph",
    "small",
    "dims",
    "report",
    "scalar",
    "api",
    "gradients",
    "jacobians",
    "book",
    "cli",
    "__init__",
    "__main__",
)
SYMBOLIC = ("text", "errors", "ir", "functions", "opaque", "notation", "calculus", "plan")

# The package's own facts, which import nothing.
FACTS = {"pullback.__version__"}

FILES = sorted(SOURCE.rglob("*.py"))


def layer(module: str) -> str:
    """The layer of ``pullback.a.b``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def module_name(file: Path) -> str:
    parts = ["pullback", *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def is_typing_only(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and is_typing_only(child)):
            yield from statements(child)


def imported(file: Path) -> Iterator[str]:
    """The absolute names of the modules that a file imports anywhere in it."""
    package = ["pullback", *file.relative_to(SOURCE).parts[:-1]]
    for node in statements(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join([*base, node.module])
            else:
                yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_down(file: Path) -> None:
    own = layer(module_name(file))
    assert own in LAYERS
    for name in imported(file):
        if name.split(".")[0] != "pullback" or name in FACTS:
            continue
        assert LAYERS.index(layer(name)) <= LAYERS.index(own), f"{own} imports {name}"


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if layer(module_name(file)) in SYMBOLIC],
    ids=lambda file: str(file.relative_to(SOURCE)),
)
def test_the_symbolic_part_imports_the_standard_library_only(file: Path) -> None:
    allowed = {*sys.stdlib_module_names, "pullback"}
    assert {name.split(".")[0] for name in imported(file)} <= allowed


def test_a_formula_is_derived_without_third_party_packages() -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "pullback"}:
            raise ImportError("third-party import: " + name)
sys.meta_path.insert(0, Refuse())
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.calculus.reverse import reverse
backward = reverse(parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"))
for statement in backward.statements:
    print(show(statement))
assert "numpy" not in sys.modules
"""
    environment = {"PYTHONPATH": str(SOURCE.parent), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dX[n,d] = sum(m) " in done.stdout


# Layers that a line of index notation is derived and shown without, and packages.
UNUSED = ("pullback.trace", "pullback.layers", "pullback.book", "pullback.backends.numpy.module")
UNUSED += ("pullback.runtime.forward", "pullback.runtime.pairs")
UNUSED += ("math_core", "mpmath", "numpy", "rich")
MOST_MODULES = 127


def test_a_line_is_derived_with_the_modules_that_it_needs() -> None:
    code = """
import sys
from pullback.cli import main
assert main(["derive", "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"]) == 0
print(*sorted(sys.modules), file=sys.stderr)
"""
    environment = {"PYTHONPATH": str(SOURCE.parent), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert "dX = dY Wᵀ" in done.stdout
    loaded = done.stderr.split()
    assert not [name for name in loaded if name.startswith(UNUSED)]
    own = [name for name in loaded if name.split(".")[0] == "pullback"]
    assert len(own) <= MOST_MODULES
