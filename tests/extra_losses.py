"""Losses that the library does not hold, for tests of the engine: text and variables."""

from __future__ import annotations

from functools import cache

import derive
from derive.loss import Loss

SOFTMAX = "p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)\n"

# name: (the names to differentiate by, the text)
EXTRA: dict[str, tuple[str, str]] = {
    "two_layer": (
        "x V W",
        """x: input[D]
V: param[H, D]
W: param[K, H]
y: target[K] in simplex

h[i] = tanh(sum(V[i, j] * x[j] for j in D))
a[i] = sum(W[i, j] * h[j] for j in H)
p[i] = exp(a[i]) / sum(exp(a[k]) for k in K)
L = -sum(y[i] * log(p[i]) for i in K)
""",
    ),
    "info_nce": (
        "U V tau",
        """U: input[N, D]
V: input[N, D]
tau: const > 0 = 1

S[i, j] = sum(U[i, d] * V[j, d] for d in D)
P[i, j] = exp(S[i, j] / tau) / sum(exp(S[i, k] / tau) for k in N)
L = -sum(log(P[i, i]) for i in N) / N
""",
    ),
    "tied_info_nce": (
        "U",
        """U: input[N, D]
tau: const > 0 = 1

S[i, j] = sum(U[i, d] * U[j, d] for d in D)
P[i, j] = exp(S[i, j] / tau) / sum(exp(S[i, k] / tau) for k in N)
L = -sum(log(P[i, i]) for i in N) / N
""",
    ),
    "dense_focal": (
        "a y gamma",
        f"""a: input[K]
y: target[K] in simplex
gamma: const > 0 = 2

{SOFTMAX}L = -sum(y[i] * (1 - p[i])**gamma * log(p[i]) for i in K)
""",
    ),
    "layer_norm": (
        "x g",
        """x: input[D]
g: param[D]
t: target[D]
eps: const > 0 = 0.001

mu = mean(x[i] for i in D)
v = mean((x[i] - mu)**2 for i in D)
z[i] = g[i] * (x[i] - mu) / sqrt(v + eps)
L = sum((z[i] - t[i])**2 for i in D) / 2
""",
    ),
    "huber": (
        "z",
        """z: input
y: target
width: const > 0 = 1

r = z - y
L = r**2 / 2 if abs(r) <= width else width * (abs(r) - width / 2)
""",
    ),
    "weighted_labels": (
        "A w",
        """A: input[N, K]
c: target[N] in K
w: param[K]

P[n, i] = exp(A[n, i]) / sum(exp(A[n, k]) for k in K)
L = -sum(w[c[n]] * log(P[n, c[n]]) for n in N) / sum(w[c[n]] for n in N)
""",
    ),
    "label_hinge": (
        "a",
        """a: input[K]
c: target in K

L = sum(relu(1 + a[i] - a[c]) for i in K if i != c)
""",
    ),
    "log_cosh": ("z", "z: input\ny: target\n\nL = log(cosh(z - y))\n"),
    "softplus_bce": ("z", "z: input\nt: target in unit\n\nL = softplus(z) - t * z\n"),
    "shifted": (
        "a",
        """a: input[K]
y: target[K] in simplex

m = max(a[k] for k in K)
p[i] = exp(a[i] - m) / sum(exp(a[k] - m) for k in K)
L = -sum(y[i] * log(p[i]) for i in K)
""",
    ),
    "likelihood": (
        "a",
        f"""a: input[K]
y: target[K] in simplex

{SOFTMAX}L = -log(prod(p[i]**y[i] for i in K))
""",
    ),
    "log_sum_exp": ("a", "a: input[K]\n\nL = log(sum(exp(a[k]) for k in K))\n"),
    "free_cross_entropy": (
        "a y",
        f"a: input[K]\ny: target[K]\n\n{SOFTMAX}L = -sum(y[i] * log(p[i]) for i in K)\n",
    ),
    "smoothed": (
        "a eps",
        f"""a: input[K]
y: target[K] in simplex
eps: const in unit = 0.1

{SOFTMAX}L = -sum(((1 - eps) * y[i] + eps / K) * log(p[i]) for i in K)
""",
    ),
    "distilled": (
        "a b T",
        """a: input[K]
b: input[K]
T: const > 0 = 2

p[i] = exp(a[i] / T) / sum(exp(a[k] / T) for k in K)
q[i] = exp(b[i] / T) / sum(exp(b[k] / T) for k in K)
L = T**2 * sum(q[i] * log(q[i] / p[i]) for i in K)
""",
    ),
    "constant_in_x": ("x", "x: input\ny: target\nu = x * 0\nL = y**2 + u\n"),
    "products": ("a", "a: input[K]\n\nL = prod(1 + a[k]**2 for k in K)\n"),
    "largest_entry": ("a", "a: input[K]\n\nL = max(a[k]**2 for k in K)\n"),
    "small_numbers": (
        "x z",
        """x: input[D]
z: input[D]
y: target[D] in binary

s = mean(x[i]**2 for i in D)
p[i] = sigmoid(z[i])
TP = sum(p[i] * y[i] for i in D)
FP = sum(p[i] * (1 - y[i]) for i in D)
FN = sum((1 - p[i]) * y[i] for i in D)
L = sum(x[i] * y[i] for i in D) / sqrt(s + 1e-5) - (TP + 1e-7) / (TP + 0.3 * FP + 0.7 * FN + 1e-7)
""",
    ),
    "asymmetric": (
        "z",
        """z: input[K]
y: target[K] in binary

p[k] = sigmoid(z[k])
q[k] = max(p[k] - 0.05, 0)
L = -sum(y[k] * (1 - p[k]) * log(p[k]) + (1 - y[k]) * q[k]**4 * log(1 - q[k]) for k in K)
""",
    ),
    "contrastive": (
        "u v",
        """u: input[D]
v: input[D]
y: target in binary
m: const > 0 = 1

d = sqrt(sum((u[i] - v[i])**2 for i in D))
L = y * d**2 / 2 + (1 - y) * max(0, m - d)**2 / 2
""",
    ),
    "normalised": (
        "x",
        """x: input[D]
t: target[D]

mu = mean(x[i] for i in D)
v = mean((x[i] - mu)**2 for i in D)
z[i] = (x[i] - mu) / sqrt(v + 1e-5)
L = sum((z[i] - t[i])**2 for i in D) / 2
""",
    ),
    "hinge_power": (
        "z",
        "z: input\ny: target in sign\ng: const >= 1 = 1.5\n\nL = max(0, 1 - y*z)**g\n",
    ),
    "power_tower": ("x y", "x: input > 0\ny: input\n\nL = (1 + x**2)**y\n"),
}


@cache
def extra(name: str) -> Loss:
    """The loss of that name."""
    return derive.parse(EXTRA[name][1], name)


@cache
def every_loss() -> tuple[tuple[str, str], ...]:
    """(loss, variable) for the whole library and the losses above."""
    pairs = []
    for name in derive.library():
        for declaration in derive.load(name).declarations:
            if declaration.role in ("input", "param"):
                pairs.append((name, declaration.name))
    pairs += [(name, wrt) for name, (wrts, _) in EXTRA.items() for wrt in wrts.split()]
    return tuple(pairs)


def get(name: str) -> Loss:
    """A loss above or of the library."""
    return extra(name) if name in EXTRA else derive.load(name)
