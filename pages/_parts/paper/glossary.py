"""The terms of the paper, with definitions."""

from miii import analysis
from miii.analysis import sieve
from miii.analysis.modular import criteria, neurons
from miii.tasks.task import GROKKED

#: Terms by subject, with their definitions.
TERMS: dict[str, dict[str, str]] = {
    "The network": {
        "token": "a symbol of the input; to the network it is a vector, its row of $W_E$",
        "logits": r"the scores of all answers $c$, before $\mathrm{softmax}$; here their mean over $c$, which the softmax ignores, is always removed",
        "`resid_pre`": "the residual stream before a block: the sum of everything written to a position so far",
        "`resid_mid`": "the residual stream between attention and neurons",
        "`q`, `k`, `v`": "queries, keys and values of each head: linear maps of the residual stream",
        "`pattern`": r"$\mathrm{softmax}(q\,k^\top / \sqrt d)$: how much each position attends to each; rows sum to 1",
        "`z`": "each head's mean of the values, weighted by its pattern",
        "`mlp_pre`, `mlp_post`": "the neurons before and after their ReLU",
        "tap": "a function through which every activation passes, so that it can be recorded or changed",
    },
    "Training": {
        "training and held-out": "the examples that training uses, and all others",
        "loss": "cross-entropy in nats, computed in float64",
        "grokking": f"test accuracy rises long after training accuracy; *has grokked* means at least {GROKKED:.0%} test accuracy",
        "weight decay": "each step shrinks all weights by a fixed share",
    },
    "Waves": {
        "frequency $k$": r"the waves $\cos w_k n$ and $\sin w_k n$ over the tokens $n$, with $w_k = 2\pi k/p$ and $1 \le k \le \lfloor p/2 \rfloor$",
        "key frequency": analysis.keys.RULE.rstrip("."),
        "formula": r"$\sum_k \alpha_k \cos(w_k(\pm a \pm b - c) + \varphi_k)$; for each key frequency of $c$, the strongest of *all* waves in $(a, "
        r"b)$; fitted on half of the pairs, scored on the other half",
        "restricted loss": "the loss if the logits keep only the waves $\\cos w_k(a+b)$ and $\\sin w_k(a+b)$ of the key frequencies, and their mean",
        "excluded loss": "the training loss if the logits keep everything but those waves",
        "single-frequency neuron": f"more than {neurons.SINGLE:.0%} of its variance over all pairs is in one frequency",
        "active "
        "frequency": "power in the neurons more than two standard deviations above the step's mean (the text of Syrkis's later preprint), or share "
        "over time more than one above the overall mean (its code)",
        "Gini coefficient": "of the norms of a matrix's Fourier components: 0 if all are equal, near 1 if one dominates",
    },
    "Causal tests": {
        "steering": "rotate the planes in which an activation holds the sum, and test whether the prediction shifts along; for primes, add the "
        "contribution of another residue of one digit",
        "interchange": "give one input another's coordinates in the $q - 1$ directions in which residues differ, and test whether the prediction flips",
        "control": "the same with other planes, or with an input of the same class: the prediction must stay",
        "edge": "the output of one component (embedding, head, neurons) as the input of another",
        "circuit": f"the fewest edges that recover {sieve.FAITHFUL:.0%} of the logit difference",
        "faithfulness": r"$(m(C) - m(\emptyset)) / (m(\mathrm{all}) - m(\emptyset))$, $m$ the logit difference: 1 if the circuit alone does what the network does",
        "without": "the same measure for all other edges, with the circuit corrupted",
        "probe": "the best linear map, by ridge regression, from an activation to $\\cos$ and $\\sin$ of $2\\pi n/q$, and its held-out $R^2$",
    },
    "Primes": {
        "smallest prime factor": "the smallest prime that divides $n$; $n$ itself if $n$ is prime",
        "evidence": "the logit of *prime* minus that of *composite*",
        "AUC by factor": "the probability that a prime has more evidence than a composite whose smallest prime factor is $q$; 0.5 is chance",
        "sieve "
        "depth": f"the largest $q$ up to which every factor's AUC is at least {sieve.LEAST}, at the lower end of its 95% bootstrap interval; factors "
        f"of the base are excluded",
        "explained": "the share of the variance of digits' contributions, weighted by their effect on the output, that residues modulo $q$ explain; "
        "*chance*: with digits relabeled at random",
        "label-only": "the only target is the one bit *prime or not*, and the base reveals no further factor",
    },
    "Verdicts": {
        "modular addition": f"the formula explains at least {criteria.VARIANCE_EXPLAINED:.0%} of the logits' variance and gives the network's answer on {criteria.ARGMAX_AGREEMENT:.0%} of the pairs; steering reaches {criteria.STEERING_ACCURACY:.0%} in the mean and {criteria.STEERING_MINIMUM:.0%} at worst; its control keeps {criteria.STEERING_CONTROL:.0%}",
        "sums residues modulo $q$": f"residues explain at least {sieve.EXPLAINED:.0%} of digits' contributions; interchange and steering reach {sieve.CROSSES:.0%}, their controls at most {sieve.KEEPS:.0%}; a table of totals would pass too",
        "adds digits modulo $q$": f"sums residues and is right about totals absent from training: the lower end of the AUC's 95% interval is at least {sieve.LEAST}; otherwise it looks the total up",
        "memorized": f"not modular addition; training accuracy at least {criteria.TRAINED:.0%}, test accuracy below {criteria.NOT_GENERALIZED:.0%}",
    },
}


def text() -> str:
    """Return all terms as Markdown lists."""
    return "\n\n".join(
        f"**{subject}**\n\n" + "\n".join(f"- **{term}**: {says}." for term, says in terms.items())
        for subject, terms in TERMS.items()
    )
