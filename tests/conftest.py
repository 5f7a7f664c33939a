"""Shared data: small simulated sets made once a session, and the real files where this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Shapes in signatures are checked while testing, in every module that has some.
from jaxtyping import install_import_hook

install_import_hook([f"trainables.{name}" for name in ("losses", "encoders", "heads", "model")], "beartype.beartype")

from trainables.data.cagi5 import read_cagi5  # noqa: E402
from trainables.data.lentimpra import read_dataset  # noqa: E402
from trainables.data.simulate import HDF5_NAME, simulate, write_simulated  # noqa: E402
from trainables.training import TrainingData  # noqa: E402

HDF5_FILE = "lentimpra/lentiMPRA_WTC11_activity_and_aleatoric_data.h5"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files; skips where it is missing."""
    folder = Path(os.environ.get("NRTUNE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / HDF5_FILE).exists():
        pytest.skip(f"no real data at {folder}; set NRTUNE_TEST_DATA to a folder that has {HDF5_FILE}")
    return folder


@pytest.fixture(scope="session")
def simulated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an HDF5 file of 400 simulated sequences and their CAGI5 folder."""
    folder = tmp_path_factory.mktemp("simulated")
    write_simulated(simulate(400), folder)
    return folder


@pytest.fixture(scope="session")
def simulated_data(simulated_folder: Path) -> TrainingData:
    """The data of `simulated_folder`."""
    return TrainingData(
        read_dataset(simulated_folder / HDF5_NAME), read_cagi5(simulated_folder / "cagi5", cell_line="simulated")
    )
