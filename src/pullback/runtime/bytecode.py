"""What a function's code reads besides its arguments, told by its bytecode.

Globals and closure cells are read by name; a chain of attributes that follows such a read directly
(``np.linalg.norm``) is kept with it, since the value of a module's attribute can be looked up
before the function runs. All other attributes (``self.weights``) are known by name only.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

Chain = tuple[str, ...]  # a name, then attributes

_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_CELLS = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_FORMATS = ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE")
_REFUSED = ("STORE_GLOBAL", "DELETE_GLOBAL", "MATCH_CLASS", "IMPORT_STAR", "LOAD_LOCALS")
_SILENT = ("EXTENDED_ARG", "NOP", "CACHE", "PRECALL")
_OPTIMISED = 1  # the flag of functions, which bodies of classes don't have


@dataclass
class Reads:
    """What a code object, and the code inside it, reads.

    ``attributes`` are names that are looked up on any object, ``defined`` those that the code
    itself gives to attributes. ``locals`` are names that the body of a class may have set itself.
    ``stored`` are those that the code sets. ``matches`` is set where ``match`` asks whether an
    object is registered as a mapping or a sequence, ``handles`` where the code goes on after an
    exception. ``listed`` is False where the code changes a global or an outer variable, or does
    something else of which nothing can be said.
    """

    globals: dict[Chain, None] = field(default_factory=dict)
    cells: dict[Chain, None] = field(default_factory=dict)
    imports: dict[tuple[str, Chain], None] = field(default_factory=dict)
    attributes: dict[str, None] = field(default_factory=dict)
    defined: dict[str, None] = field(default_factory=dict)
    locals: dict[str, None] = field(default_factory=dict)
    listed: bool = True
    stores: bool = False
    formats: bool = False
    catches: bool = False
    matches: bool = False
    handles: bool = False
    stored: dict[str, None] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def reads_of(code: CodeType) -> Reads:
    """What a function's code reads, the functions and classes defined inside it included."""
    found = Reads()
    _read(code, frozenset(code.co_freevars), found)
    return found


def _read(code: CodeType, outer: frozenset[str], found: Reads) -> None:
    """Adds what one code object reads; ``outer`` are the captured variables that it sees."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in _SILENT]
    modules = _imported(steps, found)
    stored = {s.argval for s in steps if s.opname == "STORE_NAME"}
    if not code.co_flags & _OPTIMISED:
        found.defined.update(dict.fromkeys(sorted(stored)))
        found.locals.update(dict.fromkeys(sorted(stored)))
    used: set[int] = set()  # attributes that belong to a chain
    for n, step in enumerate(steps):
        name, value = step.opname, step.argval
        if name in _GLOBALS:
            if not (value == "hash" and code.co_name == "__hash__"):
                found.globals[(value, *_chain(steps, n, used))] = None
        elif name in _CELLS and value in outer:
            found.cells[(value, *_chain(steps, n, used))] = None
        elif name.startswith("LOAD_FAST") and value in modules:
            module, chain = modules[value]
            found.imports[module, (*chain, *_chain(steps, n, used))] = None
        elif name in _REFUSED or (name in ("STORE_DEREF", "DELETE_DEREF") and value in outer):
            found.listed = False
        elif name in ("LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR") or (
            name in _ATTRIBUTES and (n not in used or step.is_jump_target)
        ):
            found.attributes[str(value)] = None
            if name == "STORE_ATTR":
                found.defined[str(value)] = found.stored[str(value)] = None
            found.stores |= name in ("STORE_ATTR", "DELETE_ATTR")
        elif name in _FORMATS or (name == "BINARY_OP" and "%" in step.argrepr):
            found.formats = True
        elif name in ("PUSH_EXC_INFO", "WITH_EXCEPT_START"):
            found.catches = True
            leaves = steps[n + 1 : n + 2] and steps[n + 1].opname == "WITH_EXCEPT_START"
            found.handles |= name == "PUSH_EXC_INFO" and not leaves
        elif name in ("MATCH_MAPPING", "MATCH_SEQUENCE"):
            found.matches = True
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            _read(inner, outer & frozenset(inner.co_freevars) - frozenset(code.co_cellvars), found)


def _chain(steps: Sequence[dis.Instruction], n: int, used: set[int]) -> Iterator[str]:
    """The attributes that are looked up directly after a step."""
    for k in range(n + 1, len(steps)):
        if steps[k].opname not in _ATTRIBUTES:
            return
        used.add(k)
        yield str(steps[k].argval)


def _imported(steps: Sequence[dis.Instruction], found: Reads) -> dict[str, tuple[str, Chain]]:
    """The local variables that hold nothing but an imported module, or a part of one."""
    held: dict[str, tuple[str, Chain]] = {}
    stores: dict[str, int] = {}
    for n, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, wanted = steps[n - 2].argval, steps[n - 1].argval
            parts = _parts(steps, n, wanted or ())
            if level != 0 or parts is None:
                found.listed = False
            else:
                held.update({name: (step.argval, chain) for name, chain in parts.items()})
                if wanted is None and steps[n + 1].opname == "STORE_FAST":  # import a.b binds a
                    held[steps[n + 1].argval] = (step.argval.split(".")[0], ())
        elif "FAST" in step.opname:
            names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            changes = "STORE" in step.opname or "DELETE" in step.opname or "CLEAR" in step.opname
            for name in names if changes or len(names) > 1 else ():
                stores[name] = stores.get(name, 0) + 1
    if any(stores.get(name) != 1 for name in held):
        found.listed = False
    return held


def _parts(
    steps: Sequence[dis.Instruction], n: int, wanted: Sequence[str]
) -> dict[str, Chain] | None:
    """The local variables that an import fills, each with the part of the module that it holds."""
    parts: dict[str, Chain] = {}
    taken = ""
    for step in steps[n + 1 :]:
        match step.opname:
            case "IMPORT_FROM":
                taken = step.argval
            case "STORE_FAST":
                parts[step.argval] = (taken,) if wanted else ()
                if len(parts) >= len(wanted):
                    return parts
            case "SWAP" | "POP_TOP" if not wanted:  # import a.b.c as d
                pass
            case _:
                return None
    return None
