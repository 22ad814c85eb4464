"""Networks and state dicts, good and bad, that the tests of external weights share."""

import warnings

import torch

from miii import ModelConfig, ModularAddition, Transformer
from miii.transformer_lens import (
    to_state_dict,
)

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


def normed_state(n_layers=1):
    """A state dict with LayerNorms whose gains and biases are random."""
    model = network(n_layers=n_layers, biases="all", block="pre-norm")
    for name, weight in model.named_parameters():
        if "ln" in name:
            weight.normal_(generator=torch.Generator().manual_seed(len(name)))
    return to_state_dict(model)


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
