"""residues-113, miu-24 and frames-10 again: accuracies, attention of heads, integers written ahead."""

from collections.abc import Iterator

import numpy as np
import sympy

from benchmarks.audit.claims import DRAWN, Array, Claim, Network, auc, last_row, read, shipped
from miii import runs
from miii.tasks import MIU, Frames, Residues

SEQUENCES, STRINGS = 500, 3000  #: frames rolled out, strings per kind


def residues() -> Iterator[Claim]:
    """Yield the accuracy of each modulus and the attention of each head."""
    name = "residues-113"
    if not shipped(name):
        return
    report, network = read(name, "report.json"), Network.of(name)
    config = runs.shipped(name, Residues).task_config
    test, p = ~config.build().train_mask.numpy(), config.p
    n = np.arange(p * p)
    digits, equals = [n % p, n // p], np.full(p * p, p)
    first = config.readout == "digit"  # "=" stands first, or last
    tokens = np.stack([equals, *digits] if first else [*digits, equals], 1)
    logits, begin, right = network.answer(tokens[test]), 0, []
    for q in sympy.primerange(2, p):
        found = float((logits[:, begin : begin + q].argmax(1) == n[test] % q).mean())
        right.append(found)
        yield Claim(f"{name}: accuracy modulo {q}", report["accuracy"][f"mod {q}"], found)
        begin += q
    yield Claim(f"{name}: mean accuracy", report["accuracy_mean"], float(np.mean(right)))
    yield Claim(f"{name}: worst accuracy", report["accuracy_worst"], min(right))
    pattern = network.attention(network.last_input(tokens), network.layers - 1)[0][:, :, -1].mean(0)
    for head, to in enumerate(report["heads"]):
        for place, claimed in enumerate(to[:2]):
            yield Claim(f"{name}: attention of head {head} to x{place}", claimed, float(pattern[head, place + first]))


def miu() -> Iterator[Claim]:
    """Yield the accuracy on strings as long as in training, and on longer ones."""
    name = "miu-24"
    if not shipped(name):
        return
    row, network = last_row(name), Network.of(name)
    config = runs.shipped(name, MIU).task_config
    task = config.build()
    tokens, train = task.tokens.numpy(), task.train_mask.numpy()  # the split alone; labels are counted anew
    letters = tokens[:, 1:-1]
    theorem = (letters == 0).sum(1) % 3 != 0
    length = ((letters == 0) | (letters == 1)).sum(1)
    longest = length[train].max()
    for field, some in (("accuracy_as_long", ~train & (length <= longest)), ("accuracy_longer", length > longest)):
        rows = np.random.default_rng(1).permutation(np.flatnonzero(some))[:STRINGS]
        right = network.answer(tokens[rows]).argmax(1) == theorem[rows]
        yield Claim(f"{name}: {field}", row[field], float(right.mean()), DRAWN)


def frames() -> Iterator[Claim]:
    """Yield the scores given the true frames, and the integers that the network writes one and three frames ahead."""
    name = "frames-10"
    if not shipped(name):
        return
    report, network = read(name, "report.json"), Network.of(name)
    config = runs.shipped(name, Frames).task_config
    task = config.build()
    test = np.flatnonzero(~task.train_mask.numpy())
    test = np.random.default_rng(1).permutation(test)[:3000]
    first, step = (task.facts[fact].numpy()[test] for fact in ("first", "step"))
    n = first[:, None] + step[:, None] * np.arange(config.frames)
    tokens, names = task.tokens.numpy()[test], task.token_names
    assert names[2:12] == tuple("0123456789"), names
    logits = network.everywhere(tokens)
    prime = np.array([sympy.isprime(int(last)) for last in n[:, -1]])
    score, coprime = logits[:, -1, 1] - logits[:, -1, 0], np.gcd(n[:, -1], config.base) == 1
    held = report["held_out"]
    yield Claim(f"{name}: AUC of the last label", held["auc"], auc(score, prime), DRAWN)
    found = auc(score[coprime], prime[coprime])
    yield Claim(f"{name}: AUC beyond the last digit", held["auc_coprime"], found, 2 * DRAWN)
    said = logits.argmax(-1)
    wide, frame = config.width, config.frame
    right = np.stack(
        [(said[:, i * frame : i * frame + wide] == digits(n[:, i], wide)) for i in range(1, config.frames)], 1
    )
    yield Claim(f"{name}: digits given the true frames", held["digits"], float(right.mean()))
    yield Claim(f"{name}: integers given the true frames", held["integers"], float(right.all(-1).mean()), 0.01)
    written = roll(network, tokens[:SEQUENCES], step[:SEQUENCES], config)
    for row in report["rollout"]:
        ahead = row["ahead"]
        if ahead < config.frames:
            exact = (written[:, ahead - 1] == digits(n[:SEQUENCES, ahead], wide)).all(1)
            yield Claim(f"{name}: integers {ahead} frames ahead", row["integers"], float(exact.mean()), 0.02)


def digits(n: Array, width: int) -> Array:
    """Return the tokens of an integer's decimal digits."""
    return n[:, None] // 10 ** np.arange(width - 1, -1, -1) % 10 + 2


def roll(network: Network, tokens: Array, step: Array, config: Frames) -> Array:
    """Return the digits that the network writes after a true first frame; it reads its own digits and labels."""
    told, found = tokens[:, : config.frame].copy(), []
    for _ in range(config.frames - 1):
        told = np.concatenate([told, (step + 11)[:, None]], 1)
        for _ in range(config.width + 1):  # digits, then the label
            told = np.concatenate([told, network.everywhere(told)[:, -1].argmax(1)[:, None]], 1)
        found.append(told[:, -config.width - 1 : -1])
    return np.stack(found, 1)
