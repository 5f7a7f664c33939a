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
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nrtune.analysis.store import shapes
from nrtune.analysis.store.ledger_file import LedgerFile, read_lines
from nrtune.analysis.store.shapes import FAILED as FAILED
from nrtune.analysis.store.shapes import FINISHED as FINISHED
from nrtune.analysis.store.shapes import PRUNED as PRUNED
from nrtune.analysis.store.shapes import SCORED as SCORED
from nrtune.analysis.store.shapes import STATUSES as STATUSES
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import TRIALS as TRIALS
from nrtune.trainables.core.inside import check_inside, inside
from nrtune.trainables.core.shape import EACH, DamagedFile, DamagedWarning, check_shape, read_json

MANIFEST, RECORDS, STATUS = "campaign.json", "trials.jsonl", "status.json"
WARM_START = "warm_start.pt"
JOURNAL = "optuna.journal"
JOURNAL_LOCK = f"{JOURNAL}.lock"
"""A symbolic link that Optuna makes and removes, and never follows; one that a crash left names the folder of then."""
REFERENCE_LINES, METRICS = "references", "metrics.json"
FORMAT = 2
MOST_DAMAGE = 20
"""So many of the records that are damaged or lost are named."""


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
    where unknown. kernels: of a GPU, by name, whether it was used, or why not.
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
    kernels: Mapping[str, str] = dataclasses.field(default_factory=dict)

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


def read_manifest(folder: Path, *, whole: bool = True) -> dict[str, Any]:
    """Read campaign.json.

    whole: it must say what winners are selected on, without which nothing of a campaign can be shown. Raises UserError where
    the folder holds no campaign, or what leads out of it, DamagedFile where it is not what nrtune wrote.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise UserError(f"{folder}: no such campaign folder; give the --out of a search")
    if not path.exists():
        raise UserError(f"{folder}: holds no campaign (no {MANIFEST}); give the --out of a search")
    check_inside(folder, deep=False, but=(JOURNAL_LOCK,))  # all commands come by here
    manifest = read_json(path, "the manifest of a campaign", dict, not_finite=True)
    there = manifest.get("format")
    if there != FORMAT:
        newer = isinstance(there, int) and there > FORMAT
        by = (
            "by a newer nrtune; read it with that version"
            if newer
            else "by nrtune before 0.1; read it with that version"
        )
        raise UserError(f"{path}: was written {by}")
    try:
        check_shape(manifest, shapes.MANIFEST)
        check_shape(manifest, dict.fromkeys(manifest.get("benchmarks", ()), shapes.BENCHMARK))
        if whole and "select_on" not in manifest["identity"]:
            raise ValueError("identity.select_on: is missing")
    except (ValueError, TypeError) as error:
        raise DamagedFile(f"{path}: is damaged ({one_line(error)})") from error
    return {"id": "", "name": folder.name, "created": "", "settings": {}, **manifest}


def benchmarks_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The benchmarks that a campaign was made with; each has an entry of its name, and had before they were listed."""
    return tuple(manifest.get("benchmarks", [name for name in ("cagi5", "satmut") if manifest.get(name)]))


def read_ledger(folder: Path) -> LedgerFile[TrialRecord]:
    """Read every trial that ended, in that order, and what is damaged or lost. A last line that a crash cut does not count."""
    written = read_status(folder).get("ended", 0)  # before the records: a search may be going on
    return read_lines(folder / RECORDS, shapes.RECORD, TrialRecord.from_flat, written)


def read_records(folder: Path) -> list[TrialRecord]:
    """Read every trial that ended, in that order. What is damaged or lost is named by a DamagedWarning, and the rest is read."""
    found = read_ledger(folder)
    for sentence in (*found.damaged, *found.lost)[:MOST_DAMAGE]:
        warnings.warn(sentence, DamagedWarning, stacklevel=2)
    return found.records


def records_to_go_on(folder: Path) -> LedgerFile[TrialRecord]:
    """The same, for who adds to them. Raises UserError where a line is damaged: it is the user's to say what becomes of it."""
    found = read_ledger(folder)
    if found.damaged:
        raise UserError(
            f"{found.damaged[0].partition(', so its')[0]}; put the {RECORDS} of before back, or remove the line, and its trial"
            " is trained again"
        )
    for sentence in found.lost[:MOST_DAMAGE]:
        warnings.warn(f"{sentence}; what is missing is trained again", DamagedWarning, stacklevel=2)
    return found


def read_status(folder: Path) -> dict[str, Any]:
    """Read status.json; empty where there is none, or a damaged one, as it is written anew every few seconds."""
    path = folder / STATUS
    if not path.exists():
        return {}
    try:
        return dict(read_json(path, "the status of a campaign", shapes.STATUS, not_finite=True))
    except DamagedFile as error:
        warnings.warn(str(error), DamagedWarning, stacklevel=2)
        return {}


def read_references(folder: Path) -> dict[str, dict[str, float]]:
    """Read the metrics of each non-neural baseline, by its name; empty where there are none.

    They have the names of a trial's; undefined ones are left out. Raises UserError for a damaged file.
    """
    found: dict[str, dict[str, float]] = {}
    for path in sorted((folder / REFERENCE_LINES).glob(f"*/{METRICS}")):
        try:
            file = inside(folder, REFERENCE_LINES, path.parent.name, METRICS)
            found[path.parent.name] = dict(read_json(file, "metrics of a baseline", {EACH: float}))
        except DamagedFile as error:
            raise UserError(f"{error}; remove it, and the next start makes it again") from error
    return found
