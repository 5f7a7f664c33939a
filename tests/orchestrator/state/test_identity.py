"""What a campaign is, and what it is not: search spaces are a part of it, addresses and passwords are none."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from in_process import run

from nrtune.analysis.store.records import read_manifest
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.state.given import remember
from nrtune.orchestrator.state.identity import check_is_free
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.locations import (
    DATABASE,
    OPTUNA_VARIABLE,
    TRACKING_VARIABLE,
    tracking_uri,
    with_password,
)
from nrtune.orchestrator.state.settings import Settings, load_replication
from nrtune.orchestrator.views.status import tracker_line
from nrtune.search_spaces import FAMILIES
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.simulate import HDF5_NAME, simulate, write_simulated

PASSWORD = "hunter2"


def plan_of(folder, out, **fields):
    families = fields.pop("families", ("baseline", "rank_stability"))
    return prepare(Settings(data=folder / HDF5_NAME, out=out, families=families, trials=1, **fields))


def begun(plan, identity=None):
    open_ledger(plan.folder, "out", identity or plan.identity(), plan.about(), must_exist=False).close()
    return json.loads((plan.folder / "campaign.json").read_text())["identity"]


def test_what_is_searched_is_stored_and_may_be_extended_by_families(simulated_folder, tmp_path):
    plan = plan_of(simulated_folder, tmp_path / "out")
    space = begun(plan)["space"]
    assert space.keys() == {"baseline", "rank_stability"}
    assert space["rank_stability"]["loss.k"] == FAMILIES.get("rank_stability").described()["loss.k"]
    assert space["rank_stability"]["encoder.channels"]["values"] == [64, 128, 256]
    more = plan_of(simulated_folder, tmp_path / "out", families=("baseline", "rank_stability", "distributional"))
    assert begun(more)["space"].keys() == {*space, "distributional"}
    fewer = plan_of(simulated_folder, tmp_path / "out", families=("baseline",))
    assert begun(fewer)["space"].keys() == {*space, "distributional"}


def test_a_changed_range_is_refused_with_both(simulated_folder, tmp_path):
    plan = plan_of(simulated_folder, tmp_path / "out")
    begun(plan)
    space = plan.identity()["space"]
    of_family = space["rank_stability"]
    before = of_family["loss.k"]
    wider = before | {"low": before["low"] / 2}
    for changed, now in (
        (of_family | {"loss.k": wider}, json.dumps(wider)),
        (_without(of_family, "loss.k"), "nothing"),
    ):
        other = plan.identity() | {"space": space | {"rank_stability": changed}}
        with pytest.raises(UserError) as error:
            open_ledger(plan.folder, "out", other, {}, must_exist=True)
        assert f"family rank_stability searches loss.k in {json.dumps(before)}, not in {now}; choose" in str(
            error.value
        )


def _without(found, name):
    return {key: value for key, value in found.items() if key != name}


def test_a_campaign_of_before_has_no_space_and_goes_on(simulated_folder, tmp_path):
    plan = plan_of(simulated_folder, tmp_path / "out")
    begun(plan, {key: value for key, value in plan.identity().items() if key != "space"})
    assert begun(plan)["space"] == json.loads(json.dumps(plan.identity()["space"]))


def test_no_password_is_stored_and_another_one_is_no_other_campaign(simulated_folder, tmp_path, monkeypatch):
    storage, uri = f"sqlite:////{tmp_path}/studies.db", f"http://me:{PASSWORD}@127.0.0.1:9/"
    plan = plan_of(simulated_folder, tmp_path / "out", tracking_uri=uri, optuna_storage=storage)
    assert plan.tracking_uri == uri
    identity = begun(plan)
    remember(plan.folder, plan.addresses)
    assert PASSWORD not in (plan.folder / "campaign.json").read_text()
    assert identity["tracking_uri"] == "http://me@127.0.0.1:9/"
    rotated = plan_of(simulated_folder, tmp_path / "out", tracking_uri=uri.replace(PASSWORD, "hunter3"))
    assert begun(rotated)["tracking_uri"] == identity["tracking_uri"]
    assert tracking_uri(plan.folder) == identity["tracking_uri"]
    monkeypatch.setenv(TRACKING_VARIABLE, uri)
    assert tracking_uri(plan.folder) == uri
    monkeypatch.setenv(TRACKING_VARIABLE, "http://me:x@elsewhere/")
    assert tracking_uri(plan.folder) == identity["tracking_uri"]
    assert with_password(None, OPTUNA_VARIABLE) is None


def test_where_it_is_kept_and_shown_is_no_part_of_a_campaign(simulated_folder, tmp_path):
    """Another spelling, another port, another user, another machine."""
    for uri, name in (
        ("http://localhost:5000", "one"),
        ("http://127.0.0.1:5000", "one"),
        ("http://127.0.0.1:5000/", "other"),
        ("http://me@node:80", "other"),
    ):
        storage = f"sqlite:///{tmp_path / name}.db"
        options = {"families": ("baseline",), "tracking_uri": uri, "optuna_storage": storage}
        plan = plan_of(simulated_folder, tmp_path / "out", **options)
        identity = begun(plan)
        remember(plan.folder, plan.addresses)
        assert (identity["tracking_uri"], identity["optuna_storage"]) == (uri, storage)


OWN_FAMILY = """
from nrtune.search_spaces import Choice, Family, Float
FAMILY = Family(
    code="OWN", title="Own", published=(), fixed={"encoder": "motif_cnn", "head": "point", "loss": "mse"},
    space=(
        Float(name="lr", low=LOW, high=0.01, default=0.005),
        Choice(name="sampler", values=("uniform", "hard_negative"MORE), default="uniform"),
    ),
)
"""
BEGIN = """
import sys
from pathlib import Path
from nrtune.orchestrator.campaign.prepare import prepare
from nrtune.orchestrator.state.ledger import open_ledger
from nrtune.orchestrator.state.settings import Settings
plan = prepare(Settings(data=Path(sys.argv[1]), out=Path("out"), families=("own",), trials=1))
open_ledger(plan.folder, "out", plan.identity(), plan.about(), must_exist=False).close()
"""
"""A search that was cut off before its first trial."""


@pytest.mark.slow
def test_a_family_of_ones_own_that_was_edited_is_refused_before_anything_starts(simulated_folder, tmp_path):
    path, data = tmp_path / "plug" / "search_spaces" / "own.py", simulated_folder / HDF5_NAME
    path.parent.mkdir(parents=True)

    def search(low, more, *command):
        path.write_text(OWN_FAMILY.replace("LOW", low).replace("MORE", more))
        environment = {**os.environ, PLUGIN_VARIABLE: str(tmp_path / "plug")}
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert search("0.001", "", "-c", BEGIN, data) == (0, "")
    again = ["-m", "nrtune", "search", "--data", data, "--families", "own", "--trials", "2", "--out", "out"]
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()}
    for low, more, name, was, now in (
        ("0.0001", "", "lr", '"low": 0.001', '"low": 0.0001'),
        ("0.001", ', "quantile_stratified"', "sampler", '["uniform", "hard_negative"]', '"quantile_stratified"]'),
    ):
        code, said = search(low, more, *again)
        assert code == 2, said
        (sentence,) = [line for line in said.splitlines() if line.startswith("nrtune: ")]
        assert f"family own searches {name} in " in sentence
        there, asked = sentence.split(", not in ")
        assert was in there
        assert now in asked
        assert "starting Ray" not in said
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").iterdir()} == before


def test_no_password_is_printed(simulated_folder, tmp_path, monkeypatch, capsys):
    storage = f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:1/studies"
    words = ["--data", simulated_folder / HDF5_NAME, "--out", tmp_path / "out", "--families", "baseline"]
    code, out, err = run(monkeypatch, capsys, "search", *words, "--optuna-storage", storage)
    assert code == 2
    assert "--optuna-storage postgresql+psycopg2://me:***@127.0.0.1:1/studies: cannot be opened" in err
    monkeypatch.setenv(OPTUNA_VARIABLE, storage)
    code, _, again = run(monkeypatch, capsys, "search", *words)
    assert (code, again) == (2, err)
    assert PASSWORD not in out + err
    plan = plan_of(
        simulated_folder, tmp_path / "shown", families=("baseline",), tracking_uri=f"http://me:{PASSWORD}@127.0.0.1:9"
    )
    begun(plan)
    monkeypatch.setenv(TRACKING_VARIABLE, f"http://me:{PASSWORD}@127.0.0.1:9")
    assert tracker_line(plan.folder) == "MLflow: http://me@127.0.0.1:9"


def test_a_replication_takes_data_that_moved(simulated_folder, tmp_path):
    plan = plan_of(simulated_folder, tmp_path / "out", families=("baseline",))
    begun(plan)
    moved = tmp_path / "moved.h5"
    assert load_replication(plan.folder, {"data": moved}).data == moved
    assert load_replication(plan.folder, {}).data == (simulated_folder / HDF5_NAME).resolve()


def test_where_the_data_were_found_last_is_kept(simulated_folder, tmp_path):
    begun(plan_of(simulated_folder, tmp_path / "out"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(simulated_folder / HDF5_NAME, elsewhere)
    begun(plan_of(elsewhere, tmp_path / "out"))
    assert load_replication(tmp_path / "out", {}).data == elsewhere / HDF5_NAME
    assert read_manifest(tmp_path / "out")["data"]["path"] == str(elsewhere / HDF5_NAME)


def test_a_folder_in_which_mlflow_was_looked_at_too_early_is_free(tmp_path):
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("CREATE TABLE runs (run_uuid TEXT)")
    check_is_free(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("INSERT INTO runs VALUES ('x')")
    with pytest.raises(UserError, match="holds no campaign"):
        check_is_free(tmp_path)
    (tmp_path / DATABASE).write_text("no database")
    with pytest.raises(UserError, match="holds no campaign"):
        check_is_free(tmp_path)


def refused(monkeypatch, capsys, *words: object) -> str:
    """The sentence with which a search is refused, in one line."""
    code, _, err = run(monkeypatch, capsys, "search", *words)
    assert code == 2
    return " ".join(err.splitlines()[-1].split())


def test_another_data_file_is_named_with_its_flag_and_without_a_digest(simulated_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    given = simulated_folder / "cagi5"
    begun(plan := plan_of(simulated_folder, out, families=("baseline",), cagi5=given))
    other, _ = write_simulated(simulate(60, seed=5), tmp_path / "other")
    words = ["--families", "baseline", "--out", out]
    stored = plan.about()["data"]["path"]
    said = refused(monkeypatch, capsys, *words, "--data", other, "--cagi5", given)
    assert f"{out}: holds a campaign with data of {stored}, and {other} (--data) holds something else" in said
    assert plan.identity()["data"] not in said
    began = begun(
        bare := plan_of(simulated_folder, tmp_path / "bare", families=("baseline",), cagi5=given, select_on="val")
    )
    assert began["cagi5"]
    words = ["--families", "baseline", "--out", bare.folder, "--data", stored]
    said = refused(monkeypatch, capsys, *words)
    assert f"with cagi5 of {given}, which is not given; give --cagi5 {given}, or choose" in said


def test_data_that_changed_in_their_place_are_said_to_have(simulated_folder, tmp_path, monkeypatch, capsys):
    place = tmp_path / "data"
    place.mkdir()
    shutil.copy(simulated_folder / HDF5_NAME, place)
    out, words = tmp_path / "out", ["--families", "baseline", "--data", place / HDF5_NAME]
    begun(plan_of(place, out, families=("baseline",)))
    shutil.copy(write_simulated(simulate(60, seed=5), tmp_path / "other")[0], place / HDF5_NAME)
    said = refused(monkeypatch, capsys, *words, "--out", out)
    assert f"with data of {place / HDF5_NAME}, which has changed since; put the file of then back" in said


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--seed", 7, "holds a campaign with seed 0, not 7"),
        ("--epochs", 3, "not 3"),
        ("--sampler", "random", "sampler"),
        ("--objective", "val/spearman:most", "--objective"),
        ("--families", "baselin", "did you mean 'baseline'?"),
        ("--set", "encoder.chanels=3", "chanels"),
    ],
)
def test_settings_are_checked_before_data_are_read(
    flag, value, message, simulated_folder, tmp_path, monkeypatch, capsys
):
    begun(plan_of(simulated_folder, tmp_path / "out", families=("baseline",)))
    unread = tmp_path / "unread.h5"
    unread.write_bytes(b"no data at all")  # which would be said, were it read
    words = ["--families", "baseline", "--data", unread, "--out", tmp_path / "out"]
    said = refused(monkeypatch, capsys, *words, flag, value)
    assert message in said
    assert str(unread) not in said
    assert str(unread) in refused(monkeypatch, capsys, *words)
