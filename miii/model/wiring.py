"""Blocks and mixers by name: what a transformer may be made of, and which of them go together."""

from dataclasses import dataclass
from typing import Literal

BlockName = Literal["plain", "vaswani", "pre-norm", "value-skipinit", "shaped", "sas", "sas-p", "no-shortcut"]
MixerName = Literal["attention", "convolution", "fourier-convolution", "gru", "recurrence", "mean"]
NormName = Literal["layer", "rms", "none"]


@dataclass(frozen=True)
class Wiring:
    """How the parts of a block are put together.

    Attributes:
        about: the block in a few words.
        norm: where norms stand: nowhere, on what each part reads (and before the unembedding), or on each sum.
        norm_kind: which norm it has unless another is asked for.
        shape: what becomes of the attention matrix A: "softmax" leaves it; "value-skipinit" alpha I + beta A; "shaped"
            alpha I + beta A - gamma C, C the matrix of zero queries; "e-spa" diag(d) softmax(. + log(T / d)), T the
            target matrix of the layer.
        skip, mlp_skip: whether what was there is added to what the mixer, and what the neurons, write.
        projections: whether heads have W_V and W_O; else both are the identity.
        parallel: whether the neurons read what the mixer reads, and not what it wrote.
        mlp_gain: a trainable factor on what the neurons write, and its initial value.
        mixer_gain: the same for the mixer.

    Source: see ``BLOCKS``.
    """

    about: str
    norm: Literal["none", "pre", "post"] = "none"
    norm_kind: NormName = "none"
    shape: Literal["softmax", "value-skipinit", "shaped", "e-spa"] = "softmax"
    skip: bool = True
    mlp_skip: bool = True
    projections: bool = True
    parallel: bool = False
    mlp_gain: float | None = None
    mixer_gain: float | None = None


#: The blocks. Vaswani et al. 2017 (arXiv 1706.03762), section 3.1; Xiong et al. 2020 (arXiv 2002.04745); Nanda et al.
#: 2023 (arXiv 2301.05217), appendix A; He et al. 2023 (arXiv 2302.10322); He and Hofmann 2023 (arXiv 2311.01906).
BLOCKS: dict[BlockName, Wiring] = {
    "plain": Wiring("attention and neurons, each added; no norm"),
    "vaswani": Wiring("each sum is normalised (post-norm)", norm="post", norm_kind="layer"),
    "pre-norm": Wiring("what each part reads is normalised", norm="pre", norm_kind="layer"),
    "value-skipinit": Wiring(
        "no skip around attention: alpha I + beta A, begun at the identity",
        norm="pre", norm_kind="rms", shape="value-skipinit", skip=False,
    ),
    "shaped": Wiring(
        "no skip around attention: alpha I + beta A - gamma C, begun at the identity",
        norm="pre", norm_kind="rms", shape="shaped", skip=False,
    ),
    "sas": Wiring(
        "shaped attention without values and projections; a small weight on the neurons",
        norm="pre", norm_kind="rms", shape="shaped", skip=False, projections=False, mlp_gain=0.1,
    ),
    "sas-p": Wiring(
        "the same, attention and neurons side by side, no skip at all",
        norm="pre", norm_kind="rms", shape="shaped", skip=False, mlp_skip=False, projections=False, parallel=True,
        mlp_gain=0.1, mixer_gain=1.0,
    ),
    "no-shortcut": Wiring(
        "no skip, no norm: attention begun so that signals survive depth (E-SPA)",
        shape="e-spa", skip=False, mlp_skip=False,
    ),
}  # fmt: skip

#: The mixers, and each in a few words. Equations 4 to 6 of the draft paper; all read values W_V and write by W_O.
MIXERS: dict[MixerName, str] = {
    "attention": "softmax(Q K^T / sqrt d) V: who listens to whom depends on what is said",
    "convolution": "a learned kernel over positions, one a channel",
    "fourier-convolution": "the same, computed as a product of spectra",
    "gru": "torch's gated recurrent unit",
    "recurrence": "a linear recurrence, h <- a h + v, computed by a scan",
    "mean": "the mean of all that is visible: no weights, so what does attention add?",
}

#: What ``at`` says of the positions that a block computes: all of them, or the last alone.
ALL, LAST = slice(None), slice(-1, None)


def refusal(block: BlockName, mixer: MixerName, norm: NormName | Literal["auto"], causal: bool) -> str | None:
    """Why a block, a mixer and a norm do not go together, in one sentence; None where they do.

    Source: own design; E-SPA is defined for causal attention alone (He et al. 2023, section 3.2).
    """
    wiring = BLOCKS[block]
    if wiring.shape != "softmax" and mixer != "attention":
        free = [name for name, each in BLOCKS.items() if each.shape == "softmax"]
        return (
            f"mixer must be attention for the block {block}, which shapes an attention matrix (got {mixer!r}; "
            f"{mixer} goes with {', '.join(free)})."
        )
    if not causal and (mixer in ("gru", "recurrence") or wiring.shape == "e-spa"):
        which = f"block {block}" if wiring.shape == "e-spa" else f"mixer {mixer}"
        return f"causal must be true for the {which}, which goes from the first position to the last (got false)."
    if norm in ("auto", wiring.norm_kind):
        return None
    if wiring.norm == "none":
        return f"norm must be auto or none for the block {block}; vaswani and pre-norm have one (got {norm!r})."
    if norm == "none" and wiring.shape == "softmax":
        return f"norm must be auto, layer or rms for the block {block}, which is plain without (got 'none')."
    return None


def pairs() -> dict[BlockName, dict[MixerName, str | None]]:
    """For each block and each mixer why they do not go together; None where they do. Source: ``refusal``."""
    return {block: {mixer: refusal(block, mixer, "auto", True) for mixer in MIXERS} for block in BLOCKS}
