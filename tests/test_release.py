"""A release: one version, a citation, licences, and archives that install into an empty environment and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from in_process import run

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


def test_nothing_of_others_is_bundled():
    """The packages hold our text alone; a font, a script, a style sheet or data would need a licence in NOTICE."""
    files = [path for package in PACKAGES for path in (TOP / package).rglob("*") if path.is_file()]
    ours = {".py", ".typed", ".yaml"}
    assert [path for path in files if path.suffix not in ours and "__pycache__" not in path.parts] == []
    page = (TOP / "analysis" / "report_html.py").read_text()
    assert re.findall(r"@font-face|@import|<script src|<link rel=.stylesheet|https?://", page) == []
    assert "Nothing of others is bundled" in (TOP / "NOTICE").read_text()
    assert PROJECT["license-files"] == ["LICENSE", "NOTICE"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, as `make dist` builds them of a copy."""
    pytest.importorskip("build")
    copy = tmp_path_factory.mktemp("source") / "nrtune"
    left = shutil.ignore_patterns(
        ".git", ".*_cache", ".venv", ".hypothesis", "dist", "shared", "__pycache__", "nrtune-demo"
    )
    shutil.copytree(TOP, copy, ignore=left)
    subprocess.run(["make", f"BIN={Path(sys.executable).parent}", "READY=", "dist"], cwd=copy, check=True)
    (wheel,), (source,) = (copy / "dist").glob("*.whl"), (copy / "dist").glob("*.tar.gz")
    return wheel, source


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_archives_hold_what_they_should(archives):
    wheel, source = archives
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    info = f"nrtune-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {*PACKAGES, info}
    assert {name for name in names if "/licenses/" in name} == {f"{info}/licenses/{n}" for n in ("LICENSE", "NOTICE")}
    assert [name for name in names if not name.startswith(info) and not name.endswith((".py", ".typed", ".yaml"))] == []
    with tarfile.open(source) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    if (TOP / ".git").exists():
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=TOP, check=True, capture_output=True, text=True
        ).stdout.split()
        assert set(tracked) - held == set()
    assert {"Makefile", "constraints.txt", "tests/conftest.py", "docs/tutorial.md", "docs/report.png"} <= held


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_source_distribution_can_be_tested(archives, tmp_path):
    with tarfile.open(archives[1]) as opened:
        opened.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "pytest", "tests/test_docs.py", "tests/trainables/test_metrics.py"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_an_archive_installs_into_an_empty_environment_and_runs(archives, tmp_path, kind: str):
    archive = archives[("wheel", "source").index(kind)]
    venv.create(tmp_path / "venv", with_pip=True)
    here = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    empty = tmp_path / "empty"
    empty.mkdir()

    def call(program: str, *arguments: object) -> str:
        command = [str(tmp_path / "venv" / "bin" / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=empty, env=here, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    call("pip", "install", "--quiet", "-c", TOP / "constraints.txt", archive)
    assert call("nrtune", "--version").strip() == PROJECT["version"]
    assert "use case" in call("nrtune", "demo", "--trials", "1")
    assert {path.name for path in empty.iterdir()} == {"nrtune-demo"}
