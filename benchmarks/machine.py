"""What a benchmark ran on, without anything that names the machine."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "autograd", "jax", "torch")


def summary(threads: int, rounds: int, load: float) -> dict[str, str]:
    """Processor, cores, versions, settings; ``load`` is the machine's when the suite began."""
    return {
        "processor": _processor(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "load": f"{load:.1f}",
        "BLAS threads": str(threads),
        "rounds": str(rounds),
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def keep_memory() -> bool:
    """Makes the C library's allocator keep what is freed; False where there is no ``mallopt``.

    Otherwise large arrays go back to the system at each call, and page faults decide who is faster.
    It holds for the rest of the process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    mmap_threshold, trim_threshold = -3, -1
    return mallopt is not None and all(
        mallopt(which, 2**30) for which in (mmap_threshold, trim_threshold)
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
