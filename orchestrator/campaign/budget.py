"""What a search's budget is too small for: its sampler to learn from any trial, its early stopping to stop one."""

from __future__ import annotations

from collections.abc import Mapping

from nrtune.analysis.wording import listed
from nrtune.orchestrator.lifecycle.rules import EarlyStopping, make_rule
from nrtune.orchestrator.lifecycle.rules.median import MIN_CURVES, Median
from nrtune.orchestrator.search.samplers import SamplerName, start_up
from nrtune.orchestrator.state.settings import Settings

TITLES: Mapping[SamplerName, str] = {"tpe": "TPE", "nsga2": "NSGA-II"}


def most_trials(settings: Settings) -> int:
    """The most trials that one of the families can get: with adaptive allocation all but the others' minimum."""
    if not settings.is_adaptive:
        return settings.trials
    others = len(settings.families) - 1
    return settings.trials + others * max(0, settings.trials - settings.min_trials)


def sampler_note(settings: Settings, starting_points: Mapping[str, int]) -> str | None:
    """In which families the sampler proposes nothing, and what to do; None where it does in each.

    starting_points: of each family, how many it has.
    """
    most = most_trials(settings)
    before = {name: start_up(settings.sampler, points) for name, points in starting_points.items()}
    small = {name: trials for name, trials in before.items() if trials is not None and trials >= most}
    if not small:
        return None
    by_first: dict[int, list[str]] = {}
    for name, trials in small.items():
        by_first.setdefault(trials + 1, []).append(name)
    firsts = [f"{first} of {listed(names)}" for first, names in sorted(by_first.items())]
    where = "" if len(small) == len(before) else f" in {listed(list(small))}"
    whose = "all trials" if not where else "all their trials"
    kinds = (
        "starting points" if all(starting_points[name] >= most for name in small) else "starting points and random ones"
    )
    given = f"--trials {settings.trials}"
    if settings.is_adaptive:
        given += f" (adaptive: at most {most} of a family)"
    finished = ", finished ones alone counting" if settings.sampler == "nsga2" else ""
    return (
        f"{given} is too few for {TITLES[settings.sampler]} to begin{where}: {whose} are {kinds};"
        f" give more --trials: it proposes from trial {', '.join(firsts)} on{finished}"
    )


def stopping_note(
    settings: Settings, epochs: int, stopping: EarlyStopping, starting_points: Mapping[str, int]
) -> str | None:
    """Why no trial of a search can be stopped early, although it has a rule for that; None where one can be."""
    none = f"--scheduler {stopping.rule} stops no trial: "
    rule = make_rule(epochs, stopping)
    if not rule.rungs:
        return f"{none}a training has {epochs} epochs, and each gets {stopping.grace_epochs} at least (grace_epochs)"
    if all(points >= most_trials(settings) for points in starting_points.values()):
        return f"{none}all are starting points, which are never stopped; give more --trials"
    together = settings.trials * len(settings.families)
    if isinstance(rule, Median) and together <= MIN_CURVES:
        return f"{none}it compares each to {MIN_CURVES} others or more, and there are {together} in all"
    return None
