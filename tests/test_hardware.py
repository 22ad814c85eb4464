"""Device and precision on simulated machines."""

from pathlib import Path

import pytest
import torch

from miii import hardware


@pytest.fixture
def machine(monkeypatch):
    """Simulate devices, and bfloat16 in hardware or not."""

    def pretend(cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        for kind in ("avx512_bf16", "amx_tile"):
            monkeypatch.setattr(torch.cpu, f"_is_{kind}_supported", lambda: bf16, raising=False)

    return pretend


def test_auto_takes_a_gpu_if_there_is_one_and_a_named_device_is_taken_if_present(machine, one_sentence):
    for cuda, mps, taken in ((True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        machine(cuda=cuda, mps=mps)
        assert hardware.device("auto").type == taken
        assert hardware.device("cpu").type == "cpu"
    for name in ("cuda", "mps"):
        with one_sentence("device", "cpu", name):
            hardware.device(name)


def test_auto_takes_bfloat16_only_in_hardware_and_a_named_precision_is_taken(machine, monkeypatch, one_sentence):
    for bf16 in (True, False):
        machine(cuda=True, bf16=bf16)
        for device in ("cpu", "cuda"):
            assert hardware.precision("auto", device) is (torch.bfloat16 if bf16 else torch.float32)
            assert hardware.precision("float32", device) is torch.float32
            assert hardware.precision("bfloat16", device) is torch.bfloat16
    machine(mps=True, bf16=True)
    assert hardware.precision("auto", "mps") is torch.float32
    assert hardware.precision("float64", "cpu") is torch.float64
    with one_sentence("precision", "mps", "'float64'"):
        hardware.precision("float64", "mps")
    for kind in ("avx512_bf16", "amx_tile"):  # a torch that cannot tell
        monkeypatch.delattr(torch.cpu, f"_is_{kind}_supported")
    assert hardware.precision("auto", "cpu") is torch.float32


def test_the_processor_is_named_by_the_system():
    name = hardware.processor()
    assert name == name.strip()
    assert "\n" not in name
    info = Path("/proc/cpuinfo")
    if info.exists() and "model name" in info.read_text():
        assert name in info.read_text()


def test_the_processor_falls_back_to_python(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(hardware.platform, "processor", lambda: "")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "riscv")
    assert hardware.processor() == "riscv"
