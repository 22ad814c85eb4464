"""Circuits, found automatically: which edges of the network's graph make its answer.

An edge is one part's output as one input hears it, at one position. It is removed by giving it what it carried in a
run on a corrupted example, another one with another answer. ``find`` ranks all edges by one of ``METHODS``::

    circuit = circuits.find(model, task, method="eap-ig")
    truth = circuits.find(model, task, method="exact")
    print(circuits.agreement(circuit, truth).auroc)
"""

from miii.analysis.causal.circuits.acdc import TAUS, acdc, acdc_scores
from miii.analysis.causal.circuits.agreement import FAITHFUL, Agreement, agreement
from miii.analysis.causal.circuits.attribution import eap, eap_ig
from miii.analysis.causal.circuits.circuit import METHODS, Circuit, find, ranking
from miii.analysis.causal.circuits.exact import exact
from miii.analysis.causal.circuits.experiment import CORRUPTION, EXAMPLES, METRIC, Experiment, Progress, experiment
from miii.analysis.causal.circuits.faithfulness import Faithfulness, faithfulness
from miii.analysis.causal.circuits.graph import Edge, Graph, Node
from miii.analysis.causal.circuits.run import run

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
    "eap",
    "eap_ig",
    "exact",
    "experiment",
    "faithfulness",
    "find",
    "ranking",
    "run",
]
