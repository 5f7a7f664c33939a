"""A campaign that is struck twenty times ends as if nobody had touched it.

Thirty short trials, all of them starting points, so the list is fixed; several Ray nodes, an MLflow server. A strike is
drawn at random: a worker killed, a node lost, a node that is told to go (as before a spot machine is taken away), the
driver killed or interrupted, the MLflow server gone for a while, a full disk, an object store that spills.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from campaign_records import mlflow_runs
from command_line import CommandLine, Process
from ray.cluster_utils import Cluster
from servers import free_port, mlflow_server, served
from stage import mounted, stacks

from nrtune.analysis.store.records import TrialRecord, read_records
from nrtune.orchestrator.search.optuna_storage import open_storage
from nrtune.orchestrator.state.settings import Settings
from nrtune.trainables.core.registry import PLUGIN_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(1800)]

LOSSES = {"chaos_a": ("mse", "point"), "chaos_b": ("rank_stability", "point"), "chaos_c": ("distributional", "dual")}
FAMILIES = tuple(LOSSES)
TRIALS, EPOCHS, STRIKES = 10, 8, 20
LEAST_FINISHED = 25
SEEDS = tuple(map(int, os.environ.get("NRTUNE_CHAOS_SEEDS", "0,1,2,3,4").split(",")))

FAMILY = """
from nrtune.search_spaces import Family, Float, Published
FAMILY = Family(
    code="{code}", title="{name}",
    fixed={{"encoder": "dream_rnn", "head": "{head}", "sampler": "uniform", "loss": "{loss}"}},
    space=(Float(name="lr", low=0.0001, high=0.1, default=0.01, log=True),),
    published=tuple(Published(name=f"{code}{{n}}", seed=0, parameters={{"lr": 0.002 + 0.001 * n}}) for n in range({trials})),
)
"""

SPILL = """
import sys, numpy, ray
ray.init(address=sys.argv[1], log_to_driver=False)
kept = [ray.put(numpy.zeros(30_000_000, numpy.uint8)) for _ in range(8)]
assert sum(ray.get(one).sum() for one in kept) == 0
"""


class Battlefield:
    """Nodes, an MLflow server and a driver, and ways to harm them. Everything that is taken away comes back."""

    def __init__(self, settings: Settings, folder: Path, seed: int, stack: ExitStack) -> None:
        self.random, self.folder, self.stack = random.Random(seed), folder, stack
        # Ray's cluster_utils starts Ray in this process, which leaves a handler of SIGTERM behind.
        stack.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 150 << 20},
        )
        stack.callback(self.cluster.shutdown)
        self.nodes = [self._node() for _ in range(2)]
        self.port = free_port()
        self.server = ExitStack()
        stack.callback(lambda: self.server.close())
        self.start_server()
        self.settings = settings.model_copy(
            update={"address": self.cluster.address, "tracking_uri": f"http://127.0.0.1:{self.port}"}
        )
        self.out = Path(str(self.settings.out))
        self.driver: Process | None = None
        self.struck: Counter[str] = Counter()
        self.threads: list[threading.Thread] = []

    def _node(self) -> Any:
        return self.cluster.add_node(num_cpus=1, num_gpus=1, wait=True, object_store_memory=150 << 20)

    def start_server(self) -> None:
        self.server = ExitStack()
        self.process = self.server.enter_context(served(mlflow_server(self.folder, self.port), self.port))

    def strikes(self) -> list[Callable[[], None]]:
        found = [self.kill_worker, self.lose_node, self.drain_node, self.kill_driver, self.interrupt_driver,
                 self.server_away, self.spill]  # fmt: skip
        return [*found, self.fill_disk] if os.path.ismount(self.out.parent) else found

    def kill_worker(self) -> None:
        """SIGKILL a process in which a trial runs."""
        workers = [p for p in psutil.process_iter(["cmdline"]) if "ray::TrialTrainable" in " ".join(p.info["cmdline"] or ())
                   or "ray::ResourceTrainable" in " ".join(p.info["cmdline"] or ())]  # fmt: skip
        mine = [p for p in workers if self._is_mine(p)]
        if mine:
            self.random.choice(mine).kill()

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            raylets = {node.all_processes["raylet"][0].process.pid for node in self.nodes}
            return any(parent.pid in raylets for parent in process.parents())
        except psutil.Error:
            return False

    def lose_node(self) -> None:
        """A node is gone at once, and another comes."""
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)
        self.nodes.append(self._node())

    def drain_node(self) -> None:
        """A node is told to go."""
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=True)
        self.nodes.append(self._node())

    def kill_driver(self) -> None:
        self._end_driver(signal.SIGKILL)

    def interrupt_driver(self) -> None:
        self._end_driver(signal.SIGINT)

    def _end_driver(self, number: int) -> None:
        assert self.driver is not None
        if self.driver.process.poll() is None:
            try:
                self.driver.end(number, seconds=120)
            except subprocess.TimeoutExpired:
                left = stacks(self.driver.process.pid)
                pytest.fail(f"{number!r} did not end the driver, after {dict(self.struck)}:\n{left}")
        self.start_driver()

    def server_away(self) -> None:
        """The MLflow server dies, and answers again after some seconds."""
        if any(thread.is_alive() for thread in self.threads):
            return
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

        def come_back() -> None:
            time.sleep(10)
            self.start_server()

        self._later(come_back)

    def fill_disk(self) -> None:
        """No byte can be written to the campaign's disk for some seconds."""
        filler = self.out.parent / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(b"0" * (1 << 20))
                    file.flush()
            except OSError:
                pass
        time.sleep(4)
        filler.unlink()

    def spill(self) -> None:
        """Another job fills the object stores."""
        subprocess.run(
            [sys.executable, "-c", SPILL, self.cluster.address], check=False, capture_output=True, timeout=120
        )

    def _later(self, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what)
        thread.start()
        self.threads.append(thread)

    def start_driver(self) -> None:
        """Start the search, as often as it takes while the MLflow server or the disk is away."""
        self.driver = CommandLine(self.settings, self.folder).start()

    def keep_driver(self) -> bool:
        """Start the driver again if it gave up; whether the campaign is finished."""
        assert self.driver is not None
        if self.driver.process.poll() is None:
            return False
        code = self.driver.end()
        assert "Traceback" not in self.driver.err, self.driver.err
        if code == 0:
            return True
        time.sleep(3)
        self.start_driver()
        return False

    def wait(self, seconds: float) -> bool:
        """Let things run for a while; whether the campaign is finished."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.keep_driver():
                return True
            time.sleep(0.2)
        return False

    def rage(self) -> None:
        """Twenty strikes, then let it end."""
        self.start_driver()
        for _ in range(STRIKES):
            if self.wait(self.random.uniform(1, 12)):
                self.start_driver()  # even a finished campaign is started, and struck, again
            strike = self.random.choice(self.strikes())
            strike()
            self.struck[strike.__name__] += 1
        for thread in self.threads:
            thread.join()
        deadline = time.monotonic() + 900
        while not self.wait(1):
            assert time.monotonic() < deadline, "the campaign never ended"


def campaign(simulated_folder: Path, out: Path) -> Settings:
    return Settings(
        families=FAMILIES, trials=TRIALS, epochs=EPOCHS, grace_epochs=EPOCHS, keep=("all",), out=out, confirm="none",
        data=next(simulated_folder.glob("*.h5")), cagi5=simulated_folder / "cagi5",
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three families of ten starting points: the list of configurations is fixed."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "search_spaces").mkdir()
    for name, (loss, head) in LOSSES.items():
        text = FAMILY.format(code=f"CH{name[-1].upper()}", name=name, loss=loss, head=head, trials=TRIALS)
        (folder / "search_spaces" / f"{name}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGIN_VARIABLE, str(folder))
        yield


@pytest.fixture(scope="module")
def unharmed(simulated_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrialRecord]:
    """The same campaign in peace: its records by fingerprint."""
    folder = tmp_path_factory.mktemp("unharmed")
    CommandLine(campaign(simulated_folder, folder / "out"), folder).finish(seconds=900)
    records = read_records(folder / "out")
    assert len(records) == TRIALS * len(FAMILIES)
    assert {r.status for r in records} == {"finished"}
    return {record.fingerprint: record for record in records}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, where that may be made; else a folder."""
    with ExitStack() as stack:
        yield mounted(tmp_path / "disk", 400, stack)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_campaign_that_is_struck_ends_as_if_nobody_had_touched_it(seed, unharmed, simulated_folder, disk, tmp_path):
    with ExitStack() as stack:
        field = Battlefield(campaign(simulated_folder, disk / "out"), tmp_path, seed, stack)
        field.rage()
        (tmp_path / "struck.txt").write_text(str(dict(field.struck)))
        records = read_records(field.out)
        assert Counter(r.family for r in records) == dict.fromkeys(FAMILIES, TRIALS)
        assert len({r.fingerprint for r in records}) == len(records) == TRIALS * len(FAMILIES)
        finished = {r.fingerprint: r for r in records if r.status == "finished"}
        assert len(finished) >= LEAST_FINISHED
        for record in records:
            if record.fingerprint in finished:
                assert record.metrics == unharmed[record.fingerprint].metrics, record.name
            else:  # struck once too often
                assert record.failure_class in ("crashed", "lost_node", "oom")
                assert record.attempts > 1
        parents, children = mlflow_runs(field.out, field.settings.tracking_uri)
        assert len(parents) == 1
        status = {run.data.tags["nrtune.fingerprint"]: run.data.tags["nrtune.status"] for run in children}
        assert len(children) == len(status)
        assert status == {record.fingerprint: record.status for record in records}
        for run in children:
            if (record := finished.get(run.data.tags["nrtune.fingerprint"])) is not None:
                assert run.data.metrics["test/spearman"] == pytest.approx(record.metrics["test/spearman"], abs=1e-12)
        import optuna

        storage = open_storage(field.out, None)
        for family in FAMILIES:
            states = Counter(t.state.name for t in optuna.load_study(study_name=family, storage=storage).trials)
            assert states["COMPLETE"] == sum(r.family == family for r in finished.values())
            assert states["RUNNING"] == states["WAITING"] == 0
