"""A module that this process has and a worker would not find is named before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nrtune.orchestrator.execution.worker_imports import check_worker_imports
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE


def test_what_a_plugin_imports_must_be_there_for_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plugins, helpers = tmp_path / "plugins", tmp_path / "helpers"
    for folder in (plugins / "losses", helpers):
        folder.mkdir(parents=True)
    (helpers / "my_helpers.py").write_text("raise SystemExit('nobody imports it to see whether it is there')\n")
    loss = plugins / "losses" / "own.py"
    loss.write_text("import os\nimport nrtune, torch.nn\nfrom my_helpers.more import scale\n")
    (plugins / "losses" / "broken.py").write_text("import (\n")
    monkeypatch.setenv(PLUGIN_VARIABLE, str(plugins))
    check_worker_imports()  # where nobody has it, the loss itself says so
    monkeypatch.syspath_prepend(str(helpers))
    with pytest.raises(
        UserError, match=f"^{loss}: workers can't import my_helpers, which this process has from {helpers}"
    ):
        check_worker_imports()
    monkeypatch.setenv("PYTHONPATH", str(helpers))
    check_worker_imports()


def test_nrtune_itself_must_be_there_for_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(PLUGIN_VARIABLE, raising=False)
    check_worker_imports()
    python = tmp_path / "python"  # one without what is installed, as of a notebook that has it by sys.path alone
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(UserError, match=r"^nrtune: workers can't import nrtune, which this process has from "):
        check_worker_imports()
