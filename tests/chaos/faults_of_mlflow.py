"""Faults of MLflow: a server, a database, and what somebody deletes there."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from fault_table import before, during
from servers import free_port
from stage import Stage, Start

from nrtune.orchestrator.state.locations import ARTIFACTS, DATABASE


@before(at_server=False)
def database_damaged(stage: Stage, start: Start) -> Iterator[None]:
    path = stage.out / DATABASE
    if stage.out.exists():
        path.write_bytes(b"no database" * 99)
    yield
    (stage.out / DATABASE).unlink(missing_ok=True)  # as the sentence says


@before(at_server=False)
def database_of_an_older_version(stage: Stage, start: Start) -> Iterator[None]:
    path = stage.out / DATABASE
    change(path, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    yield
    (stage.out / DATABASE).unlink(missing_ok=True)


@before(at_server=False)
def database_and_artifacts_removed(stage: Stage, start: Start) -> Iterator[None]:
    (stage.out / DATABASE).unlink(missing_ok=True)
    shutil.rmtree(stage.out / ARTIFACTS, ignore_errors=True)
    yield


@before(at_server=True)
def server_spelled_otherwise(stage: Stage, start: Start) -> Iterator[None]:
    start.settings["tracking_uri"] = f"http://localhost:{stage.server.port}/"
    yield


@before(at_server=True)
def server_away_at_the_start(stage: Stage, start: Start) -> Iterator[None]:
    stage.server.signal(signal.SIGKILL)
    yield
    stage.server.start()


@before()
def proxy(stage: Stage, start: Start) -> Iterator[None]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    start.environment |= {"http_proxy": nowhere, "https_proxy": nowhere, "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere}
    yield


@during(at_server=True)
def server_killed(stage: Stage) -> Iterator[Callable[[], bool]]:
    stage.server.signal(signal.SIGKILL)
    yield stage.after(stage.random.randint(2, 30))
    stage.server.start()


@during(at_server=True)
def server_hangs(stage: Stage) -> Iterator[Callable[[], bool]]:
    stage.server.signal(signal.SIGSTOP)
    yield stage.after(stage.random.randint(2, 30))
    stage.server.signal(signal.SIGCONT)


@during(at_server=True)
def server_lost_all(stage: Stage) -> Iterator[Callable[[], bool]]:
    stage.server.signal(signal.SIGKILL)
    shutil.rmtree(stage.server.folder)
    stage.server.folder.mkdir()
    stage.server.start()
    yield stage.after(0)


@during()
def database_locked(stage: Stage) -> Iterator[Callable[[], bool]]:
    if not stage.database.exists():
        yield stage.after(0)
        return
    with closing(sqlite3.connect(stage.database, timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield stage.after(stage.random.randint(5, 40))
        database.execute("ROLLBACK")


@during(at_server=False)
def database_overwritten(stage: Stage) -> Iterator[Callable[[], bool]]:
    path = stage.database
    if path.exists():
        with path.open("rb+") as file:
            file.write(b"no database" * 99)
    yield stage.after(stage.random.randint(2, 30))
    path.unlink(missing_ok=True)


@during(at_server=False)
def database_removed(stage: Stage) -> Iterator[Callable[[], bool]]:
    stage.database.unlink(missing_ok=True)
    yield stage.after(0)


@during()
def run_deleted(stage: Stage) -> Iterator[Callable[[], bool]]:
    """The newest: as a rule that of the trial which runs."""
    trials = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
    newest = f"SELECT run_uuid FROM runs WHERE run_uuid IN ({trials}) ORDER BY start_time DESC LIMIT 1"
    change(stage.database, f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid IN ({newest})")
    yield stage.after(0)


@during()
def campaigns_run_deleted(stage: Stage) -> Iterator[Callable[[], bool]]:
    trials = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
    change(stage.database, f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid NOT IN ({trials})")
    yield stage.after(0)


@during()
def experiment_deleted(stage: Stage) -> Iterator[Callable[[], bool]]:
    change(
        stage.database,
        "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'nrtune'",
        "UPDATE runs SET lifecycle_stage = 'deleted'",
    )
    yield stage.after(0)


@during(at_server=False)
def artifacts_away(stage: Stage) -> Iterator[Callable[[], bool]]:
    """A file stands where their folder was."""
    place, kept = stage.out / ARTIFACTS, stage.out / "kept"
    if place.exists():
        place.rename(kept)
        place.touch()
    yield stage.after(stage.random.randint(2, 30))
    if kept.exists():
        place.unlink(missing_ok=True)
        kept.rename(place)


def change(database: Path, *statements: str) -> None:
    """Change MLflow's records as its own user interface would; what it has not made yet stays as it is."""
    if database.exists():
        with closing(sqlite3.connect(database, timeout=60)) as open_database, open_database:
            for statement in statements:
                with suppress(sqlite3.OperationalError, sqlite3.DatabaseError):
                    open_database.execute(statement)
