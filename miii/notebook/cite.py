"""Cite a run: BibTeX with the version and the commit of miii."""

import re
from datetime import UTC, datetime

import miii
from miii import runs
from miii.errors import InputError
from miii.runs.write import commit

REPOSITORY = "https://github.com/syrkis/miii"
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def bibtex(run: str | None = None, step: int | None = None) -> str:
    """Return a BibTeX entry for miii, or for a run and a step.

    A run is cited with the version and commit that trained it, if recorded; otherwise with those installed.
    """
    made = _provenance(run)
    version, at = made.get("miii") or miii.__version__, made.get("commit") if made else commit()
    date = str(made.get("date") or datetime.now(UTC).isoformat())
    subject = "" if run is None else f": run {run}" + ("" if step is None else f", step {step}")
    key = re.sub(r"[^A-Za-z0-9]+", "-", f"miii-{run or version}").strip("-")
    fields = {
        "title": f"miii: mechanistic interpretability on irreducible integers{subject}",
        "author": "{The miii authors}",
        "year": date[:4],
        "version": str(version),
        "note": "" if at is None else f"commit {at}",
        "url": REPOSITORY,
    }
    lines = [f"  {name} = {{{_escaped(value, name)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@software{{{key},", *lines, "}"])


def _provenance(run: str | None) -> dict[str, object]:
    try:
        return {} if run is None else dict(runs.open(run).provenance or {})
    except InputError:
        return {}


def _escaped(value: str, name: str) -> str:
    if name in ("url", "author"):
        return value
    plain = " ".join(value.split())
    return "".join(_LATEX.get(char, f"\\{char}" if char in "#$%&_{}" else char) for char in plain)
