"""Index programs that between them use every rule of the calculus, and sizes to try them at."""

from __future__ import annotations

LETTERS = dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 3)
SIZES = (
    LETTERS | {"N": 3, "M": 4, "D": 2, "C": 3, "H": 5, "W": 4, "K": 2, "T": 3, "O": 2, "V": 3},
    LETTERS | {"N": 1, "M": 3, "D": 3, "C": 2, "H": 4, "W": 5, "K": 1, "T": 2, "O": 1, "V": 2},
)

PROGRAMS = {
    "relu": "Y[n] = max(X[n], 0)",
    "affine": "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "two-layer": """S[n,h] = sum(d) X[n,d]*U[d,h] + b[h]
        A[n,h] = max(S[n,h], 0)
        Y[n,c] = sum(h) A[n,h]*V[h,c]""",
    "sigmoid by hand": "Y[n] = 1/(1 + exp(-X[n]))",
    "tanh": "Y[n] = tanh(X[n])",
    "softmax": """e[n,c] = exp(S[n,c])
        Z[n] = sum(c) e[n,c]
        P[n,c] = e[n,c]/Z[n]""",
    "softmax in one": "P[n,c] = exp(S[n,c] - max(k) S[n,k])/(sum(k) exp(S[n,k] - max(j) S[n,j]))",
    "log-softmax": "Y[n,c] = S[n,c] - log(sum(k) exp(S[n,k]))",
    "softmax loss": """score[n,c] = sum(d) X[n,d]*W[d,c] + b[c]
        rowsum[n] = sum(c) exp(score[n,c])
        L[] = -mean(n) score[n,y[n]] + mean(n) log(rowsum[n])""",
    "batch norm": """mu[d] = mean(n) X[n,d]
        xc[n,d] = X[n,d] - mu[d]
        v[d] = mean(n) xc[n,d]**2
        s[d] = 1/sqrt(v[d] + 0.001)
        xhat[n,d] = xc[n,d]*s[d]
        Y[n,d] = gamma[d]*xhat[n,d] + beta[d]""",
    "layer norm": """mu[n] = mean(d) X[n,d]
        xc[n,d] = X[n,d] - mu[n]
        sd[n] = sqrt(mean(d) xc[n,d]**2 + 0.001)
        xhat[n,d] = xc[n,d]/sd[n]
        Y[n,d] = gamma[d]*xhat[n,d] + beta[d]""",
    "gram": "G[i,j] = sum(d) X[i,d]*X[j,d]",
    "quadratic form": "q[] = sum(i,j) x[i]*A[i,j]*x[j]",
    "Euclidean": "L[] = sum(n,m) (sum(d) X[n,d]*W[d,m] - Y[n,m])**2",
    "total variation": """U[H, W]
        t[i:H-1,j:W-1] = sqrt((U[i,j+1] - U[i,j])**2 + (U[i+1,j] - U[i,j])**2)
        L[] = sum(i,j) t[i,j]""",
    "convolution": """X[N, C, H]
        Y[n,o,i:(H-1)//2+1] =
        sum(c,p:3) pad(X,0)[n,c,2*i+p-1]*F[o,c,p] + b[o]""",
    "max pooling": """X[N, H]
        Y[n,i:(H-2)//2+1] = max(p:2) X[n,2*i+p]""",
    "average pooling": """X[N, H]
        Y[n,i:(H-3)//2+1] = mean(p:3) X[n,2*i+p]""",
    "diagonal": "Y[i] = X[i,i]*W[i,i]",
    "gather": """X[V, D]
        Y[m,d] = tanh(X[y[m],d])""",
    "where": "Y[n] = where(X[n] < 1, exp(X[n]), 1)",
    "bracket": "Y[n] = X[n]*[X[n] > 0]*W[n]",
    "div": """X[M]
        Y[i:2*M] = X[i//2]*i""",
    "div with a rest": """X[M]
        Y[i:2*M-1] = X[i//2]*(i + 1)""",
    "mod": """X[3]
        Y[i:M] = X[i % 3]*W[i]""",
    "tile": """X[M]
        Y[i:3*M] = X[i % M]*(i + 1)""",
    "prod": "Y[n] = prod(d) X[n,d]",
    "ties": "Y[n] = max(X[n], W[n])*min(X[n], W[n])",
    "attention": """S[i,j] = sum(k) Q[i,k]*R[j,k]/sqrt(K)
        e[i,j] = exp(S[i,j] - max(l) S[i,l])
        A[i,j] = e[i,j]/(sum(l) e[i,l])
        O[i,d] = sum(j) A[i,j]*V[j,d]""",
    "standard deviation": "Y[d] = sqrt(mean(n) (X[n,d] - mean(k) X[k,d])**2)",
    "unit vectors": """r[n] = sqrt(sum(d) X[n,d]**2)
        Y[n,d] = X[n,d]/r[n]""",
    "covariance": """xc[n,d] = X[n,d] - mean(k) X[k,d]
        Y[i,j] = sum(n) xc[n,i]*xc[n,j]/N""",
    "gelu": "Y[n] = 0.5*X[n]*(1 + tanh(0.797885*(X[n] + 0.044715*X[n]**3)))",
    "several outputs": """A[n] = exp(X[n])
        B[n] = A[n]*X[n]
        s[] = sum(n) A[n]
        return A, B, s""",
    "a value under a guard": """T[i] = where(x[i] < w[i], x[i], 1)*[0 < x[i]]
        U[i] = T[i]**2""",
    "padded view": """Z[i:N] = sin(X[i]) + cos(W[i])
        Y[k:M,j:2] = pad(Z,0)[k+2]""",
    "a root beside a quotient": """r[i] = where(x[i] > 0, x[i], -x[i])**(-0.5)
        q[i] = 1/x[i]
        s[i] = x[i]**(-0.5)
        Y[i] = where(x[i] > 0, s[i], q[i])*r[i]""",
    "recurrence": """h1[n,k] = tanh(sum(d) x0[n,d]*U[d,k] + sum(j) h0[n,j]*V[j,k] + b[k])
        h2[n,k] = tanh(sum(d) x1[n,d]*U[d,k] + sum(j) h1[n,j]*V[j,k] + b[k])
        h3[n,k] = tanh(sum(d) x2[n,d]*U[d,k] + sum(j) h2[n,j]*V[j,k] + b[k])
        return h1, h2, h3""",
    "an output given back twice": """Y[i] = X[i]**2
        Z[i] = exp(X[i])
        return Y, Z, Y""",
    "a norm with weights": "Y[j:M] = sqrt(sum(i) ((j + 1)*X[i,j])**2)",
    "a condition with a value of its own": """Y[i] = X[i]*[sigmoid(W[i]) < X[i]]*exp(W[i])
        Z[i] = where(sigmoid(W[i]) < X[i], W[i], 1)*X[i]
        return Y, Z""",
    "a gradient without indices": """Y0[] = sum(i) (sum(j) X[i,j] - log(1 + W[i]**2))
        Y1[k:M,l:M] = Y0[]""",
    "silu by hand": "Y[n] = X[n]/(1 + exp(-X[n]))",
    "softmax of an outer product": """s[i,j] = q[i]*k[j]
        e[i,j] = exp(s[i,j])
        Y[i,j] = e[i,j]/(sum(l) e[i,l])""",
    "trace of three": "q[] = sum(i,j,k) A[i,j]*B[j,k]*R[k,i]",
    "a mask added to scores": """S[t,k] = (sum(d) Q[t,d]*R[k,d])/sqrt(D) + m[t,k]
        P[t,k] = exp(S[t,k] - max(u) S[t,u])
        O[t,k] = P[t,k]/(sum(u) P[t,u])""",
    "an inverse with an axis more": "Y[i,k:K] = 1/(1.5 + exp(tanh(X[i]))**2)",
    "a broadcast norm": "Y[i,j:M] = sqrt(sum(k) X[i,k]**2)",
}

# What a careful person would publish. Read: the gradients of the program of the same name, from its
# inputs, its values and its cotangents.
PUBLISHED = {
    "relu": "dX[n] = dY[n]*[X[n] > 0]",
    "affine": """dX[n,d] = sum(m) dY[n,m]*W[d,m]
        dW[d,m] = sum(n) X[n,d]*dY[n,m]
        db[m] = sum(n) dY[n,m]""",
    "two-layer": """dV[h,c] = sum(n) A[n,h]*dY[n,c]
        dA[n,h] = sum(c) dY[n,c]*V[h,c]
        dS[n,h] = dA[n,h]*[S[n,h] > 0]
        db[h] = sum(n) dS[n,h]
        dX[n,d] = sum(h) dS[n,h]*U[d,h]
        dU[d,h] = sum(n) X[n,d]*dS[n,h]""",
    "sigmoid by hand": "dX[n] = dY[n]*Y[n]/(1 + exp(X[n]))",
    "tanh": "dX[n] = dY[n]*(1 - Y[n]**2)",
    "softmax": "dS[n,c] = P[n,c]*(dP[n,c] - (sum(k) P[n,k]*dP[n,k]))",
    "softmax in one": "dS[n,c] = P[n,c]*(dP[n,c] - (sum(k) P[n,k]*dP[n,k]))",
    "batch norm": """dbeta[d] = sum(n) dY[n,d]
        dgamma[d] = sum(n) dY[n,d]*xhat[n,d]
        dX[n,d] = gamma[d]*s[d]/N*(N*dY[n,d] - dbeta[d] - xhat[n,d]*dgamma[d])""",
    "layer norm": """dbeta[d] = sum(n) dY[n,d]
        dgamma[d] = sum(n) dY[n,d]*xhat[n,d]
        g[n,d] = dY[n,d]*gamma[d]
        dX[n,d] = (D*g[n,d] - (sum(k) g[n,k]) - xhat[n,d]*(sum(k) g[n,k]*xhat[n,k]))/(D*sd[n])""",
    "gram": "dX[i,d] = sum(j) (dG[i,j] + dG[j,i])*X[j,d]",
    "quadratic form": """dx[i] = dq[]*(sum(j) (A[i,j] + A[j,i])*x[j])
        dA[i,j] = dq[]*x[i]*x[j]""",
    "unit vectors": """dX[n,d] = (dY[n,d] - Y[n,d]*(sum(k) Y[n,k]*dY[n,k]))/r[n]""",
}
