"""Phase diagrams: the rule of Liu et al., and refinement where neighbors differ."""

import json
import math
import shutil
from pathlib import Path

from miii import plots, sweeps
from miii.sweeps import phases
from miii.sweeps.finish import fail


def rows(train: list[float], test: list[float]) -> list[dict[str, float]]:
    pairs = enumerate(zip(train, test, strict=True))
    return [{"step": 10 * i, "train_accuracy": a, "test_accuracy": b} for i, (a, b) in pairs]


def test_the_phase_of_a_run_is_the_rule_of_liu_et_al():
    for train, test, phase in [
        ([0.1, 0.5, 0.8, 0.89], [0.1, 0.2, 0.2, 0.95], "confusion"),
        ([0.1, 0.9, 0.9, 1.0], [0.1, 0.2, 0.3, 0.89], "memorization"),
        ([0.1, 0.9, 1.0, 1.0], [0.1, 0.2, 0.5, 0.9], "comprehension"),
        ([0.9, 0.9, 1.0, 1.0], [0.1, 0.2, 0.5, 0.9], "grokking"),
        ([0.1, 0.1, 0.9, 0.2], [0.9, 0.9, 0.9, 0.1], "comprehension"),
        ([0.1, math.nan], [0.1, math.nan], "confusion"),
    ]:
        found = rows(train, test)
        assert phases.phase_of(found, delay=20) == phase
        ends = [i for i, each in enumerate(zip(train, test, strict=True)) if min(each) >= phases.base().until_accuracy]
        for end in ends:  # a run that ends here has the same phase
            assert phases.phase_of(found[: end + 1], delay=20) == phase
    assert phases.phase_of([], delay=20) is None


def test_a_diagram_is_refined_where_neighbors_differ():
    def computed(shape: tuple[int, int], truth) -> tuple[dict, list[int]]:
        known, rounds = {}, []
        while needed := phases.refine(shape, known)[0]:
            assert not set(needed) & set(known)
            known |= {cell: truth(*cell) for cell in needed}
            rounds.append(len(needed))
        assert set(phases.refine(shape, known)[1]) == {(x, y) for x in range(shape[0]) for y in range(shape[1])}
        return known, rounds

    for shape, coarse in (((8, 8), 25), ((33, 33), 25), ((4, 4), 16), ((16, 4), 10)):
        known, rounds = computed(shape, lambda x, y: "same")
        assert rounds == [len(known)] == [coarse], shape
    shape = (17, 17)
    for truth in (lambda x, y: x > y, lambda x, y: (x - 8) ** 2 + (y - 6) ** 2 < 25, lambda x, y: x == 16):
        known, rounds = computed(shape, truth)
        assert all(value == truth(*cell) for cell, value in phases.refine(shape, known)[1].items())
        assert len(known) < 0.7 * 17 * 17


def test_the_values_of_an_axis_are_spaced_as_its_option_is(one_sentence):
    assert phases.spaced("lr", 0.001, 0.1, 3) == [0.001, 0.01, 0.1]
    assert phases.spaced("train_fraction", 0.2, 0.8, 4) == [0.2, 0.4, 0.6, 0.8]
    assert phases.spaced("d_model", 8, 64, 4) == [8, 16, 32, 64]
    assert phases.spaced("d_model", 8, 16, 8) == [8, 12, 16]
    for given, words in [
        (("steps", 1, 2, 3), ["axis must be one of lr", "steps"]),
        (("lr", 0.1, 0.01, 3), ["lr must run from a low value", "0.1 to 0.01"]),
        (("d_model", 8.3, 9.1, 3), ["d_model must run over at least two multiples of 4", "8.3 to 9.1"]),
        (("weight_decay", 0, 1, 3), ["above 0", "0 to 1"]),
        (("lr", 0.1, math.nan, 3), ["nan"]),
        (("lr", 0.1, 0.2, 1), ["at least 2", "1"]),
    ]:
        with one_sentence(*words):
            phases.spaced(*given)


def test_a_diagram_asks_for_what_it_needs_and_has_a_row_for_every_cell(small_config, small_run, tmp_path, one_sentence):
    values = {"lr": [f"{i / 1000:g}" for i in range(9, 0, -1)], "init_scale": [0.5, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0]}
    small = {name: each[-4:] for name, each in values.items()}
    at_once = sweeps.Diagram(sweeps.create(tmp_path / "small", small_config(), small), "lr", "init_scale")
    assert len(at_once.next()) == 16
    sweep = sweeps.create(tmp_path / "S", small_config(), values)
    diagram = sweeps.Diagram(sweep, "lr", "init_scale")
    line = json.loads((small_run.folder / "metrics.jsonl").read_text().splitlines()[0])
    rounds = []
    while left := diagram.next():
        rounds.append(len(left))
        for name, config in left.items():
            if name == "lr=0.001,init_scale=8.0,seed=0":
                fail(sweep.folder / name, "a reason.")
                continue
            place = Path(shutil.copytree(small_run.folder, sweep.folder / name))
            (place / "config.json").write_text(config.model_dump_json())
            learned = 1.0 if config.optimizer.lr < 0.0045 else 0.0
            (place / "metrics.jsonl").write_text(json.dumps(line | {"train_accuracy": learned}) + "\n")
    assert rounds[0] == 25
    table = diagram.table()
    assert len(table) == 72
    assert sum(rounds) == (~table["inferred"]).sum() < 72
    failed = (table["lr"] == 0.001) & (table["init_scale"] == 8)
    assert table[failed]["phase"].tolist() == ["failed"]
    wanted = table["lr"].map(lambda lr: "memorization" if lr < 0.0045 else "confusion")
    assert (table["phase"] == wanted)[~failed].all()
    assert table[~table["inferred"] & ~failed]["run"].isin(sweep.configs).all()
    assert table[table["inferred"]]["run"].isna().all()
    assert len(plots.frame(plots.phase_diagram(table, "lr", "init_scale"))) == 72
    for x, y in [("lr", "lr"), ("lr", "seed")]:
        with one_sentence("axes must be two options of the grid lr, init_scale", y):
            sweeps.Diagram(sweep, x, y)
