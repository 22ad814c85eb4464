"""Addition, taken apart: networks that add by residues pass, those that add integers or nothing do not."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import miii
from miii.analysis import sieve
from miii.analysis.sieve import interventions
from miii.model.tap import capture
from miii.tasks.integers import withheld as withheld_of


def test_residue_adder_passes(integers, built, residue_adder):
    model = residue_adder(integers, 3)
    (of_3, of_7) = sieve.measure_addition(model, built, integers, (3, 7), (3,))
    assert of_3.explained.share == pytest.approx(1)
    assert of_3.explained.by_place == pytest.approx((1,) * 4)
    assert of_3.explained.by_digit == pytest.approx(1)
    assert of_3.explained.chance < 0.5
    for crossing in (of_3.interchange, of_3.steering):
        assert (crossing.accuracy, crossing.to_other, crossing.to_multiple) == (1, 1, 1)
        assert crossing.control == 0
        assert crossing.before == 1
        assert crossing.midpoint == 0
    assert of_3.interchange.rest == 0  # all but the residue's line interchanged: nothing crosses
    assert np.isnan(of_3.steering.rest)
    assert of_3.adds
    for change in ({"rest": 0.06}, {"control": 0.06}, {"accuracy": 0.94}):
        assert not replace(of_3, interchange=replace(of_3.interchange, **change)).adds
    assert not of_7.adds
    assert sieve.verdict((of_3, of_7)) == "adds digits modulo 3"


def test_the_block_of_the_sum_is_found(integers, built, residue_adder):
    """An adder with a block that does nothing above, below and on both sides: same measures, in the adder's block."""
    adder = residue_adder(integers, 3)
    (alone,) = sieve.measure_addition(adder, built, integers, (3,))
    assert alone.by_block == ()
    for layer, depth in ((0, 2), (1, 2), (1, 3)):
        config = adder.config.model_copy(update={"n_layers": depth})
        model = miii.Transformer.of(config, built, seed=0).requires_grad_(False)
        weights = {name: value for name, value in adder.state_dict().items() if not name.startswith("blocks")}
        for i, (name, value) in product(range(depth), adder.blocks[0].state_dict().items()):
            silent = i != layer and name in ("W_O", "W_out", "b_out")
            weights[f"blocks.{i}.{name}"] = 0 * value if silent else value
        model.load_state_dict(weights)
        by_block = sieve.sums_by_block(model, built, integers)
        accuracy = [each.accuracy for each in sieve.locate(model, by_block, 3)]
        assert accuracy == pytest.approx([float(i == layer) for i in range(depth)], nan_ok=True)
        (found,) = sieve.measure_addition(model, built, integers, (3,))
        assert found.layer == layer
        assert [each.accuracy for each in found.by_block] == pytest.approx(accuracy, nan_ok=True)
        assert (found.interchange, found.steering) == (alone.interchange, alone.steering)
        assert found.variance_explained == pytest.approx(1)
        assert found.generalizes


def test_pooled_share_if_the_modulus_exceeds_the_base(integers, built, residue_adder, untrained):
    (found,) = sieve.measure_addition(residue_adder(integers, 11), built, integers, (11,), (11,))
    assert found.explained.share == pytest.approx(1)
    assert found.variance_explained == found.explained.pooled
    assert found.adds
    assert found.interchange is None  # the directions of eleven residues hold everything about ten digits
    (other,) = sieve.measure_addition(untrained, built, integers, (11,))
    assert other.explained.share == pytest.approx(other.explained.by_digit)  # for any network: it says nothing
    assert other.variance_explained < 0.5
    assert other.interchange is None
    fitted, held_out = (sieve.sum_of_split(untrained, built, integers, side) for side in (True, False))
    assert sieve.interchange(untrained, fitted, held_out, 11).accuracy > 0.95  # in an untrained network!


def test_integer_adder_with_lookup_fails(integers, built, residue_adder):
    model = residue_adder(integers, 3, integers=True)
    rows = np.flatnonzero(~built.train_mask.numpy())
    said = sieve.evidence(model, built.tokens[rows])
    assert ((said < 0) == (built.facts["n"].numpy()[rows] % 3 == 0)).all()  # it answers right
    (found,) = sieve.measure_addition(model, built, integers, (3,), (3,))
    assert found.explained.by_digit == pytest.approx(1)
    assert found.explained.share < 0.3
    assert found.steering.accuracy < 0.9
    assert not found.adds
    assert sieve.verdict((found,)) == "does not sum residues modulo a prime"


def test_table_of_totals_does_not_add(integers, built, residue_adder, summer):
    """A network that answers right at the totals of training and wrong at others."""
    values = residue_adder(integers, 3).W_E[:, 0].tolist()
    table = summer(values, 5, lambda n: (1.0 if n % 3 else -1.0) * (1 if 0 <= n <= 8 else -1), 12)
    (found,), (adder,) = (
        sieve.measure_addition(model, built, integers, (3,)) for model in (table, residue_adder(integers, 3))
    )
    for each, auc in ((found, 0.9), (adder, 1.0)):
        assert each.adds
        lattice = each.generalization.lattice
        assert (lattice.counts.sum(1) == 4).all()
        assert lattice.trained.sum() == 15  # 4 digits of 3 kinds
        assert ((lattice.counts >= 0).all(1) == lattice.trained).all()
        assert lattice.multiple.tolist() == [(b + 2 * c) % 3 == 0 for _, b, c in lattice.counts.tolist()]
        assert lattice.inside.auc == 1
        assert lattice.outside.auc <= auc
    assert (found.generalizes, adder.generalizes) == (False, True)
    assert sieve.verdict((found,)) == "sums residues modulo 3 and looks the total up"


def test_withheld_counts_decide(integers, residue_adder, summer):
    """Counts 1-1-2 have the total 5, counts 1-2-1 the total 4; a network that is wrong at 5 alone fails."""
    config = miii.Primes(**(integers.model_dump() | {"withheld": "1-1-2,1-2-1,2-1-1"}))
    task, adder = config.build(), residue_adder(integers, 3)
    wrong = summer(adder.W_E[:, 0].tolist(), 5, lambda n: 1.0 if n % 3 and n != 5 else -1.0, 12)
    for model, aucs in ((adder, [1, 1]), (wrong, [0.5, 1])):
        (found,) = sieve.measure_addition(model, task, config, (3,))
        generalization = found.generalization
        assert list(generalization.by_counts) == ["1-1-2", "1-2-1", "2-1-1"]
        assert list(generalization.by_counts.values())[:2] == pytest.approx(aucs)
        assert generalization.generalizes == (model is adder)
        withheld = {(1, 1, 2), (1, 2, 1), (2, 1, 1)}
        lattice = generalization.lattice
        assert {tuple(c) for c in lattice.counts[~lattice.trained & (lattice.counts >= 0).all(1)].tolist()} == withheld
    sums = sieve.sum_of_split(adder, task, config, train=False)
    assert not withheld_of(sums.n, config).any()


def test_residues_of_miu_strings(summer):
    config = miii.MIU(longest=9, longest_test=12, n=2000)
    task = config.build()
    model = summer([1.0, 0.0, 0.0, 0.0, 0.0], task.n_ctx, lambda n: 1.0 if n % 3 else -1.0, 16)
    (found,) = sieve.measure_addition(model, task, config, (3,))
    assert found.explained.share == pytest.approx(1)
    assert (found.interchange.accuracy, found.interchange.control) == (1, 0)
    assert (found.steering.accuracy, found.steering.control) == (1, 0)
    assert found.adds


def test_verdict_in_words(integers, built, residue_adder):
    (passed,) = sieve.measure_addition(residue_adder(integers, 3), built, integers, (3,))
    unmeasured = replace(passed, generalization=None)
    assert sieve.verdict((passed, passed, unmeasured)) == "adds digits modulo 3 and 3; sums residues modulo 3"
    assert sieve.verdict((unmeasured,) * 3) == "sums residues modulo 3, 3 and 3"
    assert sieve.verdict(()) == "has too few examples to tell whether it sums residues"


def test_shares_match_the_recorded_evidence(integers, built, residue_adder, untrained):
    for model in (residue_adder(integers, 3), untrained):
        (found,) = sieve.measure_addition(model, built, integers, (3,))
        for crossing in (found.interchange, found.steering):
            crossed = {
                (move.of, move.to): ((move.before > crossing.midpoint) != (move.after > crossing.midpoint)).mean()
                for move in crossing.moves
            }
            assert crossed.keys() == {(of, to) for of in (True, False) for to in (True, False)}
            assert crossed[True, False] == crossing.to_other
            assert crossed[False, True] == crossing.to_multiple
            assert (crossed[True, True] + crossed[False, False]) / 2 == pytest.approx(crossing.control)
            own = [(move.before > crossing.midpoint) != move.of for move in crossing.moves]
            assert all(side.all() for side in own)  # only those are changed that stood on their own side


def test_multiples_of_other_primes_are_left_out(integers, built, residue_adder):
    model = residue_adder(integers, 3)
    fitted, held_out = (sieve.sum_of_split(model, built, integers, side) for side in (True, False))
    every = interventions.Sides.of(model, held_out, 3, ())
    free = interventions.Sides.of(model, held_out, 3, (7, 13))
    assert every.counted.all()
    assert free.counted.tolist() == [n % 7 != 0 and n % 13 != 0 for n in held_out.n]
    assert sieve.interchange(model, fitted, held_out, 3, (7, 13)).accuracy == 1


# ---- the sum ----


def test_contributions_sum_to_attention(integers, built, untrained):
    rows = np.arange(0, 9000, 300)
    n = built.facts["n"].numpy()[rows]
    symbol = np.array([[int(digit) for digit in str(x)] for x in n])
    sums = sieve.split_sum(untrained, built.tokens[rows], n, symbol, symbol * 10 ** np.arange(3, -1, -1))
    acts = capture(untrained, built.tokens[rows])
    own = torch.einsum("bh,bhd,hdm->bm", sums.pattern[:, :, -1], acts["0.v"][:, -1], untrained.blocks[0].W_O)
    assert torch.allclose(sums.added.sum(1) + own, acts["0.attn_out"][:, -1], atol=1e-5)
    assert torch.equal(sums.resid, acts["0.resid_mid"][:, -1])
    logits = acts["logits"][:, -1]
    assert torch.allclose(sums.evidence(untrained), logits[:, 1] - logits[:, 0], atol=1e-5)


def test_integers_are_coprime_to_the_base(integers, built, untrained):
    for train, mask in ((True, built.step_mask), (False, ~built.train_mask)):
        sums = sieve.sum_of_split(untrained, built, integers, train)
        allowed = set(built.facts["n"][mask].tolist())
        assert set(sums.n.tolist()) == {n for n in allowed if n % 2 and n % 5}
        assert (sums.parts.sum(1) == sums.n).all()


def test_sensitivity_predicts_changes_of_the_evidence(integers, built, untrained):
    sums = sieve.sum_of_split(untrained, built, integers, False).rows(slice(500))
    M = sieve.sensitivity(untrained, sums)
    step = 1e-3 * torch.randn(16, generator=torch.Generator().manual_seed(0))
    moved = sums.evidence(untrained, sums.resid + step) - sums.evidence(untrained)
    assert moved.square().mean().item() == pytest.approx((step @ M @ step).item(), rel=0.05)


def test_nan_activations_are_an_error(integers, built, untrained, one_sentence):
    broken = miii.Transformer(untrained.config, built.d_vocab, built.d_vocab_out, built.n_ctx, seed=0)
    with torch.no_grad():
        broken.W_pos[0, 0] = float("nan")
    with one_sentence("finite"):
        sieve.sum_of_split(broken, built, integers, False)
    with one_sentence("finite"):
        sieve.evidence(broken, built.tokens[:5])


def test_split_without_coprime_integers_is_an_error(integers, built, untrained, one_sentence):
    even = built.facts["n"] % 2 == 0
    task = miii.Task(**{**vars(built), "train_mask": even, "val_mask": None})
    with one_sentence("training side", "coprime"):
        sieve.sum_of_split(untrained, task, integers, True)


# ---- heads, and the plane ----


def test_heads_get_their_share(integers, built, residue_adder):
    for shares in [(1.0,), (0.75, 0.25), (1.5, -0.5)]:
        model = residue_adder(integers, 3, shares=shares)
        sums = sieve.sum_of_split(model, built, integers, False)
        found = sieve.heads(sums, sieve.sensitivity(model, sums), 3)
        assert found.adds.sum(1).tolist() == pytest.approx(shares, abs=1e-5)
        assert torch.allclose(found.attends, torch.full((len(shares), 5), 0.2))


def test_heads_share_the_explained_variance(integers, built, untrained):
    sums = sieve.sum_of_split(untrained, built, integers, False)
    metric = sieve.sensitivity(untrained, sums)
    found, explained = sieve.heads(sums, metric, 3), sieve.explained(sums, metric, 3)
    centered = (sums.added - sums.added.mean(0)).double()
    whole = torch.einsum("npd,de,npe->p", centered, metric.double(), centered)
    by_place = whole * torch.tensor(explained.by_place)
    assert found.adds.sum(0).tolist() == pytest.approx((by_place / by_place.sum()).tolist(), abs=1e-4)


def test_plane_has_a_point_for_every_digit(integers, built, residue_adder):
    model = residue_adder(integers, 3)
    fitted, held_out = (sieve.sum_of_split(model, built, integers, side) for side in (True, False))
    found = sieve.plane(fitted, held_out, 3)
    at = found.table
    assert at.groupby("place")["digit"].apply(list).tolist() == [
        list(range(1, 10)),
        list(range(10)),
        list(range(10)),
        [1, 3, 7, 9],
    ]
    assert (at["residue"] == at["digit"] * 10 ** (3 - at["place"]) % 3).all()
    assert at.groupby("place")["integers"].sum().tolist() == [len(held_out.n)] * 4
    assert (found.share, found.first) == pytest.approx((1, 1))
    for _, here in at.groupby("place"):
        x = here.groupby("residue")["x"]
        assert (x.max() - x.min()).max() < 1e-5  # digits of one residue are one point
        steps = x.mean().diff().dropna()
        assert steps.abs().tolist() == pytest.approx([1] * len(steps), abs=1e-5)  # the residues stand 1 apart
        assert (here["x"] * here["integers"]).sum() / here["integers"].sum() == pytest.approx(0, abs=1e-5)


def test_plane_modulo_2_is_a_line(residue_adder):
    config = miii.Primes(low=100, high=999, base=3, tokens="place")
    task, model = config.build(), residue_adder(config, 2)
    fitted, held_out = (sieve.sum_of_split(model, task, config, side) for side in (True, False))
    found = sieve.plane(fitted, held_out, 2)
    assert (found.table["y"] == 0).all()
    assert found.share == found.first == pytest.approx(1)
    (added,) = sieve.measure_addition(model, task, config, (2,), (2,))
    assert np.isnan(added.steering.control)  # there is one residue beside 0, so nothing to exchange it for
    assert added.interchange.accuracy == 1


class Planted(sieve.Sum):
    """Sums that a perfect network reads: one line each for 3 and 7, mixed in two dimensions."""

    MIXED = torch.tensor([[1.0, 0.5], [-0.3, 0.8]])

    def logits(self, model, resid=None, rows=None):
        steps = ((self.resid if resid is None else resid) @ self.MIXED.inverse()).round().long()
        of_3, of_7 = steps[:, 0] % 3, steps[:, 1] % 7
        hot = torch.nn.functional.one_hot
        return torch.cat([hot(((of_3 > 0) & (of_7 > 0)).long(), 2), hot(of_3, 3), hot(of_7, 7)], 1).float()


def test_lines_of_several_moduli_are_found_and_moves_along_one_change_nothing_else():
    n = np.random.default_rng(0).integers(1000, 10000, 1000) * 2 + 1
    symbol = miii.numbers.digits(n, 10, 5)
    parts = symbol * 10 ** np.arange(4, -1, -1)
    steps = np.stack([(parts + q // 2) % q - q // 2 for q in (3, 7)], 2)  # the same residue, either side of 0
    added = torch.from_numpy(steps).float() @ Planted.MIXED
    pattern = torch.zeros(len(n), 1, 5)
    sums = Planted(n, symbol, parts, added[:, None], torch.eye(2)[None], pattern, added.sum(1), 0, None)
    table = sieve.Contributions.of(sums)
    found = sieve.find_lines(table, (3, 7))
    assert sorted(q for q, _, _ in found) == [3, 7]
    assert sieve.search(table, table.permuted(np.random.default_rng(0)) % 7 / 7)[0] < 0.9
    targets = [miii.tasks.Target(f"mod {q}", q, torch.from_numpy(n % q)) for q in (3, 7)]
    task = miii.Task(torch.zeros(1, 1), torch.zeros(1), torch.zeros(1), 10, 12, (), extra_targets=tuple(targets))
    lines = [sieve.Line(q, k, w @ table.basis, 1.0) for q, k, w in found]
    for q in (3, 7):
        crossing, shares = sieve.move(None, task, sums, lines, q)
        assert (crossing.accuracy, crossing.control) == (1, 0)
        assert (shares["follows"], shares["stays"], shares["turn"]) == (1, 1, 1)
        assert shares["random"] < 0.7
        measured = sieve.Lines(q, 0, tuple(lines), 0.5, steps[0], crossing, **shares)
        assert measured.adds
        assert sieve.verdict((), (measured,)) == f"sums residues modulo {q} on lines"
        assert not replace(measured, steering=replace(crossing, control=0.06)).adds
        values = json.loads(json.dumps(measured.to_json()))
        (read,) = sieve.reported_lines({"step": 5, "lines": {str(q): values}}, 5, (q,))
        assert (read.to_json(), read.layer, read.adds) == (values, 0, True)
        for report in (
            None,
            {"step": 5},
            {"step": 4, "lines": {str(q): values}},
            {"step": 5, "lines": {str(q): values, "13": values}},
            {"step": 5, "lines": {str(q): values | {"steps": ["many"]}}},
            {"step": 5, "lines": {str(q): values | {"steps": [[1e300]]}}},
            {"step": 5, "lines": {str(q): {name: value for name, value in values.items() if name != "agreements"}}},
        ):
            assert sieve.reported_lines(report, 5, (q,)) is None, report


def test_steering_beside_other_factors_keeps_to_sums_that_they_do_not_divide(integers, built, residue_adder, summer):
    """An ideal sieve by 3 and 7: shifts modulo 7 alone would make multiples of 3 in a third of the controls."""
    values = residue_adder(integers, 21).W_E[:, 0].tolist()
    model = summer(values, 5, lambda n: 1.0 if n % 3 and n % 7 else -1.0, 90)
    for q in (3, 7):
        (found,) = sieve.measure_addition(model, built, integers, (q,), (3, 7))
        assert (found.steering.accuracy, found.steering.control) == (1, 0)
        assert {each.name for each in found.missed} <= {"explained", "interchange control", "interchange"}
