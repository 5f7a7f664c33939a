"""A release: one version, a citation, licences, and archives that install into an empty environment and run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from in_process import run
from scipy import stats

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
PACKAGES = ("orchestrator", "search_spaces", "trainables", "analysis")


def citation() -> dict[str, object]:
    return yaml.safe_load((TOP / "CITATION.cff").read_text())


def test_the_version_stands_in_one_place(monkeypatch, capsys):
    version = PROJECT["version"]
    code, out, _ = run(monkeypatch, capsys, "--version")
    assert (code, out.strip()) == (0, version), "install the project again"
    released = re.findall(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", (TOP / "CHANGELOG.md").read_text(), flags=re.M)
    told = citation()
    assert (told["version"], told["date-released"]) == released[0]
    assert told["version"] == version
    again = [path for package in PACKAGES for path in (TOP / package).rglob("*.py") if version in path.read_text()]
    assert again == []


def test_the_changelog_is_kept():
    """Newest first; under each version groups of the known names, which hold a list each."""
    text = (TOP / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, flags=re.M)
    assert headings[0] == "Unreleased"
    versions = [tuple(map(int, heading.partition(" ")[0].split("."))) for heading in headings[1:]]
    assert versions == sorted(versions, reverse=True)
    known = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    groups = re.findall(r"^### (.+)\n\n(.)", text, flags=re.M)
    assert groups
    assert all(name in known and first == "-" for name, first in groups)


def test_the_citation_is_in_its_format():
    """The keys that Citation File Format 1.2.0 asks for; no person is made up."""
    told = citation()
    assert told["cff-version"] == "1.2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(told)
    assert set(told) <= {"cff-version", "message", "title", "authors", "abstract", "type", "version", "date-released",
                         "license", "keywords", "repository-code", "url", "doi"}  # fmt: skip
    assert told["type"] == "software"
    assert told["license"] == PROJECT["license"]
    assert all(set(author) == {"name"} for author in told["authors"])  # entities
    assert all(isinstance(told[key], str) for key in ("message", "title", "abstract", "version", "date-released"))
    assert all(isinstance(word, str) for word in told["keywords"])


def test_nothing_of_others_is_bundled_but_chart_js():
    """Else the packages hold our text alone; a font, a script, a style sheet or data would need a licence in NOTICE."""
    bundled = TOP / "analysis" / "report" / "chart_js"
    files = [path for package in PACKAGES for path in (TOP / package).rglob("*") if path.is_file()]
    files = [path for path in files if not path.is_relative_to(bundled)]
    ours = {".py", ".typed", ".yaml", ".j2", ".css", ".js"}
    assert [path for path in files if path.suffix not in ours and "__pycache__" not in path.parts] == []
    page = "".join(path.read_text() for path in (TOP / "analysis" / "report" / "templates").iterdir())
    assert re.findall(r"@font-face|@import|<script src|<link rel=.stylesheet|https?://", page) == []
    assert "Chart.js 4.5.1" in (TOP / "NOTICE").read_text()
    assert PROJECT["license-files"] == ["LICENSE", "NOTICE", "analysis/report/chart_js/LICENSE-*"]
    assert {path.name for path in bundled.iterdir()} == {
        "README.md", "chart.umd.min.js", "LICENSE-chart.js.md", "LICENSE-kurkle-color.md",
    }  # fmt: skip
    script = (bundled / "chart.umd.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in (bundled / "README.md").read_text()
    assert b"v4.5.1" in script


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, as `make dist` builds them of a copy."""
    pytest.importorskip("build")
    copy = tmp_path_factory.mktemp("source") / "nrtune"
    left = shutil.ignore_patterns(
        ".git", ".*_cache", ".venv", ".hypothesis", "dist", "shared", "__pycache__", "nrtune-demo"
    )
    shutil.copytree(TOP, copy, ignore=left)
    subprocess.run(["make", f"BIN={Path(sys.executable).parent}", "FOR_DEVELOPERS=", "dist"], cwd=copy, check=True)
    (wheel,), (source,) = (copy / "dist").glob("*.whl"), (copy / "dist").glob("*.tar.gz")
    return wheel, source


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_archives_hold_what_they_should(archives):
    wheel, source = archives
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    info = f"nrtune-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"nrtune", info}
    assert {name.split("/")[1] for name in names if name.count("/") > 1 and not name.startswith(info)} == {*PACKAGES}
    report = "analysis/report"
    chart_js = [f"{report}/chart_js/LICENSE-{name}.md" for name in ("chart.js", "kurkle-color")]
    licences = {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE", *chart_js)}
    assert {name for name in names if "/licenses/" in name} == licences
    others = [name for name in names if not name.startswith(info) and not name.endswith((".py", ".typed", ".yaml"))]
    assert {name.rpartition("/")[0] for name in others} == {
        f"nrtune/{report}/{folder}" for folder in ("chart_js", "templates")
    }
    with tarfile.open(source) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    if (TOP / ".git").exists():
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=TOP, check=True, capture_output=True, text=True
        ).stdout.split()
        assert {name for name in tracked if not (TOP / name).is_symlink()} - held == set()
    assert {"Makefile", "constraints.txt", "tests/conftest.py", "docs/tutorial.md", "docs/report.png"} <= held


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_source_distribution_can_be_tested(archives, tmp_path):
    with tarfile.open(archives[1]) as opened:
        opened.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "pytest", "tests/test_docs.py", "tests/trainables/evaluation/test_metrics.py"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "src")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


Call = Callable[..., str]


def environment(folder: Path, archive: Path) -> Call:
    """An empty environment with an archive installed; returns what calls its programs in an empty folder beside it."""
    venv.create(folder / "venv", with_pip=True)
    here = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    (folder / "empty").mkdir()

    def call(program: str, *arguments: object) -> str:
        command = [str(folder / "venv" / "bin" / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder / "empty", env=here, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    call("pip", "install", "--quiet", "-c", TOP / "constraints.txt", archive)
    return call


@pytest.fixture(scope="module")
def from_wheel(archives, tmp_path_factory: pytest.TempPathFactory) -> tuple[Call, Path]:
    """An environment with the wheel, and the folder that its programs are called in."""
    folder = tmp_path_factory.mktemp("wheel")
    return environment(folder, archives[0]), folder / "empty"


def check_demo(call: Call, folder: Path) -> None:
    assert call("nrtune", "--version").strip() == PROJECT["version"]
    assert "use case" in call("nrtune", "demo", "--trials", "1")
    assert {path.name for path in folder.iterdir()} == {"nrtune-demo"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_wheel_installs_into_an_empty_environment_and_runs(from_wheel):
    check_demo(*from_wheel)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_source_distribution_installs_into_an_empty_environment_and_runs(archives, tmp_path):
    check_demo(environment(tmp_path, archives[1]), tmp_path / "empty")


@contextlib.contextmanager
def mirror(folder: Path) -> Iterator[str]:
    """A folder served as `python -m http.server` does."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_nothing_to_scored_variants(from_wheel, real_data):
    """Fetch from a mirror, search two families, predict HBB's release variants on a FASTA made of its reference.

    Their correlations with what was measured are those that the campaign has for that element.
    """
    call, folder = from_wheel
    with mirror(real_data) as address:
        call("nrtune", "data", "fetch", "lentimpra-wtc11", "satmut", "hg19-windows", "--mirror", address)
    for path in (real_data / "cagi5").glob("*.tsv"):  # by hand, as `nrtune data fetch cagi5` says
        shutil.copy(path, folder / "data" / "cagi5")
    data = next((folder / "data" / "lentimpra").glob("*.h5"))
    call("nrtune", "search", "--families", "baseline,rank_stability", "--data", data, "--cagi5", "data/cagi5", "--satmut",
         "data/satmut", "--trials", 2, "--epochs", 1, "--cell-line", "K562", "--out", "campaign")  # fmt: skip
    reference = json.loads((folder / "data" / "cagi5" / "references.json").read_text())["HBB"]
    (folder / "genome.fa").write_text(
        f">{reference['chrom']}\n{'N' * (reference['start'] - 1)}{reference['sequence']}\n"
    )
    names = ["chrom", "pos", "ref", "alt", "value", "confidence"]
    measured = pd.read_csv(real_data / "cagi5" / "release_HBB.tsv", sep="\t", comment="#", names=names)
    chrom = measured["chrom"].astype(str).str.removeprefix("chr")
    lines = [
        f"{c}\t{p}\t.\t{r}\t{a}\t.\t.\t." for c, p, r, a in zip(chrom, *(measured[n] for n in names[1:4]), strict=True)
    ]
    heading = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "release.vcf").write_text(heading + "\n".join(lines) + "\n")
    call("nrtune", "predict", "campaign", "--use-case", "overall", "--vcf", "release.vcf", "--fasta", "genome.fa")
    found = pd.read_parquet(folder / "release.nrtune.parquet")
    assert found["skipped"].isna().all()
    assert list(found["pos"]) == list(measured["pos"])
    metrics = json.loads(call("nrtune", "best", "campaign", "--use-case", "overall", "--json"))["metrics"]
    for kind, of in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        expected = metrics[f"cagi5/release/{kind}/all/HBB"]
        assert of(found["variant_effect"], measured["value"]).statistic == pytest.approx(expected, abs=1e-6)
    assert math.isfinite(metrics["satmut/spearman/all/mean"])
