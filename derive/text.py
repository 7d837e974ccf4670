"""Text with places, read into Python's syntax tree within fixed limits; nothing is ever run."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from derive.errors import InputError, Place

LIMIT_BYTES = 64 * 1024
LIMIT_EXPRESSION = 4096
LIMIT_NESTING = 64
LIMIT_FOUND = 160

STATEMENT = "a declaration such as 'x: input[D]' or a definition such as 'p[i] = exp(x[i])'"
EXPRESSION = "an expression such as 'p[j] - y[j]'"

_LINE = re.compile(r"\r\n|\r|\n")
_MARK = re.compile(r'"""|\'\'\'|["\'#()\[\]{}]')
_CLOSE = {
    '"""': re.compile(r'(?:\\.|[^\\])*?"""', re.DOTALL),
    "'''": re.compile(r"(?:\\.|[^\\])*?'''", re.DOTALL),
    '"': re.compile(r'(?:\\.|[^"\\\r\n])*"', re.DOTALL),
    "'": re.compile(r"(?:\\.|[^'\\\r\n])*'", re.DOTALL),
    "#": re.compile(r"[^\r\n]*"),
}
_SUMS = (ast.Add, ast.Sub)


@dataclass(frozen=True)
class Text:
    """A text and its name.  `above` counts the lines put before it for the parser."""

    content: str
    source: str
    above: int = 0

    @cached_property
    def lines(self) -> list[str]:
        return _LINE.split(self.content)

    def position(self, line: int, column: int) -> Place:
        """A place, brought inside the text; both count from 1."""
        line -= self.above
        if line > len(self.lines):
            return self.at(len(self.content))
        line = max(1, line)
        return Place(self.source, line, max(1, min(column, len(self.lines[line - 1]) + 1)))

    def place(self, node: ast.AST) -> Place:
        """Where a node begins, its column in characters."""
        line = getattr(node, "lineno", 1)
        before = self._bytes(line)[: getattr(node, "col_offset", 0)]
        return self.position(line, len(before.decode("utf-8", "ignore")) + 1)

    def at(self, offset: int) -> Place:
        """The place of the character at an offset."""
        before = _LINE.split(self.content[:offset])
        return self.position(len(before) + self.above, len(before[-1]) + 1)

    def written(self, node: ast.expr) -> str:
        """The characters of a node that stands on one line, or its first line."""
        line = self._bytes(node.lineno)
        end = node.end_col_offset if node.end_lineno == node.lineno else len(line)
        return line[node.col_offset : end].decode("utf-8", "ignore")

    def length(self, node: ast.expr) -> int:
        """How many characters a node takes."""
        last = node.end_lineno or node.lineno
        if last == node.lineno:
            return len(self.written(node))
        between = sum(len(self._bytes(line).decode()) + 1 for line in range(node.lineno + 1, last))
        ending = self._bytes(last)[: node.end_col_offset].decode("utf-8", "ignore")
        return len(self.written(node)) + 1 + between + len(ending)

    def error(
        self, node: ast.AST, found: str, expected: str, nearest: str | None = None
    ) -> InputError:
        """The error of a node, what was found cut where it is long."""
        if len(found) > LIMIT_FOUND:
            found = found[: LIMIT_FOUND - 4] + "...'"
        return InputError(self.place(node), found, expected, nearest)

    def _bytes(self, line: int) -> bytes:
        inside = 0 <= line - self.above - 1 < len(self.lines)
        return self.lines[line - self.above - 1].encode("utf-8") if inside else b""


def read_module(content: str, source: str) -> tuple[Text, list[ast.stmt]]:
    """The statements of a text.  Raises InputError where it is not Python or over a limit."""
    text = Text(content, source)
    _check_text(text)
    return text, _parse(text, content, STATEMENT).body


def read_single(content: str, source: str) -> tuple[Text, ast.expr]:
    """A text that is one expression, on any number of lines."""
    text = Text(content, source, above=1)
    _check_text(text)
    if not content.strip():
        raise InputError(text.position(2, 1), "an empty text", EXPRESSION)
    (statement,) = _parse(text, f"(\n{content}\n)", EXPRESSION).body
    if not isinstance(statement, ast.Expr):
        raise InputError(text.position(2, 1), "a statement", EXPRESSION)
    check_expression(text, statement.value)
    return text, statement.value


def check_expression(text: Text, node: ast.expr) -> None:
    """Refuse an expression that is too long or nested too deeply."""
    length = text.length(node)
    if length > LIMIT_EXPRESSION:
        found = f"an expression of {length} characters"
        raise text.error(node, found, f"at most {LIMIT_EXPRESSION}")
    waiting: list[tuple[ast.AST, int]] = [(node, 1)]
    while waiting:
        parent, depth = waiting.pop()
        if depth > LIMIT_NESTING:
            found = "an expression nested too deeply"
            raise text.error(parent, found, f"at most {LIMIT_NESTING} levels")
        for child in ast.iter_child_nodes(parent):
            flat = not isinstance(child, ast.expr) or same_chain(parent, child)
            waiting.append((child, depth if flat else depth + 1))


def same_chain(parent: ast.AST, child: ast.AST) -> bool:
    """Whether `child` is the left end of a chain of sums, or of products, with `parent`."""
    if not isinstance(parent, ast.BinOp) or not isinstance(child, ast.BinOp):
        return False
    if child is not parent.left or isinstance(parent.op, ast.Pow):
        return False
    if isinstance(child.op, ast.Pow):
        return False
    return isinstance(parent.op, _SUMS) == isinstance(child.op, _SUMS)


def _check_text(text: Text) -> None:
    """Refuse a text over 64 KiB, and brackets that are unbalanced or nested too deeply."""
    size = len(text.content.encode("utf-8", "surrogatepass"))
    if size > LIMIT_BYTES:
        raise InputError(text.at(0), f"a text of {size} bytes", f"at most {LIMIT_BYTES} (64 KiB)")
    unprintable = re.search(r"[\x00\ud800-\udfff]", text.content)
    if unprintable:
        found = f"the character U+{ord(unprintable[0]):04X}"
        raise InputError(text.at(unprintable.start()), found, "text without it")
    opened: list[int] = []
    position = 0
    while mark := _MARK.search(text.content, position):
        position = mark.end()
        if mark[0] in "([{":
            opened.append(mark.start())
            if len(opened) > LIMIT_NESTING:
                found, expected = "brackets nested too deeply", f"at most {LIMIT_NESTING} levels"
                raise InputError(text.at(mark.start()), found, expected)
        elif mark[0] in ")]}":
            if not opened:
                found = f"'{mark[0]}' that closes nothing"
                raise InputError(text.at(mark.start()), found, "its opening bracket before it")
            opened.pop()
        else:
            inside = _CLOSE[mark[0]].match(text.content, position)
            if inside is None:
                found = "a string that is never closed"
                raise InputError(text.at(mark.start()), found, "its closing quotes")
            position = inside.end()
    if opened:
        found = f"'{text.content[opened[-1]]}' that is never closed"
        raise InputError(text.at(opened[-1]), found, "its closing bracket")


def _parse(text: Text, content: str, expected: str) -> ast.Module:
    """Python's syntax tree; whatever its parser may raise becomes an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except SyntaxError as error:
        _refuse(text, error, expected)
    except (RecursionError, MemoryError):
        found, limit = "an expression nested too deeply", f"at most {LIMIT_NESTING} levels"
        raise InputError(text.at(0), found, limit) from None
    except (ValueError, OverflowError) as error:
        raise InputError(text.at(0), f"text that cannot be read ({error})", expected) from None


def _refuse(text: Text, error: SyntaxError, expected: str) -> NoReturn:
    _refuse_lambda(text)
    place = text.position(error.lineno or 1, error.offset or 1)
    line = text.lines[place.line - 1]
    for word in re.finditer(r"\w+", line):
        touches = word.start() <= place.column - 1 <= word.end() + 1
        if touches and keyword.iskeyword(word[0]) and word[0] not in ("for", "in", "if", "else"):
            here = Place(place.source, place.line, word.start() + 1)
            found = f"the word '{word[0]}', which the language keeps"
            raise InputError(here, found, "a name of your own or an expression") from None
    found = f"text that cannot be read ({error.msg})"
    raise InputError(place, found, expected) from None


def _refuse_lambda(text: Text) -> None:
    """`lambda: const` is an expression in Python: it is only its uses that are not."""
    for number, line in enumerate(text.lines, 1):
        if re.match(r"lambda\s*:", line):
            found = "the word 'lambda', which the language keeps"
            raise InputError(text.position(number, 1), found, "a name of your own, such as 'λ'")
