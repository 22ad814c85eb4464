"""A form for a run, made from the config: each option's widget, help text and default come from its field."""

from typing import Any, Literal, get_args, get_origin

import streamlit as st

from miii import RECIPES, RunConfig, flat, recipe
from miii.flat import Option

LIMIT = 211  # the largest p whose p x p grid, 44,521 cells, is fluid in a browser
WIDTH = 140  # pixels: the main options fit in one row
MAIN = ("operation", "p", "train_fraction", "seed", "steps")  # shown at once; the rest is one click away
HIDDEN = ("device", "threads")  # the server's own affair
TITLES = {"task": "Task", "model": "Model", "optimizer": "Optimizer", "run": "Run"}


def run_form() -> RunConfig:
    """The config that the widgets say.

    Raises:
        InputError: the values do not fit together.
    """
    name = st.segmented_control(
        "Recipe",
        list(RECIPES),
        default="fast",
        required=True,
        key="recipe",
        help="fast groks in seconds. literature has the hyperparameters of Nanda et al. 2023, and takes many minutes.",
    )
    base = recipe(name)
    values = flat.values(base)
    options = {option.name: option for option in flat.options()}
    changes: dict[str, Any] = {}
    with st.container(horizontal=True, gap="small"):
        for field in MAIN:
            changes[field] = _widget(options[field], values[field], name)
    with st.expander("All options", icon=":material/tune:"):
        kind = st.selectbox(
            "optimizer",
            _choices(options["optimizer"].annotation),
            index=_choices(options["optimizer"].annotation).index(values["optimizer"]),
            key=f"form-{name}-optimizer",
            help=options["optimizer"].description,
        )
        values = flat.values(flat.change(base, {"optimizer": kind}))
        changes["optimizer"] = kind
        for part, title in TITLES.items():
            fields = [o for o in options.values() if o.part == part and o.name in values and o.name != "optimizer"]
            shown = [option for option in fields if option.name not in (*MAIN, *HIDDEN)]
            if not shown:
                continue
            st.markdown(f"**{title}**")
            columns = st.columns(4)
            for i, option in enumerate(shown):
                with columns[i % 4]:
                    changes[option.name] = _widget(option, values[option.name], f"{name}-{kind}")
    return flat.change(base, changes)


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
    kind = kinds[0] if kinds else option.annotation
    # value and bounds are checked by the config itself, whose sentence names the field and what is valid
    if kind is int:
        return st.number_input(
            label, value=default, step=1, key=key, help=option.description, placeholder="none", width=WIDTH
        )
    return st.number_input(label, value=default, step=None, format="%g", key=key, help=option.description, width=WIDTH)


def code(config: RunConfig, folder: str) -> str:
    """The lines of Python that train the same run; fields at their defaults are left out."""
    default = RunConfig()
    parts = []
    for field in RunConfig.model_fields:
        value = getattr(config, field)
        if value != getattr(default, field):
            parts.append(f"    {field}={_python(value)},")
    given = "\n".join(parts)
    body = f"\n{given}\n" if given else ""
    return f"import miii\n\nconfig = miii.RunConfig({body})\nrun = miii.runs.record({folder!r}, miii.train(config))"


def command(config: RunConfig) -> str:
    """The command that trains the same run; options at the recipe's values are left out."""
    optimizer = {"optimizer": config.optimizer.name}  # whose own defaults the command line takes up with its name
    default = flat.values(flat.change(RunConfig(), optimizer)) | {"optimizer": RunConfig().optimizer.name}
    given = [
        f"--{name.replace('_', '-')} {str(value).lower()}"
        for name, value in flat.values(config).items()
        if name != "operation" and value != default.get(name)
    ]
    return " ".join(["miii train", config.task.operation, *given])


def _python(value: Any) -> str:
    if not hasattr(value, "model_fields_set"):
        return repr(value)
    default = type(value)()
    fields = [f for f in type(value).model_fields if getattr(value, f) != getattr(default, f)]
    return f"miii.{type(value).__name__}({', '.join(f'{f}={getattr(value, f)!r}' for f in fields)})"
