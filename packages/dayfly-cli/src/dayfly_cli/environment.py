"""What the user's own environment puts in place of the laptop's stand-ins.

`INTERNAL_API_KEY`, `OPENAI_API_KEY` and `OPENAI_API_BASE`, `SUPABASE_URL` and `SUPABASE_KEY` replace what
would be made up or started here; every other `OPENAI_*`, `VECTOR_*`, `WORKER_*` and `WEBHOOK_*` is passed to
the worker as it is. Storage is never replaced: a laptop must not take messages off a queue in the cloud.

A shell that has sourced an `env.sh` of `dayfly up` carries `DAYFLY_UP`: what it exports stands for services
that may be gone by now, so all of it is left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dayfly_cli.errors import InputError

MARK = "DAYFLY_UP"
_OPENAI = "https://api.openai.com/v1"
_PASSED_ON = ("OPENAI_", "VECTOR_", "WORKER_", "WEBHOOK_")
_RUNTIME = ("WORKER_", "WEBHOOK_")
#: Decided here: the mode by the engine, the rest above.
_NOT_PASSED_ON = ("WORKER_MODE", "OPENAI_API_KEY", "OPENAI_API_BASE")


@dataclass(frozen=True)
class Service:
    """A service of the user's own."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Given:
    """What the environment gives."""

    #: None = make one up.
    internal_api_key: str | None = field(default=None, repr=False)
    #: None = the offline models.
    openai: Service | None = None
    #: None = PostgreSQL and PostgREST on this machine.
    supabase: Service | None = None
    #: Passed to the worker as it is.
    worker: Mapping[str, str] = field(default_factory=dict, repr=False)

    def names(self) -> list[str]:
        """Return the names of the variables that take effect, for the user to see."""
        own = ["INTERNAL_API_KEY"] if self.internal_api_key else []
        own += ["OPENAI_API_KEY / OPENAI_API_BASE"] if self.openai else []
        own += ["SUPABASE_URL", "SUPABASE_KEY"] if self.supabase else []
        return [*own, *sorted(self.worker)]


def read_environment(environ: Mapping[str, str]) -> Given:
    """Read what the environment gives; empty values count as not set.

    Raises:
        InputError: half of a pair is set, or the worker would refuse a value.
    """
    if environ.get(MARK):
        return Given()
    worker = {
        name: value
        for name, value in environ.items()
        if value and name.startswith(_PASSED_ON) and name not in _NOT_PASSED_ON
    }
    _check_worker(worker)
    return Given(environ.get("INTERNAL_API_KEY") or None, _openai(environ), _supabase(environ), worker)


def _check_worker(worker: Mapping[str, str]) -> None:
    """Refuse what the runtime would: its containers would end with 78, one after the other.

    Raises:
        InputError: names every variable that is malformed.
    """
    runtime = {name.lower(): value for name, value in worker.items() if name.startswith(_RUNTIME)}
    if not runtime:
        return
    from dayfly.settings import Settings  # slow to import, and most shells set none of these
    from pydantic import ValidationError

    try:
        Settings.model_validate({"azure_storage_account_url": "https://account", **runtime})
    except ValidationError as exc:
        problems = [
            f"{str(error['loc'][0]).upper()}={runtime[str(error['loc'][0])]}: "
            + str(error["msg"]).removeprefix("Value error, ").lower().removeprefix("input ")
            for error in exc.errors(include_url=False)
            if error["loc"] and error["loc"][0] in runtime
        ]
        if problems:
            raise InputError(f"the worker cannot use {'; '.join(problems)}") from exc


def _openai(environ: Mapping[str, str]) -> Service | None:
    key, base = environ.get("OPENAI_API_KEY"), environ.get("OPENAI_API_BASE")
    if not key and not base:
        return None
    # Servers other than OpenAI's often want no key, yet the SDK refuses to send none.
    return Service((base or _OPENAI).rstrip("/"), key or "none")


def _supabase(environ: Mapping[str, str]) -> Service | None:
    url, key = environ.get("SUPABASE_URL"), environ.get("SUPABASE_KEY")
    if not url and not key:
        return None
    if not url or not key:
        have, lack = ("SUPABASE_URL", "SUPABASE_KEY") if url else ("SUPABASE_KEY", "SUPABASE_URL")
        raise InputError(f"{have} is set and {lack} is not: set both to use your own, or neither")
    return Service(url.rstrip("/"), key)
