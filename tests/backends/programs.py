"""Programs to try the NumPy backend on, and the sizes to try them at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A text, sizes for its names, and a bound for the integers in its inputs."""

    name: str
    text: str
    sizes: tuple[dict[str, int], ...] = ({},)
    below: int = 2
    options: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def over(**sizes: tuple[int, ...]) -> tuple[dict[str, int], ...]:
    """Assignments of sizes: the first, second, ... of each."""
    count = max(map(len, sizes.values()))
    return tuple({k: v[n % len(v)] for k, v in sizes.items()} for n in range(count))


ND = over(N=(4, 1, 0, 3), D=(3, 1, 2, 0))
NDM = over(N=(4, 1, 0, 3, 2), D=(3, 1, 2, 0, 2), M=(2, 1, 3, 2, 0))

CASES = [
    Case("affine", "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", NDM),
    Case("affine row bias", "b[1, M]\nY[n,m] = sum(d) X[n,d]*W[d,m] + b[0,m]", NDM),
    Case(
        "mlp",
        "H[n,m] = relu(sum(d) X[n,d]*W[d,m] + b[m])\nY[n,k] = sum(m) H[n,m]*V[m,k] + c[k]",
        over(N=(3, 1, 0), D=(2, 1, 2), M=(4, 1, 2), K=(2, 1, 3)),
    ),
    Case("relu mask", "Y[n,d] = X[n,d]*[X[n,d] > 0]", ND),
    Case("relu where", "Y[n,d] = where(X[n,d] > 0, X[n,d], 0)", ND),
    Case("sigmoid", "Y[n,d] = sigmoid(X[n,d])", ND),
    Case("plain sigmoid", "Y[n,d] = 1/(1 + exp(-X[n,d]))", ND),
    Case("tanh and softplus", "Y[n] = tanh(X[n])*softplus(Z[n])", over(N=(4, 1, 0))),
    Case("softmax", "Y[n,c] = exp(X[n,c])/(sum(k) exp(X[n,k]))", over(N=(3, 1, 0), C=(4, 1, 2))),
    Case(
        "stable softmax",
        "E[n,c] = exp(X[n,c] - max(k) X[n,k])\nP[n,c] = E[n,c]/sum(k) E[n,k]",
        over(N=(3, 1), C=(4, 1)),
    ),
    Case(
        "softmax loss",
        "X[N,D]\nW[D,2]\nS[n,c] = sum(d) X[n,d]*W[d,c] + b[c]\nr[n] = sum(c) exp(S[n,c])\n"
        "L[] = mean(n) log(r[n]) - mean(n) S[n,y[n]]",
        over(N=(5, 1), D=(3, 1)),
    ),
    Case(
        "batch norm",
        "mu[d] = mean(n) X[n,d]\nv[d] = mean(n) (X[n,d] - mu[d])**2\n"
        "xhat[n,d] = (X[n,d] - mu[d])/sqrt(v[d] + 1e-5)\nY[n,d] = gamma[d]*xhat[n,d] + beta[d]",
        over(N=(4, 2), D=(3, 1)),
    ),
    Case(
        "layer norm",
        "mu[n] = mean(d) X[n,d]\nv[n] = mean(d) (X[n,d] - mu[n])**2\n"
        "xhat[n,d] = (X[n,d] - mu[n])/sqrt(v[n] + 1e-5)\nY[n,d] = gamma[d]*xhat[n,d] + beta[d]",
        over(N=(4, 2), D=(3, 2)),
    ),
    Case(
        "attention",
        "S[b,h,i,j] = sum(k) Q[b,i,h,k]*K[b,j,h,k]/8\n"
        "E[b,h,i,j] = exp(S[b,h,i,j] - max(m) S[b,h,i,m])\n"
        "P[b,h,i,j] = E[b,h,i,j]/sum(m) E[b,h,i,m]\n"
        "O[b,i,h,k] = sum(j) P[b,h,i,j]*V[b,j,h,k]",
        ({"B": 2, "i": 3, "T": 3, "H": 2, "D": 2, "B0": 2, "Q0": 2, "Q1": 3, "Q2": 2, "Q3": 2},),
    ),
    Case("gram", "G[a,b] = sum(n) X[n,a]*X[n,b]", ND),
    Case("trace of a product", "L[] = sum(i,j) A[i,j]*B[j,i]", over(A0=(3, 1), A1=(2, 1))),
    Case("full contraction", "L[] = sum(i,j) A[i,j]*B[i,j]", over(A0=(3, 1), A1=(2, 1))),
    Case(
        "euclidean loss",
        "X[N,D]\nW[D,M]\nY[N,M]\nL[] = sum(n,m) (sum(d) X[n,d]*W[d,m] - Y[n,m])**2",
        NDM,
    ),
    Case("three factors", "Y[i,l] = sum(j,k) A[i,j]*B[j,k]*C[k,l]", ({},)),
    Case(
        "batched product",
        "X[B,N,D]\nW[B,D,M]\nY[b,n,m] = sum(d) X[b,n,d]*W[b,d,m]",
        over(B=(2, 1, 0), N=(3, 1, 2), D=(2, 1, 3), M=(4, 1, 2)),
    ),
    Case(
        "bilinear",
        "X[N,A]\nZ[N,B]\nW[A,B,M]\nY[n,m] = sum(a,b) X[n,a]*W[a,b,m]*Z[n,b]",
        over(N=(2, 1), A=(3, 1), B=(2, 1), M=(4, 1)),
    ),
    Case("rows weighted", "X[N,D]\nw[N]\nY[d] = sum(n) w[n]*X[n,d]**2", ND),
    Case("matrix vector batch", "X[N,D]\nW[N,D,M]\nY[n,m] = sum(d) X[n,d]*W[n,d,m]", NDM),
    Case(
        "convolution",
        "X[N,C,H,W]\nK[O,C,3,3]\nY[n,o,i:(H+1)//2,j:(W+1)//2] = b[o] +\n"
        "    sum(c,p,q) pad(X,0)[n,c,2*i+p-1,2*j+q-1]*K[o,c,p,q]",
        over(N=(2, 1), C=(2, 1), H=(5, 4, 1), W=(4, 3, 2), O=(3, 1)),
    ),
    Case(
        "valid convolution",
        "X[N,C,H,W]\nK[O,C,2,3]\nY[n,o,i:H-1,j:W-2] = sum(c,p,q) X[n,c,i+p,j+q]*K[o,c,p,q]",
        over(N=(2, 1), C=(2, 1), H=(4, 2), W=(5, 3), O=(3, 1)),
    ),
    Case(
        "dilated convolution",
        "X[N,C,H]\nK[O,C,3]\nY[n,o,i:H-4] = sum(c,p) X[n,c,i+2*p]*K[o,c,p]",
        over(N=(2, 1), C=(2, 1), H=(7, 5), O=(3, 1)),
    ),
    Case(
        "true convolution",
        "X[H]\nK[3]\nY[i:H-2] = sum(p) X[i+2-p]*K[p]",
        over(H=(6, 3, 2)),
    ),
    Case(
        "depthwise",
        "X[N,C,H]\nK[C,3]\nY[n,c,i:(H-1)//2] = sum(p) X[n,c,2*i+p]*K[c,p]",
        over(N=(2, 1), C=(2, 1), H=(7, 6, 3)),
    ),
    Case(
        "average pooling",
        "X[N,C,H,W]\nY[n,c,i:(H-1)//2,j:(W-1)//2] = mean(p:3,q:3) X[n,c,2*i+p,2*j+q]",
        over(N=(2, 1), C=(2, 1), H=(7, 6, 3), W=(5, 3)),
    ),
    Case(
        "average pooling of blocks",
        "X[N,C,2*H,2*W]\nY[n,c,i:H,j:W] = mean(p:2,q:2) X[n,c,2*i+p,2*j+q]",
        over(N=(2, 1), C=(2, 1), H=(3, 1, 0), W=(2, 1)),
    ),
    Case(
        "max pooling",
        "X[N,C,H,W]\nY[n,c,i:(H-1)//2,j:(W-1)//2] = max(p:3,q:3) X[n,c,2*i+p,2*j+q]",
        over(N=(2, 1), C=(2, 1), H=(7, 6, 3), W=(5, 3)),
    ),
    Case(
        "max pooling of blocks",
        "X[N,C,2*H,2*W]\nY[n,c,i:H,j:W] = max(p:2,q:2) X[n,c,2*i+p,2*j+q]",
        over(N=(2, 1), C=(2, 1), H=(3, 1, 0), W=(2, 1)),
    ),
    Case(
        "padded max pooling",
        "X[N,H]\nY[n,i:(H+1)//2] = max(p:3) pad(X,-inf)[n,2*i+p-1]",
        over(N=(2, 1), H=(7, 6, 1)),
    ),
    Case("padded average", "X[H]\nY[i:H] = sum(p:3) pad(X,0)[i+p-1]/3", over(H=(5, 1))),
    Case(
        "total variation",
        "X[H+1,W+1]\nT[] = sum(i:H,j:W) sqrt((X[i+1,j] - X[i,j])**2 + (X[i,j+1] - X[i,j])**2)",
        over(H=(3, 1), W=(4, 1)),
    ),
    Case("differences", "X[N+1]\nY[i:N] = X[i+1] - X[i]", over(N=(4, 1, 0))),
    Case("laplacian", "X[N]\nY[i:N] = pad(X,0)[i-1] - 2*X[i] + pad(X,0)[i+1]", over(N=(4, 1, 0))),
    Case("edge padding", "X[4]\nY[i:7] = pad(X,edge)[i-1]"),
    Case("wrap padding", "X[N]\nY[i:N+2] = pad(X,wrap)[i-1]", over(N=(4, 1))),
    Case("reflect padding", "X[5]\nY[i:9] = pad(X,reflect)[i-2]"),
    Case("gather", "W[V,D]\nY[n,d] = W[idx[n],d]", over(V=(3,), D=(2, 1, 0), N=(4, 1, 0, 5))),
    Case(
        "gather columns", "W[D,V]\nY[n,d] = W[d,idx[n]]", over(V=(3,), D=(2, 1, 0), N=(4, 1, 0, 5))
    ),
    Case("gather vector", "x[V]\nY[n] = x[idx[n]]**2", over(V=(3,), N=(5, 1, 0))),
    Case("gather pairs", "A[V,V]\nY[n] = A[i0[n], j0[n]]", over(V=(3,), N=(5, 1, 0))),
    Case(
        "gather far axes",
        "A[V,D,V]\nY[n,d] = A[i0[n], d, j0[n]]",
        over(V=(3,), D=(2,), N=(5, 1, 0)),
    ),
    Case(
        "gather on the diagonal", "S[N,2]\nL[] = -mean(n) log(sigmoid(S[n, y[n]]))", over(N=(5, 1))
    ),
    Case("one hot", "Y[n,c:3] = X[n,c]*[c = y[n]]", over(N=(4, 1, 0))),
    Case("count", "c[k:3] = sum(n) [y[n] = k]*w[n]", over(N=(4, 1, 0))),
    Case("repeat", "X[N]\nY[i:2*N] = X[i//2]", over(N=(4, 1, 0))),
    Case("tile", "X[3]\nY[i:N] = X[i % 3]", over(N=(7, 1, 6, 0))),
    Case(
        "flatten, then affine",
        "X[N,C,H,V]\nF[n,(c,h,v)] = X[n,c,h,v]\nY[n,m] = sum(d) F[n,d]*W[d,m]",
        over(N=(3, 1, 0), C=(2, 1, 3), H=(3, 1, 2), V=(2, 1, 1), M=(2, 1)),
    ),
    Case(
        "flatten to 64, then affine",
        "X[N,16,2,2]\nW[64,M]\nF[n,(c,h,v)] = X[n,c,h,v]\nY[n,m] = sum(d) F[n,d]*W[d,m]",
        over(N=(3, 1), M=(2, 1)),
    ),
    Case(
        "pixel shuffle",
        "X[N,4*C,H,W]\nV[n,c:C,a:2,b:2,h,w] = X[n,(c,a,b),h,w]\n"
        "Y[n,c,(h,a),(w,b)] = V[n,c,a,b,h,w]",
        over(N=(2, 1, 0), C=(3, 1, 2), H=(2, 1, 3), W=(3, 1, 2)),
    ),
    Case("digits and a shift", "X[6]\nZ[13]\nY[k:12] = X[k//2]*Z[k + 1]*Z[k]"),
    Case("digits beside an index", "X[4,9]\nY[k:8,j:3] = X[k//2, 3*(k%2) + j]"),
    Case(
        "rows added up",
        "t: int[N]\nE[V,D]\nY[d] = sum(n) E[t[n],d]",
        over(N=(4, 1, 0), V=(3, 2), D=(2, 1)),
    ),
    Case(
        "rows of a table with two keys",
        "t: int[N,M]\nu: int[M]\nE[V,W,D,C]\nY[n,m,c] = sum(d) E[t[n,m],u[m],d,c]*F[n,d]",
        over(N=(2, 1), M=(3, 1), V=(3, 2), W=(2,), D=(2, 1), C=(2, 3)),
    ),
    Case("digits in another order", "X[3,2,4]\nY[k:24] = X[k//2%3, k%2, k//6]*Z[k]"),
    Case("digits that overlap", "X[4,3]\nZ[6]\nY[k:12] = X[k//3, k%3]*Z[k//2]"),
    Case("reshape", "X[H*D]\nY[h:H,d:D] = X[D*h + d]", over(H=(3, 1), D=(2, 1))),
    Case("flatten", "X[H,D]\nY[(h,d)] = X[h,d]", over(H=(3, 1, 0), D=(2, 1))),
    Case("diagonal", "X[N,N]\nY[i] = X[i,i]", over(N=(4, 1, 0))),
    Case("off diagonal", "X[N+1,N+1]\nY[i:N] = X[i,i+1]", over(N=(4, 1, 0))),
    Case("diagonal matrix", "x[N]\nY[i:N,j:N] = [i = j]*x[i]", over(N=(4, 1, 0))),
    Case("tensor diagonal", "X[N,D,N]\nY[d] = sum(i) X[i,d,i]", ND),
    Case("triangle", "X[N,N]\nY[i,j] = [j <= i]*X[i,j]", over(N=(4, 1, 0))),
    Case("running sum", "X[N]\nY[i:N] = sum(j if j <= i) X[j]", over(N=(4, 1, 0))),
    Case(
        "concatenate",
        "A[N]\nB[M]\nY[i:N+M] = where(i < N, pad(A,0)[i], pad(B,0)[i-N])",
        over(N=(3, 1, 0), M=(2, 1, 3)),
    ),
    Case("flip", "X[N]\nY[i:N] = X[N-1-i]", over(N=(4, 1, 0))),
    Case("steps", "X[N]\nY[i:N//2] = X[2*i+1]", over(N=(5, 4, 1, 0))),
    Case("backward steps", "X[N]\nY[i:(N+1)//2] = X[N-1-2*i]", over(N=(5, 4, 1, 0))),
    Case("roll", "X[N]\nY[i:N] = X[(i+2) % N]", over(N=(5, 3))),
    Case("transposed", "X[N,D]\nY[d,n] = X[n,d]", ND),
    Case("outer", "Y[i,j] = a[i]*b[j]", ({},)),
    Case("broadcast", "x[N]\nY[n,d:3] = x[n]", over(N=(4, 1, 0))),
    Case("constant", "X[N,D]\nY[n,d] = X[n,d]*0 + 2\n", ND),
    Case("norms", "X[N,D]\nr[n] = sqrt(sum(d) X[n,d]**2)", ((ND[0]), (ND[1]))),
    Case(
        "cosine",
        "X[N,D]\nZ[N,D]\nc[n] = (sum(d) X[n,d]*Z[n,d])/sqrt((sum(d) X[n,d]**2)*(sum(d) Z[n,d]**2))",
        (ND[0], ND[1]),
    ),
    Case(
        "extremes",
        "X[N,D]\nm[n] = max(d) X[n,d]\nw[n] = min(d) X[n,d]\nY[n] = m[n] - w[n]",
        (ND[0], ND[1]),
    ),
    Case("product", "X[N,D]\nY[n] = prod(d) X[n,d]", (ND[0], ND[1])),
    Case(
        "powers",
        "X[N]\nY[i] = X[i]**3 + X[i]**4 - (1 + X[i]**2)**(3/2) + (2 + X[i]**2)**(1/3)",
        over(N=(4, 1, 0)),
    ),
    Case("guarded logarithm", "Y[i] = [X[i] > 0]*log(X[i])*a[i]", over(N=(6, 1, 0))),
    Case("guarded exponential", "Y[i] = where(X[i] < 500, exp(X[i]), 1)", over(N=(6, 1, 0))),
    Case("guarded sum", "y[j] = sum(i) [X[i] > 0]*log(X[i])*W[i,j]", ({},)),
    Case("clip", "Y[i] = clip(X[i], -0.5, 0.5)", over(N=(6, 1, 0))),
    Case("two outputs", "A[n] = X[n]**2\nB[n] = exp(A[n])\nreturn A, B", over(N=(4, 1, 0))),
    Case("positions", "X[N]\nY[i] = X[i]*i/N", over(N=(4, 1, 0))),
    Case("argmax", "X[N,D]\na[n] = argmax(d) X[n,d]\nY[n] = X[n,a[n]]", (ND[0], ND[1])),
    Case("whole numbers", "Y[n] = X[n]*X[n // 1]", over(N=(4, 1))),
    Case("mask", "X[N]\nM: bool[N]\nY[n] = where(M[n], X[n], -1)", over(N=(5, 1, 0))),
    Case("leaky", "Y[i] = where(X[i] > 0, X[i], 0.1*X[i])", over(N=(6, 1, 0))),
    Case(
        "huber",
        "d[i] = abs(x[i] - y[i])\nL[] = mean(i) where(d[i] < 1, 0.5*d[i]**2, d[i] - 0.5)",
        over(N=(6, 1)),
    ),
    Case(
        "mean of embeddings",
        "W[V,D]\nY[n,d] = mean(t) W[idx[n,t],d]",
        over(V=(3,), D=(2, 1), N=(4, 1), T=(3, 1)),
    ),
    Case(
        "heads",
        "X[B,T,6]\nW[6,6]\nY[b,t,(h:2,d:3)] = sum(k) X[b,t,k]*W[k,(h,d)]*X[b,t,(h,d)]",
        over(B=(2, 1), T=(3, 1)),
    ),
    Case(
        "masked quotients",
        "X[N+1]\nd[i:N] = X[i+1] - X[i]\nL[] = sum(i) sqrt(d[i]**2)*w[i]",
        over(N=(4, 1)),
    ),
    Case(
        "a copy", "X[N,D]\nC[n,d] = X[n,d] - mean(k) X[k,d]\nG[d,e] = sum(n) C[n,d]*C[n,e]", ND[:2]
    ),
]
