"""Exports: each format holds the network, by a forward pass of its own, and is read again."""

import json
import resource

import torch
from foreign_nets import Lens, Lens4, prompts
from safetensors.torch import load_file

from miii import ModelConfig, ModularAddition, Transformer
from miii.foreign import FORMATS, Settings, read, recognize, to_state_dict, write_file

SMALL = {"d_model": 8, "n_heads": 2, "d_mlp": 12}
P = 7


def network(seed=0, **changes):
    """A random network whose biases and gains are not those of the start."""
    model = Transformer(ModelConfig(**SMALL | changes), P + 1, P, 3, seed=seed).requires_grad_(False)
    for name, weight in model.named_parameters():
        if ".b_" in f".{name}" or "ln" in name:
            weight.normal_(generator=torch.Generator().manual_seed(len(name)))
    return model


def logits(model):
    return model(prompts())[:, -1]


def test_exported_weights_give_the_same_logits_in_the_format_s_own_forward():
    for make, format, changes in (
        (lambda: Lens(2), "transformer-lens", {"n_layers": 2, "biases": "all"}),
        (lambda: Lens(), "transformer-lens", {"biases": "none"}),
        (lambda: Lens(2, "LN", "gelu"), "transformer-lens", {"n_layers": 2, "block": "pre-norm", "act": "gelu"}),
        (Lens4, "transformer-lens-4", {"act": "gelu", "biases": "all"}),
        (Lens4, "transformer-lens-4", {"act": "gelu", "biases": "mlp"}),
    ):
        model, theirs = network(**changes), make()
        state = to_state_dict(model, format)
        theirs.load_state_dict(state)  # every name, and no other
        torch.testing.assert_close(theirs(prompts()), logits(model), rtol=1e-5, atol=1e-5)
        assert all(value.dtype == torch.float32 and value.is_contiguous() for value in state.values())


def test_every_format_is_read_again_as_the_same_network(tmp_path):
    for format in FORMATS:
        for changes in ({"biases": "mlp"}, {"biases": "all", "n_layers": 2, "block": "pre-norm"}):
            model = network(**changes)
            ends = (".safetensors", ".pt") if format != "hugging-face" else ("",)
            for end in ends:
                path = tmp_path / f"{format}-{len(changes)}{end}"
                write_file(model, path, format, ModularAddition(p=P))
                found = recognize(read(path), Settings(act="relu", n_heads=2, causal=True, lnpre=False))
                assert torch.equal(logits(found.model), logits(model))
                assert found.ignored == ()


def test_a_folder_holds_any_network_with_its_architecture(tmp_path, one_sentence):
    cases = ({"mixer": "gru", "act": "tailored"}, {"block": "sas"}, {"causal": False, "attn_coeff": 0.5})
    for i, changes in enumerate((*cases, {"norm": "rms", "block": "vaswani"})):
        model, path = network(**changes), tmp_path / str(i)
        write_file(model, path, "hugging-face", ModularAddition(p=P))
        assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.safetensors"]
        assert json.loads((path / "config.json").read_text())["model_type"] == "miii"
        found = recognize(read(path))
        assert found.model.config == model.config
        assert torch.equal(logits(found.model), logits(model))
    (path / "config.json").write_text(json.dumps({"model_type": "miii", "p": P, "d_mlp": 16384, "d_model": 4096}))
    with one_sentence("W_E must be 8 x 4096", "config.json", "got 8 x 8"):
        recognize(read(path))


def test_exports_are_copies():
    model = network()
    for format in FORMATS:
        for value in to_state_dict(model, format).values():
            value.zero_()
    assert model.W_E.any()


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, one_sentence):
    (tmp_path / "file.safetensors").touch()
    (tmp_path / "link.pt").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    for name, format, words in (
        ("w.npz", "transformer-lens", ("must end in .safetensors or .pt", "w.npz")),
        ("file.safetensors", "state-dict", ("does not exist yet",)),
        ("link.pt", "state-dict", ("does not exist yet",)),
        (".", "hugging-face", ("does not exist yet",)),
        ("no/folder/w.safetensors", "state-dict", ("could not be written",)),
        ("w.pt", "onnx", ("format must be one of transformer-lens", "'onnx'")),
    ):
        with one_sentence(*words):
            write_file(network(), tmp_path / name, format)
    for changes, words in (
        ({"block": "pre-norm", "norm": "rms"}, ("LayerNorm", "'rms'")),
        ({"block": "vaswani"}, ("plain", "'vaswani'")),
        ({"mixer": "mean"}, ("attention", "'mean'")),
        ({"causal": False, "attn_coeff": 0.0}, ("attention", "attn_coeff 0")),
    ):
        with one_sentence("TransformerLens", *words):
            write_file(network(**changes), tmp_path / "x.safetensors")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a full disk
    try:
        for name in ("w.safetensors", "w.pt"):
            with one_sentence(f"{name} could not be written"):
                write_file(network(), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "other").touch()
    for name, format in (("w.safetensors", "state-dict"), ("w.pt", "state-dict"), ("folder", "hugging-face")):
        write_file(network(), tmp_path / name, format)
    mode = (tmp_path / "other").stat().st_mode
    written = (tmp_path / "w.safetensors", tmp_path / "w.pt", tmp_path / "folder" / "model.safetensors")
    assert {path.stat().st_mode for path in written} == {mode}
    assert load_file(written[2]).keys() == load_file(written[0]).keys()
