"""A folder of a group: what one account began, another goes on with."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nrtune.analysis.store.records import read_records
from nrtune.orchestrator.state.settings import Settings
from tests.helpers.accounts import COLLEAGUE, GROUP, OTHER, as_account

UMASK = 0o002


def not_the_groups(folder: Path) -> list[str]:
    """Files and folders below one that the group may not read and write, or that are another's."""
    found = []
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            continue
        state = path.stat()
        wanted = stat.S_IRWXG if path.is_dir() else stat.S_IRGRP | stat.S_IWGRP
        if state.st_mode & wanted != wanted or state.st_gid != GROUP:
            found.append(f"{path.relative_to(folder)} {stat.filemode(state.st_mode)} {state.st_gid}")
    return found


@pytest.mark.slow
def test_a_colleague_goes_on_with_a_campaign(settings: Settings, tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, GROUP)
    os.chmod(shared, 0o2775)
    out = shared / "campaign"

    def search(user: int, trials: int) -> None:
        prefix = as_account(user, tmp_path / str(user), umask=UMASK)
        path = tmp_path / str(user) / "settings.yaml"
        path.write_text(settings.model_copy(update={"out": out, "trials": trials, "set": {}}).to_yaml())
        command = [*prefix, str(Path(sys.executable).with_name("nrtune")), "search", str(path)]
        ended = subprocess.run(command, cwd=path.parent, text=True, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "MLflow" in ended.stderr
        assert "can't" not in ended.stderr

    try:
        search(OTHER, 1)
        assert not_the_groups(out) == []
        search(COLLEAGUE, 2)
        assert not_the_groups(out) == []
    finally:
        for user in (OTHER, COLLEAGUE):
            shutil.rmtree(f"/tmp/ray-{user}", ignore_errors=True)
    assert len(read_records(out)) == 2
    owners = {path.stat().st_uid for path in (out / "trials").iterdir()}
    assert owners == {OTHER, COLLEAGUE}
