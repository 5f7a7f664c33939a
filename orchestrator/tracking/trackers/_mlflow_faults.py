"""Why an MLflow store can't be opened or written, in words that say what to do about it."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from nrtune.analysis.sources.mlflow_client import calling
from nrtune.orchestrator.state.locations import DATABASE
from nrtune.trainables.core.errors import one_line
from nrtune.trainables.core.secrets import redacted

_LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
_DAMAGED = ("not a database", "malformed", "is damaged", "no such table", "no such column")
_AWAY = ("Max retries exceeded", "Connection refused", "timed out", "Connection aborted")


def what_to_do(error: Exception, uri: str, folder: Path | None) -> str:
    """Why a store can't be opened, with what to do about it; folder: of a campaign whose own database it is."""
    said = one_line(error, 4000)
    if "out-of-date database schema" in said:
        return f"was made by another version of MLflow; back it up, and run: mlflow db upgrade {shlex.quote(uri)}"
    if folder is not None and any(sign in said for sign in _DAMAGED):
        return f"{DATABASE} is damaged; move it away, and it is written anew from the campaign's records"
    if "readonly database" in said:
        return "may not be written; --tracking-uri URI has the campaign in another store"
    if "database is locked" in said:
        return "is locked by another program for too long"
    proxy = _proxy(uri)
    if proxy and "ProxyError" in said:
        return f"{proxy} does not answer, or refuses ({said[-120:]}); {_without_proxy(uri)}"
    if re.search(r"error code 40[13]\b", said):
        refused = f"the server refuses the login, or wants one: set {_LOGIN}"
        return f"{refused}; it was asked through {proxy}" if proxy else refused
    if any(sign in said for sign in _AWAY) or (proxy and re.search(r"error code 50[234]\b", said)):
        through = f" through {proxy}; {_without_proxy(uri)}" if proxy else ""
        return f"no MLflow server answers{through} ({said[-120:]})"
    return f"{type(error).__name__}: {said[:300]}"


def _proxy(uri: str) -> str:
    """The proxy through which a server is asked, with the variable that names it; empty where none is."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return ""
    with calling():
        proxy = select_proxy(uri, get_environ_proxies(uri))
    if proxy is None:
        return ""
    names = (name for name, value in os.environ.items() if name.lower().endswith("_proxy") and value == proxy)
    return f"the proxy {redacted(proxy)}" + "".join(f" of {name}" for name in list(names)[:1])


def _without_proxy(uri: str) -> str:
    return f"to reach the server without it: NO_PROXY={urlsplit(uri).hostname}"
