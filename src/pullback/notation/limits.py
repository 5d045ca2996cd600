"""How large a formula may be. Formula text may come from anyone, so every growth has a bound."""

from __future__ import annotations

MAX_TEXT = 100_000
"""Characters of a text."""

MAX_DEPTH = 100
"""Expressions inside each other (parentheses, arguments, operands), as written and as lowered."""

MAX_STATEMENTS = 1_000
"""Statements and declarations of a text."""

MAX_NODES = 20_000
"""Names, numbers, operations of a text."""

MAX_TERMS = 2_000
"""Terms of one sum, factors of one product, arguments of one call."""

MAX_INDICES = 32
"""Indices of one statement, on the left and bound."""

MAX_NAME = 100
"""Characters of a name."""

MAX_DIGITS = 100
"""Digits of a number."""

MAX_DECIMAL_EXPONENT = 400
"""The ``x`` of ``1e±x``."""

MAX_EXPONENT = 1_000
"""Numerator and denominator of a literal exponent."""

MAX_TOWER = 4
"""Powers in the exponents of each other: ``a**b**c`` is a tower of 2."""

MAX_CONSTANT_BITS = 10_000
"""Bits of a constant that the literals of a text spell, such as ``(10**99)**9``."""

MAX_SIZE_TERMS = 16
"""Terms of the polynomial that a size is."""

MAX_SIZE_DEGREE = 8
"""Factors of one term of a size."""

MAX_SIZE = 2**63 - 1
"""A literal size and the coefficients of a symbolic one."""

MAX_SUBSCRIPT_TERMS = 32
"""Terms of one subscript."""

MAX_PAD_READS = 500
"""Reads that the modes of ``pad`` expand to: per read 3 (``edge``) or 2 to the number of axes."""
