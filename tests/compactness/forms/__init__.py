"""Forward passes from papers and from practice, each with the backward pass of an expert."""

import importlib
import pkgutil

from tests.compactness.forms.form import FORMS

for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")

__all__ = ["FORMS"]
