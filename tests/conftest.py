"""Shared fixtures. With ``MIII_SHAPES`` set, all tests check the shapes in signatures, and take twice the time."""

import contextlib
import functools
import gc
import hashlib
import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import install_import_hook
from streamlit.components.v2 import manifest_scanner

if os.environ.get("MIII_SHAPES"):  # before the first import of miii; with the numeric tower an int is a valid float
    install_import_hook("miii", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
torch.set_num_threads(1)
gc.set_threshold(100_000, 20, 100)  # looking for garbage took a tenth of the time
MEMORY = Path("/dev/shm")  # removing a folder, as each write of a run does, takes ext4 5 ms and memory 10 μs
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
# AppTest reads the metadata of every installed package for each page it draws, which takes a tenth of a second.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)

import miii  # noqa: E402

SMALL: dict[str, Any] = {
    "task": {"p": 7, "train_fraction": 0.5},
    "model": {"d_model": 8, "n_heads": 2, "d_mlp": 16},
    "optimizer": {"name": "adamw"},
    "steps": 24,
    "eval_every": 5,
    "snapshots": 6,
    "precision": "float32",
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="session")
def small_config() -> Callable[..., miii.RunConfig]:
    """A config that trains in a tenth of a second; dicts among the changes are merged into the small ones.

    A task with a kind replaces the small one.
    """

    def config(**changes: Any) -> miii.RunConfig:
        values = dict(SMALL)
        for name, value in changes.items():
            keep = isinstance(value, dict) and name in ("task", "model") and "kind" not in value
            values[name] = {**values[name], **value} if keep else value
        return miii.RunConfig(**values)

    return config


@pytest.fixture(scope="session")
def small_run(small_config, tmp_path_factory) -> miii.runs.Run:
    """A finished run. Shared and read-only: see ``run_copy``."""
    return miii.runs.record(tmp_path_factory.mktemp("shared") / "small", miii.train(small_config()))


@pytest.fixture(scope="session")
def stopped_run(small_config, tmp_path_factory) -> miii.runs.Run:
    """A run stopped at step 13 of 24. Shared and read-only: see ``stopped_copy``."""
    folder = tmp_path_factory.mktemp("shared") / "stopped"
    steps = miii.runs.follow(folder, miii.train(small_config()))
    for step in steps:
        if step.step == 13:
            steps.close()
    return miii.runs.open(folder)


@pytest.fixture
def run_copy(small_run, tmp_path) -> Path:
    """A copy of a finished run's folder, to be changed."""
    return Path(shutil.copytree(small_run.folder, tmp_path / "copy"))


@pytest.fixture
def stopped_copy(stopped_run, tmp_path) -> Path:
    """A copy of a stopped run's folder, to be resumed or changed."""
    return Path(shutil.copytree(stopped_run.folder, tmp_path / "stopped"))


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty ``MIII_RUNS``."""
    monkeypatch.setenv("MIII_RUNS", str(tmp_path / "runs"))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, str]]:
    """Returns the hash of each file below a folder, by relative path."""

    def read(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return read


@pytest.fixture(scope="session")
def one_sentence() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """A context that must raise an InputError: one sentence with all the given words."""

    @contextlib.contextmanager
    def check(*words: str) -> Iterator[None]:
        with pytest.raises(miii.InputError) as caught:
            yield
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text
        assert not re.search(r"[.!?] +[A-Z]", text), f"more than one sentence: {text}"
        assert all(word in text for word in words), f"{words} not all in: {text}"

    return check


@pytest.fixture(scope="session")
def same() -> Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], bool]:
    """Returns whether two sets of tensors agree in names, types and every bit."""

    def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
        return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)

    return compare


@pytest.fixture(scope="session")
def adder() -> Callable[..., miii.Transformer]:
    """A network with hand-set weights that adds modulo an odd p, exactly.

    Per frequency w the embedding of n is (cos wn, sin wn). Queries are zero, so uniform attention brings
    C = cos wa + cos wb and S = sin wa + sin wb to "=". Square neurons make C^2 - S^2 = 2 (1 + cos w(a-b)) cos w(a+b)
    and 2 C S = 2 (1 + cos w(a-b)) sin w(a+b), so that the logits are a sum of 2 (1 + cos w(a-b)) cos w(a+b-c): largest
    at c = a + b, because the first factor is positive for odd p.
    """

    def build(p: int, frequencies: tuple[int, ...], n_heads: int = 1, scale: float = 1.0) -> miii.Transformer:
        K = len(frequencies)
        config = miii.ModelConfig(d_model=4 * K, n_heads=n_heads, d_mlp=3 * K, act="square", biases="none")
        model = miii.Transformer(config, d_vocab=p + 1, d_vocab_out=p, n_ctx=3)
        block, dh = model.blocks[0], config.d_head
        assert dh >= 2 * K, "a head must be wide enough to carry the embedding"
        angle = 2 * torch.pi * torch.outer(torch.arange(p), torch.tensor(frequencies)).double() / p
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
            model.W_E[:p, :K], model.W_E[:p, K : 2 * K] = angle.cos(), angle.sin()
            block.W_V[:, : 2 * K, : 2 * K] = torch.eye(2 * K)
            block.W_O[:, : 2 * K, : 2 * K] = torch.eye(2 * K) * 3 / n_heads  # attention is 1/3 on each of a, b, =
            for k in range(K):
                neurons = 3 * k + torch.arange(3)
                block.W_in[k, neurons] = torch.tensor([1.0, 0.0, 1.0])  # C, S, C + S
                block.W_in[K + k, neurons] = torch.tensor([0.0, 1.0, 1.0])
                block.W_out[neurons, 2 * K + k] = torch.tensor([1.0, -1.0, 0.0])  # C^2 - S^2
                block.W_out[neurons, 3 * K + k] = torch.tensor([-1.0, -1.0, 1.0])  # 2 C S
            model.W_U[2 * K : 3 * K], model.W_U[3 * K :] = scale * angle.cos().T, scale * angle.sin().T
        return model

    return build


@pytest.fixture(scope="session")
def summer() -> Callable[..., miii.Transformer]:
    """A network with hand-set weights that adds up a number for each token, and looks up the sum.

    Queries are zero, so uniform attention brings the sum of the tokens' values to the last position. ReLU neurons
    with a kink at every integer draw the line through ``answer`` at the integers from -reach to 2 reach, and the logit
    of 1 is that line: exactly ``answer(sum)`` for sums in between.
    """

    def build(
        values: Sequence[float],
        n_ctx: int,
        answer: Callable[[int], float],
        reach: int,
        shares: Sequence[float] = (1.0,),
        d_model: int = 8,
    ) -> miii.Transformer:
        kinks = torch.arange(-reach, 2 * reach + 1)
        drawn = torch.tensor([float(answer(int(k))) for k in kinks])
        slopes = torch.diff(drawn, append=drawn[-1:])
        bends = torch.diff(slopes, prepend=torch.zeros(1))
        config = miii.ModelConfig(d_model=d_model, n_heads=len(shares), d_mlp=len(kinks), biases="mlp")
        model = miii.Transformer(config, d_vocab=len(values), d_vocab_out=2, n_ctx=n_ctx)
        block = model.blocks[0]
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
            model.W_E[:, 0] = torch.tensor(values)
            for head, share in enumerate(shares):
                block.W_V[head, 0, 0] = 1
                block.W_O[head, 0, 1] = share * n_ctx
            block.W_in[1], block.b_in[:] = 1, -kinks.float()
            block.W_out[:, 2], block.b_out[2] = bends, drawn[0]
            model.W_U[2, 1] = 1
        return model.requires_grad_(False)

    return build


@pytest.fixture(scope="session")
def residue_adder(summer) -> Callable[..., miii.Transformer]:
    """A network that adds digit * base^place mod q over all places, and answers 1 unless q divides the sum.

    With ``integers`` it adds the digits themselves: modulo 3 in base 10 the answers are the same, but from a sum of
    integers.
    """

    def build(task: miii.Primes, q: int, integers: bool = False, shares: Sequence[float] = (1.0,)) -> miii.Transformer:
        assert task.tokens == "place"
        digits = [(place, digit) for place in range(task.width) for digit in range(task.base)]
        powers = [pow(task.base, task.width - 1 - place, q) for place in range(task.width)]
        values = [float(digit if integers else digit * powers[place] % q) for place, digit in digits]
        reach = task.width * (task.base if integers else q)
        return summer([*values, 0.0], task.width + 1, lambda n: 1.0 if n % q else -1.0, reach, shares)

    return build


@pytest.fixture(scope="session")
def disk_of() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Refuses files of more bytes than this, in Python and in safetensors, as a full disk does."""

    @contextlib.contextmanager
    def limit(bytes_per_file: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
