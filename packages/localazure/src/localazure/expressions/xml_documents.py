"""XML as .NET's XDocument holds and writes it, read by expat.

White space between elements is dropped. Entities cannot be declared and nothing is ever fetched. What the
declaration and the DOCTYPE say is kept.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from localazure.errors import ExpressionError

ELEMENT_DEPTH_MAX = 128
_RESERVED_PREFIXES = {"xml", "xmlns"}


@dataclass(slots=True)
class Text:
    """Text between tags."""

    text: str


@dataclass(slots=True)
class CData:
    """A CDATA section."""

    text: str


@dataclass(slots=True)
class Comment:
    """A comment."""

    text: str


@dataclass(slots=True)
class Instruction:
    """A processing instruction."""

    target: str
    text: str


@dataclass(slots=True)
class Element:
    """An element.

    Attributes:
        name: as it is written, with its prefix.
        attributes: by name as written, in order; namespace declarations are among them.
        children: in order.
        is_empty_tag: whether it is written `<a />` when it has no children, else `<a></a>`.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[Node]" = field(default_factory=list)
    is_empty_tag: bool = False


Node = Text | CData | Comment | Instruction | Element


@dataclass(frozen=True, slots=True)
class Declaration:
    """The XML declaration; None is what it does not say."""

    version: str
    encoding: str | None = None
    standalone: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentType:
    """The DOCTYPE; None is what it does not say."""

    name: str
    public: str | None = None
    system: str | None = None
    internal_subset: str | None = None


@dataclass(slots=True)
class Document:
    """An XML document; exactly one of its nodes is an element."""

    nodes: list[Node] = field(default_factory=list)
    declaration: Declaration | None = None
    document_type: DocumentType | None = None


def _failure(why: object) -> ExpressionError:
    return ExpressionError("invalid-template", f"the value is not valid XML: {why}")


def parse_xml(text: str) -> Document:
    """Return the document that text is, whatever encoding its declaration names.

    Raises:
        ExpressionError: it is no XML of version 1.0, or declares entities.
    """
    return _Reader(text.removeprefix("\ufeff").encode("utf-8", "surrogatepass")).read()


def parse_xml_content(data: bytes) -> Document:
    """Return the document that bytes are, in the encoding that its declaration names (else UTF-8).

    Raises:
        ExpressionError: no such encoding, or what `parse_xml` raises.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return parse_xml(data.decode(encoding, errors="replace"))
    declared = re.match(rb"<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)", data)
    name = declared[1].decode("ascii") if declared else "utf-8"
    try:
        decoder = codecs.lookup(name)
        if decoder.name.startswith(("utf-16", "utf-32")):
            raise LookupError(name)  # noqa: TRY301 - the same refusal: without a mark it cannot be what it says
        text = data.decode(decoder.name)
    except UnicodeDecodeError as exc:
        raise _failure(exc.reason) from None
    except LookupError:
        raise _failure(f"'{name}' is not a supported encoding") from None
    return parse_xml(text)


class _Reader:
    """Builds a document from expat's events."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._document = Document()
        self._open: list[Element] = []
        self._prefixes: list[set[str]] = [set(_RESERVED_PREFIXES)]
        self._text: list[str] = []
        self._in_cdata = False
        self._subset_start = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.ordered_attributes = True
        self._parser.buffer_text = True
        self._parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self._listen()

    def _listen(self) -> None:
        parser = self._parser
        parser.XmlDeclHandler = self._on_declaration
        parser.StartDoctypeDeclHandler = self._on_document_type
        parser.EndDoctypeDeclHandler = self._on_document_type_end
        parser.EntityDeclHandler = self._on_entity
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.CharacterDataHandler = self._text.append
        parser.StartCdataSectionHandler = self._on_cdata_start
        parser.EndCdataSectionHandler = self._on_cdata_end
        parser.CommentHandler = self._on_comment
        parser.ProcessingInstructionHandler = self._on_instruction

    def read(self) -> Document:
        try:
            self._parser.Parse(self._data, True)
        except expat.ExpatError as exc:
            raise _failure(exc) from None
        return self._document

    def _add(self, node: Node) -> None:
        (self._open[-1].children if self._open else self._document.nodes).append(node)

    def _flush(self) -> None:
        text = "".join(self._text)
        self._text.clear()
        if self._in_cdata:
            self._add(CData(text))
        elif self._open and text.strip(" \t\r\n"):
            self._add(Text(text))

    def _on_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0":
            raise _failure(f"version '{version}' is not supported, only 1.0 is")
        word = {1: "yes", 0: "no"}.get(standalone)
        self._document.declaration = Declaration(version, encoding, word)

    def _on_document_type(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        self._document.document_type = DocumentType(name, public or None, system or None)
        self._subset_start = self._parser.CurrentByteIndex if has_subset else 0

    def _on_document_type_end(self) -> None:
        kind = self._document.document_type
        end = self._data.rfind(b"]", 0, self._parser.CurrentByteIndex + 1)
        start = self._data.find(b"[", self._subset_start, end)
        if self._subset_start and kind and 0 <= start < end:
            subset = self._data[start + 1 : end].decode("utf-8").strip()
            self._document.document_type = replace(kind, internal_subset=subset or None)

    def _on_entity(self, name: str, *_: object) -> None:
        raise _failure(f"it declares the entity '{name}', which is not allowed")

    def _on_start(self, name: str, attributes: list[str]) -> None:
        self._flush()
        if len(self._open) >= ELEMENT_DEPTH_MAX:
            raise _failure(f"its elements are nested deeper than {ELEMENT_DEPTH_MAX} levels")
        named = dict(zip(attributes[::2], attributes[1::2], strict=True))
        known = self._prefixes[-1] | {key[6:] for key in named if key.startswith("xmlns:")}
        for qualified in (name, *named):
            prefix = qualified.partition(":")[0] if ":" in qualified else ""
            if prefix and prefix not in known:
                raise _failure(f"the prefix '{prefix}' of '{qualified}' is not declared")
        element = Element(name, named)
        self._add(element)
        self._open.append(element)
        self._prefixes.append(known)

    def _on_end(self, _: str) -> None:
        place = self._parser.CurrentByteIndex
        had_text = bool(self._text)
        self._flush()
        element = self._open.pop()
        self._prefixes.pop()
        # Of an empty tag expat tells the end at its "/>", of a pair of tags at the start of "</…>".
        closed_apart = self._data.startswith(b"</", place) and not self._data.endswith(b"/>", 0, place)
        element.is_empty_tag = not element.children and not had_text and not closed_apart

    def _on_cdata_start(self) -> None:
        self._flush()
        self._in_cdata = True

    def _on_cdata_end(self) -> None:
        self._flush()
        self._in_cdata = False

    def _on_comment(self, text: str) -> None:
        self._flush()
        self._add(Comment(text))

    def _on_instruction(self, target: str, text: str) -> None:
        self._flush()
        self._add(Instruction(target, text))


def write_xml(document: Document) -> str:
    """Return a document as text, without white space between elements, the way .NET writes it."""
    return "".join(_document_parts(document))


def _document_parts(document: Document) -> Iterator[str]:
    if document.declaration:
        yield _declaration_text(document.declaration)
    if document.document_type:
        yield _document_type_text(document.document_type)
    for node in document.nodes:
        yield from node_parts(node)


def _declaration_text(declaration: Declaration) -> str:
    encoding = f' encoding="{declaration.encoding}"' if declaration.encoding else ""
    standalone = f' standalone="{declaration.standalone}"' if declaration.standalone else ""
    return f'<?xml version="{declaration.version}"{encoding}{standalone}?>'


def _document_type_text(kind: DocumentType) -> str:
    identifier = ""
    if kind.public:
        identifier = f' PUBLIC "{kind.public}" "{kind.system or ""}"'
    elif kind.system:
        identifier = f' SYSTEM "{kind.system}"'
    subset = f"[{kind.internal_subset}]" if kind.internal_subset else ""
    return f"<!DOCTYPE {kind.name}{identifier}{subset}>"


def node_parts(node: Node) -> Iterator[str]:
    """Yield the text of a node piece by piece."""
    match node:
        case Text(text=text):
            yield escaped(text)
        case CData(text=text):
            yield f"<![CDATA[{text}]]>"
        case Comment(text=text):
            yield f"<!--{text}-->"
        case Instruction(target=target, text=text):
            yield f"<?{target}{' ' if text else ''}{text}?>"
        case Element():
            attributes = "".join(f' {name}="{_quoted(value)}"' for name, value in node.attributes.items())
            if not node.children and node.is_empty_tag:
                yield f"<{node.name}{attributes} />"
                return
            yield f"<{node.name}{attributes}>"
            for child in node.children:
                yield from node_parts(child)
            yield f"</{node.name}>"


def escaped(text: str) -> str:
    """Return text with what XML would misread written as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    marks = {'"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
    return re.sub(r'["\t\n\r]', lambda mark: marks[mark[0]], escaped(text))
