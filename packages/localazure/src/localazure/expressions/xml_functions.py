"""The XML functions. XPath is lxml's, which gets neither entities nor the network.

lxml is imported by the first XPath: it takes long, and few workflows have one.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from localazure.errors import ExpressionError
from localazure.expressions.signatures import DOCUMENT, STRING, XML, Group
from localazure.expressions.values import JSON, XML_TYPE, content, content_bytes, is_content
from localazure.expressions.xml_documents import Document, parse_xml, parse_xml_content, write_xml
from localazure.expressions.xml_json import json_to_xml

if TYPE_CHECKING:
    from lxml import etree

XML_FUNCTIONS = Group("conversion")


def _xml_content(document: Document) -> JSON:
    return content(XML_TYPE, write_xml(document).encode("utf-8", "surrogatepass"))


@XML_FUNCTIONS.declare("xml", takes={"value": DOCUMENT})
def _xml(value: JSON) -> JSON:
    if isinstance(value, str):
        return _xml_content(parse_xml(value))
    if is_content(value):
        return {"$content-type": XML_TYPE, "$content": value["$content"]}
    if value is None:
        raise ExpressionError("invalid-type", "xml expects a string or an object, not null")
    try:
        return _xml_content(json_to_xml(value))
    except RecursionError:
        raise ExpressionError("invalid-template", "the object is nested too deeply for XML") from None


@XML_FUNCTIONS.declare("xpath", takes={"xml": XML, "xpath": STRING})
def _xpath(value: JSON, expression: str) -> JSON:
    from lxml import etree

    text = write_xml(_without_document_type(parse_xml_content(content_bytes(value))))
    try:
        root = etree.fromstring(text.encode("utf-8", "surrogatepass"), _parser())
        found: Any = _compiled(expression.strip())(root.getroottree())
    except etree.XMLSyntaxError as exc:
        raise ExpressionError("invalid-template", f"the value is not valid XML: {exc}") from None
    except (etree.XPathError, ValueError) as exc:  # ValueError: characters that XML does not have
        raise ExpressionError("invalid-template", f"the XPath '{expression}' is not valid: {exc}") from None
    return [_node(node) for node in found] if isinstance(found, list) else found


def _without_document_type(document: Document) -> Document:
    # The text is UTF-8 whatever its declaration says, and lxml has no use for either.
    return Document(document.nodes)


def _parser() -> "etree.XMLParser":
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )


@lru_cache(maxsize=256)
def _compiled(expression: str) -> "etree.XPath":
    from lxml import etree

    return etree.XPath(expression, regexp=False, smart_strings=False)


def _node(node: Any) -> JSON:
    """Return a node of a result: text and attributes as strings, all else as XML content."""
    if isinstance(node, str):
        return node
    if isinstance(node, tuple):  # a namespace: prefix and URI
        return str(node[1])
    from lxml import etree

    text = etree.tostring(node, encoding="unicode", with_tail=False)
    if not isinstance(node.tag, str):  # a comment or processing instruction
        return content(XML_TYPE, text.encode("utf-8"))
    return _xml_content(parse_xml(text))
