"""Charts of sweeps: medians over seeds, bands from lowest to highest, and every run."""

import pandas as pd

from miii import plots

TABLE = pd.DataFrame(
    [
        {"run": f"{lr}{wd}{seed}", "lr": lr, "wd": wd, "seed": seed, "test_loss": lr * wd + seed}
        for lr in (1.0, 2.0)
        for wd in (3.0, 5.0)
        for seed in (0, 1, 5)
    ]
)
CURVES = pd.DataFrame(
    [
        {"changed": name, "seed": s, "step": t, "value": v + s}
        for name, v in (("a", 1), ("b", 9))
        for s in (0, 1, 5)
        for t in (0, 2)
    ]
)
PHASES = pd.DataFrame(
    [
        {"lr": lr, "wd": wd, "phase": phase, "learned_at": step, "run": None, "inferred": False}
        for lr, wd, phase, step in ((0.1, 1.0, "grokking", 20.0), (0.2, 1.0, None, None))
    ]
)
CHARTS = {
    "phase_diagram": lambda: plots.phase_diagram(PHASES, "lr", "wd", "learned_at"),
    "sweep_heatmap": lambda: plots.sweep_heatmap(TABLE, "lr", "wd", "test_loss", "Test loss"),
    "sweep_curves": lambda: plots.sweep_curves(CURVES, "Test loss"),
    "sweep_parallel": lambda: plots.sweep_parallel(TABLE, ("lr", "wd", "test_loss"), "test_loss"),
}


def test_sweep_plots():
    cells = plots.frame(CHARTS["sweep_heatmap"]()).set_index(["lr", "wd"])
    assert cells.loc[(2.0, 5.0)].tolist() == [11.0, 10.0, 15.0, 3, "2.05.01"]
    unfinished = TABLE.assign(test_loss=TABLE["test_loss"].where(TABLE["run"] != "2.05.00"))
    cells = plots.frame(plots.sweep_heatmap(unfinished, "lr", "wd", "test_loss", "")).set_index(["lr", "wd"])
    assert cells.loc[(2.0, 5.0), ["median", "seeds"]].tolist() == [13.0, 2]
    lines = plots.frame(CHARTS["sweep_curves"]()).set_index(["changed", "step"])
    assert lines.loc[("b", 2)].tolist() == [10.0, 9.0, 14.0, 3]
    parallel = plots.frame(CHARTS["sweep_parallel"]())
    assert len(parallel) == 3 * len(TABLE)
    assert set(parallel[parallel["column"] == "learning rate"]["place"]) == {0.0, 1.0}
