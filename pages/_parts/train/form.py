"""A form for a run, made from the config: each option's widget, help text and default come from its field."""

import shlex
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from miii import KINDS, OPTIMIZERS, RECIPES, TASKS, RunConfig, recipe
from miii.expression import EXAMPLE, LENGTH
from miii.tasks import name_of, named
from miii.tasks.primes import PRESETS
from miii.training import flat
from miii.training.flat import Option

LIMIT = 211  # the largest p whose p x p grid, 44,521 cells, is fluid in a browser
WIDTH = 140  # pixels: the main options fit in one row
#: By the kind of task, the options that are shown at once; the rest is one click away.
MAIN = {
    "modular": ("p", "train_fraction", "seed", "steps"),
    "primes": ("low", "high", "base", "train_fraction", "seed", "steps", "seconds"),
    "residues": ("p", "train_fraction", "seed", "steps"),
    "miu": ("longest", "longest_test", "train_fraction", "seed", "steps"),
    "frames": ("low", "high", "base", "frames", "predict", "train_fraction", "seed", "steps"),
}
CHOSEN = ("task", "operation")  # said by the name of the task
BESIDE = ("expression",)  # has a widget beside the task
HIDDEN = ("device", "threads")  # the server's own affair
TITLES = {"task": "Task", "model": "Model", "optimizer": "Optimizer", "run": "Run"}


def choose_task() -> str:
    """The name of what is to be learned, one of ``TASKS``."""
    return st.selectbox(
        "Task",
        list(TASKS),
        key="task",
        bind="query-params",
        width=2 * WIDTH,
        help="add, sub, mul, quadratic: modular arithmetic; shuffled and relabelled are its controls; expr is a formula of your "
        "own. primes: is an integer prime? residues: a number modulo every prime below p. miu: is a string a theorem of Hofstadter's "
        "puzzle? frames: the next integer of a progression, digit by digit, and its label.",
    )


def type_expression(default: str = EXAMPLE) -> str:
    """The formula of a custom task, as text."""
    return st.text_input(
        "Expression",
        default,
        max_chars=LENGTH,
        key="expression",
        bind="query-params",
        width=2 * WIDTH,
        help="What c is, modulo p: a formula in a, b and p with + - * / **, parentheses, and % p if you like. A division is by "
        f"the inverse modulo p. For example {EXAMPLE}",
    )


def chosen_task() -> str:
    """The name of the task that the form is about."""
    return st.session_state["task"]


def run_form() -> RunConfig:
    """The config that the widgets say.

    Raises:
        InputError: the values do not fit together.
    """
    name, start, bounds = "fast", "", {}
    changes: dict[str, Any] = {}
    with st.container(horizontal=True, gap="medium"):
        task = choose_task()
        kind, given = named(task), dict(TASKS[task])
        if task == "expr":
            changes["expression"] = type_expression()
            given["expression"] = EXAMPLE  # holds for every p; what was typed is checked last, with all the rest
        if kind == "modular":
            name = st.segmented_control(
                "Recipe",
                list(RECIPES),
                default="fast",
                required=True,
                key="recipe",
                help="fast groks in seconds. literature has the hyperparameters of Nanda et al. 2023, and takes many minutes.",
            )
        if kind == "primes":
            start = st.segmented_control(
                "Range",
                list(PRESETS),
                default="table 1",
                required=True,
                key="range",
                bind="query-params",
                help="What low and high begin with: text, the four-digit integers that the paper's text speaks of; "
                "table 1, the five-digit ones of its Table 1.",
            )
            start = start or "table 1"  # an empty value in the URL gives None
            bounds = dict(zip(("low", "high"), PRESETS[start], strict=True))
    base = recipe(name, task=KINDS[kind](**given))
    values = flat.values(base) | bounds
    options = _options(kind, values["optimizer"])
    scope = f"{kind}-{name}"
    with st.container(horizontal=True, gap="small"):
        for field in MAIN[kind]:
            changes[field] = _widget(options[field], values[field], f"{scope}-{start}" if field in bounds else scope)
    with st.expander("All options", icon=":material/tune:"):
        chosen = st.selectbox(
            "optimizer",
            _choices(options["optimizer"].annotation),
            index=_choices(options["optimizer"].annotation).index(values["optimizer"]),
            key=f"form-{scope}-optimizer",
            help=options["optimizer"].description,
        )
        values, options = flat.values(flat.change(base, {"optimizer": chosen})), _options(kind, chosen)
        changes["optimizer"] = chosen
        for part, title in TITLES.items():
            fields = [o for o in options.values() if o.part == part and o.name in values and o.name != "optimizer"]
            shown = [option for option in fields if option.name not in (*MAIN[kind], *CHOSEN, *BESIDE, *HIDDEN)]
            if not shown:
                continue
            st.markdown(f"**{title}**")
            columns = st.columns(4)
            for i, option in enumerate(shown):
                with columns[i % 4]:
                    changes[option.name] = _widget(option, values[option.name], f"{scope}-{chosen}")
    return flat.change(base, changes)


def _options(kind: str, optimizer: str) -> dict[str, Option]:
    """All options by name; one that several tasks or optimizers have is described as the chosen one does."""
    found = {option.name: option for option in flat.options()}
    for model in (KINDS[kind], OPTIMIZERS[optimizer]):
        for name, field in model.model_fields.items():
            if name in found and field.description:
                found[name] = replace(found[name], description=field.description)
    return found


def _choices(annotation: Any) -> list[str]:
    return list(get_args(annotation))


def _widget(option: Option, default: Any, scope: str) -> Any:
    """A widget of the option's type; its key holds the recipe, so that another recipe brings its own defaults."""
    key, label = f"form-{scope}-{option.name}", option.name
    kinds = [kind for kind in get_args(option.annotation) if kind is not type(None)]
    if get_origin(option.annotation) is Literal:
        choices = _choices(option.annotation)
        return st.selectbox(label, choices, choices.index(default), key=key, help=option.description, width=WIDTH)
    if option.annotation is bool:
        return st.toggle(label, default, key=key, help=option.description)
    if get_origin(option.annotation) is tuple:
        listed = ",".join(map(str, default))
        return st.text_input(label, listed, key=key, help=option.description, placeholder="none", width=WIDTH)
    kind = kinds[0] if kinds else option.annotation
    # value and bounds are checked by the config itself, whose sentence names the field and what is valid
    how: dict[str, Any] = {"step": 1} if kind is int else {"step": None, "format": "%g"}
    return st.number_input(
        label, value=default, key=key, help=option.description, placeholder="none", width=WIDTH, **how
    )


def code(config: RunConfig, folder: str) -> str:
    """The lines of Python that train the same run, from whatever makes them short: the defaults, or a recipe."""
    starts = {"miii.recipe(": recipe(task=type(config.task)())}
    if config.task.kind == "modular":
        starts = {"miii.RunConfig(": RunConfig(), 'miii.recipe("literature", ': recipe("literature")}
    made = min((_call(start, default, config) for start, default in starts.items()), key=len)
    return f"import miii\n\nconfig = {made}\nrun = miii.runs.record({folder!r}, miii.train(config))"


def _call(start: str, default: RunConfig, config: RunConfig) -> str:
    """The call that makes the config from another one, whose values are left out."""
    parts = []
    for field in RunConfig.model_fields:
        value = getattr(config, field)
        # a recipe is one of a kind of task, so another than modular arithmetic has to be named
        if value != getattr(default, field) or (field == "task" and config.task.kind != "modular"):
            parts.append(f"    {field}={_python(value)},")
    given = "\n".join(parts)
    return f"{start}\n{given}\n)" if given else f"{start.removesuffix(', ')})"


def command(config: RunConfig) -> str:
    """The command that trains the same run; options at the recipe's values are left out."""
    name = name_of(config.task)
    custom = {"expression": EXAMPLE} if name == "expr" else {}  # any will do: it is always said
    fast = recipe(task=KINDS[named(name)](**TASKS[name], **custom))
    # an optimizer's own defaults are what the command line takes up with its name
    default = flat.values(flat.change(fast, {"optimizer": config.optimizer.name})) | {"optimizer": fast.optimizer.name}
    given = [
        # with an equals sign, for a formula may begin with a minus
        f"--{option.replace('_', '-')}{'=' if option in custom else ' '}{shlex.quote(flat.text(value))}"
        for option, value in flat.values(config).items()
        if option in custom or (option not in CHOSEN and value != default[option])
    ]
    return " ".join(["miii train", name, *given])


def _python(value: Any) -> str:
    if not hasattr(value, "model_fields_set"):
        return repr(value)
    default = type(value)()
    fields = [f for f in type(value).model_fields if getattr(value, f) != getattr(default, f)]
    return f"miii.{type(value).__name__}({', '.join(f'{f}={getattr(value, f)!r}' for f in fields)})"
