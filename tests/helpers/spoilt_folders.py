"""A finished campaign as its folder holds it, with real checkpoints and predictions, and ways to spoil its files."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nrtune.analysis.store.records import MANIFEST, RECORDS, STATUS, TRIALS, TrialRecord
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.trainables.core.files import BEST, HISTORY, predictions_file
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.training_data import TrainingData

WHEN = "2026-01-01T00:00:00+00:00"
IDENTITY = {"command": "search", "select_on": "val", "tracker": "none", "tracking_uri": None, "epochs": 1}
WINNER = "RS-001"


def write_campaign(folder: Path) -> Path:
    """Train four trials for an epoch and end them as a search does; WINNER wins in_distribution."""
    data = TrainingData(simulate(200).dataset)
    about = {"settings": {"epochs": 1, "keep": []}, "data": {"name": "d", "length": data.dataset.length, "train": 160}}
    ledger = open_ledger(folder, "c", IDENTITY, about, must_exist=False)
    for number, name in enumerate(("BASE-001", "BASE-002", WINNER, "RS-002")):
        config = TrialConfig.from_flat(
            {**preset("small", "motif_cnn"), "encoder.channels": 8, "epochs": 1, "batch_size": 32, "seed": number}
        )
        there = ledger.trial_folder(data.fingerprint_of(config))
        found = fit(config, data, folder=there, device="cpu")
        (there / "last.pt").unlink()
        good = {"val/spearman": 0.9, "test/spearman": 0.9} if name == WINNER else {}
        metrics = {key: value for key, value in found.metrics.items() if value == value}
        ledger.append(
            TrialRecord.from_flat(
                name=name, family="baseline" if "BASE" in name else "rank_stability", number=number,
                fingerprint=found.fingerprint, status="finished", config=config.to_flat(), metrics=metrics | good,
                epochs_trained=1, seconds=1.0, started=WHEN, ended=WHEN,
            )
        )  # fmt: skip
    ledger.write_status("finished", "search", [])
    ledger.close()
    return folder


def trial_folder(folder: Path, name: str = WINNER) -> Path:
    """Where a trial's own files lie."""
    records = map(json.loads, (folder / RECORDS).read_text().splitlines())
    return folder / TRIALS / next(record["fingerprint"] for record in records if record["name"] == name)


def in_json(name: str, *keys: str, value: Any) -> Callable[[Path], None]:
    """What sets, or with ... removes, a value of a JSON file of the folder."""

    def spoil(folder: Path) -> None:
        whole = content = json.loads((folder / name).read_text())
        for key in keys[:-1]:
            content = content[key]
        if value is ...:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value
        (folder / name).write_text(json.dumps(whole))

    return spoil


def of_bytes(name: str, content: bytes) -> Callable[[Path], None]:
    """What gives a file of the folder another content."""
    return lambda folder: (folder / name).write_bytes(content) and None


def in_checkpoint(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """What changes the winner's checkpoint, as torch itself writes it."""

    def spoil(folder: Path) -> None:
        path = trial_folder(folder) / BEST
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, path)

    return spoil


def a_folder_for(name: str) -> Callable[[Path], None]:
    """What puts a folder in the place of a file."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def at_random(folder: Path, generator: random.Random) -> str:
    """Spoil some file in some way; returns what was done."""
    own = trial_folder(folder)
    files = [folder / name for name in (MANIFEST, MANIFEST, RECORDS, RECORDS, STATUS)]
    files += [own / name for name in (BEST, BEST, HISTORY, predictions_file("test"), predictions_file("test"))]
    path = generator.choice(files)
    ways = [_flipped, _cut, _doubled, _noise, _emptied, _folder]
    if path.suffix in (".json", ".jsonl"):
        ways += [_value] * 12
    way = generator.choice(ways)
    way(path, generator)
    return f"{way.__name__} {path.relative_to(folder)}"


def _flipped(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(generator.choice((1, 1, 20))):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def _cut(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


def _doubled(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    at = generator.randrange(len(content))
    path.write_bytes(content[at:] + content[:at])


def _noise(path: Path, generator: random.Random) -> None:
    path.write_bytes(generator.randbytes(300))


def _emptied(path: Path, generator: random.Random) -> None:
    path.write_bytes(b"")


def _folder(path: Path, generator: random.Random) -> None:
    path.unlink()
    path.mkdir()


ODD: tuple[Any, ...] = (None, "x", "../../x", -1, 0, 5, 1e300, float("nan"), float("inf"), 10**30, True, [], {}, [[]], ["x"],
                        [None], {"a": 1}, "é\x1b[31m", "1", json.loads("[" * 60 + "]" * 60))  # fmt: skip


def _value(path: Path, generator: random.Random) -> None:
    """Another value, of whatever kind, at some place of some line; or none."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    chosen = generator.randrange(len(lines))
    whole = content = json.loads(lines[chosen])
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = generator.choice(keys)
        inner = content[key]
        if not isinstance(inner, dict | list) or generator.random() < 0.2:
            break
        content = inner
    if generator.random() < 0.15:
        del content[key]
    else:
        content[key] = generator.choice(ODD)
    whole = dict(whole) if isinstance(whole, dict) else whole
    if isinstance(whole, dict) and generator.random() < 0.5:  # as of before records had digests
        whole.pop("digest", None)
        whole.pop("record", None)
    lines[chosen] = json.dumps(whole)
    path.write_text("\n".join(lines) + "\n")


def copy_of(folder: Path, to: Path) -> Path:
    """A copy that may be spoilt."""
    shutil.copytree(folder, to)
    return to
