"""Checks that the tests of runs share."""

import json

from miii import runs
from miii.runs import resume


def drain(steps):
    """Take every step, and return the last."""
    for step in steps:
        last = step
    return last


def stop_at(step, steps, folder):
    """Record steps up to one of them, and return the stopped run."""
    followed = runs.follow(folder, steps)
    for done in followed:
        if done.step == step:
            followed.close()
    return runs.open(folder)


def resumed(folder):
    """Resume a run to its end."""
    drain(runs.follow(folder, resume(folder)))
    return runs.open(folder)


def change_json(path, **changes):
    """Change values of a JSON object; ... removes a key, and the task and the model keep their other values."""
    values = json.loads(path.read_text())
    for name, value in changes.items():
        keeps = name in ("task", "model") and isinstance(value, dict) and "kind" not in value
        values[name] = {**values[name], **value} if keeps else value
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}))


def change_config(folder, **changes):
    """Change the config of a run."""
    change_json(folder / "config.json", **changes)


OCCUPIED = (lambda p: p.mkdir(), lambda p: p.touch(), lambda p: p.symlink_to("nowhere"))  #: ways to occupy a path
