"""The terms of the paper, with definitions; chapter 3 has the bounds of the verdicts."""

from miii import analysis
from miii.analysis import sieve

#: Terms by subject, with their definitions.
TERMS: dict[str, dict[str, str]] = {
    "The network": {
        "logits": "the scores of all answers before softmax, minus their mean",
        "residual stream": "all that was written to a position, summed; `resid_mid` follows attention, `resid_post` the neurons",
        "`mlp_post`, `mlp_out`": "neurons after ReLU, and what they write",
        "loss": "cross-entropy in nats",
    },
    "Waves": {
        "key frequency": analysis.keys.RULE.partition(";")[0],
        "active frequency": "power in the neurons over two standard deviations above the step's mean, or share over time over one above the overall mean",
    },
    "Causal tests": {
        "steering": "rotate the sum (for primes, exchange one digit's contribution); does the prediction follow?",
        "interchange": "copy another input's coordinates in the $q - 1$ directions of residues; does the prediction flip?",
        "edge": "one component's output (embedding, head, neurons) as another's input",
        "faithfulness": r"$(m(C) - m(\emptyset)) / (m(\mathrm{all}) - m(\emptyset))$ for circuit $C$ and logit difference $m$",
        "without": "the same for all other edges",
        "probe": "a ridge regression from an activation to $\\cos$ and $\\sin$ of $2\\pi n/q$",
    },
    "Primes": {
        "AUC against $q$": "the chance that a prime has more evidence than a composite with smallest prime factor $q$; 0.5 by guessing",
        "sieve depth": f"the largest $q$, factors of the base aside, up to which the 95% interval of each AUC starts at {sieve.LEAST} or more",
        "explained": "the variance of digits' contributions that residues explain; *by chance*: with digits relabeled",
    },
}


def text() -> str:
    """Return all terms as Markdown lists."""
    return "\n\n".join(
        f"**{subject}**\n\n" + "\n".join(f"- **{term}**: {says}." for term, says in terms.items())
        for subject, terms in TERMS.items()
    ).replace("?.", "?")
