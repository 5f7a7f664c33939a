"""Which checkpoints stay once trials have ended: those of the best of each use case, and what the user asked to keep."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nrtune.analysis.selection.candidates import BASELINE, configurations
from nrtune.analysis.selection.pareto import Objective, objectives_of, pareto_front
from nrtune.analysis.selection.use_cases import USE_CASES, UseCase, load_use_cases
from nrtune.analysis.selection.winners import finalists, find_winner
from nrtune.analysis.store.records import (
    JOURNAL_LOCK,
    RECORDS,
    TRIALS,
    TrialRecord,
    benchmarks_of,
    read_manifest,
    read_records,
)
from nrtune.analysis.store.table import table_of
from nrtune.analysis.wording import count
from nrtune.orchestrator.state.ledger import is_running
from nrtune.orchestrator.state.locations import RAY_FOLDER
from nrtune.orchestrator.state.settings import KEEP_ALL, Settings
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.core.files import BEST, LAST
from nrtune.trainables.core.given import check_file
from nrtune.trainables.core.inside import check_inside, inside
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.benchmarks import BENCHMARKS


class RetentionPlan(NamedTuple):
    """What may go: files with their sizes in bytes, and folders; kept: the trials whose checkpoints stay, by fingerprint."""

    files: Mapping[Path, int]
    folders: Sequence[Path]
    kept: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(self.files.values())

    def carry_out(self) -> None:
        """Delete it all. Raises UserError where that is not allowed."""
        for path in self.files:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(
                    f"{path}: can't be deleted ({error.strerror}); mend its folder's permissions"
                ) from error
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise UserError(f"{folder}: can't be deleted, or not all of it; mend its permissions")


def plan_retention(
    folder: Path,
    records: Mapping[str, TrialRecord],
    select_on: str,
    top: int,
    keep: Iterable[str],
    use_cases: Mapping[str, UseCase] = USE_CASES,
) -> RetentionPlan:
    """What a campaign's folder may lose.

    records: what has ended, by fingerprint. select_on: beside what the campaign selects on. Of each use case the `top` best
    trials keep their checkpoint of the best epoch, as do its winner by fresh seeds, baselines, the Pareto front of a search
    with several objectives, trials named in `keep` (or all), and the replicates of any of these. A trial that has not ended
    keeps everything. History and predictions stay. Raises UserError for a name that no trial has.
    """
    identity = read_manifest(folder)["identity"]
    objectives = objectives_of(identity.get("objective", ()), identity["select_on"])
    selected = dict.fromkeys((identity["select_on"], select_on))
    kept = _kept(records, selected, top, tuple(keep), objectives, use_cases)
    files: dict[Path, int] = {}
    for path in sorted((folder / TRIALS).glob("*/*")):
        fingerprint = path.parent.name
        ended = fingerprint in records
        goes = (path.name == BEST and fingerprint not in kept) or path.name == LAST or path.suffix == ".partial"
        if ended and goes:
            files[inside(folder, TRIALS, fingerprint, path.name)] = path.lstat().st_size
    return RetentionPlan(files, (), kept)


def plan_gc(folder: Path, top: int | None, keep: Sequence[str] | None) -> RetentionPlan:
    """What `nrtune gc` would delete: what a search lets go at its end, and what Ray Tune and crashes left behind.

    top, keep: None for what the campaign was started with. Raises UserError, also while a search runs.
    """
    manifest = read_manifest(folder)
    if unknown := [name for name in benchmarks_of(manifest) if name not in BENCHMARKS]:
        raise UserError(
            f"{folder}: was scored on {unknown[0]}, which is a plug-in; set {PLUGIN_VARIABLE} as in the search"
        )
    if is_running(folder):
        raise UserError(f"{folder}: a search is writing to it; wait for it to end")
    stored = {name: manifest.get("settings", {}).get(name, Settings.model_fields[name].default)
              for name in ("keep_top", "keep", "use_cases")}  # fmt: skip
    check_inside(folder, but=(JOURNAL_LOCK,))
    if stored["use_cases"] is not None:
        check_file(Path(stored["use_cases"]), "the file of use cases that the campaign was started with")
    records = {record.fingerprint: record for record in read_records(folder)}
    found = plan_retention(
        folder,
        records,
        manifest["identity"]["select_on"],
        stored["keep_top"] if top is None else top,
        stored["keep"] if keep is None else keep,
        USE_CASES if stored["use_cases"] is None else load_use_cases(Path(stored["use_cases"])),
    )
    left = {path: path.stat().st_size for path in folder.glob(".*.partial")}
    ray = folder / RAY_FOLDER
    return found._replace(files={**found.files, **left}, folders=(ray,) if ray.is_dir() else ())


def describe(folder: Path, found: RetentionPlan) -> str:
    """What would go and what stays, for people."""
    names = {record.fingerprint: record.name for record in read_records(folder)}
    models = [path.parent.name for path in found.files if path.name == BEST]
    lines = [f"checkpoints of {count(len(found.kept), 'trial')} stay"]
    if models:
        lines.append(f"would go: checkpoints of {count(len(models), 'trial')}: {', '.join(names[m] for m in models)}")
    if rest := len(found.files) - len(models):
        lines.append(f"would go: {count(rest, 'file')} that a crash left")
    lines += [f"would go: {path.name}/, Ray Tune's own state, which no restart reads" for path in found.folders]
    if not found.files and not found.folders:
        return f"{lines[0]}; there is nothing to delete"
    return "\n".join(
        [*lines, f"{found.size / 1e6:.1f} MB in {count(len(found.files), 'file')}; {RECORDS} and predictions stay"]
    )


def _kept(
    records: Mapping[str, TrialRecord],
    selected: Iterable[str],
    top: int,
    keep: tuple[str, ...],
    objectives: Sequence[Objective],
    use_cases: Mapping[str, UseCase],
) -> dict[str, str]:
    """The trials whose checkpoints stay: fingerprint to name."""
    names = {name: record.name for record in records.values() for name in (record.name, *record.aliases)}
    for name in keep:
        if name not in names and name != KEEP_ALL:
            raise UserError(f"--keep {name}: the campaign has no such trial{suggest(name, names, '')}")
    if KEEP_ALL in keep:
        return {fingerprint: record.name for fingerprint, record in records.items()}
    wanted = {names[name] for name in keep}
    wanted |= {record.name for record in records.values() if record.family == BASELINE}
    table = table_of(list(records.values()))
    for use_case, select_on in itertools.product(use_cases, selected):
        try:
            wanted |= set(finalists(table, use_case, select_on, top, use_cases))
            wanted.add(find_winner(table, use_case, select_on, use_cases).trial)
        except UserError:  # no trial has its metrics
            continue
    if len(objectives) > 1:
        with contextlib.suppress(UserError):  # no trial has all of their metrics
            wanted |= set(pareto_front(table, objectives).trials["name"])
    if len(table):
        # A winner whose published seeds are one configuration is the mean of them all.
        together = configurations(table, fresh=False)
        seeds = dict(zip(together["name"], together["trainings"], strict=True))
        wanted |= {training for name in wanted for training in seeds.get(name, ())}
    return {f: r.name for f, r in records.items() if r.name in wanted or r.replicate_of in wanted}
