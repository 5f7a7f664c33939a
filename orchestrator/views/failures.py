"""Why trials failed: by class, with an example, and with what sets those of a class apart where that can't well be chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.trainables.core.outside_text import visible

ALPHA = 0.05
"""The most probable that a separation may be by chance, over all parameters that are looked at."""

NO_CAUSES = ("seed", "epochs")
"""What trials differ in that is not a choice of theirs."""

LONGEST = 60
"""Characters of a message that is quoted."""


def failure_causes(records: Iterable[TrialRecord]) -> list[str]:
    """A sentence a class of failures, the most frequent first: how many, the first of them, and a hint."""
    records = list(records)
    others = [record for record in records if record.status != FAILED]
    by_class: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.status == FAILED:
            by_class.setdefault(str(record.failure_class), []).append(record)
    return [_sentence(name, of, others) for name, of in sorted(by_class.items(), key=lambda item: -len(item[1]))]


def _sentence(failure_class: str, failed: Sequence[TrialRecord], others: Sequence[TrialRecord]) -> str:
    first = failed[0]
    message = visible(str(first.failure))
    quoted = message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"
    example = f"{first.name}: {quoted}" if len(failed) == 1 else f"such as {first.name}: {quoted}"
    hint = separation([_choices(one) for one in failed], [_choices(one) for one in others])
    return f"{len(failed)} {failure_class}" + (f": {hint}" if hint else "") + f" ({example})"


def _choices(record: TrialRecord) -> dict[str, Any]:
    return {"family": record.family} | {k: v for k, v in record.config.items() if k not in NO_CAUSES}


def separation(failed: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> str:
    """What all that failed have and none of the others has, such as `lr above 0.02`; "" where nothing sets them apart.

    Were the parameters no cause, any of the C(n, k) ways to choose the k failed of n trials would be as likely. Two of these set
    them apart at an end of a number, one at a value; times the parameters that vary this must not exceed ALPHA.
    """
    everyone = [*failed, *others]
    names = [name for name in dict.fromkeys(key for one in failed for key in one) if all(name in one for one in failed)]
    varying = [name for name in names if len({repr(one.get(name)) for one in everyone}) > 1]
    said = []
    for name in varying:
        known = [one[name] for one in others if name in one]
        of_failed = [one[name] for one in failed]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in [*of_failed, *known])
        chance = (2 if numbers else 1) / math.comb(len(known) + len(failed), len(failed))
        if known and chance * len(varying) <= ALPHA:
            said += [f"{name} {apart}"] if (apart := (_of_numbers if numbers else _of_values)(of_failed, known)) else []
    return " and ".join(said[:3])


def _of_numbers(failed: Sequence[float], others: Sequence[float]) -> str:
    if min(failed) > max(others):
        return f"above {_between(max(others), min(failed)):g}"
    if max(failed) < min(others):
        return f"below {_between(min(others), max(failed)):g}"
    return ""


def _of_values(failed: Sequence[Any], others: Sequence[Any]) -> str:
    return str(failed[0]) if len({repr(one) for one in failed}) == 1 and failed[0] not in others else ""


def _between(kept: float, failed: float) -> float:
    """The shortest number from the last of the others, itself included, to the first that failed."""
    middle = math.sqrt(kept * failed) if kept > 0 and failed > 0 else (kept + failed) / 2
    low, high = sorted((kept, failed))
    for digits in range(1, 6):
        for value in (float(f"{kept:.{digits}g}"), float(f"{middle:.{digits}g}")):
            if low <= value <= high and value != failed:
                return value
    return kept
