"""Files of weights: read without trust, written whole or not at all."""

import json
import os
import pickle
import resource
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tl_states import ADD, P, logits, network, quantized, state_dict

from miii.transformer_lens import (
    from_state_dict,
    import_run,
    read_file,
    write_file,
)


def test_a_file_is_read_as_it_was_written(saved, tmp_path, same, capfd):
    state = state_dict(n_layers=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("w.safetensors", "w.pt", "w.pth", "W.PT"):
            assert same(read_file(str(saved(state, name))), state)
    assert caught == []
    assert capfd.readouterr() == ("", "")
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=False)  # torch's old format
    assert same(read_file(tmp_path / "w.pt"), state)
    torch.save(network().state_dict(), tmp_path / "w.pt")  # an OrderedDict with _metadata
    assert same(read_file(tmp_path / "w.pt"), dict(network().state_dict()))
    shared = state_dict()
    shared |= {"x_embed": shared["embed.W_E"], "part": shared["embed.W_E"][2:5]}
    assert from_state_dict(read_file(saved(shared, "w.pt")), P)[1] == ("x_embed", "part")


class Evil:
    """Unpickled by Python itself, it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)


def cut(part):
    def make(path):
        (save_file if path.suffix == ".safetensors" else torch.save)(state_dict(), path)
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


def bomb(path):
    """A torch file with a tensor of ten megabytes of zeros, compressed to a few kilobytes."""
    torch.save({"embed.W_E": torch.zeros(2_500_000)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert path.stat().st_size < 100_000


def script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))


BAD_FILE = {
    "missing.pt": (lambda path: None, ["file must exist", "missing.pt"]),
    "folder.pt": (Path.mkdir, ["not a folder", "folder.pt"]),
    "pipe.pt": (os.mkfifo, ["not a folder or a device", "pipe.pt"]),
    "weights.bin": (content(state_dict()), [".safetensors or .pt or .pth", "weights.bin"]),
    "weights": (content(state_dict()), [".safetensors", "'weights'"]),
    "empty.pt": (raw(b""), ["empty.pt"]),
    "empty.safetensors": (raw(b""), ["empty.safetensors"]),
    "truncated.pt": (cut(0.5), ["truncated.pt"]),
    "nearly whole.pt": (cut(0.99), ["nearly whole.pt"]),
    "truncated.safetensors": (cut(0.5), ["truncated.safetensors"]),
    "noise.pt": (raw(bytes(range(256)) * 40), ["noise.pt"]),
    "text.pt": (raw(b"hello there\n" * 9), ["text.pt"]),
    "zip.pt": (lambda path: zipfile.ZipFile(path, "w").close(), ["zip.pt"]),
    "code.pt": (content({"embed.W_E": Evil()}), ["code.pt", "tensors and nothing else"]),
    "all code.pt": (content(Evil()), ["all code.pt", "tensors and nothing else"]),
    "pickle.pt": (raw(pickle.dumps(Evil())), ["pickle.pt"]),
    "protocol 4.pt": (raw(pickle.dumps({"a": 1}, protocol=4)), ["protocol 4.pt"]),
    "module.pt": (content(network()), ["module.pt", "tensors and nothing else"]),
    "script.pt": (script, ["script.pt"]),
    "bomb.pt": (bomb, ["bomb.pt", "unpack", "its own size"]),
    "list.pt": (content([torch.ones(2)]), ["list.pt", "by name", "got list"]),
    "tensor.pt": (content(torch.ones(2)), ["tensor.pt", "by name", "got Tensor"]),
    "nested dict.pt": (content({"model": state_dict(), "seed": 1}), ["nested dict.pt", "dict under model"]),
    "number.pt": (content(state_dict(p=113)), ["number.pt", "int under p"]),
    "text among tensors.pt": (content(state_dict(**{"a\nb": "x"})), ["str under a?b"]),
    "numbered.pt": (content({0: torch.ones(2)}), ["Tensor under 0"]),
    "repeated.pt": (content(state_dict(x=torch.zeros(1).expand(2**40))), ["x must have all its numbers", "repeated"]),
    "sparse.pt": (content(state_dict(x=torch.ones(2, 2).to_sparse())), ["x must be", "sparse"]),
    "rows.pt": (lambda path: torch.save(state_dict(x=torch.ones(2, 2).to_sparse_csr()), path), ["x must be", "sparse"]),
    "meta.pt": (content(state_dict(x=torch.empty(10**6, 10**6, device="meta"))), ["x must be", "meta"]),
    "quantized.pt": (lambda path: torch.save(quantized(), path), ["embed.W_E", "quantized"]),
    "a pickle.safetensors": (content(state_dict()), ["a pickle.safetensors"]),
    "huge header.safetensors": (raw(struct.pack("<Q", 2**60) + b"{}"), ["huge header"]),
    "huge shape.safetensors": (
        header({"x": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 4]}}, b"1234"),
        ["huge"],
    ),
    "overflow.safetensors": (
        header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"),
        ["overflow.safetensors"],
    ),
    "dtype.safetensors": (header({"x": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), ["dtype"]),
    "list.safetensors": (header([1, 2]), ["list.safetensors"]),
    "overlap.safetensors": (
        header({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "xy"}, b"1234"),
        ["overlap.safetensors"],
    ),
}


def test_a_file_without_a_state_dict_is_refused(tmp_path, monkeypatch, capfd, one_sentence, subtests):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, while the files are made
        for name, (make, _) in BAD_FILE.items():
            make(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    for name, (_, words) in BAD_FILE.items():
        with subtests.test(name), one_sentence(*words):
            import_run(tmp_path / name, tmp_path / "run", ADD)
    assert capfd.readouterr() == ("", "")
    assert sorted(tmp_path.rglob("*")) == before


def test_safetensors_alone_on_request(saved, tmp_path, one_sentence, monkeypatch):
    files = [saved(state_dict(), name) for name in ("w.pt", "w.pth", "W.PT")]
    torch.save(Evil(), tmp_path / "evil.safetensors")
    monkeypatch.setattr(torch, "load", pytest.fail)
    for file in files:
        with one_sentence("file must end in .safetensors (", file.name):
            read_file(file, allow_pt=False)
    with one_sentence("file must end in .safetensors ("):
        import_run(files[0], tmp_path / "run", ADD, allow_pt=False)
    with one_sentence("evil.safetensors", "not a readable safetensors file"):
        read_file(tmp_path / "evil.safetensors", allow_pt=False)
    assert read_file(saved(state_dict()), allow_pt=False).keys() == state_dict().keys()


def test_a_written_file_is_read_again(tmp_path):
    model = network(biases="none")
    write_file(model, tmp_path / "w.safetensors")
    again, extras = from_state_dict(read_file(tmp_path / "w.safetensors"), P)
    assert torch.equal(logits(again), logits(model))
    assert extras == ()
    (tmp_path / "other").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, one_sentence):
    (tmp_path / "file.safetensors").touch()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    taken = "does not exist yet"
    for name, word in (
        *(("w.pt", "w.pt"), ("w", ".safetensors"), ("file.safetensors", taken), ("folder.safetensors", taken)),
        *(("link.safetensors", taken), ("no/folder/w.safetensors", "could not be written: No such file or directory")),
    ):
        with one_sentence(word):
            write_file(network(), tmp_path / name)
    for changes, words in (
        ({"block": "pre-norm", "norm": "rms"}, ("LayerNorm", "'rms'")),
        ({"block": "vaswani"}, ("plain", "'vaswani'")),
        ({"mixer": "mean"}, ("attention", "'mean'")),
    ):
        with one_sentence("TransformerLens", *words):
            write_file(network(**changes), tmp_path / "x.safetensors")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a full disk
    try:
        with one_sentence("w.safetensors could not be written"):
            write_file(network(), tmp_path / "w.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.rglob("*")) == before
