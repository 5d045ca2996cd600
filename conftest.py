"""Settings of the whole test run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Several workers on few cores: one BLAS thread each. NumPy reads this when it is first imported.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Tests whose first case takes more than about half a second; a quick run leaves them out.
SLOW = frozenset((Path(__file__).parent / "tests" / "slow.txt").read_text("utf-8").split())

# The same examples in every run, and no verdict that depends on how busy the machine is.
settings.register_profile(
    "pullback",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("pullback"), max_examples=5)
settings.load_profile("pullback")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick``: one case of every test that isn't slow, in under a minute."""
    parser.addoption(
        "--quick",
        action="store_true",
        help="the first case of every test, few random examples, nothing of tests/slow.txt",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Fewer random examples in a quick run."""
    if config.getoption("--quick"):
        settings.load_profile("quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out, in a quick run, further cases of a test and what is slow."""
    if not config.getoption("--quick"):
        return
    seen: set[str] = set()
    kept, left = [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        (left if test in seen or test in SLOW else kept).append(item)
        seen.add(test)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(autouse=True)
def numpy_in_examples(doctest_namespace: dict[str, object]) -> None:
    """Docstring examples may say ``np`` as users do."""
    import numpy

    doctest_namespace["np"] = numpy
