"""`nrtune --install-completion`, and what a shell completes once it is done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from nrtune.analysis.selection.use_cases import SELECT_ON, USE_CASES
from nrtune.orchestrator.campaign.search import NO_EARLY_STOPPING
from nrtune.orchestrator.cli import names
from nrtune.orchestrator.cli.names import CHOICES
from nrtune.orchestrator.lifecycle.rules import RULES
from nrtune.orchestrator.state.recipes import RECIPES
from nrtune.orchestrator.state.settings import Settings
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.data.cell_lines import ELEMENTS_OF_CELL_LINE
from nrtune.trainables.encoders import ENCODERS
from nrtune.trainables.training.config import PRECISIONS, PRESETS

pytestmark = pytest.mark.end_to_end

ASK = """
source ~/.bashrc
COMP_WORDS=(nrtune {words}); COMP_CWORD={number}
complete -p nrtune | grep -q -- '-F' || exit 3
function=$(complete -p nrtune | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function nrtune
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
"""A bash that has read what was installed calls the function that it registered, as a tabulator key does."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a bash has called `nrtune --install-completion`."""
    if shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    home = tmp_path_factory.mktemp("home")
    (home / ".bashrc").write_text("# what was there\n")
    binary = home / "bin" / "nrtune"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.argv[0] = \'nrtune\'\n'
                      f'from nrtune.orchestrator.cli.main import main; main()" "$@"\n')  # fmt: skip
    binary.chmod(0o755)
    done = bash(home, "nrtune --install-completion; exit $?")
    assert done.returncode == 0, done.stderr
    assert "bash completion installed" in done.stdout
    return home


def bash(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    # A file: bash -c would exec its only command, which then has another parent.
    path = home / "script.sh"
    path.write_text(script)
    command = ["bash", "--noprofile", "--norc", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def completed(home: Path, *words: str) -> list[str]:
    quoted = " ".join(f"'{word}'" for word in words)
    done = bash(home, ASK.format(words=quoted, number=len(words)))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_was_in_the_start_up_file_stays(home: Path):
    text = (home / ".bashrc").read_text()
    assert text.startswith("# what was there\n")
    assert "nrtune" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sea"], ["search"]),
        (["data", ""], ["check", "simulate"]),
        (["search", "--fam"], ["--families"]),
        (["search", "--families", "baseline,noise"], ["baseline,noise_gated"]),
        (["search", "--encoders", "motif_cnn,dream_r"], ["motif_cnn,dream_rnn"]),
        (["best", "campaign", "--use-case", "low"], ["low_confidence"]),
        (["search", "--preset", ""], ["small", "study"]),
        (["xyz"], []),
    ],
)
def test_a_bash_completes(home: Path, words: list[str], expected: list[str]):
    assert set(expected) <= set(completed(home, *words))
    if words[-1]:
        assert completed(home, *words) == expected


def test_choices_are_those_of_the_code():
    """They stand in nrtune.orchestrator.cli.options a second time, for the shell does not wait for torch."""

    def literal(name: str) -> tuple[str, ...]:
        hint = typing.get_type_hints(Settings)[name]
        options = [typing.get_args(part) or (part,) for part in typing.get_args(hint)]
        return tuple(value for option in options for value in option if isinstance(value, str))

    for name in ("recipe", "precision", "freeze", "select_on", "noise", "allocation", "sampler"):
        assert CHOICES[name] == literal(name), name
    assert tuple(names.schedulers()) == (*RULES, NO_EARLY_STOPPING)
    assert CHOICES["preset"] == tuple(PRESETS)
    assert CHOICES["recipe"] == tuple(RECIPES)
    assert CHOICES["precision"] == PRECISIONS
    assert set(CHOICES["select_on"]) == set(SELECT_ON)
    assert CHOICES["cell_line"] == tuple(ELEMENTS_OF_CELL_LINE)
    assert tuple(names.use_cases()) == (*USE_CASES, "all")
    assert "rank_stability" in FAMILIES
    assert tuple(names.encoders()) == ENCODERS.names()


def test_completing_imports_neither_torch_nor_pandas():
    script = """
import sys
from nrtune.orchestrator.cli import main as cli, names
assert names.completing(names.use_cases)("low") == ["low_confidence"]
assert names.completing(names.families)("base") == ["baseline"]
assert names.completing(names.encoders)("fact") == ["factorized"]
print([name for name in ("torch", "pandas", "ray", "mlflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
