"""One input, followed: its parts add up to its logits, and a network of known waves is seen to have them."""

import math

import pytest
import torch

import miii
from miii import analysis
from miii.analysis import follow
from miii.analysis.causal import attention, direct
from miii.errors import InputError
from miii.model.tap import capture
from miii.tasks.miu import NAMES

P, FREQUENCIES = 11, (2, 3)


@pytest.fixture(scope="module")
def adds(adder):
    return adder(P, FREQUENCIES, n_heads=2).requires_grad_(False)


@pytest.fixture(scope="module")
def task():
    return miii.ModularAddition(p=P, train_fraction=0.5).build()


@pytest.fixture(scope="module")
def untrained(task):
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=24, biases="all", act="gelu", n_layers=2)
    return miii.Transformer.of(config, task, seed=0).requires_grad_(False)


def shown(a: int, b: int) -> str:
    return f"{a} {b} ="


# ---- what it is shown, and what is met on the way ----


def test_tokens_from_names(task):
    assert follow.tokens_of(task, shown(3, 10)).tolist() == [3, 10, 11]
    primes = miii.Primes(low=100, high=999, tokens="place", leading_zeros=False)
    written = " ".join(primes.token_names[token] for token in primes.encode(torch.tensor([42]).numpy())[0])
    assert written == "· 4@1 2@0 ?"
    assert follow.tokens_of(primes.build(), written).tolist() == primes.encode(torch.tensor([42]).numpy())[0].tolist()


def test_invalid_input_is_an_error(task, one_sentence):
    for text in ["", "3 4", "3 4 = =", "3 11 =", "3 x =", "3 4 ?"]:
        with one_sentence("input", "3 of the task's tokens", repr(text)):
            follow.tokens_of(task, text)


def test_forward_pass_matches_capture(untrained, task):
    tokens = follow.tokens_of(task, shown(5, 8))
    found = follow.forward_pass(untrained, tokens)
    acts = miii.capture(untrained, tokens[None])
    assert torch.equal(found.logits, acts["logits"][0, -1])
    assert torch.equal(found.pre, acts["1.mlp_pre"][0, -1])
    assert torch.equal(found.post, acts["1.mlp_post"][0, -1])
    assert len(found.patterns) == 2
    for layer, pattern in enumerate(found.patterns):
        assert torch.equal(pattern, attention.pattern(untrained, tokens, layer)[:, -1])


def test_no_pattern_without_attention(task):
    model = miii.Transformer.of(miii.ModelConfig(d_model=8, n_heads=1, d_mlp=8, mixer="gru"), task, seed=0)
    assert follow.forward_pass(model, task.tokens[7]).patterns == ()


def test_infinite_logits_are_an_error(adder, task, one_sentence):
    broken = adder(P, FREQUENCIES)
    with torch.no_grad():
        broken.W_U[0, 0] = torch.nan
    with one_sentence("model", "finite logits"):
        follow.forward_pass(broken, task.tokens[0])


# ---- what it says ----


def test_prediction_probability_and_lead():
    said = follow.predict(torch.tensor([1.0, 4.0, 3.0, 4.0]))
    assert (said.answer, said.runner_up) == (1, 3)  # of equal ones the first
    assert said.lead == 0
    assert said.logits.tolist() == [-2, 1, 0, 1]
    weights = [math.exp(x) for x in (1, 4, 3, 4)]
    assert said.probability.tolist() == pytest.approx([w / sum(weights) for w in weights])


def test_wrong_examples(adds, untrained, task):
    assert follow.wrong_examples(adds, task).tolist() == []
    wrong = (miii.answer(untrained, task.tokens) != task.labels).nonzero()[:, 0]
    assert len(wrong) > 0
    assert torch.equal(follow.wrong_examples(untrained, task), wrong)


# ---- which frequency argued for it ----


def test_waves_sum_to_the_logits():
    for p in [2, 3, 7, 12, 113]:
        logits = 5 * torch.randn(p, generator=torch.Generator().manual_seed(p))
        waves = follow.waves(logits)
        assert waves.wave.shape == (p // 2, p)
        centered = logits.double() - logits.double().mean()
        assert torch.allclose(waves.wave.sum(0), centered, atol=1e-4)
        best, next_best = logits.sort(descending=True).indices[:2].tolist()
        assert waves.lead(best, next_best).sum().item() == pytest.approx(
            float(centered[best] - centered[next_best]), abs=1e-4
        )


def test_waves_have_one_frequency_each():
    for p in [7, 12]:
        waves = follow.waves(torch.randn(p, generator=torch.Generator().manual_seed(0)))
        c = torch.arange(p).double()
        for k in range(1, p // 2 + 1):
            turn = 2 * math.pi * k / p
            expected = waves.amplitude[k - 1] * torch.cos(turn * c - waves.phase[k - 1])
            assert torch.allclose(waves.wave[k - 1], expected, atol=1e-9)
            crest = waves.crest(3)[k - 1]
            assert abs(crest - 3) <= p / (2 * k) + 1e-9
            assert torch.cos(turn * crest - waves.phase[k - 1]).item() == pytest.approx(1)


def test_first_of_equal_peaks():
    c = torch.arange(12)
    assert follow.waves(torch.cos(2 * math.pi * 3 * (c - 6) / 12)).peak[2] == 2  # and 6, and 10


def test_equal_logits_have_no_waves():
    waves = follow.waves(torch.zeros(7))
    assert waves.agreement(3).tolist() == [0, 0, 0]
    assert waves.lead(3, 4).tolist() == [0, 0, 0]


# ---- what the neurons write ----


def test_neuron_writes_sum_to_the_mlp(task):
    for layers in [1, 2]:
        config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=24, biases="none", n_layers=layers)
        model = miii.Transformer.of(config, task, seed=0).requires_grad_(False)
        row = 5 * P + 8
        found = follow.forward_pass(model, task.tokens[row])
        answer = int(task.labels[row])
        added = follow.neuron_writes(model, found.post, slice(None), answer, None).added
        parts = direct.contributions(model, task.tokens[[row]], task.labels[[row]])
        whole = dict(zip(parts.names, parts.values[:, 0].tolist(), strict=True))
        assert added.sum().item() == pytest.approx(whole[f"MLP {layers - 1}"], abs=1e-4)
        against = follow.neuron_writes(model, found.post, slice(None), answer, 0).added
        mean = follow.neuron_writes(model, found.post, slice(None), 0, None).added
        assert torch.allclose(against, added - mean, atol=1e-9)


def test_neuron_writes_of_one_target(task):
    residues = miii.Residues(p=11).build()
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=24)
    model = miii.Transformer.of(config, residues, seed=0).requires_grad_(False)
    post = follow.forward_pass(model, residues.tokens[100]).post
    where = residues.logits_of("mod 5")
    added = follow.neuron_writes(model, post, where, 2, None).added
    rows = (model.blocks[0].W_out @ model.W_U)[:, where].double()
    assert torch.allclose(added, post.double() * (rows[:, 2] - rows.mean(1)), atol=1e-6)


def test_zero_row_has_no_frequency(adder):
    model = adder(P, FREQUENCIES).requires_grad_(False)
    model.blocks[0].W_out[0] = 0
    written = follow.neuron_writes(model, torch.ones(6), slice(None), 0, None)
    assert written.frequency.tolist()[0] == 0
    assert written.added[0] == 0


def test_other_blocks_are_an_error(task, one_sentence):
    model = miii.Transformer.of(miii.ModelConfig(d_model=8, n_heads=1, d_mlp=8, block="pre-norm"), task, seed=0)
    with one_sentence("model", "plain blocks", "pre-norm"):
        follow.neuron_writes(model, torch.zeros(8), slice(None), 0, None)


# ---- letter by letter ----


def test_prefixes_keep_their_places():
    config = miii.MIU(longest=5, longest_test=9, n=100)
    tape = torch.from_numpy(config.encode("MIUI"))
    found = follow.prefixes(tape)
    spelled = ["".join(NAMES[token] for token in row) for row in found.tolist()]
    assert [text.replace("·", "") for text in spelled] == ["MI?", "MIU?", "MIUI?"]
    assert torch.equal(found[-1], tape)
    assert all(torch.equal(row[row == 1], tape[row == 1]) for row in found)


# ---- the path of one input ----


def test_parts_set_to_zero_are_the_summands_of_a_plain_block():
    task = miii.ModularAddition(p=11, train_fraction=0.5).build()
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=12), 12, 11, 3, seed=0)
    tokens = task.tokens[38]
    found = analysis.path.input_path(model, tokens, slice(None), neurons=5, answers=3)
    seen = follow.forward_pass(model, tokens)
    said = follow.predict(seen.logits)
    written = follow.neuron_writes(model, seen.post, slice(None), said.answer, None)
    assert found.answers[0] == said.answer
    assert found.neurons.tolist() == written.strongest(5)
    assert torch.allclose(found.written[:, 0], written.added[found.neurons], atol=1e-5)
    assert found.total == pytest.approx(float(written.added.sum()), abs=1e-4)
    assert torch.allclose(found.attention, seen.patterns[0])
    z = capture(model, tokens[None], {"0.z"})["0.z"][0, -1]
    block = model.blocks[0]
    wanted = torch.einsum("hd,hdm,mn->hn", z, block.W_O, block.W_in)[:, found.neurons]
    assert torch.allclose(found.read, wanted, atol=1e-5)


def test_paths_through_any_block_and_mixer():
    for changes in ({"mixer": "gru"}, {"block": "pre-norm", "n_layers": 2}, {"block": "sas-p"}, {"mixer": "mean"}):
        model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=12, **changes), 12, 11, 3, seed=0)
        found = analysis.path.input_path(model, torch.tensor([3, 4, 11]), slice(0, 11))
        assert found.attention.shape == (2, 3)
        if changes.get("block") != "sas-p":
            assert torch.allclose(found.attention.sum(1), torch.ones(2), atol=1e-5), changes
        assert found.written.isfinite().all()
        assert (found.read.abs() < 1e-5).all() == (changes.get("block") == "sas-p")  # its neurons do not read the heads
    for wrong in ({"neurons": 0}, {"answers": 0}):
        with pytest.raises(InputError, match="at least 1"):
            analysis.path.input_path(model, torch.tensor([3, 4, 11]), slice(0, 11), **wrong)
