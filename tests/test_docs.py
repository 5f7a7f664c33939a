"""Pages that are written from the code are as the code is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_methods_page_is_up_to_date():
    module = script("methods")
    assert module.PAGE.read_text() == module.page(), "run `make docs`"


@pytest.mark.parametrize("name", ["cli.md", "api.md"])
def test_the_reference_is_up_to_date(name: str):
    module = script("reference")
    path = module.FOLDER / name
    assert path.read_text() == module.pages()[path], "run `make docs`"


def test_every_line_of_help_fits_80_columns():
    assert [line for line in (DOCS / "reference" / "cli.md").read_text().splitlines()[10:] if len(line) > 80] == []


def test_the_notebook_is_up_to_date():
    module = script("notebook")
    assert module.NOTEBOOK.read_text() == module.page(), "run `make docs`"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation site. The build fails at the first warning: a page that nothing lists, a link to nowhere."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=DOCS.parent, env=quiet, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_needs_no_network(site: Path):
    loaded = re.compile(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(https?:)?//')
    pages = list(site.rglob("*.html"))
    assert {"index.html", "tutorial.html", "questions.html"} <= {page.name for page in pages}
    assert [page.name for page in pages if loaded.search(page.read_text())] == []


def test_the_site_documents_every_public_name(site: Path):
    module = script("reference")
    text = (site / "reference" / "api.html").read_text()
    names = [f"{name}.{public}" for name in module.API for public in module.public_names(importlib.import_module(name))]
    assert len(names) > 80
    assert [name for name in names if f'id="{name}"' not in text] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_notebook_runs(tmp_path: Path):
    shutil.copy(DOCS / "tutorial.ipynb", tmp_path)
    words = [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=3600", "tutorial.ipynb"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "campaign" / "report" / "report.html").is_file()
