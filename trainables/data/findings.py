"""What an audit says: findings, each of one kind, with a place, a count and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nrtune.trainables.core.errors import UserError, suggest

ELEMENT_IN_TRAINING = "element-in-training"
"""The id of findings that count the training sequences that overlap an element."""

REF_DISAGREES = "ref-disagrees"
"""The id of findings of refs that are not the reference's bases."""

Severity = Literal["error", "warning", "note"]
SEVERITIES: Sequence[Severity] = ("error", "warning", "note")
"""From the gravest on: an error refuses unless it is accepted, a warning is to be looked at, a note says what was done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that an audit found in one place.

    id: of its kind, such as ref-disagrees, which `--accept` takes. what: a clause without a full stop. where: the file, folder or
    split, and the element or column, in words; "" where the data as a whole are meant. count: rows, variants or sequences that it
    is about, of so many in all (`of`); None where nothing is counted. example: one of them, or "". advice: what to do, or "".
    element: of a benchmark, whose score it is about, or "".
    """

    id: str
    severity: Severity
    what: str
    where: str = ""
    count: int | None = None
    of: int | None = None
    example: str = ""
    advice: str = ""
    element: str = ""

    def __str__(self) -> str:
        """One line: where, what, how many, an example, what to do."""
        counted = "" if self.count is None else f" ({self.count}{'' if self.of is None else f' of {self.of}'})"
        example = f", such as {self.example}" if self.example else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{f'{self.where}: ' if self.where else ''}{self.what}{counted}{example}{advice}"

    def as_json(self) -> dict[str, Any]:
        """All fields, for files and programs."""
        return dataclasses.asdict(self)


def row_of(place: int) -> str:
    """A row for people, who count from 1."""
    return f"row {place + 1}"


def count_of(number: int, what: str = "row") -> str:
    """So many of something: 1 row, 2 rows."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def flagged(
    flags: NDArray[np.bool_],
    id: str,
    severity: Severity,
    what: str,
    *,
    where: str = "",
    of: int | None = None,
    example: Callable[[int], str] = row_of,
    advice: str = "",
) -> list[Finding]:
    """One finding of what is flagged, (n,), with the first of it as an example; none where nothing is.

    of: so many in all; None for n. example: says the one at a place. Otherwise as in `Finding`.
    """
    if not flags.any():
        return []
    return [
        Finding(
            id=id,
            severity=severity,
            what=what,
            where=where,
            count=int(flags.sum()),
            of=len(flags) if of is None else of,
            example=example(int(flags.argmax())),
            advice=advice,
        )
    ]


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings, the gravest first, and otherwise in their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def refuse_errors(findings: Collection[Finding], accepted: Collection[str] = ()) -> None:
    """Raise UserError for the first error that is not accepted, and for an accepted id that no finding has."""
    for name in accepted:
        if name not in {finding.id for finding in findings}:
            hint = suggest(name, {finding.id for finding in findings}, "; nothing of that kind was found")
            raise UserError(f"--accept {name}: no finding is called so{hint}")
    errors = [finding for finding in findings if finding.severity == "error" and finding.id not in accepted]
    if errors:
        more = len({finding.id for finding in errors}) - 1
        also = f" (and {more} more kind{'s' * (more > 1)} of error: nrtune data check lists them)" if more else ""
        raise UserError(f"{errors[0]}; or --accept {errors[0].id}, and it is said wherever a result is{also}")
