"""The scalar functions of the language that SymPy lacks or evaluates too eagerly.

Each knows its derivative (`fdiff`) and its meaning in simpler terms (`meaning`), if it has one.
"""

from __future__ import annotations

from sympy import Expr, Function, Integer, S, digamma, exp, log

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


class lgamma(Function):
    """log Gamma(x) for x > 0; its derivative is the digamma function."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return digamma(self.args[0])


class largest(Function):
    """The larger of two numbers.

    At a tie the derivative is the mean of both sides, or 0 where one side is constant.
    """

    is_real = True
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        if not mine.args or not other.args:
            return step(mine - other)
        return (1 + signum(mine - other)) / Integer(2)


class smallest(Function):
    """The smaller of two numbers; at a tie as for `largest`."""

    is_real = True
    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        mine, other = self.args[argindex - 1], self.args[2 - argindex]
        if not mine.args or not other.args:
            return step(other - mine)
        return (1 + signum(other - mine)) / Integer(2)
