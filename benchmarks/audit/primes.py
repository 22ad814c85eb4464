"""The networks on primes again: AUCs, residues in what digits add, interchange, steering, totals not in training."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy

from benchmarks.audit.claims import DRAWN, EXACT, Array, Claim, Network, auc, read, shipped
from miii import runs
from miii.tasks import Primes

NAMES = ("primes-10", *(f"seeds/primes-10-seed{seed}" for seed in range(1, 14)), "primes-10-assisted")
Q, MOST, SEEN, STARTS = 3, 6000, 0.95, 100


def claims() -> Iterator[Claim]:
    """Yield every recomputed number of the networks on primes."""
    for name in shipped(*NAMES):
        report, network = read(name, "report.json"), Network.of(name)
        config = runs.shipped(name, Primes).task_config
        task = config.build()
        n, train = task.facts["n"].numpy(), task.train_mask.numpy()
        steps = task.step_mask.numpy()
        tokens, spf = task.tokens.numpy(), smallest_factors(n)
        test = np.flatnonzero(~train)
        tolerance = EXACT
        if len(test) > 50_000:
            test, tolerance = np.sort(np.random.default_rng(1).permutation(test)[:50_000]), DRAWN
        yield from depth(name, report, network, tokens[test], n[test], spf[test], config.base, tolerance)
        if network.layers == 1 and network.act(np.array(-1.0)) == 0 and "3" in report["digit_variance_explained"]:
            generator, coprime = np.random.default_rng(1), np.gcd(n, config.base) == 1
            if not config.withheld:
                fitted, held_out = (
                    Sums.of(network, tokens, n, generator.permutation(np.flatnonzero(side & coprime))[:MOST], config)
                    for side in (steps, ~train)
                )
                yield from addition(name, report, network, fitted, held_out, generator)
                yield from totals(name, report, network, fitted, held_out, residue_counts(n[train], config), generator)


def smallest_factors(n: Array) -> Array:
    """Return the smallest prime factor of each integer, by SymPy's primes."""
    found = n.copy()
    for q in reversed(list(sympy.primerange(2, int(n.max() ** 0.5) + 1))):
        found[n % q == 0] = q
    return found


def depth(
    name: str, report: dict, network: Network, tokens: Array, n: Array, spf: Array, base: int, tolerance: float
) -> Iterator[Claim]:
    """Recompute AUCs by smallest factor, the depth, and trial division."""
    logits = network.answer(tokens)
    score, prime = logits[:, 1] - logits[:, 0], spf == n
    yield Claim(f"{name}: ROC AUC", report["roc_auc"], auc(score, prime), tolerance)
    reached, going = 1, True
    for q in map(int, report["auc_by_factor"]):
        some = prime | (spf == q)
        found = auc(score[some], prime[some])
        yield Claim(f"{name}: AUC against smallest factor {q}", report["auc_by_factor"][str(q)], found, tolerance)
        going = going and found >= SEEN
        reached = q if going else reached
        passed = prime | ((spf > q) & (np.gcd(n, base) == 1))
        division = auc(passed * 1.0, prime)
        yield Claim(f"{name}: trial division to {q}", report["oracle_auc_and_base"][str(q)], division, tolerance)
    yield Claim(f"{name}: depth of the sieve", report["sieve_depth"], reached, 0)


@dataclass(frozen=True)
class Sums:
    """Integers, what each digit adds before the neurons of one layer, and the sum that these read."""

    n: Array
    residue: Array
    symbol: Array
    added: Array
    mid: Array

    @classmethod
    def of(cls, network: Network, tokens: Array, n: Array, rows: Array, config: Primes) -> "Sums":
        """Run the integers of some rows."""
        x = network.embed(tokens[rows])
        pattern, v = network.attention(x, 0)
        weighted = pattern[:, :, -1, :-1, None] * v[:, :, :-1]
        added = np.einsum("nhpe,hed->npd", weighted, network.w("W_O"))
        digits = tokens[rows, :-1] % config.base
        weight = np.array([pow(config.base, i, Q) for i in range(config.width - 1, -1, -1)])
        return cls(n[rows], digits * weight % Q, digits, added, network.mid(x, 0)[:, -1])

    def means(self) -> tuple[Array, Array]:
        """Return the mean of what each residue adds at each place, and which residues occur there."""
        places, d = self.added.shape[1:]
        mean, occurs = np.zeros((places, Q, d)), np.zeros((places, Q), dtype=bool)
        for place, residue in itertools.product(range(places), range(Q)):
            rows = self.residue[:, place] == residue
            if rows.any():
                mean[place, residue], occurs[place, residue] = self.added[rows, place].mean(0), True
        return mean, occurs


def evidence(network: Network, mid: Array) -> Array:
    """Return the logit of prime minus that of composite, from the sum."""
    logits = network.unembed(network.after(mid, 0))
    return logits[:, 1] - logits[:, 0]


def addition(
    name: str, report: dict, network: Network, fitted: Sums, held_out: Sums, generator: np.random.Generator
) -> Iterator[Claim]:
    """Recompute variance explained, interchange and steering modulo 3."""
    u = network.weights["W_U"][:, 1] - network.weights["W_U"][:, 0]
    on = fitted.mid @ network.w("W_in") + network.w("b_in") > 0
    gradient = u + (on * (network.w("W_out") @ u)) @ network.w("W_in").T
    metric = gradient.T @ gradient / len(gradient)
    between = whole = 0.0
    for place in range(held_out.added.shape[1]):
        x = held_out.added[:, place] - held_out.added[:, place].mean(0)
        whole += float(np.einsum("nd,de,ne->", x, metric, x))
        for residue in range(Q):
            rows = held_out.residue[:, place] == residue
            center = x[rows].mean(0) if rows.any() else np.zeros(x.shape[1])
            between += rows.sum() * float(center @ metric @ center)
    yield Claim(f"{name}: variance explained, modulo 3", report["digit_variance_explained"]["3"], between / whole, 0.01)
    mean, occurs = fitted.means()
    stacked = np.concatenate([m[o] - m[o].mean(0) for m, o in zip(mean, occurs, strict=True)])
    plane = np.linalg.svd(stacked, full_matrices=False)[2][: Q - 1].T
    score, multiple = evidence(network, held_out.mid), held_out.n % Q == 0
    middle = (np.median(score[multiple]) + np.median(score[~multiple])) / 2
    above = score > middle
    own = {kind: np.flatnonzero((multiple == kind) & (above != kind)) for kind in (True, False)}

    def crossed(rows: Array, mid: Array) -> float:
        return float(((evidence(network, mid) > middle) != above[rows]).mean())

    def interchanged(of: bool, to: bool) -> float:
        rows, sources = own[of], generator.choice(own[to], len(own[of]))
        mid = held_out.mid
        return crossed(rows, mid[rows] + (mid[sources] - mid[rows]) @ plane @ plane.T)

    def steered(of: bool, keep: bool) -> float:
        rows, now = own[of], held_out.n[own[of]] % Q
        places = np.argsort(generator.random((len(rows), held_out.residue.shape[1] - 1)), 1)
        by = generator.integers(1, Q, len(rows)) if of else (now if keep else -now) % Q

        def step(place: Array, shift: Array) -> tuple[Array, Array]:
            old = held_out.residue[rows, place]
            new = (old + shift) % Q
            return occurs[place, new], mean[place, new] - mean[place, old]

        possible, change = step(places[:, 0], by)
        if of and keep:
            back, second = step(places[:, 1], -by)
            possible, change = possible & back, change + second
        return crossed(rows[possible], (held_out.mid[rows] + change)[possible])

    pairs = {"accuracy": ((True, False), (False, True)), "control": ((True, True), (False, False))}
    for kind, changes in pairs.items():
        crossing = float(np.mean([interchanged(of, to) for of, to in changes]))
        yield Claim(f"{name}: interchange, {kind}", report[f"interchange_{kind}"]["3"], crossing, DRAWN)
        crossing = float(np.mean([steered(of, of == to) for of, to in changes]))
        yield Claim(f"{name}: steering, {kind}", report[f"steering_{kind}"]["3"], crossing, DRAWN)


def residue_counts(n: Array, config: Primes) -> set[tuple[int, ...]]:
    """Return the counts of digits by residue of their contribution that some integers have."""
    digits = n[:, None] // config.base ** np.arange(config.width) % config.base
    parts = digits * np.array([pow(config.base, i, Q) for i in range(config.width)]) % Q
    return set(map(tuple, np.stack([(parts == r).sum(1) for r in range(Q)], 1).tolist()))


def totals(
    name: str,
    report: dict,
    network: Network,
    fitted: Sums,
    held_out: Sums,
    known: set[tuple[int, ...]],
    generator: np.random.Generator,
) -> Iterator[Claim]:
    """Recompute the AUCs at totals inside and outside those of training."""
    mean, occurs = (each[:-1] for each in fitted.means())
    vectors = mean.sum(0) / np.maximum(1, occurs.sum(0))[:, None]
    reach = set(known)
    for _ in range(2):
        moves = [(a, b) for a, b in itertools.product(range(Q), repeat=2) if a != b and occurs[:, [a, b]].any(0).all()]
        reach |= {tuple(x + (i == a) - (i == b) for i, x in enumerate(point)) for point in reach for a, b in moves}
    points = np.array(sorted(reach))
    rows = generator.permutation(len(held_out.n))[:STARTS]
    own = np.stack([(held_out.residue[rows] == r).sum(1) for r in range(Q)], 1)
    score = np.array([np.median(evidence(network, held_out.mid[rows] + (p - own) @ vectors)) for p in points])
    inside = np.array([tuple(point) in known for point in points.tolist()])
    divides = points @ np.arange(Q) % Q == 0
    for where, some in (("inside", inside), ("outside", ~inside)):
        claimed = report["generalization"]["3"][where]["auc"]
        yield Claim(f"{name}: AUC at totals {where} training", claimed, auc(score[some], ~divides[some]), 2 * DRAWN)
