"""Spoilt campaign folders: each command says what is wrong in a sentence, or goes on with the rest; never a traceback."""

from __future__ import annotations

import random
import shutil
import traceback
from pathlib import Path

import pytest
from in_process import run
from spoilt_folders import at_random, copy_of, write_campaign

from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.simulate import simulate

QUICK, ALL, SELDOM = 60, 3000, 50
SEED = 29


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("fuzz") / "campaign")


@pytest.fixture(scope="module")
def fasta(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "in.fa"
    path.write_text(f">a\n{to_text(simulate(20).dataset.tokens[0])}\n")
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(numbers: range, finished: Path, fasta: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in numbers:
        generator = random.Random(SEED * 100_000 + number)
        folder = copy_of(finished, tmp_path / "campaign")
        done = at_random(folder, generator)
        out = tmp_path / "out.csv"
        of = ["--use-case", "in_distribution"]
        commands = [["status", folder], ["trials", folder, "--format", "csv"], ["best", folder, *of],
                    ["predict", folder, *of, "--raw", "--fasta-sequences", fasta, "--out", out],
                    ["register", folder, *of, "--name", "m"], ["gc", folder, "--yes"]]  # fmt: skip
        slow = [["report", folder], ["ensemble", folder, *of]]  # of a second or more
        for command in [*generator.sample(commands, 2), *([] if number % SELDOM else [generator.choice(slow)])]:
            try:
                code, _, err = run(monkeypatch, capsys, *command)
            except BaseException as error:
                told = "".join(traceback.format_exception(error)[-6:])
                pytest.fail(f"mutation {number} ({done}), {command[0]}: {told}")
            assert code in (0, 2), f"mutation {number} ({done}), {command[0]}: {err}"
            assert code == 0 or err.splitlines()[-1].startswith("nrtune: "), f"mutation {number} ({done}): {err}"
        out.unlink(missing_ok=True)
        shutil.rmtree(folder)
        assert {path.name for path in tmp_path.iterdir()} <= {"cache"}, f"mutation {number} ({done}) left files"


def test_spoilt_folders_give_a_sentence(finished, fasta, tmp_path, monkeypatch, capsys):
    check(range(QUICK), finished, fasta, tmp_path, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_spoilt_folders_give_a_sentence(finished, fasta, tmp_path, monkeypatch, capsys):
    check(range(QUICK, ALL), finished, fasta, tmp_path, monkeypatch, capsys)
