"""Parts of other people's networks that miii's do not have: each is refused by its name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from torch import Tensor

from miii.errors import InputError
from miii.foreign.names import NORM
from miii.foreign.unwrap import printable

BUFFERS: Final = re.compile(
    r"(.+\.)?((attn|attention|self_attn)\.(mask|IGNORE|bias|masked_bias|causal_mask)|tril|causal_mask)"
)
#: By a pattern of their names, what they belong to and what can be read.
PARTS: Final = {
    r"\.mlp\.[Wb]_gate|gate_proj|\.w3\.": ("a gated MLP", "plain MLPs"),
    r"experts": ("a mixture of experts", "plain MLPs"),
    r"rotary|inv_freq|(^|\.)rope\.": ("rotary position embeddings", "learned positions, or none,"),
    r"lora_|adapter": ("an adapter beside the weights (merge it first)", "networks without adapters"),
    r"multihead_attn|cross_?attn|cross_attention|crossattention|encoder_attn": (
        "attention to another sequence", "networks with one sequence",
    ),
    r"relative_|rel_pos|alibi": ("positions relative to one another", "learned positions, or none,"),
}  # fmt: skip
BLOCK: Final = re.compile(r"(.+\.)?(blocks|block|layers|layer|h|transformer_blocks|encoder_layers)\.\d+\.")


def check_names(unused: Sequence[str]) -> None:
    """Check that the names of tensors without a place in a layout tell no part that miii's networks lack.

    Raises:
        InputError: one does.
    """
    for name in unused:
        for pattern, (part, others) in PARTS.items():
            if re.search(pattern, name):
                raise InputError(
                    f"{printable(name)} belongs to {part}, which miii's networks do not have: only {others} can be "
                    "read."
                )
    for name in unused:
        if NORM.search(name):
            raise InputError(
                f"{printable(name)} belongs to a norm that miii's networks lack: only norms on the input of attention "
                "and MLP and at the end, or after each, can be read."
            )


def check_blocks(state: Mapping[str, Tensor], unused: Iterable[str]) -> None:
    """Check that no numbers of a block are left over, other than masks.

    Raises:
        InputError: some are.
    """
    for name in unused:
        value = state[name]
        if BLOCK.match(name) and value.is_floating_point() and value.ndim >= 1 and value.unique().numel() > 2:
            raise InputError(
                f"{printable(name)} belongs to a part of a block that miii's networks lack: only attention, an MLP of "
                "two maps, and their norms can be read."
            )
