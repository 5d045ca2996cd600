"""Scaled dot-product attention, one head, a batch of sequences."""

import numpy as np

AXES = {"Q": "B T D", "K": "B S D", "V": "B S E"}
SMALL = {"B": 2, "T": 3, "S": 4, "D": 5, "E": 2}
LARGE = {"B": 8, "T": 128, "S": 128, "D": 64, "E": 64}


def value(Q, K, V):
    score = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[2])
    E = np.exp(score - score.max(axis=2, keepdims=True))
    P = E / E.sum(axis=2, keepdims=True)
    return P @ V


def forward(Q, K, V):
    score = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[2])
    E = np.exp(score - score.max(axis=2, keepdims=True))
    P = E / E.sum(axis=2, keepdims=True)
    Y = P @ V
    return Y, (Q, K, V, P, Y)


def backward(dY, cache):
    Q, K, V, P, Y = cache
    dV = P.swapaxes(1, 2) @ dY
    dP = dY @ V.swapaxes(1, 2)
    dS = P * (dP - (dY * Y).sum(axis=2, keepdims=True)) / np.sqrt(Q.shape[2])
    dQ = dS @ K
    dK = dS.swapaxes(1, 2) @ Q
    return dQ, dK, dV
