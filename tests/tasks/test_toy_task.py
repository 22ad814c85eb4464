"""A new kind of task: two edits of the library and one folder of the app make it train, and be shown everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CONFIG = '''
"""Is the number of ones odd?"""

from typing import Literal

import torch
from pydantic import Field

from miii.tasks.task import Sizes, Task, TaskConfig, mask_of, names_of


class Parity(TaskConfig):
    """All strings of bits, with the parity of their ones as the label."""

    summary = "parity: is the number of ones odd?"
    examples = "test strings"

    kind: Literal["parity"] = "parity"
    bits: int = Field(5, ge=2, le=10, description="bits of a string")
    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the strings used for training")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the split and the initial weights")

    @property
    def description(self) -> str:
        return f"parity of {self.bits} bits"

    @property
    def name(self) -> str:
        return f"parity-{self.bits}"

    @property
    def sizes(self) -> Sizes:
        return Sizes(2**self.bits, self.bits + 1, 3, 2)

    @property
    def n_train(self) -> int:
        return int(self.train_fraction * 2**self.bits)

    def build(self) -> Task:
        n = torch.arange(2**self.bits)
        bits = n[:, None] >> torch.arange(self.bits) & 1
        order = torch.randperm(len(n), generator=torch.Generator().manual_seed(self.seed))
        return Task(
            tokens=torch.cat([bits, torch.full_like(n, 2)[:, None]], dim=1),
            labels=bits.sum(1) % 2,
            train_mask=mask_of(order[: self.n_train], len(n)),
            d_vocab=3,
            d_vocab_out=2,
            token_names=names_of(2, "="),
            name="odd",
        )
'''

VIEW = '''
"""Parity in the app."""

from miii.tasks.parity import Parity
from pages._kit import write
from pages._tasks.view import Measure, Story, TaskView, share

VIEW = TaskView(
    about="learns parity",
    home="sieve",
    story=Story("Watch a network count", "Press Start."),
    main=("bits", "steps"),
    criterion="99 % test accuracy",
    measures=lambda task, row: [Measure("Test accuracy", share(row["test_accuracy"]))],
    data=lambda name: write.text(f"{2 ** Parity().bits} strings."),
    follow=lambda run, task, step: write.text(f"Follow {task.bits} bits at step {step}."),
    inside=lambda run, task, step_of: write.text(f"Inside at step {step_of(run)}."),
)
'''

SCRIPT = """
import json
import miii
from miii.training import flat
from streamlit.testing.v1 import AppTest

changes = {"bits": 4, "steps": 6, "eval_every": 3, "d_model": 8, "n_heads": 2, "d_mlp": 8}
config = flat.build_config("fast", "parity", changes)
run = miii.runs.record("runs/toy", miii.train(config))
shown = {"result": run.result, "config": json.loads((run.folder / "config.json").read_text())["task"]}
for page in ("train", "data", "try", "sieve", "attention", "runs", "fourier"):
    at = AppTest.from_file(ROOT + "/app.py", default_timeout=60)
    at.switch_page(f"pages/{page}.py")
    at.query_params["run"], at.query_params["task"] = "toy", "parity"
    at.run()
    kinds = (at.exception, at.error, at.title, at.markdown, at.caption, at.info, at.metric)
    shown[page] = [str(element.value) for kind in kinds for element in kind]
    shown[page] += [f"{widget.label}={widget.value}" for widget in (*at.number_input, *at.metric)]
    shown[page] += [table.value.to_csv() for table in at.dataframe]
    shown[page] += [chart.proto.alt for chart in at.get("vega_lite_chart")]
    shown[page] += [code.value for code in at.code]
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, list[str]]:
    """What a copy of the project with the new kind shows, by page."""
    root = tmp_path_factory.mktemp("toy")
    for folder in ("miii", "pages"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", root)
    (root / "checkpoints").mkdir()
    (root / "miii/tasks/parity.py").write_text(CONFIG)
    (root / "pages/_tasks/parity").mkdir()
    (root / "pages/_tasks/parity/__init__.py").touch()
    (root / "pages/_tasks/parity/view.py").write_text(VIEW)
    kinds = root / "miii/tasks/__init__.py"
    text = kinds.read_text()
    for old, new in (
        ("from miii.tasks.primes", "from miii.tasks.parity import Parity\nfrom miii.tasks.primes"),
        ("    ModularAddition | Primes |", "    Parity | ModularAddition | Primes |"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    kinds.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(root)} | {"MIII_RUNS": "runs"}
    script = SCRIPT.replace("ROOT", repr(str(root)))
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_new_kind_of_task_trains_and_is_shown(shown):
    assert shown["config"] == {"kind": "parity", "bits": 4, "train_fraction": 0.5, "seed": 0}
    assert shown["result"]["steps"] == 6
    wanted = {
        "train": [
            "Watch a network count",
            "Test accuracy",
            "Bits=5",
            "Training and test loss by step, log scale.",
            "miii train parity",
        ],
        "data": ["32 strings."],
        "try": ["Follow 4 bits at step 6."],
        "sieve": ["Inside at step 6."],
        "attention": ["odd? Label **"],
        "runs": ["parity of 4 bits", "test strings"],
        "fourier": ["toy learns parity."],
    }
    for page, texts in wanted.items():
        said = "\n".join(shown[page])
        for text in texts:
            assert text in said, (page, text, said)
