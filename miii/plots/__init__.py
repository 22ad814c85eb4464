"""Charts: each function takes values and returns an ``altair.Chart``. Save one with ``chart.save("s.html")``."""

from miii.plots.causal.attention import attention_spectrum, ov, over_inputs, pattern, qk, token_scores
from miii.plots.causal.circuit import circuit, edge_agreement, faithfulness
from miii.plots.causal.effects import ablation, contributions, patching
from miii.plots.causal.path import input_path
from miii.plots.compare import learning, spread
from miii.plots.experience import learning_curve, transfer
from miii.plots.export import frame, picture
from miii.plots.follow import answer_logits, attention_by_position, neuron_contributions, wave_logits, wave_sum
from miii.plots.heatmap import heatmap, mark_cell
from miii.plots.information import information
from miii.plots.integers import density, last_digits, polar, split_counts, split_rows, ulam, wheel
from miii.plots.lengths import evidence_by_count, evidence_by_letter, string_accuracy
from miii.plots.modular.circles import circles
from miii.plots.modular.clock import clock
from miii.plots.modular.equivariance import equivariance, representations
from miii.plots.modular.formula import kinds, steering, terms
from miii.plots.modular.fourier import angles, circle, power_over_training, singular_values, spectrum, spectrum_2d
from miii.plots.modular.neurons import activation, clusters, phases, reads, single_frequency, writes
from miii.plots.modular.progress import measures, progress
from miii.plots.modular.wall import neuron_wall
from miii.plots.multitask import active_frequencies, head_digits, right_by_target, shared_directions
from miii.plots.regions import circle_regions, plane_regions
from miii.plots.rollout import (
    generated_frames,
    rollout_carries,
    rollout_digits,
    rollout_integers,
    rollout_labels,
    vector_similarity,
)
from miii.plots.sequences import (
    argued,
    carriers,
    decodability,
    kind_confidences,
    kind_scores,
    kinds_over_training,
    modulo_spectrum,
    next_residues,
)
from miii.plots.sieve.divisor_test import digit_path
from miii.plots.sieve.divisors import digit_swaps, divisors_by_base, gcd_answers, gcd_counts, learned_divisors
from miii.plots.sieve.factors import (
    auc_by_base,
    evidence_by_factor,
    score_by_base,
    sieve_depth,
    sieve_oracles,
)
from miii.plots.sieve.interventions import crossings, evidence_moves
from miii.plots.sieve.lattice import lattice
from miii.plots.sieve.networks import addition_by_network, depth_by_network, readers
from miii.plots.sieve.residues import digit_plane, digit_steps, head_attention, head_sums, probe_map
from miii.plots.sparse import recalls, seen_factors
from miii.plots.sweeps import phase_diagram, sweep_curves, sweep_heatmap, sweep_parallel
from miii.plots.tasks import (
    chance,
    class_balance,
    digit_split,
    loss_weights,
    split_blocks,
    string_counts,
    string_lengths,
    string_split,
)
from miii.plots.trainability import (
    trainability_dimensions,
    trainability_loss,
    trainability_map,
    trainability_zooms,
)
from miii.plots.training import (
    accuracy,
    answers,
    answers_over_training,
    at_step,
    by_length,
    by_prime,
    by_token,
    loss,
    sieving,
    split,
    weight_norm,
)

__all__ = [
    "ablation",
    "accuracy",
    "activation",
    "active_frequencies",
    "addition_by_network",
    "angles",
    "answer_logits",
    "answers",
    "answers_over_training",
    "argued",
    "at_step",
    "attention_by_position",
    "attention_spectrum",
    "auc_by_base",
    "by_length",
    "by_prime",
    "by_token",
    "carriers",
    "chance",
    "circle",
    "circle_regions",
    "circles",
    "circuit",
    "class_balance",
    "clock",
    "clusters",
    "contributions",
    "crossings",
    "decodability",
    "density",
    "depth_by_network",
    "digit_path",
    "digit_plane",
    "digit_split",
    "digit_steps",
    "digit_swaps",
    "divisors_by_base",
    "edge_agreement",
    "equivariance",
    "evidence_by_count",
    "evidence_by_factor",
    "evidence_by_letter",
    "evidence_moves",
    "faithfulness",
    "frame",
    "gcd_answers",
    "gcd_counts",
    "generated_frames",
    "head_attention",
    "head_digits",
    "head_sums",
    "heatmap",
    "information",
    "input_path",
    "kind_confidences",
    "kind_scores",
    "kinds",
    "kinds_over_training",
    "last_digits",
    "lattice",
    "learned_divisors",
    "learning",
    "learning_curve",
    "loss",
    "loss_weights",
    "mark_cell",
    "measures",
    "modulo_spectrum",
    "neuron_contributions",
    "neuron_wall",
    "next_residues",
    "ov",
    "over_inputs",
    "patching",
    "pattern",
    "phase_diagram",
    "phases",
    "picture",
    "plane_regions",
    "polar",
    "power_over_training",
    "probe_map",
    "progress",
    "qk",
    "readers",
    "reads",
    "recalls",
    "representations",
    "right_by_target",
    "rollout_carries",
    "rollout_digits",
    "rollout_integers",
    "rollout_labels",
    "score_by_base",
    "seen_factors",
    "shared_directions",
    "sieve_depth",
    "sieve_oracles",
    "sieving",
    "single_frequency",
    "singular_values",
    "spectrum",
    "spectrum_2d",
    "split",
    "split_blocks",
    "split_counts",
    "split_rows",
    "spread",
    "steering",
    "string_accuracy",
    "string_counts",
    "string_lengths",
    "string_split",
    "sweep_curves",
    "sweep_heatmap",
    "sweep_parallel",
    "terms",
    "token_scores",
    "trainability_dimensions",
    "trainability_loss",
    "trainability_map",
    "trainability_zooms",
    "transfer",
    "ulam",
    "vector_similarity",
    "wave_logits",
    "wave_sum",
    "weight_norm",
    "wheel",
    "writes",
]
