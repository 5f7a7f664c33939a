"""A campaign folder's own records: what was asked for, and how each trial ended. Everything else follows them.

DIR/campaign.json    what the campaign is: id, data, settings that decide its numbers
DIR/trials.jsonl     one line a trial that ended; a line is whole or it does not count
DIR/stopping.jsonl   with early stopping, one line a trial at a rung; see nrtune.orchestrator.lifecycle.stopping
DIR/trials/<fingerprint>/   checkpoint, history and predictions of each trial
DIR/references/<name>/      metrics and predictions of a non-neural baseline, scored once for the campaign's data
DIR/warm_start.pt    the weights that trials start from, where they do
DIR/status.json      what is running now
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.inside import check_inside, inside, regular

MANIFEST, RECORDS, STATUS, TRIALS = "campaign.json", "trials.jsonl", "status.json", "trials"
WARM_START = "warm_start.pt"
JOURNAL = "optuna.journal"
JOURNAL_LOCK = f"{JOURNAL}.lock"
"""A symbolic link that Optuna makes and removes, and never follows; one that a crash left names the folder of then."""
REFERENCE_LINES, METRICS = "references", "metrics.json"
FORMAT = 2

FINISHED, SCORED, PRUNED, FAILED = "finished", "scored", "pruned", "failed"
STATUSES = (FINISHED, SCORED, PRUNED, FAILED)
"""How a trial ends: it trained all its epochs; it was cut off and scored all the same, as some published runs were; the
scheduler stopped it early; it failed, with a class."""


class Proposal(NamedTuple):
    """A trial to run: its name, family, number in the family's study, flat config and fingerprint.

    name: such as RS-002, unique in the campaign. published: the starting point that it is, if any: the study's configuration
    with the same parameters, one that `--set` changed (its name says so), or what `--around` named; starting points are
    never stopped early. aliases: other published names of the same configuration, each with its family: it is trained once for
    all. replicate_of: the trial whose configuration this one has, with another seed.
    """

    name: str
    family: str
    number: int
    config: Mapping[str, Any]
    fingerprint: str
    published: str | None
    aliases: Mapping[str, str]
    replicate_of: str | None = None

    def known_as(self, name: str, family: str) -> Proposal:
        """The same, with a further published name of its configuration."""
        return self._replace(aliases={**self.aliases, name: family})

    def to_json(self) -> str:
        """As one text: Ray Tune copies, flattens and keeps every entry of a trial's configuration."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Proposal:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """How a trial ended.

    proposal: what it was; its fields are the record's too. metrics: of the best validation epoch; undefined ones are left
    out. epochs_trained, seconds: what training took. started, ended: ISO 8601, UTC. attempts: how often it ran, as its
    worker or node was lost or memory ran out. micro_batches: parts of a batch whose gradients were added up. cpu_seconds,
    gpu_seconds: the CPUs and GPUs that it held, times how long, in all attempts since the search was last started; None
    where unknown.
    """

    proposal: Proposal
    status: str
    metrics: Mapping[str, float]
    epochs_trained: int
    seconds: float
    started: str
    ended: str
    failure_class: str | None = None
    failure: str | None = None
    attempts: int = 1
    micro_batches: int = 1
    cpu_seconds: float | None = None
    gpu_seconds: float | None = None

    @property
    def name(self) -> str:
        """The proposal's."""
        return self.proposal.name

    @property
    def family(self) -> str:
        """The proposal's."""
        return self.proposal.family

    @property
    def number(self) -> int:
        """The proposal's."""
        return self.proposal.number

    @property
    def config(self) -> Mapping[str, Any]:
        """The proposal's."""
        return self.proposal.config

    @property
    def fingerprint(self) -> str:
        """The proposal's."""
        return self.proposal.fingerprint

    @property
    def published(self) -> str | None:
        """The proposal's."""
        return self.proposal.published

    @property
    def aliases(self) -> Mapping[str, str]:
        """The proposal's."""
        return self.proposal.aliases

    @property
    def replicate_of(self) -> str | None:
        """The proposal's."""
        return self.proposal.replicate_of

    def known_as(self, name: str, family: str) -> TrialRecord:
        """The same, with a further published name of its configuration."""
        return dataclasses.replace(self, proposal=self.proposal.known_as(name, family))

    @classmethod
    def from_flat(cls, **values: Any) -> TrialRecord:
        """Build from the fields of both, as `to_flat` gives them. Raises TypeError where one is unknown or missing."""
        given = {"published": None, "aliases": values.pop("also", {})} | values  # also: their name until 0.1
        proposal = Proposal(**{name: given.pop(name) for name in Proposal._fields if name in given})
        return cls(proposal=proposal, **given)

    def to_flat(self) -> dict[str, Any]:
        """The fields of the proposal and of the record, by name."""
        return self.proposal._asdict() | {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "proposal"
        }

    def to_line(self) -> str:
        """One line of JSON, without its line end."""
        return json.dumps(self.to_flat(), separators=(",", ":"), allow_nan=False)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read campaign.json. Raises UserError where the folder holds no campaign, or what leads out of it."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise UserError(f"{folder}: no such campaign folder; give the --out of a search")
    if not path.exists():
        raise UserError(f"{folder}: holds no campaign (no {MANIFEST}); give the --out of a search")
    check_inside(folder, deep=False, but=(JOURNAL_LOCK,))  # all commands come by here
    try:
        with open(path, opener=regular) as file:
            manifest = json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is damaged ({error})") from error
    there = manifest.get("format") if isinstance(manifest, dict) else None
    if there != FORMAT:
        newer = isinstance(there, int) and there > FORMAT
        by = (
            "by a newer nrtune; read it with that version"
            if newer
            else "by nrtune before 0.1; read it with that version"
        )
        raise UserError(f"{path}: was written {by}")
    return dict(manifest)


def benchmarks_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The benchmarks that a campaign was made with; each has an entry of its name, and had before they were listed."""
    return tuple(manifest.get("benchmarks", [name for name in ("cagi5", "satmut") if name in manifest]))


def read_records(folder: Path) -> list[TrialRecord]:
    """Read every trial that ended, in that order. A last line cut short by a crash does not count."""
    path = folder / RECORDS
    if not path.exists():
        return []
    records: list[TrialRecord] = []
    with open(path, "rb", opener=regular) as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                records.append(TrialRecord.from_flat(**json.loads(line)))
            except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
                raise UserError(f"{path}: line {number} is damaged ({error})") from error
    return records


def read_status(folder: Path) -> dict[str, Any]:
    """Read status.json; empty where there is none."""
    try:
        with open(folder / STATUS, opener=regular) as file:
            status = json.load(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return dict(status)


def read_references(folder: Path) -> dict[str, dict[str, float]]:
    """Read the metrics of each non-neural baseline, by its name; empty where there are none.

    They have the names of a trial's; undefined ones are left out. Raises UserError for a damaged file.
    """
    found: dict[str, dict[str, float]] = {}
    for path in sorted((folder / REFERENCE_LINES).glob(f"*/{METRICS}")):
        try:
            with open(inside(folder, REFERENCE_LINES, path.parent.name, METRICS), opener=regular) as file:
                found[path.parent.name] = {name: float(value) for name, value in json.load(file).items()}
        except UserError:
            raise
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: is damaged ({error}); remove it, and the next start makes it again") from error
    return found
