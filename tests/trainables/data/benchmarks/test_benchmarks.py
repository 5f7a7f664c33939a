"""What holds of every registered variant benchmark, on a small example of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from satmut_files import from_cagi5

from nrtune.analysis.scoring.prediction_files import read_effects
from nrtune.analysis.selection.use_cases import USE_CASES, selection_metric
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import BENCHMARKS, VariantSet, reported_prefix
from nrtune.trainables.evaluation.predictions import variant_metrics, variant_table

LENGTH = 230


def _table(cagi5: Path, folder: Path) -> Path:
    """Sixty pairs of sequences of two elements, in three strata."""
    chance = np.random.default_rng(0)
    ref = ["".join(chance.choice(list("ACGT"), 60)) for _ in range(60)]
    pairs = {"ref_seq": ref, "alt_seq": [f"{one[:30]}{'ACGT'['ACGT'.index(one[30]) - 1]}{one[31:]}" for one in ref]}
    more = {"value": chance.normal(size=60), "element": ["P1", "P2"] * 30, "stratum": ["low", "mid", "high"] * 20}
    more["part"] = ["select"] * 20 + ["report"] * 40
    folder.mkdir()
    pd.DataFrame({**pairs, **more}).to_csv(folder / "variants.tsv", sep="\t", index=False)
    return folder / "variants.tsv"


EXAMPLES: Mapping[str, Callable[[Path, Path], Path]] = {
    "cagi5": lambda cagi5, folder: Path(shutil.copytree(cagi5, folder)),
    "satmut": from_cagi5,
    "table": _table,
}
"""By the benchmark's name, what makes an example of it from a simulated CAGI5 folder."""

SKIPPED = {"cagi5": 1}
"""Lines above the header of an example's table."""


@pytest.fixture(params=list(BENCHMARKS))
def example(request: pytest.FixtureRequest, simulated_folder: Path, tmp_path: Path) -> tuple[str, Path]:
    """A benchmark's name and a folder, or file, of its kind."""
    return request.param, EXAMPLES[request.param](simulated_folder / "cagi5", tmp_path / request.param)


@pytest.fixture
def variants(example: tuple[str, Path]) -> VariantSet:
    return read(*example)


def read(name: str, path: Path) -> VariantSet:
    return BENCHMARKS.get(name).read(path, length=LENGTH, cell_line="simulated")


def test_it_knows_its_own_and_nobody_elses(example):
    name, path = example
    assert [other for other in BENCHMARKS if BENCHMARKS.get(other).recognises(path)] == [name]


def test_a_variant_set_is_whole(example, variants):
    name, _ = example
    assert variants.benchmark == name
    assert variants.title == BENCHMARKS.get(name).title
    assert len(variants)
    assert set(variants.matched) <= set(variants.elements)
    assert variants.matched
    assert set(variants.selectable) <= set(variants.parts)
    assert BENCHMARKS.get(name).reported in variants.parts
    assert variants.element.max() < len(variants.elements)
    assert variants.part.max() < len(variants.parts)
    assert variants.stratum.max() < max(len(variants.strata), 1)
    for window in (variants.ref_window, variants.alt_window):
        assert 0 <= window.min()
        assert window.max() < len(variants.windows)
    assert variants.windows.shape[1] == LENGTH
    assert len(np.unique(variants.windows, axis=0)) == len(variants.windows)
    assert np.isfinite(variants.value).all()
    differs = (variants.windows[variants.ref_window] != variants.windows[variants.alt_window]).any(axis=1)
    assert differs.all()
    assert sum(len(rows) for _, _, rows in variants.groups()) == len(variants)


def test_it_is_read_alike_twice_and_its_digest_knows_a_changed_value(example, variants):
    name, path = example
    again = read(name, path)
    assert again.digest == variants.digest
    pd.testing.assert_frame_equal(again.table(), variants.table())
    file = path if path.is_file() else min(path.glob("*.tsv*"))
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False, skiprows=SKIPPED.get(name, 0))
    value = next(column for column in ("Value", "Coefficient", "value") if column in table)
    table.loc[table.index[-1], value] = repr(float(table[value].iloc[-1]) + 0.125)
    table.to_csv(file, sep="\t", index=False)
    assert read(name, path).digest != variants.digest


def test_perfect_predictions_score_one_in_every_element_and_the_use_case_asks_for_it(example, variants):
    name, _ = example
    found = variant_metrics(variants, variants.value)
    mean = f"{reported_prefix(name)}/spearman/all/mean"
    assert found[mean] == pytest.approx(1)
    defined = [value for metric, value in found.items() if "/spearman/" in metric and np.isfinite(value)]
    assert defined == pytest.approx([1] * len(defined))
    assert len(defined) > len(variants.matched)
    rules = [rule for rule in USE_CASES.values() if mean in rule.metrics]
    assert rules
    assert selection_metric(mean, "val") == "val/spearman"
    if BENCHMARKS.get(name).selectable is not None:
        assert selection_metric(mean, "release") in found


def test_stored_predictions_are_read_back_row_by_row(variants, tmp_path):
    of_window = np.random.default_rng(0).normal(size=len(variants.windows))
    table = variant_table(variants, of_window)
    path = tmp_path / "predictions.parquet"
    table.sample(frac=1, random_state=0).to_parquet(path, index=False)
    back = read_effects(path, variants)
    np.testing.assert_array_equal(back.effect, table["variant_effect"])


def test_a_path_that_is_not_there_is_one_sentence(example, tmp_path):
    name, _ = example
    missing = tmp_path / "nowhere"
    with pytest.raises(UserError, match=str(missing)):
        BENCHMARKS.get(name).read(missing, length=LENGTH, cell_line=None)
