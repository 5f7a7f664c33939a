"""What can be wrong with the settings of any campaign, and the data that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, load_use_cases
from nrtune.analysis.store.audit import Audit, findings_of
from nrtune.analysis.store.records import MANIFEST, read_manifest
from nrtune.orchestrator.campaign.recipe import Recipe
from nrtune.orchestrator.campaign.warm_start import audited_start
from nrtune.orchestrator.state.data_settings import PATHS
from nrtune.orchestrator.state.settings import RunSettings
from nrtune.orchestrator.tracking.tracker import TRACKERS
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.data.audit import AUDIT_VERSION, audit
from nrtune.trainables.data.benchmarks import BENCHMARKS, VariantSet
from nrtune.trainables.data.findings import Finding, by_severity, refuse_errors
from nrtune.trainables.evaluation.metrics import MIN_STRATUM
from nrtune.trainables.training.read_data import read_training_data
from nrtune.trainables.training.training_data import TrainingData


def check_places(settings: RunSettings) -> None:
    """See whether there are a folder and data, and whether what is named is known. Raises UserError."""
    if settings.out is None:
        raise UserError("--out is missing: name the campaign's folder, to be made or taken up again")
    if settings.data is None:
        raise UserError("--data is missing: give a lentiMPRA .h5 or .tsv file, or try `nrtune demo`")
    TRACKERS.check_name(settings.tracker)
    for name in settings.benchmarks():
        BENCHMARKS.check_name(name)


def check_tracking_uri(settings: RunSettings, uri: str | None) -> None:
    """See whether a tracker can have a store there, which may be away. Raises UserError; takes seconds, as MLflow is imported."""
    if uri is not None:
        TRACKERS.get(settings.tracker).check(uri)


def read_data(settings: RunSettings, recipe: Recipe) -> TrainingData:
    """Read what the trials are trained and scored on, beside the weights that they start from. Raises UserError."""
    data = read_training_data(
        settings.data_files(), settings.benchmarks(), cell_line=settings.cell_line, reading=settings.reading()
    )
    return data._replace(start=recipe.start)


def audited(settings: RunSettings, data: TrainingData) -> tuple[Finding, ...]:
    """What the audit finds in the data; of a campaign that has begun on the same data, what it found then.

    Raises UserError for an error that is not accepted.
    """
    before, same = _audited_before(settings, data)
    findings = (
        before.findings if same else tuple(by_severity([*audit(data.dataset, data.benchmarks), *audited_start(data)]))
    )
    there = {finding.id for finding in findings}
    # An audit of another version need not find again what was accepted when the campaign began.
    refuse_errors(findings, [one for one in settings.accept if one in there or one not in before.accepted])
    return findings


def _audited_before(settings: RunSettings, data: TrainingData) -> tuple[Audit, bool]:
    """The audit of a campaign that has begun, and whether it was of these data, and looked for what is looked for today."""
    if settings.out is None or not (settings.out / MANIFEST).exists():
        return Audit(), False
    manifest = read_manifest(settings.out)
    digests = {
        "data": data.dataset.digest,
        "warm_start": None if data.start is None else data.start.digest,
        **data.digests,
    }
    same = all(manifest["identity"].get(name) == digest for name, digest in digests.items())
    found = findings_of(manifest)
    return found, same and found.version == AUDIT_VERSION


def choose_selection(settings: RunSettings, data: TrainingData) -> str:
    """On what winners are selected: release, val or challenge. Raises UserError where the data do not have it."""
    variants = data.benchmark("cagi5")
    select_on = settings.select_on or ("release" if _can_select(variants, "release") else "val")
    if select_on != "val" and not _can_select(variants, select_on):
        raise UserError(
            f"--select-on {select_on} needs {MIN_STRATUM} {select_on} variants or more of a matched element:"
            " give --cagi5 with them, or select on val"
        )
    return select_on


def known_use_cases(own: Path | None) -> Mapping[str, UseCase]:
    """The use cases of every campaign, and those of a user's file. Raises UserError."""
    return USE_CASES if own is None else load_use_cases(own)


def check_use_cases(names: Iterable[str], known: Mapping[str, UseCase]) -> None:
    """See that use cases are known. Raises UserError."""
    for name in names:
        if name not in known:
            raise UserError(f"--use-case {name}: unknown{suggest(name, known)}")


def _can_select(variants: VariantSet | None, part: str) -> bool:
    """Whether a matched element has enough variants of a part to correlate."""
    return variants is not None and any(
        len(variants.rows(element, part)) >= MIN_STRATUM for element in variants.matched
    )


def absolute_paths(stored: dict[str, object]) -> dict[str, object]:
    """Settings whose paths can be read in whatever folder a command is called."""
    paths = (*PATHS, "data") if isinstance(stored.get("data"), str) else PATHS
    found = stored | {key: str(Path(str(stored[key])).resolve()) for key in paths if key in stored}
    if isinstance(splits := stored.get("data"), list | tuple):
        found["data"] = [str(Path(path).resolve()) for path in splits]
    if isinstance(benchmark := stored.get("benchmark"), dict):
        found["benchmark"] = {name: str(Path(path).resolve()) for name, path in benchmark.items()}
    return found
