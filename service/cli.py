"""
The command `evse-status`: what it is called with, and how it fails.

Wrong usage ends with 2 and a mistake or a part that does not answer with 1, each in one line on standard
error. This module knows nothing of what the commands do.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from service.processing.ports import PortError
from service.setting_problems import SettingsError

NAME = "evse-status"

_INTERRUPTED = 130
"""The exit code of what Ctrl-C ended."""


# In the order of the help: a look at it, the worker, what looks at its view, what works without it.
_COMMANDS = {
    "demo": "demo",
    "dashboard": "dashboard",
    "run": "run",
    "check": "check",
    "show": "show",
    "explain": "explain",
    "list": "list_evses",
    "dead-letters": "commands",
    "rebuild": "rebuild",
    "replay": "replay",
    "size": "size",
    "simulate": "simulate",
    "schemas": "schemas",
}
"""What each command is called in its module, which is named like the command."""


class _OnDemand(Mapping[str, Any]):
    """The commands by their names, loaded when asked for: `show` needs nothing of what `run` does."""

    def __getitem__(self, name: str) -> Any:
        attribute = _COMMANDS[name]
        command = getattr(import_module(f"service.commands.{name.replace('-', '_')}"), attribute)
        if not isinstance(command, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
            alone.command(name)(command)
            command = alone
        found = get_command(command)
        found.name = name
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class Commands(TyperGroup):
    """Says what is wrong in one line, without boxes and without a traceback for what is no bug of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast("Any", _OnDemand())

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command of the arguments and end the process with its exit code."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)
            hint = f" (see {context.command_path} --help)" if context is not None else ""
            self._fail(error.format_message() + hint, code=error.exit_code)
        except SettingsError as error:
            self._fail(*error.problems)
        except (PortError, OSError) as error:
            self._fail(str(error))
        except typer.Abort:
            self._fail("stopped, nothing more was done", code=_INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)

    def _fail(self, *problems: str, code: int = 1) -> NoReturn:
        for problem in problems:
            typer.echo(f"{NAME}: {' '.join(problem.split())}", err=True)
        sys.exit(code)


app = typer.Typer(
    name=NAME,
    cls=Commands,
    help="Keeps the true state of every EV charger: Kafka events in; a Redis view, uptime, reliability and "
    "enriched snapshots out. Settings come from EVSE_STATUS_… variables or a TOML file (--config).",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _begin(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    if not logging.getLogger().handlers:
        # What a client library says would stand before our one line; who wants logs configures them.
        logging.getLogger().addHandler(logging.NullHandler())
    if context.invoked_subcommand is None:
        context.get_help()  # prints it
        raise typer.Exit(2)


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
