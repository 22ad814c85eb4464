"""Every ablation is what a run with that part replaced gives, and hurts where it should."""

import itertools

import pytest
import torch

import miii
from miii.analysis.causal import ablation
from miii.analysis.causal.ablation import frequencies, parts, score
from miii.analysis.causal.counterfactuals import draw_counterfactuals
from miii.analysis.modular import fourier, fourier2d
from miii.metrics import correct, cross_entropy
from miii.model.tap import capture, intervene

KINDS = ["zero", "mean", "interchange"]
TASK = miii.ModularAddition(p=5).build()
PAIRS = miii.ModularAddition(p=11).build()


def stand_in(value: torch.Tensor, kind: str, task: miii.Task, seed: int = 0) -> torch.Tensor:
    if kind == "zero":
        return torch.zeros_like(value)
    return (
        value.mean(0).expand_as(value)
        if kind == "mean"
        else value[
            draw_counterfactuals(task.labels, torch.arange(len(task.labels)), torch.Generator().manual_seed(seed))
        ]
    )


def agrees(found: ablation.Ablations, i: int, logits: torch.Tensor, labels: torch.Tensor) -> None:
    assert found.loss[i].item() == pytest.approx(cross_entropy(logits, labels).mean().item(), rel=1e-9)
    assert found.accuracy[i].item() == correct(logits, labels).double().mean().item()


SOME = torch.tensor([3, 24, 7, 11, 0])


def test_head_ablation_matches_an_intervention(random_model):
    for i, (n_layers, kind) in enumerate(itertools.product([1, 2], KINDS)):
        examples = [None, SOME][i % 2]
        model = random_model(n_layers)
        found = ablation.heads(model, TASK, kind, examples=examples, seed=4)
        rows = torch.arange(25) if examples is None else examples
        assert (found.part, found.kind) == ("head", kind)
        assert found.names == tuple(f"{layer}.{head}" for layer in range(n_layers) for head in range(2))
        for n, name in enumerate(found.names):
            site, head = f"{name[0]}.z", int(name[2])
            value = capture(model, TASK.tokens, {site})[site].clone()
            value[:, :, head] = stand_in(value, kind, TASK, seed=4)[:, :, head]
            agrees(found, n, intervene(model, TASK.tokens, {site: value})[rows, -1], TASK.labels[rows])
        base = model(TASK.tokens)[rows, -1]
        assert found.baseline_loss == pytest.approx(cross_entropy(base, TASK.labels[rows]).mean().item())
        assert found.baseline_accuracy == correct(base, TASK.labels[rows]).double().mean().item()
        assert (found.loss - found.baseline_loss).abs().min() > 1e-4


def test_neuron_ablation_matches_an_intervention(random_model):
    for i, ((n_layers, layer), kind) in enumerate(itertools.product([(1, None), (2, 1), (2, 0)], KINDS)):
        groups, examples = [None, [[3], [0, 5, 7], []]][i % 2], [None, SOME][i // 2 % 2]
        model = random_model(n_layers)
        silenced = [[j] for j in range(12)] if groups is None else groups
        given = None if groups is None else [torch.tensor(group, dtype=torch.int64) for group in groups]
        found = ablation.neurons(model, TASK, kind, groups=given, layer=layer, examples=examples)
        rows = torch.arange(25) if examples is None else examples
        site = f"{n_layers - 1 if layer is None else layer}.mlp_post"
        value = capture(model, TASK.tokens, {site})[site]
        assert found.names == tuple(map(str, range(len(silenced))))
        for n, group in enumerate(silenced):
            changed = value.clone()
            changed[..., group] = stand_in(value, kind, TASK)[..., group]
            agrees(found, n, intervene(model, TASK.tokens, {site: changed})[rows, -1], TASK.labels[rows])
        assert (found.loss - found.baseline_loss).abs().max() > 1e-3


def test_tiny_losses_are_accurate_in_float32(adder):
    model = adder(11, (2, 3, 5), scale=10.0)
    found = ablation.neurons(model, PAIRS, "mean")
    post = capture(model, PAIRS.tokens, {"0.mlp_post"})["0.mlp_post"][:, -1]
    logits = model(PAIRS.tokens)[:, -1]
    for j in range(9):
        left = logits.double() - ((post[:, j] - post[:, j].mean()).double()[:, None] * fourier.neuron_logit(model)[j])
        expected = cross_entropy(left, PAIRS.labels).mean().item()
        assert found.loss[j].item() == pytest.approx(expected, rel=1e-4)
        assert found.accuracy[j].item() == correct(left, PAIRS.labels).double().mean().item()
    assert found.baseline_loss < 1e-4


def test_ties_go_to_the_first_answer(random_model):
    model = random_model(1)
    for weight in model.parameters():
        weight.zero_()
    found = ablation.neurons(model, TASK)
    assert found.accuracy.tolist() == [found.baseline_accuracy] * 12 == [0.2] * 12
    model.b_U[3] = model.b_U[1] = 1.0
    found = ablation.neurons(model, TASK)
    assert found.accuracy.tolist() == [found.baseline_accuracy] * 12 == [0.2] * 12


def test_chunks_make_no_difference(monkeypatch, random_model):
    model = random_model(2)

    def results():
        for kind in KINDS:
            yield ablation.heads(model, TASK, kind).loss
            yield ablation.neurons(model, TASK, kind).loss
        yield ablation.embedding_frequencies(model, TASK).loss

    whole = list(results())
    monkeypatch.setattr(score, "ROWS", 7)
    monkeypatch.setattr("miii.analysis.causal.ablation.parts.ROWS", 7)
    for before, after in zip(whole, results(), strict=True):
        torch.testing.assert_close(after, before)


def test_another_seed_draws_another_interchange(random_model):
    model = random_model(1)
    one, same, other = (ablation.heads(model, TASK, "interchange", seed=seed).loss for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


# ---- frequencies ----


def test_frequencies_are_removed_from_the_embedding(random_model):
    for group in [(), (2, 4)]:
        for p in [11, 12]:
            group = (*group, p // 2)
            task = miii.ModularAddition(p=p).build()
            model = random_model(2, p=p)
            components = fourier.basis(p) @ model.W_E[:p]
            components[[i for i, k in enumerate(fourier.frequency_of(p)) if k in group]] = 0
            W_E = torch.cat([fourier.basis(p).T @ components, model.W_E[p:]])
            found = ablation.embedding_frequencies(model, task, groups=[(3,), group])
            agrees(found, 1, intervene(model, task.tokens, {"embed": W_E[task.tokens]})[:, -1], task.labels)
            assert found.names == ("3", ", ".join(map(str, group)))
            # the embedding as a function of (a, b): "=" is the same for all pairs, and stays
            over_pairs = ablation.site_frequencies(model, task, "embed", groups=[(3,), group])
            torch.testing.assert_close(over_pairs.loss, found.loss)


def without_products(values: torch.Tensor, group: tuple[int, ...], p: int) -> torch.Tensor:
    """By way of the whole 2-D spectrum."""
    coefficients = fourier2d.transform(values.reshape(p, p, -1))
    gone = torch.tensor([k in group for k in fourier.frequency_of(p)])
    coefficients[gone] = 0
    coefficients[:, gone] = 0
    back = torch.einsum("ia,jb,ij...->ab...", fourier.basis(p), fourier.basis(p), coefficients)
    return back.reshape(values.shape)


def without_sum(values: torch.Tensor, group: tuple[int, ...], p: int) -> torch.Tensor:
    """By way of a regression on the waves."""
    total = (torch.arange(p)[:, None] + torch.arange(p)).flatten().double()
    angles = [2 * torch.pi * k / p * total for k in group]
    waves = [angle.cos() for angle in angles] + [a.sin() for a, k in zip(angles, group, strict=True) if 2 * k < p]
    X, flat = torch.stack(waves, dim=1), values.reshape(p * p, -1)
    return (flat - X @ torch.linalg.lstsq(X, flat).solution).reshape(values.shape)


def test_frequencies_are_removed_from_a_site(random_model):
    sites = ["logits", "0.mlp_post", "1.z", "1.pattern", "0.resid_post"]
    for i, (site, directions) in enumerate(itertools.product(sites, ["all", "sum"])):
        p = [11, 12][(i + i // 2) % 2]
        task = miii.ModularAddition(p=p).build()
        model, some = random_model(2, p=p), torch.tensor([5, 100, 17])
        groups = [(3,), (1, p // 2)]
        found = ablation.site_frequencies(model, task, site, directions=directions, groups=groups)
        subset = ablation.site_frequencies(model, task, site, directions=directions, groups=groups, examples=some)
        value = capture(model, task.tokens, {site})[site]
        remove = without_products if directions == "all" else without_sum
        for n, group in enumerate(groups):
            logits = intervene(model, task.tokens, {site: remove(value, group, p)})[:, -1]
            agrees(found, n, logits, task.labels)
            agrees(subset, n, logits[some], task.labels[some])
        assert (found.part, found.kind, found.names) == ("frequency", "removed", ("3", f"1, {p // 2}"))


def test_the_planted_network_needs_only_its_frequencies(adder):
    for site in ["embedding", "logits", "0.mlp_post"]:
        model = adder(11, (2, 3), scale=10.0)
        whole = ablation.embedding_frequencies(model, PAIRS) if site == "embedding" else None
        found = whole or ablation.site_frequencies(model, PAIRS, site)
        assert found.names == ("1", "2", "3", "4", "5")
        assert found.baseline_accuracy == 1
        # the product of two waves of frequency 2 has the frequencies 0 and 4: neurons carry those too
        others = [0, 3, 4] if site == "embedding" else [0]
        for i in others:
            assert found.loss[i].item() == pytest.approx(found.baseline_loss, rel=1e-3)
        assert (found.loss[[1, 2]] > 10 * found.baseline_loss).all()
        if site != "embedding":  # where the other frequency alone still adds, less surely
            assert (found.accuracy[[1, 2]] < 0.7).all()
        both = ablation.embedding_frequencies(model, PAIRS, groups=[(2, 3), ()])
        assert both.accuracy[0].item() == pytest.approx(1 / 11, abs=0.05)
        assert both.loss[1].item() == pytest.approx(both.baseline_loss)


# ---- bad input ----


def test_invalid_input_is_an_error(one_sentence, random_model):
    model = random_model(2)
    # what is passed to the public functions is checked against their types first, in tests only
    with one_sentence("kind", "zero, mean, interchange", "median"):
        parts.check_kind("median")
    with one_sentence("directions", "all, sum", "difference"):
        frequencies.remover("difference")
    with one_sentence("layer", "0 .. 1", "2"):
        ablation.neurons(model, TASK, layer=2)
    with one_sentence("groups", "0 .. 11", "12"):
        ablation.neurons(model, TASK, groups=[torch.tensor([1, 12])])
    with one_sentence("groups", "0 .. 11", "-1"):
        ablation.neurons(model, TASK, groups=[torch.tensor([-1])])
    with one_sentence("names", "2 groups", "1"):
        ablation.neurons(model, TASK, groups=[torch.tensor([1]), torch.tensor([2])], names=["a"])
    for call in (ablation.embedding_frequencies, ablation.site_frequencies):
        with one_sentence("groups", "1 .. 5", "6"):
            call(random_model(1, p=11), PAIRS, groups=[(1, 6)])
        with one_sentence("groups", "1 .. 5", "0"):
            call(random_model(1, p=11), PAIRS, groups=[(0,)])
    for site in ("pos_embed", "0.scores"):
        with one_sentence("site", site):
            ablation.site_frequencies(random_model(1, p=11), PAIRS, site)
    with one_sentence("2.z"):
        ablation.site_frequencies(random_model(1, p=11), PAIRS, "2.z")
