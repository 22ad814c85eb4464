"""A RunConfig as a flat list of options, held against a walk of its own over pydantic's fields."""

import itertools
from collections import Counter
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from miii import (
    KINDS,
    MIU,
    OPTIMIZERS,
    RECIPES,
    SGD,
    AdamW,
    Frames,
    ModelConfig,
    ModularAddition,
    Muon,
    Primes,
    Residues,
    RunConfig,
    recipe,
)
from miii.training import flat

OPTIONS = {option.name: option for option in flat.options()}
CONFIGS = {
    **{name: recipe(name) for name in RECIPES},
    "sgd": RunConfig(optimizer=SGD(lr=0.5, momentum=0.3), task=ModularAddition(operation="sub", p=7)),
    "muon": RunConfig(optimizer=Muon(adamw_lr=0.25), model=ModelConfig(causal=False), threads=3),
    "all optional": RunConfig(batch_size=7, steps_after_grok=0, threads=2, seconds=1.5, optimizer=AdamW(beta1=0.0)),
    "primes": recipe(
        task=Primes(low=100, high=2_000, base=12, leading_zeros=False, residues=(3, 7), sample=500), batch_size=64
    ),
    "residues": recipe(task=Residues(p=31, masked=(2, 5)), model=ModelConfig(biases="none")),
    "digits": recipe(task=Residues(p=5, control="digits", seed=3)),
    "expr": recipe(task=ModularAddition(operation="expr", expression="a - 2*b % p", p=7)),
    "miu": recipe(task=MIU(longest=5, longest_test=9, n=200), model=ModelConfig(positions="none"), seconds=60),
    "frames": recipe(task=Frames(low=100, high=999, frames=3, largest_step=4, predict="label"), batch_size=32),
}
TAGS = {"task": "kind", "optimizer": "name"}  # the fields that choose, which are options under the part's own name
# a valid value that doubling or halving would not give
OTHERS = {"withheld": ("1-1-1",), "sample": 300, "residues": (3, 11), "masked": (2,), "longest": 30}


def leaves(model: type[BaseModel]) -> list[str]:
    """Names of the fields that hold no further fields; a choice of models counts under the choice's own name."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        kinds = [get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in kinds]
        kinds = [kind for kind in kinds if isinstance(kind, type)]
        parts = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if len(parts) > 1:
            below = {leaf for part in parts for leaf in leaves(part)} - {TAGS[name]}
            found += [name, *below]
        else:
            found += leaves(parts[0]) if parts else [name]
    return found


def another(name: str, value: Any) -> Any:
    """A valid value of the option that differs from the given one."""
    if name in OTHERS:
        return OTHERS[name]
    annotation = OPTIONS[name].annotation
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    return value / 2 or 0.5 if isinstance(value, float) else (value or 0) * 2 or 1


def test_every_leaf_of_the_config_is_exactly_one_option():
    assert Counter(option.name for option in flat.options()) == Counter(leaves(RunConfig))
    for option in flat.options():
        assert option.description.strip(), f"{option.name} has no description"
        assert "\n" not in option.description


def test_values_and_change_undo_each_other():
    def text(value: Any) -> str | None:  # as on the command line
        return None if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    for config in CONFIGS.values():
        assert flat.change(RunConfig(), flat.values(config)) == config
        texts = {name: text(value) for name, value in flat.values(config).items()}
        assert flat.change(RunConfig(), texts) == config


def test_values_are_the_chosen_kinds_and_everyone_elses():
    for task, optimizer in itertools.product(KINDS, OPTIMIZERS):
        config = flat.change(RunConfig(), {"task": task, "optimizer": optimizer})
        own = {*type(config.task).model_fields, *type(config.optimizer).model_fields} - {*TAGS.values()}
        shared = {name for name, option in OPTIONS.items() if option.part not in TAGS}
        assert flat.values(config).keys() == own | shared | set(TAGS)


def test_each_option_changes_itself_and_nothing_else():
    others = [(kind, "adamw") for kind in KINDS if kind != "modular"]
    for task, optimizer in [*(("modular", optimizer) for optimizer in OPTIMIZERS), *others]:
        # a block that goes with every mixer and norm, and attention that need not be softmax alone
        own = {
            "primes": {"low": 100, "high": 999},
            "frames": {"predict": "label"},  # of labels alone, all may be seen
            "sequences": {"largest_modulus": 12},
        }
        few = {"block": "pre-norm", "causal": task == "frames"} | own.get(task, {})
        base = flat.change(RunConfig(), {"task": task, "optimizer": optimizer, **few})
        before = flat.values(base)
        beyond = {"attn_coeff", "causal"} if task == "frames" else set()  # mixed attention is not causal
        for name in before.keys() - {*TAGS, "expression", "csv"} - beyond:  # of some tasks only
            value = another(name, before[name])
            assert value != before[name]
            assert flat.values(flat.change(base, {name: value})) == {**before, name: value}


def test_another_task_brings_its_own_defaults_and_keeps_the_rest():
    for task in KINDS:
        other = "miu" if task != "miu" else "residues"
        base = flat.change(RunConfig(), {"task": other, "train_fraction": 0.123, "seed": 7, "lr": 0.5, "d_model": 64})
        changed = flat.change(base, {"task": task})
        assert changed.task == KINDS[task]()
        assert (changed.model, changed.optimizer, changed.steps) == (base.model, base.optimizer, base.steps)
        assert flat.change(base, {"task": task, "seed": 3}).task == KINDS[task](seed=3)
        base = flat.change(RunConfig(), {"task": task, "seed": 5})
        assert flat.change(base, {"task": task}) == base


def test_another_optimizer_brings_its_own_defaults():
    for kind, model in [("adamw", AdamW), ("sgd", SGD), ("muon", Muon)]:
        other = "sgd" if kind == "adamw" else "adamw"
        base = flat.change(RunConfig(), {"optimizer": other, "lr": 0.123})
        assert flat.change(base, {"optimizer": kind}).optimizer == model()
        assert flat.change(base, {"optimizer": kind, "lr": 0.5}).optimizer == model(lr=0.5)
    base = flat.change(RunConfig(), {"lr": 0.123})
    before = base.model_copy(deep=True)
    assert flat.change(base, {"optimizer": "adamw"}) == base
    flat.change(base, {"p": 7, "optimizer": "sgd"})
    assert base == before


def test_a_change_that_does_not_fit_is_one_sentence(one_sentence):
    for changes, words in [
        ({"width": 3}, ["width", "d_model", "train_fraction"]),
        ({"momentum": 0.5}, ["momentum", "adamw", "beta1"]),
        ({"optimizer": "sgd", "beta1": 0.5}, ["beta1", "sgd", "momentum"]),
        ({"optimizer": "adam"}, ["optimizer", "adamw, sgd, muon", "'adam'"]),
        ({"optimizer": None}, ["optimizer", "adamw, sgd, muon"]),
        ({"name": "sgd"}, ["name", "optimizer"]),
        ({"base": 10}, ["base", "the task modular", "operation, p, "]),
        ({"task": "primes", "p": 7}, ["p is not an option of the task primes", "low, high, base"]),
        ({"task": "primes", "operation": "add"}, ["operation is not an option of the task primes"]),
        ({"task": "residues", "residues": (3,)}, ["residues is not an option of the task residues", "masked"]),
        ({"task": "miu", "base": 3}, ["base is not an option of the task miu", "longest_test"]),
        ({"task": "primes", "frames": 3}, ["frames is not an option of the task primes"]),
        ({"positions": "frames"}, ["positions must be learned or none for the task modular", "'frames'"]),
        ({"task": "frames", "causal": False}, ["causal must be true"]),
        ({"task": "add"}, ["task must be one of modular, primes, residues, gcd, miu, frames, sequences", "'add'"]),
        ({"task": None}, ["task must be one of modular, primes, residues, gcd, miu, frames, sequences", "None"]),
        ({"kind": "primes"}, ["kind is not an option of a run", "task"]),
        ({"task": "primes", "base": 1}, ["base must be", "at least 2", "1"]),
        ({"task": "primes", "residues": "3,x"}, ["residues", "'x'"]),
        ({"seconds": 0}, ["seconds must be", "greater than 0"]),
        ({"positions": "some"}, ["positions must be one of", "'none'", "'some'"]),
        ({"p": "x"}, ["p must be an integer", "at least 2", "'x'"]),
        ({"lr": "fast"}, ["lr must be a number", "'fast'"]),
        ({"causal": "maybe"}, ["causal must be true or false", "'maybe'"]),
        ({"schedule": "steep"}, ["schedule must be one of", "cosine", "'steep'"]),
        ({"steps": None}, ["steps must be an integer"]),
        ({"n_heads": 3}, ["n_heads must divide d_model", "3"]),
        ({"p": 5, "batch_size": 8}, ["batch_size must be at most", "7 training examples"]),
    ]:
        with one_sentence(*words):
            flat.change(RunConfig(), changes)
