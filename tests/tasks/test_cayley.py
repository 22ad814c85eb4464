"""Tables and groups: what a table means, what is refused, and that a run carries its table."""

import itertools

import torch
from sympy.combinatorics import AlternatingGroup, DihedralGroup, Permutation, SymmetricGroup

import miii
from miii import runs
from miii.cli.__main__ import main
from miii.tasks.groups import ORDERS, cayley
from miii.tasks.modular import grid_of
from miii.tasks.table import LENGTH, MOST, read

ADDITION = "\n".join(",".join(str((a + b) % 5) for b in range(5)) for a in range(5))
RECTANGLE = "*,x,y,z\na,10,9,\nb,9,-,e"


def own(table: str, **changes) -> miii.Table:
    return miii.Table(**{"group": "own", "csv": table, "train_fraction": 0.5} | changes)


def test_the_tables_of_groups_are_those_of_sympy():
    for name, order in ORDERS.items():
        names, rows = cayley(name)
        assert len(set(names)) == len(names) == len(rows) == order
        if name not in ("S3", "S4", "A4"):
            continue
        n = int(name[1:])
        points = {
            each: Permutation([[int(i) - 1 for i in cycle.split(",")] for cycle in each[1:-1].split(")(")], size=n)
            if each != "e"
            else Permutation(n - 1)
            for each in names
        }
        group = {"S": SymmetricGroup, "A": AlternatingGroup}[name[0]](n)
        assert set(points.values()) == set(group.elements)
        for (i, a), (j, b) in itertools.product(enumerate(names), repeat=2):
            assert points[names[rows[i][j]]] == points[b] * points[a]  # sympy applies the left one first
    names, rows = cayley("D5")
    for a, b, c in [("r2", "r4", "r1"), ("s0", "s0", "r0"), ("r1", "s0", "s1"), ("s0", "r1", "s4")]:
        assert names[rows[names.index(a)][names.index(b)]] == c
    assert len(DihedralGroup(5).elements) == ORDERS["D5"]


def test_a_table_s_cells_are_its_pairs_tokens_and_answers():
    for text in (ADDITION, ADDITION.replace(",", "\t"), "\ufeff" + ADDITION.replace(",", " ; ") + "\n\n"):
        task, plain = own(text).build(), miii.ModularAddition(p=5, train_fraction=0.5).build()
        assert torch.equal(task.tokens, plain.tokens)
        assert torch.equal(task.labels, plain.labels)
        assert torch.equal(task.train_mask, plain.train_mask)
        assert task.token_names == plain.token_names
    config = own(RECTANGLE)
    task = config.build()
    assert config.cells[:3] == (("a", "b"), ("x", "y", "z"), ("9", "10", "e"))
    assert task.token_names == ("a", "b", "b:x", "b:y", "b:z", "=")
    assert task.tokens.tolist() == [[0, 2, 5], [0, 3, 5], [1, 2, 5], [1, 4, 5]]
    assert task.labels.tolist() == [1, 0, 0, 2]
    assert [each.tolist() for each in config.operands(task)] == [[0, 0, 1, 1], [0, 1, 0, 2]]
    assert grid_of(task, task.labels, 2, columns=3).tolist() == [[1, 0, -1], [0, -1, 2]]
    assert read('"","(1,2)",e\n"(1,2)",e,"(1,2)"\ne,"(1,2)",e').answers == ("(1,2)", "e")


def test_sizes_are_those_of_the_data_and_the_config_makes_itself_again():
    for config in (*(miii.Table(group=group, train_fraction=0.7) for group in ORDERS if group != "S5"), own(RECTANGLE)):
        task, sizes = config.build(), config.sizes
        assert sizes[:4] == (len(task.labels), task.n_ctx, task.d_vocab, task.d_vocab_out)
        assert (config.n_train, config.n_pairs) == (int(task.train_mask.sum()), len(task.labels))
        assert miii.RunConfig.model_validate_json(miii.RunConfig(task=config).model_dump_json()).task == config
    assert miii.Table(group="S5").sizes[:4] == (14_400, 3, 121, 120)


def test_a_hostile_table_is_one_sentence(one_sentence):
    wide = ",".join(map(str, range(MOST + 1)))
    for text, *words in [
        ("", "csv must be rows", "no row"),
        ("0,1\n1", "as many cells in each row", "got 1 in row 2"),
        ("0,1,2", "2 to 211 rows", "got 1"),
        ("0\n1", "columns", "got 1"),
        (f"{wide}\n" * (MOST + 1), "211 rows", "got 212"),
        ("*,a,a\na,0,1\nb,1,0", "a name of its own", "'a' twice"),
        ("*,a,-\na,0,1\nb,1,0", "a name of its own", "blank"),
        ("0,0\n0,0", "different answers", "got 1"),
        ("-,-\n-,-", "different answers", "got 0"),
        ("*,a,b\na,*,a\nb,a,b", "labels", "'*'"),
        ("0,<img>\n1,0", "labels of 1 to 16", "'<img>' in row 1"),
        ("0,1\n1," + 17 * "0", "labels", "row 2"),
        ('0,1\n1,"0', "comma-separated"),
        (LENGTH * "0," + "0", f"{LENGTH:,} characters"),
        (3, "csv must be text", "3"),
    ]:
        with one_sentence(*words):
            miii.RunConfig(task={"kind": "table", "group": "own", "csv": text})
    for fields, *words in [
        ({"group": "own"}, "csv is required for the task table"),
        ({"csv": ADDITION}, "csv must be none for the group A5"),
        ({"group": "S9"}, "group must be one of", "'S9'"),
        ({"group": "S3", "train_fraction": 0.01}, "the 36 pairs"),
    ]:
        with one_sentence(*words):
            miii.Table(**fields)


def test_the_command_line_reads_a_file_and_the_run_carries_it(home, capsys):
    (home / "mine.csv").write_text(RECTANGLE)
    options = ["--steps=2", "--d-model=8", "--n-heads=2", "--d-mlp=8", "--train-fraction=0.5", f"--out={home / 'T'}"]
    assert main(["train", "table", "--csv", str(home / "mine.csv"), *options]) == 0
    (home / "mine.csv").unlink()
    run = runs.open(home / "T")
    assert run.config.task.cells == read(RECTANGLE)
    assert main(["train", "table", "--csv", str(home / "mine.csv"), *options[:-1], "--out=U"]) == 2
    assert "csv must name a readable file" in capsys.readouterr().err
