"""LeNet on handwritten digits: layers composed into a network, trained by derived gradients.

    python examples/lenet.py

Two convolutions with max pooling, three affine layers (after LeCun et al., 1998, its windows
sized for 8×8 pixels), ReLU between them, softmax cross-entropy, Adam. Every layer is a
definition in index notation, and so is Adam; no gradient is written anywhere.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits

import pullback
from pullback import layers

WANTED = 0.98

LENET = layers.Network(
    conv1=layers.convolution(channels=16, kernel=3, padding=1),
    relu1=layers.relu(),
    pool1=layers.max_pooling(),
    conv2=layers.convolution(channels=32, kernel=3, padding=1),
    relu2=layers.relu(),
    pool2=layers.max_pooling(),
    flat=layers.flatten(),
    full1=layers.affine(out_features=120),
    relu3=layers.relu(),
    full2=layers.affine(out_features=84),
    relu4=layers.relu(),
    scores=layers.affine(out_features=10),
)
CROSS_ENTROPY = layers.cross_entropy()

Pair = tuple[np.ndarray, np.ndarray]


def loss(parameters: Any, X: Any, y: Any) -> Any:
    """The network's mean cross-entropy. X: (N, 1, 8, 8) pixels, y: (N,) labels."""
    return CROSS_ENTROPY(LENET(parameters, X), y)


def split_digits(rng: np.random.Generator) -> tuple[Pair, Pair]:
    """scikit-learn's 1797 digits: four fifths to train with, one fifth held out."""
    digits = load_digits()
    X = (digits.images[:, None] / 16).astype(np.float32)
    y = digits.target.astype(np.int64)
    order = rng.permutation(len(X))
    held, kept = order[: len(X) // 5], order[len(X) // 5 :]
    return (X[kept], y[kept]), (X[held], y[held])


def train(
    parameters: Any,
    data: Pair,
    rng: np.random.Generator,
    console: Console,
    *,
    epochs: int,
    batch: int,
    rate: float,
) -> Any:
    """Parameters after so many epochs of Adam in minibatches."""
    step = pullback.value_and_grad(loss)
    X, y = data
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} epochs, loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    adam = layers.adam(rate=rate)
    state = adam.init(parameters)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=epochs, loss=float("nan"))
        for epoch in range(epochs):
            adam.settings["rate"] = rate * (1 - epoch / epochs)
            order = rng.permutation(len(X))
            losses = []
            for at in range(0, len(order), batch):
                rows = order[at : at + batch]
                value, gradients = step(parameters, X[rows], y[rows])
                parameters, state = adam.update(parameters, gradients, state)
                losses.append(float(value))
            progress.update(task, advance=1, loss=float(np.mean(losses)))
    return parameters


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.002, help="learning rate, falling to 0")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns 1 where a check fails or the accuracy is below what is promised."""
    options = parse_arguments(arguments)
    console = Console()
    rng = np.random.default_rng(options.seed)
    (X, y), (X_held, y_held) = split_digits(rng)
    parameters = LENET.init(rng, *X.shape, dtype="float32")

    some = (LENET.init(rng, 2, 1, 8, 8), X[:2].astype(np.float64), y[:2])
    report = pullback.check_grads(loss, some, argnums="parameters", seed=options.seed)
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if not report:
        return 1

    parameters = train(
        parameters,
        (X, y),
        rng,
        console,
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
    )
    accuracy = float(np.mean(np.argmax(LENET(parameters, X_held), axis=1) == y_held))
    console.print(
        f"{accuracy:.1%} of {len(y_held)} held-out digits are recognised (seed {options.seed})"
    )
    if accuracy < WANTED:
        console.print(f"expected at least {WANTED:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
