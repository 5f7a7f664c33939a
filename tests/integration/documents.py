"""Documents taken apart: fenced blocks, commands, inline code, links; and commands that are read but not run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TOP = Path(__file__).parents[2]
FENCE = "```"
EAGER = ("--install-completion", "--show-completion", "--version", "--help")


class Block(NamedTuple):
    """A fenced block: what it is marked as, its text, the line it begins at, and the file that it is said to be, or ""."""

    kind: str
    text: str
    line: int
    file: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document. Raises ValueError for a fence without an end and for an indented block."""
    found: list[Block] = []
    lines = text.splitlines()
    number, before = 0, ""
    while number < len(lines):
        line = lines[number]
        if line.startswith(FENCE):
            try:
                end = lines.index(FENCE, number + 1)
            except ValueError as error:
                raise ValueError(f"line {number + 1}: the fence has no end") from error
            named = re.search(r"`([\w./-]+\.(?:py|yaml))`:$", before)
            found.append(Block(line[3:], "\n".join(lines[number + 1 : end]), number + 1, named[1] if named else ""))
            number = end
        elif line.startswith("    ") and not before:
            raise ValueError(f"line {number + 1}: an indented block; give it a fence that says what it is")
        elif line:
            before = line
        elif number and not lines[number - 1].startswith("`"):
            before = ""
        number += 1
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block; && parts them as a line does."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            cut = words.index("&&")
            yield words[:cut]
            words = words[cut + 1 :]
        if words:
            yield words


def split_assignments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """NAME=VALUE words ahead of a command, and the command."""
    given: dict[str, str] = {}
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        name, _, given[name] = words[0].partition("=")
        words = words[1:]
    return given, words


def inline(text: str) -> list[str]:
    """Inline code of a document's prose, each in one line."""
    prose = "".join(part for n, part in enumerate(re.split(r"^```.*$", text, flags=re.M)) if n % 2 == 0)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def links(text: str) -> list[str]:
    """Targets of links and pictures that are not addresses."""
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]


def anchors(text: str) -> set[str]:
    """What a link can point to in a document."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def nrtune_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words behind `nrtune` name, and its arguments. Raises KeyError for one that does not exist."""
    from typer.main import get_command

    from nrtune.orchestrator.cli.main import app

    return _within(get_command(app), words)


def _within(command: Any, words: list[str]) -> tuple[Any, list[str]]:
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def read(words: list[str]) -> None:
    """Check a command without running it: its options exist, its arguments are of their kinds, its files are there.

    Raises whatever finds that it is wrong; KeyError for a program that is not known here.
    """
    assignments, words = split_assignments(words)
    if assignments and not words:
        return
    READERS[words[0]](words[1:])


def _read_nrtune(words: list[str]) -> None:
    command, rest = nrtune_command(words)
    if eager := [word for word in rest if word in EAGER]:  # what reads them does them
        assert all(any(word in parameter.opts for parameter in command.params) for word in eager)
        return
    command.make_context("nrtune", list(rest))


def _read_ray(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    job = words.index("--") if "--" in words else len(words)
    command, rest = _within(cli, words[:job])
    context = command.make_context("ray", [*rest, *(words[job:])])
    if "cluster_config_file" in context.params:
        assert (TOP / context.params["cluster_config_file"]).is_file()
    if job < len(words):
        read(words[job + 1 :])
    elif command.name == "exec":
        read(shlex.split(context.params["cmd"]))


def _read_make(words: list[str]) -> None:
    subprocess.run(["make", "--dry-run", *words], cwd=TOP, check=True, capture_output=True)


def _read_pip(words: list[str]) -> None:
    assert words[:2] == ["install", "-c"]
    assert (TOP / words[2]).is_file()
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert re.fullmatch(r"\.\[(\w+)\]", words[3])[1] in extras


def _read_python(words: list[str]) -> None:
    script = [sys.executable, str(TOP / words[0]), "--help"]
    told = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert [word for word in words[1:] if word.startswith("--") and word not in told] == []


def _read_export(words: list[str]) -> None:
    assert split_assignments(words)[1] == []


def _read_sleep(words: list[str]) -> None:
    assert re.fullmatch(r"\d+[smhd]?", words[0])


READERS = {
    "nrtune": _read_nrtune,
    "ray": _read_ray,
    "make": _read_make,
    "pip": _read_pip,
    "python": _read_python,
    "export": _read_export,
    "env": read,
    "sleep": _read_sleep,
}
