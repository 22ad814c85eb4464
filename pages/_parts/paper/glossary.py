"""The terms of the paper, each with its exact definition."""

from miii.analysis import sieve
from miii.analysis.modular import criteria, neurons
from miii.tasks.task import GROKKED

#: Terms by subject, with their definitions.
TERMS: dict[str, dict[str, str]] = {
    "The network": {
        "token": "one of finitely many names; the network knows of each only a vector, its row in $W_E$",
        "logits": r"the scores of all answers $c$, before $\mathrm{softmax}$; here always less their mean over $c$, which softmax does not see",
        "`resid_pre`": "what stands at each position when a block begins: the sum of all that was written there so far (the *residual stream*)",
        "`resid_mid`": "the same between attention and neurons",
        "`q`, `k`, `v`": "queries, keys and values of each head: linear maps of what stands at a position",
        "`pattern`": r"$\mathrm{softmax}(q\,k^\top / \sqrt d)$: how much each position attends to each; rows sum to 1",
        "`z`": "each head's mean of the values, weighted by its pattern",
        "`mlp_pre`, `mlp_post`": "the neurons before and after their ReLU",
        "tap": "every activation passes through one function, by which it is written down or changed",
    },
    "Training": {
        "training and held-out": "examples on which steps are taken, and all others",
        "loss": "cross-entropy in nats, computed in float64",
        "grokking": f"the held-out accuracy comes long after the training accuracy; we say *has grokked* from {GROKKED:.0%} held-out accuracy on",
        "weight decay": "each step makes all weights smaller by a fixed share, so that memory has to pay rent",
    },
    "Waves": {
        "frequency $k$": r"the waves $\cos w_k n$ and $\sin w_k n$ over the tokens $n$, with $w_k = 2\pi k/p$ and $1 \le k \le \lfloor p/2 \rfloor$",
        "key frequency": "one of those that stand out: sort all by their power in $W_E$ and in the neuron-to-logit map together, and cut at the widest gap; those above it count if the weakest has at least ten times the median power",
        "formula": r"$\sum_k \alpha_k \cos(w_k(\pm a \pm b - c) + \varphi_k)$; for each key frequency of $c$ the strongest of *all* waves in $(a, b)$ is taken, fitted on half of the pairs, judged on the other half",
        "restricted loss": "the loss when logits keep nothing but the waves $\\cos w_k(a+b)$ and $\\sin w_k(a+b)$ of the key frequencies, and their mean",
        "excluded loss": "the loss, on training pairs, when logits keep everything but those waves",
        "single-frequency neuron": f"more than {neurons.SINGLE:.0%} of its variance over all pairs is in one frequency",
        "active frequency": "its power in the neurons is more than two standard deviations above its step's mean (the preprint's text), or its share over time more than one above the mean of all (its code)",
        "Gini coefficient": "of the lengths of a matrix's Fourier components: 0 where all are alike, near 1 where one has everything",
    },
    "What happens if": {
        "steering": "find the planes in which an activation holds the sum, turn them, touch nothing else, and see whether the answer turns along; of primes: add what another residue of one digit would have added",
        "interchange": "give one input another's place in the directions in which residues differ ($q - 1$ of them), and see whether the answer changes sides",
        "control": "the same with as many other planes, or with an input of the same kind: nothing may change",
        "edge": "what one part (embedding, head, neurons) writes, as another part reads it",
        "circuit": f"the fewest best edges that bring back {sieve.FAITHFUL:.0%} of what a question makes to the answer",
        "faithfulness": r"$(m(C) - m(\emptyset)) / (m(\mathrm{all}) - m(\emptyset))$, $m$ the answer's logit difference: 1 where the circuit alone does what the network does",
        "without": "the same measure of all other edges, with those of the circuit corrupted",
        "probe": "the best linear map, by ridge regression, from an activation to $\\cos$ and $\\sin$ of $2\\pi n/q$, and its held-out $R^2$",
    },
    "Primes": {
        "smallest prime factor": "the least prime that divides $n$; $n$ itself where $n$ is prime",
        "evidence": "the logit of *prime* less that of *composite*",
        "AUC by factor": "the chance that a prime has more evidence than a composite whose smallest prime factor is $q$; 0.5 is a guess",
        "sieve depth": f"the largest $q$ up to which every factor's AUC is at least {sieve.LEAST}, at the lower end of its 95 % interval (bootstrap); factors of the base apart",
        "explained": "the share of the variance of what digits add, as the output feels it, that their residues modulo $q$ explain; *chance* is the same with the digits renamed at random",
        "label-only": "no target but the one bit, and a base that gives no further factor away",
    },
    "Verdicts": {
        "modular addition": f"the formula explains at least {criteria.VARIANCE_EXPLAINED:.0%} of the logits' variance and gives the network's answer on {criteria.ARGMAX_AGREEMENT:.0%} of the pairs; steering reaches {criteria.STEERING_ACCURACY:.0%} in the mean and {criteria.STEERING_MINIMUM:.0%} at worst; its control keeps {criteria.STEERING_CONTROL:.0%}",
        "sums residues modulo $q$": f"residues explain at least {sieve.EXPLAINED:.0%} of what digits add; interchange and steering reach {sieve.CROSSES:.0%}, their controls at most {sieve.KEEPS:.0%}; a table of totals would pass too",
        "memorized": f"not modular addition; {criteria.TRAINED:.0%} of the training pairs right, and less than {criteria.NOT_GENERALIZED:.0%} of the others",
    },
}


def text() -> str:
    """All terms as lists in Markdown."""
    return "\n\n".join(
        f"**{subject}**\n\n" + "\n".join(f"- **{term}**: {says}." for term, says in terms.items())
        for subject, terms in TERMS.items()
    )
