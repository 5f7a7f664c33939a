"""What the files of a campaign's folder must hold, for `nrtune.trainables.core.shape`."""

from __future__ import annotations

import datetime
from typing import Any

from nrtune.trainables.core.shape import EACH, file_name, one_of, plain, shown
from nrtune.trainables.data.findings import SEVERITIES

FINISHED, SCORED, PRUNED, FAILED = "finished", "scored", "pruned", "failed"
STATUSES = (FINISHED, SCORED, PRUNED, FAILED)
"""How a trial ends: it trained all its epochs; it was cut off and scored all the same, as some published runs were; the
scheduler stopped it early; it failed, with a class."""
LONGEST_SEQUENCE = 1_000_000
_VALUE = (plain, int, float, bool, None)
_NAME, _TEXT, _NUMBER = (plain, None), (str, None), (float, None)


def any_number(value: Any) -> str | None:
    """A number that may be undefined."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number else f"is {shown(value)}, not a number"


def _moment(value: Any) -> str | None:
    """A time, ISO 8601, or an unknown one."""
    try:
        if value != "":
            datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f"is {shown(value)}, not a time"
    return None


def _bases(value: Any) -> str | None:
    is_length = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST_SEQUENCE
    return None if is_length else f"is {shown(value)}, not a length of sequences"


_FINDING = {"id": str, "severity": one_of(*SEVERITIES), "what": str, "where?": str, "count?": (int, None),
            "of?": (int, None), "example?": str, "advice?": str, "element?": str}  # fmt: skip
BENCHMARK = {
    "path?": str,
    "name?": str,
    "cell_line?": _TEXT,
    "matched?": [str],
    "loci?": [[str]],
    "counts?": [{"element?": str, "part?": str, "matched?": bool, EACH: (float, str, bool)}],
}
MANIFEST = {
    "format": int,
    "id?": str,
    "name?": str,
    "created?": str,
    "identity": {
        "select_on?": one_of("release", "val", "challenge"),
        "command?": str,
        "recipe?": int,
        "data?": _TEXT,
        "preset?": str,
        "precision?": str,
        "epochs?": (int, None),
        "seed?": int,
        "scheduler?": str,
        "sampler?": str,
        "starting_points?": _TEXT,
        "tracker?": str,
        "tracking_uri?": _TEXT,
        "optuna_storage?": _TEXT,
        "objective?": [str],
        "encoders?": [str],
        "set?": ({EACH: _VALUE}, None),
        "space?": ({EACH: dict}, None),
    },
    "settings?": {
        "prices?": {EACH: float},
        "keep_top?": int,
        "keep?": [str],
        "families?": [str],
        "only?": [str],
        "use_case?": [str],
        "use_cases?": _TEXT,
        "confirm?": (float, str),
        "epochs?": (int, None),
        "around?": _TEXT,
        "out?": _TEXT,
    },
    "data?": {
        "name?": str,
        "path?": str,
        "length?": _bases,
        "train?": int,
        "val?": int,
        "test?": int,
        "noise_measured?": bool,
        "notes?": [str],
    },
    "benchmarks?": [file_name],
    "cagi5?": (BENCHMARK, None),
    "satmut?": (BENCHMARK, None),
    "audit?": ({"version": int, "accepted": [str], "findings": [_FINDING]}, None),
    "software?": {EACH: str},
    "place?": {"host": str, "folder": str, "device": int, "inode": int},
    "copied_from?": [str],
}
RECORD = {
    "name": plain,
    "family": plain,
    "number": int,
    "fingerprint": file_name,
    "status": one_of(*STATUSES),
    "config": {
        "seed?": int,
        "epochs?": int,
        "encoder?": plain,
        "head?": plain,
        "loss?": plain,
        "sampler?": plain,
        EACH: _VALUE,
    },
    "metrics": {EACH: float},
    "epochs_trained": int,
    "seconds": float,
    "started": _moment,
    "ended": _moment,
    "failure_class?": _TEXT,
    "failure?": _TEXT,
    "attempts?": int,
    "micro_batches?": int,
    "cpu_seconds?": _NUMBER,
    "gpu_seconds?": _NUMBER,
    "kernels?": {EACH: str},
    "published?": _NAME,
    "replicate_of?": _NAME,
    "aliases?": {EACH: plain},
    "also?": {EACH: plain},
}
STATUS = {
    "state": one_of("running", "finished", "interrupted"),
    "command?": str,
    "phase?": str,
    "pid?": int,
    "since?": str,
    "updated?": str,
    "ended?": int,
    "started?": str,
    "wanted?": {EACH: int},
    "left?": (any_number, None),
    "running?": [
        {"name": plain, "family?": plain, "fingerprint?": str, "epoch": int, "epochs": int, "val_spearman": (any_number, None),
         "pid?": (int, None)}
    ],
}  # fmt: skip
HISTORY = [{EACH: any_number}]
"""Of history.json: an entry an epoch."""
