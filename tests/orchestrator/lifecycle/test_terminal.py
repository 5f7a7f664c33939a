"""What is written reaches whoever reads, in signs that there are; and nobody who reads is no error."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from trial_records import record

from nrtune.orchestrator.lifecycle.progress import Progress
from nrtune.orchestrator.lifecycle.terminal import SIGNS, Screen, columns, encoding_of, legible, redraws
from nrtune.trainables.core.errors import UserError

PACKAGES = Path(__file__).parents[3]


class Stream(io.RawIOBase):
    """Takes bytes until it fails."""

    def __init__(self, fails: int | None = None) -> None:
        self.taken, self.fails = b"", fails

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        if self.fails is not None:
            raise OSError(self.fails, os.strerror(self.fails))
        self.taken += bytes(data)
        return len(data)


def written(text: str, encoding: str) -> bytes:
    stream = Stream()
    screen = Screen(stream, encoding, vital=True, write_through=True)
    screen.write(text)
    screen.flush()
    return stream.taken


def test_every_sign_of_the_programs_own_has_another_in_ascii():
    files = [
        path
        for room in ("orchestrator", "analysis", "search_spaces", "trainables")
        for path in (PACKAGES / room).rglob("*.py")
    ]
    signs = {sign for path in files for sign in path.read_text(encoding="utf-8") if ord(sign) > 127}
    assert len(signs) > 20
    for sign in signs | set(SIGNS):
        other = legible(sign, "ascii")
        assert other.isascii()
        assert "?" not in other
        assert "\\" not in other, unicodedata.name(sign)


def test_a_sign_stays_where_the_encoding_has_it():
    text = "Δ ± 0.1 → Müller…"
    assert written(text, "utf-8") == text.encode()
    assert written(text, "ascii") == b"Delta +/- 0.1 -> Muller..."
    assert written(text, "latin-1") == "Delta ± 0.1 -> Müller...".encode("latin-1")


def test_a_files_name_goes_out_as_it_came_and_a_foreign_sign_as_its_code():
    name = os.fsdecode(b"caf\xe9")
    assert {written(name, encoding) for encoding in ("utf-8", "ascii")} == {b"caf\xe9"}
    assert written("中", "ascii") == rb"\u4e2d"


HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe [red]bold[/red] :bomb:"
SHOWN = r"\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe [red]bold[/red] :bomb:"


def test_control_characters_are_shown_but_for_those_that_draw():
    assert written(f"{HOSTILE}\n", "utf-8") == f"{SHOWN}\n".encode()
    assert written("\r 40%|####", "utf-8") == b"\r 40%|####"  # a bar of tqdm's
    stream = Stream()
    screen = Screen(stream, "utf-8", vital=True, write_through=True)
    screen.drawing.write("\x1b[2K")
    screen.drawing.flush()
    assert stream.taken == b"\x1b[2K"


def test_a_live_table_on_a_terminal_draws_and_shows_what_it_is_told_as_text(monkeypatch: pytest.MonkeyPatch):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    screen = Screen(open(theirs, "wb", buffering=0), "utf-8", vital=False, write_through=True)
    with screen:
        monkeypatch.setattr(sys, "stderr", screen)
        trial = record("a", name=HOSTILE, status="failed", failure_class="crashed", failure=f"{HOSTILE}\nsecond")
        with Progress({HOSTILE: 1}, []) as progress:
            progress.say(HOSTILE)
            progress.show(HOSTILE)
            progress.ended(trial, [])
            print(HOSTILE, file=sys.stderr)  # noqa: T201 - as a library does
        seen = b""
        while b"second" not in seen or b"[?25h" not in seen:  # the cursor is there again
            seen += os.read(ours, 65536)
    os.close(ours)
    text = seen.decode()
    assert text.count(SHOWN) >= 4
    assert rf"{SHOWN}\nsecond" in text
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "\x1b[2J" not in text
    assert {sign for sign in drawn if not sign.isprintable()} <= set("\r\n")


def test_frames_of_tables_are_drawn_with_plain_signs():
    assert legible("─━│┃┌┐└┘├┤┬┴┼", "ascii") == "--||+++++++++"


@pytest.mark.parametrize("fault", [errno.EPIPE, errno.EIO])
def test_without_a_reader_a_result_ends_the_program_quietly_and_a_message_does_not(fault: int):
    message = Screen(Stream(fault), "utf-8", vital=False, write_through=True)
    for _ in range(2):
        message.write("one\n")
        message.flush()
    result = Screen(Stream(fault), "utf-8", vital=True, write_through=True)
    with pytest.raises(SystemExit) as end:
        result.write("one\n")
    assert end.value.code == 0


def test_a_full_disk_is_said_of_a_result():
    result = Screen(Stream(errno.ENOSPC), "utf-8", vital=True, write_through=True)
    with pytest.raises(UserError, match=rf"^standard output can't be written \({os.strerror(errno.ENOSPC)}\)$"):
        result.write("one\n")


def test_only_a_terminal_that_can_is_drawn_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FORCE_COLOR", "1")
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal, (tmp_path / "file").open("w", encoding="utf-8") as file:
        for term, drawn in (("xterm-256color", True), ("dumb", False), ("", False)):
            monkeypatch.setenv("TERM", term)
            assert redraws(terminal) is drawn
        monkeypatch.setenv("TERM", "xterm")
        assert not redraws(file)
        assert not redraws(io.StringIO())
        terminal.reconfigure(encoding="ascii")
        assert not redraws(terminal)
    os.close(ours)


def test_the_width_is_that_of_the_variable_then_of_the_terminal(monkeypatch: pytest.MonkeyPatch):
    import fcntl
    import struct
    import termios

    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        assert columns(terminal) == 60
        monkeypatch.setenv("TERM", "dumb")
        assert columns(terminal) == 60
        monkeypatch.setenv("COLUMNS", "132")
        assert columns(terminal) == 132
        monkeypatch.setenv("COLUMNS", "wide")
        assert columns(terminal) == 60
    os.close(ours)
    assert columns(io.StringIO()) == 80


def test_an_ascii_stream_does_not_say_so_to_libraries_that_would_write_utf8_into_it():
    screen = Screen(Stream(), "ascii", vital=True)
    assert (screen.encoding, encoding_of(screen)) == ("utf-8", "ascii")
