"""Representations of groups: characters, and the verdict on logits with a known answer."""

import pytest
import torch

import miii
from miii import analysis
from miii.analysis import representations
from miii.analysis.representations import group_of

DIMENSIONS = {
    "S3": {"[3]": 1, "[1,1,1]": 1, "[2,1]": 2},
    "S4": {"[4]": 1, "[1,1,1,1]": 1, "[2,2]": 2, "[3,1]": 3, "[2,1,1]": 3},
    "A4": {"1a": 1, "1b": 1, "3": 3},
    "A5": {"1": 1, "3a": 3, "3b": 3, "4": 4, "5": 5},
    "D5": {"1a": 1, "1b": 1, "2a": 2, "2b": 2},
}
CYCLIC = "\n".join(",".join(str((a + b) % 7) for b in range(7)) for a in range(7))


def test_characters_are_orthogonal_and_projectors_split_all_functions():
    for name, dimensions in DIMENSIONS.items():
        group = group_of(miii.Table(group=name, train_fraction=0.5))
        assert {irrep.name: irrep.dimension for irrep in group.irreps} == dimensions
        characters = torch.stack([irrep.character for irrep in group.irreps])
        gram = characters @ characters.T / len(group.product)
        pairs = torch.tensor([2.0 if name == "A4" and irrep.name == "1b" else 1.0 for irrep in group.irreps])
        assert torch.allclose(gram, torch.diag(pairs).double(), atol=1e-6)
        projectors = torch.stack([irrep.projector for irrep in group.irreps])
        assert torch.allclose(projectors @ projectors, projectors, atol=1e-6)
        assert torch.allclose(projectors.sum(0), torch.eye(len(group.product)).double(), atol=1e-6)


def test_the_standard_representation_counts_fixed_points():
    config = miii.Table(group="S4", train_fraction=0.5)
    standard = next(irrep for irrep in group_of(config).irreps if irrep.name == "[3,1]")
    for name, trace in zip(config.cells.rows, standard.character.tolist(), strict=True):
        fixed = 4 - len(set(name) & set("1234"))
        assert trace == pytest.approx(fixed - 1)


def test_the_irreps_of_addition_are_its_waves():
    group = group_of(miii.Table(group="own", csv=CYCLIC, train_fraction=0.5))
    n = torch.arange(7).double()
    waves = [2 * (2 * torch.pi * k * n / 7).cos() for k in (1, 2, 3)]
    for irrep in group.irreps[1:]:
        assert any(torch.allclose(irrep.character, wave, atol=1e-6) for wave in waves)


def test_a_table_that_is_no_group_is_refused(one_sentence):
    for table, words in [
        ("0,1\n1,-", "no blanks"),
        ("0,1,2\n1,2,0", "same names"),
        ("0,1\n1,1", "an inverse"),
        ("0,1,2\n2,0,1\n1,2,0", "identity"),
        ("0,1,2,3,4\n1,0,3,4,2\n2,4,0,1,3\n3,2,4,0,1\n4,3,1,2,0", "(a b) c"),
    ]:
        with one_sentence("csv must be the table of a group", words):
            group_of(miii.Table(group="own", csv=table, train_fraction=0.5))


@pytest.fixture
def judge(monkeypatch):
    """Analyze a network that answers with given logits, read off the embedding of its operands."""
    config = miii.Table(group="S4", train_fraction=0.5)
    task, group = config.build(), group_of(config)
    model = miii.Transformer.of(miii.ModelConfig(d_model=24, n_heads=2, d_mlp=4), task, seed=0).requires_grad_(False)
    model.W_E[:24] = torch.eye(24)

    def analyzed(table):
        """Table: logits [a, b, c]; linear in the embeddings of a and b."""

        def logits(model, tokens):
            a, b = model.W_E[tokens[:, 0]].double(), model.W_E[tokens[:, 1]].double()
            return torch.einsum("na,nb,abc->nc", a, b, table)

        monkeypatch.setattr(representations, "last_logits", logits)
        return analysis.representations.analyze(model, task, config)

    return analyzed, task, group


def test_a_planted_character_is_found_and_controls_are_not(judge):
    analyzed, task, group = judge
    of = {irrep.name: irrep.character[group.quotient] for irrep in group.irreps}
    noise = torch.randn(24, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = analyzed((2 * of["[3,1]"] + 0.5 * of["[2,1,1]"])[group.product] + 0.05 * noise)
    assert found.verdict == "composition by [2,1,1] and [3,1]" or found.verdict == "composition by [3,1] and [2,1,1]"
    assert (found.kept, found.reason) == (1.0, "")
    assert found.explained > 0.99
    shares = {part.name: part.explained for part in found.parts}
    assert shares["[3,1]"] / shares["[2,1,1]"] == pytest.approx(16, rel=0.1)
    assert found.removed < 0.2
    untrained = analyzed(noise)
    assert (untrained.verdict, [part.key for part in untrained.parts]) == ("none", [False] * 4)
    right = torch.eye(24).double()[group.product]
    memorized = analyzed(torch.where(task.train_mask.view(24, 24, 1), 20 * right, noise))
    assert memorized.verdict == "memorized"
    assert memorized.reason.startswith("no key representation; ")
    wrong = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    shuffled = analyzed(of["[3,1]"][wrong][group.product])  # a sum of characters of another operation
    assert not shuffled.composes
