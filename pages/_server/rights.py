"""Decide who may stop, rename or delete a run: locally, anyone; on a shared server, its owner.

Each session has a secret key; a shared server records the hash of the owner's key for each run. A secret link gives a
session's keys to another session.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

import streamlit as st

from miii import runs
from miii.errors import InputError
from pages._server import settings

KEY = "key"  # parameter of the secret link, removed from the URL at once
KEYS = "keys"  # of this session: its own, then those from a link
MOST = 20  # maximum keys in a link
OWNERS = ".owners"  # the folder next to the runs, with an owner record per run


def keys() -> list[str]:
    """Return this session's keys, its own first."""
    if KEYS not in st.session_state:
        st.session_state[KEYS] = [secrets.token_urlsafe(24)]
    return list(st.session_state[KEYS])


def link() -> str:
    """Return the address that gives another session the permissions of this one."""
    return f"{(st.context.url or '/runs').rstrip('/')}?{KEY}={'.'.join(keys())}"


def accept_link() -> bool:
    """Move a secret link's keys from the URL to the session; return whether there were any."""
    given = st.query_params.get(KEY)
    if given is None:
        return False
    del st.query_params[KEY]
    if not settings.read().shared:
        return False
    found = [key for key in given.split(".") if 16 <= len(key) <= 100]
    st.session_state[KEYS] = list(dict.fromkeys([*keys(), *found]))[:MOST]
    return bool(found)


def set_owner(name: str, note: str | None = None) -> None:
    """Record this session as the owner of a run, or the owner in ``note`` (see ``remove_owner``).

    Raises:
        InputError: the record cannot be written.
    """
    if not settings.read().shared:
        return
    place = _note(name)
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.write_text(note or _digest(keys()[0]))
    except OSError as error:
        raise InputError(f"{place} could not be written: {error.strerror or error}.") from None


def remove_owner(name: str) -> str | None:
    """Remove the owner's record of a run that loses its name, and return it for ``set_owner``."""
    try:
        said = _note(name).read_text()
        _note(name).unlink()
    except OSError:
        return None
    return said


def why_not(name: str) -> str | None:
    """Return why this session may not stop, rename or delete a run; None if it may."""
    mine, shipped = runs.homes()
    if not (mine / name).exists() and (shipped / name).exists():
        return "Shipped runs are read-only."
    if not settings.read().shared:
        return None
    try:
        note = _note(name).read_text().encode()
    except OSError:
        note = b""
    if any(hmac.compare_digest(_digest(key).encode(), note) for key in keys()):
        return None
    return "Only the session that made this run, or its secret link, can change it."


def check(name: str) -> None:
    """Check that this session may change a run; disabling a button is not enough.

    Raises:
        InputError: the session may not change it.
    """
    if why := why_not(name):
        raise InputError(why)


def _note(name: str) -> Path:
    return runs.homes()[0] / OWNERS / name.partition("/")[0]  # a sweep's runs belong to its owner


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
