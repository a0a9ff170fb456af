"""`dayfly up`: the laptop's cloud, until it is stopped."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from dayfly_cli.clients import Client
from dayfly_cli.cloud import Cloud, Engine, Options
from dayfly_cli.environment import Given, read_environment
from dayfly_cli.running import Stopped, run
from dayfly_cli.screen import Progress, data_console, endpoint_table, print_json
from dayfly_cli.startup import laptop_cloud
from dayfly_cli.state import State, find_state


@click.command()
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="NAME",
    help="A client (tenant) to serve; repeatable. [$CLIENT_ID, else: default]",
)
@click.option(
    "--poll-seconds",
    type=click.IntRange(1, 3600),
    default=1,
    show_default=True,
    help="Seconds between two polls of a launcher. Azure allows 60 and more.",
)
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in Engine]),
    default=Engine.ACI.value,
    show_default=True,
    help="aci: launcher and containers. poll: the worker as on a VPS. both: the client's route decides.",
)
@click.option(
    "--max-containers",
    type=click.IntRange(1, 50),
    help="Containers that a launcher may run at once. [default: two more than cores]",
)
@click.option("--json", "as_json", is_flag=True, help="Print every endpoint and key as one JSON object.")
@click.option(
    "--state",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where data, logs and secrets stay. [$DAYFLY_STATE, else: .dayfly]",
)
def up(
    clients: tuple[str, ...],
    poll_seconds: int,
    engine: str,
    max_containers: int | None,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Start the laptop's cloud and keep it running until Ctrl-C or SIGTERM.

    Storage is Azurite, the database PostgreSQL with pgvector behind PostgREST, ARM is localazure with the
    project's own workflows, the models are offline ones behind the OpenAI API, and webhooks go to an inbox.
    INTERNAL_API_KEY, OPENAI_API_KEY / OPENAI_API_BASE, SUPABASE_URL and SUPABASE_KEY take the place of their
    local stand-ins when they are set.

    \b
    Example:
      dayfly up --client acme --client north-wind --engine both
    """
    names = clients or (os.environ.get("CLIENT_ID") or "default",)
    chosen = tuple(dict.fromkeys(map(Client.named, names)))
    options = Options(chosen, Engine(engine), poll_seconds)
    if max_containers is not None:
        options = Options(chosen, Engine(engine), poll_seconds, max_containers)
    state = find_state(folder)
    state.prepare()
    try:
        with state.locked():
            run(_serve(options, read_environment(os.environ), state, as_json))
    except Stopped:
        click.echo("dayfly: stopped, nothing is left running", err=True)


async def _serve(options: Options, given: Given, state: State, as_json: bool) -> None:
    with Progress("starting the laptop's cloud") as progress:
        if names := given.names():
            progress.say(f"from your environment: {', '.join(names)}")
        async with laptop_cloud(options, given, state, progress.say) as cloud:
            progress.stop()
            with state.announced(cloud.describe()):
                _show(cloud, progress.seconds, as_json)
                raise await cloud.broken()


def _show(cloud: Cloud, seconds: float, as_json: bool) -> None:
    description = cloud.describe()
    if as_json:
        print_json(description)
        return
    console = data_console()
    console.print(f"\n[bold green]The laptop's cloud is up[/] ({seconds:.1f} s). Ctrl-C stops it.\n")
    console.print(endpoint_table(description))
    first = cloud.options.clients[0].client_id
    console.print(
        "\nTry in another terminal:\n"
        f"  {sys.argv[0]} submit ingest README.md --client {first} --wait\n"
        f"  curl {cloud.inbox.url}\n"
        f"  . {shlex.quote(str(cloud.state.env_sh))}    # the worker's variables, keys included\n"
    )
