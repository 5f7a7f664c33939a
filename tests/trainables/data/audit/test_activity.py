"""Placeholders among measurements, and measurements that are none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nrtune.trainables.data.audit import audit
from nrtune.trainables.data.simulate import simulate


def found(dataset):
    return {finding.id: finding.count for finding in audit(dataset) if finding.id.startswith(("activity", "noise"))}


@pytest.mark.parametrize(("value", "rows"), [(-999, 1), (-999, 30), (99, 2)])
def test_placeholders_are_found(value, rows):
    dataset = simulate(200).dataset
    assert found(dataset) == {}
    activity = dataset.activity.copy()
    activity[5 : 5 + rows] = value
    assert found(dataclasses.replace(dataset, activity=activity)) == {"activity-far-off": rows}


def test_a_placeholder_of_the_noise_is_found():
    dataset = simulate(200).dataset
    std = dataset.aleatoric_std.copy()
    std[7] = 999
    assert found(dataclasses.replace(dataset, aleatoric_std=std)) == {"noise-far-off": 1}


def test_one_activity_in_all_rows_is_found():
    dataset = simulate(200).dataset
    constant = dataclasses.replace(dataset, activity=np.full(200, 0.5, np.float32), aleatoric_std=None)
    assert found(constant) == {"activity-constant": 200}
    assert [one.severity for one in audit(constant) if one.id == "activity-constant"] == ["error"]


@pytest.mark.parametrize("seed", range(30))
def test_small_data_have_none(seed):
    assert found(simulate(40, seed=seed).dataset) == {}
