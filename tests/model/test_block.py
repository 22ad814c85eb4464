"""The blocks against other people's implementations, and against their equations written out."""

import math

import pytest
import torch

import miii
from miii.model import fast
from miii.model.block import Block, Norm
from miii.model.config import ModelConfig
from miii.model.tap import OUTSIDE, capture, sites
from miii.model.transformer import Transformer
from miii.model.wiring import BLOCKS, LAST, pairs, refusal

SMALL = {"d_model": 6, "n_heads": 2, "d_mlp": 9, "biases": "all"}
N = 5


def network(n_layers=2, seed=0, **changes):
    """A float64 network with every weight moved away from its first value."""
    model = Transformer(ModelConfig(n_layers=n_layers, **SMALL | changes), 8, 7, N, seed=seed).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.2)
    return model


def networks():
    """A network of every valid pair of block and mixer, causal with two blocks, and with one block and no mask."""
    for block, mixers in pairs().items():
        for mixer in mixers:
            for n_layers, causal in ((2, True), (1, False)):
                if refusal(block, mixer, "auto", causal) is None:
                    yield network(n_layers, block=block, mixer=mixer, causal=causal)


def block_of(**changes) -> Block:
    return network(1, **changes).requires_grad_(False).blocks[0]


def stream(batch=3):
    return torch.randn(batch, N, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def tokens(batch=20):
    return torch.randint(8, (batch, N), generator=torch.Generator().manual_seed(3))


# ---- every valid pair ----


def test_a_network_passes_exactly_its_sites():
    for model in networks():
        found, layers = sites(model.config), range(len(model.blocks))
        inside = {f"{layer}.{name}" for layer in layers for name in found if name not in OUTSIDE}
        assert set(capture(model, tokens())) == inside | {name for name in found if name in OUTSIDE}, model.config


def test_the_fast_path_equals_the_forward_pass_and_every_weight_has_a_gradient():
    """Values and every gradient, in float64; softmax cancels only a bias that all keys share."""
    labels = torch.arange(20) % 7
    kept = torch.rand(20, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for model in networks():
        last, plan = len(model.blocks) - 1, fast.plan(tokens())
        gradients = []
        for logits in (model(tokens())[:, -1], fast.answer_logits(model, plan)):
            model.zero_grad()
            torch.nn.functional.cross_entropy(logits, labels).backward()
            gradients.append({name: weight.grad for name, weight in model.named_parameters()})
            torch.testing.assert_close(logits, model(tokens())[:, -1], rtol=1e-11, atol=1e-11)
        for name, grad in gradients[0].items():
            torch.testing.assert_close(gradients[1][name], grad, rtol=1e-10, atol=1e-11)
            assert name.endswith("b_K") or grad.abs().max() > 0, (name, model.config)
        with torch.no_grad():
            acts = capture(model, tokens(), {f"{last}.mlp_pre"})
            torch.testing.assert_close(fast.answer_neurons(model, plan), acts[f"{last}.mlp_pre"][:, -1])
            changed = miii.intervene(model, tokens(), {f"{last}.mlp_post": lambda post: post * kept[:, None]})[:, -1]
            torch.testing.assert_close(fast.answer_logits(model, plan, {f"{last}.mlp_post": kept}), changed)
            torch.testing.assert_close(fast.all_logits(model, plan), model(tokens()))
            assert model(tokens(), at=LAST).shape == (20, 1, 7)


def test_a_later_token_reaches_no_earlier_position():
    batch = tokens()
    other = batch.clone()
    other[:, 3] = (other[:, 3] + 1) % 8
    for model in networks():
        if model.config.causal:
            model.requires_grad_(False)
            before, after = model(batch), model(other)
            torch.testing.assert_close(before[:, :3], after[:, :3], rtol=1e-12, atol=1e-12)
            reads = model.config.mixer != "concatenation"  # which reads positions 0 and 1 alone, for two heads
            assert ((before[:, 4] - after[:, 4]).abs().max() > 1e-6) == reads
            torch.testing.assert_close(model(batch[:, :2]), before[:, :2], rtol=1e-10, atol=1e-10)


def test_norms_can_be_left_out_and_exchanged():
    for changes, kinds in (({"block": "sas", "norm": "none"}, {}), ({"block": "shaped", "norm": "layer"}, {"b", "w"})):
        model = network(**changes)
        norms = [module for module in model.modules() if isinstance(module, Norm)]
        assert {name for norm in norms for name, _ in norm.named_parameters()} == set(kinds)
        assert model(tokens()).isfinite().all()


def test_lengths_carry_nothing_on_the_sphere():
    """Rows and read-out directions have norm 1, and gradients keep it: they are orthogonal to what is normalized."""
    for mixer in ("attention", "mean"):
        model = network(block="spherical", mixer=mixer, positions="none", biases="none")
        acts = capture(model, tokens())
        for name in ("0.resid_pre", "0.resid_mid", "0.resid_post", "1.resid_pre", "1.resid_mid", "1.resid_post"):
            torch.testing.assert_close(acts[name].norm(dim=-1), torch.ones(20, N, dtype=torch.float64))
        assert acts["logits"].abs().max() <= BLOCKS["spherical"].cosine
        torch.nn.functional.cross_entropy(acts["logits"][:, -1], torch.arange(20) % 7).backward()
        for weight, dim in ((model.W_U, 0), (model.W_E, 1)):
            assert weight.grad.abs().max() > 1e-4
            inner = (weight.grad * weight).sum(dim)
            torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-12, rtol=0)
        longer = {"W_U": model.W_U * 3, "W_E": model.W_E}
        torch.testing.assert_close(torch.func.functional_call(model, longer, tokens()), acts["logits"])


# ---- other people's implementations ----


@pytest.mark.parametrize(("block", "first"), [("vaswani", False), ("pre-norm", True)])
def test_a_block_is_torch_s_encoder_layer(block, first):
    ours = block_of(block=block)
    theirs = torch.nn.TransformerEncoderLayer(6, 2, 9, dropout=0.0, batch_first=True, norm_first=first).double()
    together = {
        which: (
            ours.get_parameter(f"W_{which}").transpose(0, 1).flatten(1).T,
            ours.get_parameter(f"b_{which}").flatten(),
        )
        for which in "QKV"
    }
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([weight for weight, _ in together.values()]),
            "self_attn.in_proj_bias": torch.cat([bias for _, bias in together.values()]),
            "self_attn.out_proj.weight": ours.W_O.flatten(0, 1).T,
            "self_attn.out_proj.bias": ours.b_O,
            "linear1.weight": ours.W_in.T,
            "linear1.bias": ours.b_in,
            "linear2.weight": ours.W_out.T,
            "linear2.bias": ours.b_out,
            "norm1.weight": ours.ln1.w,
            "norm1.bias": ours.ln1.b,
            "norm2.weight": ours.ln2.w,
            "norm2.bias": ours.ln2.b,
        }
    )
    mask = torch.ones(N, N, dtype=torch.bool).triu(1)
    expected = theirs.requires_grad_(False)(stream(), src_mask=mask)
    torch.testing.assert_close(ours(stream()), expected, rtol=1e-6, atol=1e-6)


def test_root_mean_square_norm_is_torch_s():
    norm, theirs = Norm("rms", 6).double(), torch.nn.RMSNorm(6, eps=1e-6).double()
    with torch.no_grad():
        norm.w.copy_(torch.arange(1, 7))
        theirs.weight.copy_(norm.w)
    torch.testing.assert_close(norm(stream()), theirs(stream()))


# ---- the papers' equations, written out ----


def rms(x, w):
    return x / math.sqrt(sum(v * v for v in x.tolist()) / len(x) + 1e-6) * w


def shaped_by_hand(block, x, query):
    """Shaped attention without values and projections, of one example's normed rows: head by head, key by key."""
    out = torch.zeros(6, dtype=torch.float64)
    for h in range(2):
        q = x[query] @ block.W_Q[h] + block.b_Q[h]
        weights = [math.exp(q @ (x[key] @ block.W_K[h] + block.b_K[h]) / math.sqrt(3)) for key in range(query + 1)]
        for key in range(query + 1):
            a = (block.alpha[h] if key == query else 0) + block.beta[h] * weights[key] / sum(weights)
            a = a - block.gamma[h] / (query + 1)
            out[3 * h : 3 * h + 3] += a * x[key][3 * h : 3 * h + 3]
    return out


def neurons_by_hand(block, x):
    return (x @ block.W_in + block.b_in).clamp(min=0) @ block.W_out + block.b_out


def test_sas_is_its_equations():
    block = block_of(block="sas")
    for example, found in zip(stream(), block(stream()), strict=True):
        normed = [rms(row, block.ln1.w) for row in example]
        for i in range(N):
            mid = shaped_by_hand(block, normed, i)
            expected = mid + block.mlp_gain * neurons_by_hand(block, rms(mid, block.ln2.w))
            torch.testing.assert_close(found[i], expected, rtol=1e-10, atol=1e-10)


def test_sas_p_is_its_equation():
    block = block_of(block="sas-p")
    for example, found in zip(stream(), block(stream()), strict=True):
        normed = [rms(row, block.ln1.w) for row in example]
        for i in range(N):
            mixed = block.mixer_gain * shaped_by_hand(block, normed, i)
            expected = block.mlp_gain * neurons_by_hand(block, normed[i]) + mixed
            torch.testing.assert_close(found[i], expected, rtol=1e-10, atol=1e-10)


def test_shaped_attention_begins_as_the_identity():
    for block in ("value-skipinit", "shaped", "sas", "sas-p"):
        model = Transformer(ModelConfig(n_layers=2, block=block), 8, 7, N, seed=0)
        pattern = capture(model, tokens(), {"1.pattern"})["1.pattern"]
        torch.testing.assert_close(pattern, torch.eye(N).expand_as(pattern), rtol=0, atol=1e-6)


def test_a_network_without_shortcuts_begins_with_orthogonal_maps_and_its_target():
    model = Transformer(ModelConfig(n_layers=3, block="no-shortcut"), 8, 7, N, seed=0)
    for block in model.blocks:
        assert block.W_Q.count_nonzero() == 0
        for matrix in (block.W_V.transpose(0, 1).flatten(1), block.W_O.flatten(0, 1)):
            torch.testing.assert_close(matrix @ matrix.T, torch.eye(128), rtol=0, atol=1e-5)
    product = torch.eye(N, dtype=torch.float64)
    for layer in range(3):
        pattern = capture(model.double(), tokens(), {f"{layer}.pattern"})[f"{layer}.pattern"][0, 0]
        product = pattern @ product
        gamma = -0.5 * math.log(1 - (1 - math.exp(-0.01)) ** ((layer + 1) / 3))
        apart = (torch.arange(N)[:, None] - torch.arange(N)).abs()
        torch.testing.assert_close(product @ product.T, torch.exp(-gamma * apart).double(), rtol=0, atol=1e-6)


def count(**changes) -> int:
    return sum(w.numel() for w in Transformer(ModelConfig(biases="none", **changes), 8, 7, N).blocks.parameters())


def test_parameters_are_counted_as_the_papers_count_them():
    d, m, h = 128, 512, 4
    assert count() == 4 * d * d + 2 * d * m  # 12 d^2
    assert count(block="pre-norm", norm="rms") == 12 * d * d + 2 * d
    assert count(block="shaped") == 12 * d * d + 2 * d + 3 * h
    # He and Hofmann, section 4.3: without values and projections a block has two of its twelve d^2 fewer
    assert count(block="sas") == 10 * d * d + 2 * d + 3 * h + 1
    assert count(block="sas-p") == 10 * d * d + d + 3 * h + 2
    assert 0.13 < 1 - count(block="sas", n_layers=18) / count(block="pre-norm", n_layers=18) < 0.17


# ---- what does not go together ----

REFUSED = [
    ({"block": "sas", "mixer": "mean"}, ("mixer", "attention", "plain, vaswani, pre-norm")),
    ({"block": "no-shortcut", "causal": False}, ("causal must be true",)),
    ({"mixer": "gru", "causal": False}, ("causal must be true", "gru")),
    ({"mixer": "recurrence", "causal": False}, ("causal must be true", "recurrence")),
    ({"norm": "rms"}, ("norm", "plain", "pre-norm")),
    ({"block": "no-shortcut", "norm": "layer"}, ("norm", "no-shortcut")),
    ({"block": "vaswani", "norm": "none"}, ("norm", "vaswani", "layer or rms")),
    ({"block": "nosuch"}, ("block must be one of", "'plain'", "'sas-p'")),
    ({"mixer": "nosuch"}, ("mixer must be one of", "'attention'", "'recurrence'")),
]


def test_combinations_that_do_not_fit_are_refused(one_sentence):
    for changes, words in REFUSED:
        with one_sentence(*words):
            ModelConfig(**changes)


def test_the_table_of_pairs_lists_what_the_config_accepts():
    for block, mixers in pairs().items():
        for mixer, why in mixers.items():
            if why is None:
                assert ModelConfig(block=block, mixer=mixer).mixer == mixer
            else:
                with pytest.raises(miii.InputError) as found:
                    ModelConfig(block=block, mixer=mixer)
                assert str(found.value) == why
