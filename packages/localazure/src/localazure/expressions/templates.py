"""Templates: JSON in which strings may be expressions or contain them.

A string that begins with one `@` is an expression; `@{…}` anywhere in a string is put in as text; a leading
`@@` stands for `@` and leaves the rest as it is; `@@{` inside a string stands for `@{`. Keys of objects are
templates as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localazure.errors import ExpressionError
from localazure.expressions.evaluation import evaluate, unknown_function
from localazure.expressions.parser import parse_expression
from localazure.expressions.registry import find
from localazure.expressions.scope import Scope
from localazure.expressions.syntax import Call, Expression, Literal, walk
from localazure.expressions.values import kind_of, limited, plain, text_of

JSON = Any

TEMPLATE_DEPTH_MAX = 100
_CACHED_STRINGS = 4096
_CACHED_CHARACTERS_MAX = 10_000

_REFERRING = {
    "actions": "action",
    "body": "action",
    "outputs": "action",
    "actionbody": "action",
    "actionoutputs": "action",
    "formdatavalue": "action",
    "formdatamultivalues": "action",
    "multipartbody": "action",
    "parameters": "parameter",
    "variables": "variable",
    "items": "loop",
    "iterationindexes": "loop",
    "result": "scope",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that an expression gives as a literal, such as the `x` of `body('x')`.

    Attributes:
        kind: `action`, `parameter`, `variable`, `loop` (Foreach or Until) or `scope` (of `result`).
        name: as it is written.
        function: the function it is given to.
    """

    kind: str
    name: str
    function: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value without expressions."""

    value: JSON


@dataclass(frozen=True, slots=True)
class ExpressionText:
    """An expression, the string that it stands in and where it begins in there."""

    syntax: Expression
    source: str
    offset: int

    def evaluate(self, scope: Scope) -> JSON:
        """Return its value; errors get the string and the place in it."""
        try:
            return evaluate(self.syntax, scope)
        except ExpressionError as error:
            if error.expression is None:
                error.expression = self.source
                error.position = (error.position or 0) + self.offset
            raise
        except RecursionError:
            message = "the expression or a value in it is nested too deeply"
            raise ExpressionError(
                "invalid-template", message, expression=self.source, position=self.offset
            ) from None


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A string in which expressions are put in as text."""

    parts: tuple["str | ExpressionText", ...]

    def evaluate(self, scope: Scope) -> str:
        """Return the string."""
        texts = [part if isinstance(part, str) else _text(part, scope) for part in self.parts]
        limited(sum(map(len, texts)))
        return "".join(texts)


@dataclass(frozen=True, slots=True)
class ArrayTemplate:
    """An array with expressions somewhere in it."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """An object with expressions somewhere in it, also in its keys."""

    properties: tuple[tuple["Node", "Node"], ...]


Node = Constant | ExpressionText | Interpolation | ArrayTemplate | ObjectTemplate


def _text(part: ExpressionText, scope: Scope) -> str:
    value = part.evaluate(scope)
    try:
        return text_of(value)
    except ExpressionError as error:
        error.expression, error.position = part.source, part.offset
        raise


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """A parsed JSON value, ready to be evaluated any number of times.

    Attributes:
        source: the JSON it was parsed from.
        root: the parsed form.
        functions: names of all functions called, as Azure writes them; unknown ones as the template does.
        references: names given as literals to functions that look something up, each once.
    """

    source: JSON
    root: Node
    functions: frozenset[str]
    references: tuple[Reference, ...]

    def evaluate(self, scope: Scope) -> JSON:
        """Return the value for a scope.

        What has no expression in it is returned as it is, not copied: do not change what comes back.

        Raises:
            ExpressionError: with the string and the place in it.
        """
        try:
            value = _evaluate(self.root, scope)
            return plain(value) if "decimal" in self.functions else value
        except RecursionError:
            raise ExpressionError("invalid-template", "the value is nested too deeply") from None

    @property
    def is_constant(self) -> bool:
        """Whether there is no expression in it."""
        return isinstance(self.root, Constant)

    def problems(self) -> tuple[ExpressionError, ...]:
        """Return what can be known to be wrong before any evaluation.

        Every call of an unknown function (`unknown-function`) and every wrong number of arguments
        (`invalid-arity`), also in branches that might never be evaluated.
        """
        found: list[ExpressionError] = []
        for text in _expressions(self.root):
            for call in _calls(text):
                problem = _problem(call)
                if problem is not None:
                    problem.expression, problem.position = text.source, text.offset + call.position
                    found.append(problem)
        return tuple(found)


def parse_template(value: JSON) -> Template:
    """Parse a JSON value in which strings may hold expressions.

    Raises:
        ExpressionError: kind `unparseable`, with the string and the place in it.
    """
    root = _parse(value, 0)
    calls = [call for text in _expressions(root) for call in _calls(text)]
    functions = frozenset(_canonical(call.name) for call in calls)
    references = dict.fromkeys(reference for call in calls if (reference := _reference(call)))
    return Template(value, root, functions, tuple(references))


def _canonical(name: str) -> str:
    function = find(name)
    return function.name if function else name


def _reference(call: Call) -> Reference | None:
    kind = _REFERRING.get(call.name.lower())
    match call.arguments:
        case (Literal(value=str(name)), *_) if kind:
            return Reference(kind, name, _canonical(call.name))
    return None


def _problem(call: Call) -> ExpressionError | None:
    function = find(call.name)
    if function is None:
        return unknown_function(call.name)
    try:
        function.check_arity(len(call.arguments))
    except ExpressionError as error:
        return error
    return None


def _calls(text: ExpressionText) -> Iterator[Call]:
    return (node for node in walk(text.syntax) if isinstance(node, Call))


def _expressions(root: Node) -> Iterator[ExpressionText]:
    pending: list[Node] = [root]
    while pending:
        match pending.pop():
            case ExpressionText() as text:
                yield text
            case Interpolation(parts=parts):
                yield from (part for part in parts if isinstance(part, ExpressionText))
            case ArrayTemplate(items=items):
                pending.extend(reversed(items))
            case ObjectTemplate(properties=properties):
                pending.extend(node for pair in reversed(properties) for node in reversed(pair))


def _evaluate(node: Node, scope: Scope) -> JSON:
    match node:
        case Constant(value=value):
            return value
        case ExpressionText() | Interpolation():
            return node.evaluate(scope)
        case ArrayTemplate(items=items):
            return [_evaluate(item, scope) for item in items]
        case ObjectTemplate(properties=properties):
            return {_key(key, scope): _evaluate(child, scope) for key, child in properties}


def _key(node: Node, scope: Scope) -> str:
    key = _evaluate(node, scope)
    if isinstance(key, str):
        return key
    error = ExpressionError("invalid-template", f"a property name must be a string, not '{kind_of(key)}'")
    if isinstance(node, ExpressionText):
        error.expression, error.position = node.source, node.offset
    raise error


def _parse(value: JSON, depth: int) -> Node:
    if depth > TEMPLATE_DEPTH_MAX:
        message = f"the value is nested deeper than {TEMPLATE_DEPTH_MAX} levels"
        raise ExpressionError("unparseable", message)
    match value:
        case str():
            return _parse_string(value)
        case Mapping():
            pairs = tuple((_parse_string(key), _parse(child, depth + 1)) for key, child in value.items())
            same = all(map(_unchanged, (key for key, _ in pairs), value)) and all(
                map(_unchanged, (child for _, child in pairs), value.values())
            )
            return Constant(value) if same else ObjectTemplate(pairs)
        case list() | tuple():
            items = tuple(_parse(child, depth + 1) for child in value)
            return Constant(value) if all(map(_unchanged, items, value)) else ArrayTemplate(items)
        case _:
            return Constant(value)


def _unchanged(node: Node, source: JSON) -> bool:
    return isinstance(node, Constant) and (
        node.value is source or (isinstance(source, str) and node.value == source)
    )


def _parse_string(text: str) -> Node:
    if "@" not in text:
        return Constant(text)
    return _parse_marked(text) if len(text) <= _CACHED_CHARACTERS_MAX else _parse_marked.__wrapped__(text)


@lru_cache(maxsize=_CACHED_STRINGS)
def _parse_marked(text: str) -> Node:
    if text.startswith("@@"):
        return Constant(text[1:])
    if text.startswith("@") and not text.startswith("@{"):
        return Constant(text) if text == "@" else ExpressionText(parse_expression(text[1:], text, 1), text, 1)
    parts = tuple(_parts(text))
    match parts:
        case ():
            return Constant("")
        case (str(only),):
            return Constant(only)
        case _:
            return Interpolation(parts)


def _parts(text: str) -> Iterator[str | ExpressionText]:
    literal: list[str] = []
    place = 0
    while (mark := text.find("@{", place)) >= 0:
        if mark > place and text[mark - 1] == "@":
            literal += [text[place : mark - 1], "@{"]
            place = mark + 2
            continue
        literal.append(text[place:mark])
        if before := "".join(literal):
            yield before
        literal.clear()
        end = _closing_brace(text, mark + 2)
        yield ExpressionText(parse_expression(text[mark + 2 : end], text, mark + 2), text, mark + 2)
        place = end + 1
    literal.append(text[place:])
    if rest := "".join(literal):
        yield rest


def _closing_brace(text: str, start: int) -> int:
    """Return where the `}` is that closes `@{`: the first one outside of a quoted string."""
    quoted = False
    for place in range(start, len(text)):
        if text[place] == "'":
            quoted = not quoted
        elif text[place] == "}" and not quoted:
            return place
    message = "the expression that begins here has no closing '}'"
    raise ExpressionError("unparseable", message, expression=text, position=start - 2)
