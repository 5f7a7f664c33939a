"""What is said of each kind of damage to a campaign's folder, and of files that belong to another trial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from in_process import run
from spoilt_folders import WINNER, a_folder_for, copy_of, in_checkpoint, in_json, of_bytes, trial_folder, write_campaign

from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST, LAST, predictions_file
from nrtune.trainables.core.shape import DamagedWarning
from nrtune.trainables.data.sequences import to_text
from nrtune.trainables.data.simulate import simulate
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset
from nrtune.trainables.training.fit import fit
from nrtune.trainables.training.opening import open_training
from nrtune.trainables.training.training_data import TrainingData


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("named") / "campaign")


@pytest.fixture
def folder(finished, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copy_of(finished, tmp_path / "campaign")


MANIFESTS = {
    "no identity": (in_json("campaign.json", "identity", value=...), "identity: is missing"),
    "identity a list": (in_json("campaign.json", "identity", value=[]), "identity: is a list, not a mapping"),
    "no select_on": (in_json("campaign.json", "identity", "select_on", value=...), "identity.select_on: is missing"),
    "select_on 5": (in_json("campaign.json", "identity", "select_on", value=5), "identity.select_on: is 5, not release or"),
    "created 5": (in_json("campaign.json", "created", value=5), "created: is 5, not a text"),
    "keep 5": (in_json("campaign.json", "settings", "keep", value=5), "settings.keep: is 5, not a list"),
    "prices as texts": (in_json("campaign.json", "settings", "prices", value={"cpu_hour": "1"}), "settings.prices.cpu_hour: is"),
    "cagi5 a text": (in_json("campaign.json", "cagi5", value="x"), "cagi5: is 'x', not a mapping"),
    "length 1e12": (in_json("campaign.json", "data", "length", value=10**12), "data.length: is 1000000000000, not a length"),
    "a benchmark out of the folder": (in_json("campaign.json", "benchmarks", value=["../x"]), "is '../x', not a plain name"),
    "deep": (of_bytes("campaign.json", b"[" * 100_000 + b"]" * 100_000), "is nested more than 32 levels deep"),
    "a list": (of_bytes("campaign.json", b"[]"), "it is a list, not a mapping"),
    "no UTF-8": (of_bytes("campaign.json", b'{"format": 2, "name": "\xff"}'), "is damaged"),
    "thousands of digits": (of_bytes("campaign.json", b'{"format": ' + b"9" * 9000 + b"}"), "is damaged"),
    "17 MiB": (of_bytes("campaign.json", b" " * (17 << 20)), "has more than 16 MiB"),
    "empty": (of_bytes("campaign.json", b""), "is damaged (Expecting value"),
    "torn": (of_bytes("campaign.json", b'{"format": 2, "name": "c'), "is damaged (Unterminated string"),
    "no format": (in_json("campaign.json", "format", value=...), "was written by nrtune before 0.1"),
    "format 99": (in_json("campaign.json", "format", value=99), "was written by a newer nrtune"),
    "settings a list": (in_json("campaign.json", "settings", value=[]), "settings: is a list, not a mapping"),
    "objective 5": (in_json("campaign.json", "identity", "objective", value=[5]), "identity.objective[0]: is 5, not a text"),
    "a finding without a severity": (
        in_json("campaign.json", "audit", value={"version": 1, "accepted": [], "findings": [{"id": "x", "what": "y"}]}),
        "audit.findings[0].severity: is missing"),
    "a key of two lines": (in_json("campaign.json", "settings", "prices", value={"a\nb": 1.0}), r"has the key 'a\nb', with"),
    "a folder": (a_folder_for("campaign.json"), "is a folder"),
    "records a folder": (a_folder_for("trials.jsonl"), "is a folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
def test_what_can_not_be_shown_is_refused(case, folder, monkeypatch, capsys):
    spoil, said = MANIFESTS[case]
    spoil(folder)
    code, out, err = run(monkeypatch, capsys, "status", folder)
    assert (code, out) == (2, "")
    assert err.startswith("nrtune: ")
    assert said in err
    assert len(err.splitlines()) == 1


def in_record(key: str, value: object, *, sealed: bool = False) -> object:
    def spoil(folder: Path) -> None:
        lines = (folder / "trials.jsonl").read_text().splitlines()
        record = json.loads(lines[1])
        record[key] = value
        if not sealed:
            del record["digest"], record["record"]
        lines[1] = json.dumps(record, separators=(",", ":"))
        (folder / "trials.jsonl").write_text("\n".join(lines) + "\n")

    return spoil


def in_lines(change) -> object:
    def spoil(folder: Path) -> None:
        lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
        (folder / "trials.jsonl").write_text("".join(change(lines)))

    return spoil


RECORDS = {
    "metrics a text": (in_record("metrics", "x"), "line 2 is damaged (metrics: is 'x', not a mapping)"),
    "a metric of infinity": (in_record("metrics", {"test/spearman": float("inf")}), "line 2 is damaged (Infinity is no number)"),
    "a name out of the folder": (in_record("fingerprint", "../../x"), "fingerprint: is '../../x', not a plain name"),
    "half a character in its name": (in_record("name", "a\ud800"), r"name: is 'a\ud800', with control characters or half"),
    "half a character in a metric": (in_record("metrics", {"a\ud800": 1.0}), r"metrics: has the key 'a\ud800', with control"),
    "two lines in its name": (in_record("name", "a\nwinner b"), r"name: is 'a\nwinner b', with control characters"),
    "two lines in its family": (in_record("family", "a\nb"), r"family: is 'a\nb', with control characters"),
    "two lines in its configuration": (in_record("config", {"loss": "a\nb"}), r"config.loss: is 'a\nb', with control"),
    "two lines in another name": (in_record("aliases", {"a\nb": "c"}), r"aliases: has the key 'a\nb', with control"),
    "started 5": (in_record("started", 5), "started: is 5, not a time"),
    "an unknown status": (in_record("status", "won"), "status: is 'won', not finished or scored or pruned or failed"),
    "epochs of 40 digits": (in_record("epochs_trained", 10**40), "epochs_trained: is 1000000"),
    "seconds as a text": (in_record("seconds", "1"), "seconds: is '1', not a finite number"),
    "an unknown key": (in_record("unknown", 1), "line 2 is damaged ("),
    "altered": (in_record("epochs_trained", 7, sealed=True), "line 2 is damaged ('BASE-002' was altered since nrtune wrote it)"),
    "torn in the middle": (in_lines(lambda lines: [lines[0], lines[1][:50] + "\n", *lines[2:]]), "line 2 is damaged ("),
    "lost": (in_lines(lambda lines: [lines[0], *lines[2:]]), "record 2 is missing between BASE-001 and RS-001 (line 2)"),
    "lost at the end": (in_lines(lambda lines: lines[:3]), "record 4 is missing at its end, after RS-001"),
    "repeated": (in_lines(lambda lines: [*lines, lines[1]]), "line 5 repeats the record of BASE-002"),
}  # fmt: skip


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_that_does_not_count_is_named_and_the_others_are_shown(case, folder, monkeypatch, capsys):
    spoil, said = RECORDS[case]
    spoil(folder)
    code, out, err = run(monkeypatch, capsys, "trials", folder, "--format", "csv")
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("nrtune: warning: ")
    assert said in line
    assert "BASE-001" in out
    assert WINNER in out
    if "damaged" in said or "plain name" in said or "not a finite" in said:
        identity = json.loads((folder / "campaign.json").read_text())["identity"]
        with pytest.raises(UserError, match=r"line 2 is damaged .*or remove the line, and its trial is trained again"):
            open_ledger(folder, "c", identity, {}, must_exist=True)


def test_a_record_that_a_crash_cut_short_is_no_damage(folder, monkeypatch, capsys):
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"name":"RS-003","fam')
    assert run(monkeypatch, capsys, "trials", folder)[2] == ""


def swap(name: str) -> object:
    def spoil(folder: Path) -> None:
        one, other = trial_folder(folder) / name, trial_folder(folder, "RS-002") / name
        whole = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(whole)

    return spoil


def first_weight(content: dict, value: float) -> None:
    next(iter(content["state"].values())).view(-1)[0] = value


def redigested(change) -> object:
    """A change by somebody who knows how digests are made."""

    def both(content: dict) -> None:
        change(content)
        content["digest"] = checkpoint.digest_of(content)

    return in_checkpoint(both)


def without(*keys: str) -> object:
    return redigested(lambda content: [content.pop(key) for key in keys])


CHECKPOINTS = {
    "another trial's": (swap(BEST), "is the checkpoint of another trial"),
    "an altered weight": (in_checkpoint(lambda content: first_weight(content, 9.0)), "was altered since nrtune wrote it"),
    "without its digest": (in_checkpoint(lambda content: content.pop("digest")), "was altered since nrtune wrote it"),
    "a weight of NaN": (redigested(lambda content: first_weight(content, float("nan"))), "its weights are not finite"),
    "no config": (without("config"), "is damaged (config: is missing)"),
    "a calibration of texts": (redigested(lambda c: c["calibration"].update(slope="x")), "calibration.slope: is 'x'"),
    "a million channels": (redigested(lambda c: c["config"].update({"encoder.channels": 10**6})), "not those of its encoder"),
    "a milliard layers": (redigested(lambda c: c["config"].update({"encoder.depth": 10**9})), "has depth 1000000000"),
    "another network's weights": (redigested(lambda c: c["state"].popitem()), "not those of its encoder"),
    "a tensor larger than its file": (
        redigested(lambda c: c["state"].update(x=torch.zeros(1).expand(10**9))), "is not a readable nrtune checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_that_can_not_be_trusted_predicts_nothing(case, folder, tmp_path, monkeypatch, capsys):
    spoil, said = CHECKPOINTS[case]
    if "larger" in case:  # its digest would take the gigabytes
        monkeypatch.setattr(checkpoint, "digest_of", lambda content: "0" * 32)
    spoil(folder)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fa").write_text(f">a\n{to_text(simulate(20).dataset.tokens[0])}\n")
    code, out, err = run(
        monkeypatch, capsys, "predict", folder, "--trial", WINNER, "--raw", "--fasta-sequences", tmp_path / "in.fa"
    )
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "in.nrtune.csv").exists()


def test_predictions_of_another_trial_do_not_count(folder, monkeypatch, capsys):
    swap(predictions_file("test"))(folder)
    code, out, err = run(monkeypatch, capsys, "best", folder, "--use-case", "in_distribution")
    assert code == 0
    assert WINNER in out
    assert "is damaged (is of another trial" in err
    (trial_folder(folder) / predictions_file("test")).write_bytes(b"")
    code, out, err = run(monkeypatch, capsys, "best", folder, "--use-case", "in_distribution")
    assert code == 0
    assert "so its predictions don't count" in err


def test_older_checkpoints_have_no_digest(folder):
    path = trial_folder(folder) / BEST
    content = checkpoint.load(path)
    del content["digest"]
    torch.save({**content, "format": checkpoint.WITHOUT_DIGEST}, path)
    assert checkpoint.load(path)["fingerprint"] == path.parent.name


@pytest.mark.parametrize("what", ["another trial's", "altered", "not finite"])
def test_a_training_does_not_go_on_from_what_is_not_its_own(what, tmp_path):
    data = TrainingData(simulate(60).dataset)
    one, other = (
        TrialConfig.from_flat(
            {**preset("small", "motif_cnn"), "encoder.channels": 8, "epochs": 2, "batch_size": 16, "seed": s}
        )
        for s in (0, 1)
    )
    open_training(one, data, folder=tmp_path, device="cpu").run_epoch()
    if what == "another trial's":
        (tmp_path / "other").mkdir()
        open_training(other, data, folder=tmp_path / "other", device="cpu").run_epoch()
        (tmp_path / "other" / LAST).replace(tmp_path / LAST)
    else:
        content = torch.load(tmp_path / LAST, weights_only=True)
        next(iter(content["model"].values())).view(-1)[0] = float("nan")
        if what == "not finite":
            content["digest"] = checkpoint.digest_of(content)
        torch.save(content, tmp_path / LAST)
    with pytest.raises(checkpoint.Unreadable):
        open_training(one, data, folder=tmp_path, device="cpu")
    (tmp_path / LAST).unlink()
    assert len(fit(one, data, folder=tmp_path, device="cpu").history) == 2


def test_a_program_is_warned(folder):
    import nrtune

    RECORDS["metrics a text"][0](folder)
    with pytest.warns(DamagedWarning, match="line 2 is damaged"):
        assert len(nrtune.open_campaign(folder).records()) == 3
