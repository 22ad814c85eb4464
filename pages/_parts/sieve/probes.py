"""Probes for residues, for the page Sieve: for primes and MIU."""

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared


@shared
def probed(name: str, step: int, moduli: tuple[int, ...], trained: bool) -> analysis.sieve.Probes:
    run = miii.runs.open(name)
    model = run.model(step) if trained else miii.training.build_model(run.config, run.task()).requires_grad_(False)
    return analysis.sieve.probe(model, run.task(), moduli)


def probe_map(name: str, step: int, moduli: tuple[int, ...], q: int, k: int, shuffled: str | None) -> Chart:
    task = miii.runs.open(name).task()
    tables = {"trained": probed(name, step, moduli, True).table}
    if shuffled is not None:
        tables["trained on shuffled labels"] = probed(shuffled, miii.runs.open(shuffled).steps[-1], moduli, True).table
    tables["untrained"] = probed(name, step, moduli, False).table
    return plots.probe_map(tables, q, k, [""] * (task.n_ctx - 1) + ["?"])


def probes(run: Run, step: int, moduli: tuple[int, ...], q: int) -> None:
    """Linear probes at every site and position, computed only when asked for."""
    write.header("Where can the residue be decoded?", anchor="probes")
    write.text(
        r"""
A **probe** regresses $\cos \frac{2\pi k n}{q}$ and $\sin \frac{2\pi k n}{q}$ on an activation. If attention sums, the residue is decodable only
after it, at the last position.
"""
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        k = 1
        if q > 3:
            k = st.select_slider(
                "Harmonic k",
                range(1, q // 2 + 1),
                key=f"harmonic-{q}",
                width=220,
            )
        wanted = st.toggle(
            "Fit the probes",
            key="probes",
            bind="query-params",
            help="About ten seconds",
        )
    if not wanted:
        return
    control = shuffled_twin(run)
    with st.spinner("Fitting probes …", show_time=True):
        cell(
            probe_map,
            name=run.name,
            step=step,
            moduli=moduli,
            q=q,
            k=int(k),
            shuffled=control,
            width="content",
        )
        best = {"trained": probed(run.name, step, moduli, True).best(q)}
        best["untrained"] = probed(run.name, step, moduli, False).best(q)
    listed = "; ".join(f"{name} {value:.3f}" for name, value in best.items())
    write.caption(
        f"Best held-out R² for {q} over harmonics, sites, positions: {listed}. Below 0: worse than the mean. "
        + (
            f"Shuffled labels: {write.escaped(control)}."
            if control
            else f"No shuffled-label control: no run {write.escaped(run.name)}-shuffled."
        )
    )


def shuffled_twin(run: Run) -> str | None:
    """The run of the same name and ``-shuffled``, if it has the same examples and a snapshot."""
    name = f"{write.escaped(run.name)}-shuffled"
    twin = next((other for other in runs.every() if other.name == name), None)
    if (
        twin is None
        or runs.row(twin)["reason"] is not None
        or not twin.steps
        or "shuffled" not in type(run.config.task).model_fields
    ):
        return None
    alike = twin.config.task.model_dump(exclude={"shuffled"}) == run.config.task.model_dump(exclude={"shuffled"})
    return name if alike and twin.config.model == run.config.model else None
