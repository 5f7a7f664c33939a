"""What a campaign's audit of its data found, as its manifest tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nrtune.analysis.wording import listed
from nrtune.trainables.data.findings import Finding


class Audit(NamedTuple):
    """Findings, and the ids of those errors among them that were accepted. version: of the audit; 0 where there was none."""

    findings: tuple[Finding, ...] = ()
    accepted: tuple[str, ...] = ()
    version: int = 0

    @property
    def errors(self) -> list[Finding]:
        """The errors: all of them were accepted, or nothing would have been trained."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What is to be looked at."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def accepted_sentence(self) -> str:
        """What a result has to be read with; "" where no error was accepted."""
        if not (errors := self.errors):
            return ""
        said, kinds = "; ".join(map(str, errors)), listed(sorted({finding.id for finding in errors}))
        were = "An error in the data was" if len(errors) == 1 else f"{len(errors)} errors in the data were"
        return f"{were} accepted ({kinds}): {said}."


def findings_of(manifest: Mapping[str, Any]) -> Audit:
    """The audit of a campaign; empty of one that began before there was any."""
    stored = manifest.get("audit")
    if not stored:
        return Audit()
    return Audit(tuple(Finding(**one) for one in stored["findings"]), tuple(stored["accepted"]), stored["version"])


def audit_record(findings: tuple[Finding, ...], accepted: tuple[str, ...], version: int) -> dict[str, Any]:
    """What the manifest says of an audit."""
    return {"version": version, "accepted": list(accepted), "findings": [finding.as_json() for finding in findings]}
