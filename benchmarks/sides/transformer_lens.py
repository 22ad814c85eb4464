"""Time a training step of TransformerLens' HookedTransformer in float32, in its own environment without miii."""

import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.sides.worker import Answer, Prepared, Request, serve

#: Names of the weights in miii and TransformerLens; the layouts are the same.
NAMES = {
    "W_E": "embed.W_E",
    "W_pos": "pos_embed.W_pos",
    "W_U": "unembed.W_U",
    **{f"blocks.0.{name}": f"blocks.0.attn.{name}" for name in ("W_Q", "W_K", "W_V", "W_O")},
    **{f"blocks.0.{name}": f"blocks.0.mlp.{name}" for name in ("W_in", "b_in", "W_out", "b_out")},
}


def prepare(given: Path, found: Path) -> Prepared:
    """Build the model on the weights and batch in ``given``; write its logits and gradients on them to ``found``."""
    import json

    import torch
    import torch.nn.functional as F
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    tensors = load_file(given)
    with safe_open(given, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
    # otherwise TransformerLens' defaults: all biases exist and train
    model = HookedTransformer(
        HookedTransformerConfig(**facts["model"], normalization_type=None, dtype=torch.float32, device="cpu")
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".b_" in name:
                parameter.zero_()
        parameters = dict(model.named_parameters())
        for ours, theirs in NAMES.items():
            parameters[theirs].copy_(tensors[ours])

    tokens, labels = tensors["tokens"], tensors["labels"]
    logits = model(tokens)[:, -1]
    F.cross_entropy(logits, labels).backward()
    gradients = {ours: parameters[theirs].grad for ours, theirs in NAMES.items()}
    save_file({"logits": logits.detach().contiguous(), **gradients}, found)
    model.zero_grad()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **facts["adamw"])

    def repetition(request: Request) -> Answer:
        """Run one step per learning rate; return the seconds of each and the last loss."""
        seconds = []
        for lr in request["lr"]:
            optimizer.param_groups[0]["lr"] = lr
            began = time.perf_counter()
            loss = F.cross_entropy(model(tokens)[:, -1], labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.perf_counter() - began)
        return {"seconds": seconds, "loss": loss.item()}

    ready = {
        "transformer_lens": version("transformer_lens"),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }
    return ready, repetition


if __name__ == "__main__":
    serve(lambda: prepare(Path(sys.argv[1]), Path(sys.argv[2])))
