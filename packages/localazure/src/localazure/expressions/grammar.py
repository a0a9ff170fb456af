"""The grammar, compiled: lark's parser, the tree it builds, and what it says where it stops.

Imported by the first expression that is parsed, as lark takes long to import.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from localazure.errors import ExpressionError
from localazure.expressions.syntax import Access, ArrayLiteral, Call, Expression, Literal, Step
from localazure.expressions.values import INT64_MAX, INT64_MIN

_STRING = re.compile(r"'(?:[^']|'')*+'")
_WORDS = {
    "RPAR": "')'",
    "LPAR": "'('",
    "COMMA": "','",
    "RSQB": "']'",
    "LSQB": "'['",
    "DOT": "'.'",
    "QUESTION": "'?'",
    "NAME": "a name",
    "NUMBER": "a value",
    "STRING": "a value",
    "TRUE": "a value",
    "FALSE": "a value",
    "NULL": "a value",
    "$END": "the end",
}


def parse(text: str) -> Expression:
    """Return the syntax tree of an expression.

    Raises:
        ExpressionError: kind `unparseable`, its position within `text`.
    """
    try:
        tree: Any = _parser().parse(text)
    except UnexpectedInput as exc:
        raise _explain(exc, text) from None
    expression: Expression = tree
    return expression


@cache
def _parser() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(
        grammar, parser="lalr", start="expression", transformer=_TreeBuilder(), maybe_placeholders=False
    )


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, Expression]):
    """Builds the tree while the parser reduces, so that no depth of nesting recurses."""

    def access(self, base: Expression, *steps: Step) -> Access:
        return Access(base, steps, base.position)

    def call(self, name: Token, *arguments: Expression) -> Call:
        return Call(str(name), arguments, name.start_pos or 0)

    def array(self, bracket: Token, *items: Expression) -> ArrayLiteral:
        return ArrayLiteral(items, bracket.start_pos or 0)

    def member(self, dot: Token, name: Token) -> Step:
        return Step(Literal(str(name), name.start_pos or 0), False, dot.start_pos or 0)

    def safe_member(self, question: Token, name: Token) -> Step:
        return Step(Literal(str(name), name.start_pos or 0), True, question.start_pos or 0)

    def index(self, bracket: Token, key: Expression) -> Step:
        return Step(key, False, bracket.start_pos or 0)

    def safe_index(self, question: Token, key: Expression) -> Step:
        return Step(key, True, question.start_pos or 0)

    def number(self, token: Token) -> Literal:
        position = token.start_pos or 0
        if any(mark in token for mark in ".eE"):
            return Literal(float(token), position)
        value = int(token) if len(token) < 40 else INT64_MAX + 1
        if not INT64_MIN <= value <= INT64_MAX:
            message = f"the integer {token} is outside of {INT64_MIN} to {INT64_MAX}"
            raise ExpressionError("unparseable", message, position=position)
        return Literal(value, position)

    def string(self, token: Token) -> Literal:
        return Literal(token[1:-1].replace("''", "'"), token.start_pos or 0)

    def true(self, token: Token) -> Literal:
        return Literal(True, token.start_pos or 0)

    def false(self, token: Token) -> Literal:
        return Literal(False, token.start_pos or 0)

    def null(self, token: Token) -> Literal:
        return Literal(None, token.start_pos or 0)


def _explain(exc: UnexpectedInput, text: str) -> ExpressionError:
    """Say what is wrong, where, and what would be right."""
    position = exc.pos_in_stream if exc.pos_in_stream is not None else len(text)
    expected: set[str] = set()
    if isinstance(exc, UnexpectedToken):
        expected = exc.accepts or exc.expected
        if exc.token.type == "$END":
            position = len(text)
    elif isinstance(exc, UnexpectedCharacters):
        expected = exc.allowed or set()
    if not text.strip():
        message = "the expression is empty"
    elif position >= len(text):
        message = f"the expression ends too early: {_alternatives(expected)} is missing"
    else:
        message = _hint(text, position) or (
            f"{text[position]!r} is not expected here: {_alternatives(expected)} may stand here"
        )
    return ExpressionError("unparseable", message, position=position)


def _hint(text: str, position: int) -> str | None:
    match text[position]:
        case "'" if not _STRING.match(text, position):
            return "the string that begins here has no closing quote"
        case '"':
            return "strings are written in single quotes: 'text'; a quote in them is doubled"
        case "{":
            return "objects cannot be written in an expression: use json('…') or addProperty(…)"
    return None


def _alternatives(expected: set[str]) -> str:
    words = sorted({_WORDS.get(name, name) for name in expected})
    return " or ".join(words) or "something else"
