"""TransformerLens' state dicts, read and written: by names written down here, and in TransformerLens itself (slow)."""

import collections
import hashlib
import json
import os
import pickle
import re
import resource
import shutil
import struct
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import miii
from miii import ModelConfig, ModularAddition, Transformer
from miii.transformer_lens import (
    accuracies,
    doubt,
    from_state_dict,
    import_run,
    left_out,
    likelier,
    read_file,
    to_state_dict,
    write_file,
)

ROOT = Path(__file__).parents[1]
THIRD_PARTY = ROOT.parent / "shared/reference/third_party_c113_transformer.pt"
P, SMALL = 7, {"d_model": 8, "n_heads": 2, "d_mlp": 12}
ADD = ModularAddition(p=P, train_fraction=None)


def network(seed=0, **changes):
    """A random network whose biases are not zero."""
    model = Transformer(ModelConfig(**SMALL | changes), P + 1, P, 3, seed=seed).requires_grad_(False)
    for name, weight in model.named_parameters():
        if ".b_" in f".{name}":
            weight.normal_(generator=torch.Generator().manual_seed(seed))
    return model


def state_dict(n_layers=1, **changes):
    """A HookedTransformer's state dict as TransformerLens 2 makes it, buffers and all."""
    state = to_state_dict(network(n_layers=n_layers, biases="all"))
    for layer in range(n_layers):
        state[f"blocks.{layer}.attn.mask"] = torch.ones(3, 3).tril().bool()
        state[f"blocks.{layer}.attn.IGNORE"] = torch.tensor(-torch.inf)
    return {**state, **changes}


def logits(model):
    return model(ModularAddition(p=P).build().tokens)


@pytest.fixture
def saved(tmp_path):
    """Writes a state dict to a file of that name."""

    def save(state, name="weights.safetensors"):
        (save_file if name.endswith(".safetensors") else torch.save)(state, tmp_path / name)
        return tmp_path / name

    return save


# ---- names and shapes ----

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


def normed_state(n_layers=1):
    """A state dict with LayerNorms whose gains and biases are random."""
    model = network(n_layers=n_layers, biases="all", block="pre-norm")
    for name, weight in model.named_parameters():
        if "ln" in name:
            weight.normal_(generator=torch.Generator().manual_seed(len(name)))
    return to_state_dict(model)


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


def without(*names):
    return {name: value for name, value in state_dict().items() if name not in names}


def changed(name, change):
    return state_dict(**{name: change(state_dict()[name])})


def narrow(dtype):
    return changed("blocks.0.mlp.W_in", lambda w: w.to(dtype))


def corrupted(name, number):
    def corrupt(value):
        value.view(-1)[-1] = number
        return value

    return changed(name, corrupt)


def resized(n_heads=2, d_head=4, d_vocab=8, d_vocab_out=7, n_ctx=3):
    qkv = {f"blocks.0.attn.W_{x}": torch.ones(n_heads, 8, d_head) for x in "QKV"}
    biases = {f"blocks.0.attn.b_{x}": torch.ones(n_heads, d_head) for x in "QKV"}
    return state_dict(
        **qkv,
        **biases,
        **{"blocks.0.attn.W_O": torch.ones(n_heads, d_head, 8), "embed.W_E": torch.ones(d_vocab, 8)},
        **{"pos_embed.W_pos": torch.ones(n_ctx, 8), "unembed.W_U": torch.ones(8, d_vocab_out)},
        **{"unembed.b_U": torch.ones(d_vocab_out)},
    )


def quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return state_dict(**{"embed.W_E": torch.quantize_per_tensor(torch.ones(8, 8), 0.1, 0, torch.qint8)})


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return state_dict(**{"embed.W_E": torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])})


BAD_STATE = {
    "nothing": (dict, ["lacks", "embed.W_E", "more"]),
    "no weight": (lambda: without("embed.W_E"), ["lacks embed.W_E"]),
    "no bias": (lambda: without("blocks.0.attn.b_Q", "unembed.b_U"), ["lacks", "blocks.0.attn.b_Q", "unembed.b_U"]),
    "no MLP": (lambda: {n: v for n, v in state_dict().items() if "mlp" not in n}, ["mlp.W_in"]),
    "a block left out": (
        lambda: {n.replace("blocks.0", "blocks.1"): v for n, v in state_dict().items()},
        ["blocks.0.attn"],
    ),
    "miii's own names": (lambda: dict(network().state_dict()), ["embed.W_E"]),
    "rank": (lambda: changed("embed.W_E", torch.flatten), ["embed.W_E", "d_vocab, d_model", "64"]),
    "no rank": (lambda: changed("unembed.W_U", torch.sum), ["unembed.W_U", "a single number"]),
    "rank of a bias": (lambda: changed("blocks.0.mlp.b_in", lambda b: b[None]), ["mlp.b_in", "12", "1 x 12"]),
    "transposed": (lambda: changed("blocks.0.mlp.W_in", lambda w: w.T), ["blocks.0.mlp.W_in", "8 x 8", "12 x 8"]),
    "inconsistent": (lambda: changed("blocks.0.attn.W_V", lambda w: w[:1]), ["attn.W_V", "2 x 8 x 4", "1 x 8 x 4"]),
    "d_head": (lambda: resized(d_head=3), ["d_head", "d_model", "2 heads of 3"]),
    "d_vocab": (lambda: resized(d_vocab=7), ["d_vocab", "p + 1 = 8", '"="', "token 7", "has 7"]),
    "d_vocab_out": (lambda: resized(d_vocab_out=9), ["d_vocab_out", "p = 7", "has 9"]),
    "d_vocab_out not set": (lambda: resized(d_vocab_out=8), ["d_vocab_out", "p = 7", "has 8", "not set"]),
    "n_ctx": (lambda: resized(n_ctx=5), ["n_ctx must be 3", "has 5"]),
    "no width": (lambda: changed("embed.W_E", lambda w: w[:, :0]), ["d_head"]),
    "no neurons": (lambda: changed("blocks.0.mlp.W_in", lambda w: w[:, :0]), ["d_mlp", "at least 1"]),
    "too deep": (lambda: state_dict(**{"blocks.9999.attn.W_Q": torch.ones(1)}), ["n_layers", "at most 24", "10000"]),
    "local": (lambda: changed("blocks.0.attn.mask", torch.zeros_like), ["blocks.0.attn.mask", "local attention"]),
    "a mask of numbers": (lambda: changed("blocks.0.attn.mask", torch.Tensor.float), ["blocks.0.attn.mask"]),
    "part of a LayerNorm": (
        lambda: state_dict(**{"blocks.0.ln1.w": torch.ones(8)}),
        ["lacks", "blocks.0.ln1.b", "ln_final.w", "holds", "embed.W_E"],
    ),
    "RMSNorm": (lambda: {n: v for n, v in normed_state().items() if ".ln" not in n or n[-1] == "w"}, ["lacks"]),
    "RMSNorms": (
        lambda: {n: v for n, v in normed_state().items() if "ln" not in n or n[-1] == "w"},
        ["ln_final.w", "no bias", "RMSNorm", "1e-5", "1e-6"],
    ),
    "norm of another width": (
        lambda: normed_state() | {"ln_final.w": torch.ones(9)},
        ["ln_final.w must be 8", "got 9"],
    ),
    "embedding's norm": (lambda: state_dict(**{"embed.ln.w": torch.ones(8)}), ["embed.ln.w", "ln1 and ln2"]),
    "norm after a part": (
        lambda: normed_state() | {"blocks.0.ln1_post.w": torch.ones(8)},
        ["blocks.0.ln1_post.w", "ln1 and ln2"],
    ),
    "norm of queries": (lambda: state_dict(**{"blocks.0.attn.q_norm.w": torch.ones(8)}), ["attn.q_norm.w"]),
    "norm in the MLP": (lambda: state_dict(**{"blocks.0.mlp.ln.w": torch.ones(8)}), ["mlp.ln.w", "lack"]),
    "gated": (lambda: state_dict(**{"blocks.0.mlp.W_gate": torch.ones(8, 12)}), ["blocks.0.mlp.W_gate", "a gated MLP"]),
    "experts": (
        lambda: state_dict(**{"blocks.0.mlp.experts.0.W_in": torch.ones(8, 12)}),
        ["experts.0.W_in", "a mixture of experts"],
    ),
    "integers": (lambda: narrow(torch.int32), ["blocks.0.mlp.W_in", "float32, float16", "int32"]),
    "complex": (lambda: narrow(torch.complex64), ["blocks.0.mlp.W_in", "complex64"]),
    "float8": (lambda: narrow(torch.float8_e4m3fn), ["blocks.0.mlp.W_in", "float8_e4m3fn"]),
    "NaN": (lambda: corrupted("unembed.W_U", torch.nan), ["unembed.W_U", "finite"]),
    "infinite": (lambda: corrupted("blocks.0.attn.b_O", -torch.inf), ["blocks.0.attn.b_O", "finite"]),
    "too large for float32": (lambda: changed("embed.W_E", lambda w: w.double() * 1e300), ["embed.W_E", "finite"]),
    "sparse": (lambda: changed("embed.W_E", torch.Tensor.to_sparse), ["embed.W_E", "dense", "sparse"]),
    "sparse, not needed": (lambda: state_dict(x=torch.ones(2, 2).to_sparse()), ["x must be", "sparse"]),
    "meta": (lambda: changed("embed.W_E", lambda w: w.to("meta")), ["embed.W_E", "dense", "meta"]),
    "huge meta": (lambda: {n: torch.empty(10**6, 10**6, device="meta") for n in state_dict()}, ["dense", "meta"]),
    "quantized": (quantized, ["embed.W_E", "dense", "quantized"]),
    "nested": (nested, ["embed.W_E", "dense", "nested"]),
}


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


# ---- files ----


def test_a_file_is_read_as_it_was_written(saved, tmp_path, same):
    state = state_dict(n_layers=2)
    for name in ("w.safetensors", "w.pt", "w.pth", "W.PT"):
        assert same(read_file(str(saved(state, name))), state)
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=False)  # torch's old format
    assert same(read_file(tmp_path / "w.pt"), state)
    torch.save(network().state_dict(), tmp_path / "w.pt")  # an OrderedDict with _metadata
    assert same(read_file(tmp_path / "w.pt"), dict(network().state_dict()))


def test_tensors_may_share_memory(saved):
    state = state_dict()
    state["x_embed"] = state["embed.W_E"]
    state["part"] = state["embed.W_E"][2:5]
    assert from_state_dict(read_file(saved(state, "w.pt")), P)[1] == ("x_embed", "part")


class Evil:
    """Unpickled by Python itself, it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


def cut(part):
    def make(path):
        (save_file if path.suffix == ".safetensors" else torch.save)(state_dict(), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * len(whole))])

    return make


def content(value):
    return lambda path: torch.save(value, path)


def raw(data):
    return lambda path: path.write_bytes(data)


def header(value, data=b""):
    text = json.dumps(value).encode()
    return raw(struct.pack("<Q", len(text)) + text + data)


def bomb(path):
    """A torch file whose tensor is a hundred megabytes of zeros, compressed to a few kilobytes."""
    torch.save({"embed.W_E": torch.zeros(25_000_000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert path.stat().st_size < 1_000_000


def script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))


BAD_FILE = {
    "missing.pt": (lambda path: None, ["file must exist", "missing.pt"]),
    "folder.pt": (Path.mkdir, ["not a folder", "folder.pt"]),
    "pipe.pt": (os.mkfifo, ["not a folder or a device", "pipe.pt"]),
    "weights.bin": (content(state_dict()), [".safetensors or .pt or .pth", "weights.bin"]),
    "weights": (content(state_dict()), [".safetensors", "'weights'"]),
    "empty.pt": (raw(b""), ["empty.pt"]),
    "empty.safetensors": (raw(b""), ["empty.safetensors"]),
    "truncated.pt": (cut(0.5), ["truncated.pt"]),
    "nearly whole.pt": (cut(0.99), ["nearly whole.pt"]),
    "truncated.safetensors": (cut(0.5), ["truncated.safetensors"]),
    "noise.pt": (raw(bytes(range(256)) * 40), ["noise.pt"]),
    "text.pt": (raw(b"hello there\n" * 9), ["text.pt"]),
    "zip.pt": (lambda path: zipfile.ZipFile(path, "w").close(), ["zip.pt"]),
    "code.pt": (content({"embed.W_E": Evil()}), ["code.pt", "tensors and nothing else"]),
    "all code.pt": (content(Evil()), ["all code.pt", "tensors and nothing else"]),
    "pickle.pt": (raw(pickle.dumps(Evil())), ["pickle.pt"]),
    "protocol 4.pt": (raw(pickle.dumps({"a": 1}, protocol=4)), ["protocol 4.pt"]),
    "module.pt": (content(network()), ["module.pt", "tensors and nothing else"]),
    "script.pt": (script, ["script.pt"]),
    "bomb.pt": (bomb, ["bomb.pt", "unpack", "its own size"]),
    "list.pt": (content([torch.ones(2)]), ["list.pt", "by name", "got list"]),
    "tensor.pt": (content(torch.ones(2)), ["tensor.pt", "by name", "got Tensor"]),
    "nested dict.pt": (content({"model": state_dict(), "seed": 1}), ["nested dict.pt", "dict under model"]),
    "number.pt": (content(state_dict(p=113)), ["number.pt", "int under p"]),
    "text among tensors.pt": (content(state_dict(**{"a\nb": "x"})), ["str under a?b"]),
    "numbered.pt": (content({0: torch.ones(2)}), ["Tensor under 0"]),
    "repeated.pt": (content(state_dict(x=torch.zeros(1).expand(2**40))), ["x must have all its numbers", "repeated"]),
    "sparse.pt": (content(state_dict(x=torch.ones(2, 2).to_sparse())), ["x must be", "sparse"]),
    "rows.pt": (lambda path: torch.save(state_dict(x=torch.ones(2, 2).to_sparse_csr()), path), ["x must be", "sparse"]),
    "meta.pt": (content(state_dict(x=torch.empty(10**6, 10**6, device="meta"))), ["x must be", "meta"]),
    "quantized.pt": (lambda path: torch.save(quantized(), path), ["embed.W_E", "quantized"]),
    "a pickle.safetensors": (content(state_dict()), ["a pickle.safetensors"]),
    "huge header.safetensors": (raw(struct.pack("<Q", 2**60) + b"{}"), ["huge header"]),
    "huge shape.safetensors": (
        header({"x": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 4]}}, b"1234"),
        ["huge"],
    ),
    "overflow.safetensors": (
        header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"),
        ["overflow.safetensors"],
    ),
    "dtype.safetensors": (header({"x": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), ["dtype"]),
    "list.safetensors": (header([1, 2]), ["list.safetensors"]),
    "overlap.safetensors": (
        header({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "xy"}, b"1234"),
        ["overlap.safetensors"],
    ),
}


def test_a_file_without_a_state_dict_is_refused(tmp_path, monkeypatch, capfd, one_sentence, subtests):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, while the files are made
        for name, (make, _) in BAD_FILE.items():
            make(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    for name, (_, words) in BAD_FILE.items():
        with subtests.test(name), one_sentence(*words):
            import_run(tmp_path / name, tmp_path / "run", ADD)
    assert capfd.readouterr() == ("", "")
    assert sorted(tmp_path.rglob("*")) == before


def test_safetensors_alone_on_request(saved, tmp_path, one_sentence, monkeypatch):
    files = [saved(state_dict(), name) for name in ("w.pt", "w.pth", "W.PT")]
    torch.save(Evil(), tmp_path / "evil.safetensors")
    monkeypatch.setattr(torch, "load", pytest.fail)
    for file in files:
        with one_sentence("file must end in .safetensors (", file.name):
            read_file(file, allow_pt=False)
    with one_sentence("file must end in .safetensors ("):
        import_run(files[0], tmp_path / "run", ADD, allow_pt=False)
    with one_sentence("evil.safetensors", "not a readable safetensors file"):
        read_file(tmp_path / "evil.safetensors", allow_pt=False)
    assert read_file(saved(state_dict()), allow_pt=False).keys() == state_dict().keys()


def test_reading_a_file_shows_no_warning_of_torch(saved, capfd):
    state = state_dict()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_file(saved(state, "w.pt"))
    assert caught == []
    assert capfd.readouterr() == ("", "")


def test_a_written_file_is_read_again(tmp_path):
    model = network(biases="none")
    write_file(model, tmp_path / "w.safetensors")
    again, extras = from_state_dict(read_file(tmp_path / "w.safetensors"), P)
    assert torch.equal(logits(again), logits(model))
    assert extras == ()
    (tmp_path / "other").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, one_sentence):
    (tmp_path / "file.safetensors").touch()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    taken = "does not exist yet"
    for name, word in (
        *(("w.pt", "w.pt"), ("w", ".safetensors"), ("file.safetensors", taken), ("folder.safetensors", taken)),
        *(("link.safetensors", taken), ("no/folder/w.safetensors", "could not be written: No such file or directory")),
    ):
        with one_sentence(word):
            write_file(network(), tmp_path / name)
    for changes, words in (
        ({"block": "pre-norm", "norm": "rms"}, ("LayerNorm", "'rms'")),
        ({"block": "vaswani"}, ("plain", "'vaswani'")),
        ({"mixer": "mean"}, ("attention", "'mean'")),
    ):
        with one_sentence("TransformerLens", *words):
            write_file(network(**changes), tmp_path / "x.safetensors")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a full disk
    try:
        with one_sentence("w.safetensors could not be written"):
            write_file(network(), tmp_path / "w.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.rglob("*")) == before


# ---- runs ----


def test_an_imported_run_is_the_network_of_the_file_with_its_origin(saved, tmp_path):
    state = state_dict(n_layers=2, extra=torch.ones(2))
    for name in ("w.safetensors", "w.pt"):
        file = saved(state, name)
        run, extras = import_run(file, tmp_path / f"out-{name}", ADD, act="gelu")
        assert extras == ("extra",)
        model = ModelConfig(**SMALL, n_layers=2, act="gelu", biases="all", causal=True)
        assert run.config == miii.RunConfig(task=ADD, model=model)
        assert torch.equal(logits(run.model()), logits(from_state_dict(state, P, "gelu")[0]))
        origin = run.provenance
        assert (origin["format"], origin["file"]) == ("transformer-lens", name)
        assert origin["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert run.imported
        assert str(tmp_path) not in (run.folder / "provenance.json").read_text()
        json.loads((run.folder / "metrics.jsonl").read_text(), parse_constant=pytest.fail)


def test_a_trained_run_comes_back_with_its_numbers(small_run, small_config, saved, tmp_path):
    """Written out and read in again, with the split that it was trained on."""
    file = saved(to_state_dict(small_run.model()))
    run, _ = import_run(file, tmp_path / "again", small_run.config.task, act=small_run.config.model.act)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert run.result[name] == pytest.approx(small_run.result[name], rel=1e-6)
    assert run.rows()[0]["weight_norm"] == pytest.approx(small_run.rows()[-1]["weight_norm"], rel=1e-6)


def test_nothing_is_written_for_a_file_that_does_not_fit(saved, tmp_path, one_sentence):
    for kind in ("NaN", "d_vocab", "no weight"):
        make, words = BAD_STATE[kind]
        file = saved(make(), "w.pt")
        with one_sentence(*words):
            import_run(file, tmp_path / "a" / "run", ADD)
        assert list(tmp_path.iterdir()) == [file]


def test_an_existing_out_is_left_alone(saved, run_copy, one_sentence, tree):
    before = tree(run_copy)
    with one_sentence("out", str(run_copy)):
        import_run(saved(state_dict()), run_copy, ADD)
    assert tree(run_copy) == before


def test_an_import_with_an_unknown_split_cannot_be_trained(saved, tmp_path, one_sentence):
    run, _ = import_run(saved(state_dict()), tmp_path / "out", ADD)
    with one_sentence("nothing to resume"):
        miii.runs.resume(run.folder)
    with one_sentence("train_fraction must be a number in (0, 1) for training"):
        miii.runs.record(tmp_path / "more", miii.train(run.config))
    assert not (tmp_path / "more").exists()


def test_a_claim_is_tried_against_every_operation(adder, saved, tmp_path):
    """The claimed task comes first; below 95% there is a doubt that names what fits better, if anything does."""
    adds, generator = to_state_dict(adder(11, (2, 3), n_heads=2)), torch.Generator().manual_seed(3)
    noise = {name: torch.randn(value.shape, generator=generator) for name, value in adds.items()}
    for claim, state, word in (("add", adds, None), ("mul", adds, "100.0% as add"), ("sub", noise, "act square")):
        task = ModularAddition(operation=claim, p=11, train_fraction=None)
        run, _ = import_run(saved(state), tmp_path / claim, task, act="square")
        found = accuracies(run)
        assert next(iter(found)) == claim
        assert found.keys() == {"add", "sub", "mul", "quadratic", "shuffled", "relabelled"}
        assert found[claim] == pytest.approx(run.rows()[0]["accuracy"])
        assert (found["add"] == 1) == (state is adds)
        said = doubt(run, found)
        assert said is None if word is None else word in said
        assert likelier(found) == ("add" if claim == "mul" else None)
        assert (run.seed, miii.runs.row(run)["seed"]) == (None, None)
    known, _ = import_run(saved(adds), tmp_path / "known", ModularAddition(p=11, seed=4), act="square")
    assert (known.seed, miii.runs.row(known)["seed"]) == (4, 4)


# ---- an external network ----


@pytest.mark.skipif(not THIRD_PARTY.exists(), reason="the weights have no license, so they are not in the repository")
def test_an_external_network_adds_modulo_113(tmp_path):
    task = ModularAddition(p=113, train_fraction=None)
    run, extras = import_run(THIRD_PARTY, tmp_path / "c113", task)
    assert extras == ("x_embed", "y_embed")
    assert run.config.model == ModelConfig(n_layers=1, d_model=128, n_heads=4, d_mlp=512, act="relu", biases="all")
    assert run.rows()[0]["accuracy"] == 1.0
    assert run.rows()[0]["loss"] < 1e-6
    assert {name: round(value, 2) for name, value in accuracies(run).items()} == dict.fromkeys(
        ("add", "sub", "mul", "quadratic", "shuffled", "relabelled"), 0.01
    ) | {"add": 1.0}
    assert miii.analysis.fourier.embedding_spectrum(run.model(), 113).key_frequencies == (16, 30, 56)
    theirs = torch.load(THIRD_PARTY, map_location="cpu", weights_only=True)
    ours = to_state_dict(run.model())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert theirs.keys() - ours.keys() == {*extras, "blocks.0.attn.mask", "blocks.0.attn.IGNORE"}


# ---- TransformerLens itself ----

CASES = {
    "none": {"biases": "none"},
    "mlp": {"biases": "mlp"},
    "all": {"biases": "all"},
    "two gelu blocks": {"biases": "all", "n_layers": 2, "act": "gelu"},
    "not causal": {"biases": "mlp", "n_layers": 2, "causal": False},
}

SCRIPT = """
import json, sys
from importlib.metadata import version
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig

folder = Path(sys.argv[1])
tokens = load_file(folder / "tokens.safetensors")["tokens"]

def build(facts):
    config = HookedTransformerConfig(**facts, normalization_type=None, dtype=torch.float32, device="cpu")
    return HookedTransformer(config)

for file in sorted(folder.glob("*.json")):
    model = build(json.loads(file.read_text()))
    keys = model.load_state_dict(load_file(file.with_suffix(".safetensors")), strict=False)
    assert not keys.unexpected_keys, keys.unexpected_keys
    assert all(name.endswith(("attn.mask", "attn.IGNORE")) for name in keys.missing_keys), keys.missing_keys
    with torch.no_grad():
        save_file({"logits": model(tokens)}, file.with_suffix(".logits"))
    # and the way back: a network of its own, with biases, as its users save it
    theirs = build({**json.loads(file.read_text()), "seed": 5})
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if ".b_" in name:
                weight.normal_()
        save_file({"logits": theirs(tokens)}, folder / f"{file.stem}.theirs-logits")
    save_file(theirs.state_dict(), folder / f"{file.stem}.theirs.safetensors")
    torch.save(theirs.state_dict(), folder / f"{file.stem}.theirs.pt")
print(json.dumps({"transformer_lens": version("transformer_lens"), "torch": torch.__version__}))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Logits of TransformerLens, in its own virtual environment, for our networks, and networks of its own."""
    from benchmarks.step import ENVIRONMENT, environment

    folder, venv = tmp_path_factory.mktemp("exchange"), tmp_path_factory.mktemp("venv")
    try:
        python = environment(venv / "venv")
        save_file({"tokens": ModularAddition(p=P).build().tokens}, folder / "tokens.safetensors")
        for case, changes in CASES.items():
            model = network(**changes)
            c = model.config
            facts = {"n_layers": c.n_layers, "d_model": c.d_model, "n_heads": c.n_heads, "d_head": c.d_head}
            facts |= {"d_mlp": c.d_mlp, "act_fn": c.act, "d_vocab": P + 1, "d_vocab_out": P, "n_ctx": 3}
            facts["attention_dir"] = "causal" if c.causal else "bidirectional"
            (folder / f"{case}.json").write_text(json.dumps(facts))
            save_file(to_state_dict(model), folder / f"{case}.safetensors")
        done = subprocess.run(
            [str(python), "-c", SCRIPT, str(folder)], capture_output=True, text=True, env=os.environ | ENVIRONMENT
        )
        assert done.returncode == 0, done.stderr
        print(done.stdout.splitlines()[-1])
        yield folder
    finally:
        shutil.rmtree(venv)  # a gigabyte


@pytest.mark.slow
def test_transformer_lens_gives_the_same_logits_both_ways(answered, tmp_path):
    for case, changes in CASES.items():
        model = network(**changes)
        theirs = load_file(answered / f"{case}.logits")["logits"]
        assert theirs.abs().max() > 0.1
        assert (logits(model) - theirs).abs().max() <= 1e-5, f"{case}: exported"
        theirs = load_file(answered / f"{case}.theirs-logits")["logits"]
        for suffix in ("safetensors", "pt"):
            file, out = answered / f"{case}.theirs.{suffix}", tmp_path / f"{case}-{suffix}"
            run, extras = import_run(file, out, ADD, act=model.config.act, causal=model.config.causal)
            assert extras == ()
            assert (logits(run.model()) - theirs).abs().max() <= 1e-5, f"{case}: imported from .{suffix}"
