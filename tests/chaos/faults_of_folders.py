"""Faults of the folder and the disk that a campaign is on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fault_table import before, during, fill, refused
from stage import Stage, Start

NAMES = ("with blanks", "a?b#c%41d&e", 'it\'s "quoted"', "~home", "-dash", "ümläut", "n" * 240, "$HOME", "semi;colon")


def another_place(stage: Stage) -> Path:
    """A path on the campaign's disk where nothing is, with a name of the awkward kinds."""
    return Path(tempfile.mkdtemp(prefix="folder ", dir=stage.disk)) / stage.random.choice(NAMES)


@before()
def folder_renamed(stage: Stage, start: Start) -> Iterator[None]:
    stage.out = stage.out.rename(another_place(stage)) if stage.out.exists() else another_place(stage)
    yield


@before()
def folder_copied(stage: Stage, start: Start) -> Iterator[None]:
    if stage.out.exists():
        original, stage.out = stage.out, Path(shutil.copytree(stage.out, another_place(stage), symlinks=True))
        stage.leave(original)
    yield


@before()
def folder_from_an_archive(stage: Stage, start: Start) -> Iterator[None]:
    if stage.out.exists():
        place, archive = another_place(stage), stage.folder / "archive.tar"
        subprocess.run(["tar", "-cf", archive, "-C", stage.out.parent, f"./{stage.out.name}"], check=True)
        shutil.rmtree(stage.out)
        subprocess.run(["tar", "-xf", archive, "-C", place.parent], check=True)
        stage.out = place.parent / stage.out.name
        archive.unlink()
    yield


@before()
def data_moved(stage: Stage, start: Start) -> Iterator[None]:
    place = stage.folder / "moved data"
    shutil.copytree(Path(str(stage.settings.data)).parent, place)
    start.settings |= {"data": place / Path(str(stage.settings.data)).name, "cagi5": place / "cagi5"}
    yield
    shutil.rmtree(place)


@before()
def umask(stage: Stage, start: Start) -> Iterator[None]:
    start.prefix += ["sh", "-c", f'umask {stage.random.choice(("000", "002", "027", "077"))}; exec "$@"', "sh"]
    yield


@refused(own_disk=True)
def disk_full(stage: Stage, start: Start) -> Iterator[str]:
    filler = fill(stage.disk)
    yield "make room"
    filler.unlink()


@refused(own_disk=True)
def disk_read_only(stage: Stage, start: Start) -> Iterator[str]:
    subprocess.run(["mount", "-o", "remount,ro", stage.disk], check=True)
    yield "can't be written (Read-only file system)"
    subprocess.run(["mount", "-o", "remount,rw", stage.disk], check=True)


@during(own_disk=True)
def disk_filled(stage: Stage) -> Iterator[Callable[[], bool]]:
    filler = fill(stage.disk)
    yield stage.after(stage.random.randint(1, 30))
    filler.unlink()


@during()
def trials_read_only(stage: Stage) -> Iterator[Callable[[], bool]]:
    folder = stage.out / "trials"
    read_only(folder, True)
    yield stage.after(stage.random.randint(1, 30))
    read_only(folder, False)


@during()
def folder_copied_as_it_runs(stage: Stage) -> Iterator[Callable[[], bool]]:
    """As rsync does it: once while the search runs, again once it has ended, and the copy goes on."""
    original, copy = stage.out, another_place(stage)
    subprocess.run(["cp", "-a", original, copy], check=False, capture_output=True)  # files vanish under it
    yield stage.after(stage.random.randint(0, 10))
    if stage.driver is not None:
        stage.end(signal.SIGTERM if stage.running else None)
    subprocess.run(["cp", "-a", f"{original}/.", copy], check=True)
    stage.out = copy
    stage.leave(original)


@during()
def second_start(stage: Stage) -> Iterator[Callable[[], bool]]:
    if stage.running and (stage.out / ".lock").exists():
        said = stage.refused(stage.fresh_start())
        assert "another search is writing to it" in said or not stage.running, said
    yield stage.after(0)


def read_only(folder: Path, is_so: bool) -> None:
    """For root as well, where that can be."""
    if os.getuid() == 0:
        subprocess.run(["chattr", f"{'+' if is_so else '-'}i", folder], check=True)
    else:
        folder.chmod(0o500 if is_so else 0o700)
