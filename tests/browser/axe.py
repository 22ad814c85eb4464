"""axe-core, which finds what keeps people out: its script, and what it says of a page."""

import subprocess
import tarfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

VERSION = "axe-core@4"
FORBIDDEN = ("serious", "critical")
RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.map(({id, impact, nodes}) => ({
        id, impact, nodes: nodes.map((node) => ({
            target: node.target.flat().join(" "), html: node.html.slice(0, 200), why: node.failureSummary,
        }))
    }));
}"""


def fetched(folder: Path) -> Path:
    """The script, asked of npm where the folder does not have it yet.

    Raises:
        OSError, subprocess.SubprocessError: npm is not there, or the registry is out of reach.
    """
    script = folder / "package" / "axe.min.js"
    if not script.exists():
        command = ["npm", "pack", VERSION, "--silent", "--pack-destination", str(folder)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        with tarfile.open(max(folder.glob("axe-core-*.tgz"))) as archive:
            archive.extract("package/axe.min.js", folder, filter="data")
    return script


def barriers(page: Page, script: Path) -> list[dict[str, Any]]:
    """What is serious or critical: the rule, where, the HTML there, and why."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=script)
    return [
        {"rule": rule["id"], **node}
        for rule in page.evaluate(RUN)
        if rule["impact"] in FORBIDDEN
        for node in rule["nodes"]
    ]
