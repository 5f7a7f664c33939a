"""What a search confirms, on records small enough to see the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from trial_records import record

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.selection.use_cases import USE_CASES
from nrtune.analysis.store.records import MANIFEST, Proposal, TrialRecord
from nrtune.orchestrator.campaign.confirmation import Confirmation, plan_of, share_of, trainings, why_not
from nrtune.orchestrator.state.ledger import Ledger, open_ledger
from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.training_data import TrainingData

VAL, TEST = "val/spearman", "test/spearman"


def test_what_is_trained_is_said_before():
    settings = Settings(families=("baseline", "distributional"), trials=30, out=Path("out"))
    assert plan_of(settings, "release") == "60 trials, then up to 40 trainings to confirm (--confirm 0.4)"
    assert trainings(settings.model_copy(update={"confirm": 0.0})) == 0


@pytest.mark.parametrize(
    ("change", "select_on", "said"),
    [
        ({}, "challenge", "nothing can be tested on the data that winners are selected on"),
        ({"families": ("distributional",)}, "val", "add baseline to --families"),
        ({"families": ("baseline",)}, "val", "the baseline alone is searched"),
        (
            {"trials": 4},
            "val",
            "5 trainings can't give 3 fresh seeds to a finalist and to the baseline; raise --trials",
        ),
        ({"trials": 1, "confirm": 0.3}, "val", "1 training can't give"),
    ],
)
def test_why_nothing_is_confirmed_is_said_before(change, select_on, said):
    settings = Settings(families=("baseline", "distributional"), trials=5, out=Path("out"))
    assert why_not(settings, "release") is None
    told = settings.model_copy(update=change)
    assert said in str(why_not(told, select_on))
    assert plan_of(told, select_on) == why_not(told, select_on)


def test_a_share_is_a_number_below_one_or_none():
    assert Settings(confirm="none").confirm == Settings(confirm=0).confirm == 0
    assert Settings(confirm="0.25").confirm == 0.25
    for wrong in ("some", 1, -0.1):
        with pytest.raises(UserError, match=r"^--confirm: .*, not "):
            load_settings(None, {"confirm": wrong}, Settings)


def test_a_campaign_from_before_goes_on_without_unless_asked(tmp_path):
    manifest = {"format": 2, "identity": {"command": "search", "select_on": "release"}, "settings": {"trials": 3}}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    before = load_settings(None, {"out": tmp_path, "resume": True}, Settings)
    assert share_of(before) == share_of(Settings(out=tmp_path)) == 0
    assert share_of(Settings(out=tmp_path, confirm=0.2)) == 0.2
    manifest["settings"]["confirm"] = 0.3
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert share_of(load_settings(None, {"out": tmp_path, "resume": True}, Settings)) == 0.3
    assert share_of(Settings(out=tmp_path)) == 0.3
    assert share_of(Settings(out=tmp_path / "new")) == 0.4


class Campaign:
    """A campaign of two families whose trials end as they are told to."""

    def __init__(self, folder: Path, data: TrainingData) -> None:
        self.ledger = open_ledger(folder, "c", {}, {}, must_exist=False)
        self.data = data
        self.settings = Settings(families=("baseline", "mse"), trials=6, out=folder, use_case=("in_distribution",))

    def confirmation(self, ledger: Ledger | None = None, **change) -> Confirmation:
        settings = self.settings.model_copy(update={"confirm": 0.5, **change})
        return Confirmation(settings, "val", self.data, USE_CASES, ledger or self.ledger)

    def end(self, name: str, value: float, number: int, encoder: str = "dream_rnn", **fields) -> None:
        of = {"encoder": encoder} if encoder != "dream_rnn" else TrialConfig().to_flat()
        config = TrialConfig.from_flat({**of, "lr": 1e-3 * (number + 1), "seed": 0})
        family = "baseline" if name.startswith("BASE") else "mse"
        given = {"name": name, "family": family, "number": number, "config": config.to_flat(),
                 "metrics": {VAL: value, TEST: -value}, "published": "B1" if name == "BASE-001" else None}  # fmt: skip
        self.ledger.append(record(self.data.fingerprint_of(config), **{**given, **fields}))

    def train(self, confirmation: Confirmation, values: dict[str, list[float]]) -> list[str]:
        """All that is wanted, one after the other; the value of a seed, NaN where it fails."""
        order = []
        while wanted := confirmation.wanted():
            for proposal in wanted:
                self.train_one(proposal, values[str(proposal.replicate_of)][proposal.config["seed"] - 1])
                order.append(proposal.name)
        return order

    def train_one(self, proposal: Proposal, value: float) -> None:
        failed = {"status": "failed", "metrics": {}} if value != value else {}
        given = {"status": "finished", "metrics": {VAL: value, TEST: -value}, "epochs_trained": 1, "seconds": 1.0}
        self.ledger.append(TrialRecord(proposal=proposal, **{**given, "started": "", "ended": "", **failed}))


@pytest.fixture
def campaign(tmp_path: Path, simulated_data: TrainingData) -> Iterator[Campaign]:
    made = Campaign(tmp_path / "c", simulated_data)
    yield made
    made.ledger.close()


def test_the_published_baseline_gets_its_seeds_as_soon_as_it_was_trained(campaign):
    confirmation = campaign.confirmation()
    assert confirmation.of_baseline() == []
    campaign.end("BASE-002", 0.9, 1)
    assert confirmation.of_baseline() == []
    campaign.end("BASE-001", 0.1, 0)
    names = [proposal.name for proposal in confirmation.of_baseline()]
    assert names == [f"BASE-001/s{seed}" for seed in range(1, MIN_SEEDS + 1)]
    # Seeds of a search with another are others: the smallest that it does not have.
    seeds = [proposal.config["seed"] for proposal in campaign.confirmation(seed=2).of_baseline()]
    assert seeds == [0, 1, 3]


def test_finalists_are_ranked_by_selection_data_of_fresh_seeds(campaign):
    """By their own trainings M-001 is the best; by fresh seeds M-002; by what is reported, the reverse of both."""
    for number, (name, value) in enumerate({"BASE-001": 0.0, "M-001": 0.9, "M-002": 0.8, "M-003": 0.1}.items()):
        campaign.end(name, value, number)
    campaign.end("M-004", 1.0, 4, status="pruned")
    confirmation = campaign.confirmation()  # of 12 trainings 8 for the first two rounds: the baseline and two finalists
    confirmation.begin(cut_short=False)
    order = campaign.train(confirmation, {"BASE-001": [0.0] * 10, "M-001": [0.2] * 10, "M-002": [0.4] * 10})
    assert order[:5] == ["BASE-001/s1", "BASE-001/s2", "BASE-001/s3", "M-001/s1", "M-002/s1"]
    assert order[5:] == ["M-002/s2", "M-002/s3", "M-002/s4", "BASE-001/s4", "M-002/s5", "BASE-001/s5"]
    assert confirmation.confirmed() == ["in_distribution"]
    assert confirmation.closing() == []


def test_a_better_baseline_of_the_searchs_own_is_confirmed_too(campaign):
    for number, (name, value) in enumerate({"BASE-001": 0.0, "BASE-002": 0.5, "M-001": 0.9}.items()):
        campaign.end(name, value, number)
    confirmation = campaign.confirmation(trials=7)
    confirmation.begin(cut_short=False)
    assert {proposal.replicate_of for proposal in confirmation.wanted()} == {"BASE-001", "BASE-002", "M-001"}


@pytest.mark.parametrize(("trials", "entered"), [(8, ["M-001", "M-002"]), (5, ["M-001"])])
def test_the_baseline_is_confirmed_on_the_finalists_encoders(campaign, trials, entered):
    """Of a small budget the second finalist, on another encoder, would take too much: another baseline's seeds, too."""
    encoders = {"BASE-001": "dream_rnn", "BASE-002": "factorized", "M-001": "factorized", "M-002": "dream_rnn"}
    for number, (name, value) in enumerate(zip(encoders, (0.0, 0.2, 0.9, 0.8), strict=True)):
        campaign.end(name, value, number, encoders[name], published="B1" if name.startswith("BASE") else None)
    confirmation = campaign.confirmation(trials=trials, encoders=("dream_rnn", "factorized"))
    assert confirmation.of_baseline() == []
    confirmation.begin(cut_short=False)
    values = {"BASE-001": [0.0] * 10, "BASE-002": [0.2] * 10, "M-001": [0.5] * 10, "M-002": [0.6] * 10}
    order = campaign.train(confirmation, values)
    baselines = [name for name in ("BASE-001", "BASE-002") if encoders[name] in {encoders[one] for one in entered}]
    first = [f"{name}/s{seed}" for name in baselines for seed in (1, 2, 3)]
    assert order[: len(first) + len(entered)] == [*first, *(f"{name}/s1" for name in entered)]
    assert {name.partition("/")[0] for name in order} == {*baselines, *entered}
    assert confirmation.confirmed() == ["in_distribution"]


def test_an_interrupted_confirmation_on_several_encoders_goes_on_alike(campaign):
    """Seeds of the baseline that are there already choose no other finalists."""
    for number, (name, value, encoder) in enumerate((("BASE-001", 0.3, "dream_rnn"), ("BASE-002", 0.2, "factorized"),
                                                     ("M-001", 0.9, "factorized"), ("M-002", 0.8, "dream_rnn"))):  # fmt: skip
        campaign.end(name, value, number, encoder, published="B1" if name.startswith("BASE") else None)
    encoders = ("dream_rnn", "factorized")
    confirmation = campaign.confirmation(trials=8, encoders=encoders)
    confirmation.begin(cut_short=False)
    before = confirmation.decision()
    campaign.train_one(confirmation.wanted()[0], 0.1)
    again = campaign.confirmation(trials=8, encoders=encoders)
    again.begin(cut_short=False)
    assert again.decision().entered == before.entered
    assert [one.name for one in again.wanted()] == [f"{one.name}/s{one.seed + 1}" for one in before.next[1:]]


def test_what_can_not_be_confirmed_is_said(campaign):
    campaign.end("BASE-001", 0.0, 0)
    confirmation = campaign.confirmation()
    confirmation.begin(cut_short=False)
    assert confirmation.wanted() == []
    assert confirmation.opening() == [
        "nothing is confirmed: it takes a baseline that has finished, and another trial that has"
    ]
    campaign.end("M-001", 0.5, 1)
    asked = campaign.confirmation(use_case=("in_distribution", "overall"))
    asked.begin(cut_short=False)
    nan = float("nan")
    campaign.train(asked, {"BASE-001": [0.0] * 10, "M-001": [0.5, nan, nan, *[0.5] * 7]})
    out = campaign.settings.out
    assert asked.closing() == [
        "not confirmed: in_distribution and overall; to go on with them:"
        f" nrtune replicate {out} --use-case in_distribution --use-case overall"
    ]


def test_a_search_that_ran_out_of_time_confirms_what_the_rest_of_it_allows(campaign):
    """Two full trainings' time was spent on three trials, and the other half of the time is left: two trainings."""
    campaign.end("BASE-001", 0.0, 0, seconds=4.0)
    campaign.end("M-001", 0.5, 1, seconds=4.0)
    campaign.end("M-002", 0.1, 2, status="pruned", seconds=1.0)
    confirmation = campaign.confirmation()
    confirmation.begin(cut_short=True)
    assert confirmation.opening() == ["nothing is confirmed: there is time for 2 trainings, and it takes 6"]
    for number in range(3, 7):
        campaign.end(f"M-00{number}", 0.1, number, seconds=4.0)
    confirmation.begin(cut_short=True)
    assert confirmation.opening() == ["confirming 1 finalist (M-001) and BASE-001 with fresh seeds: up to 6 trainings"]
