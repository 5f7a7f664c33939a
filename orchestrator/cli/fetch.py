"""`nrtune data fetch`: what there is to fetch, and how a fetch is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.fetch.catalogue import load_catalogue
from nrtune.trainables.data.fetch.fetch import fetch


def list_text() -> str:
    """A table of the data sets, in at most 80 columns."""
    rows = [("name", "size", "what"), *(tuple(row.values()) for row in list_rows())]
    width = max(len(name) for name, *_ in rows)
    lines = [f"{name:<{width}}  {size:>8}  {about}" for name, size, about in rows]
    return "\n".join([*lines, "", "nrtune data fetch NAME… [--to DIR] [--mirror URL]"])


def list_rows() -> list[dict[str, str]]:
    """The data sets, a row each: name, size and what it is."""
    return [{"name": name, "size": data.size, "about": data.about} for name, data in load_catalogue().data.items()]


def run_fetch(names: Sequence[str], to: Path, mirror: str | None) -> None:
    """Fetch data sets and print their files; what has to be got by hand is said, and is a UserError until it is there."""
    catalogue = load_catalogue()
    chosen = {name.lower(): catalogue.find(name) for name in names}
    fetched = set(fetch(chosen.values(), to, catalogue=catalogue, mirror=mirror, say=_say))
    lacking = []
    for name, data in chosen.items():
        if data.by_hand is not None and data.there is not None:
            there = sorted(to.glob(data.there))
            if not there:
                typer.echo(data.by_hand.format(folder=to), nl=False)
                lacking.append(name)
        else:
            there = [to / file.path for file in data.files]
        for path in there:
            typer.echo(path)
        if fetched & set(there):
            _say(f"{name}: cite {data.cite} (licence: {data.licence})")
        elif there:
            _say(f"{name}: is there already, nothing to fetch")
    if lacking:
        raise UserError(f"{', '.join(lacking)}: can't be fetched, only got by hand, as said above")


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
