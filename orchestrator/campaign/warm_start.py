"""What a campaign's trials start from: which of them do, what that was trained on, and its copy in the campaign's folder."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path

from nrtune.analysis.store.records import WARM_START, read_manifest
from nrtune.analysis.wording import listed
from nrtune.orchestrator.state.data_settings import DataSettings
from nrtune.orchestrator.state.settings import RunSettings
from nrtune.trainables.core.component import NONE
from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.adapters import Adapters, adapters_of
from nrtune.trainables.data.audit.overlap import audit_overlap
from nrtune.trainables.data.audit.start import audit_start
from nrtune.trainables.data.dataset import Dataset
from nrtune.trainables.data.findings import Finding
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.training.config import TrialConfig
from nrtune.trainables.training.training_data import TrainingData
from nrtune.trainables.training.warm_start import WarmStart, read_warm_start

UNTRAINED = "not from it, but untrained, as "
SPLIT_UNKNOWN = "start-unknown"
"""The id of the finding that says that it is not known what the weights were trained on."""


def start_of(settings: RunSettings) -> WarmStart | None:
    """The weights that a campaign's trials start from; once it has begun, its own copy where the file is gone.

    Raises UserError where neither can be read.
    """
    if settings.warm_start is None:
        if settings.freeze != NONE:
            raise UserError(f"--freeze {settings.freeze}: would keep random weights; give --warm-start too")
        return None
    path = settings.warm_start
    kept = None if settings.out is None else settings.out / WARM_START
    if not path.exists() and kept is not None and kept.exists():
        path = kept
    try:
        return read_warm_start(path)
    except UserError as error:
        raise UserError(f"--warm-start {error}") from error


def keep_start(folder: Path, start: WarmStart | None) -> None:
    """See that a campaign's folder has a copy of the weights that its trials start from. Raises UserError."""
    if start is None or (path := folder / WARM_START).exists():
        return
    write_atomically(path, lambda temporary: _copy(start, temporary))


def _copy(start: WarmStart, path: Path) -> None:
    shutil.copyfile(start.path, path)
    if read_warm_start(path).digest != start.digest:
        raise UserError(f"--warm-start {start.path}: was changed while it was read; start again")


def start_notes(
    start: WarmStart | None, freeze: str, configs: Iterable[tuple[str, TrialConfig]], dataset: Dataset
) -> list[str]:
    """Which trials start from the weights, with what of them, and which can't, in sentences; none where there are no weights.

    configs: of all kinds that are trained, each with its family. Raises UserError where none can start from them.
    """
    if start is None:
        return []
    outcomes: dict[str, dict[str, None]] = {}
    for family, config in configs:
        outcomes.setdefault(family, {})[_outcome(start, config)] = None
    said = dict.fromkeys(outcome for of in outcomes.values() for outcome in of)
    if all(outcome.startswith(UNTRAINED) for outcome in said):
        raise UserError(
            f"--warm-start {start.path}: no trial can start from it: {next(iter(said)).removeprefix(UNTRAINED)}; give"
            f" --encoders {start.config.encoder.name()} and no other size with --set"
        )
    frozen = ", its first layer frozen" if freeze != NONE else ""
    notes = [f"trials on {start.config.encoder.name()} start from {start.path} (weights {start.digest}{frozen})"]
    for outcome in filter(None, said):
        names = [name if len(of) == 1 else f"some of {name}" for name, of in outcomes.items() if outcome in of]
        notes.append(f"{listed(names)}: {outcome}")
    return [*notes, *_other_sequences(start, dataset)]


def _outcome(start: WarmStart, config: TrialConfig) -> str:
    """How a trial begins, in a clause; "" where it takes all."""
    if (why := start.why_not(config)) is not None:
        return f"{UNTRAINED}it {why}"
    if (why := start.why_not_head(config)) is not None:
        return f"from it, but with a new head, as {why}"
    return ""


def _other_sequences(start: WarmStart, dataset: Dataset) -> list[str]:
    """What differs of the sequences that the weights were trained on, in a sentence."""
    there = None if start.adapters is None else Adapters(*start.adapters)
    here = adapters_of(dataset)
    if start.length == dataset.length and there in (None, here):
        return []
    between = "" if there is None else f" between {there}"
    return [
        f"{start.path}: was trained on sequences of {start.length} bases{between}; these have {dataset.length} between {here}"
    ]


def audited_start(data: TrainingData) -> list[Finding]:
    """What held-out sequences and elements the weights that trials start from were trained on, or that this can't be told."""
    if (start := data.start) is None:
        return []
    try:
        if start.config.warm_start != NONE:
            raise UserError("it started from other weights itself")
        there = _trained_on(start.path)
    except UserError as error:
        what = (
            f"what the weights that trials start from were trained on can't be told ({one_line(error)}): validation and test"
            " sequences may be among it"
        )
        advice = "compare with what started from the same weights alone"
        return [
            Finding(id=SPLIT_UNKNOWN, severity="warning", what=what, where=f"warm start {start.path}", advice=advice)
        ]
    if there.digest == data.dataset.digest:
        return []
    found = audit_start(there, data.dataset)
    for variants in data.benchmarks:
        found += [
            dataclasses.replace(one, where=f"{one.where}, warm start {start.path}")
            for one in audit_overlap(there, variants)
        ]
    return found


def _trained_on(path: Path) -> Dataset:
    """The data of the campaign whose trial's checkpoint this is. Raises UserError where that is none, or has lost its data."""
    folders = path.resolve().parents
    if len(folders) < 3:
        raise UserError("it lies in no campaign's folder")
    manifest = read_manifest(folders[2])
    stored = manifest.get("settings", {})
    try:
        settings = DataSettings(**{name: stored[name] for name in DataSettings.model_fields if name in stored})
        dataset = read_dataset(settings.data_files(), **settings.reading())
    except OSError as error:
        raise UserError(one_line(error)) from error
    except ValueError as error:
        raise UserError(one_line(error)) from error
    if dataset.digest != manifest["identity"].get("data"):
        raise UserError(f"the data of {folders[2]} have changed")
    return dataset
