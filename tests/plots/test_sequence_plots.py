"""Charts of kinds of sequences give back the numbers they are made of."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from miii import plots
from miii.analysis.sequences.continuation import Continuation, Residue
from miii.analysis.sequences.moduli import Carrier, Spectrum
from miii.plots.style import Chart
from miii.tasks.sequences.kinds import KINDS

N = len(KINDS)
SPECTRUM = Spectrum(
    ("sign", "size", "mod 2"), np.full(N, 0.75), np.eye(3, N) / 2, np.full((3, N), 0.25), np.zeros(N), np.ones(N)
)
SCORES = {kind: i / N for i, kind in enumerate(KINDS)}
NEXT = Continuation(
    5, (Residue(2, 1, 0.9, "a rule", True, True), Residue(3, 1, 0.4, "a rule", False, False)), 4, 7, 0.5, 2
)
METRICS = pd.DataFrame({"step": [0, 10], "macro_f1": [0.1, 0.9]} | {f"f1_{kind}": [0.0, 0.5] for kind in KINDS})
CHARTS: dict[str, Callable[[], Chart]] = {
    "argued": lambda: plots.argued(np.eye(3, 4), SPECTRUM.parts, ["1", "1", "2", "3"], "prime"),
    "carriers": lambda: plots.carriers([Carrier("prime", 0.875, 0.125, 0.5, 0.25, 40)]),
    "kind_confidences": lambda: plots.kind_confidences(SCORES, ["prime"]),
    "kind_scores": lambda: plots.kind_scores({"network": SCORES, "tree": SCORES}),
    "kinds_over_training": lambda: plots.kinds_over_training(METRICS),
    "next_residues": lambda: plots.next_residues(NEXT, 5),
    "decodability": lambda: plots.decodability(pd.DataFrame({"part": ["mod 2"], "step 0": [0.5], "magnitude": [0.25]})),
    "modulo_spectrum": lambda: plots.modulo_spectrum(SPECTRUM),
}


def test_the_numbers_are_given_back():
    lost = plots.frame(CHARTS["modulo_spectrum"]()).pivot(index="part", columns="kind", values="value")
    assert lost.loc["sign", "polynomial"] == 0.25
    assert lost.loc["mod 2", "polynomial"] == 0.75
    alone = plots.frame(plots.modulo_spectrum(SPECTRUM, "alone"))
    assert (alone["value"] == 0.25).all()
    argued = plots.frame(CHARTS["argued"]())
    assert argued.loc[argued["value"] == 1, "part"].tolist() == list(SPECTRUM.parts)
    found = plots.frame(CHARTS["carriers"]()).set_index("input")["yes"]
    assert found.tolist() == [0.875, 0.5, 0.25, 0.125]
    confidence = plots.frame(CHARTS["kind_confidences"]()).set_index("kind")
    assert confidence["confidence"].to_dict() == SCORES
    assert confidence["truth"].eq("holds").sum() == 1
