"""What a tracker shows of a campaign beside its trials, all of it from its manifest: the data may be elsewhere by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nrtune.analysis.store.records import Proposal, TrialRecord, benchmarks_of

IN_SEARCH = ("scheduler", "sampler")


def families_of(manifest: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[str]:
    """The families that were searched, or those of the trials that have ended."""
    of_trials = dict.fromkeys(record.family for record in records if record.replicate_of is None)
    return list(manifest.get("settings", {}).get("families") or of_trials)


def parameters_of(manifest: Mapping[str, Any], families: Iterable[str]) -> dict[str, Any]:
    """The parameters of a campaign's own run; what one of another kind or of before has not is left out."""
    identity, data = manifest["identity"], manifest.get("data", {})
    shown = {
        "families": ",".join(families),
        **{
            name: identity[name]
            for name in ("preset", "epochs", "warm_start", "freeze", "select_on")
            if name in identity
        },
        "data": data.get("name"),
        "data_digest": identity["data"],
    }
    for name in benchmarks_of(manifest):
        # CAGI5's have no prefix: its elements are read back by that name, also from campaigns of before.
        of, entry = "" if name == "cagi5" else f"{name}_", manifest[name]
        shown[f"{of}matched"] = ",".join(entry["matched"])
        if identity.get(name) is not None:
            shown[f"{name}_digest"] = identity[name]
        if entry.get("cell_line"):
            shown[f"{of}cell_line"] = entry["cell_line"]
    shown |= {name: identity[name] for name in ("seed", *IN_SEARCH) if name in identity}
    shown |= {name: ",".join(map(str, identity[name])) for name in ("encoders", "objective") if identity.get(name)}
    return {name: value for name, value in shown.items() if value is not None}


def tags_of(manifest: Mapping[str, Any], proposal: Proposal) -> dict[str, str]:
    """The tags of a trial's run."""
    identity = manifest["identity"]
    if "preset" not in identity:  # the study's own table
        return {key: str(value) for key, value in proposal.config.items() if "." not in key}
    tags = {key: str(proposal.config[key]) for key in ("encoder", "head", "loss", "sampler", "seed")}
    return {**tags, "preset": identity["preset"], "select_on": identity["select_on"]}
