"""Read a document in a process of its own.

Files come from strangers, and the parsers are native code: pdfium aborts when memory runs out, a sheet with
a cell in the last row asks for half a terabyte. A process can be limited, and its death is a fact about this
one document: the process is always fresh, the handler around it stays alive and says what happened.

The document is the process's standard input; on its standard output comes one line of JSON, then the text.
"""

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import IO, Any

from worker.documents import Document, DocumentType, read_document
from worker.errors import DocumentUnreadable, ServiceUnavailable
from worker.limits import READER_CPU_MAX_S, READER_MEMORY_MAX_BYTES
from worker.markdown import Part

__all__ = ["read_apart"]

_STOPPED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_PR_SET_PDEATHSIG = 1


async def read_apart(file: IO[bytes], filename: str) -> Document:
    """Read a document's text in a process of its own, which is gone when this returns.

    Args:
        file: an open file of the operating system, read from its beginning.
        filename: its name: the extension counts, and errors show it.

    Raises:
        DocumentUnreadable: no text can be had from it, or not within the limits of memory and time.
        ServiceUnavailable: the process was told to stop.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker.extraction", filename, stdin=file, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return _parse(output, filename)
    raise _died(process.returncode or 0, filename)


def _parse(output: bytes, filename: str) -> Document:
    end = output.index(b"\n")
    head = json.loads(output[:end])
    if "error" in head:
        raise DocumentUnreadable(head["error"])
    parts = tuple(Part(*part) for part in head["parts"])
    return Document(filename, DocumentType(head["type"]), str(memoryview(output)[end + 1 :], "utf-8"), parts)


def _died(returncode: int, filename: str) -> Exception:
    if returncode > 0:
        return RuntimeError(f"the process that reads {filename} could not work (exit code {returncode})")
    ended_by = signal.Signals(-returncode)
    if ended_by in _STOPPED:
        return ServiceUnavailable(f"the process that reads {filename} was stopped ({ended_by.name})")
    return DocumentUnreadable(
        f"{filename} cannot be read within {READER_MEMORY_MAX_BYTES // 1024**2} MiB of memory and "
        f"{READER_CPU_MAX_S} s of processor time (its reader ended with {ended_by.name}); "
        "it is damaged or far too large unpacked"
    )


def main() -> None:
    """Read standard input as the document that the first argument names."""
    channel = _own_output()
    _limit()
    filename = sys.argv[1]
    head, text = _answer(filename)
    with os.fdopen(channel, "wb") as out:
        out.write(json.dumps(head).encode() + b"\n")
        out.write(text.encode())


def _answer(filename: str) -> tuple[dict[str, Any], str]:
    try:
        document = read_document(Path("/dev/stdin"), filename)
    except DocumentUnreadable as error:
        return {"error": error.reason}, ""
    except MemoryError:
        limit = READER_MEMORY_MAX_BYTES // 1024**2
        return {"error": f"{filename} needs more than {limit} MiB of memory to be read"}, ""
    except (SystemExit, KeyboardInterrupt):
        raise
    # A panic of a Rust library is no Exception. Whatever a parser trips over, the document is the reason.
    except BaseException as error:
        traceback.print_exc()
        return {"error": f"{filename} cannot be read: {type(error).__name__}: {error!s:.300}"}, ""
    parts = [(part.kind, part.name, part.start) for part in document.parts]
    return {"type": document.type, "parts": parts}, document.markdown


def _own_output() -> int:
    """Keep standard output for the answer; what a library prints goes to the log."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return channel


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, value in (
        (resource.RLIMIT_AS, READER_MEMORY_MAX_BYTES),
        (resource.RLIMIT_CPU, READER_CPU_MAX_S),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, hard))
    if sys.platform == "linux":
        # The handler may be killed at any time; its reader goes with it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
