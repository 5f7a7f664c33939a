"""A campaign from settings to books: read the data, open the books, run one Ray Tune run over all families."""

from __future__ import annotations

import functools
import socket
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nrtune.analysis.selection.pareto import Aim, default_aims
from nrtune.analysis.store.records import FAILED, TrialRecord
from nrtune.orchestrator.campaign.reference_lines import add_references
from nrtune.orchestrator.lifecycle.interrupts import Interrupts
from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.stopping import RULES, Arrivals, EarlyStopping, open_arrivals, rungs
from nrtune.orchestrator.search.allocation import Allocation, Even
from nrtune.orchestrator.search.family_study import Objectives, Proposal, Proposer
from nrtune.orchestrator.search.objectives import worth
from nrtune.orchestrator.state.ledger import DATABASE, Ledger, default_uri, open_ledger
from nrtune.orchestrator.state.retention import plan_sweep
from nrtune.orchestrator.state.settings import RunSettings
from nrtune.trainables.core.errors import UserError, suggest
from nrtune.trainables.data.benchmarks.cagi5 import Variants, cell_line_of, read_cagi5
from nrtune.trainables.data.benchmarks.satmut import read_satmut
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.evaluation.metrics import MIN_STRATUM
from nrtune.trainables.training.config import PRESETS, RECIPE_VERSION, TrialConfig, preset
from nrtune.trainables.training.loop import TrainingData

if TYPE_CHECKING:
    from nrtune.orchestrator.tracking.mlflow_tracker import Tracker

DEFAULT_CELL_LINE = "K562"
DEFAULT_ENCODER = "dream_rnn"


class Outcome(NamedTuple):
    """How a campaign ended: finished or interrupted, and how many trials ended with each status."""

    state: str
    counts: Mapping[str, int]
    why: str


class CampaignRun:
    """A checked campaign: everything that can be wrong has been found before anything starts or is written.

    What its trials are is up to `Search`, `Study` and `Replication`. Raises UserError.
    """

    early_stopping: EarlyStopping | None = None
    aims: tuple[Aim, ...]

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        if settings.out is None:
            raise UserError("--out is missing: name the campaign's folder, to be made or taken up again")
        if settings.data is None:
            raise UserError("--data is missing: give a lentiMPRA .h5 or .tsv file, or try `nrtune demo`")
        if settings.preset not in PRESETS:
            raise UserError(f"unknown preset {settings.preset!r}{suggest(settings.preset, PRESETS)}")
        self.folder = settings.out.resolve()
        self.tracking_uri = absolute(settings.tracking_uri)
        self.data = self.read_data()
        self.select_on = settings.select_on or ("release" if _can_select(self.data.variants, "release") else "val")
        if self.select_on != "val" and not _can_select(self.data.variants, self.select_on):
            raise UserError(
                f"--select-on {self.select_on} needs {MIN_STRATUM} {self.select_on} variants or more of a matched element:"
                " give --cagi5 with them, or select on val"
            )
        self.aims = default_aims(self.select_on)
        if settings.address is not None:
            _check_address(settings.address)
        if self.tracking_uri is not None:
            from nrtune.orchestrator.tracking.mlflow_tracker import check_uri

            check_uri(self.tracking_uri)

    @property
    def families(self) -> Sequence[str]:
        """The families that this run is about."""
        raise NotImplementedError

    def wanted(self, ledger: Ledger) -> dict[str, int]:
        """How many trials of each of these families shall have ended when the campaign is done."""
        raise NotImplementedError

    def allocation(self, ledger: Ledger) -> Allocation:
        """Which family gets the next trial."""
        return Even(self.wanted(ledger))

    def typical(self) -> TrialConfig:
        """A trial of this run, for a measurement of how many to run at once."""
        raise NotImplementedError

    def proposers(self, ledger: Ledger) -> dict[str, Proposer]:
        """What proposes the trials of each family, those of families included that the campaign has trials of."""
        raise NotImplementedError

    def ended(self, ledger: Ledger) -> Mapping[str, TrialRecord]:
        """What has ended of the trials that this run is about, by fingerprint: replicates are no trials of a search."""
        return ledger.records

    def read_data(self) -> TrainingData:
        """Read what the trials are trained and scored on. Raises UserError."""
        return _read_data(self.settings)

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""
        return int(self.settings.epochs or PRESETS[self.settings.preset]["epochs"] or 1)

    def make_config(self, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """The trial of a family's parameters, on the preset, with the campaign's budget."""
        settings = self.settings
        flat = {**preset(settings.preset, str(parameters.get("encoder", DEFAULT_ENCODER))), **parameters}
        flat |= {"epochs": self.epochs, "seed": seed, "precision": settings.precision}
        return TrialConfig.from_flat(flat)

    def objective(self, record: TrialRecord) -> Objectives | None:
        """What a trial is worth to the search, on what that may look at; None where the trial does not have it."""
        return worth(self.aims, record.metrics)

    def identity(self) -> dict[str, Any]:
        """The settings that decide a campaign's numbers: a folder holds one campaign."""
        variants, satmut = self.data.variants, self.data.satmut
        return {
            "command": self.settings.command,
            "recipe": RECIPE_VERSION,
            "data": self.data.dataset.digest,
            "cagi5": None if variants is None else variants.digest,
            "satmut": None if satmut is None else satmut.digest,
            "preset": self.settings.preset,
            "epochs": self.epochs,
            "precision": self.settings.precision,
            "select_on": self.select_on,
            "tracking_uri": self.tracking_uri,
        }

    def about(self) -> dict[str, Any]:
        """What the manifest says beside the identity."""
        dataset, variants, satmut = self.data
        splits = {split: len(dataset.rows(split)) for split in ("train", "val", "test")}
        about: dict[str, Any] = {
            "settings": self._stored_settings(),
            "data": {"name": dataset.name, "path": str(self.settings.data), "length": dataset.length, **splits,
                     "noise_measured": dataset.aleatoric_std is not None, "notes": list(dataset.notes)},
        }  # fmt: skip
        if variants is not None:
            about["cagi5"] = {
                "path": str(self.settings.cagi5),
                "cell_line": variants.cell_line,
                "matched": list(variants.matched),
                "counts": variants.counts().to_dict("records"),
            }
        if satmut is not None:
            about["satmut"] = {
                "path": str(self.settings.satmut),
                "assembly": satmut.assembly,
                "matched": list(satmut.matched),
                "counts": satmut.counts().to_dict("records"),
            }
        return about

    def notes(self) -> list[str]:
        """What a user should know of the data before they are trained on."""
        dataset, variants, satmut = self.data
        notes = [f"{dataset.name}: {note}" for note in dataset.notes]
        if variants is not None:
            if self.select_on == "val" and self.settings.select_on is None:
                notes.append(
                    f"{variants.name}: too few release variants to select on; winners are selected on validation"
                )
            counts = variants.counts()
            notes.append(f"{variants.name}: {len(variants)} variants; means are over {', '.join(variants.matched)}")
            wrong = int(counts["ref_mismatch"].sum())
            if wrong:
                names = ", ".join(dict.fromkeys(counts["element"][counts["ref_mismatch"] > 0]))
                notes.append(f"{variants.name}: {wrong} variants' Ref differ from the reference ({names}); kept")
        if satmut is not None:
            means = f"{len(satmut)} variants ({satmut.assembly}); means are over {', '.join(satmut.matched)}"
            notes += [f"{satmut.name}: {note}" for note in (means, *satmut.notes)]
        return notes

    def run(self) -> Outcome:
        """Run the campaign, or go on with it, until every family has its trials, the time is up, or Ctrl-C."""
        name = self.settings.name or self.folder.name
        ledger = open_ledger(self.folder, name, self.identity(), self.about(), must_exist=self.settings.resume)
        try:
            return self._run(ledger)
        except Exception as error:
            from nrtune.orchestrator.lifecycle.faults import storage_fault

            if isinstance(error, UserError) or (fault := storage_fault(error)) is None:
                raise
            raise UserError(
                f"{self.folder}: can't be written ({fault}); nothing that is there is lost: make room, and start"
                " the same command again"
            ) from error
        finally:
            ledger.close()

    def _stored_settings(self) -> dict[str, Any]:
        """What --resume goes on with, from whatever folder it is called."""
        stored = self.settings.model_dump(mode="json", exclude={"resume"}, exclude_none=True)
        paths = ("data", "cagi5", "satmut", "out")
        return stored | {key: str(Path(stored[key]).resolve()) for key in paths if key in stored}

    def build(self, family: str, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """Build a family's trial. Raises UserError, which names the family, where it can't be."""
        try:
            return self.make_config(parameters, seed)
        except UserError as error:
            raise UserError(f"family {family}: {error}") from error

    def check(self, family: str, parameters: Mapping[str, Any], seed: int) -> TrialConfig:
        """Build a family's trial, and see whether the data have what it needs. Raises UserError."""
        config = self.build(family, parameters, seed)
        try:
            self.data.check_noise(config)
        except UserError as error:
            raise UserError(f"{error}; leave that out (family {family}), or give data with aleatoric std") from error
        return config

    def _run(self, ledger: Ledger) -> Outcome:
        with Interrupts():
            from nrtune.orchestrator.lifecycle.recorder import Recorder  # and Ray with it

        proposers, wanted, allocation = self.proposers(ledger), self.wanted(ledger), self.allocation(ledger)
        progress = Progress(wanted, self.ended(ledger).values())
        uri = self.tracking_uri or default_uri(self.folder)
        open_tracker = functools.cache(lambda: _tracker(uri, self.folder, ledger.manifest, self.parent_parameters()))
        if uri != default_uri(self.folder) or (self.folder / DATABASE).exists():
            open_tracker()  # what can't be opened is said before anything is trained
        recorder = Recorder(
            ledger,
            open_tracker,
            proposers,
            self.objective,
            self._tags,
            progress,
            self.settings.command,
            self._arrivals(ledger),
        )
        state = "interrupted"  # unless it ends otherwise: an error must leave no run that looks alive
        try:
            add_references(self.folder, self.data, progress.say)
            recorder.reconcile()
            outcome = self._outcome("finished", ledger)
            if self._left(ledger, allocation):
                with progress:
                    outcome = self._tune(ledger, recorder, [proposers[f] for f in self.families], allocation)
            state = outcome.state
            if state == "finished":
                recorder.keep_models(
                    plan_sweep(
                        self.folder, ledger.everything(), self.select_on, self.settings.keep_top, self.settings.keep
                    )
                )
        finally:
            recorder.close(state)
        return outcome

    def _tune(self, ledger: Ledger, recorder: Any, proposers: list[Proposer], allocation: Allocation) -> Outcome:
        """Start Ray, run the trials that are left, and stop Ray."""
        try:
            with recorder.interrupts as interrupts:
                recorder.progress.say(f"starting Ray for {self._left(ledger, allocation)} trials")
                from nrtune.orchestrator.execution.ray_run import ray_there, run_trials

                with ray_there(self.settings.address):
                    interrupts.listen()
                    interrupts.leave_if_asked()
                    run_trials(self, ledger, recorder, proposers, allocation)
        except KeyboardInterrupt:
            return self._outcome("interrupted", ledger, "interrupted")
        finally:
            # Ray Tune ends what still runs when the time is up without a word to its callbacks.
            recorder.interrupt()
        if self._left(ledger, allocation, closed=recorder.closed_families):
            return self._outcome("interrupted", ledger, "the time budget is spent")
        why = "; ".join(recorder.closed_families.values())
        return self._outcome("finished", ledger, why)

    def _arrivals(self, ledger: Ledger) -> Arrivals | None:
        """Where trials are compared while they train; None without early stopping, and where the budget leaves no rung."""
        stopping = self.early_stopping
        if stopping is None or not rungs(self.epochs, stopping):
            return None
        ended = (
            (fingerprint, [entry["val/spearman"] for entry in ledger.history(fingerprint)])
            for fingerprint, record in ledger.records.items()
            if record.status != FAILED
        )
        failed = [record.fingerprint for record in ledger.records.values() if record.status == FAILED]
        return open_arrivals(RULES[stopping.rule](self.epochs, stopping), self.folder, ended, failed)

    def _outcome(self, state: str, ledger: Ledger, why: str = "") -> Outcome:
        return Outcome(state, Counter(record.status for record in self.ended(ledger).values()), why)

    def _left(self, ledger: Ledger, allocation: Allocation, closed: Collection[str] = ()) -> int:
        return allocation.left(Counter(record.family for record in self.ended(ledger).values()), closed)

    def parent_parameters(self) -> dict[str, Any]:
        """What MLflow shows of the campaign itself."""
        dataset, variants, satmut = self.data
        chosen = {"families": ",".join(self.families), "preset": self.settings.preset, "epochs": self.epochs,
                  "select_on": self.select_on, "data": dataset.name, "data_digest": dataset.digest}  # fmt: skip
        if variants is not None:
            chosen |= {"cagi5_digest": variants.digest, "cell_line": variants.cell_line,
                       "matched": ",".join(variants.matched)}  # fmt: skip
        if satmut is not None:
            chosen |= {"satmut_digest": satmut.digest, "satmut_matched": ",".join(satmut.matched)}
        return chosen

    def _tags(self, proposal: Proposal) -> dict[str, str]:
        config = proposal.config
        tags = {key: str(config[key]) for key in ("encoder", "head", "loss", "sampler", "seed")}
        return {**tags, "preset": self.settings.preset, "select_on": self.select_on}


def _tracker(*arguments: Any) -> Tracker:
    # With MLflow, which takes seconds, as do the tables of a new database.
    from nrtune.orchestrator.tracking.mlflow_tracker import Tracker

    return Tracker(*arguments)


def _read_data(settings: RunSettings) -> TrainingData:
    assert settings.data is not None
    dataset = read_dataset(
        settings.data,
        folds=None if settings.folds is None else {str(name): folds for name, folds in settings.folds.items()},
        noise=settings.noise,
        replicate_columns=settings.replicate_columns,
    )
    cell_line = settings.cell_line or cell_line_of(settings.data.name) or DEFAULT_CELL_LINE
    length = dataset.length
    return TrainingData(
        dataset,
        None if settings.cagi5 is None else read_cagi5(settings.cagi5, length=length, cell_line=cell_line),
        None if settings.satmut is None else read_satmut(settings.satmut, length=length, cell_line=cell_line),
    )


def absolute(url: str | None) -> str | None:
    """A relative path in a SQLite URL would mean another database in another folder."""
    prefix = "sqlite:///"
    if url is None or not url.startswith(prefix) or url.startswith(f"{prefix}/"):
        return url
    return prefix + str(Path(url.removeprefix(prefix)).resolve())


def _can_select(variants: Variants | None, part: str) -> bool:
    """Whether a matched element has enough variants of a part to correlate."""
    return variants is not None and any(
        len(variants.rows(element, part)) >= MIN_STRATUM for element in variants.matched
    )


def _check_address(address: str) -> None:
    """See whether anything listens at a host:port, which Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"--address {address}: no Ray cluster answers ({error})") from error
