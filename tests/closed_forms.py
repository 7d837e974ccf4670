"""The gradients that the literature gives for the losses of the library, as data for tests.

Each claim is written in the language of the loss file, in the letters of its entry.
"""

SIGN = "(1 if {0} > 0 else -1 if {0} < 0 else 0)"
SOFTMAX_T = "s*(p[j] - delta(j, t))*(1 if j != t else {0})"
ACTIVE = "(1 if sum((a[i] - p[i])**2 - (a[i] - n[i])**2 for i in D) + m > 0 else 0)"
# (-1)**k, where k counts the bends of psi below theta.
PARITY = "(1 if theta <= pi/4 else -1 if theta <= pi/2 else 1 if theta <= 3*pi/4 else -1)"

# (loss, entry, claim)
CLOSED_FORMS: list[tuple[str, str, str]] = [
    ("cross_entropy", "p[j]", "-y[j]/p[j]"),
    ("softmax_cross_entropy", "a[j]", "p[j] - y[j]"),
    (
        "weighted_softmax_cross_entropy",
        "a[j]",
        "0 if t == ignore_index else (1 - label_smoothing)*weight[t]*(p[j] - delta(j, t))"
        " + label_smoothing/K*(p[j]*sum(weight[k] for k in K) - weight[j])",
    ),
    (
        "weighted_sigmoid_cross_entropy",
        "z[j]",
        "weight[j]*(p[j]*(1 - y[j]) - pos_weight[j]*y[j]*(1 - p[j]))",
    ),
    ("linear_softmax_cross_entropy", "W[u, v]", "(p[u] - y[u])*x[v]"),
    ("linear_softmax_cross_entropy", "b[u]", "p[u] - y[u]"),
    ("linear_softmax_cross_entropy", "x[v]", "sum(W[k, v]*(p[k] - y[k]) for k in K)"),
    ("linear_sigmoid_cross_entropy", "w[j]", "(p - y)*x[j]"),
    ("linear_sigmoid_cross_entropy", "b", "p - y"),
    ("linear_sigmoid_cross_entropy", "x[j]", "(p - y)*w[j]"),
    ("sigmoid_cross_entropy", "z", "p - y"),
    ("mean_squared_error", "z", "z - y"),
    ("mean_absolute_error", "z", "sign(z - y)"),
    ("mean_absolute_error", "z", SIGN.format("(z - y)")),
    ("softmax_mse", "a[j]", "p[j]*(p[j] - y[j] - sum((p[i] - y[i])*p[i] for i in K))"),
    ("sigmoid_mse", "z", "(p - y)*p*(1 - p)"),
    ("huber", "z", "max(-d, min(z - y, d))"),
    ("huber", "z", "r if abs(r) <= d else d*sign(r)"),
    ("pseudo_huber", "z", "r/sqrt(1 + r**2/d**2)"),
    ("log_cosh", "z", "tanh(z - y)"),
    ("quantile", "z", "(1 if z - y > 0 else 0) - tau"),
    ("expectile", "z", "2*abs(tau - (1 if r > 0 else 0))*r"),
    ("binary_focal", "z", "s*alpha*(1 - q)**gamma*(gamma*q*log(q) + q - 1)"),
    (
        "focal",
        "z[j]",
        "(gamma*p[t]*(1 - p[t])**(gamma - 1)*log(p[t]) - (1 - p[t])**gamma)*(delta(j, t) - p[j])",
    ),
    ("label_smoothing", "z[j]", "p[j] - ((1 - eps)*y[j] + eps/K)"),
    ("kl_divergence", "z[j]", "p[j] - q[j]"),
    ("distillation", "z[j]", "T*(p[j] - q[j])"),
    ("entropy", "z[j]", "-p[j]*(log(p[j]) + H)"),
    ("jensen_shannon", "z[j]", "(1 - b)*p[j]*(log(p[j]/m[j]) - KL)"),
    (
        "total_variation",
        "z[j]",
        "p[j]*(sign(p[j] - y[j]) - sum(sign(p[i] - y[i])*p[i] for i in K))/2",
    ),
    ("hinge", "z", "-y if y*z < 1 else 0"),
    ("squared_hinge", "z", "-2*y*max(0, 1 - y*z)"),
    (
        "multiclass_hinge",
        "z[j]",
        "(1 if 1 + z[j] - z[t] > 0 else 0) if j != t"
        " else -sum(1 if 1 + z[i] - z[t] > 0 else 0 for i in K if i != t)",
    ),
    ("poisson", "z", "exp(z) - y"),
    ("gamma", "z", "1 - y*exp(-z)"),
    ("tweedie", "z", "-y*exp((1 - rho)*z) + exp((2 - rho)*z)"),
    ("dice", "z[j]", "p[j]*(1 - p[j])*((2*I + eps)/S**2 - 2*y[j]/S)"),
    (
        "tversky",
        "z[j]",
        "p[j]*(1 - p[j])*((I + eps)*(y[j] + alpha*(1 - y[j]) - beta*y[j]) - y[j]*S)/S**2",
    ),
    ("info_nce", "z[i, j]", "(p[i, j] - delta(i, j))/(tau*N)"),
    ("info_nce", "U[i, d]", "(sum(p[i, j]*V[j, d] for j in N) - V[i, d])/(tau*N)"),
    ("info_nce", "V[j, d]", "(sum(p[i, j]*U[i, d] for i in N) - U[j, d])/(tau*N)"),
    ("triplet", "a[j]", f"{ACTIVE}*2*(n[j] - p[j])"),
    ("triplet", "p[j]", f"{ACTIVE}*2*(p[j] - a[j])"),
    ("triplet", "n[j]", f"{ACTIVE}*2*(a[j] - n[j])"),
    ("am_softmax", "c[j]", "s*(p[j] - delta(j, t))"),
    ("sm_softmax", "a[j]", "p[j] - delta(j, t)"),
    (
        "arcface",
        "c[j]",
        SOFTMAX_T.format("(sin(theta + m)/sin(theta) if theta <= pi - m else 1)"),
    ),
    (
        "l_softmax_2",
        "c[j]",
        SOFTMAX_T.format("((1 if theta <= pi/2 else -1)*2*sin(2*theta)/sin(theta))"),
    ),
    ("l_softmax_2", "c[j]", SOFTMAX_T.format("4*abs(c[t])")),
    ("l_softmax_4", "c[j]", SOFTMAX_T.format(f"({PARITY}*4*sin(4*theta)/sin(theta))")),
    (
        "cox_partial_likelihood",
        "z[k]",
        "-e[k] + sum(e[i]*exp(z[k])/sum(exp(z[m]) for m in N if t[m] >= t[i])"
        " for i in N if t[k] >= t[i])",
    ),
    ("ranknet", "u", "-sigmoid(v - u)"),
    ("ranknet", "v", "sigmoid(v - u)"),
]
