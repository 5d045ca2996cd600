"""Layer norm over the last axis."""

import numpy as np

AXES = {"X": "N D", "gamma": "D", "beta": "D"}
SMALL = {"N": 4, "D": 5}
LARGE = {"N": 2048, "D": 256}


def value(X, gamma, beta):
    mu = X.mean(axis=1, keepdims=True)
    centred = X - mu
    var = (centred**2).mean(axis=1, keepdims=True)
    xhat = centred / np.sqrt(var + 1e-5)
    return gamma * xhat + beta


def forward(X, gamma, beta):
    centred = X - X.mean(axis=1, keepdims=True)
    s = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    xhat = centred * s
    return gamma * xhat + beta, (xhat, gamma, s)


def backward(dY, cache):
    xhat, gamma, s = cache
    D = dY.shape[1]
    dbeta = dY.sum(axis=0)
    dgamma = (dY * xhat).sum(axis=0)
    dxhat = dY * gamma
    a = dxhat.sum(axis=1, keepdims=True)
    b = (dxhat * xhat).sum(axis=1, keepdims=True)
    dX = s / D * (D * dxhat - a - xhat * b)
    return dX, dgamma, dbeta
