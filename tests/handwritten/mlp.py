"""Two affine layers with a ReLU between them."""

import numpy as np

AXES = {"X": "N D", "W1": "D H", "b1": "H", "W2": "H M", "b2": "M"}
SMALL = {"N": 5, "D": 4, "H": 6, "M": 3}
LARGE = {"N": 512, "D": 256, "H": 512, "M": 128}


def value(X, W1, b1, W2, b2):
    H = X @ W1 + b1
    A = np.maximum(H, 0)
    return A @ W2 + b2


def forward(X, W1, b1, W2, b2):
    A = np.maximum(X @ W1 + b1, 0)
    return A @ W2 + b2, (X, W1, W2, A)


def backward(dY, cache):
    X, W1, W2, A = cache
    dW2 = A.T @ dY
    db2 = dY.sum(axis=0)
    dH = (dY @ W2.T) * (A > 0)
    dW1 = X.T @ dH
    db1 = dH.sum(axis=0)
    dX = dH @ W1.T
    return dX, dW1, db1, dW2, db2
