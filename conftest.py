"""Settings of the whole test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Several workers on few cores: one BLAS thread each. NumPy reads this when it is first imported.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# The same examples in every run, and no verdict that depends on how busy the machine is.
settings.register_profile(
    "pullback",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pullback")


@pytest.fixture(autouse=True)
def numpy_in_examples(doctest_namespace: dict[str, object]) -> None:
    """Docstring examples may say ``np`` as users do."""
    import numpy

    doctest_namespace["np"] = numpy
