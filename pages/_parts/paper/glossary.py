"""The terms of the paper, with definitions; chapter 3 has the bounds of the verdicts."""

from miii import analysis
from miii.analysis import sieve

#: Terms by subject, with their definitions.
TERMS: dict[str, dict[str, str]] = {
    "The network": {
        "logits": r"the scores of all answers before $\mathrm{softmax}$, minus their mean",
        "residual stream": "the sum of everything written to a position; `resid_mid` is after attention, `resid_post` after the neurons",
        "`mlp_post`, `mlp_out`": "the neurons after their ReLU, and what they write",
        "loss": "cross-entropy in nats",
    },
    "Waves": {
        "key frequency": analysis.keys.RULE.partition(";")[0],
        "active frequency": "power in the neurons more than two standard deviations above the step's mean, or share over time more than one above the overall mean",
    },
    "Causal tests": {
        "steering": "rotate the sum, or for primes exchange one digit's contribution; does the prediction follow?",
        "interchange": "copy another input's coordinates in the $q - 1$ directions in which residues differ; does the prediction flip?",
        "edge": "the output of one component (embedding, head, neurons) as input of another",
        "faithfulness": r"$(m(C) - m(\emptyset)) / (m(\mathrm{all}) - m(\emptyset))$ for the logit difference $m$ of a circuit $C$",
        "without": "the same for all edges but the circuit's",
        "probe": "a ridge regression from an activation to $\\cos$ and $\\sin$ of $2\\pi n/q$",
    },
    "Primes": {
        "AUC against $q$": "the probability that a prime has more evidence than a composite with smallest prime factor $q$; chance is 0.5",
        "sieve depth": f"the largest $q$, factors of the base aside, up to which all AUC are at least {sieve.LEAST} at the lower end of their 95% interval",
        "explained": "the share of the variance of digits' contributions that residues explain; *by chance*: with digits relabeled",
    },
}


def text() -> str:
    """Return all terms as Markdown lists."""
    return "\n\n".join(
        f"**{subject}**\n\n" + "\n".join(f"- **{term}**: {says}." for term, says in terms.items())
        for subject, terms in TERMS.items()
    ).replace("?.", "?")
