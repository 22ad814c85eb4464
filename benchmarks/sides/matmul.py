"""Time only the matrix multiplications of a training step."""

import statistics
import sys
import time

from benchmarks.sides.worker import Answer, Prepared, Request, serve

#: [rows, in] x [in, out] over the training rows, by the model's sizes; each has two backward products.
PRODUCTS = {
    # products of miii's fast path: z (W_O W_in), post (W_out W_U), z (W_O W_U)
    "fused": (("d_z", "d_mlp"), ("d_mlp", "d_vocab_out"), ("d_z", "d_vocab_out")),
    # products of a plain forward pass at the last position: z W_O, resid W_in, post W_out, resid W_U
    "unfused": (("d_z", "d_model"), ("d_model", "d_mlp"), ("d_mlp", "d_model"), ("d_model", "d_vocab_out")),
}


def prepare(precision: str) -> Prepared:
    """Draw operands in the precision of a training step."""
    import torch
    from torch import Tensor

    from benchmarks.sides.miii import step_config
    from miii import hardware

    config = step_config(precision)
    dtype = hardware.precision(config.precision, config.device)
    rows = config.task.n_train
    sizes = {
        "d_z": config.model.n_heads * config.model.d_head,
        "d_model": config.model.d_model,
        "d_mlp": config.model.d_mlp,
        "d_vocab_out": config.task.p,
    }

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype)

    def pairs(k: int, n: int) -> list[tuple[Tensor, Tensor]]:
        # forward x W, then as autograd does: dy W^T and x^T dy, the transposed ones as views
        x, W, dy = draw(rows, k), draw(k, n), draw(rows, n)
        return [(x, W), (dy, W.t()), (x.t(), dy)]

    operands = {
        kind: [pair for k, n in products for pair in pairs(sizes[k], sizes[n])] for kind, products in PRODUCTS.items()
    }

    def repetition(request: Request) -> Answer:
        """Run one pass per learning rate; return the sum of each product's median seconds."""
        seconds = {}
        for kind, products in operands.items():
            taken: list[list[float]] = [[] for _ in products]
            for _ in request["lr"]:
                for (left, right), times in zip(products, taken, strict=True):
                    began = time.perf_counter()
                    left @ right
                    times.append(time.perf_counter() - began)
            seconds[kind] = sum(statistics.median(times) for times in taken)
        return seconds

    flops = {kind: sum(2 * rows * sizes[k] * sizes[n] * 3 for k, n in of) for kind, of in PRODUCTS.items()}
    ready = {"threads": torch.get_num_threads(), "dtype": str(dtype).removeprefix("torch."), "rows": rows}
    return {**ready, "flops": flops}, repetition


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1]))
