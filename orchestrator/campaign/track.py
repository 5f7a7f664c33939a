"""A campaign into a tracker, all of it, from its records: the tracker was away, is another one, or lost what it had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nrtune.analysis.selection.pareto import objectives_of
from nrtune.analysis.store.records import FINISHED, TrialRecord, read_manifest, read_records, read_status
from nrtune.analysis.wording import count, shell_path
from nrtune.orchestrator.campaign.shown import families_of, parameters_of, tags_of
from nrtune.orchestrator.lifecycle.tracker_sink import TrackerSink
from nrtune.orchestrator.search.objectives import objective_values
from nrtune.orchestrator.search.proposals import ObjectiveValues
from nrtune.orchestrator.state.given import remember
from nrtune.orchestrator.state.ledger import Ledger, hold
from nrtune.orchestrator.state.locations import MLFLOW, chosen_tracking_uri, default_uri
from nrtune.orchestrator.state.manifest import settle
from nrtune.orchestrator.tracking.tracker import TRACKERS, Tracker
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.core.secrets import without_password

PATIENCE_SECONDS = 600.0
"""How long one write may take: here nobody waits for anything else."""


def track(folder: Path, uri: str | None, say: Callable[[str], None]) -> str:
    """Write what a tracker lacks of a campaign, replicates and kept models included; returns a sentence.

    uri: where to, this once; None: where the campaign is tracked. Nothing that is there is written again. Raises UserError where
    the tracker can't be opened, something could not be written, or a search is writing to the folder.
    """
    manifest = read_manifest(folder)
    name = str(manifest["identity"].get("tracker", MLFLOW))
    tracker_class, place = TRACKERS.get(name), chosen_tracking_uri(uri, folder)
    if without_password(place) == manifest["identity"].get("tracking_uri"):
        remember(folder, {"tracking_uri": place})
    if place is not None:
        tracker_class.check(place)
    identity = manifest["identity"]
    objectives = objectives_of(identity.get("objective", ()), identity["select_on"])

    def evaluate(record: TrialRecord) -> ObjectiveValues | None:
        return objective_values(objectives, record.metrics)

    with hold(folder) as lock:
        manifest = settle(folder, say)
        records = read_records(folder)
        parameters = parameters_of(manifest, families_of(manifest, records))

        def open_tracker() -> Tracker:
            return tracker_class.open(place, folder.resolve(), manifest, parameters)

        opened = [open_tracker()]  # what can't be opened is this command's end, and no thread's
        title = "MLflow" if name == MLFLOW else name
        sink = TrackerSink(
            Ledger(folder, manifest, lock, records, ""),
            lambda: opened.pop() if opened else open_tracker(),
            lambda proposal: tags_of(manifest, proposal),
            evaluate,
            say=say,
            show=lambda text: None,
            name=title,
            again=f"nrtune track {shell_path(folder)}",
            meanwhile="",
        )
        sink.open()
        sink.keep_models(
            one.fingerprint for one in records if (sink.ledger.trial_folder(one.fingerprint) / BEST).exists()
        )
        ended = read_status(folder).get("state") == FINISHED
        if lacking := sink.bring_up_to_date(FINISHED if ended else "interrupted", PATIENCE_SECONDS):
            raise UserError("; ".join(lacking))
    return f"{title} has all {count(len(records), 'trial')}: {without_password(place) or default_uri(folder)}"
