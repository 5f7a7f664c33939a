"""Help in panels: options by what they are about, commands by what one wants of them, and an example of each command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from nrtune.orchestrator.cli.names import with_names

DATA, MODELS, WINNERS, BUDGET = "Data", "What to search", "Winners", "Budget"
CLUSTER, TRACKING, OUTPUT, OTHERS = "Cluster", "Tracking", "Campaign and output", "Options"
PANELS = (DATA, MODELS, WINNERS, BUDGET, CLUSTER, TRACKING, OUTPUT)
"""The panels of options, in their order; those of none stand below."""

RUN, READ, USE, KEEP = "Run a campaign", "Read its results", "Use models", "Data and housekeeping"
_OF_COMMANDS = (RUN, READ, USE, KEEP)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def command(
    app: typer.Typer, panel: str, *examples: str, name: str | None = None, **options: Any
) -> Callable[[_Command], _Command]:
    """Make a function a command of an app, in a panel of the commands, with examples below its help."""
    return app.command(name, cls=_CommandWithPanels, epilog="\n".join(examples), rich_help_panel=panel, **options)


def group(**options: Any) -> typer.Typer:
    """An app whose commands stand in their panels, and that is plain text: nothing is drawn around them."""
    return typer.Typer(cls=_GroupWithPanels, no_args_is_help=True, rich_markup_mode=None, **options)


class _CommandWithPanels(TyperCommand):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by panel."""
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples as they are: a line of a shell is not broken."""
        if self.epilog:
            examples = self.epilog.split("\n")
            with formatter.section("Example" if len(examples) == 1 else "Examples"):
                formatter.write("".join(f"{'':>{formatter.current_indent}}{line}\n" for line in examples))


class _GroupWithPanels(TyperGroup):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by panel, then the options."""
        self.format_commands(ctx, formatter)
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by panel, each with its whole first sentence."""
        found: dict[str, list[tuple[str, str]]] = {panel: [] for panel in _OF_COMMANDS}
        for name in self.list_commands(ctx):
            inner = self.get_command(ctx, name)
            if inner is not None and not inner.hidden:
                panel = getattr(inner, "rich_help_panel", None)
                row = name, inner.get_short_help_str(1000)
                found.setdefault(panel if isinstance(panel, str) else "Commands", []).append(row)
        width = max(len(name) for rows in found.values() for name, _ in rows)
        for panel in filter(found.get, found):
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), said) for name, said in found[panel]])


def _write_options(parameters: Sequence[Any], ctx: Any, formatter: Any) -> None:
    for panel, rows in _by_panel(parameters, ctx):
        with formatter.section(panel):
            formatter.write_dl(rows)


def _by_panel(parameters: Sequence[Any], ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    found: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{panel: [] for panel in PANELS}, OTHERS: []}
    for parameter in parameters:
        row = parameter.get_help_record(ctx)
        if row is not None:
            is_argument = parameter.param_type_name == "argument"
            panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
            found[panel if panel in found else OTHERS].append((row[0], with_names(row[1])))
    yield from ((panel, rows) for panel, rows in found.items() if rows)
