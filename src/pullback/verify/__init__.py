"""Checks: of gradients, of backward passes that a person wrote, of every step of a derivation."""

from .gradients import check_grads
from .report import Comparison, Report
from .written import check_backward

__all__ = ["Comparison", "Report", "check_backward", "check_grads"]
