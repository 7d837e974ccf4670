"""Matrix notation as text, Unicode and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sympy import E, Expr, Rational

from derive.latex_style import LATEX, beside
from derive.letters import SUBSCRIPTS
from derive.matrix_nodes import SCALAR, Mat
from derive.matrix_tree import parts
from derive.styles import ADD, ATOM, BIG, LANGUAGE, MUL, POW, Piece, Style, unicode_style

HAD = BIG  # a product entry by entry holds together less than one of matrices


@dataclass(frozen=True)
class Signs:
    """The signs of one style that only matrices need."""

    style: Style
    times: str
    had: str
    over: str
    transposed: str
    raised: str
    inverse: str
    ones: str
    below: Callable[[str, str], str]
    norm: Callable[[str, str], str]
    word: Callable[[str], str]
    fractions: bool = False


def _line_below(name: str, label: str) -> str:
    return f"{name}_{label}"


def _small_below(name: str, label: str) -> str:
    fits = all(character in SUBSCRIPTS for character in label)
    small = "".join(SUBSCRIPTS[c] for c in label) if fits else f"_{label}"
    return f"{name}{small}"


def _latex_below(name: str, label: str) -> str:
    return rf"{LATEX.name(name)}_{{{LATEX.name(label)}}}"


def _latex_norm(body: str, kind: str) -> str:
    return rf"\left\lVert {body} \right\rVert" + (f"_{{{kind}}}" if kind else "")


def signs(kind: str, subscripts: bool) -> Signs:
    """The signs for "text", "unicode" or "latex"."""
    if kind == "latex":
        return Signs(
            LATEX, " ", r"\odot", r"\oslash", r"^{\top}", r"^{{\odot {}}}", "^{-1}", r"\mathbf{1}",
            _latex_below, _latex_norm, lambda word: rf"\operatorname{{{word}}}", True,
        )  # fmt: skip
    if kind == "unicode":
        style = unicode_style(subscripts)
        return Signs(
            style, "·", "⊙", "⊘", "ᵀ", "^⊙{}", "⁻¹", "𝟏",
            _small_below, lambda body, kind: f"‖{body}‖" + (_small_below("", kind)), str,
        )  # fmt: skip
    return Signs(
        LANGUAGE, "*", "(.)", "(/)", "^T", ".^{}", "^-1", "1",
        _line_below, lambda body, kind: f"||{body}||" + (f"_{kind}" if kind else ""), str,
    )  # fmt: skip


@dataclass(frozen=True)
class Printer:
    """Prints trees; `names` are those of stacked samples, `fixed` those of I, e and E.

    `value` may put numbers in the place of names, entries and sizes; it is None for the others.
    """

    signs: Signs
    names: Mapping[str, str]
    identity: str
    unit: str
    stack: str
    value: Callable[[Mat], str | None] = lambda node: None

    def name(self, name: str) -> str:
        return self.signs.style.name(self.names.get(name, name))

    def wrap(self, node: Mat, least: int = POW) -> str:
        return self.signs.style.wrap(self.piece(node), least)

    def piece(self, node: Mat) -> Piece:
        """Any tree."""
        write = getattr(self, f"_{node.op}", None)
        return write(node) if write else self.leaf(node)

    def leaf(self, node: Mat) -> Piece:
        signs = self.signs
        known = self.value(node)
        if known is not None:
            return Piece(known, ADD if known.startswith(signs.style.minus) else ATOM)
        if node.op == "entry":
            name, labels = node.data
            texts = [signs.style.name(label) for label in labels]
            return Piece(signs.style.entry(self.names.get(name, name), texts))
        fixed = {"unit": self.unit, "onehot": self.stack}
        if node.op in fixed:
            return Piece(signs.below(fixed[node.op], node.data))
        plain = {"zero": "0", "ones": signs.ones, "identity": signs.style.name(self.identity)}
        return Piece(plain.get(node.op) or self.name(node.data))

    def _number(self, node: Mat) -> Piece:
        value: Expr = node.data
        if value == E:
            return self.signs.style.call("exp", [Piece("1")])
        if not isinstance(value, Rational):
            return Piece(self.signs.style.name(str(value)))
        return self._scaled(value, [], [], None)

    def _derivative(self, node: Mat) -> Piece:
        of, wrt, direct, square = node.data
        by = [self.name(name) for name in wrt]
        if square:
            by[1] += self.signs.transposed
        return self.signs.style.derivative(self.name(of), by, direct)

    # ------------------------------------------------------------ sums and products

    def _add(self, node: Mat) -> Piece:
        text, style = "", self.signs.style
        for arg in node.args:
            negative, piece = self.signed(arg)
            body = style.wrap(piece, ADD + 1)
            sign = style.minus if negative else "+"
            text = f"{text} {sign} {body}" if text else (style.minus if negative else "") + body
        return Piece(text, ADD)

    def signed(self, node: Mat) -> tuple[bool, Piece]:
        """Whether a term carries a minus sign, and the term without it."""
        if node.op == "number" and node.data.is_Rational:
            return bool(node.data < 0), self._scaled(abs(node.data), [], [], None)
        if node.op != "scale":
            return False, self.piece(node)
        coefficient, above, below, body = parts(node)
        return bool(coefficient < 0), self._scaled(abs(coefficient), above, below, body)

    def _scale(self, node: Mat) -> Piece:
        negative, piece = self.signed(node)
        if not negative:
            return piece
        style = self.signs.style
        return Piece(style.minus + style.wrap(piece, ADD + 1), ADD)

    def _scaled(
        self, coefficient: Expr, above: list[Mat], below: list[Mat], body: Mat | None
    ) -> Piece:
        if coefficient < 0:
            piece = self._scaled(-coefficient, above, below, body)
            return Piece(self.signs.style.minus + piece.text, ADD)
        top = [self.piece(node) for node in above]
        bottom = [self.piece(node) for node in below]
        if coefficient.p != 1:
            top.insert(0, Piece(str(coefficient.p)))
        if coefficient.q != 1:
            bottom.insert(0, Piece(str(coefficient.q)))
        inner = self.piece(body) if body is not None else None
        if self.signs.fractions:
            return self._stacked(top, bottom, inner)
        style = self.signs.style
        if inner is not None:
            top.append(inner)
        text = self._times(top) if top else Piece("1")
        if not bottom:
            return text
        last = body or (above[-1] if above else None)
        spaced = last is not None and last.op == "matmul"
        slash = " / " if spaced else "/"
        return Piece(style.wrap(text, MUL) + slash + style.wrap(self._times(bottom), POW), MUL)

    def _stacked(self, top: list[Piece], bottom: list[Piece], inner: Piece | None) -> Piece:
        if bottom:
            above = self._times(top) if top else Piece("1")
            top = [self.signs.style.fraction(above, self._times(bottom))]
        pieces = top if inner is None else [*top, inner]
        return self._times(pieces) if pieces else Piece("1")

    def _times(self, pieces: list[Piece]) -> Piece:
        """Scalars, and what they multiply at the end."""
        if len(pieces) == 1:
            return pieces[0]
        style, last = self.signs.style, pieces[-1]
        texts = [style.wrap(piece, POW) for piece in pieces[:-1]]
        ends_open = last.level in (HAD, MUL)
        texts.append(last.text if ends_open else style.wrap(last, POW))
        text = self._joined(texts, self.signs.times)
        return Piece(text, HAD if last.level == HAD else MUL)

    def _joined(self, texts: list[str], between: str) -> str:
        text = texts[0]
        for part in texts[1:]:
            text += (beside(text, part) if self.signs.fractions else between) + part
        return text

    def _had(self, node: Mat) -> Piece:
        above, below = node.args[: node.data], node.args[node.data :]
        text = f" {self.signs.had} ".join(self.wrap(arg) for arg in above)
        if below:
            under = f" {self.signs.had} ".join(self.wrap(arg) for arg in below)
            under = self.signs.style.bracket(under) if len(below) > 1 else under
            text = f"{text} {self.signs.over} {under}"
        return Piece(text, HAD)

    def _matmul(self, node: Mat) -> Piece:
        return Piece(self._joined([self.wrap(arg) for arg in node.args], " "), MUL)

    def _transpose(self, node: Mat) -> Piece:
        return Piece(self.wrap(node.args[0], ATOM) + self.signs.transposed, POW)

    # ------------------------------------------------------------ functions

    def _pow(self, node: Mat) -> Piece:
        base, exponent = node.args
        style, low, high = self.signs.style, self.piece(base), self.piece(exponent)
        if exponent.op == "number" and exponent.data.p == 1 and exponent.data.q > 1:
            return style.root(low, int(exponent.data.q))
        if node.shape == SCALAR:
            return style.power(low, high)
        above = style.wrap(high, ATOM)
        return Piece(style.wrap(low, ATOM) + self.signs.raised.format(above), POW)

    def _call(self, node: Mat) -> Piece:
        args = [self.piece(arg) for arg in node.args]
        if node.data == "exp" and node.shape != SCALAR and self.signs.fractions:
            return Piece(rf"\exp{self.signs.style.bracket(args[0].text)}")
        return self.signs.style.call(node.data, args)

    def _step(self, node: Mat) -> Piece:
        text = self.condition(node.args[0])
        return Piece(f"1[{text}]") if self.signs.style.exact else self.signs.style.indicator(text)

    def _choice(self, node: Mat) -> Piece:
        cases, rest = [], node
        while rest.op == "choice":
            condition, value, rest = rest.args
            cases.append((self.piece(value), self.condition(condition)))
        return self.signs.style.choice(cases, self.piece(rest))

    def condition(self, node: Mat, inside: bool = False) -> str:
        """A condition, which holds or fails entry by entry."""
        style = self.signs.style
        if node.op == "compare":
            left, right = (self.wrap(arg, ADD) for arg in node.args)
            return f"{left} {style.relations[node.data]} {right}"
        if node.data == "not":
            return style.connectives["not"] + style.bracket(self.condition(node.args[0]))
        text = style.connectives[node.data].join(self.condition(arg, True) for arg in node.args)
        return style.bracket(text) if inside else text

    def _norm(self, node: Mat) -> Piece:
        (body,) = node.args
        kind = "1" if node.data == 1 else "F" if body.shape[1] else ""
        return Piece(self.signs.norm(self.piece(body).text, kind))

    def _diag(self, node: Mat) -> Piece:
        (body,) = node.args
        if body.op == "had" and body.data == 1 and body.args[0].op == "ones":
            below = body.args[1:]
            under = below[0] if len(below) == 1 else Mat("had", below, len(below), body.shape)
            return Piece(self._worded("diag", under).text + self.signs.inverse, POW)
        return self._worded("diag", body)

    def _diagonal(self, node: Mat) -> Piece:
        return self._worded("diagonal", node.args[0])

    def _reduce(self, node: Mat) -> Piece:
        if node.shape != SCALAR:
            return self._worded(f"row{node.data}", node.args[0])
        return self._worded(node.data, node.args[0])

    def _weights(self, node: Mat) -> Piece:
        extremum = self._worded(node.data, node.args[0]).text
        if self.signs.style.exact:
            return Piece(f"share({extremum})")
        return Piece(self.signs.style.name("omega") + self.signs.style.bracket(extremum))

    def _worded(self, word: str, body: Mat) -> Piece:
        bracketed = self.signs.style.bracket(self.piece(body).text)
        slim = r"\!" if bracketed.startswith(r"\left") else ""
        return Piece(self.signs.word(word) + slim + bracketed)
