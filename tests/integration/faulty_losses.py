"""A family of losses that go wrong, each in its own way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nrtune.trainables.core.registry import PLUGIN_VARIABLE

LOSS = """
import dataclasses, os, pathlib, signal, time
from nrtune.trainables.losses import Loss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Faulty(Loss):
    \"\"\"Mean squared error that goes wrong from the second epoch on.\"\"\"
    def __call__(self, prediction, target, progress):
        error = (prediction.mean - target.activity).square().mean()
        if progress.epoch == 0:
            return error
        {what}
"""
FAMILY = """
from nrtune.search_spaces import Choice, Family, Published
FAMILY = Family(
    code="BAD", title="Faulty", fixed={{"encoder": "dream_rnn", "head": "point", "sampler": "uniform"}},
    space=(Choice(name="loss", values={names}, default={names}[0]),),
    published=tuple(Published(name=name, seed=0, parameters={{"loss": name}}) for name in {names}),
)
"""


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`faulty(NAME=WHAT, …)`: a family `faulty` that has a trial of mse and one of each such loss."""
    folder = tmp_path / "plugins"
    for kind in ("losses", "search_spaces"):
        (folder / kind).mkdir(parents=True)
    monkeypatch.setenv(PLUGIN_VARIABLE, str(folder))

    def write(*first: str, **losses: str) -> None:
        for name, what in losses.items():
            (folder / "losses" / f"{name}.py").write_text(LOSS.format(what=what))
        (folder / "search_spaces" / "faulty.py").write_text(FAMILY.format(names=(*first, *losses)))

    return write
