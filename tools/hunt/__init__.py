"""Hunting for wrong answers: random programs, names, sizes, state and arguments against oracles.

Each *kind* of case is one function of a random generator; :mod:`tools.hunt.running` draws cases
for as long as it is told to and counts what becomes of them.
"""

import os

# Several processes on few cores: one BLAS thread each. NumPy reads this when it is first imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
