"""Successive halving over seeds, on values that are written down: what is trained next, and that a restart changes nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest

from nrtune.orchestrator.search.halving import (
    LEAST,
    LEAST_BUDGET,
    MOST,
    MOST_FAILURES,
    Contest,
    Decision,
    Rank,
    Training,
    decide,
    entrants,
)

FAILED = None
Values = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By use case and name, the value of each fresh seed."""


def ranked(values: Values) -> Rank:
    """By the mean over the seeds that count, larger is better; of equals the first of the names."""

    def rank(use_case: str, counted: Mapping[str, int]) -> list[str]:
        means = {}
        for name in sorted(counted):
            there = [v for v in values[use_case][name][: counted[name]] if v is not FAILED]
            if there:
                means[name] = sum(there) / len(there)
        return sorted(means, key=lambda name: -means[name])

    return rank


class Campaign:
    """Trains what is asked for, in batches or one at a time in any order."""

    def __init__(self, contests: Mapping[str, Contest], values: Values, budget: int) -> None:
        self.contests, self.values, self.budget = contests, values, budget
        self.trained: dict[str, dict[int, bool]] = {}
        self.order: list[Training] = []

    def decide(self) -> Decision:
        return decide(self.contests, self.trained, self.budget, ranked(self.values))

    def train(self, one: Training) -> None:
        values = next(iter(self.values.values()))
        self.trained.setdefault(one.name, {})[one.seed] = values[one.name][one.seed] is not FAILED
        self.order.append(one)

    def run(self, chance: random.Random | None = None) -> Decision:
        """To the end; with a generator, a training at a time, any of those that are asked for."""
        while batch := self.decide().next:
            for one in batch if chance is None else [chance.choice(batch)]:
                self.train(one)
        return self.decide()


def names(count: int) -> tuple[str, ...]:
    return tuple(f"T{n}" for n in range(count))


def constant(values: Mapping[str, float], use_case: str = "overall") -> Values:
    return {use_case: {name: [value] * MOST for name, value in values.items()}}


def seeds(campaign: Campaign) -> dict[str, int]:
    return {name: len(of) for name, of in campaign.trained.items()}


def test_four_finalists_of_which_two_stay():
    """Budget 17: the first two rounds may take 11, which is four finalists (4 + 2·2) beside the baseline's 3."""
    values = constant({"B": 0.0, "T0": 0.1, "T1": 0.4, "T2": 0.2, "T3": 0.3})
    campaign = Campaign({"overall": Contest(names(4), ("B",))}, values, 17)
    first = campaign.decide().next
    assert first == tuple(Training("B", n) for n in range(3)) + tuple(Training(name, 0) for name in names(4))
    for one in first:
        campaign.train(one)
    second = campaign.decide().next
    assert second == tuple(Training(name, n) for name in ("T1", "T3") for n in (1, 2))
    for one in second[:-1]:
        campaign.train(one)
    assert campaign.decide().next == second[-1:]
    found = campaign.run()
    # 11 are spent; the leader and the baseline get one more each, three times.
    assert seeds(campaign) == {"B": 6, "T1": 6, "T3": 3, "T0": 1, "T2": 1}
    assert found.spent == 17
    assert found.leaders == {"overall": "T1"}
    assert found.is_confirmed("overall")


@pytest.mark.parametrize("budget", range(30))
def test_the_budget_is_kept_and_who_leads_is_confirmed(budget):
    """Whatever the budget: nothing at all, or an answer."""
    chance = random.Random(budget)
    values = {"overall": {name: [chance.random() for _ in range(MOST)] for name in ("B", *names(12))}}
    campaign = Campaign({"overall": Contest(names(12), ("B",))}, values, budget)
    found = campaign.run()
    assert len(campaign.order) == len(set(campaign.order)) == found.spent <= budget
    if budget < LEAST_BUDGET:
        assert campaign.order == []
        assert not found.is_confirmed("overall")
        assert found.entered == {"overall": ()}
    else:
        assert found.is_confirmed("overall")
        # What is not confirmed has one seed, of which nothing is claimed.
        assert {len(of) for of in campaign.trained.values()} <= {1, *range(LEAST, MOST + 1)}
        assert len(campaign.trained["B"]) >= len(campaign.trained[found.leaders["overall"]])


def test_a_large_budget_ends_with_the_most_seeds():
    values = constant({"B": 0.0, "T0": 0.1, "T1": 0.2})
    campaign = Campaign({"overall": Contest(names(2), ("B",))}, values, 1000)
    found = campaign.run()
    assert seeds(campaign) == {"B": MOST, "T1": MOST, "T0": 1}
    assert found.spent == 2 * MOST + 1


def test_of_equals_the_earlier_stays():
    values = constant(dict.fromkeys(("B", *names(4)), 0.5))
    campaign = Campaign({"overall": Contest(names(4), ("B",))}, values, 17)
    campaign.run()
    assert {name for name, count in seeds(campaign).items() if count >= LEAST} == {"B", "T0", "T1"}


def test_who_leads_may_fall_behind_one_that_was_no_longer_trained():
    """T1 falls from 0.9 to below T0, which stood at three seeds: T0 leads, and gets the seeds that follow."""
    values = {"overall": {"B": [0.0] * MOST, "T0": [0.5] * MOST, "T1": [0.9] * 3 + [-2.0] * 7,
                          "T2": [0.4] * MOST, "T3": [0.1] * MOST}}  # fmt: skip
    campaign = Campaign({"overall": Contest(names(4), ("B",))}, values, 19)
    found = campaign.run()
    assert found.leaders == {"overall": "T0"}
    assert seeds(campaign)["T1"] == 4
    assert seeds(campaign)["T0"] > 4


def test_what_failed_is_made_up_for_and_stalls_nothing():
    values = {"overall": {"B": [0.0, FAILED, 0.0, 0.0] + [0.0] * 6, "T0": [0.5, 0.5, FAILED] + [0.5] * 7}}
    campaign = Campaign({"overall": Contest(("T0",), ("B",))}, values, 8)
    found = campaign.run()
    assert found.seeds == {"B": 3, "T0": 3}
    assert seeds(campaign) == {"B": 4, "T0": 4}
    assert found.is_confirmed("overall")


def test_what_fails_again_and_again_gets_no_more():
    values = {"overall": {"B": [0.0] * MOST, "T0": [FAILED] * MOST, "T1": [0.1] * MOST}}
    campaign = Campaign({"overall": Contest(("T0",), ("B",))}, values, 100)
    found = campaign.run()
    assert len(campaign.trained["T0"]) == LEAST  # they were asked for together
    assert not found.is_confirmed("overall")
    assert found.seeds["T0"] == 0
    wider = Campaign({"overall": Contest(("T0", "T1"), ("B",))}, values, 100)
    found = wider.run()
    assert found.leaders == {"overall": "T1"}
    assert len(wider.trained["T0"]) == MOST_FAILURES
    assert not found.is_confirmed("overall")  # the search's own best has no fresh seed, and might have won
    broken = Campaign({"overall": Contest(("T1",), ("T0",))}, values, 100)
    assert not broken.run().is_confirmed("overall")
    assert MOST_FAILURES <= len(broken.trained["T0"]) <= LEAST


def test_use_cases_are_served_in_their_order():
    """Seven trainings: the first use case's finalist and the baseline; the second's other finalist would need three more."""
    contests = {"a": Contest(("T0",), ("B",)), "b": Contest(("T1",), ("B",)), "c": Contest(("T0", "T1"), ("B",))}
    values = {use_case: {"B": [0.0] * MOST, "T0": [0.1] * MOST, "T1": [0.2] * MOST} for use_case in contests}
    found = Campaign(contests, values, 7).run()
    assert found.entered == {"a": ("T0",), "b": (), "c": ("T0",)}
    assert [found.is_confirmed(use_case) for use_case in contests] == [True, False, True]
    assert Campaign(contests, values, 9).run().entered == {"a": ("T0",), "b": ("T1",), "c": ("T0",)}


def test_finalists_of_several_use_cases_are_trained_once():
    contests = {use_case: Contest(names(2), ("B",)) for use_case in "abc"}
    values = {use_case: {"B": [0.0] * MOST, "T0": [0.1] * MOST, "T1": [0.2] * MOST} for use_case in contests}
    campaign = Campaign(contests, values, 14)
    campaign.run()
    assert seeds(campaign) == {"B": 6, "T0": 1, "T1": 6}


def test_another_baseline_enters_before_further_finalists():
    contests = {"a": Contest(names(9), ("B1", "B2"))}
    assert entrants(contests, 12) == {"a": Contest(names(2), ("B1",))}  # at most 8: 3 + 2 + 2·1, another 3 are too many
    assert entrants(contests, 14) == {"a": Contest(names(1), ("B1", "B2"))}  # at most 9: 6 + 1 + 2·1
    assert entrants(contests, 30) == {"a": Contest(names(6), ("B1", "B2"))}  # at most 20: 6 + 6 + 2·3, not 6 + 7 + 2·4


ON = {"B1": "cnn", "B2": "rnn", "B3": "cnn", "T0": "rnn", "T1": "rnn", "T2": "cnn", "OLD": "cnn"}


def test_only_baselines_on_the_finalists_encoders_are_trained():
    contests = {"overall": Contest(names(3), ("B1", "B2", "B3"), ON)}
    assert entrants(contests, LEAST_BUDGET) == {"overall": Contest(("T0",), ("B2",), ON)}  # at most 6: 3 + 1 + 2
    assert entrants(contests, 10) == {"overall": Contest(("T0",), ("B2",), ON)}  # at most 6: T1 would make it 3 + 2 + 2
    assert entrants(contests, 12) == {"overall": Contest(("T0", "T1"), ("B2",), ON)}  # 7 of at most 8
    # T2 is on the other encoder: it takes that one's baselines with it, 9 + 3 + 2·2 where the budget has room for all.
    assert entrants(contests, 23)["overall"].finalists == ("T0", "T1")
    assert entrants(contests, 24) == {"overall": Contest(names(3), ("B1", "B2", "B3"), ON)}
    values = constant({"B1": 0.0, "B2": 0.1, "B3": 0.0, "T0": 0.3, "T1": 0.2, "T2": 0.1})
    campaign = Campaign(contests, values, 12)
    found = campaign.run()
    assert found.baselines == {"overall": ("B2",)}
    assert not {"B1", "B3"} & seeds(campaign).keys()


def test_who_was_replicated_before_and_leads_is_compared_on_its_own_encoder():
    values = constant({"B1": 0.0, "B2": 0.0, "T0": 0.1, "OLD": 0.9})
    campaign = Campaign({"overall": Contest(("T0",), ("B1", "B2"), ON)}, values, 12)
    campaign.trained = {"OLD": {0: True, 1: True, 2: True}}
    found = campaign.run()
    assert found.leaders == {"overall": "OLD"}
    assert found.baselines == {"overall": ("B2", "B1")}
    assert found.is_confirmed("overall")
    assert seeds(campaign)["B1"] >= LEAST


def test_without_finalists_or_baseline_nothing_is_trained():
    contests = {"a": Contest((), ("B",)), "b": Contest(("T0",), ())}
    found = decide(contests, {}, 100, ranked({}))
    assert found.next == ()
    assert not found.is_confirmed("a")
    assert not found.is_confirmed("b")


def test_one_that_was_replicated_before_may_lead_and_is_confirmed():
    """OLD has three fresh seeds of an earlier confirmation, and is the best by them."""
    values = constant({"B": 0.0, "T0": 0.1, "OLD": 0.9})
    campaign = Campaign({"overall": Contest(("T0",), ("B",))}, values, 20)
    campaign.trained = {"OLD": {0: True, 1: True, 2: True}}
    found = campaign.run()
    assert found.leaders == {"overall": "OLD"}
    assert found.is_confirmed("overall")


@pytest.mark.parametrize("draw", range(60))
def test_a_restart_at_any_point_and_any_order_of_ends_decide_alike(draw):
    """The decision knows nothing but what has ended: so a restart is nothing; the order within a batch must be nothing too."""
    chance = random.Random(draw)
    every = names(chance.randint(1, 10))
    encoders = {name: chance.choice("xy") for name in ("B", "C", *every)}
    contests = {
        use_case: Contest(
            tuple(chance.sample(every, chance.randint(1, len(every)))), ("B", "C")[: chance.randint(1, 2)], encoders
        )
        for use_case in "abc"[: chance.randint(1, 3)]
    }
    failing = {(name, n) for name in ("B", "C", *every) for n in range(MOST) if chance.random() < 0.1}
    values = {
        use_case: {
            name: [FAILED if (name, n) in failing else chance.gauss(0, 1) for n in range(MOST)]
            for name in ("B", "C", *every)
        }
        for use_case in contests
    }
    budget = chance.randint(LEAST_BUDGET, 60)
    whole = Campaign(contests, values, budget)
    outcome = whole.run()
    assert outcome.spent == len(whole.order) <= budget
    for _ in range(5):
        other = Campaign(contests, values, budget)
        assert other.run(chance) == outcome
        assert set(other.order) == set(whole.order)
