"""Handlers: the code that does one task type, and the registry that finds it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dayfly.errors import FailedForGood

__all__ = ["Handler", "Handlers", "Result"]


@dataclass(frozen=True)
class Result:
    """What a handler came to.

    Attributes:
        status: `completed` or `failed`.
        result: the text for the webhook's `result`; None where there is none.
        error: the text for the webhook's `error`; None where there is none.
    """

    status: Literal["completed", "failed"]
    result: str | None = None
    error: str | None = None

    @classmethod
    def completed(cls, result: str | None = None) -> "Result":
        """The task is done."""
        return cls("completed", result=result)

    @classmethod
    def failed(cls, error: str) -> "Result":
        """The task failed for good, with the reason."""
        return cls("failed", error=error)

    @classmethod
    def parse(cls, value: "Result | Mapping[str, Any]") -> "Result":
        """Read what a handler returned: a `Result`, or a mapping with a `status`.

        Raises:
            FailedForGood: it is neither, so the handler itself is at fault.
        """
        if isinstance(value, Result):
            return value
        if isinstance(value, Mapping) and value.get("status") in ("completed", "failed"):
            return cls(value["status"], _text(value.get("result")), _text(value.get("error")))
        raise FailedForGood(
            f"the handler returned {type(value).__name__}; it should return dayfly.Result, "
            'or a mapping whose "status" is "completed" or "failed"'
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class Handler(Protocol):
    """The code that does one task type. It may run more than once for one task."""

    async def execute(self, payload: Mapping[str, Any]) -> Result | Mapping[str, Any]:
        """Do the task.

        Args:
            payload: the message's `payload`, as the backend sent it.

        Raises:
            Retry: something around the handler failed; the task is tried again.
            FailedForGood: the task can never succeed.
            Exception: anything else counts as transient, up to the attempts limit.
        """
        ...


class Handlers:
    """The task types a worker knows.

    A type is registered with a factory, called in the handler process when a task of that type
    arrives, so that what a handler imports is loaded only where it is needed.
    """

    def __init__(self) -> None:
        self._factories: dict[str, Callable[[], Handler]] = {}

    def add(self, task_type: str, factory: Callable[[], Handler], aliases: Iterable[str] = ()) -> None:
        """Register a task type, and other names for it.

        Raises:
            ValueError: one of the names is taken.
        """
        for name in (task_type, *aliases):
            if name in self._factories:
                raise ValueError(f"task type {name!r} has a handler already")
            self._factories[name] = factory

    @property
    def task_types(self) -> list[str]:
        """All registered names, aliases included, in order of registration."""
        return list(self._factories)

    def create(self, task_type: str) -> Handler:
        """Make the handler of a task type.

        Raises:
            FailedForGood: no handler does this type; the text names those there are.
        """
        factory = self._factories.get(task_type)
        if factory is None:
            known = ", ".join(self._factories) or "none"
            raise FailedForGood(f"unknown task type {task_type!r}; this worker knows: {known}")
        return factory()
