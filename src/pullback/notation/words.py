"""The words of the notation that are no names of the user's."""

from __future__ import annotations

BINDERS = frozenset({"sum", "mean", "prod", "max", "min", "argmax", "argmin"})
ALSO_FUNCTIONS = frozenset({"max", "min"})
PAD_MODES = frozenset({"edge", "reflect", "symmetric", "wrap"})
DTYPES = frozenset({
    "float", "int", "bool", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
})  # fmt: skip
CONNECTIVES = ("and", "or", "if", "of")
NO_VALUE = frozenset({*CONNECTIVES, "not", "return"})
