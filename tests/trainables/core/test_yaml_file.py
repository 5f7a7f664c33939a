"""Settings files that people could not have written are one sentence, however deep or large they are."""

from __future__ import annotations

import os

import pytest

from nrtune.orchestrator.state.settings import Settings, load_settings
from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.yaml_file import read_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)
WRONG = {
    "brackets": ("a: " + "[" * 3000 + "]" * 3000, "line 1 has more than 50 things in each other"),
    "steps": ("\n".join(" " * step + "a:" for step in range(1000)), "has more than 50 things in each other"),
    "dashes": ("- " * 5000 + "a", "has more than 50 things in each other"),
    "laughs": (LAUGHS, "line 6 refers .* to so much"),
    "itself": ("a: &a [*a]", "line 1 refers to &a, in which it stands"),
    "none": ("a: [*b]", "is not YAML"),
    "size": ("a: " + "x" * (1 << 21), "has more than 1,048,576 bytes"),
    "date": ("data: 2026-13-45", "is not YAML .month must be in 1..12"),
    "digits": ("seed: " + "9" * 5000, "is not YAML"),
    "object": ("a: !!python/object:os.system x", "is not YAML"),
    "paths in a list in a list": ("data: [[a]]", "data: input is not a valid path"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_nobody_writes_is_one_sentence(tmp_path, kind):
    text, message = WRONG[kind]
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        load_settings(tmp_path / "a.yaml", {}, Settings)


def test_what_stands_elsewhere_may_be_referred_to(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n")
    x = {"x": 1}
    assert read_yaml(tmp_path / "a.yaml", "settings") == {"a": x, "b": {"x": 1, "y": 2}, "c": [x, x]}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="is a pipe or a device"):
        load_settings(tmp_path / "a.yaml", {}, Settings)
