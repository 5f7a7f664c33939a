"""What is found in data is the same, with the same places, whichever command reads them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from in_process import run
from measured_table import table

from nrtune.trainables.data.sequences import reverse_complement, to_text, to_tokens

ROWS = 90


def _other_strand(sequence: str) -> str:
    return to_text(reverse_complement(to_tokens([sequence], "")[0]))


def _with(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def changed(plain: pd.DataFrame) -> pd.DataFrame:
        plain = plain.astype({column: object})
        plain.loc[row, column] = value
        return plain

    return changed


def _copied(plain: pd.DataFrame) -> pd.DataFrame:
    plain.loc[70, "seq"] = plain.loc[11, "seq"]
    return plain


def _after_computed_copies(plain: pd.DataFrame) -> pd.DataFrame:
    for row in range(5):  # left out by the reader, so that all rows below move up
        plain.loc[10 + row, ["seq", "mean_value"]] = [
            _other_strand(plain.loc[row, "seq"]),
            plain.loc[row, "mean_value"],
        ]
    plain.loc[75, "seq"] = plain.loc[21, "seq"]
    return plain


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "one activity": (lambda plain: plain.assign(mean_value=0.5), "activity-constant"),
    "labels": (lambda plain: plain.assign(mean_value=[0, 1] * (ROWS // 2)), "activity-few-values"),
    "one activity in test": (
        lambda plain: plain.assign(mean_value=plain["mean_value"].where(plain["split"] != "test", 1.5)),
        "activity-constant",
    ),
    "a copy in test": (_copied, "duplicates-across-splits"),
    "a copy in test below rows that are left out": (_after_computed_copies, "duplicates-across-splits"),
    "two cell lines": (
        lambda plain: plain.assign(
            seq=np.where(plain.index % 2 == 1, plain["seq"].shift(1), plain["seq"]), cell_line=["K562", "HepG2"] * (ROWS // 2)
        ),
        "several-conditions",
    ),
    "a text": (_with("mean_value", 70, "high"), "mean_value is 'high' in row "),
    "no activity": (_with("mean_value", 41, ""), "mean_value is empty in row "),
    "another letter": (_with("seq", 70, "ACGTX" * 22), " has 'X' at position 5"),
    "a long sequence": (_with("seq", 70, "ACGT" * 3000), " has a sequence of 12,000 bases"),
    "negative noise": (lambda plain: plain.assign(noise=np.where(plain.index == 70, -1, 0.1)), "noise is -1 in row "),
}  # fmt: skip


@pytest.mark.parametrize("of_three", [False, True])
@pytest.mark.parametrize("how", BAD)
def test_every_command_says_the_same(tmp_path, monkeypatch, capsys, how, of_three):
    change, expected = BAD[how]
    harmed = change(table(ROWS).drop(columns="fold").assign(split=np.repeat(["train", "val", "test"], [40, 20, 30])))
    paths = [tmp_path / f"{name}.tsv" for name in (["train", "val", "test"] if of_three else ["data"])]
    for path in paths:
        part = harmed[harmed["split"] == path.stem].drop(columns="split") if of_three else harmed
        part.to_csv(path, sep="\t", index=False)
    data, out = ",".join(map(str, paths)), tmp_path / "out"
    code, _, checked = run(monkeypatch, capsys, "data", "check", data)
    assert code == 2
    assert expected in checked
    for command in (["search", "--families", "baseline", "--trials", "1"], ["study", "--only", "RS3"]):
        code, said, error = run(monkeypatch, capsys, command[0], "--data", data, "--out", out, *command[1:])
        assert (code, error.removeprefix("reading data\n")) == (2, checked), said
        assert not out.exists()


def test_places_are_those_of_the_file_that_is_named(tmp_path, monkeypatch, capsys):
    split = np.repeat(["train", "val", "test"], [40, 20, 30])
    harmed = _after_computed_copies(table(ROWS).drop(columns="fold").assign(split=split))
    harmed.to_csv(tmp_path / "data.tsv", sep="\t", index=False)
    _, said, _ = run(monkeypatch, capsys, "data", "check", tmp_path / "data.tsv", "--json")
    examples = {one["id"]: one["example"] for one in json.loads(said)["findings"]}
    assert examples == {
        "duplicates-across-splits": "rows 76 and 22 of data.tsv",
        "computed-copies": "row 11 of data.tsv",
    }
