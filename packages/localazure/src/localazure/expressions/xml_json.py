"""Between XML and JSON by the conventions of Json.NET, which Azure uses.

Attributes are properties with `@`, text beside other things is `#text`, elements of one name become an array.
Comments have no JSON: one is left out, several of an element leave an empty array, as they do there.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from localazure.errors import ExpressionError
from localazure.expressions.values import JSON, float_text, kind_of
from localazure.expressions.xml_documents import (
    CData,
    Comment,
    Declaration,
    Document,
    DocumentType,
    Element,
    Instruction,
    Node,
    Text,
)

_TEXT_NAMES = {"#text", "#whitespace", "#significant-whitespace"}
_NAME_START = re.compile(r"[^\W\d]|_")
_ESCAPE = re.compile(r"_x[0-9A-Fa-f]{4}_")
_NAME_REST = re.compile(r"[\w.\-\xb7]")


def xml_to_json(document: Document) -> dict[str, JSON]:
    """Return a document as an object with a property per node."""
    result: dict[str, JSON] = {}
    if document.declaration:
        declared = document.declaration
        named = {
            "@version": declared.version,
            "@encoding": declared.encoding,
            "@standalone": declared.standalone,
        }
        result["?xml"] = {name: value for name, value in named.items() if value is not None}
    if document.document_type:
        kind = document.document_type
        named = {"@name": kind.name, "@public": kind.public, "@system": kind.system}
        named["@internalSubset"] = kind.internal_subset
        result["!DOCTYPE"] = {name: value for name, value in named.items() if value is not None}
    return {**result, **_grouped(document.nodes)}


def _grouped(nodes: Sequence[Node]) -> dict[str, JSON]:
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(_json_name(node), []).append(node)
    result: dict[str, JSON] = {}
    for name, group in groups.items():
        values = [_value(node) for node in group if not isinstance(node, Comment)]
        if len(group) > 1:
            result[name] = values
        elif values:
            result[name] = values[0]
    return result


def _json_name(node: Node) -> str:
    match node:
        case Text():
            return "#text"
        case CData():
            return "#cdata-section"
        case Comment():
            return "#comment"
        case Instruction(target=target):
            return f"?{target}"
        case Element(name=name):
            return name


def _value(node: Node) -> JSON:
    match node:
        case Element():
            return _element_value(node)
        case _:
            return node.text


def _element_value(element: Element) -> JSON:
    attributes = {f"@{name}": value for name, value in element.attributes.items()}
    match element.children:
        case [] if not attributes:
            return None if element.is_empty_tag else ""
        case [Text(text=text)] if not attributes:
            return text
        case children:
            return {**attributes, **_grouped(children)}


def json_to_xml(value: Mapping[str, JSON]) -> Document:
    """Return an object with one property as a document; `?xml` and `!DOCTYPE` may stand beside it.

    Raises:
        ExpressionError: no root element or several, or what XML cannot hold.
    """
    document = Document()
    for name, child in value.items():
        match name:
            case "?xml" if isinstance(child, Mapping):
                document.declaration = _declaration(child)
            case "!DOCTYPE" if isinstance(child, Mapping):
                document.document_type = _document_type(child)
            case _:
                document.nodes += _nodes(name, child, frozenset())
    roots = sum(isinstance(node, Element) for node in document.nodes)
    if roots != 1:
        problem = "More than one root element" if roots else "Root element is missing"
        message = f"the object cannot be made XML: {problem}; it must have exactly one property"
        raise ExpressionError("invalid-template", message)
    return document


def _declaration(value: Mapping[str, JSON]) -> Declaration:
    said = {key: _scalar(child) for key, child in value.items()}
    return Declaration(said.get("@version") or "1.0", said.get("@encoding"), said.get("@standalone"))


def _document_type(value: Mapping[str, JSON]) -> DocumentType:
    said = {key: _scalar(child) for key, child in value.items()}
    name = _encoded(said.get("@name", ""))
    return DocumentType(name, said.get("@public"), said.get("@system"), said.get("@internalSubset"))


def _nodes(name: str, value: JSON, prefixes: frozenset[str]) -> list[Node]:
    """Return what a property becomes; `prefixes` are those that elements around it declare."""
    if isinstance(value, list):
        return [node for item in value for node in _nodes_of_item(name, item, prefixes)]
    if name in _TEXT_NAMES:
        return [Text(_scalar(value))]
    if name == "#cdata-section":
        text = _scalar(value)
        if "]]>" in text:
            raise ExpressionError("invalid-template", "a CDATA section cannot hold ']]>'")
        return [CData(text)]
    if name.startswith("?"):
        return [Instruction(_encoded(name[1:]), _scalar(value).replace("?>", "? >"))]
    return [_element(name, value, prefixes)]


def _nodes_of_item(name: str, item: JSON, prefixes: frozenset[str]) -> list[Node]:
    if not isinstance(item, list):
        return _nodes(name, item, prefixes)
    element = Element(_qualified(name, prefixes))
    element.children = [node for child in item for node in _nodes_of_item(name, child, prefixes)]
    return [element]


def _element(name: str, value: JSON, prefixes: frozenset[str]) -> Element:
    if value is None:
        return Element(_qualified(name, prefixes), is_empty_tag=True)
    if not isinstance(value, Mapping):
        text = _scalar(value)
        return Element(_qualified(name, prefixes), children=[Text(text)] if text else [])
    known = prefixes | {key[7:] for key in value if key.startswith("@xmlns:")}
    element = Element(_qualified(name, known), is_empty_tag=True)
    for key, child in value.items():
        if key.startswith("@") and not isinstance(child, (Mapping, list)):
            element.attributes[_qualified(key[1:], known | {"xml", "xmlns"})] = _scalar(child)
        else:
            element.children += _nodes(key, child, known)
    return element


def _qualified(name: str, prefixes: frozenset[str]) -> str:
    """Return a name that XML allows; a prefix that nothing declares is dropped, as .NET does."""
    prefix, colon, local = name.partition(":")
    if not colon or not prefix or not local:
        return _encoded(name)
    return f"{_encoded(prefix)}:{_encoded(local)}" if prefix in prefixes else _encoded(local)


def _encoded(name: str) -> str:
    """Return a name with what XML does not allow in names written as `_xHHHH_`."""
    written: list[str] = []
    for place, character in enumerate(name):
        allowed = _NAME_REST if place else _NAME_START
        kept = allowed.fullmatch(character) and not _ESCAPE.match(name, place)
        written.append(character if kept else f"_x{ord(character):04X}_")
    if not written:
        raise ExpressionError("invalid-template", "an XML element must have a name")
    return "".join(written)


def _scalar(value: JSON) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return float_text(value) if math.isfinite(value) else float_text(value).replace("Infinity", "INF")
        case Decimal():
            return format(value, "f")
    raise ExpressionError("invalid-template", f"XML text cannot be of type '{kind_of(value)}'")
