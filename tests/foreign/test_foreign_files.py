"""Files of weights: every kind is read without trust, unwrapped, or refused in a sentence."""

import argparse
import io
import json
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_nets import H, Lens, P, randomized
from safetensors.torch import save_file

from miii import foreign
from miii.foreign import Settings, read, recognize
from miii.foreign.sandbox import read_in_sandbox

GIVEN = Settings(act="relu", n_heads=H, lnpre=False)


def weights(**changes):
    return {name: value.float() for name, value in randomized(Lens()).state_dict().items()} | changes


def without(*names):
    return {name: value for name, value in weights().items() if name not in names}


def same_as_bare(contents):
    found, bare = (recognize(each, GIVEN) for each in (contents, foreign.unwrap(weights(), "x")))
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), bare.model.parameters(), strict=True))
    return found


def test_every_kind_of_file_is_read(saved, tmp_path):
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in weights().items()})
    np.savez_compressed(tmp_path / "v.npz", **{name: value.numpy() for name, value in weights().items()})
    names = ("w.pt", "w.pth", "w.ckpt", "w.bin", "W.PT", "w.safetensors")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path in [*(saved(weights(), name) for name in names), tmp_path / "w.npz", tmp_path / "v.npz"]:
            same_as_bare(read(path))
    assert caught == []
    np.savez(tmp_path / "paths.npz", **{f"model/{n.replace('.', '/')}": v.numpy() for n, v in weights().items()})
    same_as_bare(read(tmp_path / "paths.npz"))
    torch.save(weights(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    same_as_bare(read(tmp_path / "old.pt"))


def test_a_config_that_names_rotary_positions_is_refused(saved, one_sentence):
    for config in ({"positional_embedding_type": "rotary"}, {"rope_theta": 10000.0}):
        with one_sentence("positions must be learned", "rotary"):
            recognize(read(saved({"model": weights(), "config": config}, "w.pt")), GIVEN)
    told = {"positional_embedding_type": "standard", "rotary_dim": None, "normalization_type": None}
    recognize(read(saved({"model": weights(), "config": told}, "w.pt")), GIVEN)


def test_wrappers_prefixes_and_numbers_beside_the_tensors_are_taken_off(saved):
    losses = {"train_losses": [0.1] * 9, "test_loss": torch.ones(4), "epoch": 3, "note": "x"}
    for wrap, ignored, note in (
        (lambda w: {"model": w, "config": {"act_fn": "ReLU", "p": P}, **losses}, "config", "under model"),
        (lambda w: {"state_dict": {f"model.{n}": v for n, v in w.items()}, **losses}, "epoch", "prefix model."),
        (lambda w: {f"module._orig_mod.{n}": v for n, v in w.items()}, None, "prefix module._orig_mod."),
        (lambda w: {"model_state": w, "optimizer": {"state": {0: {"exp_avg": torch.ones(3, 3)}}}}, "optimizer", ""),
        (lambda w: {"checkpoint": {"model_state_dict": w}, "seed": 1}, "seed", "checkpoint.model_state_dict"),
        (lambda w: {"initial": {n: 0 * v for n, v in w.items()}, "final": w}, "initial", "under final"),
        (lambda w: {f"{of}.{n}": v * (of == "model") for of in ("model", "ema") for n, v in w.items()}, None, "model."),
        (lambda w: (w, {"p": P}), None, ""),
        (lambda w: {"model": w, "accuracy": np.float64(0.5), "n": np.int64(3)}, "accuracy", "under model"),
        (lambda w: {n: v.half().float().half() if v.ndim > 9 else v for n, v in w.items()} | {"p": P}, "p", ""),
    ):
        found = same_as_bare(read(saved(wrap(weights()), "w.pt")))
        assert ignored is None or ignored in found.ignored
        assert note in " ".join(found.notes)
    gelu = {"act_fn": "GeLU"}
    for config in (gelu, argparse.Namespace(**gelu, path=Path("x"))):
        assert recognize(read(saved({"model": weights(), "config": config}, "w.pt"))).settings.act == "gelu"
    odd = recognize(read(saved({"model": weights(), "config": {"act_fn": "mish"}}, "w.pt")), Settings(lnpre=False))
    assert "The activation mish is none of relu" in " ".join(odd.notes)


def test_other_floats_become_float32(saved):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        found = recognize(read(saved({n: v.to(dtype) for n, v in weights().items()}, "w.pt")), GIVEN)
        assert found.model.W_E.dtype == torch.float32
        assert torch.equal(found.model.W_E, weights()["embed.W_E"].to(dtype).float())


def test_a_json_file_beside_tells_what_the_file_does_not(saved, tmp_path):
    path = saved(weights(), "model_ab12.pt")
    (tmp_path / "config_ab12.json").write_text(json.dumps({"C": P, "act_fn": "GeLU", "funcs": "lambda x: x"}))
    found = recognize(read(path))
    assert (found.settings.act, found.sources["act"]) == ("gelu", "config_ab12.json")
    (tmp_path / "config_ab12.json").write_text("[" * 100_000)  # too deep to be read
    assert recognize(read(path)).sources["act"].startswith("guessed")


def test_a_history_in_a_list_a_folder_or_a_pattern_has_its_steps(saved, tmp_path):
    states = [weights(**{"embed.W_E": weights()["embed.W_E"] * scale}) for scale in (1, 2, 3)]
    for loaded, steps in (
        (states, [0, 1, 2]),
        ({"checkpoints": states, "checkpoint_epochs": [0, 100, 200], "model": states[2]}, [0, 100, 200]),
        ([{"epoch": 10 * i, "model": state} for i, state in enumerate(states)], [0, 10, 20]),
        ({5: states[0], 7: states[1], 6: states[2]}, [5, 6, 7]),
        ({"0": states[0], "90": states[1], "100": states[2]}, [0, 90, 100]),
        ({"epoch_20": states[0], "epoch_3": states[1]}, [3, 20]),
        ({"snapshots": [(0, states[0]), (50, states[1])]}, [0, 50]),
        ({"seed_0": states[0], "seed_1": states[1]}, [0]),  # two networks, not two steps of one
    ):
        assert list(read(saved(loaded, "h.pt")).states) == steps
    (tmp_path / "h.pt").unlink()
    for step, state in zip((9, 10, 100), states, strict=True):
        saved(state, f"model_step_{step}.pt")
    for path in (tmp_path, tmp_path / "*step*.pt"):
        contents = read(path)
        assert list(contents.states) == [9, 10, 100]
        assert torch.equal(contents.states[10]["embed.W_E"], states[1]["embed.W_E"])
    saved(weights(), "init.pt")
    contents = read(tmp_path)
    assert (list(contents.states), contents.notes[-1]) == (
        [9, 10, 100],
        "Files without a step in their names were left out: init.pt.",
    )
    (tmp_path / "init.pt").unlink()
    (tmp_path / "a" / "9").mkdir(parents=True)
    (tmp_path / "a" / "10").mkdir()
    for step in (9, 10):
        saved(weights(), f"a/{step}/net.pt")
    assert list(read(tmp_path / "a").states) == list(read(tmp_path / "a" / "*" / "net.pt").states) == [9, 10]
    saved(weights(), "another_step_9.pt")
    saved(weights(), "another_step_10.pt")
    # the same step twice: neither names nor contents tell them apart, so they are numbered
    assert list(read(tmp_path).states) == [0, 1, 2, 3, 4]


def test_a_step_is_told_from_other_numbers_and_files_without_a_network_are_left_out(saved, tmp_path):
    for names, steps in (
        (("p7_step9_seed1.pt", "p7_step10_seed1.pt"), [9, 10]),
        (("9_acc_0.93.pt", "10_acc_0.97.pt"), [9, 10]),
        (("epoch=1-step=10.ckpt", "epoch=2-step=20.ckpt"), [10, 20]),
        (("9-of-50.pt", "10-of-50.pt"), [9, 10]),
    ):
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            saved(weights(), f"{folder.name}/{name}")
        saved({"losses": [1.0]}, f"{folder.name}/data_30.pt")
        contents = read(folder)
        assert list(contents.states) == steps
        assert contents.notes[-1].endswith("were left out: data_30.pt.")
    folder = tmp_path / "trainer" / "checkpoint-9"
    folder.mkdir(parents=True)
    for name in ("pytorch_model.bin", "optimizer.pt", "training_args.bin"):
        saved(weights() if "model" in name else {"lr": 1}, f"trainer/{folder.name}/{name}")
    for path in (folder, folder.parent):
        assert read(path).last.keys() == weights().keys()


def test_a_long_history_is_thinned(saved):
    state = {"embed.W_E": torch.zeros(2, 2), "unembed.W_U": torch.zeros(2, 2)}
    contents = read(saved([state] * 10_000, "h.pt"))
    assert len(contents.states) == 500
    assert (min(contents.states), max(contents.states)) == (0, 9_999)
    assert "Of 10,000 networks, 500 are kept" in contents.notes[0]


class Evil:
    """Unpickled by Python itself, it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


class HookedTransformerConfig:
    """Stands for a config object beside the tensors."""


BLOCK = "blocks.0."


def cut(part):
    def make(path):
        if path.suffix == ".npz":
            np.savez(path, **{name: value.numpy() for name, value in weights().items()})
        else:
            (save_file if path.suffix == ".safetensors" else torch.save)(weights(), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(part * len(whole))])

    return make


def content(value):
    return lambda path: torch.save(value, path)


def raw(data):
    return lambda path: path.write_bytes(data)


def header(value, data=b""):
    text = json.dumps(value).encode()
    return raw(struct.pack("<Q", len(text)) + text + data)


def deflated(path):
    """A torch file with a tensor of ten megabytes of zeros, compressed to a few kilobytes."""
    torch.save({"embed.W_E": torch.zeros(2_500, 1_000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def npy(shape, data=b"", descr="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def npz(**entries):
    def make(path):
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")
            for name, data in entries.items():
                for each in data if isinstance(data, list) else [data]:
                    archive.writestr(f"{name}.npy", each)

    return make


def looped():
    """A dict that holds itself, many times over."""
    found = {}
    found.update({f"x{i}": found for i in range(1000)})
    return found


def quantized():
    return torch.quantize_per_tensor(torch.ones(8, 8), 0.1, 0, torch.qint8)


BAD_FILE = {
    "page.pt": (raw(b"<!DOCTYPE html>"), ["page.pt", "is a web page"]),
    "safe.pt": (lambda path: save_file(weights(), path), ["safe.pt", "rename it to end in .safetensors"]),
    "long.pt": (content(weights(**{"x" * 501: torch.ones(1)})), ["at most 500 characters"]),
    "rotary.pt": (content(weights(**{"rotary.inv_freq": torch.ones(2)})), ["rotary.inv_freq", "learned positions"]),
    "rnn.pt": (
        content(
            {"embed.weight": torch.ones(7, 4), "lstm.weight_ih_l0": torch.ones(16, 4), "fc.weight": torch.ones(7, 4)}
        ),
        ["lstm.weight_ih_l0", "a recurrent network"],
    ),
    "bias.pt": (
        content(
            {
                "embed.weight": torch.ones(7, 4),
                "l1.weight": torch.ones(9, 8),
                "l1.bias": torch.ones(8),
                "l2.weight": torch.ones(7, 9),
            }
        ),
        ["l1.bias must be 9", "got 8"],
    ),
    "heads.pt": (
        content({n: v.float() for n, v in randomized(Lens(norms="LN", d_head=5)).state_dict().items()}),
        ["n_heads times d_head", "2 x 5", "8"],
    ),
    "missing.pt": (lambda path: None, ["file must exist", "missing.pt"]),
    "pipe.pt": (os.mkfifo, ["not a folder or a device", "pipe.pt"]),
    "folder": (Path.mkdir, ["at least one file of weights", "folder"]),
    "weights.h5": (raw(b"x"), [".safetensors", "weights.h5"]),
    "weights": (content(weights()), [".safetensors", "'weights'"]),
    "empty.pt": (raw(b""), ["empty.pt"]),
    "empty.npz": (raw(b""), ["empty.npz"]),
    "empty.safetensors": (raw(b""), ["empty.safetensors"]),
    "truncated.pt": (cut(0.5), ["truncated.pt"]),
    "nearly whole.pt": (cut(0.99), ["nearly whole.pt"]),
    "truncated.npz": (cut(0.7), ["truncated.npz"]),
    "truncated.safetensors": (cut(0.5), ["truncated.safetensors"]),
    "pointer.pt": (raw(b"version https://git-lfs.github.com/spec/v1\nsize 9\n"), ["pointer.pt", "git lfs pull"]),
    "noise.pt": (raw(bytes(range(256)) * 40), ["noise.pt"]),
    "code.pt": (content({"embed.W_E": Evil()}), ["code.pt", "posix.mkdir", "torch.save(old.state_dict()"]),
    "config.pt": (
        content({"model": weights(), "config": HookedTransformerConfig()}),
        ["HookedTransformerConfig", "import torch; old = torch.load('config.pt', weights_only=False); torch.save("],
    ),
    "pickle.pt": (raw(pickle.dumps(Evil())), ["pickle.pt"]),
    "module.pt": (
        content(torch.nn.Linear(2, 2)),
        ["module.pt", "linear.Linear", "tensors and nothing"],
    ),
    "deflated.pt": (deflated, ["deflated.pt", "unpack", "its own size"]),
    "itself.pt": (content(looped()), ["itself.pt", "by name"]),
    "list.pt": (content([torch.ones(2)]), ["list.pt", "by name", "a list"]),
    "number.pt": (content({"p": 113, "x": "y"}), ["number.pt", "int under p", "str under x"]),
    "many.pt": (content({str(i): torch.zeros(1, 1) for i in range(5001)}), ["at most 5,000 tensors"]),
    "repeated.pt": (content(weights(x=torch.zeros(1).expand(2**40))), ["x must have all its numbers", "repeated"]),
    "sparse.pt": (content(weights(x=torch.ones(2, 2).to_sparse())), ["x must be", "sparse"]),
    "meta.pt": (content(weights(x=torch.empty(10**6, 10**6, device="meta"))), ["x must be", "meta"]),
    "quantized.pt": (lambda path: torch.save(weights(x=quantized()), path), ["x must be", "quantized"]),
    "objects.npz": (npz(x=npy((2,), b"\0" * 16, "|O")), ["x must be an array of numbers", "objects"]),
    "large.npz": (npz(x=npy((10**9,)), y=npy((2, 2), b"\0" * 16)), ["x must hold the 4,000,000,000 bytes"]),
    "overflow.npz": (npz(x=npy((2**40, 2**40))), ["x must hold"]),
    "twice.npz": (npz(x=[npy((2, 2), b"\0" * 16)] * 2), ["each array once"]),
    "bomb.npz": (lambda path: np.savez_compressed(path, x=np.zeros((2000, 2000))), ["at most 20 times its size"]),
    "huge header.safetensors": (raw(struct.pack("<Q", 2**60) + b"{}"), ["huge header"]),
    "overflow.safetensors": (
        header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"),
        ["overflow.safetensors"],
    ),
    "NaN.pt": (content(weights(**{"unembed.W_U": torch.full((8, 7), torch.nan)})), ["unembed.W_U", "finite"]),
    "int.pt": (
        content(weights(**{"unembed.W_U": torch.ones(8, 7).int()})),
        ["unembed.W_U", "float16", "int32"],
    ),
    "no weight.pt": (content(without("embed.W_E")), ["lacks embed.W_E", "unembed.W_U 8 x 7"]),
    "rank.pt": (content(weights(**{"embed.W_E": torch.ones(64)})), ["embed.W_E", "axes v d", "64"]),
    "large p.pt": (
        content({"W_x": torch.ones(3000, 2), "W": torch.ones(4, 3), "W_U": torch.ones(3, 3000)}),
        ["p must be at most"],
    ),
    "wide.pt": (
        content(weights(**{f"{BLOCK}mlp.W_in": torch.ones(9, 12)})),
        ["mlp.W_in", "8 x 12", "9 x 12"],
    ),
    "empty axis.pt": (content(weights(**{"embed.W_E": torch.ones(0, 8)})), ["embed.W_E"]),
    "tokens.pt": (
        content(weights(**{"embed.W_E": torch.ones(80, 8)})),
        ["d_vocab must be p", "80 tokens"],
    ),
    "positions.pt": (content(weights(**{"pos_embed.W_pos": torch.ones(1, 8)})), ["1 positions"]),
    "local.pt": (
        content(weights(**{f"{BLOCK}attn.mask": torch.zeros(3, 3)})),
        ["attn.mask", "local attention"],
    ),
    "norm.pt": (content(weights(**{"embed.ln.w": torch.ones(8)})), ["embed.ln.w", "a norm that miii's networks lack"]),
    "left over.pt": (content(weights(**{f"{BLOCK}mlp.W_more": torch.randn(8, 12)})), ["mlp.W_more", "part of a block"]),
    "adapter.pt": (content(weights(**{f"{BLOCK}mlp.lora_A": torch.ones(8, 2)})), ["mlp.lora_A", "an adapter"]),
    "cross.pt": (content(weights(**{f"{BLOCK}cross_attn.W": torch.ones(8, 8)})), ["to another sequence"]),
    "script.pt": (
        lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path),
        ["a TorchScript program", "torch.jit.load('scr"],
    ),
    "gate.pt": (content(weights(**{f"{BLOCK}mlp.W_gate": torch.ones(8, 12)})), ["blocks.0.mlp.W_gate", "a gated MLP"]),
    "images.pt": (
        content({"conv1.weight": torch.ones(8, 3, 3, 3), "fc.weight": torch.ones(10, 8), "x": torch.ones(2, 2)}),
        ["a layout that miii knows", "notebook", "conv1.weight 8 x 3 x 3 x 3"],
    ),
}


def test_a_file_without_a_network_is_refused_and_runs_nothing(tmp_path, monkeypatch, capfd, one_sentence, subtests):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, while the files are made
        for name, (make, _) in BAD_FILE.items():
            make(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    for name, (_, words) in BAD_FILE.items():
        with subtests.test(name), one_sentence(*words):
            foreign.import_run(tmp_path / name, tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_server_reads_safetensors_alone(saved, monkeypatch, one_sentence):
    path, safe = saved(weights(), "w.pt"), saved(weights())
    monkeypatch.setattr(torch, "load", pytest.fail)
    with one_sentence("file must end in .safetensors (", "w.pt"):
        read(path, allow_pt=False)
    assert read(safe, allow_pt=False).last.keys() == weights().keys()


def test_the_sandbox_reads_the_same_and_is_limited(saved, one_sentence):
    path = saved({"model": weights(**{"a\nb": torch.ones(1)}), "p": P, "losses": [1.0]}, "w.pt")
    inside, outside = read_in_sandbox(path), read(path)
    assert {**inside.states[0]}.keys() == {**outside.states[0]}.keys()
    assert all(torch.equal(inside.last[name], value) for name, value in outside.last.items())
    assert (inside.own, inside.ignored, inside.notes) == (outside.own, outside.ignored, outside.notes)
    with one_sentence("file must have at most 100 bytes"):
        read_in_sandbox(path, nbytes=100)
