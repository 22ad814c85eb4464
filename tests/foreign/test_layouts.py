"""Each layout: a network of its own modules gives the same logits as the one that miii reads."""

import math
from functools import partial

import foreign_nets
import pytest
import torch
from foreign_nets import (
    GPT,
    AttentionBlock,
    D,
    Dense,
    Encoder,
    H,
    Lens,
    Lens4,
    Linearformer,
    Notebook,
    OneHot,
    P,
    Tables,
    Torch,
    prompts,
    randomized,
)  # fmt: skip

import miii
from miii import ModelConfig, Transformer, foreign
from miii.foreign import Settings, recognize, unwrap


def rms(epsilon):
    return partial(torch.nn.RMSNorm, eps=epsilon)


GIVEN = {"n_heads": H, "act": "relu", "lnpre": False, "attn_coeff": 1.0}
#: A network, its layout, the settings that no file records, and the block.
CASES = {
    "TransformerLens": (lambda: Lens(2), "transformer-lens", {}, "plain"),
    "TransformerLens, LN": (lambda: Lens(2, "LN", "gelu"), "transformer-lens", {"act": "gelu"}, "pre-norm"),
    "TransformerLens, LNPre": (lambda: Lens(2, "LNPre"), "transformer-lens", {"lnpre": True}, "pre-norm"),
    "TransformerLens, RMS": (lambda: Lens(2, "RMS"), "transformer-lens", {"rms": True}, "pre-norm"),
    "TransformerLens, RMSPre": (lambda: Lens(1, "RMSPre"), "transformer-lens", {"lnpre": True, "rms": True},
                                "pre-norm"),
    "attention alone": (lambda: Lens(2, mlp=False), "transformer-lens", {}, "plain"),
    "attention alone, LN": (lambda: Lens(2, "LN", mlp=False), "transformer-lens", {}, "pre-norm"),
    "TransformerLens, bidirectional": (lambda: Lens(2, causal=False), "transformer-lens", {"causal": False}, "plain"),
    "TransformerLens 4": (Lens4, "transformer-lens-4", {"act": "gelu"}, "plain"),
    "notebook": (lambda: Notebook(2), "notebook", {"causal": True}, "plain"),
    "without =": (lambda: Notebook(2, False, coeff=0.3, act="tanh"), "notebook",
                  {"causal": False, "attn_coeff": 0.3, "act": "tanh"}, "plain"),
    "sums": (lambda: Notebook(1, False, coeff=0.0), "notebook", {"attn_coeff": 0.0}, "plain"),
    "own tokens for b": (lambda: Notebook(1, False, True, coeff=1.0), "notebook", {"p": P}, "plain"),
    "own tokens for b, =": (lambda: Notebook(1, True, True, coeff=1.0), "notebook", {"p": P}, "plain"),
    "torch": (lambda: Torch(2), "torch", {"act": "gelu"}, "pre-norm"),
    "torch's RMSNorm": (
        lambda: Torch(2, rms(1e-3)), "torch", {"act": "gelu", "rms": True, "epsilon": 1e-3}, "pre-norm",
    ),
    "torch's encoder": (Encoder, "torch", {"causal": False}, "vaswani"),
    "norms after sums, and a last": (lambda: Encoder(last=True), "torch", {"causal": False, "post": True}, "vaswani"),
    "norms before parts, no last": (lambda: Encoder(first=True), "torch", {"causal": False, "post": False}, "pre-norm"),
    "narrow heads": (lambda: Lens(norms="LN", d_head=3), "transformer-lens", {}, "pre-norm"),
    "three heads": (lambda: Lens(heads=3, d_head=2), "transformer-lens", {"n_heads": 3}, "plain"),
    "wide heads": (lambda: Lens(d_head=7, act="silu"), "transformer-lens", {"act": "silu"}, "plain"),
    "nanoGPT": (GPT, "nanogpt", {"act": "gelu"}, "pre-norm"),
    "nanoGPT without biases": (lambda: GPT(bias=False), "nanogpt", {"act": "gelu"}, "pre-norm"),
    "GPT-2": (lambda: GPT(act="gelu-tanh", conv1d=True), "gpt2", {"act": "gelu-tanh"}, "pre-norm"),
    "embeddings added": (Dense, "dense", {"twice": False}, "feed-forward"),
    "embeddings side by side": (lambda: Dense(False, act="gelu"), "dense", {"act": "gelu"}, "feed-forward"),
    "separate tables added": (lambda: Dense(separate=True), "dense", {"twice": False}, "feed-forward"),
    "two hidden layers": (lambda: Dense(deep=True, act="tanh"), "dense", {"twice": False, "act": "tanh"},
                          "feed-forward"),
    "a map of each operand": (lambda: Dense(deep=True, each=True), "dense", {"twice": True}, "feed-forward"),
    "two tables and W": (Tables, "dense", {}, "feed-forward"),
    "one-hot": (OneHot, "dense", {"act": "square"}, "feed-forward"),
    "one-hot, side by side": (lambda: OneHot(False), "dense", {"act": "square"}, "feed-forward"),
    "square maps": (Linearformer, "dense", {"act": "gelu"}, "feed-forward"),
}  # fmt: skip


def read(state, **given):
    return recognize(unwrap(dict(state), "x.pt"), Settings(**given))


def logits_of(found):
    model = found.model.double()
    return model(prompts(**found.prompt))[:, -1]


@pytest.mark.parametrize("case", CASES)
def test_the_network_that_is_read_gives_the_logits_of_the_layout_s_own_forward(case):
    make, layout, given, block = CASES[case]
    net = randomized(make())
    state = net.state_dict()
    given = ({} if layout == "dense" else GIVEN) | given
    if layout != "notebook":
        given.pop("attn_coeff", None)
    found = read(state, **{"act": "relu"} | given)
    assert (found.layout, found.p, found.model.config.block, found.ignored) == (layout, P, block, ())
    with torch.no_grad():
        truth = net(prompts(**found.prompt))[:, :P]
    as_read = logits_of(found)
    assert truth.std() > 0.1
    torch.testing.assert_close(as_read, truth, rtol=1e-6, atol=1e-6)  # the weights are read in float32


def test_extra_logits_are_cut_and_said():
    found = read(randomized(Notebook()).state_dict(), **GIVEN)
    assert found.model.W_U.shape[1] == P
    assert "1 extra logit was cut." in found.notes


def test_tokens_and_logits_beyond_the_task_are_cut_if_p_is_given():
    whole = randomized(Notebook()).state_dict()
    padded = whole | {n: torch.nn.functional.pad(whole[n], (0, 5)) for n in ("embed.W_E", "unembed.W_U")}
    found = read(padded, **GIVEN, p=P)
    assert torch.equal(logits_of(found), logits_of(read(whole, **GIVEN)))
    assert "6 extra logits were cut." in found.notes


def test_missing_biases_are_zeros_and_buffers_are_no_extras():
    whole = randomized(Lens()).state_dict()
    for lacking in ("attn.b_", "mlp.b_", "b_"):
        state = {name: value for name, value in whole.items() if lacking not in name}
        zeros = {name: torch.zeros_like(v) if lacking in name else v for name, v in whole.items()}
        found = read(state, **GIVEN)
        assert torch.equal(logits_of(found), logits_of(read(zeros, **GIVEN)))
    assert found.model.config.biases == "none"
    masks = {"blocks.0.attn.mask": torch.ones(3, 3).tril().bool(), "blocks.0.attn.IGNORE": torch.tensor(-1e5)}
    assert read(whole | masks, **GIVEN).ignored == ()
    more = read(whole | {"probe.W": torch.ones(2, 3)}, **GIVEN)
    assert more.ignored == ("probe.W",)


def renamed(state, *changes):
    """The tensors under other names; those renamed to "" are gone."""
    for old, new in changes:
        state = {name.replace(old, new) if old in name else name: value for name, value in state.items()}
    return {name: value for name, value in state.items() if name}


def test_odd_names_are_told_apart_by_shapes_and_a_single_block_needs_no_number(subtests):
    net = randomized(Torch())
    wanted = net(prompts())
    tables = (("tok_emb.weight", "E.weight"), ("pos_emb.weight", "P.weight"), ("head.weight", "U.weight"))
    for changes in (
        tables,
        tables[:1],
        (*tables, ("blocks.0.", "")),
        (("blocks.0.", "block."),),
        (("blocks.0.", "transformer.encoder.0."), ("encoder.0", "block.0"), ("head.", "linear.")),
        (("mlp.net.0", "ff.hidden"), ("mlp.net.2", "ff.back"), ("ln1", "attention_norm"), ("ln2", "ffn_norm")),
        (("ln1", "layernorm1"), ("ln2", "layernorm2"), ("ln_f", "layernorm_last"), ("head", "U")),
        (("blocks.0.", "model.0."), ("ln_f", "model.1"), ("head", "model.2")),
        (("ln_f.", "norm3."), ("ln", "norm"), ("mlp.net.0", "fc_1"), ("mlp.net.2", "fc_2"), ("pos_emb", "pos_encoder")),
    ):
        with subtests.test(changes):
            found = read(renamed(net.state_dict(), *changes), act="gelu", n_heads=H)
            assert found.ignored == ()
            torch.testing.assert_close(logits_of(found), wanted, rtol=1e-6, atol=1e-6)
    found = read({f"encoder.{name}": value for name, value in net.state_dict().items()}, act="gelu", n_heads=H)
    assert found.notes == ("The prefix encoder. was removed from the names.",)
    torch.testing.assert_close(logits_of(found), wanted, rtol=1e-6, atol=1e-6)
    around = renamed(net.state_dict(), ("pos_emb.weight", "pos_encoder.pe"))
    around["pos_encoder.pe"] = around["pos_encoder.pe"][:, None]
    torch.testing.assert_close(logits_of(read(around, act="gelu", n_heads=H)), wanted, rtol=1e-6, atol=1e-6)


def test_a_bias_goes_with_the_map_that_is_known_by_its_shape():
    net = randomized(Encoder())
    found = read(renamed(net.state_dict(), ("fc_out", "U")), act="relu", n_heads=H)
    assert found.ignored == ()
    torch.testing.assert_close(logits_of(found), net(prompts()), rtol=1e-6, atol=1e-6)


def test_without_positions_all_are_alike():
    net = randomized(Torch())
    net.pos_emb.weight.zero_()
    found = read(renamed(net.state_dict(), ("pos_emb.weight", "")), act="gelu", n_heads=H)
    torch.testing.assert_close(logits_of(found), net(prompts()), rtol=1e-6, atol=1e-6)


def test_attention_alone_whose_sums_are_normalized_has_the_same_logits():
    for norm, given in ((torch.nn.LayerNorm, {}), (rms(1e-6), {"rms": True})):
        net = randomized(Torch(2, norm, AttentionBlock))
        found = read(net.state_dict(), n_heads=H, **given)
        assert (found.model.config.block, found.model.config.d_mlp, found.ignored) == ("vaswani", 1, ())
        assert any("no MLP" in note for note in found.notes)
        torch.testing.assert_close(logits_of(found), net(prompts()), rtol=1e-4, atol=1e-4)


def answering(net):
    """The network with a head that answers a + b, fitted by least squares."""
    a, b = prompts(False).T
    net = randomized(net)
    wanted = torch.nn.functional.one_hot((a + b) % P).double()
    net.head.weight.copy_((torch.linalg.pinv(net.final(prompts())) @ wanted).T)
    assert (net(prompts()).argmax(1) == (a + b) % P).double().mean() > 0.7
    return net


@pytest.fixture
def wide(monkeypatch):
    """Networks wide enough to answer nearly all pairs with random weights."""
    monkeypatch.setattr(foreign_nets, "D", 64)
    monkeypatch.setattr(foreign_nets, "M", 256)


def test_norms_scales_and_positions_that_no_file_records_are_told_by_the_answers(wide):
    net = answering(Torch(1, rms(1e-6)))
    found = read(net.state_dict(), act="gelu", n_heads=H)
    assert (found.settings.rms, found.notes) == (
        True, ("RMSNorms add 1e-06 to the mean square, which the file does not record.",),
    )  # fmt: skip
    torch.testing.assert_close(logits_of(found), net(prompts()), rtol=0, atol=0.01)
    net = Torch()
    net.scale = 8.0  # the square root of d_model
    net = answering(net)
    found = read(net.state_dict(), act="gelu", n_heads=H)
    assert (found.settings.scaled, found.settings.rms, found.settings.sinusoidal) == (True, False, False)
    torch.testing.assert_close(logits_of(found), net(prompts()), rtol=0, atol=0.01)
    net = Torch()
    angles = [[pos / 10_000 ** (2 * i / 64) for i in range(32)] for pos in range(3)]
    stored = [[f(angle) for angle in row for f in (math.sin, math.cos)] for row in angles]
    net.final = lambda tokens: Torch.final(net, tokens)
    with torch.no_grad():
        randomized(net).pos_emb.weight.copy_(torch.tensor(stored))
    a, b = prompts(False).T
    net.head.weight.copy_((torch.linalg.pinv(net.final(prompts())) @ torch.eye(P).double()[(a + b) % P]).T)
    found = read(renamed(net.state_dict(), ("pos_emb.weight", "")), act="gelu", n_heads=H)
    assert (found.settings.sinusoidal, found.notes) == (True, ("No positions are stored: sinusoids were added.",))
    torch.testing.assert_close(logits_of(found), net(prompts()), rtol=0, atol=0.01)


def test_an_average_over_positions_is_refused_by_what_it_answers(wide, one_sentence):
    net = answering(Torch(pooled=True))
    with one_sentence("the last position", "averaged over all positions", "% of a + b"):
        read(net.state_dict(), act="gelu", n_heads=H)


def test_other_spellings_are_the_same_network(subtests):
    net = randomized(Torch())
    state = net.state_dict()
    q, k, v = state["blocks.0.attn.in_proj_weight"].unflatten(0, (3, H, -1))
    biases = state["blocks.0.attn.in_proj_bias"].unflatten(0, (3, H, -1))
    apart = {n: value for n, value in state.items() if "in_proj" not in n}
    apart |= {f"blocks.0.attn.heads.{i}.tril": torch.ones(3, 3).tril() for i in range(H)}
    for x, weight, bias in zip(("query", "key", "value"), (q, k, v), biases, strict=True):
        for i in range(H):
            apart |= {f"blocks.0.attn.heads.{i}.{x}.weight": weight[i], f"blocks.0.attn.heads.{i}.{x}.bias": bias[i]}
    head, factors = state["head.weight"], torch.arange(1, P + 1)[:, None]
    whole = {n: value for n, value in state.items() if n != "head.weight"}
    parts = [("weight_g", "weight_v"), [f"parametrizations.weight.original{i}" for i in range(2)]]
    normed = [{f"head.{g}": head.norm(dim=1, keepdim=True), f"head.{v}": head * factors} for g, v in parts]
    gains = (("weight", "gamma"), ("bias", "beta"))
    older = renamed(state, *((f"{n}.{a}", f"{n}.{b}") for n in ("ln1", "ln2", "ln_f") for a, b in gains))
    pairs = [
        renamed(
            state,
            ("blocks.0.attn.in_proj_", f"layers.0.0.{inner}to_qkv."),
            ("blocks.0.ln1", "layers.0.0.norm"),
            ("blocks.0.attn.out_proj", f"layers.0.0.{inner}to_out.0"),
            ("blocks.0.ln2", f"layers.0.1.{norm}"),
            ("blocks.0.mlp.net.0", f"layers.0.1.{inner}net.{first}"),
            ("blocks.0.mlp.net.2", f"layers.0.1.{inner}net.{first + 3}"),
            ("ln_f", "norm"),
            ("head", "to_logits"),
        )
        for inner, norm, first in (("", "net.0", 1), ("fn.", "norm", 0))
    ]
    for spelling in (apart, whole | normed[0], whole | normed[1], older, *pairs):
        with subtests.test(list(spelling)[-1]):
            found = read(spelling, act="gelu", **({} if spelling is apart else {"n_heads": H}))
            assert (found.ignored, found.settings.n_heads) == ((), H)
            torch.testing.assert_close(logits_of(found), net(prompts()), rtol=1e-6, atol=1e-6)
    raw = randomized(Dense(False)).state_dict()
    flax = {f"Dense_{i}.kernel": raw[name].T for i, name in enumerate(("l1.weight", "unembed.weight"))}
    flax |= {"Embed_0.embedding": raw["embed.weight"], "Dense_0.bias": raw["l1.bias"]}
    found = read(flax, act="relu")
    assert found.ignored == ()
    assert torch.equal(logits_of(found), logits_of(read(raw, act="relu")))


def test_tables_are_told_by_their_names_where_a_file_sorts_them():
    net = randomized(Torch())
    names = (("tok_emb", "embed_tokens"), ("pos_emb", "embed_positions"))
    state = dict(sorted(renamed(net.state_dict(), *names).items()))
    torch.testing.assert_close(logits_of(read(state, act="gelu", n_heads=H)), net(prompts()), rtol=1e-6, atol=1e-6)


def test_a_padded_vocabulary_is_found_from_the_answers(adder):
    state = foreign.to_state_dict(adder(11, (2, 3), n_heads=2))
    wide = {n: torch.nn.functional.pad(state[n], (0, 0, 0, 6)) for n in ("embed.W_E",)}
    wide |= {n: torch.nn.functional.pad(state[n], (0, 7)) for n in ("unembed.W_U", "unembed.b_U")}
    found = read(state | wide)
    assert (found.p, found.settings.equals) == (11, True)
    assert {"6 extra tokens were cut.", "7 extra logits were cut."} <= set(found.notes)
    fewer = read(state | {"embed.W_E": wide["embed.W_E"]})  # the logits tell p
    assert torch.equal(fewer.model(prompts(p=11)), found.model(prompts(p=11)))


def test_a_token_of_the_operation_may_stand_between_the_operands(adder):
    whole = foreign.to_state_dict(adder(11, (2, 3), n_heads=2))
    operation = torch.full((1, whole["embed.W_E"].shape[1]), 3.0)
    pos = torch.cat([torch.zeros_like(operation), -operation, torch.zeros(2, operation.shape[1])])
    whole |= {"pos_embed.W_pos": pos, "blocks.0.attn.W_O": whole["blocks.0.attn.W_O"] * 4 / 3}  # a mean over four
    numbers, equals = whole["embed.W_E"][:11], whole["embed.W_E"][11:]
    for first in (False, True):
        signs = (equals, operation) if first else (operation, equals)
        state = whole | {"embed.W_E": torch.cat([numbers, *signs])}
        for known in ({}, {"operator": True}, {"equals_first": first}):
            found = read(state, **known)
            assert (found.p, found.settings.operator, found.settings.equals_first) == (11, True, first)
            task = miii.ModularAddition(p=11, **found.prompt).build()
            assert (found.model(task.tokens)[:, -1].argmax(1) == task.labels).all()
            choice = miii.analysis.keys.of_model(found.model, task)
            assert choice.frequencies == (2, 3)
    deep = randomized(Lens(2))
    deep.embed.W_E, deep.pos_embed.W_pos = (torch.nn.Parameter(torch.randn(n, D).double()) for n in (P + 2, 4))
    found = read(deep.state_dict(), **GIVEN, operator=True, equals_first=True)
    a, b = prompts(False).T
    truth = deep(torch.stack([a, torch.full_like(a, P + 1), b, torch.full_like(a, P)], 1))
    tokens = miii.ModularAddition(p=P, **found.prompt).build().tokens
    torch.testing.assert_close(found.model.double()(tokens)[:, -1], truth, rtol=1e-6, atol=1e-6)


def test_tables_and_maps_of_dense_networks_have_many_names():
    net, raw = randomized(Tables()), randomized(OneHot())
    state, wanted = net.state_dict(), net(prompts(False))
    for changes in (
        (("W_x", "W_E_a"), ("W_y", "W_E_b"), ("W_U", "W_out")),
        (("W_x", "embeddings.0.weight"), ("W_y", "embeddings.1.weight")),
    ):
        torch.testing.assert_close(logits_of(read(renamed(state, *changes), act="relu")), wanted, rtol=1e-6, atol=1e-6)
    more = {name: torch.nn.functional.pad(state[name], (0, 0, 0, 1)) for name in ("W_x", "W_y")}  # a token "="
    torch.testing.assert_close(logits_of(read(state | more, act="relu")), wanted, rtol=1e-6, atol=1e-6)
    either = {"W1": raw.mlp.W_in.T, "W2": raw.mlp.W_out.T}  # [p, m] and [m, p]: which of them is p?
    found = read(either, act="square", p=P)
    torch.testing.assert_close(logits_of(found), raw(prompts(False)), rtol=1e-6, atol=1e-6)


def test_what_dense_networks_answer_tells_a_rare_activation_and_extra_tokens_and_logits():
    a, b = prompts(False).T
    first, second = torch.randn(2, 60, P, generator=torch.Generator().manual_seed(0)).double()
    bias = torch.linspace(-2, 2, 60).double()
    maps = {"left.weight": first, "left.bias": bias, "right.weight": second}  # a map of each operand
    tables = {"embed_a.weight": first.T, "embed_b.weight": second.T}
    tables = {name: torch.nn.functional.pad(value, (0, 0, 0, 2)) for name, value in tables.items()}
    tables |= {"l1.weight": torch.eye(60).double(), "l1.bias": bias}
    for act, extra, state, notes in (("silu", 0, maps, ()), ("relu", 1, tables, ("1 extra logit was cut.",))):
        hidden = getattr(torch.nn.functional, act)(first.T[a] + second.T[b] + bias)
        last = (torch.linalg.pinv(hidden) @ torch.nn.functional.one_hot((a + b) % P).double()).T
        found = read(state | {"out.weight": torch.nn.functional.pad(last, (0, 0, 0, extra))})
        assert (found.p, found.settings.act, found.ignored, found.notes) == (P, act, (), notes)
        torch.testing.assert_close(logits_of(found), hidden @ last.T, rtol=1e-4, atol=1e-4)


def test_miii_s_own_names_are_a_layout():
    config = ModelConfig(d_model=8, n_heads=2, d_mlp=12, biases="all", n_layers=2)
    model = Transformer(config, P + 1, P, 3, seed=0).requires_grad_(False)
    found = read(model.state_dict(), act="relu", causal=True)
    assert found.layout == "miii"
    assert torch.equal(found.model(prompts()), model(prompts()))


def test_names_of_all_layouts_are_listed_and_one_can_be_forced(one_sentence):
    assert (*(each.name for each in foreign.LAYOUTS), "dense") == foreign.NAMES
    state = randomized(Lens()).state_dict()
    assert recognize(unwrap(dict(state), "x"), Settings(**GIVEN), "transformer-lens").layout == "transformer-lens"
    with one_sentence("layout must be one of", "'lens'", "nanogpt"):
        recognize(unwrap(dict(state), "x"), layout="lens")
    with one_sentence("layout gpt2", "lacks", "wte", "embed.W_E 8 x 8"):
        recognize(unwrap(dict(state), "x"), layout="gpt2")
