"""A run as one value: round trips, and every bad value in one sentence."""

import json
import tracemalloc

import pytest
from pydantic import ValidationError

import miii
from miii import KINDS, OPTIMIZERS, RECIPES, RunConfig, recipe
from miii.training import flat

CONFIGS = [
    RunConfig(),
    *(recipe(name) for name in RECIPES),
    *(RunConfig(optimizer={"name": name}) for name in OPTIMIZERS),
    *(recipe(task=kind()) for kind in KINDS.values()),
    RunConfig(
        task=miii.Primes(low=2, high=500, base=7, candidates="coprime", split="residue", residues=(3, 5), sample=100),
        model=miii.ModelConfig(positions="none"),
        seconds=0.5,
    ),
    RunConfig(task=miii.Residues(p=11, masked=(2, 3), train_fraction=0.1 + 0.2)),
    RunConfig(task=miii.MIU(longest=5, longest_test=7, n=100)),
    RunConfig(
        task=miii.ModularAddition(operation="quadratic", p=11, train_fraction=0.1 + 0.2, seed=2**31 - 1),
        model=miii.ModelConfig(n_layers=3, d_model=6, n_heads=3, d_mlp=1, act="gelu", biases="all", causal=False),
        optimizer=miii.Muon(lr=1 / 3, momentum=0.0),
        steps_after_grok=0,
        batch_size=7,
        threads=3,
    ),
]


def test_json_round_trip():
    for config in CONFIGS:
        assert RunConfig(**json.loads(config.model_dump_json())) == config
        assert RunConfig(**json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_a_config_without_a_kind_is_modular():
    """Version 0.1.0 wrote none."""
    dumped = RunConfig(task=miii.ModularAddition(p=59)).model_dump(mode="json")
    assert dumped["task"].pop("kind") == "modular"
    assert RunConfig(**dumped).task == miii.ModularAddition(p=59)
    for kind, config in KINDS.items():
        assert RunConfig(task={"kind": kind}).task == config()


BAD = [
    ({"task": {"p": 1}}, "p", "2"),
    ({"task": {"p": 0}}, "p", "2"),
    ({"task": {"p": -113}}, "p", "2"),
    ({"task": {"p": 7.5}}, "p", "integer"),
    ({"task": {"p": "seven"}}, "p", "integer"),
    ({"task": {"p": None}}, "p", "integer"),
    ({"task": {"p": float("nan")}}, "p", "number"),
    ({"task": {"p": "9" * 5000}}, "p", "integer"),
    ({"task": {"p": 1025}}, "p", "1024"),
    ({"task": {"train_fraction": 0}}, "train_fraction", "greater than 0"),
    ({"task": {"train_fraction": -0.1}}, "train_fraction", "greater than 0"),
    ({"task": {"train_fraction": 1}}, "train_fraction", "less than 1"),
    ({"task": {"train_fraction": 1.5}}, "train_fraction", "less than 1"),
    ({"task": {"train_fraction": float("nan")}}, "train_fraction", "nan"),
    ({"task": {"train_fraction": float("inf")}}, "train_fraction", "less than 1"),
    ({"task": {"train_fraction": "a third"}}, "train_fraction", "number"),
    ({"task": {"p": 3, "train_fraction": 0.1}}, "train_fraction", "9 pairs"),  # int(.9) trains on none
    ({"task": {"operation": "power"}}, "operation", "'relabeled'"),
    ({"task": {"seed": -1}}, "seed", "0"),
    ({"task": {"q": 3}}, "q", "ModularAddition"),
    ({"task": 113}, "task", "113"),
    ({"task": {"kind": "prime"}}, "task", "'primes'"),
    ({"task": {"kind": "primes", "p": 113}}, "p", "Primes"),
    ({"task": {"kind": "primes", "base": 1}}, "base", "2"),
    ({"task": {"kind": "primes", "low": 30, "high": 20}}, "low", "empty"),
    ({"task": {"kind": "primes", "low": 24, "high": 36, "split": "range", "train_fraction": 0.9}}, "split", "prime"),
    ({"task": {"kind": "residues", "p": 2}}, "p", "3"),
    ({"task": {"kind": "miu", "longest": 40}}, "longest_test", "40"),
    ({"model": {"positions": "some"}}, "positions", "'none'"),
    ({"seconds": 0}, "seconds", "greater than 0"),
    ({"seconds": -1}, "seconds", "greater than 0"),
    ({"seconds": "soon"}, "seconds", "number"),
    ({"task": {"kind": "primes"}, "batch_size": 40501}, "batch_size", "40500"),
    ({"model": {"n_heads": 3}}, "n_heads", "1, 2, 4, 8, 16, 32, 64, 128"),
    ({"model": {"d_model": 10}}, "n_heads", "1, 2, 5, 10"),
    ({"model": {"n_heads": 0}}, "n_heads", "1"),
    ({"model": {"n_layers": 0}}, "n_layers", "1"),
    ({"model": {"act": "solu"}}, "act", "'square'"),
    ({"model": {"biases": True}}, "biases", "'mlp'"),
    ({"model": {"normalisation": "rms"}}, "norm", "ModelConfig"),
    ({"optimizer": {"name": "adam"}}, "optimizer", "'adamw', 'sgd', 'muon'"),
    ({"optimizer": {"lr": 1}}, "optimizer", "name"),
    ({"optimizer": None}, "optimizer", "None"),
    ({"optimizer": {"name": "adamw", "lr": 0}}, "lr", "greater than 0"),
    ({"optimizer": {"name": "adamw", "lr": float("nan")}}, "lr", "nan"),
    ({"optimizer": {"name": "adamw", "beta1": 1}}, "beta1", "less than 1"),
    ({"optimizer": {"name": "sgd", "beta1": 0.9}}, "beta1", "SGD"),
    ({"steps": 0}, "steps", "1"),
    ({"steps_after_grok": -1}, "steps_after_grok", "0"),
    ({"schedule": "exponential"}, "schedule", "'cosine'"),
    ({"warmup_steps": -1}, "warmup_steps", "0"),
    ({"batch_size": 0}, "batch_size", "1"),
    ({"batch_size": 3831}, "batch_size", "3830"),
    ({"optimizer": {"name": "slow-gradient", "slow_alpha": 1}}, "slow_alpha", "less than 1"),
    ({"optimizer": {"name": "slow-gradient", "slow_lambda": -1}}, "slow_lambda", "0"),
    ({"loss": "nosuch"}, "loss", "'cross-entropy', 'stablemax' or 'squared'"),
    ({"eval_every": 0}, "eval_every", "1"),
    ({"snapshots": 0}, "snapshots", "1"),
    ({"precision": "float16"}, "precision", "'bfloat16'"),
    ({"device": "tpu"}, "device", "'cuda'"),
    ({"threads": 0}, "threads", "1"),
    ({"epochs": 3}, "epochs", "RunConfig"),
]


def test_a_bad_value_gives_one_sentence_with_the_field_and_what_is_valid(one_sentence):
    for values, field, hint in BAD:
        with one_sentence(field, hint):
            RunConfig(**values).task.build()


def test_a_config_is_checked_by_arithmetic_alone(monkeypatch):
    """Nothing is sieved, drawn or tabulated: a config comes out of a link or an upload."""

    def worked(*_: object) -> None:
        raise AssertionError("work was done")

    for name in ("miii.numbers.smallest_prime_factor", "miii.numbers.sample", "miii.tasks.frames.prime_between"):
        monkeypatch.setattr(name, worked)
    for name in ("miii.tasks.integers._parts", "miii.tasks.frames.parts", "miii.tasks.modular.answers"):
        monkeypatch.setattr(name, worked)
    monkeypatch.setattr("miii.expression.Expression.table", worked)
    wide = {"kind": "primes", "low": 2, "high": 10**8, "sample": 4_000_000, "base": 1000}
    tasks = [wide | {"split": split, "candidates": candidates} for split in ("random", "range", "residue")
             for candidates in ("all", "coprime")]  # fmt: skip
    tasks.append({"kind": "frames", "low": 2, "high": 100_000, "largest_step": 50, "sample": 5_000})
    tasks.append({"operation": "expr", "expression": "a*b*a*b*a*b", "p": 1024})
    tracemalloc.start()
    for task in tasks:
        config = RunConfig(task=task, batch_size=512)
        assert config.task.sizes.examples >= 5_000
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
    with pytest.raises(miii.InputError, match="168"):
        RunConfig(task=wide | {"residues": [3] * 1_000_000})


def test_a_config_cannot_be_changed():
    config = RunConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.steps = 3
    with pytest.raises(ValidationError, match="frozen"):
        config.task.p = 7
    assert len({RunConfig(), RunConfig(steps=400), RunConfig(steps=401)}) == 2  # equal configs are one key


def test_a_recipe_takes_changes(one_sentence):
    assert recipe() == recipe("fast") == RunConfig()
    config = recipe("literature", steps=7, task=miii.ModularAddition(p=59))
    assert (config.steps, config.task.p, config.schedule) == (7, 59, "constant")
    with one_sentence("steps"):
        recipe("literature", steps=0)
    with one_sentence("recipe", "slow", *RECIPES):
        recipe("slow")
    config = recipe(task=miii.Primes())
    assert (config.steps, config.task.low, config.task.high) == (2000, 10_000, 99_999)
    assert config.task.label_only
    assert config.batch_size is not None  # a step on 40,000 integers would take seconds
    assert RunConfig(batch_size=3830).batch_size == RunConfig().task.n_train


def test_literature_is_nanda_et_al():
    config = recipe("literature")
    task, model, adamw = config.task, config.model, config.optimizer
    assert (task.operation, task.p, task.train_fraction) == ("add", 113, 0.3)
    assert (model.n_layers, model.d_model, model.n_heads, model.d_head, model.d_mlp) == (1, 128, 4, 32, 512)
    assert (model.act, model.biases, model.causal) == ("relu", "mlp", True)
    assert isinstance(adamw, miii.AdamW)
    assert (adamw.lr, adamw.weight_decay, adamw.beta1, adamw.beta2) == (1e-3, 1.0, 0.9, 0.98)
    assert (config.steps, config.warmup_steps, config.schedule) == (40_000, 10, "constant")
    assert (config.batch_size, config.loss, config.precision) == (None, "cross-entropy", "float32")


def test_operations_harder_than_addition_take_longer():
    configs = {name: flat.build_config("fast", name, {}) for name in ("add", "sub", "mul", "div", "quadratic")}
    assert configs.pop("add") == recipe()
    assert {(config.steps, config.optimizer) for config in configs.values()} == {(1000, miii.AdamW(lr=6e-3))}
    assert [config.task.separate for config in configs.values()] == [True, False, True, False]
    assert flat.build_config("literature", "sub", {}).steps == 40_000
    assert flat.build_config("fast", "div", {"steps": 7}).steps == 7


def test_recipes_belong_to_the_kind_of_task(one_sentence):
    for kind, build in KINDS.items():
        task = build()
        fields = task.recipes["fast"]
        config, plain = recipe(task=task), RunConfig(task=task)
        assert config == recipe("fast", task=task) == RunConfig(**fields, task=task)
        for name in set(RunConfig.model_fields) - set(fields):
            assert getattr(config, name) == getattr(plain, name), name
        assert recipe(task=task, steps=7).steps == 7
        assert recipe(task=task.model_dump()) == config
        assert all("task" not in values for values in task.recipes.values())
        if kind != "modular":
            with one_sentence("recipe must be fast", kind, "'literature'"):
                recipe("literature", task=task)
