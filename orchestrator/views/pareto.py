"""What `nrtune best --pareto` prints."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Sequence
from typing import Any

from nrtune.analysis.selection.pareto import Front, Objective, objectives_of, pareto_front, parse_objectives, values_at
from nrtune.analysis.sources.trials import Trials
from nrtune.analysis.wording import count, listed, phrase, short_names
from nrtune.orchestrator.lifecycle.terminal import console
from nrtune.orchestrator.views.tables import cell, print_table
from nrtune.trainables.core.files import BEST

LETTERS = string.ascii_uppercase
NAMED = 6
"""Trials that were left out are named up to so many."""

WIDEST = 4
"""Up to so many objectives the table also has room for what they become on data that no search sees."""


def front_of(source: Trials, objectives: Sequence[str]) -> Front:
    """The Pareto front of a source's trials at these objectives, or at its own.

    Raises UserError for a wrong objective, and where no finished trial has all of them.
    """
    chosen = parse_objectives(objectives, "--pareto") or objectives_of(source.objectives, source.select_on)
    return pareto_front(source.trials(), chosen)


def pareto_json(source: Trials, front: Front) -> str:
    """The front of a source as a JSON object."""
    return json.dumps(front_record(source, front), indent=1)


def front_record(source: Trials, front: Front) -> dict[str, Any]:
    """Everything about a front, for programs; what is unknown is null."""
    records = {record.name: record for record in source.records()}
    trials = []
    for row in front.trials.to_dict("records"):
        record = records[row["name"]]
        checkpoint = source.file(record.fingerprint, BEST)
        trials.append(
            {
                "trial": record.name,
                "family": record.family,
                "fingerprint": record.fingerprint,
                "replicates": int(row["replicates"]),
                "values": values_at(row, [objective.metric for objective in front.objectives]),
                "reported": values_at(row, [objective.reported for objective in front.objectives]),
                "config": dict(record.config),
                "checkpoint": None if checkpoint is None else str(checkpoint),
            }
        )
    return {
        "objectives": [
            {"metric": objective.metric, "direction": objective.direction} for objective in front.objectives
        ],
        "front": trials,
        "candidates": front.candidates,
        "without_metric": list(front.without_metric),
        "unreplicated": list(front.unreplicated),
    }


def pareto_rows(source: Trials, front: Front) -> list[dict[str, Any]]:
    """A row a trial of the front, with its values of the objectives and on data that no search sees, for programs."""
    return [
        {name: one[name] for name in ("trial", "family", "fingerprint", "replicates")} | one["values"] | one["reported"]
        for one in front_record(source, front)["front"]
    ]


def pareto_table(front: Front) -> None:
    """Print a front: a row a trial, its values, and what they are on data that no search sees."""
    objectives = front.objectives
    seen = [objective for objective in objectives if objective.reported == objective.metric]
    shown: list[tuple[str, str]] = []  # heading, metric
    for letter, objective in zip(LETTERS, objectives, strict=False):
        shown.append((letter, objective.metric))
        if objective not in seen and len(objectives) <= WIDEST:
            shown.append((f"{letter}*", objective.reported))
    names = short_names(list(map(str, front.trials["name"])))
    rows = [
        [name, str(row["family"]), *(cell(float(row.get(metric, math.nan))) for _, metric in shown)]
        for name, row in zip(names, front.trials.to_dict("records"), strict=True)
    ]
    print_table(["trial", "family", *(heading for heading, _ in shown)], rows, 2)
    out = console()
    for letter, objective in zip(LETTERS, objectives, strict=False):
        out.print(f"{letter}: {_legend(objective)}")
    for sentence in _sentences(front, seen):
        out.print(sentence)


def _legend(objective: Objective) -> str:
    wanted = "larger is better" if objective.direction == "max" else "smaller is better"
    return f"{phrase(objective.metric)}, {wanted}" + (
        f" ({objective.metric})" if phrase(objective.metric) != objective.metric else ""
    )


def _sentences(front: Front, seen: Sequence[Objective]) -> list[str]:
    """How the front came about, and what is not on it."""
    found = []
    if len(seen) < len(front.objectives):
        found.append("*: the same on test sequences or CAGI5 challenge variants, which did not decide the front.")
    if seen:
        found.append(
            f"{listed([objective.metric for objective in seen])}: data to report on; a front picked on them flatters."
        )
    on_it = count(len(front.trials), "trial")
    found.append(f"{on_it} of {front.candidates}: no other is as good in every objective and better in one.")
    if len(front.objectives) == 1:
        found.append(
            "Of one objective the front is the best trial; give several, such as --pareto METRIC:max OTHER:min."
        )
    if front.unreplicated:
        found.append(
            f"Values are means over seeds; {count(len(front.unreplicated), 'trial')} of a single seed did not compete."
        )
    if front.without_metric:
        names = [*front.without_metric[:NAMED], *(["others"] if len(front.without_metric) > NAMED else [])]
        left_out = count(len(front.without_metric), "trial")
        found.append(f"{left_out} left out for want of a metric: {listed(names)}.")
    return found
