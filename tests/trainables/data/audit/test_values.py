"""Measurements that are none, told from how they are distributed, and none of that in measurements."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from measured_table import table

from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.audit.activity import audit_activity
from nrtune.trainables.data.audit.noise import audit_noise
from nrtune.trainables.data.audit.turned import audit_turned
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.sequences import COMPLEMENT, reverse_complement
from nrtune.trainables.data.simulate import simulate

ROWS = 400


@pytest.fixture(scope="module")
def measured() -> Dataset:
    return simulate(ROWS, seed=5).dataset


def with_values(dataset: Dataset, activity=None, std=None) -> set[tuple[str, str]]:
    """What is found of other values."""
    changed = {"activity": activity, "aleatoric_std": std}
    changed = {name: values.astype(np.float32) for name, values in changed.items() if values is not None}
    harmed = dataclasses.replace(dataset, **changed)
    return {(one.id, one.severity) for one in (*audit_activity(harmed), *audit_noise(harmed))}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rows", [40, 400])
def test_measurements_are_measurements(rows, seed):
    dataset = simulate(rows, seed=seed).dataset
    assert with_values(dataset) == set()
    assert with_values(dataset, dataset.activity.round(1), dataset.aleatoric_std.round(2)) == set()
    assert audit_turned(dataset) == []


NOISE = {
    "a share of it": lambda y: 0.1 * np.abs(y),
    "more where it is more": lambda y: 0.3 + 0.05 * y,
    "its square": lambda y: 0.05 + y**2,
    "rounded": lambda y: (0.3 + 0.05 * y).round(2),
    "the same column": lambda y: np.abs(y),
}


@pytest.mark.parametrize("rows", [40, 400])
@pytest.mark.parametrize("how", NOISE)
def test_noise_made_from_the_activity_is_no_measurement(how, rows):
    dataset = simulate(rows, seed=1).dataset
    assert ("noise-follows-activity", "warning") in with_values(dataset, std=NOISE[how](dataset.activity) + 1e-3)


def test_noise_that_depends_on_the_activity_may_be_measured(measured):
    generator = np.random.default_rng(0)
    expected = 0.2 + 0.1 * np.abs(measured.activity)
    std = expected * np.sqrt(generator.chisquare(20, ROWS) / 20)
    assert with_values(measured, std=std) == set()


@pytest.mark.parametrize("levels", [2, 3, 5, 10])
def test_few_values_of_noise_are_no_measurements(measured, levels):
    std = 0.1 + 0.07 * np.random.default_rng(0).integers(0, levels, ROWS)
    assert with_values(measured, std=std) == {("noise-few-values", "warning")}


@pytest.mark.parametrize(("levels", "severity"), [(2, "error"), (3, "warning"), (10, "warning")])
def test_few_values_of_activity_are_no_measurements(measured, levels, severity):
    activity = np.random.default_rng(0).integers(0, levels, ROWS)
    assert ("activity-few-values", severity) in with_values(measured, activity)


@pytest.mark.parametrize("value", [0, 0.213])
def test_values_that_are_filled_in_are_none(measured, value):
    filled = np.random.default_rng(0).random(ROWS) < 0.2
    found = with_values(measured, std=np.where(filled, value, measured.aleatoric_std))
    assert found == {("noise-filled-in" if value else "noise-zero-in-many", "warning")}
    assert with_values(measured, np.where(filled, value, measured.activity)) == {("activity-filled-in", "warning")}


@pytest.mark.parametrize("spread", [0.4, 1, 2])
@pytest.mark.parametrize("median", [1, 150])
def test_ratios_and_counts_are_no_log2(measured, spread, median):
    normal = np.random.default_rng(0).normal(size=ROWS)
    found = with_values(measured, median * 2 ** (spread * normal), std=None)
    assert ("activity-not-log" in {id for id, _ in found}) == (median == 1 or spread > 0.5)


def test_log2_ratios_may_all_be_positive(measured):
    normal = np.random.default_rng(0).normal(size=ROWS)
    for activity in (normal + 5, np.abs(normal) + 3, 9 + 3 * normal):
        assert with_values(measured, np.maximum(activity, 0.01)) == set()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_one_value_in_a_split_is_an_error(measured, split):
    activity = measured.activity.copy()
    activity[measured.rows(split)] = 0.5
    found = [one for one in audit(dataclasses.replace(measured, activity=activity)) if one.severity == "error"]
    assert [(one.id, one.where) for one in found] == [("activity-constant", split)]


TURNS = {
    "reversed-copies": lambda tokens: tokens[:, ::-1],
    "complemented-copies": lambda tokens: COMPLEMENT[tokens],
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("kind", TURNS)
def test_what_is_turned_by_half_is_no_reverse_complement(measured, kind, whole):
    tokens, activity = measured.tokens.copy(), measured.activity.copy()
    inner = slice(None) if whole else slice(15, -15)
    tokens[100:107, inner] = TURNS[kind](tokens[:7, inner])
    harmed = dataclasses.replace(measured, tokens=tokens)
    (found,) = audit_turned(harmed)
    assert (found.id, found.severity, found.count, found.of) == (kind, "warning", 7, ROWS)
    assert found.example == f"rows 101 and 1 of {measured.name}"
    assert "with its activity" not in found.what
    activity[100:107] = activity[:7]
    (copied,) = audit_turned(dataclasses.replace(harmed, activity=activity))
    assert "with its activity" in copied.what


def test_repeats_and_reverse_complements_are_not_turned(measured):
    tokens = measured.tokens.copy()
    tokens[5] = np.resize([0, 1], tokens.shape[1])
    tokens[6] = tokens[5, ::-1]
    tokens[10:20] = reverse_complement(tokens[30:40])
    assert audit_turned(dataclasses.replace(measured, tokens=tokens)) == []


@pytest.mark.parametrize("change", [lambda y: 10 * y, lambda y: y + 20, lambda y: y / 10, lambda y: 100 * 2**y])
@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_on_another_scale_is_said(measured, change, split):
    activity = measured.activity.copy()
    activity[measured.rows(split)] = change(activity[measured.rows(split)])
    found = [
        one for one in audit_activity(dataclasses.replace(measured, activity=activity)) if one.id == "splits-differ"
    ]
    assert [(one.where, one.severity) for one in found] == [(split, "warning")]


def test_placeholders_at_both_ends_do_not_hide_each_other(measured):
    activity = measured.activity.copy()
    activity[[4, 9]] = -999, 999
    found = [one for one in audit_activity(dataclasses.replace(measured, activity=activity))]
    assert [(one.id, one.count) for one in found] == [("activity-far-off", 2)]


@pytest.mark.parametrize("made", [True, False])
def test_replicates_that_were_made_from_each_other_are_said(tmp_path, made):
    measured = table(60)
    generator = np.random.default_rng(0)
    one = (measured["mean_value"] + generator.normal(0, 0.02, 60)).round(4)
    other = 0.3 + 1.2 * one if made else measured["mean_value"] + generator.normal(0, 0.02, 60)
    measured.assign(a=one, b=other.round(4)).to_csv(tmp_path / "a.csv", index=False)
    dataset = read_dataset(tmp_path / "a.csv", columns={"replicates": "a+b"})
    assert [one.id for one in dataset.findings] == (["replicates-copied"] if made else [])
