"""Shared data, made once a session, one Ray, and the watch on all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from watch import _leaves_nothing, _no_rubbish, pytest_collection_finish, pytest_configure  # noqa: F401

# Two busy processes share two cores well; two that have two threads each wait for one another's most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's workers are nice to everybody else: beside busy processes they would get a thirtieth of a core.
os.environ.setdefault("RAY_worker_niceness", "0")

# Shapes in signatures are checked while testing, in every module that has some.
from jaxtyping import install_import_hook

install_import_hook(
    [f"nrtune.trainables.{name}" for name in ("losses", "encoders", "heads", "model")], "beartype.beartype"
)

from nrtune.analysis import figures  # noqa: E402
from nrtune.trainables.data.benchmarks.cagi5 import read_cagi5  # noqa: E402
from nrtune.trainables.data.lentimpra import read_dataset  # noqa: E402
from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated  # noqa: E402
from nrtune.trainables.training.loop import TrainingData  # noqa: E402

HDF5_FILE = "lentimpra/lentiMPRA_WTC11_activity_and_aleatoric_data.h5"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What searches is end to end."""
    for item in items:
        if "shared_ray" in getattr(item, "fixturenames", ()) or item.path.parent.name == "integration":
            item.add_marker("end_to_end")


@pytest.fixture(scope="session", autouse=True)
def _state_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What nrtune remembers of campaigns of tests is no business of the user's who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files; skips where it is missing."""
    folder = Path(os.environ.get("NRTUNE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / HDF5_FILE).exists():
        pytest.skip(f"no real data at {folder}; set NRTUNE_TEST_DATA to a folder that has {HDF5_FILE}")
    return folder


@pytest.fixture(scope="session")
def simulated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an HDF5 file of 400 simulated sequences and their CAGI5 folder, with a variant of four.

    Scoring all 2,880 takes a trial six times as long as an epoch.
    """
    return _simulated(400, tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="session")
def learnable_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with 1,000 sequences. After four epochs on them, in batches of 32, what models say rises with activity.

    On 400 that is up to chance, and a model whose output falls is refused where it is to predict.
    """
    return _simulated(1000, tmp_path_factory.mktemp("learnable"))


def _simulated(n: int, folder: Path) -> Path:
    write_simulated(simulate(n), folder)
    for path in (folder / "cagi5").glob("*.tsv"):
        lines = path.read_text().splitlines(keepends=True)
        first = next(n for n, line in enumerate(lines) if not line.startswith("#"))
        path.write_text("".join([*lines[:first], *lines[first::4]]))
    return folder


@pytest.fixture(scope="session")
def simulated_data(simulated_folder: Path) -> TrainingData:
    """The data of `simulated_folder`."""
    return TrainingData(
        read_dataset(simulated_folder / HDF5_NAME), (read_cagi5(simulated_folder / "cagi5", cell_line="simulated"),)
    )


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[str]:
    """One Ray for all tests of this process, and its address for other processes."""
    import ray

    from nrtune.orchestrator.execution.ray_session import ray_session

    with ray_session(None):
        yield ray.get_runtime_context().gcs_address


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two figures of eighteen in a report: each takes most of a second to draw."""
    monkeypatch.setattr(figures, "figure_names", lambda: ["fig02_test_vs_cagi5", "fig14_summary"])
