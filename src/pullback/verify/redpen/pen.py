"""What ``check_backward`` asks: which mistake explains the gradients that are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import PullbackError
from .fit import WORK, Fitter
from .grid import TooLarge
from .mistake import Mistake, told
from .trials import Place, Subject, prepare


def mistakes(subject: Subject, wrong: Sequence[Place], seed: int) -> dict[Place, Mistake]:
    """The mistake in each of some gradients, where one single mistake gives all that was found."""
    if not wrong:
        return {}
    single = any(np.size(subject.leaves[place]) < 2 for place in wrong)
    trials = prepare(subject, seed, single)
    if trials is None:
        return {}
    found: dict[Place, Mistake] = {}
    left = WORK
    for k, place in enumerate(wrong, 1):
        own = left // 2 if k < len(wrong) else left  # so that one that has no name leaves the rest
        try:
            fitter = Fitter(trials, place, own)
            fit = fitter.fit()
            left -= own - max(fitter.left, 0)
            if fit is not None:
                found[place] = told(fit, trials)
        except (PullbackError, TooLarge):
            continue  # no formula could be compared: the check itself stands
    return found
