"""TransformerLens' state dicts to networks and back: names, shapes, logits, refusals."""

import collections
import re

import torch
from tl_states import BAD_STATE, P, logits, network, normed_state, state_dict, without

from miii import ModularAddition
from miii.transformer_lens import (
    from_state_dict,
    left_out,
    to_state_dict,
)

BLOCK = {
    **dict.fromkeys(("attn.W_Q", "attn.W_K", "attn.W_V"), (2, 8, 4)),
    **dict.fromkeys(("attn.b_Q", "attn.b_K", "attn.b_V"), (2, 4)),
    **{"attn.W_O": (2, 4, 8), "attn.b_O": (8,), "mlp.W_in": (8, 12), "mlp.b_in": (12,)},
    **{"mlp.W_out": (12, 8), "mlp.b_out": (8,)},
}


def test_exported_weights_have_the_names_and_shapes_of_a_hooked_transformer():
    wanted = {"embed.W_E": (8, 8), "pos_embed.W_pos": (3, 8), "unembed.W_U": (8, 7), "unembed.b_U": (7,)}
    wanted |= {f"blocks.{layer}.{name}": shape for layer in (0, 1) for name, shape in BLOCK.items()}
    for biases, lacking in (("none", (".b_",)), ("mlp", ("attn.b_", "unembed.b_")), ("all", ())):
        state = to_state_dict(network(n_layers=2, biases=biases))
        assert {name: tuple(value.shape) for name, value in state.items()} == wanted
        for name, value in state.items():
            assert bool(value.any()) != any(part in name for part in lacking), name
            assert value.dtype == torch.float32
            assert value.is_contiguous()


def test_export_and_import_copy_the_weights():
    model = network()
    state = to_state_dict(model)
    state["embed.W_E"].zero_()
    assert model.W_E.any()
    state = state_dict()
    model, _ = from_state_dict(state, P)
    state["embed.W_E"].zero_()
    assert model.W_E.any()


def test_a_round_trip_gives_the_same_network():
    cases = (
        (1, "none", "relu", True),
        (3, "mlp", "gelu", False),
        (1, "all", "square", False),
        (3, "all", "relu", True),
    )
    for n_layers, biases, act, causal in cases:
        model = network(n_layers=n_layers, biases=biases, act=act, causal=causal)
        again, extras = from_state_dict(to_state_dict(model), P, act, causal)
        assert again.config == model.config.model_copy(update={"biases": "all"})
        assert extras == ()
        assert torch.equal(logits(again), logits(model))
        assert not again.training
        assert not any(weight.requires_grad for weight in again.parameters())


def by_hand(state, n_layers, normed):
    """The logits at "=" of a HookedTransformer with LayerNorms and ReLU, in float64, without miii."""
    w = {name: value.double() for name, value in state.items()}

    def norm(x, name):
        if not normed:
            return x
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return x * w[f"{name}.w"] + w[f"{name}.b"] if f"{name}.w" in w else x

    x = w["embed.W_E"][ModularAddition(p=P).build().tokens] + w["pos_embed.W_pos"]
    for layer in range(n_layers):
        block = f"blocks.{layer}"
        heard = norm(x, f"{block}.ln1")
        q, k, v = (
            torch.einsum("bpm,hmd->bhpd", heard, w[f"{block}.attn.W_{c}"]) + w[f"{block}.attn.b_{c}"][:, None]
            for c in "QKV"
        )
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~torch.ones(3, 3).tril().bool(), -torch.inf)
        z = scores.softmax(-1) @ v
        x = x + torch.einsum("bhpd,hdm->bpm", z, w[f"{block}.attn.W_O"]) + w[f"{block}.attn.b_O"]
        post = torch.relu(norm(x, f"{block}.ln2") @ w[f"{block}.mlp.W_in"] + w[f"{block}.mlp.b_in"])
        x = x + post @ w[f"{block}.mlp.W_out"] + w[f"{block}.mlp.b_out"]
    return norm(x, "ln_final") @ w["unembed.W_U"] + w["unembed.b_U"]


def test_logits_equal_a_forward_pass_written_by_hand_with_and_without_layer_norms():
    for n_layers in (1, 2):
        for kind in ("LN", "LNPre", None):
            state = normed_state(n_layers) if kind == "LN" else state_dict(n_layers=n_layers)
            model, extras = from_state_dict(state, P, lnpre=kind == "LNPre")
            assert extras == ()
            assert (model.config.block, model.config.norm_kind) == (
                ("pre-norm", "layer") if kind else ("plain", "none")
            )
            truth = by_hand(state, n_layers, normed=kind is not None)
            assert torch.allclose(logits(model.double()), truth, rtol=0, atol=1e-12), (n_layers, kind)
    again, _ = from_state_dict(to_state_dict(from_state_dict(normed_state(), P)[0]), P)
    assert torch.equal(logits(again), logits(from_state_dict(normed_state(), P)[0]))


def test_each_weight_ends_up_where_its_name_says():
    state = state_dict(n_layers=2)
    model, _ = from_state_dict(state, P)
    assert torch.equal(model.W_E, state["embed.W_E"])
    assert torch.equal(model.W_pos, state["pos_embed.W_pos"])
    assert torch.equal(model.W_U, state["unembed.W_U"])
    assert torch.equal(model.b_U, state["unembed.b_U"])
    for layer, block in enumerate(model.blocks):
        for name in BLOCK:
            assert torch.equal(getattr(block, name.partition(".")[2]), state[f"blocks.{layer}.{name}"])


def test_other_floats_and_parameters_become_float32_weights():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state = {name: v.to(dtype) if v.dtype == torch.float32 else v for name, v in state_dict().items()}
        model, _ = from_state_dict(state, P)
        assert model.W_E.dtype == torch.float32
        assert torch.equal(model.W_E, state["embed.W_E"].float())
    state = {name: torch.nn.Parameter(v) if v.is_floating_point() else v for name, v in state_dict().items()}
    model, _ = from_state_dict(collections.OrderedDict(state), P)
    assert torch.equal(model.W_E, state["embed.W_E"])


def test_buffers_of_every_version_are_no_extras():
    one, _ = from_state_dict(state_dict(), P)
    empty = {"blocks.0.attn.mask": torch.empty(0, 0, dtype=torch.bool)}  # TransformerLens 3
    old = {"blocks.0.attn.IGNORE": torch.tensor(-1e5)}  # TransformerLens 1
    bare = {name: v for name, v in state_dict().items() if "mask" not in name and "IGNORE" not in name}
    for state in (state_dict(**empty), state_dict(**old), bare):
        other, extras = from_state_dict(state, P)
        assert extras == ()
        assert torch.equal(logits(other), logits(one))


def test_other_tensors_are_left_out_and_named():
    names = ["x_embed", "blocks.0.attn.sinks", "blocks.1.attn.mask"]
    state = state_dict(**{name: torch.ones(2, 3) for name in names[:2]})
    model, extras = from_state_dict(state, P)
    assert extras == tuple(names[:2])
    assert torch.equal(logits(model), logits(from_state_dict(state_dict(), P)[0]))
    assert left_out(extras).startswith("x_embed and blocks.0.attn.sinks have no place")
    assert left_out(["x"]).startswith("x has no place")


def test_names_are_safe_to_print_and_few():
    for name in ("\x1b[31mred", "a\nb", "![x](http://x.y/z)", "<b>", "`rm`", "\u202egpj", "x" * 10_000, ""):
        (shown,) = from_state_dict(state_dict(**{name: torch.ones(1)}), P)[1]
        assert len(shown) <= 103
        assert re.fullmatch(r"[A-Za-z0-9._?-]*", shown)
    assert len(left_out([f"tensor_{i}" for i in range(1_000_000)])) < 300


def test_a_state_dict_that_does_not_fit_is_refused(one_sentence, subtests):
    for kind, (make, words) in BAD_STATE.items():
        with subtests.test(kind), one_sentence(*words):
            from_state_dict(make(), P)
    for name in state_dict():
        if not name.endswith(("mask", "IGNORE")):
            with subtests.test(name), one_sentence(f"lacks {name};"):
                from_state_dict(without(name), P)
    with one_sentence("act must be one of", "'relu'", "'solu'"):
        from_state_dict(state_dict(), P, act="solu")
    with one_sentence("lnpre must be false", "blocks.0.ln1"):
        from_state_dict(normed_state(), P, lnpre=True)


def test_shapes_are_checked_before_anything_of_their_size_is_made(one_sentence):
    huge = torch.zeros(1).expand(8, 2**40)
    with one_sentence("d_head"):
        from_state_dict(state_dict(**{"embed.W_E": huge}), P)
    with one_sentence("d_mlp", "at most 16384"):
        from_state_dict(state_dict(**{"blocks.0.mlp.W_in": huge}), P)
    with one_sentence("blocks.0.mlp.W_out"):
        from_state_dict(state_dict(**{"blocks.0.mlp.W_out": huge}), P)
    assert from_state_dict(state_dict(x=huge), P)[1] == ("x",)
