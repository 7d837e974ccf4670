"""The scalar functions of the language that SymPy lacks or evaluates too eagerly.

Each knows its derivative (`fdiff`) and its meaning in simpler terms (`meaning`), if it has one.
"""

from __future__ import annotations

from sympy import Expr, Function, Integer, S, erf, exp, log, pi, sqrt

from derive.index import Choice, Condition


class sigmoid(Function):
    """The logistic function 1/(1 + exp(-x)), from the reals to (0, 1)."""

    is_real = True
    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0]) * (1 - sigmoid(self.args[0]))

    def meaning(self) -> Expr:
        return 1 / (1 + exp(-self.args[0]))


class softplus(Function):
    """log(1 + exp(x)), positive; its derivative is the logistic function."""

    is_real = True
    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])

    def meaning(self) -> Expr:
        return log(1 + exp(self.args[0]))


class log1p(Function):
    """log(1 + x) for x > -1, as one function: a small x keeps its digits."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (1 + self.args[0])

    def meaning(self) -> Expr:
        return log(1 + self.args[0])


class expm1(Function):
    """exp(x) - 1, as one function: nothing cancels where x is small."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return exp(self.args[0])

    def meaning(self) -> Expr:
        return exp(self.args[0]) - 1


class log1pmx(Function):
    """log(1 + x) - x for x > -1, as one function: about -x^2/2 near 0, where both are about x."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return -self.args[0] / (1 + self.args[0])

    def meaning(self) -> Expr:
        return log(1 + self.args[0]) - self.args[0]

    def first_order(self) -> Expr:
        """The two functions that are about x, apart."""
        return log1p(self.args[0]) - self.args[0]


class expm1mx(Function):
    """exp(x) - 1 - x, as one function: about x^2/2 near 0."""

    is_real = True
    is_nonnegative = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return expm1(self.args[0])

    def meaning(self) -> Expr:
        return exp(self.args[0]) - 1 - self.args[0]

    def first_order(self) -> Expr:
        """The two functions that are about x, apart."""
        return expm1(self.args[0]) - self.args[0]


class log1mexp(Function):
    """log(1 - exp(x)) for x < 0, as one function: it keeps its digits at both ends."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return -1 / expm1(-self.args[0])

    def meaning(self) -> Expr:
        return log(1 - exp(self.args[0]))


class grouped(Function):
    """x itself, computed before it joins a longer sum: a bracket, which SymPy would drop."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return S.One

    def meaning(self) -> Expr:
        return self.args[0]


class relu(Function):
    """max(x, 0); the derivative at 0 is taken as 0."""

    is_real = True
    is_nonnegative = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return step(self.args[0])


class step(Function):
    """1 where x > 0, else 0; the derivative is taken as 0 everywhere."""

    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """The value at a number, which a choice may leave."""
        return Integer(bool(x.is_positive)) if x.is_Rational else None

    def fdiff(self, argindex: int = 1) -> Expr:
        return S.Zero

    def meaning(self) -> Expr:
        return Choice(Condition(">", self.args[0], S.Zero), S.One, S.Zero)


class absolute(Function):
    """|x|; the derivative at 0 is taken as 0."""

    is_real = True
    is_nonnegative = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return signum(self.args[0])


class signum(Function):
    """-1, 0 or 1; the derivative is taken as 0 everywhere."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return S.Zero


class erfc(Function):
    """1 - erf(x), from 2 to 0: it keeps its digits where erf(x) is near 1.

    The normal distribution function is erfc(-x/sqrt(2))/2.
    """

    is_real = True
    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return -2 * exp(-(self.args[0] ** 2)) / sqrt(pi)

    def meaning(self) -> Expr:
        return 1 - erf(self.args[0])


class erfcx(Function):
    """exp(x^2) erfc(x), about 1/(x sqrt(pi)) for large x, where neither factor is a float."""

    is_real = True
    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return 2 * self.args[0] * erfcx(self.args[0]) - 2 / sqrt(pi)

    def meaning(self) -> Expr:
        return exp(self.args[0] ** 2) * (1 - erf(self.args[0]))


class lgamma(Function):
    """log Gamma(x) for x > 0; its derivative is the digamma function."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return digamma(self.args[0])


class digamma(Function):
    """The derivative of lgamma, for x > 0."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return trigamma(self.args[0])


class trigamma(Function):
    """The derivative of digamma, for x > 0; its own derivative is not in the language."""

    is_real = True
    is_positive = True


class largest(Function):
    """The larger of two numbers, the second where they are equal.

    At a tie a constant number does not count: the derivative of max(0, x) at 0 is 0.
    """

    is_real = True
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        first, second = self.args
        return _wins(first - second, argindex, first)


class smallest(Function):
    """The smaller of two numbers; at a tie as for `largest`."""

    is_real = True
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        first, second = self.args
        return _wins(second - first, argindex, first)


def _wins(lead: Expr, argindex: int, first: Expr) -> Expr:
    """1 where the argument is taken; `lead` is how far the first is ahead of the second."""
    if argindex == 1:
        return step(lead)
    return step(-lead) if first.is_number else 1 - step(lead)


# What is short for something simpler, and is read as that where only the value counts.
BY_MEANING = (
    *(sigmoid, softplus, log1p, expm1, log1pmx, expm1mx, log1mexp, grouped, step, erfc, erfcx),
)
