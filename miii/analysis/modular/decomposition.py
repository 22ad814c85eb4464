"""Decompose the logits into kinds of waves in (a, b, c)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

#: The kinds of wave exp 2 pi i (k_a a + k_b b - k_c c) / p, with alpha and beta the multipliers of the task.
KINDS = (
    "the formula's waves",
    "the same at other frequencies",
    "the sum, uneven across answers",
    "one operand alone",
    "sum and difference together",
)


def shares(
    logits: Float[Tensor, "pairs p"], frequencies: Sequence[int], multipliers: tuple[int, int] = (1, 1)
) -> dict[str, float]:
    """Return the share of the logits' variance over the pairs by kind of wave, in the order of ``KINDS``; sums to 1.

    - "the formula's waves": functions of alpha a + beta b - c at the given frequencies;
    - "the same at other frequencies": the same at other frequencies, such as overtones;
    - "the sum, uneven across answers": other functions of alpha a + beta b and c, which differ between answers;
    - "one operand alone": functions of a and c, or of b and c;
    - "sum and difference together": the rest, which depends on both operands, and not only on their sum.

    Terms in c alone do not vary over the pairs and are left out. Logits without variance give zeros.

    Source: the three-dimensional spectrum of Gromov (arXiv 2301.02679), section 3.
    """
    p = logits.shape[1]
    power = torch.fft.fftn(logits.double().view(p, p, p)).abs().square()
    power[0, 0] = 0
    total = power.sum()
    if total <= 0:
        return dict.fromkeys(KINDS, 0.0)
    alpha, beta = multipliers
    k = torch.arange(p)
    on_sum = power[alpha * k % p, beta * k % p]  # [k, k_c]: functions of the sum and of c
    of_difference = on_sum[k, -k % p]
    chosen = torch.zeros(p, dtype=torch.bool)
    for frequency in frequencies:
        chosen[[frequency, p - frequency]] = True
    of_one = power[:, 0].sum() + power[0, :].sum()
    parts = torch.stack(
        [
            of_difference[chosen].sum(),
            of_difference[~chosen].sum(),
            on_sum.sum() - of_difference.sum(),
            of_one,
            total - on_sum.sum() - of_one,
        ]
    )
    return dict(zip(KINDS, (parts / total).tolist(), strict=True))
