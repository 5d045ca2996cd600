"""A linear classifier's softmax cross-entropy."""

import numpy as np

AXES = {"X": "N D", "W": "D C", "b": "C", "y": "N"}
INTEGER = {"y": "C"}
SMALL = {"N": 6, "D": 4, "C": 3}
LARGE = {"N": 2048, "D": 64, "C": 128}


def value(X, W, b, y):
    score = X @ W + b
    shifted = score - score.max(axis=1, keepdims=True)
    rowsum = np.exp(shifted).sum(axis=1)
    return -np.mean(shifted[np.arange(len(X)), y]) + np.mean(np.log(rowsum))


def forward(X, W, b, y):
    score = X @ W + b
    shifted = score - score.max(axis=1, keepdims=True)
    E = np.exp(shifted)
    rowsum = E.sum(axis=1)
    loss = np.mean(np.log(rowsum) - shifted[np.arange(len(X)), y])
    return loss, (X, W, y, E / rowsum[:, None])


def backward(dloss, cache):
    X, W, y, P = cache
    dscore = P * (dloss / len(X))
    dscore[np.arange(len(X)), y] -= dloss / len(X)
    dX = dscore @ W.T
    dW = X.T @ dscore
    db = dscore.sum(axis=0)
    return dX, dW, db
