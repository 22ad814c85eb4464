"""The Data page for sequences: kinds, families and their split, one sequence as the network reads it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from miii import cost
from miii.errors import InputError
from miii.tasks import Sequences
from miii.tasks.sequences import grammar
from miii.tasks.sequences.kinds import KINDS
from miii.tasks.sequences.task import draw, labels_of
from miii.tasks.sequences.typed import spelled
from pages._kit import write
from pages._kit.inputs import integer, number, train_fraction
from pages._server import gate

MOST = 100_000  # sequences that a small server has memory for

INTRO = """
A grammar draws rules of eleven kinds, and noise. **Several kinds may hold**: squares are polynomial, increasing, unique and a recurrence.
The split is by **family**: rules that share certain numbers are all in training or all held out.
"""


def page(name: str) -> None:
    """Show everything below the task picker."""
    write.text(INTRO)
    default = Sequences()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        longest = number("Longest", default.longest, "longest", "Terms, 12 to 50")
        n = number("Sequences", 6_000, "sequences")
        modulus = number("Largest modulus", default.largest_modulus, "largest_modulus", "Residues modulo 2 to this")
        fraction = train_fraction("Of sequences and families")
        seed = number("Seed", 0, "seed")
    try:
        config = Sequences(longest=longest, n=n, largest_modulus=modulus, train_fraction=fraction, seed=seed)
        if config.n > MOST:
            raise InputError(f"n must be at most {MOST:,} in the app (got {config.n}).")
    except InputError as error:
        write.error(error)
        write.stop()
    gate.check(cost.data(config), "This data set")
    drawn = draw(config)
    holds = labels_of(drawn)
    with st.container(horizontal=True):
        write.metric("Sequences", f"{config.n:,}", border=True)
        write.metric("For training", f"{config.n_train:,}", border=True)
        write.metric("Kinds per sequence", f"{holds.sum(1).mean():.2f}", border=True, help="Mean")
        write.metric("Parts per term", f"{len(config.encoding.blocks)}", border=True)
    write.header("Kinds", anchor="kinds")
    share = holds.mean(0)
    rows = [
        {"kind": kind, "holds if": text, "share": f"{share[i]:.1%}"} for i, (kind, text) in enumerate(KINDS.items())
    ]
    write.table(pd.DataFrame(rows), name="kinds")
    write.header("Families", anchor="families")
    held = {kind: grammar.held_out(kind, 1 - config.train_fraction, config.seed) for kind in grammar.FORMS}
    families = [
        {
            "rule": kind,
            "a family shares": form.about,
            "families": len(form.families),
            "held out": len(held[kind]),
            "such as": "; ".join(sorted(" ".join(map(str, (each.form, *each.shared))) for each in held[kind])[:4]),
        }
        for kind, form in grammar.FORMS.items()
    ]
    write.table(pd.DataFrame(families), name="families")
    write.header("A sequence", anchor="sequence")
    row = (
        integer("Sequence", 0, config.n - 1, 0, "sequence", f"0 to {config.n - 1}; held-out ones last", width=160) or 0
    )
    one = drawn[row]
    write.text(
        f"`{', '.join(map(spelled, one.rule.terms))}`  \nRule: **{one.kind}**, family "
        f"{' '.join(map(str, (one.family.form, *one.family.shared)))}, in the **{'train' if row < config.n_train else 'test'}** split. "
        f"Kinds: **{', '.join(kind for kind, yes in zip(KINDS, holds[row], strict=True) if yes) or 'none'}**."
    )
    show_parts(config, one.rule.terms)


def show_parts(config: Sequences, terms: Sequence[int]) -> None:
    """Show the parts of each term, as numbers from 0 and a sign."""
    terms = terms[: config.longest]
    tokens = config.encode([terms])[0]
    parts = {
        part: [int(tokens[i, j]) - block.start for i in range(len(terms))]
        for j, (part, block) in enumerate(config.encoding.blocks.items())
    }
    parts["sign"] = [value - 1 for value in parts["sign"]]
    write.table(pd.DataFrame({"term": list(map(spelled, terms))} | parts), name="parts")
    write.caption("Each row is one position, which sums the embeddings of its parts.")
