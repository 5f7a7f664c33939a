"""Every sampler: starting points first, nothing twice, the same proposals after a restart; grids; several objectives."""

from __future__ import annotations

import dataclasses
import itertools
import math

import optuna
import pytest
from optuna.trial import TrialState

from nrtune.analysis.store.records import TrialRecord
from nrtune.orchestrator.search.family_study import FamilyStudy
from nrtune.orchestrator.search.grid import VALUES, Grid, shuffled, values_of
from nrtune.orchestrator.search.optuna_storage import open_storage, open_study
from nrtune.orchestrator.search.samplers import POPULATION, RANDOM, start_up
from nrtune.search_spaces import FAMILIES, Choice, Family, Float, Int, Published
from nrtune.trainables.training.config import TrialConfig, preset

SAMPLERS = ("tpe", "nsga2", "random", "grid")
RS = FAMILIES.get("rank_stability")
TWO = ("maximize", "minimize")


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_family(folder, sampler, directions=("maximize",), family=RS, seed=0):
    folder.mkdir(exist_ok=True)
    study = open_study(open_storage(folder, None), "rank_stability", "id", directions)
    return FamilyStudy("rank_stability", family, study, make_config, TrialConfig.fingerprint, seed, sampler)


def make_config(parameters):
    return TrialConfig.from_flat({**preset("small", parameters["encoder"]), **parameters})


def ended(proposal, status="finished"):
    return TrialRecord.from_flat(
        name=proposal.name, family="rank_stability", number=proposal.number, fingerprint=proposal.fingerprint,
        status=status, config=proposal.config, metrics={}, epochs_trained=1, seconds=1.0, started="", ended="",
    )  # fmt: skip


def worth(record, directions):
    """Best near lr 0.002 and k 5; with two objectives the second would have a small k."""
    lr, k = record.config["lr"], record.config["loss.k"]
    first = -abs(math.log(lr / 0.002)) - abs(math.log(k / 5))
    return first if len(directions) == 1 else (first, k)


def search(folder, sampler, directions, count, restart=lambda number: False):
    """Proposals, each ended before the next; every fifth is pruned and every ninth fails.

    `restart` says before which proposals the process was killed: the study is opened anew.
    """
    family, records, proposals = open_family(folder, sampler, directions), {}, []
    for number in range(count):
        if restart(number):
            family = open_family(folder, sampler, directions)
            family.reconcile(records, lambda record: worth(record, directions))
        proposal = family.propose(set(records))
        assert proposal.fingerprint not in records
        proposals.append(proposal)
        if restart(number):  # killed while it runs: proposed again
            family = open_family(folder, sampler, directions)
            family.reconcile(records, lambda record: worth(record, directions))
            assert family.propose(set(records), family.interrupted()) == proposal
        family.report(proposal.number, 1, 0.5)
        status = "pruned" if number % 5 == 4 else "failed" if number % 9 == 8 else "finished"
        records[proposal.fingerprint] = ended(proposal, status)
        if not restart(number + 1):  # else killed before Optuna was told
            record = records[proposal.fingerprint]
            family.tell(record, worth(record, directions) if status == "finished" else None)
    return proposals, family.study


@pytest.mark.end_to_end
@pytest.mark.parametrize("directions", [("maximize",), TWO], ids=["one", "two"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_kills_change_nothing_that_is_proposed(sampler, directions, tmp_path):
    count = 3 * POPULATION + 8 if sampler == "nsga2" else len(RS.starting_points()) + 12
    whole, study = search(tmp_path / "whole", sampler, directions, count)
    struck, _ = search(tmp_path / "struck", sampler, directions, count, restart=lambda number: number % 3 == 1)
    assert struck == whole
    points = RS.starting_points()
    assert [proposal.published for proposal in whole[: len(points) + 1]] == [*(name for name, _ in points), None]
    assert len({proposal.fingerprint for proposal in whole}) == count
    # Nothing but finished trials counts as complete, with the value at its end.
    finished = {}
    for number, proposal in enumerate(whole):
        value = worth(ended(proposal), directions)
        if number % 5 != 4 and number % 9 != 8:
            finished[proposal.number] = value if isinstance(value, tuple) else (value,)
    for trial in study.get_trials():
        assert (trial.state == TrialState.COMPLETE) == (trial.number in finished)
        if trial.number in finished:
            assert tuple(trial.values) == finished[trial.number]


def test_names_have_no_gaps_whatever_was_drawn_twice(tmp_path):
    """Two choices of three values each: most draws repeat a trial; the study is opened anew for each."""
    space = (
        Choice(name="loss.k", values=(3, 5, 7), default=5),
        Choice(name="lr", values=(0.001, 0.002, 0.004), default=0.002),
    )
    family = Family(code="TNY", title="Tiny", fixed={**RS.fixed, "encoder": "factorized"}, space=space, published=())
    known, names = set(), []
    while (proposal := open_family(tmp_path, "random", family=family).propose(known)) is not None:
        known.add(proposal.fingerprint)
        names.append((proposal.name, proposal.number))
    assert [name for name, _ in names] == [f"TNY-{number + 1:03d}" for number in range(len(names))]
    assert len(names) > 5
    assert names[-1][1] >= len(names)  # some were drawn in vain


def test_tpe_does_not_look_at_the_values_of_pruned_trials(tmp_path):
    found = []
    for curve in (0.0, 0.99):
        family, known = open_family(tmp_path / str(curve), "tpe"), set()
        for number in range(30):
            proposal = family.propose(known)
            known.add(proposal.fingerprint)
            pruned = number % 3 == 2
            family.report(proposal.number, 1, curve if pruned else 0.5)
            record = ended(proposal, "pruned" if pruned else "finished")
            family.tell(record, None if pruned else worth(record, ("maximize",)))
        found.append(known)
    assert found[0] == found[1]


def with_points(count):
    """The family with so many starting points."""
    published = [
        Published(name=f"RS{n}", seed=42, parameters={"encoder": "factorized", "loss.k": 1 + n / 9})
        for n in range(count)
    ]
    return dataclasses.replace(RS, published=tuple(published))


def proposed(folder, sampler, family, sign, failing=(), repeated=(), count=30):
    """Fingerprints of proposals, each ended before the next, of a search that likes large k, or small with the other sign.

    failing: numbers of those that fail. repeated: fingerprints of trials that another family has. The study is opened anew
    before each.
    """
    known, told = list(repeated), {}
    for number in range(count):
        study = open_family(folder, sampler, family=family)
        study.reconcile(told, lambda record: 0.0)
        proposal = study.propose(known)
        known.append(proposal.fingerprint)
        status = "failed" if number in failing else "pruned" if number % 7 == 6 and sampler == "tpe" else "finished"
        record = ended(proposal, status)
        told[proposal.fingerprint] = record
        study.tell(record, sign * proposal.config["loss.k"] if status == "finished" else None)
    return known[len(repeated) :]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("points", [0, 5, 20])
def test_a_sampler_begins_after_its_start_up(points, sampler, tmp_path):
    """Until then values change nothing; from then on they do."""
    family = with_points(points)
    begins = start_up(sampler, points)
    assert begins == {"tpe": points + RANDOM, "nsga2": max(points, POPULATION)}[sampler]
    up, down = (proposed(tmp_path / str(sign), sampler, family, sign) for sign in (1, -1))
    assert up[:begins] == down[:begins]
    assert up[begins:] != down[begins:]
    if sampler == "tpe":  # two proposals of it are seldom alike
        assert up[begins] != down[begins]


def test_tpe_does_not_wait_for_starting_points_that_failed(tmp_path):
    """Nor for one that another family has trained: of five, one is that and two fail."""
    family = with_points(5)
    elsewhere = make_config(family.flat(family.starting_points()[3][1])).fingerprint()
    up, down = (
        proposed(tmp_path / str(sign), "tpe", family, sign, failing=(0, 2), repeated=[elsewhere], count=10)
        for sign in (1, -1)
    )
    begins = 4 + RANDOM
    assert up[:begins] == down[:begins]
    assert up[begins] != down[begins]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_seed_proposes_other_trials(sampler, tmp_path):
    found = []
    for seed in (0, 1):
        family, known = open_family(tmp_path / str(seed), sampler, seed=seed), set()
        for _ in range(len(RS.starting_points()) + 3):
            known.add(family.propose(known).fingerprint)
        found.append(known)
    assert len(found[0] - found[1]) == 3


def test_the_generations_of_nsga2_outlive_its_sampler(tmp_path):
    """A new sampler for each proposal, and restarts: children have their parents' values but for mutations."""
    _, study = search(tmp_path / "s", "nsga2", TWO, 4 * POPULATION, restart=lambda number: number % 4 == 3)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    generation = {trial.number: trial.system_attrs["NSGAIISampler:generation"] for trial in complete}
    counts = [list(generation.values()).count(number) for number in range(max(generation.values()) + 1)]
    assert counts[:2] == [POPULATION, POPULATION]
    assert all(generation[trial.number] == 0 for trial in complete if "published" in trial.user_attrs)
    first = {trial.params["lr"] for trial in complete if generation[trial.number] == 0}
    second = [trial.params["lr"] for trial in complete if generation[trial.number] == 1]
    assert sum(any(math.isclose(lr, parent) for parent in first) for lr in second) > len(second) / 2


def test_random_proposals_do_not_look_at_values(tmp_path):
    proposals, _ = search(tmp_path / "a", "random", ("maximize",), 15)
    others, _ = search(tmp_path / "b", "random", ("minimize",), 15)
    assert others == proposals


@pytest.mark.parametrize("directions", [("maximize",), ("minimize",), TWO], ids=["max", "min", "two"])
def test_optuna_has_curves_where_it_takes_them_for_what_they_are(directions, tmp_path):
    family = open_family(tmp_path / "s", "tpe", directions)
    family.report(family.propose(set()).number, 1, 0.5)
    assert family.study.get_trials()[0].intermediate_values == ({1: 0.5} if directions == ("maximize",) else {})


SMALL = Family(
    code="T",
    title="Toy",
    fixed={"f": 1},
    space=(
        Choice(name="kind", values=("a", "b", "c"), default="a"),
        Float(name="x", low=0.01, high=1.0, default=0.1, log=True, when={"kind": ("a", "b")}),
        Int(name="n", low=1, high=2, default=1, when={"kind": ("b",)}),
        Choice(name="@switch", values=(False, True), default=False, when={"kind": ("c",)}),
        Float(name="y", low=0.0, high=4.0, default=1.0, when={"@switch": (True,)}),
        Float(name="never", low=0.0, high=1.0, default=1.0, when={"f": (2,)}),
        Float(name="n", low=3.0, high=5.0, default=3.0, when={"kind": ("c",)}),
    ),
    published=(),
)


def test_a_grid_with_conditions():
    x, y = (0.01, 0.1, 1.0), (0.0, 2.0, 4.0)
    expected = [
        *({"kind": "a", "x": value} for value in x),
        *({"kind": "b", "x": value, "n": n} for value in x for n in (1, 2)),
        *({"kind": "c", "@switch": False, "n": n} for n in (3.0, 4.0, 5.0)),
        *({"kind": "c", "@switch": True, "y": value, "n": n} for value in y for n in (3.0, 4.0, 5.0)),
    ]
    grid = Grid(SMALL)
    found = [grid.point(number) for number in range(grid.size)]
    assert len(found) == len(expected) == 21
    for point, wanted in zip(found, expected, strict=True):
        assert point.keys() == wanted.keys()
        for name, value in wanted.items():
            assert point[name] == (pytest.approx(value) if isinstance(value, float) else value)
    with pytest.raises(IndexError, match="has 21 points"):
        grid.point(21)


def literal_grid(family):
    """All values of all parameters crossed, of which each keeps what applies; then what is alike counts once."""
    found = set()
    for values in itertools.product(*(values_of(parameter) for parameter in family.space)):
        chosen, kept = dict(family.fixed), {}
        for parameter, value in zip(family.space, values, strict=True):
            if all(chosen.get(name) in allowed for name, allowed in parameter.when.items()):
                chosen[parameter.name] = kept[parameter.name] = value
        found.add(frozenset(kept.items()))
    return found


@pytest.mark.parametrize("name", ["baseline", "rank_stability", "factorized", "hard_negative", "distributional"])
def test_a_familys_grid_is_its_literal_enumeration(name):
    grid, expected = Grid(FAMILIES.get(name)), literal_grid(FAMILIES.get(name))
    assert grid.size == len(expected)
    assert {frozenset(point.items()) for point in grid.shuffled(0)} == expected


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_points_of_a_grid_are_configurations(name):
    family = FAMILIES.get(name)
    grid = Grid(family)
    for point, _ in zip(grid.shuffled(3), range(20), strict=False):
        assert family.complete(point) == point
        for key, value in point.items():
            assert any(p.name == key and p.can_be(value) for p in family.space)


def test_the_values_of_a_grid():
    assert values_of(Float(name="a", low=1e-4, high=1e-2, default=1e-3, log=True)) == pytest.approx((1e-4, 1e-3, 1e-2))
    assert values_of(Float(name="a", low=0.1, high=0.7, default=0.5)) == pytest.approx((0.1, 0.4, 0.7))
    assert values_of(Int(name="a", low=4, high=32, default=10, log=True)) == (4, 11, 32)
    assert values_of(Int(name="a", low=2, high=3, default=2)) == (2, 3)
    assert values_of(Float(name="a", low=2.0, high=2.0, default=2.0)) == (2.0,)
    assert VALUES == 3


def test_a_shuffle_has_every_number_once_and_begins_alike_whatever_is_drawn_of_it():
    for size in (0, 1, 2, 50):
        assert sorted(shuffled(size, 1)) == list(range(size))
    assert list(itertools.islice(shuffled(50, 1), 9)) == list(shuffled(50, 1))[:9]
    assert list(shuffled(50, 1)) != list(shuffled(50, 2))
    assert len(set(itertools.islice(shuffled(10**30, 1), 5))) == 5
    firsts = [next(shuffled(4, seed)) for seed in range(400)]
    assert all(firsts.count(number) > 60 for number in range(4))


TINY = Family(
    code="TINY",
    title="Tiny",
    fixed={"encoder": "dream_rnn", "head": "point", "loss": "mse", "sampler": "uniform"},
    space=(
        Choice(name="lr", values=(0.001, 0.002), default=0.001),
        Float(name="weight_decay", low=0.01, high=0.1, default=0.01),
    ),
    published=(),
)


numbers: dict[str, int] = {}


def ended_as(fingerprint):
    return TrialRecord.from_flat(
        name=fingerprint, family="rank_stability", number=numbers[fingerprint], fingerprint=fingerprint, status="finished",
        config={}, metrics={}, epochs_trained=1, seconds=1.0, started="", ended="",
    )  # fmt: skip


def test_a_grid_is_proposed_to_its_end_and_no_further(tmp_path):
    expected = {make_config({**TINY.fixed, **point}).fingerprint() for point in Grid(TINY).shuffled(0)}
    elsewhere = sorted(expected)[0]  # another family has this configuration
    known = {elsewhere}
    for number in range(5):
        family = open_family(tmp_path / "s", "grid", family=TINY)
        family.reconcile({f: ended_as(f) for f in known - {elsewhere}}, lambda record: 0.1)
        if number == 2:
            family.study.enqueue_trial({"lr": 0.001, "weight_decay": 0.01})
            family.study.ask()  # killed before the proposal had a fingerprint
            family = open_family(tmp_path / "s", "grid", family=TINY)
            family.reconcile({f: ended_as(f) for f in known - {elsewhere}}, lambda record: 0.1)
        proposal = family.propose(known)
        assert proposal.fingerprint in expected - known
        known.add(proposal.fingerprint)
        numbers[proposal.fingerprint] = proposal.number
    assert known == expected
    assert family.propose(known) is None
