"""Blocks and mixers by name, and their compatibility."""

from dataclasses import dataclass
from typing import Literal

BlockName = Literal[
    "plain",
    "vaswani",
    "pre-norm",
    "spherical",
    "value-skipinit",
    "shaped",
    "sas",
    "sas-p",
    "no-shortcut",
    "feed-forward",
]
MixerName = Literal["attention", "convolution", "fourier-convolution", "gru", "recurrence", "mean", "concatenation"]
NormName = Literal["layer", "rms", "sphere", "none"]


@dataclass(frozen=True)
class Wiring:
    """How a block connects its parts.

    Attributes:
        about: a short description.
        norm: placement of norms: none ("none"), on the input of each part and of the unembedding ("pre"), or on each
            sum ("post").
        norm_kind: the default norm.
        shape: the attention matrix: A = softmax ("softmax"), alpha I + beta A ("value-skipinit"), alpha I + beta A -
            gamma C with C of zero queries ("shaped"), or diag(d) softmax(. + log(T / d)) with a target matrix T
            ("e-spa").
        skip, mlp_skip: whether the mixer, and the MLP, have a skip connection.
        projections: whether heads have W_V and W_O; otherwise both are the identity.
        parallel: whether the neurons read the mixer's input instead of its output.
        mlp_gain, mixer_gain: initial value of a trainable factor on the output of the MLP, and of the mixer.
        cosine: the logits are cosines times this factor: the residual stream and the columns of W_U have norm 1.

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
    cosine: float | None = None


#: The blocks. Vaswani et al. 2017 (arXiv 1706.03762), section 3.1; Xiong et al. 2020 (arXiv 2002.04745); Nanda et al.
#: 2023 (arXiv 2301.05217), appendix A; He et al. 2023 (arXiv 2302.10322); He and Hofmann 2023 (arXiv 2311.01906).
#: ``sas`` and ``sas-p`` deviate from the authors' code (bobby-he/simplified_transformers) in two points. There, the
#: first layer keeps trainable values; here every layer goes without, so a network of one layer has no values at all.
#: There, the gains of all branches can be trained, skips included; here that of the MLP, and in ``sas-p`` the mixer's.
#: ``spherical``: Yildirim 2026 (arXiv 2603.05228); the factor of the cosines is our choice.
BLOCKS: dict[BlockName, Wiring] = {
    "plain": Wiring("attention and neurons, each added to the stream; no norm"),
    "vaswani": Wiring("plain, and each sum is normalized (post-norm)", norm="post", norm_kind="layer"),
    "pre-norm": Wiring("plain, and the input of each part is normalized", norm="pre", norm_kind="layer"),
    "spherical": Wiring(
        "the embedding and each sum have norm 1, and logits are cosines: lengths carry no information",
        norm="post", norm_kind="sphere", cosine=10.0,
    ),
    "value-skipinit": Wiring(
        "no skip around attention, whose matrix is αI + βA, initially the identity",
        norm="pre", norm_kind="rms", shape="value-skipinit", skip=False,
    ),
    "shaped": Wiring(
        "no skip around attention, whose matrix is αI + βA − γC, initially the identity",
        norm="pre", norm_kind="rms", shape="shaped", skip=False,
    ),
    "sas": Wiring(
        "shaped attention without values and projections; a small weight on the neurons",
        norm="pre", norm_kind="rms", shape="shaped", skip=False, projections=False, mlp_gain=0.1,
    ),
    "sas-p": Wiring(
        "sas with attention and neurons in parallel, and no skip at all",
        norm="pre", norm_kind="rms", shape="shaped", skip=False, mlp_skip=False, projections=False, parallel=True,
        mlp_gain=0.1, mixer_gain=1.0,
    ),
    "no-shortcut": Wiring(
        "no skip, no norm: attention initialized for deep signal propagation (E-SPA)",
        shape="e-spa", skip=False, mlp_skip=False,
    ),
    "feed-forward": Wiring(
        "no skip, no norm, no projections: the mixer, then the neurons",
        skip=False, mlp_skip=False, projections=False,
    ),
}  # fmt: skip

#: Descriptions of the mixers (equations 4 to 6 of the draft paper). All read values with W_V and write with W_O.
MIXERS: dict[MixerName, str] = {
    "attention": "softmax(QKᵀ/√d) V: weights depend on the tokens",
    "convolution": "a learned kernel over positions for each channel",
    "fourier-convolution": "convolution, computed as a product of spectra",
    "gru": "torch's gated recurrent unit",
    "recurrence": "a linear recurrence, h ← a h + v, computed by a scan",
    "mean": "the mean of all visible positions: a baseline without weights",
    "concatenation": "head i copies position i: the tokens side by side, without weights",
}

#: The positions that a block computes: all, or only the last.
ALL, LAST = slice(None), slice(-1, None)


def refusal(block: BlockName, mixer: MixerName, norm: NormName | Literal["auto"], causal: bool) -> str | None:
    """Return why a block, mixer and norm are incompatible, in one sentence; None if they fit.

    E-SPA is defined for causal attention only (He et al. 2023, section 3.2).
    """
    wiring = BLOCKS[block]
    if wiring.shape != "softmax" and mixer != "attention":
        free = [name for name, each in BLOCKS.items() if each.shape == "softmax"]
        return (
            f"mixer must be attention for the block {block}, which shapes an attention matrix (got {mixer!r}; "
            f"{mixer} fits {', '.join(free)})."
        )
    if not causal and (mixer in ("gru", "recurrence") or wiring.shape == "e-spa"):
        which = f"block {block}" if wiring.shape == "e-spa" else f"mixer {mixer}"
        return f"causal must be true for the {which}, which goes from the first position to the last (got false)."
    if norm in ("auto", wiring.norm_kind):
        return None
    if wiring.norm_kind == "sphere":
        return f"norm must be auto for the block {block}, which divides each sum by its length (got {norm!r})."
    if wiring.norm == "none":
        return f"norm must be auto or none for the block {block}; vaswani and pre-norm have one (got {norm!r})."
    if norm == "none" and wiring.shape == "softmax":
        return f"norm must be auto, layer or rms for the block {block}, which is plain without (got 'none')."
    return None


def pairs() -> dict[BlockName, dict[MixerName, str | None]]:
    """Return ``refusal`` for every block and mixer."""
    return {block: {mixer: refusal(block, mixer, "auto", True) for mixer in MIXERS} for block in BLOCKS}
