"""Who may stop, rename or delete a run: on one's own computer anyone; on a shared server who made it.

Each session has a secret key, and a shared server notes whose key a run belongs to: not the key itself, but its hash.
The secret link carries the keys of a session to another one.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

import streamlit as st

from miii import runs
from miii.errors import InputError
from pages._server import settings

KEY = "key"  # in the URL of the secret link, from where it is taken at once
KEYS = "keys"  # of this session: its own, then those that came by a link
MOST = 20  # keys in a link
OWNERS = ".owners"  # the folder beside the runs with a note for each run, which is no part of the run


def keys() -> list[str]:
    """This session's keys, its own first."""
    if KEYS not in st.session_state:
        st.session_state[KEYS] = [secrets.token_urlsafe(24)]
    return list(st.session_state[KEYS])


def link() -> str:
    """The address that gives another session the rights of this one."""
    return f"{(st.context.url or '/runs').rstrip('/')}?{KEY}={'.'.join(keys())}"


def adopt() -> bool:
    """Take the keys of a secret link out of the URL, so that they are not copied along; whether there were any."""
    given = st.query_params.get(KEY)
    if given is None:
        return False
    del st.query_params[KEY]
    if not settings.read().shared:
        return False
    found = [key for key in given.split(".") if 16 <= len(key) <= 100]
    st.session_state[KEYS] = list(dict.fromkeys([*keys(), *found]))[:MOST]
    return bool(found)


def own(name: str, note: str | None = None) -> None:
    """Note that a run belongs to this session, or to whom ``note`` says (see ``release``).

    Raises:
        InputError: the note cannot be written.
    """
    if not settings.read().shared:
        return
    place = _note(name)
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.write_text(note or _digest(keys()[0]))
    except OSError as error:
        raise InputError(f"{place} could not be written: {error.strerror or error}.") from None


def release(name: str) -> str | None:
    """Take the note of a run away, since it loses its name; what it said, to be given to ``own``."""
    try:
        said = _note(name).read_text()
        _note(name).unlink()
    except OSError:
        return None
    return said


def why_not(name: str) -> str | None:
    """Why this session may not stop, rename or delete a run; None where it may."""
    mine, shipped = runs.homes()
    if not (mine / name).exists() and (shipped / name).exists():
        return "This run came with miii and can only be read."
    if not settings.read().shared:
        return None
    try:
        note = _note(name).read_text().encode()
    except OSError:
        note = b""
    if any(hmac.compare_digest(_digest(key).encode(), note) for key in keys()):
        return None
    return "Only the session that made this run may do that, or whoever has its secret link."


def check(name: str) -> None:
    """Check that this session may change a run; a disabled button alone would keep nobody from it.

    Raises:
        InputError: it may not.
    """
    if why := why_not(name):
        raise InputError(why)


def _note(name: str) -> Path:
    return runs.homes()[0] / OWNERS / name


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
