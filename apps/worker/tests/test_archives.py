"""Zip archives that are no documents: bombs, liars, damage."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from worker import limits
from worker.archives import check_archive
from worker.errors import DocumentUnreadable

Check = Callable[[bytes], None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def from_bytes(content: bytes) -> None:
        path = tmp_path / "a.docx"
        path.write_bytes(content)
        check_archive(path, "a.docx", xml_max_bytes=4 * 1024**2)

    return from_bytes


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as out:
        for name, content in entries.items():
            out.writestr(name, content)
    return file.getvalue()


def lying(content: bytes, stated_bytes: int) -> bytes:
    """A one-entry archive whose headers state another unpacked size than the true one, checksum to match."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(content) + packed.flush()
    checksum = zlib.crc32(content[:stated_bytes])
    sizes = struct.pack("<III", checksum, len(data), stated_bytes)
    name = b"word/media/a.bin"
    common = struct.pack("<HHHHH", 20, 0, 8, 0, 0)[:6] + struct.pack("<HH", 0, 0) + sizes
    local = b"PK\x03\x04" + common + struct.pack("<HH", len(name), 0) + name + data
    entry = (
        b"PK\x01\x02" + struct.pack("<H", 20) + common
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    )  # fmt: skip
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


def test_an_ordinary_archive_passes(check: Check) -> None:
    check(archive({"word/document.xml": b"<x/>" * 1000, "word/media/a.png": bytes(range(256)) * 500}))
    check(archive({"a": b"stored"}, zipfile.ZIP_STORED))
    check(lying(b"the truth " * 100, 1000))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive({str(n): b"" for n in range(limits.ARCHIVE_ENTRIES_MAX + 1)}), "10,001 entries"),
        (archive({"a.bin": b"0" * 40 * 1024**2}), "times its size"),
        (archive({"a.xml": b"<x>" * 2_000_000}), "of XML in 'a.xml'"),
        (lying(b"0" * 30_000_000, 1000), "more than the 1,000 bytes that its directory states"),
        (lying(b"0" * 1000, 2000), "damaged"),
        (archive({"a": b"x"})[:-30], "damaged"),
        (archive({"a": b"x" * 5000}).replace(b"PK\x03\x04", b"PK\x03\x05"), "damaged"),
        (archive({"a": b"x"}, zipfile.ZIP_LZMA), "packed in a way that office files never are"),
    ],
    ids=["entries", "ratio", "xml", "lies low", "lies high", "cut", "misplaced", "lzma"],
)
def test_a_harmful_archive_is_refused(check: Check, content: bytes, reason: str) -> None:
    with pytest.raises(DocumentUnreadable, match=reason) as refused:
        check(content)
    assert "a.docx" in str(refused.value)


def test_more_than_the_total_is_refused_by_the_directory_alone(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_TOTAL_MAX_BYTES", 1024**2)
    with pytest.raises(DocumentUnreadable, match="2 MiB unpacked, at most 1 MiB"):
        check(archive({"a": b"0" * 2 * 1024**2}))


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the double name is the point
def test_two_entries_of_one_name_are_refused(check: Check) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("word/document.xml", b"one")
        out.writestr("word/document.xml", b"two")
    with pytest.raises(DocumentUnreadable, match="two entries of one name"):
        check(file.getvalue())


def test_an_encrypted_archive_is_refused(check: Check) -> None:
    content = bytearray(archive({"a": b"x"}, zipfile.ZIP_STORED))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        check(bytes(content))
