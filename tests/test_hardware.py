"""Device and precision, whatever this machine has."""

import itertools
from pathlib import Path

import pytest
import torch

from miii import hardware


@pytest.fixture
def machine(monkeypatch):
    """Pretend that this machine has some devices, and bfloat16 in hardware or not."""

    def pretend(cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        for kind in ("avx512_bf16", "amx_tile"):
            monkeypatch.setattr(torch.cpu, f"_is_{kind}_supported", lambda: bf16, raising=False)

    return pretend


def test_auto_takes_a_gpu_where_there_is_one(machine):
    for cuda, mps, taken in [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]:
        machine(cuda=cuda, mps=mps)
        assert hardware.device("auto").type == taken


def test_a_device_by_name_is_taken_although_there_is_a_better_one(machine):
    machine(cuda=True)
    assert hardware.device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, one_sentence):
    for name in ["cuda", "mps"]:
        machine()
        with one_sentence("device", "cpu", name):
            hardware.device(name)


def test_a_precision_by_name_is_taken_whatever_the_hardware(machine):
    for bf16 in [True, False]:
        machine(bf16=bf16)
        assert hardware.precision("float32", "cpu") is torch.float32
        assert hardware.precision("bfloat16", "cpu") is torch.bfloat16


def test_auto_takes_bfloat16_only_where_it_is_in_hardware(machine):
    for device, (bf16, taken) in itertools.product(["cpu", "cuda"], [(True, torch.bfloat16), (False, torch.float32)]):
        machine(cuda=True, bf16=bf16)
        assert hardware.precision("auto", device) is taken


def test_auto_takes_float32_on_mps(machine):
    machine(mps=True, bf16=True)
    assert hardware.precision("auto", "mps") is torch.float32


def test_a_torch_that_cannot_tell_means_float32(machine, monkeypatch):
    machine(bf16=True)
    for kind in ("avx512_bf16", "amx_tile"):
        monkeypatch.delattr(torch.cpu, f"_is_{kind}_supported")
    assert hardware.precision("auto", "cpu") is torch.float32


def test_the_processor_is_one_line_that_the_system_knows():
    name = hardware.processor()
    assert name == name.strip()
    assert "\n" not in name
    info = Path("/proc/cpuinfo")
    if info.exists() and "model name" in info.read_text():
        assert name in info.read_text()


def test_the_processor_is_python_s_guess_where_the_system_does_not_say(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(hardware.platform, "processor", lambda: "")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "riscv")
    assert hardware.processor() == "riscv"
