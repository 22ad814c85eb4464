"""The table of layouts: where other people's transformers keep the weights that miii needs.

To add a layout, add a ``Layout`` to ``LAYOUTS``. An entry of ``tensors`` reads ``"names: axes"``, or
``"names: axes @i"`` for the i-th of several tensors stacked along the axis s.

names: a regular expression in which a dot is a dot, and # is the number of the block.

axes: as in einops: v d_vocab, n positions, d d_model, h heads, k d_head, m d_mlp, o logits, s stacked; ``(h k)`` is one
axis of h times k.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from miii.model.block import RMS_EPSILON


@dataclass(frozen=True)
class Place:
    """Where a layout keeps one of miii's weights, and its axes there."""

    names: re.Pattern[str]
    axes: str
    index: int | None = None

    @property
    def dims(self) -> tuple[tuple[str, ...], ...]:
        """The axes of each dimension: ``"d (h k)"`` is (("d",), ("h", "k"))."""
        return tuple(tuple(part.strip("()").split()) for part in re.findall(r"\([^)]*\)|\S+", self.axes))


@dataclass(frozen=True)
class Layout:
    """A way to lay out a transformer's weights in a file.

    Attributes:
        tensors: by miii's name of the weight, with # for the number of the block; biases and norms may be missing in
            a file. See the module's text.
        acts: plausible activations, the likeliest first.
        causal: whether attention is causal if nothing tells.
        mixed: whether attention may be mixed with a constant (``ModelConfig.attn_coeff``).
        tied: whether W_U is W_E transposed where it is missing.
        lnpre: whether there may be LayerNorms without weights.
        rms: whether norms without biases are RMSNorms; otherwise they are LayerNorms whose biases are 0. None if they
            may be either.
        epsilon: what RMSNorms add to the mean square if nothing tells.
        post: whether sums are normalized (block vaswani) in files with norms but no final one.
        loose: whether people name such modules as they like, so that shapes tell what names do not.
    """

    name: str
    about: str
    tensors: Mapping[str, str]
    acts: tuple[str, ...] = ("relu", "gelu", "square", "tanh")
    causal: bool = True
    mixed: bool = False
    tied: bool = False
    lnpre: bool = False
    rms: bool | None = None
    epsilon: float = RMS_EPSILON
    post: bool = False
    loose: bool = False

    def place(self, name: str) -> Place | None:
        """Return the place of a weight of miii's, such as ``blocks.0.W_Q``; None if the layout has no such weight."""
        block = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
        text = self.tensors.get(f"#.{block[2]}" if block else name)
        if text is None:
            return None
        names, _, axes = text.rpartition(": ")
        axes, _, index = axes.partition(" @")
        pattern = names.replace(".", r"\.").replace("#", block[1] if block else "")
        return Place(re.compile(pattern), axes, int(index) if index else None)

    def layer_of(self, name: str) -> int | None:
        """Return the number of the block whose W_in or W_O has this name in a file; None if it is neither."""
        for ours in ("#.W_in", "#.W_O"):
            names = self.tensors[ours].rpartition(": ")[0].replace(".", r"\.")
            if match := re.fullmatch(names.replace("#", r"(?P<layer>0|[1-9][0-9]{0,3})"), name):
                return int(match["layer"])
        return None


#: TransformerLens' names in a block; miii's own follow from them.
_LENS_BLOCK: Final = {
    **{f"#.W_{x}": f"blocks.#.attn.W_{x}: h d k" for x in "QKV"},
    **{f"#.b_{x}": f"blocks.#.attn.b_{x}: h k" for x in "QKV"},
    "#.W_O": "blocks.#.attn.W_O: h k d",
    "#.b_O": "blocks.#.attn.b_O: d",
    "#.W_in": "blocks.#.mlp.W_in: d m",
    "#.b_in": "blocks.#.mlp.b_in: m",
    "#.W_out": "blocks.#.mlp.W_out: m d",
    "#.b_out": "blocks.#.mlp.b_out: d",
    **{f"#.{ln}.{w}": f"blocks.#.{ln}.{w}: d" for ln in ("ln1", "ln2") for w in "wb"},
}
_LENS: Final = _LENS_BLOCK | {
    "W_E": "embed.W_E: v d",
    "W_pos": "pos_embed.W_pos: n d",
    "W_U": "unembed.W_U: d o",
    "b_U": "unembed.b_U: o",
    **{f"ln_final.{w}": f"ln_final.{w}: d" for w in "wb"},
}
_NOTEBOOK: Final = _LENS | {
    "W_E": "embed.W_E: d v",
    **{f"#.W_{x}": f"blocks.#.attn.W_{x}: h k d" for x in "QKV"},
    "#.W_O": "blocks.#.attn.W_O: d (h k)",
    "#.W_in": "blocks.#.mlp.W_in: m d",
    "#.W_out": "blocks.#.mlp.W_out: d m",
}
_MIII: Final = {
    name: text.replace("attn.", "").replace("mlp.", "") if name[0] == "#" else text.replace("pos_embed.", "")
    .replace("unembed.", "").replace("embed.", "")
    for name, text in _LENS.items()
}  # fmt: skip


def _modules(
    outer: dict[str, str],
    block: str,
    qkv: str | dict[str, str],
    out: str,
    mlp: tuple[str, str],
    norms: tuple[str, str],
    conv1d: bool = False,
) -> dict[str, str]:
    """Return the tensors of torch's modules, each with a ``weight`` [out, in] and a ``bias``.

    Args:
        outer: names of W_E, W_pos, W_U and ln_final.
        block: the prefix of a block.
        qkv: the name of the stacked query, key and value, or the name of each.
        conv1d: whether weights of linear maps in blocks are [in, out], as in GPT-2.
    """

    def linear(name: str, to: str, at: str) -> str:
        return f"{name}.weight: " + (f"{at} {to}" if conv1d else f"{to} {at}")

    found = {
        "W_E": f"{outer['W_E']}(.weight)?: v d",
        "W_pos": f"{outer['W_pos']}(.weight|.pe|.W_pos)?: n d",
        "W_U": f"{outer['W_U']}.weight: o d",
        "b_U": f"{outer['W_U']}.bias: o",
        "#.W_O": linear(block + out, "d", "(h k)"),
        "#.b_O": f"{block}{out}.bias: d",
        "#.W_in": linear(block + mlp[0], "m", "d"),
        "#.b_in": f"{block}{mlp[0]}.bias: m",
        "#.W_out": linear(block + mlp[1], "d", "m"),
        "#.b_out": f"{block}{mlp[1]}.bias: d",
    }
    for i, x in enumerate("QKV"):
        name, axes = (qkv, "(s h k)") if isinstance(qkv, str) else (qkv[x], "(h k)")
        at = f" @{i}" if isinstance(qkv, str) else ""
        found[f"#.W_{x}"] = linear(block + name, axes, "d") + at
        found[f"#.b_{x}"] = f"{block}{name}.bias: {axes}{at}"
    if isinstance(qkv, str) and qkv.endswith(IN_PROJ):  # MultiheadAttention: in_proj_weight, not in_proj.weight
        found |= {name: text.replace(f"{IN_PROJ}.", IN_PROJ) for name, text in found.items() if IN_PROJ in text}
    for name, theirs in (("#.ln1", block + norms[0]), ("#.ln2", block + norms[1]), ("ln_final", outer["ln_final"])):
        found |= {f"{name}.w": f"{theirs}.weight: d", f"{name}.b": f"{theirs}.bias: d"}
    return found


_SOME: Final = r"(\w+.)?"  # one more module around
IN_PROJ: Final = "in_proj_"
_ATTENTION: Final = "(attn|attention|self_attn|self_attention|mha|mhsa|sa)(.mha|.attn|.attention)?."
_OUTER: Final = {
    "W_E": "(tok|token|tokens|embed|emb|wte|embed_tokens|embed_in"
    "|(tok|token|input|word)_?emb(ed|edding|eddings)?(_table)?|embed(ding|dings))",
    "W_pos": "(pos|wpe|embed_positions|(pos|position|positional|positions)_?"
    "(emb|embed|embedder|embedding|embeddings|enc|encoder|encoding)(_table)?)",
    "W_U": "(head|unembed|unembedding|out|output|decoder|readout|classifier|to_logits|proj|fc|linear"
    "|(lm|output|out)_(head|layer|proj)|fc_out)",
    "ln_final": "(ln|norm|ln_f|norm_f|ln_final|norm_final|final_(norm|ln|layer_norm)|ln_out|out_norm|layer_norm|ln3"
    "|norm3)",
}
_FIRST: Final = "0|fc1|fc_1|linear1|linear_1|lin1|w1|up|up_proj|fc_in|c_fc|dense_h_to_4h"
_SECOND: Final = "2|3|fc2|fc_2|linear2|linear_2|lin2|w2|down|down_proj|fc_out|c_proj"
BLOCKS: Final = _SOME + "(blocks|block|layers|layer|h|transformer_blocks|encoder_layers).#."
_MLP: Final = _SOME + r"(net.|layers.|mlp.)?"
_STACKED: Final = "(to_)?qkv|qkv_proj|c_attn|Wqkv|in_proj"
_TORCH_ACTS: Final = ("gelu", "relu", "square", "tanh")
_LINEAR: Final = "([Ww]|[Ll]in|[Ll]inear|proj|fc|to)?_?", "_?(proj|projection|lin|linear|fc|net|layer)?"
_SEPARATE: Final = {
    x: f"{_ATTENTION}({_LINEAR[0]}({x}|{x.lower()}|{words}){_LINEAR[1]})"
    for x, words in (("Q", "query|queries"), ("K", "key|keys"), ("V", "value|values"))
}
_TORCH: Final[dict[str, Any]] = {
    "outer": {name: _SOME + text for name, text in _OUTER.items()},
    "block": BLOCKS,
    "out": f"{_ATTENTION}(out_proj|o_proj|c_proj|proj|out|[Ww]_?[oO]|to_out|to_out.0|o|output|out_linear)",
    "mlp": (f"{_MLP}({_FIRST})", f"{_MLP}({_SECOND})"),
    "norms": (
        "(ln1|ln_1|norm1|norm_1|attn_norm|attention_norm|ln_attn|input_layernorm)",
        "(ln2|ln_2|norm2|norm_2|mlp_norm|ff_norm|ffn_norm|ln_mlp|post_attention_layernorm)",
    ),
}
_GPT: Final[dict[str, Any]] = {
    "outer": {name: f"(transformer.)?{text}" for name, text in {
        "W_E": "wte", "W_pos": "wpe", "W_U": "lm_head", "ln_final": "ln_f",
    }.items()},
    "block": "(transformer.)?h.#.",
    "qkv": "attn.c_attn",
    "out": "attn.c_proj",
    "mlp": ("mlp.c_fc", "mlp.c_proj"),
    "norms": ("ln_1", "ln_2"),
}  # fmt: skip
_LENS_4: Final[dict[str, Any]] = {
    "outer": {"W_E": "embed", "W_pos": "pos_embed", "W_U": "unembed", "ln_final": "ln_final"},
    "block": "blocks.#.",
    "qkv": {x: f"attn.{x.lower()}" for x in "QKV"},
    "out": "attn.o",
    "mlp": ("mlp.in", "mlp.out"),
    "norms": ("ln1", "ln2"),
}

#: The layouts, tried in this order. Networks without attention are in ``dense``.
LAYOUTS: Final = (
    Layout("transformer-lens", "TransformerLens 1 to 3", _LENS, lnpre=True, rms=True, epsilon=1e-5),
    Layout("notebook", "the progress-measures notebook: transposed", _NOTEBOOK, mixed=True),
    Layout("transformer-lens-4", "TransformerLens 4", _modules(**_LENS_4), lnpre=True, rms=True, epsilon=1e-5),
    Layout("miii", "miii's own names", _MIII, rms=True),
    Layout(
        "nanogpt", "nanoGPT", _modules(**_GPT), ("gelu", "relu", "gelu-tanh", "square", "tanh"), tied=True, rms=False,
    ),
    Layout(
        "gpt2", "Hugging Face's GPT-2: Conv1D", _modules(**_GPT, conv1d=True),
        ("gelu-tanh", "gelu", "relu", "square", "tanh"), tied=True, rms=False,
    ),
    *(
        Layout(name, about, _modules(**_TORCH, qkv=qkv), _TORCH_ACTS, causal=False, tied=True, post=True, loose=True)
        for name, about, qkv in (
            ("torch", "torch's MultiheadAttention and LayerNorm", f"{_ATTENTION}{IN_PROJ}"),
            ("torch-stacked", "one linear map for queries, keys and values", f"{_ATTENTION}({_STACKED})"),
            ("torch-separate", "linear maps for queries, keys and values", _SEPARATE),
        )
    ),
)  # fmt: skip
