"""Nothing of a password is left in what is stored or shown."""

from __future__ import annotations

import pytest

from nrtune.trainables.core.errors import one_line
from nrtune.trainables.core.secrets import redacted, without_password

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        (f"postgresql://me:{PASSWORD}@db:5432/x", "postgresql://me@db:5432/x"),
        (f"postgresql+psycopg2://me:{PASSWORD}@db/x?sslmode=require", "postgresql+psycopg2://me@db/x?sslmode=require"),
        (f"postgresql://me:{PASSWORD}@:{PASSWORD}/@db/x", "postgresql://me@db/x"),
        (f"http://me:{PASSWORD}@host:5000/", "http://me@host:5000/"),
        (f"https://host/x?token={PASSWORD}&y=1", "https://host/x?y=1"),
        (f"mysql://db/x?user=me&password={PASSWORD}", "mysql://db/x?user=me"),
        (f"postgresql://me:2024/{PASSWORD}@db/x", "postgresql://me@db/x"),
        (f"postgresql://me@db/x?sslpassword={PASSWORD}&sslmode=require", "postgresql://me@db/x?sslmode=require"),
    ],
)
def test_an_address_without_its_password(url, bare):
    assert without_password(url) == bare
    said = redacted(f"--optuna-storage {url}: cannot be opened (at {url!r})")
    assert PASSWORD not in said
    assert said.startswith("--optuna-storage ")
    assert said.count("***") == 2


def test_what_is_cut_off_shows_no_part_of_a_password():
    error = ValueError(f"nobody answers at http://me:{PASSWORD}@host:5000/")
    for length in range(20, 60):
        assert PASSWORD[:3] not in one_line(error, length)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////a/b.db",
        "postgresql://me@db/x",
        "http://127.0.0.1:5000/a@b",
        "http://127.0.0.1:5000",
        "file:///a@b:c",
        "databricks",
    ],
)
def test_an_address_that_has_none_is_left_as_it_is(url):
    assert without_password(url) == url == redacted(url)
    assert without_password(None) is None
