"""Values in, ``altair.Chart`` out; nothing else. Every chart saves itself: ``plots.spectrum(s).save("s.html")``."""

from miii.plots.attention import over_inputs, pattern
from miii.plots.fourier import circle, power_over_training, singular_values, spectrum
from miii.plots.frame import frame
from miii.plots.heatmap import heatmap
from miii.plots.training import accuracy, answers, class_balance, loss, split, weight_norm

__all__ = [
    "accuracy",
    "answers",
    "circle",
    "class_balance",
    "frame",
    "heatmap",
    "loss",
    "over_inputs",
    "pattern",
    "power_over_training",
    "singular_values",
    "spectrum",
    "split",
    "weight_norm",
]
