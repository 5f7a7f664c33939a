"""Help is in panels, with an example of each command that can be run, and what can be chosen listed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from in_process import get_command, run

from nrtune.orchestrator.cli import main as cli
from nrtune.orchestrator.cli.names import CHOICES
from nrtune.orchestrator.cli.panels import PANELS
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.encoders import ENCODERS


def every(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command that does something, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    for name, one in (inner or {}).items():
        yield from every(one, *words, name)


COMMANDS = {" ".join(words): command for words, command in every(get_command(cli.app)) if not command.hidden}


def shown(monkeypatch, capsys, *words: str) -> str:
    """The help of a command, as one line of single spaces."""
    code, out, _ = run(monkeypatch, capsys, *words, "--help")
    assert code == 0
    return " ".join(out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_is_one_of_it(name: str):
    examples = COMMANDS[name].epilog.split("\n")
    for example in examples:
        assert len(example) <= 78
        words = shlex.split(example.split(" > ")[0].replace(" …", ""))
        assert words[: 1 + len(name.split())] == ["nrtune", *name.split()]
        COMMANDS[name].make_context(name, words[1 + len(name.split()) :])  # raises for an option that is none


@pytest.mark.parametrize("name", ["search", "study", "replicate"])
def test_every_option_of_a_campaign_is_in_a_panel(name: str):
    outside = [
        parameter.name
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option" and parameter.rich_help_panel not in PANELS
    ]
    assert outside == []


def test_panels_stand_in_their_order(monkeypatch, capsys):
    _, out, _ = run(monkeypatch, capsys, "search", "--help")
    headings = re.findall(r"^(\w[\w ]+):$", out, re.MULTILINE)
    assert headings == ["Arguments", *PANELS, "Options", "Examples"]


def test_names_that_can_be_chosen_are_listed(monkeypatch, capsys):
    text = shown(monkeypatch, capsys, "search")
    assert f"Method families: {', '.join(FAMILIES.names())}." in text
    assert f"every family is put on: {', '.join(ENCODERS.names())};" in text
    for name in ("preset", "recipe", "precision", "freeze", "select_on", "noise", "allocation", "sampler"):
        assert f"--{name.replace('_', '-')} {'|'.join(CHOICES[name])} " in text
    assert "{" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_60_columns(name: str, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run(monkeypatch, capsys, *name.split(), "--help")
    before_examples = re.split(r"^Examples?:$", out, flags=re.MULTILINE)[0]  # which are copied whole
    assert [line for line in before_examples.splitlines() if len(line) > 60] == []


def test_help_imports_neither_numpy_nor_rich():
    script = "import nrtune.orchestrator.cli.main as cli, sys\ntry: cli.main()\nexcept SystemExit: pass\n"
    look = "sys.stderr.write(str([name for name in ('numpy', 'rich', 'yaml') if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script + look, "search", "--help"], capture_output=True, text=True)
    assert done.stderr == "[]"
