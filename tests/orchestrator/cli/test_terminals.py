"""A search and its answers on whatever reads them: terminals of few abilities, narrow ones, files, encodings that lack signs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from terminals import ESCAPE, in_a_file, on_a_terminal, too_long

from nrtune.trainables.data.simulate import HDF5_NAME

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

C = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""The locale of many servers, in which Python would take UTF-8 all the same."""


class Reader(NamedTuple):
    """Who reads, and what must hold. draws: whether a table may be drawn anew."""

    show: Callable[..., bytes]
    environment: Mapping[str, str] = MappingProxyType({})
    encoding: str = "utf-8"
    width: int = 80
    draws: bool = False


def narrow(*words: object, cwd: Path, **environment: str) -> bytes:
    return on_a_terminal(*words, cwd=cwd, width=60, **environment)


READERS = {
    "TERM=dumb": Reader(on_a_terminal, {"TERM": "dumb"}),
    "no TERM": Reader(on_a_terminal, {"TERM": ""}),
    "a file": Reader(in_a_file),
    "a file, FORCE_COLOR": Reader(in_a_file, {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}),
    "60 columns": Reader(narrow, width=60, draws=True),
    "60 columns of a file": Reader(in_a_file, {"COLUMNS": "60"}, width=60),
    "C, a terminal": Reader(on_a_terminal, C, "ascii"),
    "C, a file": Reader(in_a_file, C, "ascii"),
    "latin-1": Reader(on_a_terminal, {"PYTHONIOENCODING": "latin-1"}, "latin-1"),
    "NO_COLOR": Reader(on_a_terminal, {"NO_COLOR": "1", "TERM": "xterm-256color"}, draws=True),
}


def check_legible(reader: Reader, name: str, written: bytes) -> str:
    """See that all can be read there; the text without what draws."""
    text = written.decode(reader.encoding)
    drawn = ESCAPE.findall(text)
    if not (reader.draws and name == "search"):
        assert drawn == [], "an answer, and what can't be drawn on, has no control sequences"
    if "NO_COLOR" in reader.environment:
        assert not [code for code in drawn if re.fullmatch(r"\x1b\[[0-9;]*(3|4|9|10)[0-8](;[0-9;]*)?m", code)]
    shown = ESCAPE.sub("", text)
    assert [sign for sign in shown if not sign.isprintable() and sign not in "\r\n"] == []
    assert not re.search(r"\\[xuU][0-9a-f]{2}", shown), "a sign's code stands for it"
    assert too_long(shown, reader.width) == []
    return shown


@pytest.mark.parametrize("name", READERS)
def test_a_search_and_its_answers_can_be_read(name: str, shared_ray: str, simulated_folder: Path, tmp_path: Path):
    reader, data = READERS[name], ["--data", simulated_folder / HDF5_NAME, "--cagi5", simulated_folder / "cagi5"]

    def shown(*words: object) -> str:
        return check_legible(reader, str(words[0]), reader.show(*words, cwd=tmp_path, **reader.environment))

    families = ["--families", "baseline,rank_stability", "--trials", 1, "--epochs", 1, "--confirm", "none"]
    search = shown("search", *data, *families, "--set", "encoder.channels=8", "--out", "out", "--address", shared_ray)
    for trial in ("BASE-001", "RS-001"):
        ended = re.findall(rf"^\[\d/2\] {trial} finished", search, re.MULTILINE)
        assert len(ended) == 1 or (reader.draws and f"{trial} finished" in search)
    assert ("running: epoch" in search) is reader.draws  # the table's heading
    for words in (["status", "out"], ["best", "out"], ["trials", "out"]):
        answer = shown(*words)
        assert "rank_stability" in answer or "RS-001" in answer
        assert ("…" in answer) is False or reader.encoding == "utf-8"
    check = shown("data", "check", simulated_folder / HDF5_NAME, simulated_folder / "cagi5")
    assert HDF5_NAME in re.sub(r"\s", "", check)
