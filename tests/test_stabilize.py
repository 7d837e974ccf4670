"""Each rule alone: it has a say, and both sides are the same number."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from exact import Exact
from mpmath import mp

import derive
from codegen.stabilize import EMITTED, OPTIONAL, RULES, SECOND, rewrite, stabilize
from derive.errors import ReplayError
from derive.index import Index
from derive.loss import Loss
from derive.record import Checker

HEAD = """
a: input[K]
b: input[K]
z: input
u: input > 0
y: target[K] in simplex
s: target in unit
t: target in K
d: target[K] in binary
r: target in sign
g: const > 0
p[i] = exp(a[i] - max(a[k] for k in K)) / sum(exp(a[k] - max(a[n] for n in K)) for k in K)
X[i] = exp(b[i] - max(b[k] for k in K)) / sum(exp(b[k] - max(b[n] for n in K)) for k in K)
e[i] = exp(a[i])
S = sum(exp(a[k]) for k in K)
q = sigmoid(z)
w = acos(s/2)
v = s - z
P[i] = exp(a[i]) / sum(exp(a[k]) for k in K)
Q[i] = exp(b[i]/g) / sum(exp(b[k]/g) for k in K)
T[i] = exp(b[i]/g + a[i]/1000) / sum(exp(b[k]/g + a[k]/1000) for k in K)
M[i] = s*y[i] + (1 - s)*P[i]
R[i] = s*delta(i, t) + (1 - s)*P[i]
V[i] = s*delta(i, t)/2 + s*y[i]/2 + (1 - s)*P[i]
D = sum(y[i]*log(y[i]/M[i]) for i in K)
E = 1 - exp(-exp(z))
F = z**2/(z**2 + 4)
G = exp(g*z) - g*z - 1
H = exp(-exp(-z))
B = u*q if z > 0 else g*sigmoid(-v)
C = sqrt(sum(a[k]**2 for k in K))
Y = sigmoid(z - u)
"""
SHIFTED = "sum(exp(a[k] - max(a[n] for n in K)) for k in K)"
GUARDED = "sum(exp(a[k] - max(a[n] for n in K if b[n] <= b[t])) for k in K if b[k] <= b[t])"

CASES = {
    "divergence of two softmaxes": [
        "sum(P[i]*log(P[i]/Q[i]) for i in K)",
        "g*sum(Q[i]*log(Q[i]/P[i]) for i in K)",
        "sum(Q[i]*log(Q[i]/T[i]) for i in K)",
    ],
    "symmetric divergence of two softmaxes": [
        "sum((P[i] - Q[i])*log(P[i]/Q[i]) for i in K)",
        "sum((Q[i] - T[i])*log(Q[i]/T[i]) for i in K)",
    ],
    "log of a sum of shares": [
        "log(sum(P[k] for k in K if d[k] == 1 or k == t))",
        "u + log(sum(Q[k] for k in K if k != t))",
    ],
    "divergences from a mixture": [
        "sum(P[i]*log(2*P[i]/(P[i] + Q[i])) + Q[i]*log(2*Q[i]/(P[i] + Q[i])) for i in K)/2",
        "s*D + (1 - s)*sum(P[i]*log(P[i]/M[i]) for i in K)",
        "s*sum(y[i]*log(y[i]/M[i]) for i in K) + (1 - s)*sum(P[i]*log(P[i]/M[i]) for i in K)",
    ],
    "divergences from a mixture with a class": [
        "-s*log(R[t]) + (1 - s)*sum(P[i]*log(P[i]/R[i]) for i in K)",
        "s/2*log(1/V[t]) + s/2*sum(y[i]*log(y[i]/V[i]) for i in K)"
        " + (1 - s)*sum(P[i]*log(P[i]/V[i]) for i in K)",
    ],
    "log of a share of a sum": [
        "log(p[t]/(p[t] + X[t]))",
        "sum(y[k]*log(2*p[k]/(3*p[k] + X[k])) for k in K)",
    ],
    "log of a share of a mixture": [
        "log(P[t]/(P[t]/3 + 2*Q[t]/3))",
        "sum(P[i]*log(2*P[i]/(P[i] + Q[i])) for i in K)",
        "log(P[t]/M[t])",
        "sum(y[i]*log(y[i]/M[i]) for i in K)",
    ],
    "terms that cancel": ["z + v", "exp(z) - 2*v - 2*z", "1 + g*z + G"],
    "log of an exponential": ["log(exp(z/g))", "log(exp(a[t]/(u*g)))"],
    "one exponential a term": [
        "exp(-z)*(s*E + (1 - s)*H)",
        "(exp(z) - s)*exp((1 - g)*z)",
        "exp(-z)*(u*exp(2*z) + exp(z) + 1)",
    ],
    "root less its start": ["sqrt(1 + z**2/g**2) - 1", "sqrt(u**2 + z**2) - u + s"],
    "hypotenuse": ["sqrt(1 + z**2)", "1/sqrt(z**2 + u**2)", "sqrt(4 + z**2/g**2)"],
    "square over its root": ["z**2/(1 + max(1, z))"],
    "log of a named value": ["sum(y[i]*log(p[i]) for i in K)", "log(q)"],
    "log of a product": ["log(p[t]*u)", "log(exp(a[t])/S)"],
    "log of a power": ["log(u**g)", "log(q**g)"],
    "log of a product over an axis": ["log(prod(p[i]**y[i] for i in K))"],
    "product of exponentials": ["exp(a[t])*exp(z)", "exp(a[t])*exp(-max(a[k] for k in K))"],
    "write out the exponentials": ["e[t]/S", "log(S)"],
    "shift by the maximum": [
        "exp(a[t])/sum(exp(a[k]) for k in K)",
        "sum(b[k]*exp(a[k]) for k in K)/sum(exp(a[k]) for k in K)",
        "exp(a[t]/g)/sum(y[k]*exp(a[k]/g) for k in K)**2",
        "1/sum(exp(a[k] + b[k]) for k in K)",
    ],
    "log-sum-exp": [
        "log(sum(exp(a[i] + z*b[j]) for i in K for j in K if j != i))",
        "log(sum(exp(a[k]) for k in K))",
        "log(sum(y[k]*exp(2*a[k]) for k in K))",
    ],
    "one and the rest": [f"log({SHIFTED})", f"log({GUARDED})"],
    "take an exponential out of a sum": ["sum(y[k]*exp(z) for k in K)"],
    "take an exponential into a sum": [
        "exp(-max(a[k] for k in K))*sum(b[k]*exp(a[k]) for k in K)",
        "exp(a[t])*sum(y[i]*exp(-a[i])*sigmoid(a[i] - a[t]) for i in K)",
        "exp(-max(a[k] for k in K))*(z*sum(exp(a[k]) for k in K) - sum(b[k]*exp(a[k]) for k in K))",
    ],
    "logistic function": [
        "1/(1 + exp(-z))",
        "exp(z)/(1 + exp(z))",
        "exp(z)/(exp(z) + exp(s))",
        "1/(1 + exp(z))**2",
        "u/(g + 2*exp(z))",
    ],
    "largest of several exponentials": ["log(u + exp(z) + g*exp(b[t]))"],
    "quotient by several exponentials": [
        "(s*exp(z) - exp(v))/(u*exp(z/2 + v/2) + exp(z) + exp(v))"
    ],
    "odds to probability": [
        "exp(z)*sigmoid(-z)",
        "s*exp(z - s)*sigmoid(s - z)**2",
        "u*exp(z)*sigmoid(-z - log(u))",
    ],
    "odds to probability in a sum": [
        "sigmoid(z)*(s - u*exp(-z))",
        "g*sigmoid(g*z - g*log(u))*(s - u**g*exp(-g*z))",
        "(exp(z) - s)*sigmoid(log(u) - z)",
    ],
    "exponential into a sum of logistic functions": [
        "exp(z)*(s*sigmoid(-z) + (u if b[t] > 0 else 0))",
    ],
    "logistic functions of opposite numbers": ["s*sigmoid(z) + s*sigmoid(-z) - sigmoid(z)"],
    "log of a mean of two exponentials": [
        "log(exp(z - s)/2 + exp(s - z)/2)",
        "log(exp(z)/2 + exp(s)/2)",
    ],
    "softplus of the opposite": ["z - s + u + softplus(s - z)", "u*softplus(z) - u*z"],
    "softplus": ["log(1 + exp(z))", "log(g + 2*exp(z))", "log(exp(z) + exp(s))"],
    "log of the logistic function": ["log(sigmoid(z))"],
    "hyperbolic tangent": ["sinh(z)/cosh(z)"],
    "log of the slope of tanh": ["log(1 - tanh(z)**2)"],
    "slope of tanh": ["1 - tanh(z)**2", "3*tanh(z/g)**2 + u - 3"],
    "log of cosh": ["log(cosh(z))", "log(cosh(5*z))"],
    "complement": [
        "(1 - g*u)*q - 1",
        "1 - q",
        "q - 1",
        "1 - sigmoid(z)",
        "1 - p[t]",
        "sum(b[i]*(1 - p[i]) for i in K)",
        "g - g*q",
        "1 - H",
        "1 - a[t]**2/sqrt(sum(a[k]**4 for k in K))",
    ],
    "complement in a sum": [
        "sum(y[i]*p[i] for i in K) - sum(y[i] for i in K) + z",
        "s*sum(b[i] for i in K if i != t) - s*sum(b[i]*sigmoid(a[i] - z) for i in K if i != t)",
    ],
    "share over itself": [
        "q*(s/q + z)",
        "u*p[t]*(z - g*(s/p[t] - s/(1 - p[t])))",
        "sigmoid(-z)*(y[t]/sigmoid(-z) - s)",
    ],
    "choices by one condition": ["(u if z > 0 else g) - B", "s + (u if z > 0 else g) - B"],
    "difference from the target": [
        "q - s",
        "s - q",
        "sum(b[j]*(p[j]*sum(y[i] for i in K) - y[j]) for j in K)",
        "sum(b[j]*(p[j] - y[j]) for j in K)",
        "sum(b[j]*(p[j] - (1 if j == t else 0)) for j in K)",
        "sum(b[j]*((1 if j == t else 0) - p[j]) for j in K)",
        "E - s",
        "s - H",
    ],
    "logarithm and its first order": [
        "u*log(u/g) - u + g",
        "u/g - log(u/g) - 1",
        "u*exp(-z) - log(u*exp(-z)) - 1",
        "u*log(u*exp(-z)) - u + exp(z)",
        "sum(e[i]*log(e[i]/g) - e[i] + g for i in K)",
    ],
    "overlap of distributions": [
        "1 - sum(p[i]**s*X[i]**(1 - s) for i in K)",
        "1 - sum(y[i]**s*p[i]**(1 - s) for i in K)",
        "u*sum(sqrt(p[i]*y[i]) for i in K) - u",
        "1 - sum(p[i]**g for i in K)",
        "g - g*sum(y[i]*p[i]**s for i in K)",
    ],
    "log of an overlap of distributions": [
        "log(sum(y[i]**s*p[i]**(1 - s) for i in K))",
        "log(sum(p[i]**2 for i in K))",
    ],
    "exponential again": ["1 - E", "u + 2*E - 2"],
    "exponential less 1 and its argument": ["exp(g*z) - g*z - 1", "s*exp(z) - s*z - s + u"],
    "logarithm and its first order in a power": [
        "(z**2 + u**2 - 1)/2 - log(u)",
        "log(g/u) + (u**2 + z**2)/(2*g**2) - 1/2",
    ],
    "exponential over itself less 1": [
        "s*exp(u)/(1 - exp(u))",
        "exp(z + exp(z))/(exp(exp(z)) - 1)",
    ],
    "logarithm of 1 and its argument": ["log(1 + u) - u", "g*(z**2 + s) - g*log(1 + z**2 + s)"],
    "exponential less 1": ["1 - exp(-u)", "s*exp(z) - s", "u + 3*exp(z) - 3"],
    "log of 1 less an exponential": ["log(-expm1(-u))", "log(E)", "log(-u/expm1(-u))"],
    "whole power less 1": ["u*(1 - (1 - z**2)**3)", "(1 + z)**2 - 1 + s"],
    "power less 1": ["1 - q**g", "(1 + z**2)**g - 1", "(u**g - 1)/g", "p[t]**2 - 1"],
    "log of a complement": ["log(1 - p[t])", "log(1 - F)"],
    "quotient of exponentials": ["3*expm1(z/g)*sigmoid(-z/g)"],
    "sum over an exponential less 1": [
        "g*(u*(exp(z) - 1) + s)/(exp(z) - 1)",
        "(s*E + z)/E",
    ],
    "quotient of two exponentials that vanish": [
        "s*exp(z - exp(z))/E",
        "exp(2*z)/(1 - exp(exp(z)))",
    ],
    "exponential beside one that decays faster": ["s*exp(z)*sigmoid(-exp(z) - u)"],
    "term to its maximum": ["u*(max(a[k]/u for k in K) + z) - a[t]"],
    "log of a mixture with 1": ["log(q + (1 - q)*exp(-u))", "log(q + sigmoid(-z)*exp(-u))"],
    "power of an exponential": ["(u*exp(-z))**g"],
    "quotient of a difference and a sum of exponentials": [
        "(exp(z) - 1)/(exp(z) + 1)",
        "g*(u - exp(z))/(u + exp(z))",
        "(exp(z) - exp(s))/(exp(z) + exp(s))",
    ],
    "log of a difference of sigmoids": [
        "log(sigmoid(z + u) - sigmoid(z))",
        "log(sigmoid(-z) - sigmoid(-z - u))",
    ],
    "log of a difference of names": ["log(q - Y)", "log(1 + Y - q)"],
    "slopes over a difference of sigmoids": [
        "(sigmoid(z)*sigmoid(-z)/g - sigmoid(s)*sigmoid(-s)/g)/(sigmoid(z) - sigmoid(s))",
    ],
    "difference of sigmoids": ["sigmoid(z) - sigmoid(s)", "2*sigmoid(z) - 2*sigmoid(z + s)"],
    "one and a sum of exponentials": [
        "log(1 + sum(exp(a[k]) for k in K))",
        "log(exp(z - s) + sum(exp(a[k]) for k in K if k != t))",
        "log(1 + u*sum(exp(a[k]) for k in K)*sum(exp(b[k]) for k in K))",
    ],
    "share of one and a sum of exponentials": [
        "exp(a[t])*sum(exp(b[k]) for k in K)"
        "/(1 + sum(exp(a[k]) for k in K)*sum(exp(b[k]) for k in K))",
        "exp(a[t])/(1 + sum(exp(a[k]) for k in K))",
        "exp(z - s)/(exp(z - s) + sum(exp(a[k]) for k in K if k != t))",
        "s*exp(a[t])/(exp(z) + sum(exp(a[k]) for k in K))**2",
        "z/(1 + u*sum(exp(a[k]) for k in K))**2",
    ],
    "angle and an inverse": ["cos(w + s)", "sin(w - s)", "cos(asin(s) + (g if z > 0 else 0))"],
    "difference of squares": ["sqrt(1 - s**2/4)", "1/sqrt(u**2 - u**2*s**2/4)"],
    "square of a difference": ["u**2 - 2*u*z + z**2 + g", "4*z**2 + 4*z*s + s**2"],
    "log of a sum of squares": ["log(1 + z**2)", "log(u**2 + z**2/g)", "log(1 + z**2*exp(s))"],
    "quotient by a sum of squares": [
        "3*z/(1 + z**2)",
        "z**2*exp(-s)/(1 + z**2*exp(-s))",
        "(z - s)/(g*(1 + (z - s)**2/g))",
        "(z - s)**2/(g*u**3*(1 + (z - s)**2/(g*u**2)))",
    ],
    "square times an exponential": ["(z - s)**2*exp(-v)/2", "s*z**2*exp(b[t])"],
    "versed sine": ["g - g*cos(z - s)", "s + cos(z) - 1"],
    "versed sine of two vectors": [
        "1 - sum(a[k]*b[k] for k in K)/sqrt(sum(a[k]**2 for k in K)*sum(b[k]**2 for k in K))",
        "1 - sum((a[k] - z)*(b[k] - s) for k in K)"
        "/sqrt(sum((a[k] - z)**2 for k in K)*sum((b[k] - s)**2 for k in K))",
        "g - g*sum(a[k]*b[k] for k in K)/(C*sqrt(sum(b[k]**2 for k in K)))",
    ],
    "sine of a multiple angle": ["sin(2*w)/sin(w)", "3*z*sin(4*w)/sin(w)", "sin(6*z)/sin(2*z)"],
    "rounding put back": ["softplus(z - s)", "sigmoid(s - z)", "exp(z + s)", "exp(a[t] - z)"],
    "sum less a large term": [
        "sum(y[k] for k in K) - y[t]",
        "sum(a[j]*(y[j] - sum(y[k] for k in K)) for j in K)",
    ],
    "powers of one base that cancel": [
        "(1 - s)**(1 - g)*(s*(1 - s)**g - z*(1 - s)**(g - 2))",
        "u**(1 - g)*(s*u**(g - 1) + z*u**(2*g - 1))",
    ],
    "brackets that cancel": ["u*(z - g) + u*g", "u**2 + u**2*(sqrt(1 + z**2/u**2) - 1)"],
    "common denominator": [
        "1/sqrt(1 + z**2) - z**2/(1 + z**2)**(3/2)",
        "2/(u + z**2) - 4*z**2/(u + z**2)**2",
    ],
    "sign of a negative": ["sign(z - q) + sign(q - z)"],
    "powers of a share and of its rest": [
        "q*(2 + 2*s - 3*q) - s",
        "g*(q*(2 - (1 + g)*u) + u - 2)",
        "1 - 3*p[t] + 2*p[t]**2",
        "z*q*(1 - q) - z*q**3 + z*q**2",
    ],
    "numbers less their mean": [
        "z*b[t] - z*sum(p[k]*b[k] for k in K)",
        "sum(1/(b[j]*(2*p[j] - y[j] + sum(p[k]*(y[k] - p[k]) for k in K))"
        " + sum(p[k]*b[k] for k in K)*(y[j] - 2*p[j] + sum(p[k]*(3*p[k] - 2*y[k]) for k in K))"
        " + sum(p[k]*b[k]*(y[k] - 2*p[k]) for k in K)) for j in K)",
        "sum(1/(sign(b[j]) + u - (1 + u)*sign(b[j]) + u*sum(p[k]*sign(b[k]) for k in K))"
        " for j in K)",
    ],
    "sign less the mean of signs": [
        "sum(b[j]*(sign(b[j] - a[j]) - sum(p[k]*sign(b[k] - a[k]) for k in K)) for j in K)",
        "z*(sign(1 - a[t]) + sum(-p[k]*sign(1 - a[k]) for k in K))",
    ],
    "own term of a sum of shares": [
        "z*(b[t] - sum(p[k]*b[k] for k in K))",
        "sum(b[j]*(b[j] - sum(p[k]*b[k] for k in K)) for j in K)",
        "sum(b[j]*((2*p[j] - 1)*sum(p[k]**2*b[k] for k in K) - p[j]**2*b[j]) for j in K)",
        "sum(1/(2*p[j]*y[j] + p[j]*sum(p[k]*(3*p[k] - 2*y[k]) for k in K) - 4*p[j]**2"
        " + 2*p[j] - y[j] + sum(p[k]*(y[k] - p[k]) for k in K)) for j in K)",
    ],
    "log of a difference of error functions": [
        "log(erf(z + u) - erf(z))",
        "log(erfc((z - u)/sqrt(2))/2 - erfc(z/sqrt(2))/2)",
    ],
    "densities over a difference of error functions": [
        "s*exp(-z**2)/(erf(z + u) - erf(z))",
        "g*(s*exp(-z**2/2) - exp(-(z + u)**2/2))/(erfc(z/sqrt(2))/2 - erfc((z + u)/sqrt(2))/2)",
    ],
    "complementary error function": ["1 + erf(z)", "g - g*erf(z - s)", "u*erf(z) - u + s"],
    "log of the normal distribution function": [
        "log(erfc(z)/2)",
        "log(erfc(-r*z/sqrt(2))/2)",
        "log(u*erfc(z - s))",
        "log(erfc(z))",
    ],
    "density over the normal distribution function": [
        "exp(-z**2)/erfc(z)",
        "s*exp(-z**2/2 + g)/erfc(-z/sqrt(2))",
        "exp(-z**2/2)/(u*erfc(r*z/sqrt(2)))",
    ],
    "quotients by tails apart": [
        "(s*erfc(z) + u)/erfc(z)",
        "exp(-z**2)*(s/erfc(z) - u/erfc(-z))",
        "(s*erfc(z) - u*erfc(-z))/(g*erfc(z)*erfc(-z))",
    ],
    "sum less its own term": [
        "sum(exp(a[k]) for k in K) - exp(a[t])",
        "z - exp(g*a[t] + s) + exp(s)*sum(exp(g*a[k]) for k in K)",
        "sum(1/(2*sum(exp(a[i]*b[k]) for k in K) - 2*exp(a[i]*b[i])) for i in K)",
    ],
    "sum at a class less the term of each": [
        "sum(b[j]*(u*delta(j, t)*sum(exp(g*a[k]) for k in K) - u*exp(g*a[j])) for j in K)",
    ],
    "own term into the sum": [
        "exp(z) + sum(exp(a[k]) for k in K if k != t)",
        "1 + sum(exp(a[k] - a[t]) for k in K if k != t)",
        "1/(g*exp(z) + g*exp(s)*sum(exp(a[k]) for k in K if k != t))",
    ],
    "shares of the others in a choice": [
        "sum(b[j]*(s*exp(a[j]) if j != t else -sum(exp(a[k]) for k in K if k != t))"
        "/(1 + exp(z)*sum(exp(a[k]) for k in K if k != t)) for j in K)",
    ],
    "logits less that of the class": [
        "log(sum(exp(a[k] + b[k]) for k in K)) - a[t] - b[t]",
        "u*log(sum(exp(g*a[k] + s*b[k]) for k in K)) - u*g*a[t] - u*s*b[t] + z",
    ],
    "positive weights into the exponentials": [
        "log(sum(exp(a[k])*p[k] for k in K))",
        "log(sum(u**b[k]*exp(a[k]) for k in K if k != t))",
    ],
    "binary weight as a guard": [
        "sum(d[k]*exp(a[k]) for k in K)",
        "u*sum((1 - d[k])*b[k]*exp(a[k]) for k in K if k != t)",
        "sum((d[k] - 1)*sum(exp(a[n] - a[k]) for n in K) for k in K)",
    ],
    "sum less the part of a mask": [
        "z*sum(exp(a[k]) for k in K) - z*sum(exp(a[k]) for k in K if d[k] == 1)",
    ],
    "log of a sum over a part of it": [
        "log(sum(exp(a[k]) for k in K)) - log(sum(exp(a[k]) for k in K if k == t))",
        "z - u*log(sum(exp(a[k]) for k in K if k != t)) + u*log(sum(exp(a[k]) for k in K))",
    ],
    "sum of products as a product of sums": [
        "sum(exp(a[i] - b[k]) for i in K for k in K if d[i] == 1 and d[k] == 0)",
        "sum(b[i]*sum(a[k]*exp(a[i] - z*b[k]) for k in K) for i in K)",
    ],
    "sums of exponentials that cancel": [
        "(z*sum(exp(a[k]) for k in K) + s)/(sum(exp(a[k]) for k in K)*sum(exp(b[k]) for k in K))",
        "sum(exp(a[k]) for k in K)*(s/sum(exp(a[k]) for k in K) + z)",
        "exp(z)*(s*sum(exp(a[k]) for k in K) - u*(1 - z*sum(exp(a[k]) for k in K)))"
        "/(1 + u*sum(exp(a[k]) for k in K))",
    ],
    "exponential over each of several sums": [
        "z*exp(a[t])*(s/sum(exp(a[k]) for k in K) + u/sum(exp(a[k] + b[k]) for k in K)**2)",
    ],
    "difference of two maxima": [
        "z + max(a[k] for k in K) - max(a[k] for k in K if k != t) - u",
    ],
    "sign out of a sum of exponentials": [
        "z/(-1 - sum(exp(a[k]) for k in K))",
        "1/(-exp(z) - sum(exp(a[k]) for k in K))**2",
    ],
    "sigmoid by sign": ["sigmoid(z)", "sigmoid(-z)"],
    "softplus without overflow": ["softplus(z)", "softplus(-z)"],
}


EVERY = (*RULES, *SECOND, *OPTIONAL, *EMITTED)


def loss_with(expression: str) -> Loss:
    return derive.parse(f"{HEAD}L = {expression}\n", name="case")


def value(expr: object, loss: Loss, seed: int) -> object:
    sizes = {"K": 3}
    return Exact(loss, sizes, samples.arrays(loss, sizes, batch=False, seed=seed))(expr)


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in EVERY} == set(CASES)
    assert all(CASES.values())


@pytest.mark.parametrize(
    ("name", "expression"), [(name, case) for name, cases in CASES.items() for case in cases]
)
def test_rule_holds(name: str, expression: str) -> None:
    """Both sides agree to 40 digits at several points."""
    rule = next(rule for rule in EVERY if rule.name == name)
    loss = loss_with(expression)
    before = loss.value.body
    after = rule.apply(before, loss=loss)
    assert after != before
    with mp.workdps(50):
        for seed in range(5):
            left, right = value(before, loss, seed), value(after, loss, seed)
            assert mp.almosteq(left, right, 1e-40), (left, right)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_rule_is_explained(rule: derive.Rule) -> None:
    assert rule.reason
    assert not rule.reason.endswith(".")


@pytest.mark.parametrize(
    "expression",
    ["log(z*u)", "log(1 + z*exp(z))", "1/(z + exp(z))", "exp(z)", "z - s", "1 - u", "log(b[t])"],
)
def test_nothing_to_do(expression: str) -> None:
    """What cannot overflow, or is not known to be positive, stays as it is."""
    loss = loss_with(expression)
    assert rewrite(loss.value.body, loss, Checker(loss)) == ()


@pytest.mark.parametrize("name", derive.library())
def test_library_steps_replay(name: str) -> None:
    loss = derive.load(name)
    stable = stabilize(loss)
    for derivation in stable.derivations:
        derivation.replay()
        assert all(step.reason for step in derivation.steps)
        assert all(step.check != "unknown" for step in derivation.steps)
    again = stabilize(stable.loss)
    assert again.loss.definitions == stable.loss.definitions


def test_tampered_step_is_refused() -> None:
    loss = derive.load("softmax_cross_entropy")
    (first, *_) = stabilize(loss).derivations[0].steps
    with pytest.raises(ReplayError):
        replace(first, after=first.before).replay()


def test_softmax_is_shifted_and_sigmoid_split() -> None:
    """The two derivations of overflow rewriting, with a reason at each step."""
    softmax = stabilize(derive.load("softmax_cross_entropy")).derivations[0]
    assert [step.name for step in softmax.steps] == [
        "shift by the maximum",
        "product of exponentials",
    ]
    sigmoid = stabilize(derive.parse("z: input\np = 1/(1 + exp(-z))\nL = p\n")).derivations[0]
    assert [step.name for step in sigmoid.steps] == ["logistic function", "sigmoid by sign"]


def test_already_shifted_input_stays() -> None:
    text = """
a: input[K]
p[i] = exp(a[i] - max(a[k] for k in K)) / sum(exp(a[k] - max(a[j] for j in K)) for k in K)
L = sum(p[i]**2 for i in K)
"""
    loss = derive.parse(text)
    assert stabilize(loss).loss.definitions == loss.definitions


def test_order_of_steps_does_not_depend_on_letters() -> None:
    softmax = "p[{0}] = exp(a[{0}]) / sum(exp(a[{1}]) for {1} in K)"
    text = f"a: input[K]\n{softmax}\nL = sum(p[{{1}}] for {{1}} in K)\n"
    one, two = (derive.parse(text.format(*letters)) for letters in ("ik", "qr"))
    steps = [[s.name for s in stabilize(loss).derivations[0].steps] for loss in (one, two)]
    assert steps[0] == steps[1]
    assert isinstance(one.definitions[0].entry.indices[0], Index)
