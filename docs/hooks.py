"""Generate pages for `mkdocs build`: the help of every command, and the API of every part of the library."""

import contextlib
import io
import os
import pkgutil
from typing import Any
from unittest import mock

from mkdocs.structure.files import File, Files

import miii
from miii import cli

COMMANDS = "<!-- commands -->"  #: replaced by the help in reference/cli.md


def on_config(config: Any) -> Any:
    """Add the generated pages to the navigation."""
    reference = next(part["Reference"] for part in config.nav if "Reference" in part)
    reference.append({"API": [{name: f"reference/api/{name}.md"} for name in parts()]})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each part of the library, with every module in it."""
    for name, modules in parts().items():
        text = "\n\n".join(f"::: {module}" for module in modules)
        files.append(File.generated(config, f"reference/api/{name}.md", content=f"# {name}\n\n{text}\n"))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the placeholder with the help of every command."""
    if COMMANDS not in markdown:
        return markdown
    helps = (f"## miii {name}\n\n```text\n{usage(name)}```" for name in cli.COMMANDS)
    return markdown.replace(COMMANDS, "\n\n".join(helps))


def parts() -> dict[str, list[str]]:
    """Return the parts of the library by name, each with its modules."""
    found: dict[str, list[str]] = {}
    for module in pkgutil.walk_packages(miii.__path__, "miii."):
        if not module.name.startswith(("miii.cli", "miii.notebook.article")):  # the command line has its own page
            found.setdefault(module.name.split(".")[1], []).append(module.name)
    return found


def usage(command: str) -> str:
    """Return what `miii COMMAND --help` prints, 100 characters wide."""
    plain = mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    with plain, contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        cli.main([command, "--help"])
    return out.getvalue()
