"""Which baseline a winner is compared to, on tables small enough to see the answer."""

from __future__ import annotations

from trial_records import record

from nrtune.analysis.selection.baselines import best_baselines, compared_to
from nrtune.analysis.selection.candidates import field_of
from nrtune.analysis.selection.winners import find_winner
from nrtune.analysis.store.records import TrialRecord
from nrtune.analysis.store.table import table_of

REPORTED, SELECTED = "cagi5/challenge/spearman/all/mean", "cagi5/release/spearman/all/mean"
ARGUMENTS = "overall", "release"


def trial(name: str, encoder: str, value: float, seed: int = 0, **fields: object) -> TrialRecord:
    config = {"seed": seed, "loss": fields.get("replicate_of", name), "encoder": encoder}
    metrics = {SELECTED: value, REPORTED: value}
    family = "baseline" if name.startswith("B") else "rs"
    return record(name, name=name, family=family, metrics=metrics, config=config, **fields)


def again(of: str, encoder: str, value: float) -> list[TrialRecord]:
    return [trial(f"{of}/s{seed}", encoder, value, seed, replicate_of=of) for seed in (1, 2, 3)]


TRIALS = [
    trial("B1", "plain", 0.3),
    trial("B2", "plain", 0.2),
    trial("B3", "motifs", 0.5),
    trial("R1", "plain", 0.4),
    trial("R2", "motifs", 0.6),
    trial("R3", "other", 0.1),
]


def test_each_is_compared_to_the_best_baseline_on_its_encoder():
    field = field_of(table_of(TRIALS), *ARGUMENTS)
    compared = dict(zip(field.compared["name"], compared_to(field, "release"), strict=True))
    assert compared == {"B1": "B1", "B2": "B1", "B3": "B3", "R1": "B1", "R2": "B3", "R3": "B3"}
    assert best_baselines(table_of(TRIALS), *ARGUMENTS) == {"motifs": "B3", "plain": "B1"}
    assert find_winner(table_of(TRIALS), *ARGUMENTS).baseline == "B3"
    without = [one for one in TRIALS if one.name != "R2"]
    assert find_winner(table_of(without), *ARGUMENTS).baseline == "B1"


def test_without_a_baseline_on_its_encoder_it_is_the_best_of_all():
    """As in the study, whose factorized trials were compared to a baseline on DREAM-RNN."""
    alone = [trial("B1", "plain", 0.3), trial("R2", "motifs", 0.6)]
    assert find_winner(table_of(alone), *ARGUMENTS).baseline == "B1"
    assert best_baselines(table_of(alone[1:]), *ARGUMENTS) == {}


def test_a_table_that_does_not_tell_encoders_has_one():
    table = table_of(TRIALS).drop(columns="encoder")
    assert best_baselines(table, *ARGUMENTS) == {"": "B3"}


def test_a_confirmed_baseline_on_one_encoder_does_not_replace_that_on_another():
    fresh = [*again("B1", "plain", 0.3), *again("R1", "plain", 0.4), *again("R2", "motifs", 0.6)]
    winner = find_winner(table_of([*TRIALS, *fresh]), *ARGUMENTS)
    assert (winner.trial, winner.confirmed, winner.baseline) == ("R2", True, "B3")
    # What is on neither's encoder is compared to the one with seeds, although another is better by its one training.
    other = find_winner(table_of([*TRIALS, *fresh, *again("R3", "other", 0.9)]), *ARGUMENTS)
    assert (other.trial, other.baseline) == ("R3", "B1")
    # A better baseline is named where it is on the winner's encoder.
    assert winner.better_baseline is None
    worse = [*again("B2", "plain", 0.2), *again("R1", "plain", 0.9)]
    chosen = find_winner(table_of([*TRIALS[:4], *worse]), *ARGUMENTS)
    assert (chosen.baseline, chosen.better_baseline) == ("B2", "B1")
