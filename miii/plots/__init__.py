"""Values in, ``altair.Chart`` out; nothing else. Every chart saves itself: ``plots.spectrum(s).save("s.html")``."""

from miii.plots.attention import attention_spectrum, ov, over_inputs, pattern, qk, token_scores
from miii.plots.causal import ablation, contributions, patching
from miii.plots.circuit import circuit, edge_agreement, faithfulness
from miii.plots.formula import kinds, steering, terms
from miii.plots.fourier import circle, power_over_training, singular_values, spectrum, spectrum_2d
from miii.plots.frame import frame
from miii.plots.heatmap import heatmap
from miii.plots.neurons import activation, clusters, phases, reads, single_frequency, writes
from miii.plots.progress import measures, progress
from miii.plots.training import accuracy, answers, class_balance, loss, split, weight_norm

__all__ = [
    "ablation",
    "accuracy",
    "activation",
    "answers",
    "attention_spectrum",
    "circle",
    "circuit",
    "class_balance",
    "clusters",
    "contributions",
    "edge_agreement",
    "faithfulness",
    "frame",
    "heatmap",
    "kinds",
    "loss",
    "measures",
    "ov",
    "over_inputs",
    "patching",
    "pattern",
    "phases",
    "power_over_training",
    "progress",
    "qk",
    "reads",
    "single_frequency",
    "singular_values",
    "spectrum",
    "spectrum_2d",
    "split",
    "steering",
    "terms",
    "token_scores",
    "weight_norm",
    "writes",
]
