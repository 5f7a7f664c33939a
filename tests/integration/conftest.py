"""Settings of a search that takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty_losses import faulty  # noqa: F401

from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.data.simulate import HDF5_NAME


@pytest.fixture
def settings(simulated_folder: Path, tmp_path: Path) -> Settings:
    """Baseline alone, one trial of two epochs; one worker to start."""
    return Settings(
        families=("baseline",),
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=tmp_path / "out",
        trials=1,
        epochs=2,
        max_concurrent=1,
        confirm="none",
    )
