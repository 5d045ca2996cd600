"""Batch norm in training, statistics over the batch."""

import numpy as np

AXES = {"X": "N D", "gamma": "D", "beta": "D"}
SMALL = {"N": 6, "D": 3}
LARGE = {"N": 2048, "D": 256}


def value(X, gamma, beta):
    mu = X.mean(axis=0)
    centred = X - mu
    var = (centred**2).mean(axis=0)
    xhat = centred / np.sqrt(var + 1e-5)
    return gamma * xhat + beta


def forward(X, gamma, beta):
    centred = X - X.mean(axis=0)
    s = 1 / np.sqrt((centred**2).mean(axis=0) + 1e-5)
    xhat = centred * s
    return gamma * xhat + beta, (xhat, gamma, s)


def backward(dY, cache):
    xhat, gamma, s = cache
    N = len(dY)
    dbeta = dY.sum(axis=0)
    dgamma = (dY * xhat).sum(axis=0)
    dX = gamma * s / N * (N * dY - dbeta - xhat * dgamma)
    return dX, dgamma, dbeta
