"""Write docs/reference/ from the code, so that the pages can't go stale: `make docs`. A test compares them.

cli.md is what `nrtune COMMAND --help` says, in 80 columns. api.md has the public names of the packages with their
signatures and docstrings: those of `__all__`, or of SOME, or all that a module defines.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from typer.main import get_command

from nrtune.analysis.selection.use_cases import UseCase
from nrtune.orchestrator.cli.main import app
from nrtune.trainables.core.registry import Registry

FOLDER = Path(__file__).with_suffix("")
WIDTH = 80

API: Mapping[str, str] = {
    "nrtune": "What most programs need.",
    "nrtune.search_spaces": "Families: what each fixes and searches.",
    "nrtune.analysis": "Answers from a campaign's trials.",
    "nrtune.analysis.uncertainty.comparison": "Intervals, p-values and ties.",
    "nrtune.analysis.uncertainty.campaigns": "Two campaigns' winners, paired.",
    "nrtune.trainables.core.component": "What losses, samplers and encoders of your own are built from.",
    "nrtune.trainables.losses": "The shape of a loss.",
    "nrtune.trainables.samplers": "The shape of a sampler.",
    "nrtune.trainables.encoders": "The shape of an encoder.",
    "nrtune.trainables.models.encoding": "What an encoder builds.",
    "nrtune.trainables.models.prediction": "What a loss is given of the model.",
    "nrtune.trainables.training.fit": "What `fit` returns.",
    "nrtune.trainables.training.loop": "What `fit` reports of an epoch.",
    "nrtune.trainables.inference": "What `load_model` returns.",
    "nrtune.trainables.evaluation.calibration": "From a model's own output to log2(RNA/DNA).",
    "nrtune.trainables.data.dataset": "What `read_dataset` returns.",
    "nrtune.trainables.data.benchmarks": "What `read_cagi5` and other readers return, and the shape of a benchmark.",
    "nrtune.trainables.data.benchmarks.table": "The columns of a table of variants of your own.",
}
"""The modules of api.md, and what each is for."""

SOME: Mapping[str, tuple[str, ...]] = {
    "nrtune.trainables.core.component": ("param", "Range", "Component"),
    "nrtune.trainables.training.fit": ("FitResult",),
    "nrtune.trainables.training.loop": ("EpochReport",),
    "nrtune.trainables.inference": ("SequenceModel", "SequenceEnsemble"),
    "nrtune.trainables.evaluation.calibration": ("Calibration",),
    "nrtune.trainables.data.dataset": ("Dataset",),
    "nrtune.trainables.data.benchmarks": ("VariantSet", "Benchmark", "BENCHMARKS"),
    "nrtune.trainables.data.benchmarks.table": ("read_table",),
}
"""Of these modules only some names are for users."""


def pages() -> dict[Path, str]:
    """Both pages, by their path."""
    return {FOLDER / "cli.md": cli_page(), FOLDER / "api.md": api_page()}


def cli_page() -> str:
    """Every command's help."""
    commands = list(_commands("nrtune", get_command(app), None))
    lines = ["# Command line", "", "*Written by `make docs` from the commands; edit those.*", ""]
    lines += ["Results go to standard output, everything else to standard error. Exit codes: 0 done, also where a time",
              "budget ended a search; 1 an error of nrtune; 2 a mistake in what was given, told in one sentence; 130 Ctrl-C.",
              "Every option of `search` and `study` is also a key of their settings file, with `_` for `-`.", ""]  # fmt: skip
    lines += [f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in commands]
    for name, said in commands:
        lines += ["", f"## {name}", "", "```text", said, "```"]
    return "\n".join(lines) + "\n"


def _commands(name: str, command: Any, parent: Any) -> Iterator[tuple[str, str]]:
    """The command and those within it: name and help."""
    context = click.Context(command, parent=parent, info_name=name.rpartition(" ")[2],
                            terminal_width=WIDTH, max_content_width=WIDTH)  # fmt: skip
    yield name, command.get_help(context).strip()
    for inner, of in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {inner}", of, context)


def api_page() -> str:
    """Every public name."""
    lines = ["# Python", "", "*Written by `make docs` from the docstrings; edit those.*", ""]
    lines += ["Tensors and arrays have their shapes in brackets: `Float[Tensor, \"n 4 length\"]`. Activities are",
              "log2(RNA/DNA). A mistake of the user raises `nrtune.UserError`, a ValueError whose text is one sentence.",
              ""]  # fmt: skip
    lines += [f"- [`{name}`](#{name.replace('.', '')}): {what}" for name, what in API.items()]
    told: dict[int, str] = {}
    for name in API:
        module = importlib.import_module(name)
        lines += ["", f"## {name}", "", inspect.cleandoc(module.__doc__ or "").partition("\n")[0]]
        for public in public_names(module):
            lines += [
                "",
                f"### {name}.{public}",
                "",
                *_entry(public, getattr(module, public), f"{name}.{public}", told),
            ]
    return "\n".join(lines) + "\n"


def public_names(module: ModuleType) -> list[str]:
    """`__all__`, or SOME, or what the module defines in its own lines."""
    if module.__name__ in SOME:
        return list(SOME[module.__name__])
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    registries = [name for name, value in vars(module).items() if isinstance(value, Registry)]
    return [name for name in [*own, *registries] if not name.startswith("_")]


def _entry(name: str, value: Any, place: str, told: dict[int, str]) -> Iterator[str]:
    if (first := told.setdefault(id(value), place)) != place:
        yield f"Is `{first}`."
    elif isinstance(value, type):
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield from (*_code(name, value), "", _doc(value))
    elif isinstance(value, Registry):
        yield f"Registered names: {', '.join(f'`{n}`' for n in value)}."
    elif isinstance(value, Mapping) and all(isinstance(v, UseCase) for v in value.values()):
        for key, rule in value.items():
            of = ", ".join(f"`{metric}` {way}" for metric, way in rule.metrics.items())
            yield f"- `{key}`: {rule.title}. {of}"
    else:
        yield f"`{value!r}`" if isinstance(value, str | int | float) else f"`{_annotation(value)}`"


def _class(name: str, cls: type) -> Iterator[str]:
    if not issubclass(cls, Exception):
        yield from (*_code(name, cls), "")
    yield _doc(cls)
    bases = [base for base in cls.__mro__[1:] if base.__module__.startswith("nrtune.")]
    public = [base.__name__ for base in bases if not base.__name__.startswith("_")]
    if public:
        yield from ("", f"Has what `{public[0]}` has.")
    for member, value in inspect.getmembers(cls):
        if not any(member in vars(base) for base in (cls, *(b for b in bases if b.__name__.startswith("_")))):
            continue
        of = inspect.getattr_static(cls, member)
        function = of.__func__ if isinstance(of, classmethod | staticmethod) else of
        defined = getattr(getattr(function, "fget", None) or function, "__module__", "") or ""
        ours = defined.startswith("nrtune.")
        if (member.startswith("_") and member != "__call__") or not ours:
            continue
        if isinstance(function, property):
            yield from ("", f"**`.{member}`** {_doc(value)}")
        elif inspect.isfunction(function):
            yield from ("", *_code(f".{member}" if member != "__call__" else "", value), "", _doc(value))


def _doc(value: Any) -> str:
    doc = inspect.getdoc(value) or ""
    if (
        not doc
        or (value is not type(value) and doc == inspect.getdoc(type(value)))
        or doc.startswith(f"{getattr(value, '__name__', '?')}(")
    ):
        where = getattr(getattr(value, "fget", None) or value, "__qualname__", value)
        raise SystemExit(f"docs/reference.py: {where} has no docstring")
    return doc


def _code(name: str, value: Any) -> list[str]:
    """The call, in one line or a line an argument."""
    signature = inspect.signature(value)
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    parts, kinds = [], [p.kind for p in given]
    for number, parameter in enumerate(given):
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.KEYWORD_ONLY not in kinds[:number]:
            parts.append("*")
        parts.append(_parameter(parameter))
    returns = "" if isinstance(value, type) or signature.return_annotation is signature.empty else (
        f" -> {_annotation(signature.return_annotation)}")  # fmt: skip
    line = f"{name}({', '.join(parts)}){returns}"
    lines = [line] if len(line) <= 100 else [f"{name}(", *(f"    {part}," for part in parts), f"){returns}"]
    return ["```text", *lines, "```"]


def _parameter(parameter: inspect.Parameter) -> str:
    text = ("*" if parameter.kind is parameter.VAR_POSITIONAL else "") + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    plain = parameter.default is None or isinstance(parameter.default, str | int | float | bool | tuple | Mapping)
    if dataclasses.is_dataclass(parameter.default) or not plain:
        return f"{text} = …"
    default = "USE_CASES" if isinstance(parameter.default, Mapping) and parameter.default else repr(parameter.default)
    return f"{text} = {default}"


def _annotation(annotation: Any) -> str:
    annotation = getattr(annotation, "__forward_arg__", annotation)
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    for module in ("nrtune.search_spaces._family.", "jaxtyping.", "torch."):
        text = text.replace(module, "")
    return text


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text)
    sys.stdout.write("".join(f"{path}\n" for path in pages()))
