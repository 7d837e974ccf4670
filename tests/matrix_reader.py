"""Reads matrix notation as a person would, from its plain text, and works it out with NumPy.

Knows nothing of the trees the text was printed from.  A 1 is a vector of ones where a matrix
product needs one; elsewhere a number stands for all entries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matrix_values import COMPARISONS, FUNCTIONS, Array

TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<sign>\(\.\)|\(/\)|\.\^|\^T|\^-1|\|\||_F|_1|\*\*|<=|>=|==|!=|1\[|[-+*/()\[\],<>])"
    r"|(?P<number>\d+)|(?P<name>[^\W\d]\w*)"
)
ONES = object()
ROW_OF_ONES = object()


class Reader:
    """One formula: `names` are arrays, e_t and E_t among them."""

    def __init__(self, text: str, names: Mapping[str, Any]) -> None:
        self.tokens: list[tuple[str, bool]] = []
        self.names, self.at, here, spaced = names, 0, 0, False
        while here < len(text):
            found = TOKEN.match(text, here)
            assert found, text[here:]
            here = found.end()
            if found.lastgroup != "space":
                self.tokens.append((found[0], spaced))
            spaced = found.lastgroup == "space"

    def value(self) -> Any:
        found = _array(self.choice())
        assert self.at == len(self.tokens), self.tokens[self.at :]
        return found

    @property
    def next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        if self.next and (not wanted or self.next in wanted):
            self.at += 1
            return self.tokens[self.at - 1][0]
        return ""

    def need(self, token: str) -> None:
        assert self.take(token), (token, self.tokens[self.at :])

    def choice(self) -> Any:
        value = self.sum()
        if not self.take("if"):
            return value
        condition = self.condition()
        self.need("else")
        return np.where(condition, _array(value), _array(self.choice()))

    def condition(self) -> Any:
        found = self.comparison()
        while word := self.take("and", "or"):
            other = self.comparison()
            found = found & other if word == "and" else found | other
        return found

    def comparison(self) -> Any:
        if self.take("not"):
            return ~self.comparison()
        left = _array(self.sum())
        return COMPARISONS[self.take()](left, _array(self.sum()))

    def sum(self) -> Any:
        found = -_array(self.entrywise()) if self.take("-") else self.entrywise()
        while sign := self.take("+", "-"):
            term = _array(self.entrywise())
            found = _array(found) + (term if sign == "+" else -term)
        return found

    def entrywise(self) -> Any:
        found = self.scaled()
        while sign := self.take("(.)", "(/)"):
            other = _array(self.scaled())
            found = _array(found) * other if sign == "(.)" else _array(found) / other
        return found

    def scaled(self) -> Any:
        found = self.chain()
        while sign := self.take("*", "/"):
            other = _array(self.chain())
            found = _array(found) * other if sign == "*" else _array(found) / other
        return found

    def chain(self) -> Any:
        found = self.power()
        while self.at < len(self.tokens) and self.tokens[self.at][1] and self.starts():
            found = _product(found, self.power())
        return found

    def starts(self) -> bool:
        words = ("if", "else", "and", "or", "not")
        return self.next in ("(", "1[", "||") or (
            bool(re.match(r"\w", self.next)) and self.next not in words
        )

    def power(self) -> Any:
        found = self.atom()
        while sign := self.take("^T", "^-1", ".^", "**"):
            if sign == "^T":
                found = ROW_OF_ONES if found is ONES else _array(found).T
            elif sign == "^-1":
                found = np.linalg.inv(found)
            else:
                exponent = _array(self.atom())
                assert sign == ".^" or _array(found).size == exponent.size == 1
                with np.errstate(invalid="ignore"):  # in a branch that is not chosen
                    found = np.power(_array(found), exponent)
        return found

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            found = self.choice()
            self.need(")")
            return found
        if token == "1[":
            condition = self.condition()
            self.need("]")
            return condition.astype(float)
        if token == "||":
            body = _array(self.choice())
            self.need("||")
            if self.take("_1"):
                return np.full((1, 1), np.abs(body).sum())
            self.take("_F")
            return np.full((1, 1), np.sqrt((body**2).sum()))
        if token.isdigit():
            return ONES if token == "1" else np.full((1, 1), float(token))
        if self.next == "(" and not self.tokens[self.at][1]:
            return self.call(token)
        if self.take("["):
            label = int(self.names[self.take()][0, 0])
            self.need("]")
            return self.names[token][[label]]
        return self.names[token]

    def call(self, name: str) -> Any:
        self.need("(")
        if name == "share":
            extremum = np.max if self.take() == "max" else np.min
            body = _array(self.atom())
            self.need(")")
            return (body == extremum(body)).astype(float)
        args = [self.choice()]
        while self.take(","):
            args.append(self.choice())
        self.need(")")
        values = [_array(arg) for arg in args]
        if name == "diag":
            return np.diag(values[0][:, 0])
        if name == "diagonal":
            return np.diag(values[0])[:, None]
        if name in ("rowmax", "rowmin"):
            extremum = np.max if name == "rowmax" else np.min
            return np.asarray(extremum(values[0], axis=1, keepdims=True))
        if name in ("max", "min") and len(values) == 1:
            return np.full((1, 1), (np.max if name == "max" else np.min)(values[0]))
        return FUNCTIONS[name](*values)


def _array(value: Any) -> Array:
    return np.ones((1, 1)) if value is ONES or value is ROW_OF_ONES else np.asarray(value)


def _product(left: Any, right: Any) -> Any:
    if right is ONES:
        return left.sum(axis=1, keepdims=True)
    if left is ROW_OF_ONES:
        return right.sum(axis=0, keepdims=True)
    if left is ONES:
        return right
    return left if right is ROW_OF_ONES else left @ right
