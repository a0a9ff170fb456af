"""The `dayfly` command: one file per command, loaded when it is asked for."""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.metadata import version

import click

from dayfly_cli.errors import DayflyError

#: The commands in the order of the help, each in the module of its name under `commands`.
COMMANDS = {
    "up": "Start the laptop's cloud and keep it running.",
    "demo": "Watch real documents go the whole way.",
    "submit": "Ask for one task, as the backend does.",
}


class _Commands(click.Group):
    """Imports a command's module only when that command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"dayfly_cli.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("dayfly-cli"), prog_name="dayfly")
def cli() -> None:
    """Run each message of an Azure Storage Queue in a container of its own: here, the laptop's cloud.

    \b
    Example:
      dayfly demo
    """


def main() -> None:
    """Run the command line; ends the process with 0, 1 (it failed) or 2 (it was typed wrongly)."""
    # The SDK logs what it also raises; one line for one error is enough.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("dayfly: stopped", err=True)
        sys.exit(1)
    except DayflyError as exc:
        click.echo(f"dayfly: {exc}", err=True)
        sys.exit(exc.exit_code)
    except OSError as exc:
        # The disk is full, a folder may not be written, the reader of a pipe is gone: the system's own words.
        where = f": {exc.filename}" if exc.filename else ""
        click.echo(f"dayfly: {exc.strerror or exc}{where}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
