"""What to do once a campaign has ended: the verdicts' recommendations, and the commands that follow from them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping

from nrtune.analysis.report.document import Step
from nrtune.analysis.report.summaries import below_references
from nrtune.analysis.sources.trials import CampaignFolder
from nrtune.analysis.uncertainty.compared import WORSE, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.verdict import Verdict, replicate_first, verdict_of
from nrtune.analysis.wording import argument, listed, use_case_name

_FIRST = "replicate first: "


def _recommendation(verdict: Verdict) -> str:
    return verdict.recommendation


def advice(
    comparisons: Comparisons, found: Mapping[str, Comparison], say: Callable[[Verdict], str] = _recommendation
) -> list[str]:
    """What is said, once for all use cases of which the same is; one command for all that lack seeds."""
    return [f"{', '.join(names)}: {said}" for said, names in _grouped(comparisons, found, say).items()]


def _grouped(
    comparisons: Comparisons, found: Mapping[str, Comparison], say: Callable[[Verdict], str]
) -> dict[str, list[str]]:
    """Of each thing that is said, the use cases of which it is."""
    groups: dict[str, list[str]] = {}
    lacking: list[str] = []
    for name, comparison in found.items():
        verdict = verdict_of(comparisons, comparison)
        if verdict.recommendation == replicate_first(comparisons, [name]):
            lacking.append(name)
        else:
            groups.setdefault(say(verdict), []).append(name)
    if lacking:
        rest = sum(len(names) for said, names in groups.items() if not said.startswith("none: "))
        groups[replicate_first(comparisons, lacking if rest else [])] = lacking
    return groups


def next_steps(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[Step]:
    """What the verdicts recommend, each with the command that does it: to predict with what is recommended, or to replicate."""
    verdicts = {name: verdict_of(comparisons, one) for name, one in found.items()}
    uses: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        if verdict.recommended_trial is not None:
            uses.setdefault(verdict.recommended_trial, []).append(name)
    for trial, names in uses.items():
        kept = verdicts[names[0]].baseline == trial
        what = f"Keep the baseline {trial}" if kept else f"Use {trial}"
        # A use case's winner predicts with all its trainings, a trial that is named with that one alone.
        which = ["--trial", trial] if kept else ["--use-case", names[0]]
        yield Step(f"{what} for {_names(names)}", _predict(comparisons, which))
    for said, names in _grouped(comparisons, found, _recommendation).items():
        if said.startswith(_FIRST):
            yield Step(
                f"Train {_names(names)} with more seeds before anything is used for it", said.removeprefix(_FIRST)
            )
    below = [name for name, verdict in verdicts.items() if verdict.against_non_neural == WORSE]
    if below:
        yield Step(
            f"For {_names(below)} a non-neural baseline is significantly better: use that, or search with other encoders"
            " or more epochs"
        )


def _names(use_cases: list[str]) -> str:
    return listed([use_case_name(name) for name in use_cases])


def _predict(comparisons: Comparisons, which: list[str]) -> str:
    """The command that predicts with a model; "" where there is no campaign's folder."""
    if not isinstance(comparisons.source, CampaignFolder):
        return ""
    words = ["nrtune", "predict", argument(comparisons.source.folder), *which]
    return f"{shlex.join(words)} --vcf VARIANTS.vcf --fasta GENOME.fa"


def caveats(comparisons: Comparisons, found: Mapping[str, Comparison]) -> Iterator[str]:
    """What may change what one does: findings of the audit, what has no intervals and why, and non-neural baselines above."""
    for finding in comparisons.source.audit.warnings:
        yield f"Audit of the data, {finding.id}: {finding}."
    reasons = sorted({one.why_not for one in found.values() if one.why_not})
    if reasons:
        lacking = [use_case_name(name) for name, one in found.items() if one.why_not]
        where = "" if len(lacking) == len(found) else f" for {listed(lacking)}"
        yield f"No intervals{where}: {'; '.join(reasons)}. What is best here may be so by luck."
    below = [name for name, one in found.items() if below_references(comparisons, one)]
    if below:
        yield f"The winners of {_names(below)} are below a non-neural baseline (see there)."
    if comparisons.select_on == "challenge":
        yield "Winners are selected on the very data that they are reported on: the values are too good."
