"""The `localazure` command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from localazure.errors import UsageError

_SERVE_EXAMPLE = """\
example:
  export LOCALAZURE_STORAGE="$AZURE_STORAGE_CONNECTION_STRING"
  localazure serve --state ~/.localazure --port 8443 \\
      --image example.azurecr.io/worker='/opt/worker/bin/python -m worker' \\
      --host example.queue.core.windows.net=http://127.0.0.1:10001/example

When everything is up, one JSON object is printed: arm, arm_ca, identity_endpoint, identity_header, imds,
subscription_id, resource_group, location, admin, pid. Containers run on when the server stops, and a server
started over the same folder takes them up again.
"""
#: Connection strings, one a line, for those that are not to stand in a process list.
_STORAGE_VARIABLE = "LOCALAZURE_STORAGE"
_CHECK_EXAMPLE = """\
example:
  localazure check infra/workflows/*.json
"""
_EVALUATE_EXAMPLE = """\
example:
  echo '{"expression": "@concat(\\'a\\', \\'b\\')"}' | localazure evaluate
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 no, 2 wrong use.

    Args:
        argv: Arguments without the program's name; None = those of this process.
    """
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except UsageError as exc:
        sys.stderr.write(f"localazure: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localazure",
        description="Azure's control plane on one machine: container groups and Logic Apps workflows.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _serve_parser(commands)
    check = _command(
        commands, "check", "Load workflow definitions and name what is not supported.", _CHECK_EXAMPLE
    )
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="definition or ARM template, JSON")
    check.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    check.set_defaults(run=_check)
    evaluate = _command(
        commands, "evaluate", "Evaluate expressions: JSON lines in, JSON lines out.", _EVALUATE_EXAMPLE
    )
    evaluate.set_defaults(run=_evaluate)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    sentence: str,
    example: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=sentence,
        description=sentence,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _serve_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    serve = _command(commands, "serve", "Serve ARM and the token endpoint until stopped.", _SERVE_EXAMPLE)
    add = serve.add_argument
    add("--state", type=Path, required=True, metavar="DIR", help="folder for all that lasts")
    add("--host-name", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    add("--port", type=int, default=0, metavar="N", help="port of ARM; 0 = as last time, or a free one (0)")
    add("--identity-port", type=int, default=0, metavar="N", help="port of the token endpoint (0, as above)")
    add(
        "--image",
        action="append",
        default=[],
        metavar="REF=COMMAND",
        help="command that stands for an image, by tag, digest or bare name; repeatable",
    )
    add(
        "--storage",
        action="append",
        default=[],
        metavar="CONNECTION_STRING",
        help=f"storage account that workflows may use; repeatable, or from {_STORAGE_VARIABLE}, one a line",
    )
    add(
        "--host",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="where requests of workflows to one of Azure's host names go; repeatable",
    )
    add(
        "--minimum-poll-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="shortest interval of polling connector triggers (60, as in Azure)",
    )
    add("--subscription-id", metavar="ID", help="id of the subscription")
    add(
        "--resource-group",
        action="append",
        default=[],
        metavar="NAME",
        help="resource group there is (localazure); repeatable, the first one is announced",
    )
    add("--location", metavar="REGION", help="the region (westeurope)")
    add("--start-seconds", type=float, metavar="S", help="how long an image takes to pull at least (0.1)")
    add(
        "--identity-delay-seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="how long the token endpoint is not up yet after the start (0)",
    )
    add("--ready-file", type=Path, metavar="PATH", help="write the JSON object here, too, when all is up")
    add("--stop-containers", action="store_true", help="stop containers with the server")
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from localazure.containers.images import ImageMapping
    from localazure.server.serving import serve
    from localazure.server.settings import ServerSettings

    if not 0 <= options.port <= 65_535 or not 0 <= options.identity_port <= 65_535:
        raise UsageError("a port is a number from 0 to 65535")
    chosen = {
        "subscription_id": options.subscription_id,
        "resource_groups": tuple(options.resource_group) or None,
        "location": options.location,
        "start_s": options.start_seconds,
    }
    serve(
        ServerSettings(
            state=options.state,
            host_name=options.host_name,
            port=options.port,
            identity_port=options.identity_port,
            images=tuple(ImageMapping.parse(text) for text in options.image),
            storage=tuple(options.storage) or _storage_of_environment(),
            hosts=tuple(options.host),
            minimum_poll_s=options.minimum_poll_seconds,
            identity_not_ready_s=options.identity_delay_seconds,
            ready_file=options.ready_file,
            stop_containers=options.stop_containers,
            **{name: value for name, value in chosen.items() if value is not None},
        )
    )
    return 0


def _storage_of_environment() -> tuple[str, ...]:
    return tuple(line for line in os.environ.get(_STORAGE_VARIABLE, "").splitlines() if line.strip())


def _check(options: argparse.Namespace) -> int:
    from localazure.check import run_check

    return run_check(options.files, as_json=options.json)


def _evaluate(_: argparse.Namespace) -> int:
    from localazure.evaluate import run_evaluate

    return run_evaluate(sys.stdin, sys.stdout)
