"""Softmax over the last axis as the textbook writes it, without a shift."""

import numpy as np

AXES = {"S": "N C"}
SMALL = {"N": 4, "C": 5}
LARGE = {"N": 2048, "C": 256}


def value(S):
    E = np.exp(S)
    return E / E.sum(axis=1, keepdims=True)


def forward(S):
    E = np.exp(S)
    P = E / E.sum(axis=1, keepdims=True)
    return P, P


def backward(dP, cache):
    P = cache
    dS = P * (dP - (P * dP).sum(axis=1, keepdims=True))
    return (dS,)
