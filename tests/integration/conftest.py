"""One Ray for all tests of this folder, and settings of a search that takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.settings import Settings
from trainables.data.simulate import HDF5_NAME


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    import ray

    from orchestrator.ray_run import start_ray

    start_ray(None)
    yield
    ray.shutdown()


@pytest.fixture
def settings(simulated_folder: Path, tmp_path: Path) -> Settings:
    """Baseline alone, one trial of two epochs."""
    return Settings(
        families=("baseline",),
        data=simulated_folder / HDF5_NAME,
        cagi5=simulated_folder / "cagi5",
        out=tmp_path / "out",
        trials=1,
        epochs=2,
    )
