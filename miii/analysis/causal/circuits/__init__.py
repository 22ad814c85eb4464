"""Automatic circuit discovery: which edges of the network's graph produce its answer.

An edge connects one part's output to one input, at one position. Removing it replaces its value by the value on a
corrupted example, one with a different answer. ``find`` ranks all edges by one of ``METHODS``::

    circuit = circuits.find(model, task, method="eap-ig")
    truth = circuits.find(model, task, method="exact")
    print(circuits.agreement(circuit, truth).auroc)
"""

from miii.analysis.causal.circuits.circuit import FAITHFUL, Agreement, Circuit, agreement, find
from miii.analysis.causal.circuits.experiment import (
    CORRUPTION,
    EXAMPLES,
    METRIC,
    Experiment,
    Progress,
    draw_experiment,
    draw_experiments,
)
from miii.analysis.causal.circuits.faithfulness import (
    Faithfulness,
    faithfulness_of,
    measure_faithfulness,
    ranking,
    smallest_faithful,
)
from miii.analysis.causal.circuits.forward import run
from miii.analysis.causal.circuits.graph import Edge, Graph, Node
from miii.analysis.causal.circuits.methods import METHODS, TAUS, acdc, acdc_scores, eap, eap_ig, exact

__all__ = [
    "CORRUPTION",
    "EXAMPLES",
    "FAITHFUL",
    "METHODS",
    "METRIC",
    "TAUS",
    "Agreement",
    "Circuit",
    "Edge",
    "Experiment",
    "Faithfulness",
    "Graph",
    "Node",
    "Progress",
    "acdc",
    "acdc_scores",
    "agreement",
    "draw_experiment",
    "draw_experiments",
    "eap",
    "eap_ig",
    "exact",
    "faithfulness_of",
    "find",
    "measure_faithfulness",
    "ranking",
    "run",
    "smallest_faithful",
]
