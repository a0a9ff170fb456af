"""Which command stands for which image."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from localazure.errors import UsageError

# What follows a repository's name: a tag (no slash after it, or it would be a port) or a digest.
_TAG_OR_DIGEST = re.compile(r"(@[a-z0-9]+:[0-9a-f]+|:[A-Za-z0-9_.-]+)$")


@dataclass(frozen=True)
class ImageMapping:
    """An image and the command that stands for it.

    Attributes:
        reference: `registry/name:tag`, `registry/name@digest`, or `registry/name` for all of its tags.
        command: Program and arguments.
    """

    reference: str
    command: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ImageMapping:
        """Read `REF=COMMAND`, the command split as a shell splits it.

        Raises:
            UsageError: There is no `=`, or nothing before or after it, or quotes do not close.
        """
        reference, mark, command = text.partition("=")
        try:
            words = tuple(shlex.split(command))
        except ValueError as exc:
            raise UsageError(f"--image {text!r}: the command cannot be read ({exc})") from None
        if not mark or not reference.strip() or not words:
            raise UsageError(f"--image {text!r}: write REF=COMMAND, for example app:1='python -m app'")
        return cls(reference.strip(), words)


class Images:
    """All mappings; the exact reference wins over the bare name."""

    def __init__(self, mappings: Iterable[ImageMapping] = ()) -> None:
        self._commands = {mapping.reference: mapping.command for mapping in mappings}

    def command(self, image: str) -> tuple[str, ...] | None:
        """Return the command for an image, None if it maps to none."""
        exact = self._commands.get(image)
        return exact if exact is not None else self._commands.get(repository_of(image))


def repository_of(image: str) -> str:
    """Return an image's reference without tag and digest."""
    without_digest = re.sub(r"@[a-z0-9]+:[0-9a-f]+$", "", image)
    return _TAG_OR_DIGEST.sub("", without_digest)
