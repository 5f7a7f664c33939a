"""Every family: it may name only what a trial has, and its published configurations are the study's."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from nrtune.analysis.sources.published import LOSSES, PARAMETERS, SAMPLERS
from nrtune.orchestrator.search.encoders import encoder_space
from nrtune.search_spaces import FAMILIES, SWITCH, Choice, Family, Float, Int, encoders_of, with_parameters
from nrtune.search_spaces.ablation import around, on_encoder
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.losses import LOSSES as TRAINABLE_LOSSES
from nrtune.trainables.samplers import SAMPLERS as TRAINABLE_SAMPLERS
from nrtune.trainables.training.config import TrialConfig, preset

# The study's names of architectures, losses and samplers, as flat parameters.
FACTORIZED = {"encoder": "factorized", "head": "point"}
ARCHITECTURES = {
    "dream_rnn": {"encoder": "dream_rnn", "head": "point"},
    "factorized": {**FACTORIZED, "encoder.vib_beta": 0.0, "encoder.gc_bins": 0},
    "factorized_vib": {**FACTORIZED, "encoder.gc_bins": 0},
    "factorized_gc_adversarial": {**FACTORIZED, "encoder.vib_beta": 0.0},
    # The study's own crashed here: noise_gated wants a variance, which this architecture did not have.
    "factorized_full": {"encoder": "factorized"},
    "dream_rnn_distributional": {"encoder": "dream_rnn", "head": "distributional"},
    "dream_rnn_dual_head": {"encoder": "dream_rnn", "head": "dual"},
}


def build(family, values):
    parameters = family.flat(values)
    return TrialConfig.from_flat({**preset("small", parameters["encoder"]), **parameters})


def with_encoders(name: str) -> Family:
    """A family as a search has it that is asked for no other encoders than the study's."""
    if name == "ablation":
        return on_encoder(encoder_space("dream_rnn", "small"))
    family = FAMILIES.get(name)
    return with_parameters(family, [encoder_space(encoder, "small") for encoder in encoders_of(family)])


def expected_of(row) -> dict[str, object]:
    """What the study's table says of a trial, as flat parameters."""
    expected = ARCHITECTURES[row["architecture"]] | {
        "loss": LOSSES.get(row["loss"], row["loss"]),
        "sampler": SAMPLERS.get(row["sampler"], row["sampler"]),
        "lr": 0.005,
        "weight_decay": 0.01,
    }
    columns = dict(PARAMETERS)
    if row["quantile_curriculum"] is True:  # its n_quantiles had no effect then
        expected["sampler"] = "quantile_curriculum"
        del columns["n_quantiles"]
    expected |= {flat_name: row[column] for column, flat_name in columns.items() if not pd.isna(row[column])}
    if not pd.isna(row["temperature"]):
        kind = "sampler" if row["sampler"] == "hard_negative" else "loss"
        expected[f"{kind}.temperature"] = row["temperature"]
    if not pd.isna(row["warmup_epochs"]):
        expected["loss.warmup_fraction"] = row["warmup_epochs"] / 80
    return expected


@pytest.mark.parametrize("name", FAMILIES)
def test_published_configurations_can_be_built(name):
    family = FAMILIES.get(name)
    assert family.published
    for published in family.published:
        config = build(family, family.complete(published.parameters))
        flat = config.to_flat()
        assert all(flat[key] == value for key, value in published.parameters.items() if not key.startswith(SWITCH))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_bound_of_the_space_can_be_built(name):
    family = with_encoders(name)
    for parameter in family.searched():
        edges = parameter.values if isinstance(parameter, Choice) else (parameter.low, parameter.high)
        assert isinstance(parameter, Choice | Float | Int)
        for edge in edges:
            values = family.complete(family.given_for(parameter) | {parameter.name: edge})
            assert values[parameter.name] == edge
            if not parameter.name.startswith(SWITCH):
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
        expected = expected_of(row)
        assert {key: flat[key] for key in expected} == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_what_the_study_reported_is_in_its_table(name, real_data):
    family = FAMILIES.get(name)
    of_family = pd.read_csv(real_data / "study" / "published_trials.csv").query("family == @family.code")
    statuses = of_family["original_status"].value_counts()
    assert family.reported is not None
    for status in ("completed", "crashed", "timed_out"):
        assert getattr(family.reported, status) == statuses.get(status, 0)
    for field, column, best in (
        ("cagi5_spearman", "cagi5_spearman_all", "idxmax"),
        ("test_spearman", "test_spearman", "idxmax"),
        ("noise_corr", "noise_corr", "idxmin"),
    ):
        told = getattr(family.reported, field)
        if of_family[column].isna().all():
            assert told is None
        else:
            row = of_family.loc[getattr(of_family[column], best)()]
            assert told == (row["trial"], pytest.approx(row[column], abs=0.0005001))


def test_the_study_has_75_configurations_a_baseline_and_74_trainings():
    names, fingerprints = [], {}
    for name in FAMILIES:
        family = FAMILIES.get(name)
        for published in family.published:
            config = build(family, family.complete(published.parameters))
            names.append(published.name)
            same = dataclasses.replace(config, seed=published.seed).fingerprint()
            fingerprints.setdefault(same, []).append(published.name)
    assert len(names) == len(set(names)) == 76
    assert len(fingerprints) == 74
    shared = [sorted(found) for found in fingerprints.values() if len(found) > 1]
    assert sorted(shared) == [["ABL1_ng_a01", "NG9_ng_alpha01"], ["ABL4_ng_a05", "NG8_ng_alpha05"]]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_name_has_one_distribution(name):
    """A parameter may stand twice, under conditions that exclude each other; Optuna wants the same range then."""
    family = FAMILIES.get(name)
    for parameter in family.space:
        for other in family.space:
            if other.name == parameter.name:
                assert dataclasses.replace(other, when=parameter.when, default=parameter.default) == parameter


def test_combinations_have_every_loss_and_sampler_of_the_other_families():
    combination = FAMILIES.get("combination")
    choices = {p.name: set(p.values) for p in combination.space if isinstance(p, Choice)}
    assert choices["loss"] == set(TRAINABLE_LOSSES) - {"mse"}
    assert choices["sampler"] == set(TRAINABLE_SAMPLERS) - {"uniform"}


def test_an_ablation_moves_one_parameter_at_a_time():
    family = FAMILIES.get("ablation")
    centres = {
        loss: build(family, family.complete({"loss": loss})).to_flat() for loss in ("noise_gated", "rank_stability")
    }
    swept = {p.name for p in family.space if isinstance(p, Float)}
    assert swept >= {"loss.alpha", "loss.beta", "loss.k", "lr"}
    for parameter in family.space:
        if isinstance(parameter, Float):
            flat = build(
                family, family.complete(family.given_for(parameter) | {parameter.name: parameter.low})
            ).to_flat()
            changed = {key for key, value in centres[flat["loss"]].items() if flat[key] != value}
            assert changed == {parameter.name}


def test_an_ablation_around_a_configuration():
    centre = {**preset("small"), "loss": "noise_gated_mse", "loss.alpha": 0.07, "epochs": 3, "seed": 5}
    centre = TrialConfig.from_flat(centre).to_flat()
    family = around("NG-007", centre, map(with_encoders, FAMILIES))
    assert {p.name for p in family.space} == {
        "@swept", "loss.alpha", "loss.k", "lr", "weight_decay", "encoder.dropout", "encoder.conv_dropout"
    }  # fmt: skip
    assert "seed" not in family.fixed
    ((name, values),) = family.starting_points()
    assert name == "NG-007"
    budget = {key: centre[key] for key in ("epochs", "seed", "precision")}
    assert TrialConfig.from_flat(family.flat(values) | budget).to_flat() == centre
    moved = TrialConfig.from_flat(family.flat(family.complete({"@swept": "lr", "lr": 0.001})) | budget).to_flat()
    assert {key for key, value in moved.items() if centre[key] != value} == {"lr"}


def test_an_ablation_sweeps_nothing_that_is_switched_off():
    plain = TrialConfig.from_flat(preset("small", "factorized")).to_flat()
    families = [FAMILIES.get(name) for name in FAMILIES]
    assert not {"encoder.vib_beta", "encoder.gc_weight"} & {p.name for p in around("a", plain, families).space}
    both = TrialConfig.from_flat({**plain, "encoder.vib_beta": 0.1, "encoder.gc_bins": 10}).to_flat()
    assert {"encoder.vib_beta", "encoder.gc_weight"} <= {p.name for p in around("a", both, families).space}


def test_parameters_can_be_set_for_all_trials():
    family = FAMILIES.get("noise_gated").override({"loss.alpha": 0.2, "encoder": "factorized"})
    assert "loss.alpha" not in {p.name for p in family.space}
    points = dict(family.starting_points())
    assert list(points) == ["NG1_noise_gated (changed)", "NG4_adaptive_ng (changed)", "NG7_noise_gated_mse (changed)"]
    flats = [build(family, values).to_flat() for values in points.values()]
    assert {flat["loss.alpha"] for flat in flats} == {0.2}
    assert {flat["encoder"] for flat in flats} == {"factorized"}


def test_a_typo_is_met_with_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'rank_stability'"):
        FAMILIES.get("rank_stabilty")


def test_parameters_outside_the_space_are_refused():
    with pytest.raises(ValueError, match=r"does not search loss\.k"):
        FAMILIES.get("baseline").complete({"loss.k": 1.0})
    with pytest.raises(ValueError, match=r"does not search encoder\.vib_beta"):
        FAMILIES.get("rank_stability").complete({"encoder": "dream_rnn", "encoder.vib_beta": 0.01})


@pytest.mark.parametrize(
    ("name", "fixed", "choice", "left", "points"),
    [
        ("rank_stability", {"encoder.dropout": 0.3}, "encoder", {"dream_rnn"}, {"RS1", "RS7", "RS8"}),
        ("rank_stability", {"encoder.vib_beta": 0.3}, "encoder", {"factorized"}, {"RS4"}),
        ("contrastive", {"loss.temperature": 0.3}, "loss", {"contrastive_anchor"}, {"CA1", "CA7"}),
        (
            "noise_gated",
            {"head": "dual"},
            "loss",
            {"noise_gated", "adaptive_noise_gated"},
            {"NG1", "NG4", "NG8", "NG9"},
        ),
        ("noise_gated", {"loss.warmup_fraction": 0.2}, "loss", {"adaptive_noise_gated"}, {"NG4"}),
        ("factorized", {"encoder.gc_weight": 3}, "encoder.gc_bins", {5, 10, 20}, {"FE7", "FE9"}),
        ("combination", {"sampler.noise_weight": 1}, "sampler", {"quantile_stratified"}, {"BEST1", "BEST4"}),
        ("combination", {"head": "dual", "loss.lambda_var": 1}, "loss", {"distributional", "heteroscedastic"}, set()),
        ("ablation", {"loss.alpha": 0.2}, "loss", {"noise_gated"}, {"ABL1", "ABL5", "ABL6"}),
    ],
)
def test_a_parameter_that_not_every_trial_has_narrows_the_choices(name, fixed, choice, left, points):
    family = with_encoders(name).override(fixed)
    (narrowed,) = (set(p.values) for p in family.space if p.name == choice)
    assert narrowed == left
    assert {point.partition("_")[0] for point, _ in family.starting_points()} == points
    for values in family.representatives():
        flat = build(family, values).to_flat()
        assert fixed.items() <= flat.items()
        assert flat[choice] in left
    edges = [(p, v) for p in family.searched() for v in (p.values if isinstance(p, Choice) else (p.low, p.high))]
    for parameter, value in edges:
        assert family.complete({**family.given_for(parameter), parameter.name: value})[parameter.name] == value


def test_what_fits_no_choice_is_left_to_the_trial_to_refuse():
    family = with_encoders("rank_stability").override({"encoder.dropout": 0.3, "encoder.vib_beta": 0.1})
    with pytest.raises(UserError, match="encoder dream_rnn has no parameter 'vib_beta'"):
        build(family, family.complete({}))


def test_a_switch_that_decides_about_nothing_is_dropped():
    family = FAMILIES.get("factorized").override({"encoder.vib_beta": 0.1})
    assert "@bottleneck" not in {p.name for p in family.space}
    flats = [build(family, values).to_flat() for _, values in family.starting_points()]
    assert [flat["encoder.gc_bins"] for flat in flats] == [0, 10]  # FE1 and FE4 are one, as are FE7 and FE9
    assert {flat["encoder.vib_beta"] for flat in flats} == {0.1}


def swept(family) -> set[str]:
    return {value for p in family.space if p.name.startswith("@swept") for value in p.values}


def test_an_ablation_does_not_sweep_what_is_fixed_or_absent():
    usual = with_encoders("ablation")
    assert swept(usual.override({"loss.alpha": 0.2})) == swept(usual) - {"loss.alpha"}
    factorized = usual.override({"encoder": "factorized"})
    assert swept(factorized) == swept(usual) - {"encoder.dropout", "encoder.conv_dropout"}
    for values in factorized.representatives():
        assert build(factorized, values).to_flat()["encoder"] == "factorized"


def test_an_ablation_around_a_bottleneck_sweeps_its_weight():
    flat = {**preset("small", "factorized"), "encoder.vib_beta": 0.1}
    centre = TrialConfig.from_flat(flat).to_flat()
    family = around("a", centre, [FAMILIES.get(name) for name in FAMILIES])
    values = family.complete({"@swept": "encoder.vib_beta", "encoder.vib_beta": 0.5})
    assert build(family, values).to_flat() == {**centre, "encoder.vib_beta": 0.5}


def test_a_weight_of_no_adversary_is_refused():
    flat = {**preset("small", "factorized"), "encoder.gc_weight": 3}
    with pytest.raises(UserError, match="gc_weight 3 weighs nothing without an adversary: set gc_bins too"):
        TrialConfig.from_flat(flat)
    assert TrialConfig.from_flat({**flat, "encoder.gc_bins": 5}).encoder.gc_weight == 3
