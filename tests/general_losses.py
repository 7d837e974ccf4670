"""Losses that are not in the library, for tests: the language at large."""

SOFTMAX = "p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)"
LOSSES = {
    "weight decay": f"""
x: input[D]
W: param[K, D]
lam: const >= 0 = 0.1
y: target[K] in simplex
a[i] = sum(W[i, j]*x[j] for j in D)
{SOFTMAX}
L = -sum(y[i]*log(p[i]) for i in K) + lam/2*sum(W[i, j]**2 for i in K for j in D)""",
    "native label": f"a: input[K]\nt: target in K\n{SOFTMAX}\nL = -log(p[t])",
    "class weights": f"""
a: input[K]
w: const[K] > 0
t: target in K
{SOFTMAX}
L = -w[t]*log(p[t])""",
    "label smoothing": f"""
a: input[K]
t: target in K
eps: const in unit = 0.1
{SOFTMAX}
L = -sum(((1 - eps)*(1 if i == t else 0) + eps/K)*log(p[i]) for i in K)""",
    "log-sum-exp": "a: input[K]\nt: target in K\nL = log(sum(exp(a[k]) for k in K)) - a[t]",
    "likelihood": f"""
a: input[K]
y: target[K] in simplex
{SOFTMAX}
L = -log(prod(p[i]**y[i] for i in K))""",
    "named sums": """
a: input[K]
y: target[K] in simplex
e[i] = exp(a[i])
S = sum(e[k] for k in K)
p[i] = e[i]/S
L = -sum(y[i]*log(p[i]) for i in K)""",
    "shifted by hand": """
a: input[K]
y: target[K] in simplex
m = max(a[k] for k in K)
p[i] = exp(a[i] - m)/sum(exp(a[k] - m) for k in K)
L = -sum(y[i]*log(p[i]) for i in K)""",
    "temperature": """
a: input[K]
y: target[K] in simplex
T: const > 0 = 2
p[i] = exp(a[i]/T)/sum(exp(a[k]/T) for k in K)
L = -T**2*sum(y[i]*log(p[i]) for i in K)""",
    "two softmaxes": f"""
a: input[K]
b: input[K]
{SOFTMAX}
q[i] = exp(b[i])/sum(exp(b[k]) for k in K)
L = sum(p[i]*log(p[i]/q[i]) for i in K)""",
    "two exponentials": "u: input\nv: input\nL = log(exp(u) + exp(v)) - u",
    "explicit sigmoid": """
z: input
y: target in unit
p = 1/(1 + exp(-z))
L = -(y*log(p) + (1 - y)*log(1 - p))""",
    "log-cosh": "z: input\ny: target\nL = log(cosh(z - y))",
    "huber": """
z: input
y: target
d: const > 0 = 1
r = z - y
L = r**2/2 if abs(r) <= d else d*(abs(r) - d/2)""",
    "multiclass hinge": """
a: input[K]
t: target in K
L = sum(max(0, 1 + a[i] - a[t]) for i in K if i != t)""",
    "maximum": "a: input[K]\ny: target\nL = (max(a[k] for k in K) - y)**2",
    "two layers": f"""
x: input[D]
W: param[H, D]
V: param[K, H]
y: target[K] in simplex
h[i] = tanh(sum(W[i, j]*x[j] for j in D))
a[i] = sum(V[i, j]*h[j] for j in H)
{SOFTMAX}
L = -sum(y[i]*log(p[i]) for i in K)""",
    "bilinear": """
x: input[D]
M: param[D, D]
L = sum(x[i]*M[i, j]*x[j] for i in D for j in D)""",
    "trace": "M: input[D, D]\nL = sum(M[i, i] for i in D)**2",
    "mean and size": "x: input[D]\nL = mean(x[i]**2 for i in D) + D",
    "identity": "z: input\nL = z",
    "no sample in it": "z: input\nc: param\nL = 3*c",
    "python's names": """
np: input[K]
lambda_: param
dtype: target[K] in simplex
reduction[i] = exp(lambda_*np[i])/sum(exp(lambda_*np[k]) for k in K)
loss = -sum(dtype[i]*log(reduction[i]) for i in K)""",
}
SEQUENCE = "p[s, i] = exp(a[s, i]) / sum(exp(a[s, k]) for k in K)"
LOSSES |= {
    "sequence with labels": f"""
a: input[T, K]
t: target[T] in K
{SEQUENCE}
L = -mean(log(p[s, t[s]]) for s in T)""",
    "sequence": f"""
a: input[T, K]
y: target[T, K] in simplex
{SEQUENCE}
L = -sum(y[s, i]*log(p[s, i]) for s in T for i in K)""",
    "attention": """
q: input[D]
X: input[T, D]
y: target[D]
s[i] = sum(q[j]*X[i, j] for j in D)
p[i] = exp(s[i])/sum(exp(s[k]) for k in T)
o[j] = sum(p[i]*X[i, j] for i in T)
L = sum((o[j] - y[j])**2 for j in D)/2""",
    "entropy bonus": f"""
a: input[K]
t: target in K
b: const >= 0 = 0.1
{SOFTMAX}
H = -sum(p[i]*log(p[i]) for i in K)
L = -log(p[t]) - b*H""",
    "embedding": """
E: param[K, D]
t: target in K
y: target[D]
L = sum((E[t, d] - y[d])**2 for d in D)""",
    "ranking": """
s: input[K]
R: target[K, K] in binary
L = sum(R[i, j]*softplus(s[j] - s[i]) for i in K for j in K if i != j)""",
    "three factors": """
x: input[D]
z: input[K]
M: param[D, K, H]
c: param[H]
L = sum(x[i]*M[i, j, h]*z[j]*c[h] for i in D for j in K for h in H)""",
    "cosine": """
u: input[D]
v: input[D]
L = 1 - sum(u[i]*v[i] for i in D)/sqrt(sum(u[i]**2 for i in D)*sum(v[i]**2 for i in D))""",
    "nested sums of exponentials": """
a: input[T, K]
L = log(sum(exp(2*log(sum(exp(a[s, k]) for k in K))) for s in T))""",
    "nested maxima": "a: input[T, K]\nL = max(max(a[s, k] for k in K) for s in T)",
    "minimum": "a: input[K]\nL = min(a[k] for k in K)**2",
    "product": "a: input[K]\nL = prod(1 + a[k]**2 for k in K)",
    "error function": "z: input\nL = z*erf(z)/2",
    "complementary error function": "z: input\nL = z*erfc(z) - log(erfc(2*z))",
    "conditions": """
z: input
y: target
L = (z**2 if (z > 0 and y > 0) or not z < -1/2 else -z**3)""",
    "half powers": "x: input[D]\nL = sum(abs(x[i])**1.5 for i in D)/3",
    "axes called as keywords are": """
x: input[If]
w: param[Do, If]
L = sum(sum(w[d, i]*x[i] for i in If)**2 for d in Do)""",
    "a long line": """
a: input[K]
c: const[K] > 0
L = sum(sin(a[i])*cos(a[i]*c[i])*tanh(a[i] + c[i])*exp(-a[i]**2)*atan(a[i]*c[i] + 1)/(1 + a[i]**4) for i in K)""",  # noqa: E501
}
WHOLE_BATCH = {
    "InfoNCE": """
U: input[N, D]
V: input[N, D]
tau: const > 0 = 0.5
s[i, j] = sum(U[i, d]*V[j, d] for d in D)/tau
L = -sum(s[i, i] - log(sum(exp(s[i, j]) for j in N)) for i in N)/N""",
    "tied": """
U: param[N, D]
s[i, j] = sum(U[i, d]*U[j, d] for d in D)
L = sum(log(sum(exp(s[i, j]) for j in N)) - s[i, i] for i in N)/N""",
    "weighted labels": """
P: input[N, K]
c: target[N] in K
w: const[K] > 0
q[n, i] = exp(P[n, i])/sum(exp(P[n, k]) for k in K)
L = -sum(w[c[n]]*log(q[n, c[n]]) for n in N)/sum(w[c[n]] for n in N)""",
}
