"""The non-neural baselines of a campaign: scored once for its data, and kept beside its trials."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from nrtune.analysis.store.records import METRICS, REFERENCE_LINES
from nrtune.trainables.core.errors import one_line
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.evaluation.predictions import store_predictions
from nrtune.trainables.evaluation.reference_lines import REFERENCES, score_reference
from nrtune.trainables.training.training_data import TrainingData


def add_references(folder: Path, data: TrainingData, say: Callable[[str], None]) -> None:
    """Score the non-neural baselines that a campaign folder lacks; one counts as there once its metrics are.

    No data set that can be read is too small for one, but a machine may be, or its disk: then the campaign goes on
    without, and the next start tries again.
    """
    missing = [name for name in REFERENCES if not (folder / REFERENCE_LINES / name / METRICS).exists()]
    if missing:
        say(f"scoring the non-neural baselines {', '.join(missing)}, once for these data")
    for name in missing:
        try:
            _add(folder / REFERENCE_LINES / name, name, data)
        except (OSError, MemoryError, ValueError) as error:  # LinAlgError and UserError are ValueErrors
            say(
                f"no non-neural baseline {name} ({type(error).__name__}: {one_line(error)}); the campaign goes on without it"
            )


def _add(folder: Path, name: str, data: TrainingData) -> None:
    found = score_reference(name, data.dataset, data.benchmarks)
    folder.mkdir(parents=True, exist_ok=True)
    store_predictions(found, folder, name)
    text = json.dumps(found.defined(), indent=1)
    write_atomically(folder / METRICS, lambda path: path.write_text(text + "\n"))
