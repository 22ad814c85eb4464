"""Network architecture: sizes, blocks and wiring."""

from typing import Literal

from pydantic import Field, model_validator

from miii.errors import Frozen, InputError
from miii.model.wiring import BLOCKS, BlockName, MixerName, NormName, refusal

Act = Literal["relu", "gelu", "gelu-tanh", "silu", "sigmoid", "square", "tanh", "identity", "tailored"]


class ModelConfig(Frozen):
    """The architecture of a network. Defaults follow Nanda et al.: residual attention and MLP, without norms.

    Raises:
        InputError: a size below 1, n_heads that does not divide d_model, or an incompatible block, mixer and norm.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 3 and appendix A; "square" is Gromov's (arXiv 2301.02679);
    blocks and mixers: ``wiring.BLOCKS``, ``wiring.MIXERS``; ``attn_coeff``: Zhong et al. 2023 (arXiv 2306.17844).
    """

    n_layers: int = Field(1, ge=1, le=24, description="number of blocks, each a token mixer and an MLP")
    d_model: int = Field(128, ge=1, le=4096, description="width of the residual stream")
    n_heads: int = Field(4, ge=1, le=256, description="attention heads per block; must divide d_model")
    d_mlp: int = Field(512, ge=1, le=16384, description="neurons per block")
    act: Act = Field(
        "relu",
        description="activation of the neurons; gelu-tanh: GPT-2's approximation; tailored: a leaky ReLU with a "
        "depth-dependent slope",
    )
    biases: Literal["mlp", "all", "none"] = Field("mlp", description="which linear maps have a bias")
    positions: Literal["learned", "none", "frames"] = Field(
        "learned",
        description="position embeddings; frames: one per frame plus one per slot in the frame",
    )
    causal: bool = Field(True, description="each position sees only itself and earlier ones")
    init: Literal["default", "glorot"] = Field(
        "default", description="initial weights; glorot: normal with variance 2 / (rows + columns)"
    )
    init_scale: float = Field(1.0, gt=0, le=100, description="factor on all initial weights except biases and gains")
    block: BlockName = Field("plain", description="wiring of skips, norms and the mixer")
    norm: Literal["auto", "layer", "rms", "none"] = Field(
        "auto", description="norm of the block; auto: layer for vaswani and pre-norm, rms for the blocks of He et al."
    )
    mixer: MixerName = Field("attention", description="how positions exchange information")
    attn_coeff: float = Field(
        1.0, ge=0, le=1, description="weight c of softmax attention A in c A + (1 - c); at 0, values are summed"
    )

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        if self.d_model % self.n_heads:
            raise InputError(
                f"n_heads must divide d_model (got n_heads {self.n_heads} and d_model {self.d_model}; "
                f"valid: {', '.join(str(n) for n in range(1, self.d_model + 1) if self.d_model % n == 0)})."
            )
        if why := refusal(self.block, self.mixer, self.norm, self.causal):
            raise InputError(why)
        plain_softmax = self.mixer == "attention" and BLOCKS[self.block].shape == "softmax" and not self.causal
        if self.attn_coeff != 1 and not plain_softmax:
            raise InputError(
                "attn_coeff must be 1 unless the network has softmax attention that is not causal "
                f"(got {self.attn_coeff} with mixer {self.mixer}, block {self.block}, causal {self.causal})."
            )
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
        """Whether the residual stream is a plain sum of components: plain blocks with softmax attention."""
        return self.block == "plain" and self.mixer == "attention" and self.attn_coeff == 1

    def must_be_plain(self, what: str) -> None:
        """Check that the network is ``plain``.

        Args:
            what: the analysis that requires it.

        Raises:
            InputError: the blocks are not plain, or the mixer is not attention.
        """
        if not self.plain:
            raise InputError(
                f"model must have plain blocks with attention for {what}: the parts of others do not simply add up "
                f"(got block {self.block!r}, mixer {self.mixer!r} and attn_coeff {self.attn_coeff:g})."
            )
