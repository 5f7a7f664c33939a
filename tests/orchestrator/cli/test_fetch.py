"""`nrtune data fetch` against a server that misbehaves: what it keeps, what it refuses, and what it says."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from command_line import Process
from file_server import FileServer, running
from in_process import run

from nrtune.trainables.data.benchmarks.cagi5 import read_references
from nrtune.trainables.data.benchmarks.satmut import read_satmut
from nrtune.trainables.data.fetch import catalogue, download, reference_windows
from nrtune.trainables.data.fetch.checksums import SUMS, ChecksumStore
from nrtune.trainables.data.lentimpra import read_dataset

CONTENT = bytes(range(256)) * 4000
"""1 MB: many of the pieces that a download is read in."""

CUT = 20 * download.CHUNK
"""Where connections break: on the edge of a piece, so that nothing of the last one is lost."""

ELEMENTS = {"A": "chr1:11-20", "B": "chr2:101-130"}


@pytest.fixture
def server(monkeypatch) -> Iterator[FileServer]:
    """Serves /plain/file.bin and what tests add; nothing waits between tries."""
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(reference_windows, "PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running() as started:
        started.serve("/plain/file.bin", CONTENT)
        yield started


@pytest.fixture
def entries(server, monkeypatch, tmp_path) -> dict:
    """A catalogue whose sources are all at the server, written by `fetch` as it then is."""

    def data(path: str, **how: object) -> dict:
        return {
            "about": path,
            "size": "1 MB",
            "licence": "-",
            "cite": "Me",
            "files": [{"path": path, "max_mb": 5, **how}],
        }

    return {
        "archives": {
            "box": {"name": "box.tar.gz", "urls": [f"{server.url}/box.tar.gz"], "max_mb": 5, "unpacked_max_mb": 3}
        },
        "windows": {
            "genome": "hg19",
            "url": server.url + "/sequence?genome={genome};chrom={chrom};start={start};end={end}",
            "margin": 5,
            "elements": ELEMENTS,
        },
        "data": {
            "plain": data("plain/file.bin", urls=[f"{server.url}/plain/file.bin"]),
            "one": data("boxed/one.bin", archive="box", member="one.bin"),
            "two": data("boxed/two.tsv.gz", archive="box", member="two.tsv"),
            "windows": data("windows/references.json", windows=True),
            "mirrored": data("mirrored.bin", mirror=["new/mirrored.bin", "old/mirrored.bin"]),
        },
    }


@pytest.fixture
def fetch(entries, monkeypatch, capsys, tmp_path):
    """`fetch(NAME, …)`: exit code, standard output and standard error of a fetch into tmp_path / "to"."""

    def call(*arguments: object) -> tuple[int, str, str]:
        (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(entries))
        monkeypatch.setattr(catalogue, "CATALOGUE", tmp_path / "catalogue.yaml")
        return run(monkeypatch, capsys, "data", "fetch", *arguments, "--to", tmp_path / "to")

    return call


@pytest.fixture
def plain(tmp_path) -> Path:
    return tmp_path / "to" / "plain" / "file.bin"


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def one_sentence(err: str) -> str:
    """The last line of standard error, which is the program's own."""
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("nrtune: ")
    return last


def tar_of(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A .tar.gz of files, and of members that are something else."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return packed.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


# ---- what there is


def test_the_list_fits_a_terminal_and_has_every_name(monkeypatch, capsys):
    for arguments in ((), ("--list", "satmut")):
        code, out, _ = run(monkeypatch, capsys, "data", "fetch", *arguments)
        assert code == 0
        assert max(map(len, out.splitlines())) <= 80
        listed = {line.split()[0] for line in out.splitlines() if line}
        assert set(catalogue.load_catalogue().data) <= listed


def test_a_typo_gets_a_suggestion_and_fetches_nothing(fetch, server, tmp_path):
    code, out, err = fetch("plain", "plian")
    assert (code, out, server.requests) == (2, "", [])
    assert "unknown data 'plian'; did you mean 'plain'?" in one_sentence(err)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "../x"}, "data.plain.files.0.path: value error, must lead to a place below a folder"),
        ({"urls": ["ftp://x/y"]}, "data.plain.files.0.urls.0: string should match pattern"),
        ({"checksum": "sha256:12"}, "must be sha256: or md5: and its hex digits"),
        ({"windows": True}, "needs one source: urls, archive or windows"),
        ({"archive": "bix", "member": "x", "urls": []}, "plain: unknown archive 'bix'; did you mean 'box'?"),
        ({"url": "x"}, "data.plain.files.0.url: extra inputs are not permitted"),
    ],
)
def test_a_malformed_catalogue_is_one_sentence(change, message, fetch, entries):
    entries["data"]["plain"]["files"][0].update(change)
    code, _, err = fetch("plain")
    assert code == 2
    assert message in one_sentence(err)


def test_the_windows_are_those_of_the_studys_table(real_data):
    import pandas as pd

    table = pd.read_csv(real_data / "satmut" / "elements.tsv.gz", sep="\t", dtype={"Chrom": str})
    table = table[(table["Release"] == "GRCh37") & table["Pos"].notna()]
    base = table["Element"].str.split("[-.]", regex=True).str[0].replace("GP1BA", "GP1BB")
    spans = table.groupby(base).agg(chrom=("Chrom", "first"), first=("Pos", "min"), last=("Pos", "max"))
    known = catalogue.load_catalogue().windows
    assert known.elements == {
        str(row.Index): f"chr{row.chrom}:{int(row.first)}-{int(row.last)}" for row in spans.itertuples()
    }
    assert known.regions()["HBB"] == ("chr11", 5248252 - 500, 5248438 + 500)


def test_what_needs_a_registration_is_explained_until_it_is_there(monkeypatch, capsys, tmp_path):
    code, out, err = run(monkeypatch, capsys, "data", "fetch", "cagi5", "--to", tmp_path)
    assert code == 2
    assert "https://genomeinterpretation.org" in out
    assert f"{tmp_path}/cagi5" in out
    assert "cagi5: can't be fetched" in one_sentence(err)
    (tmp_path / "cagi5").mkdir()
    (tmp_path / "cagi5" / "challenge_F9.tsv").touch()
    code, out, err = run(monkeypatch, capsys, "data", "fetch", "cagi5", "--to", tmp_path)
    assert (code, out.split()) == (0, [str(tmp_path / "cagi5" / "challenge_F9.tsv")])
    assert "is there already" in err


# ---- a file


def test_a_second_call_makes_no_request(fetch, server, plain, tmp_path):
    code, out, err = fetch("plain")
    assert (code, out.split()) == (0, [str(plain)])
    assert plain.read_bytes() == CONTENT
    assert "cite Me" in err
    assert (tmp_path / "to" / "SHA256SUMS").read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  plain/file.bin\n"
    assert files(tmp_path / "to") == ["SHA256SUMS", "plain/file.bin"]
    server.requests.clear()
    code, out, err = fetch("PLAIN")
    assert (code, out.split(), server.requests) == (0, [str(plain)], [])
    assert "plain: is there already, nothing to fetch" in err


def test_a_cut_connection_is_gone_on_with_and_no_byte_comes_twice(fetch, server, plain):
    served = server.files["/plain/file.bin"]
    served.cuts = [CUT, CUT]
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert [request.range for request in server.requests] == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert sum(request.sent for request in server.requests) == len(CONTENT)


def test_of_a_piece_that_is_cut_less_than_the_piece_comes_again(fetch, server, plain):
    server.files["/plain/file.bin"].cuts = [CUT - 1]
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert sum(request.sent for request in server.requests) == len(CONTENT) + download.CHUNK - 1


def test_a_later_call_goes_on_where_one_gave_up(fetch, server, plain, tmp_path):
    served = server.files["/plain/file.bin"]
    served.cuts, served.statuses = [CUT], [200, 503, 503, 503]
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert "answers 503 Service Unavailable; try again later" in one_sentence(err)
    assert files(tmp_path / "to") == ["plain/file.bin.part", "plain/file.bin.part.json"]
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert server.requests[-1].range == f"bytes={CUT}-"
    assert sum(request.sent for request in server.requests) == len(CONTENT)


def test_a_connection_that_is_lost_again_and_again_is_said(fetch, server, plain, tmp_path):
    served = server.files["/plain/file.bin"]
    served.cuts = [CUT, 0, 0, 0]
    code, _, err = fetch("plain")
    assert code == 2
    assert f"lost after {CUT} bytes; the same command again goes on from there" in one_sentence(err)
    assert not plain.exists()
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT


def test_a_whole_part_costs_no_request(fetch, server, plain, tmp_path):
    fetch("plain")
    server.requests.clear()
    part = plain.with_name("file.bin.part")
    plain.rename(part)  # as if it had been interrupted between its last byte and its name
    note = {"url": f"{server.url}/plain/file.bin", "validator": None, "total": len(CONTENT)}
    part.with_name("file.bin.part.json").write_text(json.dumps(note))
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize(
    ("how", "ranges"),
    [
        ({"ranges": False}, [None, f"bytes={CUT}-"]),
        ({"length": False}, [None]),
        ({"etag": None}, [None, f"bytes={CUT}-"]),
        ({"compresses": True}, [None, f"bytes={CUT}-"]),
    ],
)
def test_servers_of_little_ability(how, ranges, fetch, server, plain):
    """Without ranges it starts again; without a length a cut can't be told from the end, so there is none here."""
    served = server.serve("/plain/file.bin", CONTENT, **how)
    served.cuts = [CUT] if served.length else []
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert [request.range for request in server.requests] == ranges


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_content_that_changed_in_between_starts_again(heeds_if_range, fetch, server, plain):
    served = server.files["/plain/file.bin"]
    served.cuts, served.statuses = [CUT], [200, 500, 500, 500]
    assert fetch("plain")[0] == 2
    newer = CONTENT[::-1]
    server.serve("/plain/file.bin", newer, etag='"2"', heeds_if_range=heeds_if_range)
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == newer


@pytest.mark.parametrize("size", [100, CUT, CUT + 100])
def test_content_that_became_shorter_starts_again(size, fetch, server, plain):
    """Shorter than the part, or as long (no rest: 416), or longer, by a server that gives no ETag."""
    served = server.serve("/plain/file.bin", CONTENT, etag=None)
    served.cuts, served.statuses = [CUT], [200, 500, 500, 500]
    assert fetch("plain")[0] == 2
    newer = CONTENT[::-1][:size]
    server.serve("/plain/file.bin", newer, etag=None)
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == newer


@pytest.mark.end_to_end
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_command_is_gone_on_with(stop, server, tmp_path):
    path = "lentimpra/lentiMPRA_WTC11_activity_and_aleatoric_data.h5"
    served = server.serve(f"/{path}", CONTENT, stall=CUT)
    command = [sys.executable, "-m", "nrtune", "data", "fetch", "lentimpra-wtc11"]
    command += ["--mirror", server.url, "--to", str(tmp_path)]
    part = tmp_path / f"{path}.part"
    with (tmp_path / "out").open("w") as out, Process(command, dict(os.environ), stdout=out) as process:
        process.wait_until(lambda: part.exists() and part.stat().st_size, "some of the file is there")
        assert process.end(stop) == (130 if stop == signal.SIGINT else -stop)
    assert (tmp_path / "out").read_text() == ""
    if stop == signal.SIGINT:
        assert process.err.strip() == "interrupted: the same command again goes on from here"
    there = part.stat().st_size
    assert 0 < there <= CUT
    served.stall = None
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / path).read_bytes() == CONTENT
    assert server.requests[-1].range == f"bytes={there}-"
    assert server.requests[-1].sent == len(CONTENT) - there


@pytest.mark.end_to_end
def test_a_terminal_shows_how_far_a_download_is(server, tmp_path):
    server.serve("/lentimpra/WTC11_clean.tsv.gz", CONTENT)
    command = [sys.executable, "-m", "nrtune", "data", "fetch", "prixfixe-wtc11"]
    master, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    subprocess.run([*command, "--mirror", server.url, "--to", tmp_path], check=True, stderr=terminal)
    os.close(terminal)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert "WTC11_clean.tsv.gz: 100%" in shown


def test_a_stored_gz_that_a_server_calls_encoded_stays_as_it_is(fetch, server, entries, tmp_path):
    packed = gzip.compress(CONTENT)
    server.serve("/t.tsv.gz", packed, encoding="gzip")
    entries["data"]["plain"]["files"] = [{"path": "t.tsv.gz", "urls": [f"{server.url}/t.tsv.gz"], "max_mb": 5}]
    assert fetch("plain")[0] == 0
    assert (tmp_path / "to" / "t.tsv.gz").read_bytes() == packed
    server.serve("/plain/file.bin", packed, encoding="gzip")
    entries["data"]["plain"]["files"] = [
        {"path": "f.bin", "urls": [f"{server.url}/plain/file.bin"], "max_mb": 5, "checksum": None}
    ]
    code, _, err = fetch("plain")
    assert code == 2
    assert "is sent compressed" in one_sentence(err)


# ---- what is refused


@pytest.mark.parametrize(
    ("status", "tries", "message"),
    [
        (404, 1, "is not to be had (404 Not Found)"),
        (403, 1, "(403 Forbidden)"),
        (500, 3, "answers 500"),
        (429, 3, "(429"),
    ],
)
def test_refusals_of_a_server(status, tries, message, fetch, server, tmp_path):
    server.files["/plain/file.bin"].statuses = [status] * tries
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert message in one_sentence(err)
    assert "--mirror URL" in err
    assert len(server.requests) == tries
    assert not (tmp_path / "to").exists()


def test_the_second_address_serves_where_the_first_does_not(fetch, server, entries, plain):
    entries["data"]["plain"]["files"][0]["urls"] = [f"{server.url}/gone", f"{server.url}/plain/file.bin"]
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/gone", "/plain/file.bin"]


@pytest.mark.parametrize("length", [True, False])
def test_nothing_is_no_file(length, fetch, server, tmp_path):
    server.serve("/plain/file.bin", b"", length=length)
    code, _, err = fetch("plain")
    assert code == 2
    assert "/plain/file.bin: is empty" in one_sentence(err)
    assert files(tmp_path / "to") == []


@pytest.mark.parametrize("length", [True, False])
def test_a_wrong_checksum_or_too_large_a_file_is_not_kept(length, fetch, server, entries, tmp_path):
    server.files["/plain/file.bin"].length = length
    file = entries["data"]["plain"]["files"][0]
    file["checksum"] = "sha256:" + hashlib.sha256(b"other").hexdigest()
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert "/plain/file.bin: its SHA256 is not the published one, so it isn't kept" in one_sentence(err)
    assert files(tmp_path / "to") == []
    server.files["/plain/file.bin"].content = CONTENT * 2
    file["max_mb"] = 1
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert "is over 1 MB, so not the file it should be" in one_sentence(err)
    assert files(tmp_path / "to") == []


def test_the_first_fetchs_checksum_is_enforced_for_later_ones(fetch, server, plain, tmp_path):
    fetch("plain")
    plain.unlink()
    server.serve("/plain/file.bin", CONTENT[::-1])
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert f"differs from what was fetched as {plain} before, so it isn't kept" in one_sentence(err)
    assert files(tmp_path / "to") == ["SHA256SUMS"]
    (tmp_path / "to" / "SHA256SUMS").unlink()
    assert fetch("plain")[0] == 0
    assert plain.read_bytes() == CONTENT[::-1]


def test_a_file_that_changed_since_is_said_and_left_alone(fetch, server, plain):
    fetch("plain")
    plain.write_bytes(b"mine")
    server.requests.clear()
    code, out, err = fetch("plain")
    assert (code, out, server.requests) == (2, "", [])
    assert f"{plain}: changed since it was fetched; move it away" in one_sentence(err)
    assert plain.read_bytes() == b"mine"


def test_a_file_of_another_origin_is_left_alone_unless_it_is_the_published_one(fetch, server, entries, plain):
    plain.parent.mkdir(parents=True)
    plain.write_bytes(CONTENT)
    code, _, err = fetch("plain")
    assert code == 2
    assert f"{plain}: is there, but nrtune did not fetch it" in one_sentence(err)
    entries["data"]["plain"]["files"][0]["checksum"] = "md5:" + hashlib.md5(CONTENT).hexdigest()
    assert fetch("plain")[0] == 0
    assert server.requests == []


def test_a_torn_checksum_file_is_said(fetch, server, plain, tmp_path):
    fetch("plain")
    (tmp_path / "to" / "SHA256SUMS").write_text("rubbish\n")
    code, _, err = fetch("plain")
    assert code == 2
    assert "SHA256SUMS: line 1 is not a SHA-256 and a path" in one_sentence(err)


def test_two_fetches_do_not_write_one_file(fetch, plain):
    plain.parent.mkdir(parents=True)
    with plain.with_name("file.bin.part").open("ab") as other:
        other.write(b"x")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        code, _, err = fetch("plain")
    assert code == 2
    assert "another nrtune data fetch is writing it" in one_sentence(err)
    assert plain.with_name("file.bin.part").read_bytes() == b"x"


def test_fetches_at_once_lose_no_checksum(tmp_path):
    def record(number: int) -> None:
        for count in range(10):
            ChecksumStore(tmp_path)._record(f"{number}-{count}", "0" * 64)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    assert len((tmp_path / SUMS).read_text().splitlines()) == 40


def test_a_folder_that_can_not_be_written(fetch, tmp_path):
    (tmp_path / "to").write_text("a file")
    code, out, err = fetch("plain")
    assert (code, out) == (2, "")
    assert "can't be written or read (" in one_sentence(err)
    assert (tmp_path / "to").read_text() == "a file"


# ---- no network


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://127.0.0.1:9", "connection refused"), ("http://nowhere.invalid", "its name is not known")],
)
def test_offline_is_one_sentence_with_the_host_and_the_way_out(url, why, fetch, entries, monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    entries["archives"]["box"]["urls"] = entries["data"]["plain"]["files"][0]["urls"] = [f"{url}/a", f"{url}/b"]
    entries["windows"]["url"] = entries["archives"]["box"]["record"] = f"{url}/record"
    for name in ("plain", "one", "windows"):
        code, out, err = fetch(name)
        assert (code, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
        assert f"{url.removeprefix('http://')}: can't be reached ({why}); try again" in one_sentence(err)
        assert "--mirror URL" in err
    assert not (tmp_path / "to").exists()


def test_a_server_that_does_not_answer(fetch, server, entries, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.files["/plain/file.bin"].stall = 0
    code, _, err = fetch("plain")
    assert code == 2
    assert "the connection was lost after 0 bytes" in one_sentence(err)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        code, _, err = fetch("mirrored", "--mirror", f"http://{host}")  # has two paths there: one is tried
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert code == 2
    assert f"{host}: can't be reached (no answer within 0.2 seconds)" in one_sentence(err)


def test_an_address_that_is_none(fetch):
    for mirror in ("somewhere", "file:///data", "http://"):
        code, _, err = fetch("plain", "--mirror", mirror)
        assert code == 2
        assert f"--mirror {mirror}: give an address that begins with http://" in one_sentence(err)


def test_a_password_is_not_taken_in_an_address(fetch):
    code, _, err = fetch("plain", "--mirror", "http://me:secret@127.0.0.1:1/data")
    assert code == 2
    assert "write them into ~/.netrc" in one_sentence(err)
    assert "secret" not in err


# ---- archives


def test_an_archive_is_downloaded_once_for_all_its_members(fetch, server, tmp_path):
    table = b"seq\tmean_value\nA\t1\n"
    server.serve("/box.tar.gz", tar_of(("data/other", b"x"), ("data/two.tsv", table), ("data/one.bin", CONTENT)))
    assert fetch("one", "two")[0] == 0
    assert files(tmp_path / "to") == ["SHA256SUMS", "boxed/one.bin", "boxed/two.tsv.gz"]
    assert (tmp_path / "to/boxed/one.bin").read_bytes() == CONTENT
    packed = (tmp_path / "to/boxed/two.tsv.gz").read_bytes()
    assert gzip.decompress(packed) == table
    assert packed[3:8] == bytes(5)  # neither a name nor a time: it is the same whenever it is fetched
    assert len(server.requests) == 1
    assert fetch("two", "one")[0] == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../one.bin", b"x"), "member ../one.bin lies outside the archive"),
        (("data/../../one.bin", b"x"), "lies outside the archive"),
        (("{tmp}/evil/one.bin", b"x"), "lies outside the archive"),
        (special("one.bin", tarfile.SYMTYPE, "/etc/passwd"), "is a link or a device, not a file"),
        (special("one.bin", tarfile.LNKTYPE, "two.tsv"), "is a link or a device, not a file"),
        (special("one.bin", tarfile.CHRTYPE), "is a link or a device, not a file"),
        (special("one.bin", tarfile.FIFOTYPE), "is a link or a device, not a file"),
        (special("one.bin", tarfile.DIRTYPE), "is a link or a device, not a file"),
        (("one.bin", bytes(4_000_000)), "unpacks to more than 0.003 GB"),
        (("four.bin", b"x"), "holds no one.bin; it has four.bin"),
    ],
)
def test_archives_that_are_not_to_be_trusted(member, message, fetch, server, tmp_path):
    if isinstance(member, tuple):
        member = (member[0].format(tmp=tmp_path), member[1])
    server.serve("/box.tar.gz", tar_of(member))
    before = files(tmp_path)
    code, out, err = fetch("one")
    assert (code, out) == (2, "")
    assert message in one_sentence(err)
    assert [name for name in files(tmp_path) if name != "catalogue.yaml"] == before


def test_members_that_are_not_wanted_are_never_written(fetch, server, tmp_path):
    evil = [("../evil", b"x"), (f"{tmp_path}/evil2", b"x"), special("evil3", tarfile.SYMTYPE, "/etc/passwd")]
    server.serve("/box.tar.gz", tar_of(*evil, ("one.bin", b"good")))
    assert fetch("one")[0] == 0
    assert files(tmp_path) == ["catalogue.yaml", "to/SHA256SUMS", "to/boxed/one.bin"]


@pytest.mark.parametrize(
    "content", [b"<html>moved</html>", tar_of(("one.bin", random.Random(0).randbytes(50_000)))[:20_000]]
)
def test_something_else_than_a_whole_archive(content, fetch, server, tmp_path):
    server.serve("/box.tar.gz", content)
    code, out, err = fetch("one")
    assert (code, out) == (2, "")
    assert "/box.tar.gz: is not a whole tar file" in one_sentence(err)
    assert files(tmp_path / "to") == []


def record(content: bytes, name: str = "box.tar.gz") -> bytes:
    """A Zenodo record's description of one file."""
    md5 = hashlib.md5(content).hexdigest()
    return json.dumps({"id": 1, "files": [{"key": name, "size": len(content), "checksum": f"md5:{md5}"}]}).encode()


def test_size_and_md5_of_the_record_are_enforced(fetch, server, entries, tmp_path):
    entries["archives"]["box"]["record"] = f"{server.url}/record"
    good = tar_of(("one.bin", CONTENT))
    bad = good[:-1] + bytes([good[-1] ^ 1])
    for content, message in ((good[:-100], f"has {len(good) - 100} bytes, not the published {len(good)}"),
                             (bad, "its MD5 is not the published one, so it isn't kept")):  # fmt: skip
        server.serve("/record", record(good))
        server.serve("/box.tar.gz", content)
        code, out, err = fetch("one")
        assert (code, out) == (2, "")
        assert message in one_sentence(err)
        assert files(tmp_path / "to") == []
    server.serve("/box.tar.gz", good)
    assert fetch("one")[0] == 0


@pytest.mark.parametrize(
    "answer", [None, b"<html>", b"[]", b'{"files": 1}', record(b"", "another.zip"), b"x" * 2_000_000]
)
def test_without_a_record_the_first_fetch_counts(answer, fetch, server, entries, tmp_path):
    entries["archives"]["box"]["record"] = f"{server.url}/record"
    server.serve("/box.tar.gz", tar_of(("one.bin", b"good")))
    if answer is not None:
        server.serve("/record", answer)
    code, _, err = fetch("one")
    assert code == 0
    assert "/record: gives no checksum of box.tar.gz" in err
    assert hashlib.sha256(b"good").hexdigest() in (tmp_path / "to" / "SHA256SUMS").read_text()


def test_an_archive_stays_while_a_member_differs_from_before(fetch, server, tmp_path):
    """Taking the line out of SHA256SUMS is what the sentence says; then no gigabytes come again."""
    server.serve("/box.tar.gz", tar_of(("one.bin", b"old")))
    fetch("one")
    (tmp_path / "to/boxed/one.bin").unlink()
    server.serve("/box.tar.gz", tar_of(("one.bin", b"new")))
    code, _, err = fetch("one")
    assert code == 2
    assert "box.tar.gz: one.bin: differs from what was fetched" in one_sentence(err)
    server.requests.clear()
    (tmp_path / "to/SHA256SUMS").unlink()
    assert fetch("one")[0] == 0
    assert server.requests == []
    assert files(tmp_path / "to") == ["SHA256SUMS", "boxed/one.bin"]


# ---- windows


def serve_windows(server: FileServer, **instead: bytes) -> None:
    """The answers for ELEMENTS with 5 bases on both sides: bases 6 to 25 and 96 to 135, from 0 in the request."""
    for name, address, dna in (
        ("A", "chrom=chr1;start=5;end=25", "acgtACGTACGTACGTACgt"),
        ("B", "chrom=chr2;start=95;end=135", "N" * 20 + "ACGT" * 5),
    ):
        answer = json.dumps({"genome": "hg19", "dna": dna}).encode()
        server.serve(f"/sequence?genome=hg19;{address}", instead.get(name, answer))


def test_windows_are_written_as_the_readers_want_them(fetch, server, tmp_path):
    serve_windows(server)
    path = tmp_path / "to/windows/references.json"
    code, out, _ = fetch("windows")
    assert (code, out.split()) == (0, [str(path)])
    first = {"chrom": "chr1", "start": 6, "end": 25, "length": 20, "sequence": "ACGTACGTACGTACGTACGT"}
    assert json.loads(path.read_text())["A"] == first
    references = read_references(path)
    assert references["A"]["tokens"].tolist() == [0, 1, 2, 3] * 5
    assert (references["B"]["start"], len(references["B"]["tokens"])) == (96, 40)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "answers something else than a sequence"),
        (b'{"error": "no such chrom"}', "answers something else than a sequence"),
        (b'{"dna": "ACGT"}', "answers 4 letters, not 40 of A C G T N"),
        (json.dumps({"dna": "X" * 40}).encode(), "answers 40 letters, not 40 of A C G T N"),
    ],
)
def test_an_answer_that_is_no_sequence(answer, message, fetch, server, tmp_path):
    serve_windows(server, B=answer)
    code, out, err = fetch("windows")
    assert (code, out) == (2, "")
    assert message in one_sentence(err)
    assert not (tmp_path / "to").exists()


# ---- mirrors


def test_a_mirror_has_files_where_the_catalogue_says(fetch, server, tmp_path):
    code, _, err = fetch("mirrored")
    assert code == 2
    assert "mirrored.bin: no public source has it; give --mirror URL" in one_sentence(err)
    server.serve("/copy/old/mirrored.bin", b"old")
    server.serve("/copy/boxed/one.bin", b"one")
    code, _, _ = fetch("mirrored", "one", "--mirror", f"{server.url}/copy/")
    assert code == 0
    assert (tmp_path / "to/mirrored.bin").read_bytes() == b"old"
    paths = ["/copy/new/mirrored.bin", "/copy/old/mirrored.bin", "/copy/boxed/one.bin"]
    assert [request.path for request in server.requests] == paths
    code, _, err = fetch("two", "--mirror", f"{server.url}/copy")
    assert code == 2
    assert "/copy/boxed/two.tsv.gz: is not to be had (404 Not Found)" in one_sentence(err)


def test_a_served_folder_is_a_mirror(real_data, server, monkeypatch, capsys, tmp_path):
    """What is fetched from the real files can be read at once, and served on to the next."""
    for path in sorted(real_data.rglob("*.*")):
        server.serve(f"/{path.relative_to(real_data)}", path.read_bytes())
    names = ("lentimpra-wtc11", "prixfixe-wtc11", "satmut", "hg19-windows")
    to, again = tmp_path / "data", tmp_path / "again"
    assert run(monkeypatch, capsys, "data", "fetch", *names, "--mirror", server.url, "--to", to)[0] == 0
    assert len(read_dataset(to / "lentimpra/lentiMPRA_WTC11_activity_and_aleatoric_data.h5")) == 9237
    assert {"HBB", "GP1BA", "PKLR-24h"} <= set(read_satmut(to / "satmut").elements)
    server.files.clear()
    for name in files(to):
        server.serve(f"/{name}", (to / name).read_bytes())
    assert run(monkeypatch, capsys, "data", "fetch", *names, "--mirror", server.url, "--to", again)[0] == 0
    assert files(again) == files(to)
    assert (again / "SHA256SUMS").read_text() == (to / "SHA256SUMS").read_text()
