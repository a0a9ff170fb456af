"""Where a task's document lies, and the names that are refused."""

import re

import pytest
from worker.blobs import locate
from worker.errors import BlobRefused, PayloadInvalid
from worker.payloads import DocumentTask
from worker.settings import DocumentSettings

SETTINGS = DocumentSettings(azure_storage_container_name="acme-documents")


def located(**payload: object) -> str:
    return str(locate(DocumentTask.parse(payload), SETTINGS))


def test_a_document_lies_by_container_document_set_and_filename() -> None:
    assert located(filename="handbook.pdf", document_set="hr") == "acme-documents/hr/handbook.pdf"
    assert located(filename="handbook.pdf") == "acme-documents/default/handbook.pdf"


def test_a_file_url_names_container_and_path() -> None:
    assert located(filename="h.pdf", file_url="acme-documents/x/y/h.pdf") == "acme-documents/x/y/h.pdf"
    assert located(filename="h.pdf", file_url="") == "acme-documents/default/h.pdf"


@pytest.mark.parametrize(
    "filename",
    ["Jahresbericht 2026 (final).pdf", "100% wool.txt", "50%20off.md", "q3/report.docx", "資料.pdf"],
)
def test_ordinary_names_pass_unchanged(filename: str) -> None:
    assert located(filename=filename) == f"acme-documents/default/{filename}"


@pytest.mark.parametrize(
    "name",
    [
        "../other/secret.pdf",
        "a/../../secret.pdf",
        "..",
        "./a.pdf",
        "/etc/passwd",
        "a//b.pdf",
        "a/",
        "..\\secret.pdf",
        "C:\\secret.pdf",
        "%2e%2e/secret.pdf",
        "%2e%2e%2fsecret.pdf",
        "%252e%252e%252fsecret.pdf",
        "a%2fb.pdf",
        "a%5cb.pdf",
        "a%00.pdf",
        "a\x00.pdf",
        "a\nb.pdf",
        "a\x7f.pdf",
        "\ud800.pdf",
        "x" * 1025,
        "https://evil.example/a.pdf",
    ],
)
@pytest.mark.parametrize("where", ["filename", "document_set", "file_url", "filename beside a file_url"])
def test_hostile_names_are_refused_and_shown(name: str, where: str) -> None:
    payload = {
        "filename": {"filename": name},
        "document_set": {"filename": "a.pdf", "document_set": name},
        "file_url": {"filename": "a.pdf", "file_url": f"acme-documents/{name}"},
        "filename beside a file_url": {"filename": name, "file_url": "acme-documents/a.pdf"},
    }[where]
    with pytest.raises(BlobRefused, match=re.escape(repr(name)[1:20].rstrip("'\""))):
        located(**payload)


@pytest.mark.parametrize(
    "file_url",
    [
        "globex-documents/a.pdf",
        "ACME-DOCUMENTS/a.pdf",
        "acme-documents",
        "acme-documents/",
        "/acme-documents/a.pdf",
    ],
)
def test_a_file_url_elsewhere_is_refused_and_shown(file_url: str) -> None:
    with pytest.raises(BlobRefused, match=re.escape(file_url)):
        located(filename="a.pdf", file_url=file_url)


def test_more_containers_are_allowed_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_ALLOWED_CONTAINERS", "archive, shared")
    settings = DocumentSettings()
    task = DocumentTask("a.pdf", file_url="archive/a.pdf")
    assert str(locate(task, settings)) == "archive/a.pdf"
    with pytest.raises(BlobRefused, match="allowed: archive, documents, shared"):
        locate(DocumentTask("a.pdf", file_url="other/a.pdf"), settings)


@pytest.mark.parametrize(
    "payload",
    [{}, {"filename": ""}, {"filename": " "}, {"filename": 7}, {"filename": None},
     {"filename": "a.pdf", "document_set": ["x"]}, {"filename": "a.pdf", "file_url": {}}],
)  # fmt: skip
def test_a_payload_without_a_usable_field_is_refused_by_the_fields_name(payload: dict[str, object]) -> None:
    with pytest.raises(PayloadInvalid, match=r"payload field '(filename|document_set|file_url)' is "):
        DocumentTask.parse(payload)
