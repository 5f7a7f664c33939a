"""--format: one way to ask every reading command for what programs read; nothing else is on standard output then."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from in_process import run
from many_trials import write_many

from nrtune.trainables.data.simulate import simulate, write_simulated

TRIALS = 12


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("formats") / "a campaign", TRIALS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_simulated(simulate(120), tmp_path_factory.mktemp("data") / "simulated")


@pytest.fixture
def words(campaign: Path, data: tuple[Path, Path]) -> dict[str, list[object]]:
    """Every command that answers with a table, and how it is called."""
    effects = next((campaign / "trials").glob("*/predictions_test.parquet"))
    return {
        "status": ["status", campaign],
        "trials": ["trials", campaign],
        "best": ["best", campaign],
        "best, one": ["best", campaign, "--use-case", "low_confidence"],
        "pareto": ["best", campaign, "--pareto", "val/spearman:max", "val/noise/corr:min"],
        "ensemble": ["ensemble", campaign, "--top", 2],
        "score": ["score", effects, "--test", "--resamples", 100],
        "data check": ["data", "check", *data],
        "data fetch": ["data", "fetch"],
    }


NAMES = ["status", "trials", "best", "best, one", "pareto", "ensemble", "score", "data check", "data fetch"]
HAVE_JSON = ["status", "trials", "best", "best, one", "pareto", "score", "data check"]


@pytest.mark.parametrize("name", NAMES)
def test_json_is_all_that_is_on_standard_output(name: str, words, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, *words[name], "--format", "json")
    assert code == 0, err
    found = json.loads(out)
    assert found
    if name in HAVE_JSON:
        assert json.loads(run(monkeypatch, capsys, *words[name], "--json")[1]) == found
        assert run(monkeypatch, capsys, *words[name], "--json", "--format", "csv")[0] == 2


@pytest.mark.parametrize("name", NAMES)
def test_csv_has_a_heading_and_rows_of_its_length(name: str, words, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, *words[name], "--format", "csv")
    assert code == 0, err
    heading, *rows = csv.reader(io.StringIO(out))
    assert len(set(heading)) == len(heading) > 1
    assert {len(row) for row in rows} == {len(heading)}


@pytest.mark.parametrize("name", NAMES)
def test_table_is_what_is_written_unasked(name: str, words, monkeypatch, capsys):
    unasked = run(monkeypatch, capsys, *words[name])[1]
    assert unasked
    assert run(monkeypatch, capsys, *words[name], "--format", "table")[1] == unasked
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(unasked)


def read(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_of_winners_are_those_of_json(campaign: Path, monkeypatch, capsys):
    rows = read(run(monkeypatch, capsys, "best", campaign, "--format", "csv")[1])
    winners = json.loads(run(monkeypatch, capsys, "best", campaign, "--format", "json")[1])
    assert {row["use_case"] for row in rows} == {name for name, one in winners.items() if one is not None}
    for row in rows:
        winner = winners[row["use_case"]]
        assert row["trial"] == winner["trial"]
        assert float(row["value"]) == winner["interval"]["value"]
        assert row["recommendation"] == winner["verdict"]["recommendation"]


def test_a_format_of_no_list_is_refused(tmp_path: Path, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "data", "fetch", "satmut", "--to", tmp_path, "--format", "json")
    assert (code, out) == (2, "")
    assert "leave the names out" in err
    assert not any(tmp_path.iterdir())
