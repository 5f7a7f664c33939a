"""One of each in a clone of the repository: a new file is all that it takes, and the list of changes has nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command
from documents import TOP, blocks

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.state.settings import Settings

ROOM = {
    "losses": "trainables/losses",
    "encoders": "trainables/encoders",
    "search_spaces": "search_spaces",
    "rules": "orchestrator/lifecycle/rules",
    "benchmarks": "trainables/data/benchmarks",
    "trackers": "orchestrator/tracking/trackers",
}
"""Where a plug-in's folder lies in the repository (docs/extending.md, Into the package)."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what is committed, with the files of docs/extending.md in the package's own rooms."""
    folder = tmp_path_factory.mktemp("additions") / "clone"
    subprocess.run(["git", "clone", "--quiet", TOP, folder], check=True)
    for block in blocks((TOP / "docs" / "extending.md").read_text()):
        if block.file.startswith("my_methods/"):
            _, kind, name = block.file.split("/")
            (folder / ROOM[kind] / name).write_text(block.text)
    return folder


@pytest.mark.slow
def test_each_is_one_file_and_a_search_uses_all_of_them(clone: Path, settings: Settings, tmp_path: Path):
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    ).stdout
    assert sorted(line.split() for line in changed.splitlines()) == sorted(
        ["??", f"{room}/{name}.py"]
        for room, name in zip(
            ROOM.values(),
            ("noise_huber", "pooled_cnn", "noise_huber", "lowest_quarter", "promoters", "lines"),
            strict=True,
        )
    )
    sequences = ["".join("ACGT"[(7 * i + j * j + i * j) % 4] for j in range(230)) for i in range(80)]
    variants = [["P1", *sequences[2 * i : 2 * i + 2], i / 40] for i in range(40)]
    (tmp_path / "mine.promoters.json").write_text(json.dumps(variants))
    wanted = settings.model_copy(
        update={
            "families": ("noise_huber",), "trials": 1, "epochs": 1, "set": {"encoder": "pooled_cnn"}, "tracker": "lines",
            "scheduler": "lowest_quarter", "benchmark": {"promoters": tmp_path / "mine.promoters.json"},
        }
    )  # fmt: skip
    (tmp_path / "settings.yaml").write_text(wanted.to_yaml())
    command = Command("search", tmp_path / "settings.yaml", PYTHONPATH=os.fspath(clone / "src"))
    command.finish()
    (record,) = read_records(Path(str(wanted.out)))
    assert record.status == "finished", record.failure
    assert (record.config["loss"], record.config["encoder"]) == ("noise_huber", "pooled_cnn")
    assert "promoters/spearman/all/mean" in record.metrics
    assert json.loads((Path(str(wanted.out)) / "ended.jsonl").read_text())["name"] == record.name
    used = subprocess.run(
        [sys.executable, "-c", "import nrtune; print(nrtune.__file__)"],
        env={**os.environ, "PYTHONPATH": os.fspath(clone / "src")}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert Path(used.strip()).is_relative_to(clone)
