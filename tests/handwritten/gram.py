"""The Gram matrix of the columns of X."""

AXES = {"X": "N D"}
SMALL = {"N": 5, "D": 4}
LARGE = {"N": 1024, "D": 256}


def value(X):
    return X.T @ X


def forward(X):
    return X.T @ X, X


def backward(dG, cache):
    X = cache
    dX = X @ (dG + dG.T)
    return (dX,)
