"""Small runs of every kind, each trained or written down the first time that a test asks for it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import miii
from miii import runs
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted

TINY = {"n_heads": 1, "d_model": 8, "d_mlp": 12}
MODEL = {"d_model": 8, "n_heads": 2, "d_mlp": 16}
SIEVED = miii.Primes(low=1000, high=4999, tokens="place")
FRAMES = miii.Frames(low=100, high=999, frames=3, largest_step=4)
#: Runs modulo a small p, as changes of the small config.
MODULAR: dict[str, dict[str, Any]] = {
    "untrained": {"task": {"p": 11}, "steps": 1},
    "second": {"task": {"p": 11}, "model": {"n_heads": 1, "d_mlp": 4}, "steps": 20, "snapshots": 3},
    "seven": {"task": {"p": 7}, "model": TINY},
    "two": {"task": {"p": 2}, "steps": 3},
    "mul": {"task": {"p": 11, "operation": "mul"}, "model": TINY},
    "div": {"task": {"p": 11, "operation": "div"}, "model": TINY},
    "custom": {"task": {"p": 11, "operation": "expr", "expression": "(a*b + 3*a) % p"}, "model": TINY},
    "multiples": {"task": {"p": 11, "operation": "expr", "expression": "3*a - b + 7"}, "model": TINY},
    "even": {"task": {"p": 12}, "model": TINY},
    "two layers": {"task": {"p": 11}, "model": {**TINY, "n_heads": 2, "n_layers": 2, "biases": "all", "act": "gelu"}},
    "normed": {"task": {"p": 11}, "model": {**TINY, "n_layers": 2, "block": "pre-norm"}},
    "side by side": {"task": {"p": 11}, "model": {**TINY, "block": "sas-p"}},
    "recurrent": {"task": {"p": 11}, "model": {**TINY, "mixer": "gru", "block": "pre-norm"}},
    "memorized": {
        "task": {"p": 11, "operation": "shuffled", "train_fraction": 0.4},
        "model": {"n_heads": 1, "d_model": 32, "d_mlp": 64},
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.0},
        "steps": 150,
        "snapshots": 2,
    },
}
#: Runs on other tasks, as changes of their recipes.
OTHER: dict[str, dict[str, Any]] = {
    "primes": {"task": miii.Primes(low=100, high=999, candidates="coprime", residues=(3, 7)), "steps": 12},
    "deep primes": {"task": miii.Primes(low=100, high=399), "model": {**MODEL, "n_layers": 2, "block": "vaswani"}},
    "residues": {"task": miii.Residues(p=11, masked=(5,)), "steps": 12},
    "digits": {"task": miii.Residues(p=11, control="digits")},
    "gcd": {"task": miii.GCD(pairs=500, tests=20, largest=12, high=2_000), "steps": 12},
    "group": {"task": miii.Table(group="S3"), "steps": 12},
    "rectangle": {"task": miii.Table(group="own", csv="*,x,y,z\na,0,1,\nb,1,2,0")},
    "miu": {"task": miii.MIU(longest=9, longest_test=12, n=200), "steps": 12},
    "short miu": {"task": miii.MIU(longest=9, longest_test=9, n=100)},
    "sequences": {"task": miii.Sequences(n=300, largest_modulus=5), "steps": 12},
    "continues": {"task": miii.Sequences(n=300, largest_modulus=5, target="continuation"), "steps": 12},
    "unmasks": {"task": miii.Sequences(n=300, largest_modulus=5, target="unmasking"), "steps": 12},
    "frames": {"task": FRAMES, "model": {**MODEL, "positions": "frames"}, "steps": 12},
    "places": {"task": FRAMES, "model": {**MODEL, "positions": "learned"}},
    "labels": {"task": FRAMES.model_copy(update={"predict": "label"}), "model": {**MODEL, "positions": "frames"}},
}
#: Runs of networks whose weights are written down by hand, and never trained here.
PLANTED: dict[str, dict[str, Any]] = {
    "adds 13": {"p": 13, "train_fraction": 0.5},
    "subtracts": {"p": 13, "operation": "sub"},
    "zeros": {"p": 11, "train_fraction": None},
    "theirs": {"p": 11, "train_fraction": None},
    "theirs, split": {"p": 11, "train_fraction": 0.4},
    "broken": {"p": 11, "train_fraction": 0.5},
    "large": {"p": 223, "train_fraction": 0.5},
}
ADDING = {"adding": "relu", "adds": "square"}  #: trained runs whose last network adds modulo 11 by frequencies 2 and 3
SIEVES = ("sieves", "sieves-shuffled")  #: of the first, the last network sums residues modulo 3
TYPED = {"operation": "expr", "expression": "3*a - b", "p": 11, "train_fraction": 0.7}  #: as Symbolic trains it
NAMES = {*MODULAR, *OTHER, *PLANTED, *ADDING, *SIEVES, "formula"}


def zeros(p: int) -> miii.Transformer:
    """Return a network whose neurons are dead and whose logits are all alike."""
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=6), p + 1, p, 3).requires_grad_(False)
    for weight in model.parameters():
        weight.zero_()
    return model


def wave(p: int, frequencies: tuple[int, ...], beta: int = 1) -> miii.Transformer:
    """Return a network that computes a + beta b modulo p by these frequencies."""
    terms = tuple(Term(k, beta * k, k, 10.0 - i, 0.0) for i, k in enumerate(frequencies))
    return planted.from_formula(Formula(p, terms), dtype=torch.float32)


class Zoo:
    """A folder of runs; ``zoo(name)`` opens one. Tests never write into it: they bring a copy home."""

    def __init__(self, home: Path, config: Callable, adder: Callable, residue_adder: Callable) -> None:
        self.home, self.config, self.adder, self.residue_adder = home, config, adder, residue_adder

    def __call__(self, name: str) -> runs.Run:
        folder = self.home / name
        if not folder.exists():
            self._make(name, folder)
        return runs.open(folder)

    def _make(self, name: str, folder: Path) -> None:
        if name in MODULAR:
            runs.record(folder, miii.train(self.config(**{"steps": 12, "snapshots": 3} | MODULAR[name])))
        elif name in OTHER:
            runs.record(folder, miii.train(self._recipe(**OTHER[name])))
        elif name in PLANTED:
            model = self._planted(name)
            config = miii.RunConfig(task=PLANTED[name], model=model.config.model_dump())
            runs.create_run(folder, config, model, format="planted", file="![x](y).pt")
        elif name in ADDING:
            shape = {"d_model": 8, "n_heads": 2, "d_mlp": 6, "act": ADDING[name], "biases": "none"}
            runs.record(folder, miii.train(self.config(task={"p": 11}, model=shape, steps=30, snapshots=4)))
            weights = self.adder(11, (2, 3), n_heads=2, scale=3.0).state_dict()
            save_file(weights, folder / "snapshots" / "30.safetensors")
        elif name == "formula":
            config = miii.recipe(task=TYPED)
            runs.record(folder, miii.train(config.model_copy(update={"steps": 30})))
            (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
        else:
            model = self.residue_adder(SIEVED, 3, shares=(0.75, 0.25))
            task = SIEVED.model_copy(update={"shuffled": name == "sieves-shuffled"})
            shape = {**MODEL, "d_mlp": model.config.d_mlp}
            runs.record(folder, miii.train(self._recipe(task=task, model=shape)))
            if name == "sieves":
                save_file(model.state_dict(), folder / "snapshots" / "4.safetensors")

    def _recipe(self, **changes: Any) -> miii.RunConfig:
        steps = changes.get("steps", 4)
        small = {"model": MODEL, "optimizer": {"name": "adamw"}, "steps": 4, "eval_every": steps // 2}
        exact = {"batch_size": None, "snapshots": 3, "precision": "float32", "threads": 1}
        return miii.recipe(**small | exact | changes)

    def _planted(self, name: str) -> miii.Transformer:
        p = PLANTED[name]["p"]
        if name in ("adds 13", "subtracts"):
            return wave(p, (2, 5)) if name == "adds 13" else wave(p, (1, 6), -1)
        if name.startswith("theirs"):
            model = self.adder(p, (2, 3), n_heads=2).requires_grad_(False)
            model.W_E[3] = 0  # pairs with a 3 are wrong
            return model
        model = zeros(p)
        if name == "broken":
            model.W_U.fill_(torch.nan)
        return model


def phased(run: runs.Run, like: runs.Run, folder: Path) -> runs.Run:
    """Copy a run, with the curves of another one and snapshots from each of that one's phases."""
    shutil.copytree(run.folder, folder)
    for name in ("metrics.jsonl", "result.json"):
        shutil.copy(like.folder / name, folder / name)
    for old, new in zip(run.steps[1:], (52, 104, 400)[-len(run.steps) + 1 :], strict=True):
        (folder / "snapshots" / f"{old}.safetensors").rename(folder / "snapshots" / f"{new}.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["steps"] = 400
    (folder / "config.json").write_text(json.dumps(config))
    return runs.open(folder)
