"""A RunConfig as a flat list of options, held against a walk of its own over pydantic's fields."""

from collections import Counter
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from miii import RECIPES, SGD, AdamW, ModelConfig, ModularAddition, Muon, RunConfig, flat, recipe

OPTIONS = {option.name: option for option in flat.options()}
CONFIGS = {
    **{name: recipe(name) for name in RECIPES},
    "sgd": RunConfig(optimizer=SGD(lr=0.5, momentum=0.3), task=ModularAddition(operation="sub", p=7)),
    "muon": RunConfig(optimizer=Muon(adamw_lr=0.25), model=ModelConfig(causal=False), threads=3),
    "all optional": RunConfig(batch_size=7, steps_after_grok=0, threads=2, optimizer=AdamW(beta1=0.0)),
}


def leaves(model: type[BaseModel]) -> list[str]:
    """Names of the fields that hold no further fields; a choice of models counts under the choice's own name."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        kinds = [k for k in (field.annotation, *get_args(field.annotation)) if isinstance(k, type)]
        parts = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if len(parts) > 1:
            below = {leaf for part in parts for leaf in leaves(part)} - {field.discriminator}
            found += [name, *below]
        else:
            found += leaves(parts[0]) if parts else [name]
    return found


def another(name: str, value: Any) -> Any:
    """A valid value of the option that differs from the given one."""
    annotation = OPTIONS[name].annotation
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    return value / 2 or 0.5 if isinstance(value, float) else (value or 0) * 2 or 1


def test_every_leaf_of_the_config_is_exactly_one_option():
    assert Counter(option.name for option in flat.options()) == Counter(leaves(RunConfig))


@pytest.mark.parametrize("option", flat.options(), ids=lambda option: option.name)
def test_an_option_says_what_it_is(option):
    assert option.description.strip(), f"{option.name} has no description"
    assert "\n" not in option.description


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_values_and_change_undo_each_other(config):
    assert flat.change(RunConfig(), flat.values(config)) == config


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_values_may_be_text_as_on_the_command_line(config):
    texts = {name: None if value is None else str(value) for name, value in flat.values(config).items()}
    assert flat.change(RunConfig(), texts) == config


@pytest.mark.parametrize("kind", ["adamw", "sgd", "muon"])
def test_values_are_the_chosen_optimizers_and_everyone_elses(kind):
    own = set(type(flat.change(RunConfig(), {"optimizer": kind}).optimizer).model_fields) - {"name"}
    shared = {name for name, option in OPTIONS.items() if option.part != "optimizer"} | {"optimizer"}
    assert flat.values(flat.change(RunConfig(), {"optimizer": kind})).keys() == own | shared


@pytest.mark.parametrize("kind", ["adamw", "sgd", "muon"])
def test_each_option_changes_itself_and_nothing_else(kind):
    base = flat.change(RunConfig(), {"optimizer": kind})
    before = flat.values(base)
    for name in before.keys() - {"optimizer"}:
        value = another(name, before[name])
        assert flat.values(flat.change(base, {name: value})) == {**before, name: value}


@pytest.mark.parametrize(("kind", "model"), [("adamw", AdamW), ("sgd", SGD), ("muon", Muon)])
def test_another_optimizer_brings_its_own_defaults(kind, model):
    other = "sgd" if kind == "adamw" else "adamw"
    base = flat.change(RunConfig(), {"optimizer": other, "lr": 0.123})
    assert flat.change(base, {"optimizer": kind}).optimizer == model()
    assert flat.change(base, {"optimizer": kind, "lr": 0.5}).optimizer == model(lr=0.5)


def test_the_same_optimizer_keeps_what_was_set():
    base = flat.change(RunConfig(), {"lr": 0.123})
    assert flat.change(base, {"optimizer": "adamw"}) == base


def test_the_config_that_is_changed_stays_as_it_was():
    config = RunConfig()
    flat.change(config, {"p": 7, "optimizer": "sgd"})
    assert config == RunConfig()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 3}, ["width", "d_model", "train_fraction"]),
        ({"momentum": 0.5}, ["momentum", "adamw", "beta1"]),
        ({"optimizer": "sgd", "beta1": 0.5}, ["beta1", "sgd", "momentum"]),
        ({"optimizer": "adam"}, ["optimizer", "adamw, sgd, muon", "'adam'"]),
        ({"optimizer": None}, ["optimizer", "adamw, sgd, muon"]),
        ({"name": "sgd"}, ["name", "optimizer"]),
        ({"p": "x"}, ["p must be an integer", "at least 2", "'x'"]),
        ({"lr": "fast"}, ["lr must be a number", "'fast'"]),
        ({"causal": "maybe"}, ["causal must be true or false", "'maybe'"]),
        ({"schedule": "steep"}, ["schedule must be one of", "cosine", "'steep'"]),
        ({"steps": None}, ["steps must be an integer"]),
        ({"n_heads": 3}, ["n_heads must divide d_model", "3"]),
        ({"p": 5, "batch_size": 8}, ["batch_size must be at most", "7 training pairs"]),
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_is_one_sentence(changes, words, one_sentence):
    with one_sentence(*words):
        flat.change(RunConfig(), changes)
