"""Bits about residues and the label, at the sites of networks."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from miii.analysis.information import Bits
from miii.plots.style import CATEGORY, MUTED, Chart, top_legend

READERS = {"residue": "linear", "totals": "from a table of totals"}  #: of n mod q; that of "prime" is the title


def information(found: Mapping[str, Bits]) -> Chart:
    """Draw the bits by site, a column per question; a tick marks shuffled cells, a rule the entropy.

    Args:
        found: by network, such as "trained" and "untrained".

    Source: Cover and Thomas 2006, chapter 2.
    """
    frames = [bits.table.assign(network=name) for name, bits in found.items()]
    whole = pd.concat(frames, ignore_index=True)
    first = next(iter(found.values()))
    whole["asked"] = [
        "prime" if reader == "prime" else f"{about}, {READERS[reader]}"
        for about, reader in zip(whole["about"], whole["reader"], strict=True)
    ]
    whole["of"] = whole["about"].map(first.entropy)
    shown: list[Any] = [
        *("network:N", "site:N", "asked:N"),
        *(alt.Tooltip(f"{name}:Q", format=".4f") for name in ("bits", "shuffled", "bias", "of")),
    ]
    sites, networks = list(dict.fromkeys(whole["site"])), list(found)
    y = alt.Y("site:N", title="site at the last position", sort=sites)
    base = alt.Chart(whole).encode(y=y, yOffset=alt.YOffset("network:N", sort=networks), tooltip=shown)
    bars = base.mark_bar().encode(
        x=alt.X("bits:Q", title="bits"),
        color=alt.Color(
            "network:N", scale=alt.Scale(domain=networks, range=CATEGORY[: len(networks)]), legend=top_legend()
        ),
    )
    control = base.mark_tick(color=MUTED, thickness=2).encode(x=alt.X("shuffled:Q", title="bits"))
    limit = alt.Chart(whole).mark_rule(strokeDash=[4, 4], color=MUTED).encode(x=alt.X("max(of):Q", title="bits"))
    return (
        alt.layer(bars, control, limit)
        .properties(width=190, height=34 * len(sites))
        .facet(column=alt.Column("asked:N", title=None, sort=list(dict.fromkeys(whole["asked"]))))
        .resolve_scale(x="independent")
        .properties(title="Mutual information by nearest means (bits)")
    )
