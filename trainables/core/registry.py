"""Registries that discover files: one file is one registered name, and nothing else is edited."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from nrtune.trainables.core.errors import UserError, one_line, suggest

T = TypeVar("T")

PACKAGES = ("orchestrator", "analysis", "search_spaces", "trainables")
"""What plugins of older versions import without `nrtune.`."""

PLUGIN_VARIABLE = "NRTUNE_PLUGINS"
"""Folders (separated as in PATH) that hold files of the user's own: losses/, samplers/, encoders/, search_spaces/, benchmarks/,
rules/ and trackers/."""


class Registry(Generic[T]):
    """The names found in a package and in the user's plugin folders, each loaded on first use.

    A name is its file's name; files that start with an underscore are not names.
    """

    def __init__(self, package: str, kind: str, base: type[Any]) -> None:
        self.package, self.kind, self.base = package, kind, base

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted. Nothing is imported."""
        return tuple(sorted(self._files()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._files())

    def __contains__(self, name: object) -> bool:
        return name in self._files()

    def check_name(self, name: str) -> None:
        """Raise UserError, with the nearest name, where there is no file of a name; it is not imported."""
        if name not in (files := self._files()):
            raise UserError(f"unknown {self.kind} {name!r}{suggest(name, files)}")

    def module(self, name: str) -> ModuleType:
        """Import the file of `name`. Raises UserError, with the nearest name, where there is none."""
        self.check_name(name)
        path = self._files()[name]
        if path is None:
            return importlib.import_module(f"{self.package}.{name}")
        return _load_plugin(path, f"nrtune_plugin.{_subfolder(self.package)}.{name}")

    def get(self, name: str) -> T:
        """Return what the file of `name` registers. Raises UserError unless that is one thing."""
        module = self.module(name)
        found = self._defined(module)
        if len(found) != 1:
            raise UserError(
                f"{module.__file__}: a {self.kind} file defines one {self.base.__name__}, this {len(found)}"
            )
        return found[0]

    def _defined(self, module: ModuleType) -> list[T]:
        """What of this registry's kind a file defines."""
        raise NotImplementedError

    def _files(self) -> dict[str, Path | None]:
        """Map every name to its plugin file, or to None for a file of the package."""
        spec = importlib.util.find_spec(self.package)  # without what the package imports: shells complete these names
        assert spec is not None
        found: dict[str, Path | None] = {
            m.name: None for m in pkgutil.iter_modules(spec.submodule_search_locations) if not m.name.startswith("_")
        }
        for folder in plugin_folders():
            for path in sorted((folder / _subfolder(self.package)).glob("*.py")):
                if path.stem.startswith("_"):
                    continue
                if path.stem in found:
                    raise UserError(f"{path}: a {self.kind} named {path.stem!r} exists already; rename the file")
                found[path.stem] = path
        return found


class ClassRegistry(Registry[type[T]]):
    """A registry whose files each define one public subclass of `base`."""

    def _defined(self, module: ModuleType) -> list[type[T]]:
        return [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, self.base)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ]


class ObjectRegistry(Registry[T]):
    """A registry whose files each define one instance of `base`."""

    def _defined(self, module: ModuleType) -> list[T]:
        return [value for value in vars(module).values() if isinstance(value, self.base)]


def plugin_folders() -> tuple[Path, ...]:
    """The folders of NRTUNE_PLUGINS, in order. Raises UserError for one that does not exist."""
    folders = tuple(Path(p) for p in os.environ.get(PLUGIN_VARIABLE, "").split(os.pathsep) if p)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{PLUGIN_VARIABLE}: {folder} is not a folder")
    return folders


def _subfolder(package: str) -> str:
    return package.rpartition(".")[2]


def _load_plugin(path: Path, module_name: str) -> ModuleType:
    loaded = sys.modules.get(module_name)
    if loaded is not None and loaded.__file__ == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, ModuleNotFoundError) and (name := str(error.name).partition(".")[0]) in PACKAGES:
            raise UserError(f"{path}: imports {name}, whose name is nrtune.{name} now; change that") from error
        if isinstance(error, ImportError) and str(error.name).startswith("nrtune."):
            raise UserError(
                f"{path}: {one_line(error)}; import what plug-ins are made of from nrtune (docs/extending.md)"
            ) from error
        raise
    return module
