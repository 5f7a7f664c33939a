"""Campaigns of many trials: what is computed some of them at a time is bitwise the same, and memory has a bound."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.uncertainty import combination, draws
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.intervals import Configuration, Resampler, Resampling
from nrtune.analysis.uncertainty.kept import KeptComparisons
from nrtune.analysis.uncertainty.student import paired_differences
from tests.analysis.uncertainty.test_intervals import small_table, small_test, trained
from tests.helpers.many_trials import write_many

METRICS = (
    "cagi5/challenge/spearman/all/mean",
    "cagi5/challenge/hc_lc_gap",
    "test/spearman",
    "test/pearson",
)
HOW = Resampling(resamples=320)
"""As 10,000 a multiple of 16: of a product's last columns, fewer than a register holds, the last bits hang on where rows end."""


@pytest.fixture(autouse=True)
def no_cache_of_the_users(tmp_path, monkeypatch):
    """What one test keeps there, as its folder can't be written, another would find."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with so many trials that few of them are held at a time."""
    for name, value in (("HELD_BYTES", 0), ("CHUNK_BYTES", 0), ("FEWEST_IN_CHUNK", 16)):
        monkeypatch.setattr(draws, name, value)
    monkeypatch.setattr(combination, "CHUNK_BYTES", 1 << 12)


def configurations(count: int) -> list[Configuration]:
    """Some of one training, some of three, some of these with the same seeds."""
    generator = np.random.default_rng(6)
    table, test = small_table(generator), small_test(generator)
    seeds = [((number,), (1, 2, 3), (number, number + 1))[number % 3] for number in range(count)]
    return [
        Configuration(f"C{number}", of, tuple(trained(table, test, generator) for _ in of))
        for number, of in enumerate(seeds)
    ]


def test_parts_of_any_size_give_the_same_bits(monkeypatch):
    """Nor does it matter how the trials are given: a list, or one after the other."""
    found = configurations(36)
    whole = Resampler(found, ("A", "B"), HOW)
    in_small_parts(monkeypatch)
    parts = Resampler(iter(found), ("A", "B"), HOW)
    for metric in METRICS:
        at_once, some = whole.metric(metric), parts.drawn(metric)
        assert at_once is not None
        assert some is not None
        assert len(list(some.draws)) > 2
        of_parts = some.differences([3, 30], np.negative)
        for reference, one in of_parts.items():
            for expected, value in zip(paired_differences(at_once.map(np.negative), reference, 0.95), one, strict=True):
                np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(np.concatenate([chunk.of_blocks for chunk in some.draws]), at_once.of_blocks)
        assert some.draws.freedom == at_once.block_freedom


def test_a_campaign_in_parts_gives_the_same_numbers(tmp_path, monkeypatch):
    folder = write_many(tmp_path / "c", 40)
    whole, missing = Comparisons(open_campaign(folder), how=HOW).compare_all()
    shutil.rmtree(folder / "analysis")
    in_small_parts(monkeypatch)
    parts, missing_again = Comparisons(open_campaign(folder), how=HOW).compare_all()
    assert missing == missing_again
    assert {"overall", "in_distribution", "noise_resistance"} <= set(whole)
    for use_case, one in whole.items():
        # How a matrix product is rounded depends on its height on some processors, by the kernel that the height takes.
        pd.testing.assert_frame_equal(parts[use_case].table, one.table, rtol=0, atol=1e-12)
        assert parts[use_case].winner == one.winner
        assert (parts[use_case].power is None) == (one.power is None)
        if one.power is not None:
            assert dataclasses.astuple(parts[use_case].power) == pytest.approx(dataclasses.astuple(one.power), rel=1e-9)


def test_memory_does_not_grow_with_trials_times_resamples(tmp_path, monkeypatch):
    """Of 1,500 resamples more 120 trials are 1.4 MB a term, and a mean over three elements has three."""
    in_small_parts(monkeypatch)

    def peak(trials: int, resamples: int) -> int:
        folder = tmp_path / f"{trials} {resamples}"
        comparisons = Comparisons(open_campaign(write_many(folder, trials)), how=Resampling(resamples=resamples))
        assert len(comparisons.table) == trials
        gc.collect()
        tracemalloc.start()
        comparisons.compare("overall")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(20, 1500)  # what is made once
    grown = {resamples: peak(160, resamples) - peak(40, resamples) for resamples in (1500, 3000)}
    assert grown[3000] - grown[1500] < 120 * 1500 * 8 / 2


def test_each_use_case_is_kept_for_itself(tmp_path):
    folder = write_many(tmp_path / "c", 30)
    told: list[str] = []
    first = Comparisons(open_campaign(folder), how=HOW, progress=lambda what, done, of: told.append(what)).compare(
        "overall"
    )
    assert "resampling for overall" in told
    assert told[-1] == ""
    (kept,) = (folder / "analysis").iterdir()
    told.clear()
    again = Comparisons(open_campaign(folder), how=HOW, progress=lambda what, done, of: told.append(what))
    pd.testing.assert_frame_equal(again.compare("overall").table, first.table, check_exact=True)
    assert told == []
    again.compare_all()
    assert len(list((folder / "analysis").iterdir())) > 5
    assert kept.exists()


@pytest.mark.parametrize(
    "made", ["", "{", "[]", "null", '{"made_of": 3}', "another campaign's", "other numbers", "a folder"]
)
def test_what_is_damaged_or_foreign_is_made_anew_in_silence(tmp_path, made, capsys):
    folder = write_many(tmp_path / "c", 20)
    first = Comparisons(open_campaign(folder), how=HOW).compare("overall")
    (kept,) = (folder / "analysis").iterdir()
    whole = kept.read_text()
    if made == "a folder":
        kept.unlink()
        kept.mkdir()
    elif made == "another campaign's":
        stored = json.loads(whole)
        kept.write_text(json.dumps(stored | {"made_of": stored["made_of"][::-1]}))
    else:
        kept.write_text(
            whole.replace(repr(float(first.table["value"][0])), "0.123") if made == "other numbers" else made
        )
        assert kept.read_text() != whole
    again = Comparisons(open_campaign(folder), how=HOW).compare("overall")
    pd.testing.assert_frame_equal(again.table, first.table, check_exact=True)
    assert capsys.readouterr() == ("", "")
    if made != "a folder":
        assert kept.read_text() == whole


def test_what_comparisons_are_made_of(tmp_path, monkeypatch):
    """Records with all that they say, the settings of the analysis, and its code."""
    folder = write_many(tmp_path / "c", 20)
    source = open_campaign(folder)
    rule = Comparisons(source).use_cases["overall"]

    def kept(select_on: str = "release", how: Resampling = HOW, records: list | None = None) -> bool:
        found = KeptComparisons(source, select_on, how, source.records() if records is None else records)
        return found.read("overall", rule) is not None

    Comparisons(source, how=HOW).compare("overall")
    assert kept()
    assert not kept(select_on="val")
    assert not kept(how=Resampling(resamples=321))
    assert not kept(records=source.records()[:-1])
    path = folder / "trials.jsonl"
    metric = source.records()[0].metrics["test/spearman"]
    path.write_text(path.read_text().replace(repr(metric), "0.5", 1))
    assert not kept()
    path.write_text(path.read_text().replace("0.5", repr(metric), 1))
    monkeypatch.setattr("nrtune.analysis.uncertainty.kept.analysis_version", lambda: "another")
    assert not kept()


BOUND = 1000 << 20
"""Bytes that a command may take at 2,000 trials."""


@pytest.mark.slow
def test_commands_have_a_bound_of_memory_at_2000_trials(tmp_path):
    """Of 10,000 resamples a single term of 2,000 trials is 160 MB; what is kept takes no more the second time."""
    folder = write_many(tmp_path / "c", 2000)
    for command in (
        ["status"],
        ["trials"],
        ["best"],
        ["best", "--use-case", "overall"],
        ["report", "--out", str(tmp_path / "r")],
    ):
        assert memory_of([command[0], str(folder), *command[1:]]) < BOUND, command


def memory_of(arguments: list[str]) -> int:
    """The largest memory of a command, bytes, by what its parent is told of it."""
    code = (
        "import resource, subprocess, sys;"
        "ended = subprocess.run([sys.executable, '-m', 'nrtune', *sys.argv[1:]], stdout=subprocess.DEVNULL);"
        "print(ended.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    said = subprocess.run([sys.executable, "-c", code, *arguments], check=True, text=True, stdout=subprocess.PIPE)
    status, kilobytes = map(int, said.stdout.split())
    assert status == 0
    return kilobytes << 10
