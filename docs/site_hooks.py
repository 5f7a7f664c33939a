"""Hooks of the documentation site (mkdocs.yml): pages that lie outside docs/, and Python's from the docstrings.

README.md is the site's first page; the other documents at the top are pages under their own names, and files there that a page
links to, such as cluster.yaml, are copied. reference/api.md is rendered by mkdocstrings, of the names that
docs/reference.py lists.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "SECURITY.md": "SECURITY.md",
         "CHANGELOG.md": "CHANGELOG.md"}  # fmt: skip
"""Documents at the top, and what they are called in the site."""

API = "reference/api.md"
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents at the top, and the files beside them that pages link to."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(TOP / name).read_text()))
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            found = _beside(page.src_uri, target)
            if found is not None and found not in PAGES and files.get_file_from_path(found) is None:
                files.append(File.generated(config, found, abs_src_path=str(TOP / found)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where documents and files lie in the site."""
    if page.file.src_uri == API:
        return python_reference()
    depth = "../" * page.file.src_uri.count("/")

    def moved(link: re.Match[str]) -> str:
        target = link[1]
        if page.file.src_uri in PAGES.values() and target.startswith("docs/"):
            return target.removeprefix("docs/")
        found = _beside(page.file.src_uri, target)
        return target if found is None else depth + PAGES.get(found, found)

    return LINK.sub(moved, markdown)


def _beside(page: str, target: str) -> str | None:
    """The name of a file at the top that a page's link means, or None for another kind of link."""
    if "://" in target:
        return None
    folder = TOP if page in PAGES.values() else (TOP / "docs" / page).parent
    path = (folder / target).resolve()
    inside = path.is_relative_to(TOP) and not path.is_relative_to(TOP / "docs")
    return path.relative_to(TOP).as_posix() if inside and path.is_file() else None


def python_reference() -> str:
    """The page of the public names, as directives of mkdocstrings."""
    reference = _script("reference")
    lines = ["# Python", "",
             'Tensors and arrays have their shapes in brackets: `Float[Tensor, "n 4 length"]`. Activities are log2(RNA/DNA).',
             "A mistake of the user raises `nrtune.UserError`, a ValueError whose text is one sentence."]  # fmt: skip
    for name, what in reference.API.items():
        module = importlib.import_module(name)
        lines += ["", f"## {name}", "", what]
        for public in reference.public_names(module):
            lines += ["", f"::: {name}.{public}"]
    return "\n".join(lines) + "\n"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
