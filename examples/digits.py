"""Handwritten digits: derive the backward pass of a small network, check it, and train with it.

    python examples/digits.py --report out/digits.html

The network is affine, batch norm, ReLU, affine, softmax cross-entropy, written below as plain
NumPy. Nothing here says what its gradient is: the backward pass that trains it is generated.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits

import pullback
from pullback.report.page import write_report

EPSILON = 1e-5
WANTED = 0.96

Arrays = dict[str, np.ndarray]


def loss(X, y, W1, b1, gamma, beta, W2, b2):  # type: ignore[no-untyped-def]
    """The network and its mean loss. X: (N, D) pixels, y: (N,) labels."""
    H = X @ W1 + b1
    mu = H.mean(axis=0)
    centred = H - mu
    s = 1 / np.sqrt((centred**2).mean(axis=0) + EPSILON)
    xhat = centred * s
    Z = gamma * xhat + beta
    A = np.maximum(Z, 0)
    score = A @ W2 + b2
    shifted = score - score.max(axis=1, keepdims=True)
    E = np.exp(shifted)
    rowsum = E.sum(axis=1)
    return -np.mean(shifted[np.arange(len(X)), y]) + np.mean(np.log(rowsum))


SHAPES = {
    "X": "N D",
    "y": "N: int64",
    "W1": "D H",
    "b1": "H",
    "gamma": "H",
    "beta": "H",
    "W2": "H C",
    "b2": "C",
}
PARAMETERS = ("W1", "b1", "gamma", "beta", "W2", "b2")


@dataclass(frozen=True)
class Data:
    """Pixels in 0..1 and labels, four fifths to train with and one fifth held out."""

    X: np.ndarray
    y: np.ndarray
    X_held: np.ndarray
    y_held: np.ndarray


def split_digits(rng: np.random.Generator) -> Data:
    """scikit-learn's 1797 digits of 8×8 pixels, shuffled and split."""
    digits = load_digits()
    X, y = digits.data / 16.0, digits.target.astype(np.int64)
    order = rng.permutation(len(X))
    held, kept = order[: len(X) // 5], order[len(X) // 5 :]
    return Data(X[kept], y[kept], X[held], y[held])


def start(rng: np.random.Generator, pixels: int, hidden: int, classes: int) -> Arrays:
    """Parameters to begin with."""
    return {
        "W1": rng.normal(size=(pixels, hidden)) / np.sqrt(pixels),
        "b1": np.zeros(hidden),
        "gamma": np.ones(hidden),
        "beta": np.zeros(hidden),
        "W2": rng.normal(size=(hidden, classes)) / np.sqrt(hidden),
        "b2": np.zeros(classes),
    }


def train(
    pair: Any,
    data: Data,
    parameters: Arrays,
    rng: np.random.Generator,
    console: Console,
    *,
    epochs: int,
    batch: int,
    rate: float,
    momentum: float = 0.9,
) -> list[float]:
    """Trains in place by gradient descent with momentum; returns the loss of every batch."""
    forward, backward = pair
    velocity = {name: np.zeros_like(value) for name, value in parameters.items()}
    losses: list[float] = []
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} batches, loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    batches = -(-len(data.X) // batch)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=epochs * batches, loss=float("nan"))
        for _ in range(epochs):
            order = rng.permutation(len(data.X))
            for at in range(0, len(order), batch):
                rows = order[at : at + batch]
                value, cache = forward(data.X[rows], data.y[rows], **parameters)
                gradients = backward(1.0, cache)
                for name in PARAMETERS:
                    velocity[name] = momentum * velocity[name] - rate * gradients[name]
                    parameters[name] = parameters[name] + velocity[name]
                losses.append(float(value))
                progress.update(task, advance=1, loss=losses[-1])
    return losses


def predict(parameters: Arrays, seen: np.ndarray, X: np.ndarray) -> np.ndarray:
    """The likeliest classes of X; batch norm uses the statistics of all that was trained on."""
    H = seen @ parameters["W1"] + parameters["b1"]
    xhat = (X @ parameters["W1"] + parameters["b1"] - H.mean(axis=0)) / np.sqrt(
        H.var(axis=0) + EPSILON
    )
    A = np.maximum(parameters["gamma"] * xhat + parameters["beta"], 0)
    return np.argmax(A @ parameters["W2"] + parameters["b2"], axis=1)


def checked(
    derivation: pullback.Derivation,
    data: Data,
    parameters: Arrays,
    options: argparse.Namespace,
    console: Console,
) -> bool:
    """Checks every step, the whole at small random sizes, and the gradients of the first batch."""
    steps = derivation.verify(options.seed)
    first = (data.X[: options.batch], data.y[: options.batch], *parameters.values())
    report = pullback.check_grads(loss, first, argnums=PARAMETERS, seed=options.seed)
    for result in (steps, report):
        if not result:
            console.print(str(result), markup=False, highlight=False, soft_wrap=True)
    if steps and report:
        whole = len(steps.checks) - steps.steps
        console.print(
            f"passed: {steps.steps} steps, each by itself; {whole} comparisons of the results; "
            f"{len(report.comparisons)} against differences of the NumPy function (seed "
            f"{options.seed})"
        )
    return bool(steps) and bool(report)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", type=Path, default=Path("out/digits.html"), metavar="FILE")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.2, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns 1 where a check fails or the accuracy is below what is promised."""
    options = parse_arguments(arguments)
    console = Console()
    rng = np.random.default_rng(options.seed)
    data = split_digits(rng)
    sizes = {"N": options.batch, "D": data.X.shape[1], "H": options.hidden, "C": 10}
    parameters = start(rng, sizes["D"], sizes["H"], sizes["C"])

    derivation = pullback.derive(loss, wrt=PARAMETERS, sizes=sizes, **SHAPES)
    derivation.show(brief=True)

    console.rule("check")
    if not checked(derivation, data, parameters, options, console):
        return 1

    console.rule("train")
    losses = train(
        derivation.compile(),
        data,
        parameters,
        rng,
        console,
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
    )
    accuracy = float(np.mean(predict(parameters, data.X, data.X_held) == data.y_held))
    console.print(
        f"{accuracy:.1%} of {len(data.y_held)} held-out digits are recognised (seed {options.seed})"
    )

    options.report.parent.mkdir(parents=True, exist_ok=True)
    write_report(options.report, derivation, losses=losses, title="Handwritten digits")
    console.print(f"report: {options.report}  (open it in a browser; it needs no network)")
    if accuracy < WANTED:
        console.print(f"expected at least {WANTED:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
