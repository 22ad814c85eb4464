"""A fixture that the tests of other people's weights share."""

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def saved(tmp_path):
    """Writes a state dict to a file of that name."""

    def save(state, name="weights.safetensors"):
        (save_file if name.endswith(".safetensors") else torch.save)(state, tmp_path / name)
        return tmp_path / name

    return save
