"""Ablation: silence a part of the network and see what the answers lose.

The activation of a head or of neurons is replaced by zero, by its mean over all examples (at each position), or, as an
interchange, by what it is on another example with another answer (``patching.partners``). Means and partners come from
all examples of the task, also where only some of them are scored. A frequency is removed from a function of (a, b).
"""

from miii.analysis.causal.ablation.frequencies import embedding_frequencies, site_frequencies
from miii.analysis.causal.ablation.parts import Kind, heads, neurons
from miii.analysis.causal.ablation.score import Ablations

__all__ = ["Ablations", "Kind", "embedding_frequencies", "heads", "neurons", "site_frequencies"]
