"""Time a training step in TransformerLens and miii, alternating, with the same model, batch and optimizer."""

import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.sides.miii import step_config
from benchmarks.sides.worker import Worker, worker
from benchmarks.table import ROOT, Result, Row, Unavailable, at_least, log, spread

DEFAULT_RATIO, FLOAT32_RATIO, SHARE = 10.0, 4.0, 60.0  #: goals
SAME_LOGITS = 1e-4  #: largest difference between logits that count as equal: float32, same weights
# TransformerLens has nothing to download, and warns that version 4 will remove HookedTransformer
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONWARNINGS": "ignore::DeprecationWarning"}


def run(venv: Path, repetitions: int, steps: int) -> Result:
    """Time ``steps`` steps of each side, ``repetitions`` times after one warm-up."""
    from miii.training.optim import lr_factor

    config, total = step_config("float32"), (1 + repetitions) * steps
    if total >= config.steps:
        raise Unavailable(f"(1 + repetitions) * steps must be below the recipe's {config.steps} steps (got {total}).")
    python = environment(venv)
    rates = [
        config.optimizer.lr * lr_factor(step, config.steps, config.warmup_steps, config.schedule)
        for step in range(1, 1 + total)
    ]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        given, found = Path(scratch, "given.safetensors"), Path(scratch, "found.safetensors")
        _hand_over(given, config)
        enter = stack.enter_context
        sides: dict[str, Worker] = {
            "transformer_lens": enter(
                worker(python, "benchmarks.sides.transformer_lens", str(given), str(found), cwd=ROOT, env=ENVIRONMENT)
            ),
            "float32": enter(worker(sys.executable, "benchmarks.sides.miii", "float32", cwd=ROOT)),
            "default": enter(worker(sys.executable, "benchmarks.sides.miii", "auto", cwd=ROOT)),
            "matmul": enter(worker(sys.executable, "benchmarks.sides.matmul", "auto", cwd=ROOT)),
        }
        same = _compare(given, found, config)
        log(f"step: the same model: {same}")
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for turn in range(repetitions + 1):
            lr = rates[turn * steps : (turn + 1) * steps]
            for name, side in sides.items():
                answer = side.ask({"lr": lr})
                if turn:
                    measured[name].append(answer)
            if turn:
                log(f"step: repetition {turn}: " + ", ".join(_brief(name, measured[name][-1]) for name in measured))
        ready = {name: side.ready for name, side in sides.items()}
    raw = {"sides": ready, "same": same, "steps": steps, "repetitions": measured}
    return Result(_rows(measured, ready, same, steps), raw)


def _rows(
    measured: dict[str, list[dict[str, Any]]], ready: dict[str, dict[str, Any]], same: dict[str, float], steps: int
) -> list[Row]:
    ms = {
        name: [1000 * statistics.median(answer["seconds"]) for answer in measured[name]]
        for name in ("transformer_lens", "float32", "default")
    }
    matmul = {kind: [1000 * answer[kind] for answer in measured["matmul"]] for kind in ("fused", "unfused")}
    lens, dtype = ready["transformer_lens"], ready["default"]["dtype"]
    how = f"median of {len(ms['default'])} repetitions of {steps} steps, in turns"

    def time(what: str, side: str) -> Row:
        what = f"step: {what}, {ready[side]['threads']} threads"
        return Row(what, f"{statistics.median(ms[side]):.1f} ms{spread(ms[side], 1)}")

    def ratio(side: str, goal: float) -> Row:
        values = [a / b for a, b in zip(ms["transformer_lens"], ms[side], strict=True)]
        what = f"step: TransformerLens float32 / miii {side}"
        return at_least(what, statistics.median(values), goal, "x", spread(values, 1))

    def share(kind: str) -> tuple[float, str]:
        values = [100 * a / b for a, b in zip(matmul[kind], ms["default"], strict=True)]
        alone = statistics.median(matmul[kind])
        speed = ready["matmul"]["flops"][kind] / alone / 1e6
        return statistics.median(values), f"{spread(values, 0)}; {alone:.1f} ms alone, {speed:.0f} GFLOP/s"

    fused, fused_note = share("fused")
    unfused, unfused_note = share("unfused")
    return [
        Row(
            "step: same weights and batch in both, float32: largest difference",
            f"loss {same['loss']:.0e}, logits {same['logits']:.0e}, gradients {same['gradients']:.0e} of their largest",
            f"logits <= {SAME_LOGITS:g}", same["logits"] <= SAME_LOGITS,
        ),
        time(f"TransformerLens {lens['transformer_lens']} float32 ({how})", "transformer_lens"),
        time("miii float32", "float32"),
        time(f"miii default precision ({dtype})", "default"),
        ratio("default", DEFAULT_RATIO),
        ratio("float32", FLOAT32_RATIO),
        at_least(
            "step: share of the machine's matmul speed: time of z (W_O W_in), post (W_out W_U), z (W_O W_U) over the "
            f"{ready['matmul']['rows']} training rows, forward and backward, alone in {dtype}, "
            "as a share of miii's default step",
            fused, SHARE, "%", fused_note, digits=0,
        ),
        Row(
            "step: the same share of the unfused model: z W_O, resid W_in, post W_out, resid W_U in the numerator",
            f"{unfused:.0f} %{unfused_note}",
        ),
    ]  # fmt: skip


def environment(venv: Path) -> Path:
    """Return the Python of a virtual environment with TransformerLens and this torch, created on first use.

    Raises:
        Unavailable: TransformerLens cannot be installed.
    """
    import torch

    wanted = torch.__version__.partition("+")[0]
    python = venv.absolute() / "bin" / "python"
    if _installed(python, wanted):
        return python
    log(f"step: installing TransformerLens into {venv}, once: a minute or more")
    # torch first: transformer_lens alone would pull the newest CUDA build, several GB
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(python), "-m", "pip", "install", "--quiet", f"torch=={wanted}"],
        [str(python), "-m", "pip", "install", "--quiet", f"torch=={wanted}", "transformer_lens<4"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no message"]
            raise Unavailable(f"`{' '.join(command)}` failed: {last[0]}")
    if not _installed(python, wanted):
        raise Unavailable(f"{venv} does not hold torch {wanted} and transformer_lens below 4 after installing them.")
    return python


def _installed(python: Path, torch_version: str) -> bool:
    code = "import importlib.metadata as m; print(m.version('torch').partition('+')[0], m.version('transformer_lens'))"
    if not python.exists():
        return False
    words = subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout.split()
    return len(words) == 2 and words[0] == torch_version and int(words[1].partition(".")[0]) < 4


def _hand_over(path: Path, config: Any) -> None:
    """Write the training batch, the initial weights, and TransformerLens' model and optimizer options to one file."""
    from safetensors.torch import save_file

    from miii.training import build_model

    task, model, adamw = config.task.build(), config.model, config.optimizer
    tensors = {"tokens": task.tokens[task.train_mask], "labels": task.labels[task.train_mask]}
    facts = {
        "model": {
            "n_layers": model.n_layers, "d_model": model.d_model, "n_heads": model.n_heads, "d_head": model.d_head,
            "d_mlp": model.d_mlp, "act_fn": model.act, "d_vocab": task.d_vocab, "d_vocab_out": task.d_vocab_out,
            "n_ctx": task.n_ctx,
        },
        "adamw": {"lr": adamw.lr, "betas": (adamw.beta1, adamw.beta2), "weight_decay": adamw.weight_decay},
    }  # fmt: skip
    save_file({**tensors, **build_model(config, task).state_dict()}, path, {"facts": json.dumps(facts)})


def _compare(given: Path, found: Path, config: Any) -> dict[str, float]:
    """Return the largest differences between miii's and TransformerLens' step at the same initial weights."""
    import torch.nn.functional as F
    from safetensors.torch import load_file

    from miii.model import fast
    from miii.training import build_model

    batch, theirs = load_file(given), load_file(found)
    model = build_model(config, config.task.build())
    logits = fast.answer_logits(model, fast.plan(batch["tokens"]))
    loss = F.cross_entropy(logits, batch["labels"])
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return {
        "loss": abs(loss.item() - F.cross_entropy(theirs["logits"], batch["labels"]).item()),
        "logits": (logits - theirs["logits"]).abs().max().item(),
        "gradients": max(
            ((gradients[name] - grad).abs().max() / grad.abs().max()).item()
            for name, grad in theirs.items()
            if name != "logits"
        ),
    }


def _brief(name: str, answer: dict[str, Any]) -> str:
    seconds = statistics.median(answer["seconds"]) if "seconds" in answer else answer["fused"]
    return f"{name} {1000 * seconds:.1f} ms"
