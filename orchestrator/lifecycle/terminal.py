"""Standard output and error, whatever they are: signs that an encoding lacks, readers that have gone, a terminal's width."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.outside_text import LINES, visible

if TYPE_CHECKING:
    from nrtune.orchestrator.lifecycle.plain_console import PlainConsole

SIGNS = {
    "…": "...", "–": "-", "−": "-", "—": "-", "·": "*", "×": "x", "±": "+/-", "Δ": "Delta", "Σ": "Sum", "√": "sqrt ",
    "→": "->", "↑": "+", "↓": "-",
    "≠": "!=", "≥": ">=", "≤": "<=", "≈": "~", "∝": "~", "‖": "||", "μ": "mu", "µ": "u", "σ": "sigma",
    "α": "alpha", "π": "pi", "λ": "lambda", "ρ": "rho", "ℓ": "l", "†": "+", "°": " deg", "½": "1/2", "²": "^2", "³": "^3",
    "⁴": "^4", "’": "'", "‘": "'", "“": '"', "”": '"', "ß": "ss",
}  # fmt: skip
"""What stands for a sign in an encoding that lacks it."""

WIDTH = 80
"""Characters of a line where there is no terminal."""

_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads, and a terminal that was closed."""


def legible(text: str, encoding: str) -> str:
    """A text in signs that an encoding has: another sign, a letter without its accent, or a character's code for the others."""
    try:
        text.encode(encoding, "surrogateescape")  # bytes of a file's name that are no text go out as they came
        return text
    except UnicodeEncodeError:
        return "".join(_sign(sign, encoding) for sign in text)


def encoding_of(stream: object) -> str:
    """The encoding in which a stream ends up."""
    return str(getattr(stream, "shown_in", None) or getattr(stream, "encoding", None) or "utf-8")


def columns(stream: object) -> int:
    """How many characters a line of a stream has: as COLUMNS says, else as its terminal."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # no file, or none of a terminal
        return WIDTH


def console() -> PlainConsole:
    """Standard output for sentences and tables."""
    from nrtune.orchestrator.lifecycle.plain_console import PlainConsole  # rich takes a twentieth of a second

    return PlainConsole(width=columns(sys.stdout))


def redraws(stream: object) -> bool:
    """Whether a stream is a terminal on which a table can be drawn anew; a colour that is wished for makes no file one."""
    try:
        terminal = bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False
    signs = encoding_of(stream).lower().replace("-", "").startswith("utf")
    return terminal and signs and os.environ.get("TERM", "dumb").lower() not in ("dumb", "unknown", "")


class Screen(io.TextIOWrapper):
    """Standard output or error as it was, but that no sign and no reader that is away makes an error of.

    Control characters are shown as text, whoever writes them; `drawing` has those that a table or bar is drawn with.

    vital: without a reader the program has nothing to do and ends, quietly, and a disk that is full is said; otherwise it goes on
    unseen.
    """

    def __init__(self, buffer: Any, encoding: str, *, vital: bool, **options: Any) -> None:
        self.shown_in, self._vital, self._gone = encoding, vital, False
        # For an ASCII stream libraries take its bytes and write UTF-8 into them.
        ascii_only = "é" not in legible("é", encoding)
        super().__init__(buffer, "utf-8" if ascii_only else encoding, "surrogateescape", **options)

    def write(self, text: str, /) -> int:
        """Write as much of a text as can be."""
        if not isinstance(text, str):  # click asks which streams take text by writing nothing, as text and as bytes
            raise TypeError(f"text is written here, not {type(text).__name__}")
        again = "\r" if text.startswith("\r") else ""  # so a bar of tqdm's begins
        self.draw(again + visible(text.removeprefix("\r"), LINES))
        return len(text)

    @property
    def drawing(self) -> Any:
        """The screen for what moves the cursor and colours; what is drawn with it has been made visible before."""
        return _Drawing(self)

    def draw(self, text: str) -> int:
        """Write as much as can be of a text whose control characters are meant."""
        if text and not self._gone:
            try:
                super().write(legible(text, self.shown_in))
            except OSError as error:
                self._leave(error)
        return len(text)

    def flush(self) -> None:
        """Write what is kept."""
        if self._gone or self.closed:
            return
        try:
            super().flush()
        except OSError as error:
            self._leave(error)

    def _leave(self, error: OSError) -> None:
        self._gone = self._vital or error.errno in _GONE
        if not self._gone:
            return
        with suppress(OSError, ValueError):  # what is still kept must not fail again when the process ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        if error.errno not in _GONE:
            raise UserError(f"standard output can't be written ({error.strerror})")
        if self._vital:
            raise SystemExit(0)


class _Drawing:
    """A screen that is drawn on."""

    def __init__(self, screen: Screen) -> None:
        self._screen, self.write = screen, screen.draw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._screen, name)


def take_streams() -> None:
    """Make standard output and error of this process such screens; those that are something else stay."""
    sys.stdout, sys.stderr = _screen(sys.stdout, vital=True), _screen(sys.stderr, vital=False)
    # By these libraries ask for a terminal's width.
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]


def _screen(stream: TextIO | None, *, vital: bool) -> Any:
    if stream is None:  # it was closed at the start
        return open(os.devnull, "w")
    if type(stream) is not io.TextIOWrapper:
        return stream
    stream.flush()
    buffered, through, encoding = stream.line_buffering, stream.write_through, stream.encoding
    return Screen(stream.detach(), encoding, vital=vital, line_buffering=buffered, write_through=through)


def _sign(sign: str, encoding: str) -> str:
    plain = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    for other in (sign, SIGNS.get(sign), _drawn(sign), plain):
        if other:
            with suppress(UnicodeEncodeError):
                other.encode(encoding, "surrogateescape")
                return other
    return sign.encode("ascii", "backslashreplace").decode()


def _drawn(sign: str) -> str | None:
    """What stands for a part of a frame."""
    if not "\u2500" <= sign <= "\u257f":
        return None
    name = unicodedata.name(sign)
    if "VERTICAL" in name and "HORIZONTAL" not in name and "AND" not in name.replace("LIGHT AND", ""):
        return "|"
    return "-" if "HORIZONTAL" in name and "VERTICAL" not in name and "DOWN" not in name and "UP" not in name else "+"
