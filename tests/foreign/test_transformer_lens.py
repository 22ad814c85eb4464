"""TransformerLens itself, in its own virtual environment, gives the same logits both ways (slow)."""

import json
import os
import shutil
import subprocess

import pytest
from foreign_nets import P, prompts
from safetensors.torch import load_file, save_file
from test_foreign_export import network

from miii.foreign import Settings, read, recognize, write_file


def logits(model):
    return model(prompts())


def settings(model):
    return Settings(act=model.config.act, causal=model.config.causal, lnpre=False)


CASES = {
    "none": {"biases": "none"},
    "mlp": {"biases": "mlp"},
    "all": {"biases": "all"},
    "two gelu blocks": {"biases": "all", "n_layers": 2, "act": "gelu"},
    "not causal": {"biases": "mlp", "n_layers": 2, "causal": False},
}

SCRIPT = """
import json, sys
from importlib.metadata import version
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig

folder = Path(sys.argv[1])
tokens = load_file(folder / "tokens.safetensors")["tokens"]

def build(facts):
    config = HookedTransformerConfig(**facts, normalization_type=None, dtype=torch.float32, device="cpu")
    return HookedTransformer(config)

for file in sorted(folder.glob("*.json")):
    model = build(json.loads(file.read_text()))
    keys = model.load_state_dict(load_file(file.with_suffix(".safetensors")), strict=False)
    assert not keys.unexpected_keys, keys.unexpected_keys
    assert all(name.endswith(("attn.mask", "attn.IGNORE")) for name in keys.missing_keys), keys.missing_keys
    with torch.no_grad():
        save_file({"logits": model(tokens)}, file.with_suffix(".logits"))
    # and the way back: a network of its own, with biases, as its users save it
    theirs = build({**json.loads(file.read_text()), "seed": 5})
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if ".b_" in name:
                weight.normal_()
        save_file({"logits": theirs(tokens)}, folder / f"{file.stem}.theirs-logits")
    save_file(theirs.state_dict(), folder / f"{file.stem}.theirs.safetensors")
    torch.save(theirs.state_dict(), folder / f"{file.stem}.theirs.pt")
print(json.dumps({"transformer_lens": version("transformer_lens"), "torch": torch.__version__}))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Logits of TransformerLens, in its own virtual environment, for our networks, and networks of its own."""
    from benchmarks.step import ENVIRONMENT, environment

    folder, venv = tmp_path_factory.mktemp("exchange"), tmp_path_factory.mktemp("venv")
    try:
        python = environment(venv / "venv")
        save_file({"tokens": prompts()}, folder / "tokens.safetensors")
        for case, changes in CASES.items():
            model = network(**changes)
            c = model.config
            facts = {"n_layers": c.n_layers, "d_model": c.d_model, "n_heads": c.n_heads, "d_head": c.d_head}
            facts |= {"d_mlp": c.d_mlp, "act_fn": c.act, "d_vocab": P + 1, "d_vocab_out": P, "n_ctx": 3}
            facts["attention_dir"] = "causal" if c.causal else "bidirectional"
            (folder / f"{case}.json").write_text(json.dumps(facts))
            write_file(model, folder / f"{case}.safetensors")
        done = subprocess.run(
            [str(python), "-c", SCRIPT, str(folder)], capture_output=True, text=True, env=os.environ | ENVIRONMENT
        )
        assert done.returncode == 0, done.stderr
        print(done.stdout.splitlines()[-1])
        yield folder
    finally:
        shutil.rmtree(venv)  # a gigabyte


@pytest.mark.slow
def test_transformer_lens_gives_the_same_logits_both_ways(answered):
    for case, changes in CASES.items():
        model = network(**changes)
        theirs = load_file(answered / f"{case}.logits")["logits"]
        assert theirs.abs().max() > 0.1
        assert (logits(model) - theirs).abs().max() <= 1e-5, f"{case}: exported"
        theirs = load_file(answered / f"{case}.theirs-logits")["logits"]
        for suffix in ("safetensors", "pt"):
            found = recognize(read(answered / f"{case}.theirs.{suffix}"), settings(model))
            assert found.ignored == ()
            assert (logits(found.model) - theirs).abs().max() <= 1e-5, f"{case}: imported from .{suffix}"
