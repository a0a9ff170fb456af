"""Look through a zip archive before a library opens it: office files come from strangers.

The directory is judged first, then every entry is unpacked piece by piece and counted, since the directory
can lie. Only then may a library trust it.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from worker import limits
from worker.errors import DocumentUnreadable

__all__ = ["check_archive"]

_PIECE_BYTES = 64 * 1024
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1


def check_archive(path: Path, filename: str, xml_max_bytes: int | None = None) -> None:
    """Check that unpacking an archive is harmless.

    Args:
        path: the archive.
        filename: its name, for the error.
        xml_max_bytes: the largest XML part; None = as large as the archive may be.

    Raises:
        DocumentUnreadable: it is damaged, encrypted, or unpacks to more than a document may.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            entries = archive.infolist()
            _check_directory(entries, path.stat().st_size, filename, xml_max_bytes)
            for entry in entries:
                _check_entry(raw, entry, filename)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise DocumentUnreadable(
            f"{filename} is damaged: its zip archive cannot be read ({error})"
        ) from error


def _check_directory(
    entries: list[zipfile.ZipInfo], packed_bytes: int, filename: str, xml_max_bytes: int | None
) -> None:
    if len(entries) > limits.ARCHIVE_ENTRIES_MAX:
        raise _bomb(filename, f"{len(entries):,} entries, at most {limits.ARCHIVE_ENTRIES_MAX:,} are read")
    if len({entry.filename for entry in entries}) < len(entries):
        raise DocumentUnreadable(f"{filename} is damaged: its zip archive holds two entries of one name")
    total = sum(entry.file_size for entry in entries)
    if total > limits.ARCHIVE_TOTAL_MAX_BYTES:
        raise _bomb(
            filename, f"{_mib(total)} unpacked, at most {_mib(limits.ARCHIVE_TOTAL_MAX_BYTES)} is read"
        )
    ratio = total / max(packed_bytes, 1)
    if total > limits.ARCHIVE_RATIO_FROM_BYTES and ratio > limits.ARCHIVE_RATIO_MAX:
        raise _bomb(
            filename, f"{ratio:.0f} times its size unpacked, at most {limits.ARCHIVE_RATIO_MAX} is read"
        )
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED:
            raise DocumentUnreadable(f"{filename} is encrypted; save it without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DocumentUnreadable(f"{filename} is packed in a way that office files never are")
        is_xml = entry.filename.lower().endswith((".xml", ".rels"))
        if xml_max_bytes is not None and is_xml and entry.file_size > xml_max_bytes:
            size = f"{_mib(entry.file_size)} of XML in {entry.filename!r:.100}"
            raise _bomb(filename, f"{size}, at most {_mib(xml_max_bytes)} is read")


def _check_entry(raw: IO[bytes], entry: zipfile.ZipInfo, filename: str) -> None:
    """Unpack an entry from the raw file, past any size that the directory claims, and count."""
    raw.seek(entry.header_offset)
    signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"entry {entry.filename!r:.100} is not where the directory says")
    raw.seek(name_bytes + extra_bytes, 1)
    unpacked = _unpacked_bytes(raw, entry)
    if unpacked > entry.file_size:
        raise _bomb(filename, f"entry {entry.filename!r:.100} unpacks to more than the {entry.file_size:,} "
                              "bytes that its directory states")  # fmt: skip
    if unpacked < entry.file_size:
        raise zipfile.BadZipFile(f"entry {entry.filename!r:.100} ends early")


def _unpacked_bytes(raw: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """How much an entry unpacks to; stops as soon as it is more than the directory states."""
    if entry.compress_type == zipfile.ZIP_STORED:
        return entry.compress_size
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    left, unpacked = entry.compress_size, 0
    while left > 0 and not inflate.eof and unpacked <= entry.file_size:
        packed = raw.read(min(_PIECE_BYTES, left))
        if not packed:
            break
        left -= len(packed)
        while packed and not inflate.eof and unpacked <= entry.file_size:
            unpacked += len(inflate.decompress(packed, _PIECE_BYTES * 16))
            packed = inflate.unconsumed_tail
    return unpacked


def _bomb(filename: str, why: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"{filename} unpacks to more than a document may ({why})")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:,.0f} MiB"
