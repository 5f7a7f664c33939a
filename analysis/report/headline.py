"""What a report says first: which winners are significantly better, what is better than them, what was not tested."""

from __future__ import annotations

from nrtune.analysis.selection.candidates import MIN_SEEDS
from nrtune.analysis.uncertainty.compared import BETTER, WORSE, Comparison
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.analysis.uncertainty.student import SIGNIFICANT
from nrtune.analysis.uncertainty.tested import lacking_seeds, too_few
from nrtune.analysis.uncertainty.verdict import verdict_of
from nrtune.analysis.wording import listed, use_case_name

NO_IMPROVEMENT = "No significant improvement over the baseline on these variants"
NOTHING_TESTED = "No winner was tested against the baseline"


def headline(comparisons: Comparisons) -> str:
    """What was accepted of the data, and which methods are significantly better than the baseline, in a sentence or two."""
    return " ".join(filter(None, (comparisons.source.audit.accepted_sentence(), _of_winners(comparisons))))


def _of_winners(comparisons: Comparisons) -> str:
    found, _ = comparisons.compare_all()
    if not found:
        return "There is no winner: no finished trial has a use case's metrics."
    verdicts = {name: verdict_of(comparisons, one) for name, one in found.items()}
    better: dict[str, list[str]] = {}
    untested: dict[str, list[str]] = {}
    rest = []
    for name, one in verdicts.items():
        if not one.is_tested:
            untested.setdefault(_why_not_tested(found[name]), []).append(use_case_name(name))
        elif one.against_baseline == BETTER:
            better.setdefault(one.winner, []).append(use_case_name(name))
        else:
            rest.append(use_case_name(name))
    if not better and not rest:
        reasons = sorted({one.against_baseline.partition(": ")[2] for one in verdicts.values()})
        return f"{NOTHING_TESTED}: {'; '.join(reasons)}."
    said = [
        f"{NO_IMPROVEMENT}." if not untested else f"No significant improvement over the baseline for {listed(rest)}."
    ]
    if better:
        each = "; ".join(f"{trial} in {listed(names)}" for trial, names in better.items())
        said = [f"Significantly better than the baseline (Holm, α = {SIGNIFICANT:g}): {each}."]
        said += [f"No significant improvement for {listed(rest)}."] if rest else []
    unsure = [use_case_name(name) for name in verdicts
              if verdicts[name].against_baseline == BETTER and found[name].winner.better_baseline is not None]  # fmt: skip
    if unsure:
        said.append(f"In {listed(unsure)} the search has a better baseline by selection data, which lacks seeds.")
    below = [use_case_name(name) for name, one in verdicts.items() if one.against_non_neural == WORSE]
    if below:
        said.append(f"In {listed(below)} a non-neural baseline is significantly better than the winner.")
    above = [use_case_name(name) for name, one in verdicts.items() if one.against_non_neural == BETTER]
    if above:
        said.append(f"In {listed(above)} the winner is significantly better than the best non-neural baseline.")
    if untested:
        said.append(f"Not tested: {'; '.join(f'{listed(names)} ({why})' for why, names in untested.items())}.")
    return " ".join(said)


def _why_not_tested(comparison: Comparison) -> str:
    """In few words: whose seeds are too few differs between use cases."""
    lacking = lacking_seeds(comparison.table, comparison.winner)
    return f"fewer than {MIN_SEEDS} seeds" if comparison.not_tested == too_few(lacking) else comparison.not_tested
