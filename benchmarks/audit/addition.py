"""add-113 again: its accuracy, its formula by a DFT, its steering by least squares."""

from collections.abc import Iterator

import numpy as np

from benchmarks.audit.claims import DRAWN, Array, Claim, Network, read, shipped
from miii import runs
from miii.tasks import ModularAddition

RUN = "add-113"


def claims() -> Iterator[Claim]:
    """Yield every recomputed number of the adder."""
    if not shipped(RUN):
        return
    report, network = read(RUN, "report.json"), Network.of(RUN)
    config = runs.shipped(RUN, ModularAddition).task_config
    train, p = config.build().train_mask.numpy(), config.p
    a, b = (each.ravel() for each in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    tokens, total = np.stack([a, b, np.full(p * p, p)], 1), (a + b) % p
    mid = network.last_mid(tokens)
    logits = network.unembed(network.after(mid, network.layers - 1))
    logits -= logits.mean(1, keepdims=True)
    right = logits.argmax(1) == total
    nll = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    nll -= logits[np.arange(p * p), total]
    for field, value in (
        ("accuracy", right.mean()),
        ("train_accuracy", right[train].mean()),
        ("test_accuracy", right[~train].mean()),
        ("loss", nll.mean()),
    ):
        yield Claim(f"{RUN}: {field}", report[field], float(value))
    keys = report["key_frequencies"]
    W = network.weights["W_E"][:p]
    power = (np.abs(np.fft.fft(W - W.mean(0), axis=0)) ** 2).sum(1)[1 : p // 2 + 1]
    for k in keys:
        share = float(power[k - 1] / power.sum())
        yield Claim(f"{RUN}: share of frequency {k} in the embedding", report["frequency_power"][str(k)], share)
    explained, agreement = formula(logits, keys, p)
    yield Claim(f"{RUN}: variance explained by the formula", report["logit_variance_explained"], explained, 0.01)
    yield Claim(f"{RUN}: pairs on which the formula agrees", report["argmax_agreement"], agreement, 0.01)
    post = network.act(mid @ network.w("W_in") + network.w("b_in"))
    out, W_U = post @ network.w("W_out"), network.weights["W_U"]
    steered = steering(out, logits, W_U, keys, total, p, moves=True)
    yield Claim(f"{RUN}: steering, mean over s", report["steering_accuracy"], float(steered.mean()), 0.01)
    yield Claim(f"{RUN}: steering, worst s", report["steering_minimum"], float(steered.min()), 0.02)
    others = np.random.default_rng(1).permutation([k for k in range(1, p // 2 + 1) if k not in keys])[: len(keys)]
    control = steering(out, logits, W_U, sorted(others), total, p, moves=False)
    yield Claim(f"{RUN}: steering, control", report["steering_control"], float(control.mean()), DRAWN)
    single = single_frequency(post.reshape(p, p, -1), p)
    yield Claim(f"{RUN}: neurons of a single frequency", report["neurons_single_frequency"], single, 0.02)


def waves(k: int, n: Array, p: int) -> Array:
    """Return cos and sin of 2 pi k n / p."""
    angle = 2 * np.pi * k * n / p
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def formula(logits: Array, keys: list[int], p: int) -> tuple[float, float]:
    """Return the held-out R^2 of one wave per key frequency, fitted by least squares on half of the pairs."""
    fit = np.zeros(p * p, dtype=bool)
    fit[np.random.default_rng(0).permutation(p * p)[: p * p // 2]] = True
    a, b = (each.ravel() for each in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    own, c = np.zeros_like(logits), np.arange(p)
    for k in keys:
        coefficient = logits @ np.exp(2j * np.pi * k * c / p)  # of exp(-i w_k c)
        coefficient = coefficient - coefficient[fit].mean()
        grid = np.where(fit, coefficient, 0).reshape(p, p)
        k_a, k_b = np.unravel_index(np.abs(np.fft.fft2(grid)).argmax(), (p, p))
        wave = np.exp(2j * np.pi * (k_a * a + k_b * b) / p)
        wave = wave - wave[fit].mean()
        x = (wave[fit].conj() @ coefficient[fit]) / (wave[fit].conj() @ wave[fit])
        pair = np.exp(2j * np.pi * (k_a * a + k_b * b) / p)
        own += 2 / p * np.real(x * pair[:, None] * np.exp(-2j * np.pi * k * c / p))
    rest, mean = logits - own, logits[fit].mean(0)
    left = ((rest[~fit] - rest[fit].mean(0)) ** 2).sum()
    agreement = (own.argmax(1) == logits.argmax(1))[~fit].mean()
    return float(1 - left / ((logits[~fit] - mean) ** 2).sum()), float(agreement)


def steering(out: Array, logits: Array, W_U: Array, keys: list[int], total: Array, p: int, moves: bool) -> Array:
    """Return, by s, the share of pairs whose answer moves by s (or stays) when the planes of ``keys`` are rotated."""
    centered = out - out.mean(0)
    design = np.concatenate([waves(k, total, p) for k in keys], 1)
    write = np.linalg.lstsq(design, centered, rcond=None)[0]
    read = np.linalg.lstsq(centered, design, rcond=None)[0]
    inside, to_logits = centered @ read, write @ (W_U - W_U.mean(1, keepdims=True))
    found = []
    for s in range(1, p):
        change = np.zeros_like(inside)
        for i, k in enumerate(keys):
            angle = 2 * np.pi * k * s / p
            x, y = inside[:, 2 * i], inside[:, 2 * i + 1]
            change[:, 2 * i] = np.cos(angle) * x - np.sin(angle) * y - x
            change[:, 2 * i + 1] = np.sin(angle) * x + np.cos(angle) * y - y
        answer = (logits + change @ to_logits).argmax(1)
        found.append((answer == (total + s * moves) % p).mean())
    return np.array(found)


def single_frequency(post: Array, p: int) -> float:
    """Return the share of live neurons with more than 85% of their variance in waves of one frequency of a and b."""
    spectrum = np.abs(np.fft.fft2(post, axes=(0, 1))) ** 2
    spectrum[0, 0] = 0
    whole = spectrum.sum((0, 1))
    best = np.zeros(post.shape[-1])
    for k in range(1, p // 2 + 1):
        at = [0, k, p - k]
        best = np.maximum(best, spectrum[np.ix_(at, at)].sum((0, 1)))
    alive = post.max((0, 1)) > 0
    return float((best[alive] > 0.85 * whole[alive]).mean())
