"""Analyze what a network learned: each analysis takes values and returns a frozen dataclass.

Import every topic from here (``analysis.fourier``, ``analysis.circuits``); folders only sort the files.
"""

from miii.analysis import (
    activations,
    compare,
    experience,
    follow,
    information,
    integers,
    logic,
    multitask,
    regions,
    sieve,
)
from miii.analysis.causal import ablation, attention, circuits, counterfactuals, direct, patching
from miii.analysis.modular import (
    certificate,
    criteria,
    decomposition,
    equivariance,
    formula,
    fourier,
    fourier2d,
    grid,
    keys,
    neurons,
    phases,
    progress,
    relabelling,
    steering,
    trajectory,
    verdict,
)
from miii.analysis.oracles import compiled, planted
from miii.analysis.sequences import lengths, miu, rollout

__all__ = [
    "ablation",
    "activations",
    "attention",
    "certificate",
    "circuits",
    "compare",
    "compiled",
    "counterfactuals",
    "criteria",
    "decomposition",
    "direct",
    "equivariance",
    "experience",
    "follow",
    "formula",
    "fourier",
    "fourier2d",
    "grid",
    "information",
    "integers",
    "keys",
    "lengths",
    "logic",
    "miu",
    "multitask",
    "neurons",
    "patching",
    "phases",
    "planted",
    "progress",
    "regions",
    "relabelling",
    "rollout",
    "sieve",
    "steering",
    "trajectory",
    "verdict",
]
