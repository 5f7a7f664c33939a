"""Every command and snippet of the documents: run, in order, in one folder; nothing is left out unseen."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
from pathlib import Path

import documents
import pandas as pd
import pytest
from documents import TOP, Block, blocks, read
from satmut_files import from_cagi5

from nrtune.orchestrator.cli import main as cli
from nrtune.trainables.core.registry import PLUGIN_VARIABLE
from nrtune.trainables.data.benchmarks._windows import REFERENCES
from nrtune.trainables.data.cell_lines import ELEMENTS_OF_CELL_LINE
from nrtune.trainables.data.simulate import HDF5_NAME

DOCUMENTS = ["README.md", "docs/tutorial.md", "docs/extending.md", "docs/guide.md"]
RUN = [DOCUMENTS[0], *(pytest.param(document, marks=pytest.mark.slow) for document in DOCUMENTS[1:])]

QUICK = ("--max-concurrent", "1", "--tracking-uri", "sqlite:///mlflow.db")
"""One worker to start, and one database to make for all of a document's campaigns."""

SMALLER = {
    "data simulate": ["--n", "1000"],
    "search": ["--preset", "small", "--epochs", "4", "--set", "batch_size=32", "--trials", "1", *QUICK],
    "study": ["--preset", "small", "--epochs", "1", "--only", "RS3,B1", *QUICK],
    "replicate": ["--use-case", "low_confidence", "--top", "1", "--seeds", "2", "--max-concurrent", "1"],
    "score": ["--resamples", "200"],
}
"""What is added to a command, so that it takes seconds: the last of an option counts."""

ONLY_READ = {
    "ui": "serves until Ctrl-C: test_servers.py does it",
    "data fetch": "downloads gigabytes: its own tests do it, from a server of theirs",
    "--install-completion": "changes the shell's start-up file: test_completion.py does it, in a home of its own",
}
"""Commands of nrtune whose words are checked, and that are not run. Other programs' never are: `make demo` and `make test`
take minutes, and `ray up` needs hosts (tests/cluster runs those lines for real)."""


class Workplace:
    """An empty folder in which a document's blocks are run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.names: dict[str, object] = {}
        self.printed = ""

    def do(self, block: Block) -> None:
        """Run a block, or write the file that it is, or compare it with what was printed."""
        if block.file:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.kind == "yaml":
            Path("mine.yaml").write_text(block.text)  # the guide names it in its sentence
        elif block.kind == "python":
            exec(compile(block.text, f"line {block.line}", "exec"), self.names)
        elif block.kind == "sh":
            self.printed = ""
            for words in documents.commands(block.text):
                self.command(words)
        elif block.kind == "text":
            first = block.text.splitlines()[0]
            assert _shape(first) in map(_shape, self.printed.splitlines()), f"not printed: {first}"
        else:
            pytest.fail(f"line {block.line}: a block of kind {block.kind!r} is neither run nor compared")

    def command(self, words: list[str]) -> None:
        """Run a command of nrtune in this process, or read it."""
        assignments, rest = documents.split_assignments(words)
        name = _name(rest)
        if rest[0] != "nrtune" or name in ONLY_READ:
            read(words)
            return
        target = None
        if ">" in rest:
            target, rest = rest[rest.index(">") + 1], rest[: rest.index(">")]
        rest = rest + SMALLER.get(name, [])
        with self.monkeypatch.context() as during:
            for variable, value in assignments.items():
                during.setenv(variable, value)
            printed = _printed_by(rest, during)
        if target is not None:
            Path(target).write_bytes(printed)
        else:
            self.printed += printed.decode()


def _printed_by(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What a command line writes to standard output, run as the program does. It must succeed."""
    monkeypatch.setattr(sys, "argv", words)
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        cli.main()
    out.flush()
    assert not left.value.code, f"{' '.join(words)}\n{err.getvalue()}"
    return out.buffer.getvalue()


def _name(words: list[str]) -> str:
    """The command's name: `search`, `data check`."""
    return " ".join(words[1:3]) if words[1:2] == ["data"] else "".join(words[1:2])


def _shape(line: str) -> list[str]:
    """A line's words, numbers aside."""
    return re.sub(r"[\d.]+", "0", line).split()


@pytest.fixture
def workplace(learnable_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A folder with the files that the documents take as given: simulated ones under the names of real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PLUGIN_VARIABLE, "")
    monkeypatch.setattr("webbrowser.open", lambda url: True)  # the module keeps for ever what BROWSER said first
    monkeypatch.setenv("COLUMNS", "80")
    for module in [name for name in sys.modules if name.startswith("nrtune_plugin.")]:
        monkeypatch.delitem(sys.modules, module)  # of another document's folder
    for folder in (Path(), Path("data/lentimpra")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(learnable_folder / HDF5_NAME, folder / "lentiMPRA_K562_activity_and_aleatoric_data.h5")
    elements_of_k562(learnable_folder / "cagi5", Path("cagi5"))
    from_cagi5(Path("cagi5"), Path("data/satmut"))
    rows = [
        pd.read_csv(
            path, sep="\t", skiprows=2, names=["chrom", "pos", "ref", "alt", "variant_effect", "confidence"]
        ).assign(element=path.stem.rpartition("_")[2])
        for path in Path("cagi5").glob("*.tsv")
    ]
    pd.concat(rows).to_csv("predictions.csv", index=False)
    Path("genome.fa").write_text(">chr1\n" + "ACGTTGCA" * 100 + "\n")
    Path("sequences.fa").write_text(">one\n" + ("ACGTTGCA" * 29)[:230] + "\n")
    Path("variants.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=800>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t401\t.\tA\tG\t.\t.\t.\n"
    )
    return Workplace(monkeypatch)


def elements_of_k562(simulated: Path, folder: Path) -> None:
    """A simulated CAGI5 folder whose elements go by the names of K562's."""
    folder.mkdir()
    references = json.loads((simulated / REFERENCES).read_text())
    names = dict(zip(references, ELEMENTS_OF_CELL_LINE["K562"], strict=True))
    (folder / REFERENCES).write_text(json.dumps({names[name]: of for name, of in references.items()}))
    for path in simulated.glob("*.tsv"):
        part, _, name = path.stem.partition("_")
        shutil.copy(path, folder / f"{part}_{names[name]}.tsv")


@pytest.mark.parametrize("document", RUN)
def test_every_block_of_a_document_runs(
    shared_ray, workplace: Workplace, document: str, request: pytest.FixtureRequest
):
    if document == DOCUMENTS[0]:
        request.getfixturevalue("few_figures")
    for block in blocks((TOP / document).read_text()):
        try:
            if document == "docs/guide.md" and not Path("campaign").exists():
                make_campaign(workplace)  # the guide speaks of one that is there
            workplace.do(block)
        except Exception as error:
            error.add_note(f"{document}, line {block.line}")
            raise


def make_campaign(workplace: Workplace) -> None:
    """What README's first search makes."""
    text = (TOP / "README.md").read_text()
    search = next(words for block in blocks(text) if block.kind == "sh"
                  for words in documents.commands(block.text) if _name(words) == "search")  # fmt: skip
    workplace.command(search)


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, "docs/questions.md", "docs/report.md", "docs/statistics.md", "CONTRIBUTING.md"]
)
def test_what_the_prose_names_exists(document: str):
    """Commands, options and targets of make in inline code; and what links point to."""
    text = (TOP / document).read_text()
    options = _options()
    for span in documents.inline(text):
        if "…" in span:
            continue
        words = documents.split_assignments(span.split())[1]
        if words[:1] == ["nrtune"] and len(words) > 1:
            _read_named(words)
        elif words[:1] == ["make"]:
            read(words)
        assert {word for word in words if word.startswith("--")} <= options, span
    for target in documents.links(text):
        file, _, anchor = target.partition("#")
        path = (TOP / document).parent / file if file else TOP / document
        assert path.exists(), target
        assert not anchor or anchor in documents.anchors(path.read_text()), target


def _read_named(words: list[str]) -> None:
    """Read a command that may be without the arguments that it needs: it is named, not given."""
    try:
        read(words)
    except Exception as error:
        if type(error).__name__ != "MissingParameter":  # Typer has a click of its own
            raise


def _options() -> set[str]:
    """Every option of nrtune, and those of `ray` and of the scripts in clusters/ that documents name."""
    from ray.scripts.scripts import cli as ray_cli
    from typer.main import get_command

    def of(command) -> set[str]:
        own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        return own.union(*(of(inner) for inner in getattr(command, "commands", {}).values()))

    ray = of(ray_cli.commands["up"]) | of(ray_cli.commands["job"].commands["submit"])
    scripts = {option for script in (TOP / "clusters").glob("*.py")
               for option in re.findall(r'"(--[a-z-]+)"', script.read_text())}  # fmt: skip
    return of(get_command(cli.app)).union(ray, scripts, {"--help"})


def test_the_pictures_campaign_is_the_tutorials():
    told = [" ".join(words) for block in blocks((TOP / "docs" / "tutorial.md").read_text()) if block.kind == "sh"
            for words in documents.commands(block.text)]  # fmt: skip
    script = (TOP / "docs" / "picture.py").read_text()
    found: dict[str, object] = {}
    exec(script[script.index("COMMANDS = (") : script.index('"""The tutorial')], found)
    assert list(found["COMMANDS"]) == [command for command in told if command in found["COMMANDS"]]
    assert (TOP / "docs" / "report.png").stat().st_size < 200_000


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```ruby\nputs 1\n```", "neither run nor compared"),
        ("```sh\nnrtune serach\n```", "serach"),
        ("```sh\nnrtune data check --cell-lines K562 cagi5\n```", "--cell-lines"),
        ("```sh\nray up cluster.yaml --restart-onlyy\n```", "restart-onlyy"),
        ("```sh\nray exec cluster.yaml 'ray job submit -- nrtune search --trails 5'\n```", "trails"),
        ("```sh\nmake demolition\n```", "demolition"),
        ("```sh\nperl -e 1\n```", "perl"),
        ("```python\nfrom nrtune.analysis import no_such\n```", "no_such"),
        ("```sh\nnrtune data check cagi5\n```\n\n```text\nSomething else\n```", "not printed"),
    ],
)
def test_what_is_wrong_in_a_document_is_found(workplace: Workplace, text: str, wrong: str):
    *right, last = blocks(text)
    for block in right:
        workplace.do(block)
    with pytest.raises((Exception, pytest.fail.Exception), match=re.escape(wrong)):
        workplace.do(last)


@pytest.mark.parametrize("text", ["```sh\nnrtune\n", "A sentence.\n\n    nrtune status campaign\n"])
def test_a_block_that_could_be_overlooked_is_refused(text: str):
    with pytest.raises(ValueError, match=r"line \d"):
        blocks(text)
