"""How a campaign ends on the console: failures, verdicts, and commands that run as they are printed."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer
from in_process import get_command
from many_trials import write_many
from trial_records import record

from nrtune.orchestrator.campaign.run import Outcome
from nrtune.orchestrator.cli import main as cli
from nrtune.orchestrator.cli.run import FAILURES, say_end
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import ReplicateSettings, RunSettings, Settings, StudySettings


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("end") / "my campaign's", 6)


def commands(err: str) -> list[str]:
    """What is printed below `next:`."""
    lines = err.splitlines()
    return [line.removeprefix("  ") for line in lines[lines.index("next:") + 1 :]]


@pytest.mark.parametrize("model", [Settings, StudySettings, ReplicateSettings])
@pytest.mark.parametrize("width", [80, 60])
def test_it_ends_with_verdicts_and_two_commands(
    model: type[RunSettings], width: int, campaign: Path, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", str(width))
    say_end(model(out=campaign), campaign, Outcome("finished", Counter(finished=6), "", {}, ()))
    err = capsys.readouterr().err
    assert "finished: 6 finished" in err
    assert "overall" in err
    assert "replicate first: nrtune replicate" in " ".join(err.split())
    first, second = commands(err)
    assert shlex.split(first) == ["nrtune", "replicate", str(campaign)]
    assert shlex.split(second) == ["nrtune", "report", "--open", str(campaign)]
    verdicts = err[: err.index("MLflow: ")]
    assert [line for line in verdicts.splitlines() if len(line) > width and " " in line.strip()] == []


def test_printed_commands_are_ones_that_there_are(campaign: Path, capsys):
    say_end(Settings(out=campaign), campaign, Outcome("finished", Counter(finished=6), "", {}, ("low_confidence",)))
    for command in commands(capsys.readouterr().err):
        program, name, *words = shlex.split(command)
        assert program == "nrtune"
        get_command(cli.app).commands[name].make_context(name, words)  # raises for an option that is none


def ended(folder: Path, **fields: object) -> Path:
    ledger = open_ledger(folder, "c", {"select_on": "val", "command": "search"}, {}, must_exist=False)
    ledger.append(record("RS-001", **fields))
    ledger.close()
    return folder


def test_where_no_trial_finished_the_reason_is_said_and_the_code_is_1(tmp_path: Path, capsys):
    folder = ended(tmp_path / "c", status="failed", failure_class="oom", failure="9 GiB are too many")
    with pytest.raises(typer.Exit) as left:
        say_end(Settings(out=folder), folder, Outcome("finished", Counter(failed=1), "", {}, ()))
    err = capsys.readouterr().err
    assert left.value.exit_code == FAILURES == 1
    assert "failed: 1 oom (RS-001: 9 GiB are too many)" in err
    assert f"no trial finished; once their cause is mended: nrtune retry {folder}" in err
    assert "next:" not in err


def test_what_was_interrupted_claims_nothing(campaign: Path, capsys):
    with pytest.raises(typer.Exit) as left:
        say_end(Settings(out=campaign), campaign, Outcome("interrupted", Counter(finished=6), "interrupted", {}, ()))
    err = capsys.readouterr().err
    assert left.value.exit_code == 130
    assert err.splitlines()[-1] == "the same command again goes on from here"
    assert "overall" not in err
