"""The form of a run, generated from the config: widget, help and default come from each field."""

import shlex
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from miii import KINDS, OPTIMIZERS, TASKS, RunConfig, recipe
from miii.training import flat
from miii.training.flat import Option
from pages._kit.inputs import choose_task
from pages._tasks.view import view_of

WIDTH = 136  # pixels: the main options fit in one row, and two options on a phone
HIDDEN = ("device", "threads")  # set by the server
TITLES = {"task": "Task", "model": "Model", "optimizer": "Optimizer", "run": "Run"}


#: Labels of options whose names are not plain words.
LABELS = {
    "p": "Modulus p",
    "a": "Factor a",
    "train_fraction": "Training share",
    "n_layers": "Layers",
    "n_heads": "Heads",
    "d_model": "Width",
    "d_mlp": "Neurons",
    "act": "Activation",
    "init": "Initialization",
    "init_scale": "Initial scale",
    "attn_coeff": "Softmax share",
    "lr": "Learning rate",
    "adamw_lr": "Learning rate of AdamW",
    "adamw_weight_decay": "Weight decay of AdamW",
    "beta1": "Adam β₁",
    "beta2": "Adam β₂",
    "slow_lambda": "Slow gradient weight",
    "slow_alpha": "Slow gradient decay",
    "dropout_shared": "Shared mask",
    "low": "From",
    "high": "To",
    "n": "Examples",
    "eval_every": "Evaluation interval",
    "steps_after_grok": "Steps after grokking",
    "until_accuracy": "Accuracy to stop at",
    "seconds": "Time limit (s)",
}


def label(option: str) -> str:
    """Return an option's name in words."""
    return LABELS.get(option) or option.replace("_", " ").capitalize()


def chosen_task() -> str:
    """Return the name of the chosen task."""
    return st.session_state["task"]


def run_form() -> RunConfig:
    """Show the form, and return the config of its values.

    Raises:
        InputError: the values do not fit together.
    """
    with st.container(horizontal=True, gap="medium"):
        task = choose_task()
        kind = TASKS[task]["kind"]
        view, name = view_of(kind), "fast"
        if len(KINDS[kind].recipes) > 1:
            name = st.segmented_control(
                "Recipe",
                list(KINDS[kind].recipes),
                default="fast",
                required=True,
                key="recipe",
                help="literature: as in Nanda et al. 2023, many minutes",
            )
        preset = view.preset(task)
    # typed values are checked at the end
    base = recipe(name, task=KINDS[kind](**{**TASKS[task], **view.required.get(task, {})}))
    values = {**flat.values(base), **preset.defaults}
    options = _options(kind, values["optimizer"])
    scope, changes = f"{kind}-{name}", dict(preset.changes)
    with st.container(horizontal=True, gap="small"):
        for field in view.main:
            if field in preset.changes:
                continue
            changes[field] = _widget(options[field], values[field], scope)
    with st.expander("All options", icon=":material/tune:"):
        chosen = st.selectbox(
            label("optimizer"),
            _choices(options["optimizer"].annotation),
            index=_choices(options["optimizer"].annotation).index(values["optimizer"]),
            key=f"form-{scope}-optimizer",
            help=_help(options["optimizer"]),
        )
        values, options = flat.values(flat.change(base, {"optimizer": chosen})), _options(kind, chosen)
        changes["optimizer"] = chosen
        for part, title in TITLES.items():
            fields = [o for o in options.values() if o.part == part and o.name in values and o.name != "optimizer"]
            shown = [option for option in fields if option.name not in (*view.main, "task", *view.hidden, *HIDDEN)]
            if not shown:
                continue
            st.markdown(f"**{title}**")
            with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
                for option in shown:
                    changes[option.name] = _widget(option, values[option.name], f"{scope}-{chosen}")
    return flat.change(base, changes)


def _options(kind: str, optimizer: str) -> dict[str, Option]:
    """Return all options by name, described as the chosen task and optimizer describe them."""
    found = {option.name: option for option in flat.options()}
    for model in (KINDS[kind], OPTIMIZERS[optimizer]):
        for name, field in model.model_fields.items():
            if name in found and field.description:
                found[name] = replace(found[name], description=field.description)
    return found


def _choices(annotation: Any) -> list[str]:
    return list(get_args(annotation))


def _help(option: Option) -> str:
    """Return what an option does, and its name on the command line and in errors."""
    return f"{option.description} · `{option.name}`"


def _widget(option: Option, default: Any, scope: str) -> Any:
    """A widget of the option's type. Its key has the default, so that another default takes effect."""
    key, name, help_text = f"form-{scope}-{default}-{option.name}", label(option.name), _help(option)
    kinds = [kind for kind in get_args(option.annotation) if kind is not type(None)]
    if get_origin(option.annotation) is Literal:
        choices = _choices(option.annotation)
        return st.selectbox(name, choices, choices.index(default), key=key, help=help_text, width=WIDTH)
    if option.annotation is bool:
        return st.toggle(name, default, key=key, help=help_text)
    if get_origin(option.annotation) is tuple:
        listed = ",".join(map(str, default))
        return st.text_input(name, listed, key=key, help=help_text, placeholder="none", width=WIDTH)
    kind = kinds[0] if kinds else option.annotation
    # the config itself checks value and bounds; its error names the field and what is valid
    how: dict[str, Any] = {"step": 1} if kind is int else {"step": None, "format": "%g"}
    return st.number_input(name, value=default, key=key, help=help_text, placeholder="none", width=WIDTH, **how)


def code(config: RunConfig, folder: str) -> str:
    """Return the shortest lines of Python that train the same run."""
    task = type(config.task)()
    plain = isinstance(task, type(RunConfig().task))  # whose recipe fast is a RunConfig without arguments
    starts = {f'miii.recipe("{name}", ': recipe(name, task=task) for name in task.recipes if name != "fast"}
    starts["miii.RunConfig(" if plain else "miii.recipe("] = recipe(task=task)
    made = min((_call(start, default, config, not plain) for start, default in starts.items()), key=len)
    return f"import miii\n\nconfig = {made}\nrun = miii.runs.record({folder!r}, miii.train(config))"


def _call(start: str, default: RunConfig, config: RunConfig, with_task: bool) -> str:
    """Return the call that makes the config from another one; values that they share are left out.

    Args:
        with_task: names the task even if it is the same.
    """
    parts = []
    for field in RunConfig.model_fields:
        value = getattr(config, field)
        if value != getattr(default, field) or (field == "task" and with_task):
            parts.append(f"    {field}={_python(value)},")
    given = "\n".join(parts)
    return f"{start}\n{given}\n)" if given else f"{start.removesuffix(', ')})"


def command(config: RunConfig) -> str:
    """Return the command that trains the same run; options at the recipe's values are left out."""
    kind, name = config.task.kind, config.task.task_name
    required = view_of(kind).required.get(name, {})
    fast = recipe(task=KINDS[kind](**{**TASKS[name], **required}))
    # with its name the command line takes an optimizer's own defaults
    default = flat.values(flat.change(fast, {"optimizer": config.optimizer.name})) | {"optimizer": fast.optimizer.name}
    given = [
        # with an equals sign: a formula may begin with a minus
        f"--{option.replace('_', '-')}{'=' if option in required else ' '}{shlex.quote(_argument(value))}"
        for option, value in flat.values(config).items()
        if option in required or (option != "task" and value != default[option])
    ]
    return " ".join(["miii train", name, *given])


def _argument(value: Any) -> str:
    """Return a value on the command line; a text of several lines is in a file."""
    text = flat.text(value)
    return "table.csv" if "\n" in text else text


def _python(value: Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return 'open("table.csv").read()'
    if not hasattr(value, "model_fields_set"):
        return repr(value)
    default = type(value)()
    fields = [f for f in type(value).model_fields if getattr(value, f) != getattr(default, f)]
    return f"miii.{type(value).__name__}({', '.join(f'{f}={_python(getattr(value, f))}' for f in fields)})"
