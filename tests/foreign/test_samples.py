"""Networks of others, where their files are at hand: they have no license, so they are not in the repository."""

import os
from pathlib import Path

import pytest
import torch

from miii.analysis import keys
from miii.foreign import Claim, examine, read, to_state_dict

#: A folder with samples: ``MIII_NETWORKS``, or beside the repository.
PLACES = (os.environ.get("MIII_NETWORKS"), *(parent / "shared" / "reference" for parent in Path(__file__).parents[2:5]))
FOLDER = next((Path(place) for place in PLACES if place and Path(place).is_dir()), None)
#: File, layout, modulus, block, activation, and the key frequencies that the authors name or that were found by eye.
SAMPLES = {
    "third_party_c113_transformer.pt": ("transformer-lens", 113, "plain", "relu", None),
    "networks/nanda_layout_113.pt": ("notebook", 113, "plain", "relu", (14, 35, 41, 42, 52)),
    "networks/no_equals_sign_59.pt": ("notebook", 59, "plain", "relu", (3, 15, 17)),
    "networks/torch_layernorm_59.pt": ("torch", 59, "pre-norm", "gelu", (10, 12, 20, 21, 25)),
    "networks/mlp_only_113.pt": (
        "dense", 113, "feed-forward", "relu", (1, 4, 8, 11, 13, 16, 17, 22, 25, 32, 34, 44, 50),
    ),
}  # fmt: skip


@pytest.mark.skipif(FOLDER is None, reason="there are no samples")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_network_of_others_adds(name):
    assert FOLDER is not None
    if not (FOLDER / name).exists():
        pytest.skip("there is no such sample")
    layout, p, block, act, frequencies = SAMPLES[name]
    found = examine(read(FOLDER / name))
    model = found.recognized.model
    assert (found.recognized.layout, found.recognized.p, found.task.operation) == (layout, p, "add")
    assert (model.config.block, model.config.act) == (block, act)
    assert found.fitness.claimed.accuracy > 0.999
    assert found.fitness.warning is None
    assert frequencies in (None, keys.of_model(model, found.task.build()).frequencies)
    assert examine(read(FOLDER / name), Claim("mul")).fitness.likelier.name == "a + b"
    if layout == "notebook" and p == 59:
        assert (model.config.attn_coeff, found.task.equals) == (0.0, False)
    if layout == "transformer-lens":
        theirs = torch.load(FOLDER / name, map_location="cpu", weights_only=True)
        ours = to_state_dict(model)
        assert all(torch.equal(ours[weight], theirs[weight]) for weight in ours)
        assert found.recognized.ignored == ("x_embed", "y_embed")
