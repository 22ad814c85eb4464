"""The shape of a network: sizes, blocks and their wiring."""

from typing import Literal

from pydantic import Field, model_validator

from miii.errors import Frozen, InputError
from miii.model.wiring import BLOCKS, BlockName, MixerName, NormName, refusal

Act = Literal["relu", "gelu", "square", "tailored"]


class ModelConfig(Frozen):
    """The shape of a network. The default is that of Nanda et al.: attention and neurons, added, without norms.

    Raises:
        InputError: a size below 1, heads that do not divide the width, or a block, mixer and norm that do not fit.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 3 and appendix A; "square" is Gromov's (arXiv 2301.02679);
    blocks and mixers: ``wiring.BLOCKS``, ``wiring.MIXERS``.
    """

    n_layers: int = Field(1, ge=1, le=24, description="blocks, each a mixer of positions and an MLP")
    d_model: int = Field(128, ge=1, le=4096, description="width of the residual stream")
    n_heads: int = Field(4, ge=1, le=256, description="attention heads of a block; they divide d_model")
    d_mlp: int = Field(512, ge=1, le=16384, description="neurons of a block")
    act: Act = Field(
        "relu", description="activation of the neurons; tailored: a leaky ReLU with a slope that suits the depth"
    )
    biases: Literal["mlp", "all", "none"] = Field("mlp", description="linear maps that have a bias")
    positions: Literal["learned", "none", "frames"] = Field(
        "learned",
        description="vectors of the positions; frames: one for the step and one for the slot in its frame",
    )
    causal: bool = Field(True, description="whether a position sees only itself and earlier ones")
    block: BlockName = Field("plain", description="wiring of skips, norms and the mixer")
    norm: Literal["auto", "layer", "rms", "none"] = Field(
        "auto", description="norm of the block; auto: layer for vaswani and pre-norm, rms for the blocks of He et al."
    )
    mixer: MixerName = Field("attention", description="how positions exchange information")

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        if self.d_model % self.n_heads:
            raise InputError(
                f"n_heads must divide d_model (got n_heads {self.n_heads} and d_model {self.d_model}; "
                f"valid: {', '.join(str(n) for n in range(1, self.d_model + 1) if self.d_model % n == 0)})."
            )
        if why := refusal(self.block, self.mixer, self.norm, self.causal):
            raise InputError(why)
        return self

    @property
    def d_head(self) -> int:
        """The width of one head: d_model / n_heads."""
        return self.d_model // self.n_heads

    @property
    def norm_kind(self) -> NormName:
        """The norm, with auto resolved."""
        return BLOCKS[self.block].norm_kind if self.norm == "auto" else self.norm

    @property
    def plain(self) -> bool:
        """Whether parts simply add up in the residual stream: plain blocks with attention."""
        return self.block == "plain" and self.mixer == "attention"

    def must_be_plain(self, what: str) -> None:
        """Check that the network's parts simply add up.

        Args:
            what: the analysis that needs it.

        Raises:
            InputError: the blocks are not plain, or have another mixer than attention.
        """
        if not self.plain:
            raise InputError(
                f"model must have plain blocks with attention for {what}: the parts of others do not simply add up "
                f"(got block {self.block!r} and mixer {self.mixer!r})."
            )
