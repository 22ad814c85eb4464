"""Imported runs, an external network, and TransformerLens itself (slow)."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tl_states import ADD, BAD_STATE, SMALL, P, logits, network, state_dict

import miii
from miii import ModelConfig, ModularAddition
from miii.transformer_lens import (
    accuracies,
    doubt,
    from_state_dict,
    import_run,
    likelier,
    to_state_dict,
)

ROOT = Path(__file__).parents[2]
THIRD_PARTY = ROOT.parent / "shared/reference/third_party_c113_transformer.pt"


# ---- runs ----


def test_an_imported_run_is_the_network_of_the_file_with_its_origin(saved, tmp_path):
    state = state_dict(n_layers=2, extra=torch.ones(2))
    for name in ("w.safetensors", "w.pt"):
        file = saved(state, name)
        run, extras = import_run(file, tmp_path / f"out-{name}", ADD, act="gelu")
        assert extras == ("extra",)
        model = ModelConfig(**SMALL, n_layers=2, act="gelu", biases="all", causal=True)
        assert run.config == miii.RunConfig(task=ADD, model=model)
        assert torch.equal(logits(run.model()), logits(from_state_dict(state, P, "gelu")[0]))
        origin = run.provenance
        assert (origin["format"], origin["file"]) == ("transformer-lens", name)
        assert origin["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert run.imported
        assert str(tmp_path) not in (run.folder / "provenance.json").read_text()
        json.loads((run.folder / "metrics.jsonl").read_text(), parse_constant=pytest.fail)


def test_a_trained_run_comes_back_with_its_numbers(small_run, small_config, saved, tmp_path):
    """Written out and read in again, with the split that it was trained on."""
    file = saved(to_state_dict(small_run.model()))
    run, _ = import_run(file, tmp_path / "again", small_run.config.task, act=small_run.config.model.act)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert run.result[name] == pytest.approx(small_run.result[name], rel=1e-6)
    assert run.rows()[0]["weight_norm"] == pytest.approx(small_run.rows()[-1]["weight_norm"], rel=1e-6)


def test_nothing_is_written_for_a_file_that_does_not_fit(saved, small_run, tmp_path, one_sentence, tree):
    before = tree(small_run.folder)
    with one_sentence("out", str(small_run.folder)):
        import_run(saved(state_dict()), small_run.folder, ADD)
    assert tree(small_run.folder) == before
    (tmp_path / "weights.safetensors").unlink()
    for kind in ("NaN", "d_vocab", "no weight"):
        make, words = BAD_STATE[kind]
        file = saved(make(), "w.pt")
        with one_sentence(*words):
            import_run(file, tmp_path / "a" / "run", ADD)
        assert list(tmp_path.iterdir()) == [file]


def test_an_import_with_an_unknown_split_cannot_be_trained(saved, tmp_path, one_sentence):
    run, _ = import_run(saved(state_dict()), tmp_path / "out", ADD)
    with one_sentence("nothing to resume"):
        miii.runs.resume(run.folder)
    with one_sentence("train_fraction must be a number in (0, 1) for training"):
        miii.runs.record(tmp_path / "more", miii.train(run.config))
    assert not (tmp_path / "more").exists()


def test_a_claim_is_tried_against_every_operation(adder, saved, tmp_path):
    """The claimed task comes first; below 95% there is a doubt that names what fits better, if anything does."""
    adds, generator = to_state_dict(adder(11, (2, 3), n_heads=2)), torch.Generator().manual_seed(3)
    noise = {name: torch.randn(value.shape, generator=generator) for name, value in adds.items()}
    for claim, state, word in (("add", adds, None), ("mul", adds, "100.0% as add"), ("sub", noise, "act square")):
        task = ModularAddition(operation=claim, p=11, train_fraction=None)
        run, _ = import_run(saved(state), tmp_path / claim, task, act="square")
        found = accuracies(run)
        assert next(iter(found)) == claim
        assert found.keys() == {"add", "sub", "mul", "quadratic", "shuffled", "relabeled"}
        assert found[claim] == pytest.approx(run.rows()[0]["accuracy"])
        assert (found["add"] == 1) == (state is adds)
        said = doubt(run, found)
        assert said is None if word is None else word in said
        assert likelier(found) == ("add" if claim == "mul" else None)
        assert (run.seed, miii.runs.row(run)["seed"]) == (None, None)
    known, _ = import_run(saved(adds), tmp_path / "known", ModularAddition(p=11, seed=4), act="square")
    assert (known.seed, miii.runs.row(known)["seed"]) == (4, 4)


# ---- an external network ----


@pytest.mark.skipif(not THIRD_PARTY.exists(), reason="the weights have no license, so they are not in the repository")
def test_an_external_network_adds_modulo_113(tmp_path):
    task = ModularAddition(p=113, train_fraction=None)
    run, extras = import_run(THIRD_PARTY, tmp_path / "c113", task)
    assert extras == ("x_embed", "y_embed")
    assert run.config.model == ModelConfig(n_layers=1, d_model=128, n_heads=4, d_mlp=512, act="relu", biases="all")
    assert run.rows()[0]["accuracy"] == 1.0
    assert run.rows()[0]["loss"] < 1e-6
    assert {name: round(value, 2) for name, value in accuracies(run).items()} == dict.fromkeys(
        ("add", "sub", "mul", "quadratic", "shuffled", "relabeled"), 0.01
    ) | {"add": 1.0}
    assert miii.analysis.keys.of_model(run.model(), run.task()).frequencies == (16, 30, 56)
    theirs = torch.load(THIRD_PARTY, map_location="cpu", weights_only=True)
    ours = to_state_dict(run.model())
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert theirs.keys() - ours.keys() == {*extras, "blocks.0.attn.mask", "blocks.0.attn.IGNORE"}


# ---- TransformerLens itself ----

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
        save_file({"tokens": ModularAddition(p=P).build().tokens}, folder / "tokens.safetensors")
        for case, changes in CASES.items():
            model = network(**changes)
            c = model.config
            facts = {"n_layers": c.n_layers, "d_model": c.d_model, "n_heads": c.n_heads, "d_head": c.d_head}
            facts |= {"d_mlp": c.d_mlp, "act_fn": c.act, "d_vocab": P + 1, "d_vocab_out": P, "n_ctx": 3}
            facts["attention_dir"] = "causal" if c.causal else "bidirectional"
            (folder / f"{case}.json").write_text(json.dumps(facts))
            save_file(to_state_dict(model), folder / f"{case}.safetensors")
        done = subprocess.run(
            [str(python), "-c", SCRIPT, str(folder)], capture_output=True, text=True, env=os.environ | ENVIRONMENT
        )
        assert done.returncode == 0, done.stderr
        print(done.stdout.splitlines()[-1])
        yield folder
    finally:
        shutil.rmtree(venv)  # a gigabyte


@pytest.mark.slow
def test_transformer_lens_gives_the_same_logits_both_ways(answered, tmp_path):
    for case, changes in CASES.items():
        model = network(**changes)
        theirs = load_file(answered / f"{case}.logits")["logits"]
        assert theirs.abs().max() > 0.1
        assert (logits(model) - theirs).abs().max() <= 1e-5, f"{case}: exported"
        theirs = load_file(answered / f"{case}.theirs-logits")["logits"]
        for suffix in ("safetensors", "pt"):
            file, out = answered / f"{case}.theirs.{suffix}", tmp_path / f"{case}-{suffix}"
            run, extras = import_run(file, out, ADD, act=model.config.act, causal=model.config.causal)
            assert extras == ()
            assert (logits(run.model()) - theirs).abs().max() <= 1e-5, f"{case}: imported from .{suffix}"
