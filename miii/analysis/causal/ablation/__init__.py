"""Ablation: remove a part of the network and measure loss and accuracy.

A head's or neuron's activation is replaced by zero, by its mean over all examples (per position), or by its value on an
example with a different answer ("interchange"). Means and partners come from all examples of the task, even if only
some are scored. A frequency is removed from a function of (a, b).
"""

from miii.analysis.causal.ablation.frequencies import embedding_frequencies, site_frequencies
from miii.analysis.causal.ablation.parts import Kind, heads, neurons
from miii.analysis.causal.ablation.score import Ablations

__all__ = ["Ablations", "Kind", "embedding_frequencies", "heads", "neurons", "site_frequencies"]
