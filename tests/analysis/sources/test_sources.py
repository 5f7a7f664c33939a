"""The same trials, wherever they are read from; and what the study said, from its own table."""

from __future__ import annotations

import json
import re

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nrtune.analysis.sources.open import open_campaign
from nrtune.analysis.sources.parquet import to_arrow
from nrtune.analysis.store.records import FORMAT, TrialRecord
from nrtune.analysis.uncertainty.comparison import Comparisons
from nrtune.orchestrator.campaign.import_published import import_published
from nrtune.orchestrator.cli.main import app
from nrtune.trainables.core.errors import UserError

WHEN = "2026-01-02T03:04:05+00:00"


def record(number: int, **fields: object) -> TrialRecord:
    """A finished trial of many parameters and metrics."""
    base = {"name": f"RS-{number:05d}", "family": "rank_stability", "number": number, "fingerprint": f"{number:016x}",
            "status": "finished", "published": None, "epochs_trained": 12, "seconds": 3.5, "started": WHEN, "ended": WHEN,
            "config": {"loss": "rank_stability", "loss.k": 0.5 + number, "epochs": 12, "seed": number, "ema": True},
            "metrics": {"val/spearman": 0.25, "test/spearman": 0.5 + number / 1e6, "test/mse": 1.5, "noise/corr": 0.25,
                        "cagi5/release/n/all/HBB": 30.0, "best_epoch": 7.0}
            | {f"cagi5/{part}/{kind}/{s}/mean": 0.25 for part in ("release", "challenge") for kind in ("spearman", "pearson")
               for s in ("all", "hc", "lc")}}  # fmt: skip
    return TrialRecord.from_flat(**{**base, **fields})


def write_campaign(folder, records):
    folder.mkdir()
    manifest = {
        "format": FORMAT,
        "name": "some",
        "identity": {"select_on": "release"},
        "cagi5": {"matched": ["HBB", "LDLR"]},
    }
    (folder / "campaign.json").write_text(json.dumps(manifest))
    (folder / "trials.jsonl").write_text("".join(one.to_line() + "\n" for one in records))
    line = folder / "references" / "kmer_ridge"
    line.mkdir(parents=True)
    (line / "metrics.json").write_text(json.dumps({"test/spearman": 0.4}))
    return open_campaign(folder)


RECORDS = [
    record(0, aliases={"RS1": "rank_stability", "ABL1": "ablation"}, published="RS1_bilstm_rs"),
    record(1, status="failed", metrics={}, failure_class="diverged", failure="loss is NaN", epochs_trained=2),
    record(2, status="pruned", replicate_of="RS-00000", config={"loss": "mse", "seed": 3, "encoder.gc_bins": 4}),
]


def export(source, path):
    pq.write_table(to_arrow(source, source.trials()), path)
    return open_campaign(path)


def comparable(source) -> list[dict[str, object]]:
    """The records, without what no other source than a folder keeps."""
    found = []
    for one in source.records():
        fields = one.to_flat()
        del fields["number"], fields["started"], fields["failure"]
        found.append(fields)
    return found


def test_parquet_gives_the_records_back(tmp_path):
    folder = write_campaign(tmp_path / "c", RECORDS)
    exported = export(folder, tmp_path / "trials.parquet")
    assert comparable(exported) == comparable(folder)
    assert (exported.name, exported.select_on, exported.matched) == ("some", "release", ("HBB", "LDLR"))
    assert exported.references() == folder.references() == {"kmer_ridge": {"test/spearman": 0.4}}
    tables = [one.trials().set_index("name").sort_index() for one in (exported, folder)]
    pd.testing.assert_frame_equal(*tables, check_dtype=False)
    # 4, not 4.0, although other trials lack the parameter
    assert [repr(one.config) for one in exported.records()] == [
        repr({name: one.config[name] for name in sorted(one.config)}) for one in folder.records()
    ]
    again = export(exported, tmp_path / "again.parquet")
    assert again.records() == exported.records()


def test_parquet_has_typed_columns_with_units(tmp_path):
    folder = write_campaign(tmp_path / "c", RECORDS)
    export(folder, tmp_path / "trials.parquet")
    schema = pq.read_schema(tmp_path / "trials.parquet")
    types = {field.name: str(field.type) for field in schema}
    expected = {"name": "string", "ended": "timestamp[", "epochs_trained": "int64", "seconds": "double", "loss.k": "double",
                "epochs": "int64", "ema": "bool", "seed": "int64", "encoder.gc_bins": "int64", "loss": "string",
                "test/spearman": "double", "same_as": "string", "failure_class": "string"}  # fmt: skip
    for name, kind in expected.items():
        assert types[name].startswith(kind), name
    assert "UTC" in types["ended"]
    units = {field.name: (field.metadata or {}).get(b"unit", b"").decode() for field in schema}
    assert units["seconds"] == "s"
    assert units["test/spearman"] == "correlation"
    assert units["test/mse"] == "(model output - log2(RNA/DNA))^2"
    assert units["cagi5/release/n/all/HBB"] == "variants"
    assert (units["epochs"], units["best_epoch"], units["loss"]) == ("epochs", "epoch", "")


@pytest.fixture(scope="module")
def imported(real_data, tmp_path_factory):
    """The study's table, and a campaign folder made of it."""
    table = real_data / "study" / "published_trials.csv"
    if not table.exists():
        pytest.skip(f"no {table}")
    folder = tmp_path_factory.mktemp("import") / "study"
    import_published(table, folder)
    return table, folder


@pytest.mark.end_to_end
def test_every_source_of_the_studys_table_is_equal(imported, tmp_path):
    table, folder = imported
    opened = open_campaign(folder)
    expected = opened.records()
    assert open_campaign(table).records() == expected
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    tracked = open_campaign(uri)
    by_name = {one.name: one for one in tracked.records()}
    assert sorted(by_name) == sorted(one.name for one in expected)
    for one in expected:
        assert by_name[one.name] == one
    exported = export(opened, tmp_path / "trials.parquet")
    assert comparable(exported) == comparable(opened)
    for source in (tracked, exported, open_campaign(table)):
        assert (source.select_on, source.matched) == (opened.select_on, opened.matched)
        assert Comparisons(source).find("balance").name == Comparisons(opened).find("balance").name


def test_an_import_twice_does_nothing(imported):
    table, folder = imported
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = (folder / "trials.jsonl").read_bytes(), open_campaign(uri).records()
    count = import_published(table, folder)
    assert count == len(before[1])
    assert ((folder / "trials.jsonl").read_bytes(), open_campaign(uri).records()) == before


def test_an_import_into_a_foreign_folder_is_refused(imported, tmp_path):
    table, folder = imported
    other = tmp_path / "published_trials.csv"
    other.write_text(table.read_text() + "\n")
    with pytest.raises(UserError, match="holds a campaign with data"):
        import_published(other, folder)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "letter.txt").write_text("x")
    with pytest.raises(UserError):
        import_published(table, tmp_path / "else")


def test_the_seven_statements_of_the_study(imported):
    printed = CliRunner().invoke(app, ["best", str(imported[1]), "--use-case", "all"], env={"COLUMNS": "120"})
    assert printed.exit_code == 0, printed.output
    lines = {line.split()[0]: line for line in reversed(printed.output.splitlines()) if line.split()}
    expected = {
        "overall": ("DH7", "0.391", "+1.2 %"),
        "pearson": ("DH8", "0.557", "+11.4 %"),
        "high_confidence": ("DH7", "0.680", "-1.0 %"),
        "low_confidence": ("DH7", "0.227", "+9.6 %"),
        "noise_resistance": ("RS3", "-0.088", ""),
        "in_distribution": ("DH6", "0.719", "+1.6 %"),
        "balance": ("NG8|ABL4", "", ""),
    }
    for use_case, (winner, value, percent) in expected.items():
        line = lines[use_case].replace("−", "-")
        assert re.search(rf"\b({winner})\b", line), line
        assert value in line, line
        assert percent in line, line
    text = " ".join(printed.output.split())
    assert re.search(r"balance: (NG8\w* is also ABL4|ABL4\w* is also NG8)", text), text
    assert re.search(r"balance: mean percentile rank .* 0\.375.* 0\.024", text), text
    assert re.search(r"Trials left out for want of a metric: .*balance \d+", text), text


@pytest.mark.end_to_end
def test_several_campaigns_in_one_store(imported, tmp_path):
    """A second campaign of the same store, as two searches with one --tracking-uri leave it."""
    from nrtune.orchestrator.state.ledger import open_ledger
    from nrtune.orchestrator.tracking.trackers.mlflow import MlflowTracker

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for name in ("first", "second"):
        ledger = open_ledger(tmp_path / name, name, {"select_on": "release"}, {}, must_exist=False)
        MlflowTracker.open(uri, tmp_path / name, ledger.manifest, {"select_on": "release", "matched": ""})
        ledger.close()
    with pytest.raises(UserError, match=r"several campaigns; add #ID of one of: .*first \(") as raised:
        open_campaign(uri)
    assert "second (" in str(raised.value)
    assert open_campaign(f"{uri}#second").name == "second"
    number = json.loads((tmp_path / "first" / "campaign.json").read_text())["id"]
    assert open_campaign(f"{uri}#{number}").name == "first"
    with pytest.raises(UserError, match="holds no campaign 'third'"):
        open_campaign(f"{uri}#third")


@pytest.mark.parametrize(
    "source", ["none", "none.parquet", "none.csv", "wrong.parquet", "wrong.csv", "binary.csv", "nowhere://x/y"]
)
def test_what_is_no_source_is_one_sentence(tmp_path, source):
    (tmp_path / "wrong.parquet").write_text("x")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    given = source if "://" in source else str(tmp_path / source)
    with pytest.raises(UserError) as raised:
        open_campaign(given)
    assert str(raised.value).startswith(given)
    assert "\n" not in str(raised.value)


def test_another_parquet_file_is_refused(tmp_path):
    path = tmp_path / "other.parquet"
    pd.DataFrame({"name": ["a"]}).to_parquet(path)
    with pytest.raises(UserError, match="is not a table of trials"):
        open_campaign(path)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_trials_load(count, tmp_path):
    folder = write_campaign(tmp_path / "c", [record(number) for number in range(count)])
    table = folder.trials()
    assert len(table) == count
    exported = export(folder, tmp_path / "trials.parquet")
    assert len(exported.records()) == count
    assert Comparisons(exported).find("in_distribution").name == Comparisons(folder).find("in_distribution").name
