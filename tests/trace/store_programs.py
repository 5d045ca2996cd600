"""Random programs of stores and views, as text: NumPy itself says which of them make sense."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

SIZES = (1, 2, 3, 4)
MAKERS = (
    "np.zeros({shape})",
    "np.ones({shape})",
    "np.full({shape}, 0.5)",
    "np.zeros({shape}) + 0.25",
    "{array}.copy()",
    "{array} * 2",
    "np.sin({array})",
    "np.zeros_like({array})",
    "np.array({array})",
    "np.asarray({array})",
    "{array} + {array}.T",
    "np.array([{number}, {number}, {number}])",
    "np.array([[{number}, 1.0], [{number}, {number}]])",
    "np.stack([{array}, {array}])",
    "np.arange(6.0).reshape(2, 3)",
    "np.concatenate([{array}, {array}])",
    "np.r_[{number}, {array}]",
)
VIEWS = (
    "{array}{key}",
    "{array}{key}",
    "{array}{key}",
    "{array}.T",
    "{array}.reshape(-1)",
    "{array}.ravel()",
    "{array}.reshape({array}.shape[::-1])",
    "{array}[None]",
    "{array}[..., None]",
    "np.squeeze({array})",
    "{array}.swapaxes(0, -1)",
    "np.flip({array})",
    "np.split({array}, [1])[-1]",
    "np.moveaxis({array}, 0, -1)",
    "np.expand_dims({array}, 0)",
    "np.atleast_2d({array})",
    "np.broadcast_to({array}, (2, *{array}.shape))",
    "np.diagonal({array})",
)
VALUES = (
    "{number}",
    "{number}",
    "0.5",
    "2",
    "{array}",
    "{array}{key}",
    "np.cos({array}{key})",
    "{array}{key} * {number}",
    "{array}[0] + {number}",
    "[{number}, 1.0]",
    "{array}.sum(0)",
)
CHANGES = (
    "{array}{key} = {value}",
    "{array}{key} = {value}",
    "{array}{key} = {value}",
    "{array}{key} = {value}",
    "{array}{key} += {value}",
    "{array}{key} *= {value}",
    "{array}{key} -= {value}",
    "{array} += {value}",
    "{array} *= {value}",
    "{array} /= 2",
    "{array}[{index}], {array2}[{index}] = {array2}[{index}], {array}[{index}]",
    "{array}[{fancy}] = {value}",
    "{array}[{fancy}] += {value}",
    "{array}[{fancy}, {fancy}] = {value}",
    "{array}[..., {fancy}] = {value}",
    "{array}[{array} > 0.3] = {number}",
    "{array}[{mask}] = {value}",
    "np.add.at({array}, {fancy}, {value})",
    "np.subtract.at({array}, ({fancy}, {index}), {value})",
    "np.fill_diagonal({array}, {number})",
    "np.copyto({array}, {value})",
    "np.copyto({array}, {value}, where={array} > 0)",
    "np.multiply({array}, {value}, out={array2})",
    "np.sum({array}, axis=0, out={array2}{key})",
    "np.put_along_axis({array}, np.argmax({array}, 0, keepdims=True), {number}, 0)",
    "{array}[..., n] = {value}",
    "{array}[n, np.arange(len(n))] = {value}",
    "{array}[n] = {value}",
    "np.add.at({array}, n, {value})",
    "{array}.fill({number})",
)


def drawn(seed: int, most: int = 9) -> tuple[str, dict[str, np.ndarray]]:
    """A function of ``x``, ``z`` and integers ``n`` that stores, with arguments for it."""
    rng = Random(seed)
    values = np.random.default_rng(seed)
    shape = tuple(rng.choice(SIZES) for _ in range(rng.choice((1, 2, 2, 3))))
    arguments = {
        "x": values.uniform(-1.5, 1.5, shape),
        "z": values.uniform(-1.5, 1.5, tuple(rng.choice(SIZES) for _ in range(rng.choice((1, 2))))),
        "n": values.integers(0, 2, rng.choice((1, 2, 3))),
    }
    space = _replayed([], arguments)
    names = ["x", "z"]
    lines: list[str] = []
    for _ in range(40):
        if len(lines) >= most:
            break
        line, name = _line(rng, names, space)
        try:
            trial = _replayed([*lines, line], arguments)
        except Exception:
            continue
        fresh = trial.get(name) if name else None
        good = all(
            np.all(np.isfinite(trial[key])) and np.max(np.abs(trial[key]), initial=0) < 50
            for key in names
        )
        if not good or (name and not isinstance(fresh, np.ndarray)):
            continue
        if name and (fresh.size > 40 or not np.all(np.isfinite(fresh))):
            continue
        space = trial
        lines.append(line)
        if name and name not in names:
            names.append(name)
    text = "\n    ".join([*lines, f"return {', '.join(f'({name} * 1.0)' for name in names)},"])
    return f"def program(x, z, n):\n    {text}\n", arguments


def _replayed(lines: list[str], arguments: dict[str, np.ndarray]) -> dict[str, Any]:
    space: dict[str, Any] = {name: array.copy() for name, array in arguments.items()}
    for name in ("x", "z", "n"):
        space[name].flags.writeable = False
    space["np"] = np
    with np.errstate(all="ignore"):
        for line in lines:
            exec(line, space)
    return space


def _line(rng: Random, names: list[str], space: dict[str, Any]) -> tuple[str, str]:
    def array() -> str:
        return rng.choice(names[-4:]) if rng.random() < 0.8 else rng.choice(names)

    def filled(text: str, main: str) -> str:
        text = text.replace("{value}", rng.choice(VALUES))
        text = text.replace("{array2}", array())
        while "{" in text:
            start = text.index("{")
            hole = text[start : text.index("}", start) + 1]
            text = text.replace(hole, _hole(rng, hole, main, array, space), 1)
            if hole == "{array}":
                main = rng.choice([main, array()])
        return text

    kind = rng.choice(("make", "view", "change", "change", "change", "value"))
    if len(names) < 3:
        kind = "make"
    name = f"v{len(names)}"
    main = array()
    if kind == "make":
        return f"{name} = {filled(rng.choice(MAKERS), main)}", name
    if kind == "view":
        return f"{name} = {filled(rng.choice(VIEWS), main)}", name
    if kind == "value":
        return f"{name} = {filled(rng.choice(VALUES[4:]), main)} * 1.0", name
    return filled(rng.choice(CHANGES), main), ""


def _hole(rng: Random, hole: str, main: str, array: Any, space: dict[str, Any]) -> str:
    shape = np.shape(space[main])
    match hole:
        case "{array}":
            return main
        case "{key}":
            return f"[{', '.join(_part(rng, n) for n in shape[: rng.randint(1, 3)]) or '...'}]"
        case "{index}":
            return str(rng.randrange(-1, 2))
        case "{fancy}":
            return str([rng.randrange(-1, 3) for _ in range(rng.randint(1, 3))])
        case "{mask}":
            return f"np.array({[rng.random() < 0.5 for _ in range(shape[0] if shape else 1)]})"
        case "{number}":
            one = array()
            rank = np.ndim(space[one])
            spot = ", ".join(str(rng.randrange(-1, 1)) for _ in range(rank))
            return rng.choice(
                [f"{one}[{spot}]", f"({one}[{spot}] * 0.7)", f"np.sin({one}[{spot}])"]
            )
        case "{shape}":
            return str(rng.choice([shape or (3,), (3,), (2, 3), (3, 2), (2, 2, 3)]))
    raise ValueError(hole)


def _part(rng: Random, extent: int) -> str:
    return rng.choice(
        (
            *(":", "1:", ":-1", "::-1", "::2", "1::2", "-2::-1", "...", "None", ":2", "1:-1"),
            *(str(rng.randrange(-1, max(extent, 1))) for _ in range(4)),
        )
    )
