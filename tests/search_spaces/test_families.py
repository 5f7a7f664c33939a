"""Every family: it may name only what a trial has, and its published configurations are the study's."""

from __future__ import annotations

import pandas as pd
import pytest

from search_spaces import FAMILIES, Choice, Float, Int
from trainables.config import TrialConfig, preset
from trainables.errors import UserError

# The study's names of architectures and losses, as flat parameters.
ARCHITECTURES = {
    "dream_rnn": {"encoder": "dream_rnn", "head": "point"},
    "factorized": {"encoder": "factorized", "head": "point"},
    "factorized_vib": {"encoder": "factorized", "head": "point"},
    "dream_rnn_distributional": {"encoder": "dream_rnn", "head": "distributional"},
    "dream_rnn_dual_head": {"encoder": "dream_rnn", "head": "dual"},
}
LOSSES = {"heteroscedastic_distributional": "heteroscedastic"}
SAMPLERS = {"none": "uniform"}
COLUMNS = {"noise_k": "loss.k", "lambda_var": "loss.lambda_var", "vib_beta": "encoder.vib_beta"}


def build(family, values):
    parameters = {**family.fixed, **values}
    return TrialConfig.from_flat({**preset("small", parameters["encoder"]), **parameters})


@pytest.mark.parametrize("name", FAMILIES)
def test_published_configurations_can_be_built(name):
    family = FAMILIES.get(name)
    assert family.published
    for published in family.published:
        config = build(family, family.complete(published.parameters))
        assert all(config.to_flat()[key] == value for key, value in published.parameters.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_bound_of_the_space_can_be_built(name):
    family = FAMILIES.get(name)
    for parameter in family.space:
        edges = parameter.values if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        assert isinstance(parameter, Choice | Float | Int)
        for edge in edges:
            given = {key: values[0] for key, values in parameter.when.items() if key not in family.fixed}
            values = family.complete(given | {parameter.name: edge})
            assert build(family, values).to_flat()[parameter.name] == edge


@pytest.mark.parametrize("name", FAMILIES)
def test_starting_points_are_distinct_and_start_with_the_first_published(name):
    points = FAMILIES.get(name).starting_points()
    assert points[0][0] == FAMILIES.get(name).published[0].name
    assert all(a[1] != b[1] for i, a in enumerate(points) for b in points[:i])


@pytest.mark.parametrize("name", FAMILIES)
def test_published_configurations_are_those_of_the_study(name, real_data):
    table = pd.read_csv(real_data / "study" / "published_trials.csv").set_index("trial")
    family = FAMILIES.get(name)
    mine = {published.name: published for published in family.published}
    theirs = table[table["family"] == family.code]
    assert set(mine) == set(theirs.index)
    for trial, row in theirs.iterrows():
        flat = build(family, family.complete(mine[trial].parameters)).to_flat()
        assert mine[trial].seed == row["seed"]
        expected = ARCHITECTURES[row["architecture"]] | {
            "loss": LOSSES.get(row["loss"], row["loss"]),
            "sampler": SAMPLERS[row["sampler"]],
        }
        expected |= {flat_name: row[column] for column, flat_name in COLUMNS.items() if not pd.isna(row[column])}
        assert {key: flat[key] for key in expected} == expected


def test_a_typo_is_met_with_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'rank_stability'"):
        FAMILIES.get("rank_stabilty")


def test_parameters_outside_the_space_are_refused():
    with pytest.raises(ValueError, match=r"does not search loss\.k"):
        FAMILIES.get("baseline").complete({"loss.k": 1.0})
    with pytest.raises(ValueError, match=r"does not search encoder\.vib_beta"):
        FAMILIES.get("rank_stability").complete({"encoder": "dream_rnn", "encoder.vib_beta": 0.01})
