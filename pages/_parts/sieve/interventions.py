"""The parts of the page Sieve that change the sum, read it by probes, and come to a verdict: of primes and of MIU."""

import math

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS, LEAST, Crossing, Interval
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from pages._kit import write
from pages._kit.cell import cell, shared

CHANGES = {"interchange": "Interchange", "steering": "Steering"}


@shared
def added(name: str, step: int, q: int, seen: tuple[int, ...]) -> analysis.sieve.Addition:
    run = miii.runs.open(name)
    config = analysis.sieve.check(run.config.task)
    return analysis.sieve.measure_addition(run.model(step), run.task(), config, (q,), seen)[0]


@shared
def probed(name: str, step: int, moduli: tuple[int, ...], trained: bool) -> analysis.sieve.Probes:
    run = miii.runs.open(name)
    model = run.model(step) if trained else miii.training.build_model(run.config, run.task()).requires_grad_(False)
    return analysis.sieve.probe(model, run.task(), moduli)


def evidence_moves(name: str, step: int, q: int, seen: tuple[int, ...], change: str) -> Chart:
    addition = added(name, step, q, seen)
    return plots.evidence_moves(getattr(addition, change), change.capitalize())


def crossings(name: str, step: int, q: int, seen: tuple[int, ...]) -> Chart:
    addition = added(name, step, q, seen)
    return plots.crossings({"interchange": addition.interchange, "steering": addition.steering})


def lattice(name: str, step: int, q: int, seen: tuple[int, ...]) -> Chart:
    found = added(name, step, q, seen).generalization
    assert found is not None
    return plots.lattice(found.lattice)


def probe_map(name: str, step: int, moduli: tuple[int, ...], q: int, k: int, shuffled: str | None) -> Chart:
    task = miii.runs.open(name).task()
    tables = {"trained": probed(name, step, moduli, True).table}
    if shuffled is not None:
        tables["trained on shuffled labels"] = probed(shuffled, miii.runs.open(shuffled).steps[-1], moduli, True).table
    tables["untrained"] = probed(name, step, moduli, False).table
    return plots.probe_map(tables, q, k, [""] * (task.n_ctx - 1) + ["?"])


def section(run: Run, step: int, q: int, seen: tuple[int, ...], things: str = "integers") -> None:
    """Interchange and steering."""
    write.header("Does it use the sum?", anchor="change")
    others = [p for p in seen if p != q]
    write.text(
        f"""
What can be seen inside need not be used. So change the sum, and nothing else, and see whether the network changes its
mind. **Interchange** gives an example another one's place in the {max(1, q - 1)} direction{"s" if q > 2 else ""} in
which residues modulo {q} differ, and leaves the rest as it is. **Steering** turns the residue: it adds what a digit of
another residue would have added. The control changes as much, but keeps what the example is. Who **crosses** has
evidence on the other side of the midpoint between the two classes' medians.
"""
        + (
            f"Left out are {things} divisible by {' or '.join(map(str, others))}; partners agree modulo these."
            if others
            else ""
        )
    )
    change = st.segmented_control(
        "Change",
        list(CHANGES),
        default="interchange",
        format_func=CHANGES.__getitem__,
        required=True,
        key="change",
        bind="query-params",
        help="Which of the two is drawn; the bars below show both",
    )
    with st.spinner("Changing the sum …", show_time=True):
        addition = added(run.name, step, q, seen)
    crossing: Crossing = addition.steering if change == "steering" else addition.interchange
    if crossing.moves:
        cell(
            evidence_moves,
            name=run.name,
            step=step,
            q=q,
            seen=seen,
            change=change or "interchange",
            width="content",
            alt=f"Distributions of the evidence before and after the change, modulo {q}.",
            caption=f"The dashed line is the midpoint. Changed are the {things} that stood on their own side of it before: "
            f"{percent(crossing.before)} of all.",
        )
    else:
        write.caption(f"There are too few {things} on either side of the midpoint to be changed.")
    cell(
        crossings,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        alt="Bars of interchange and of steering, each beside its control.",
        caption=f"Modulo {q}, {percent(addition.interchange.accuracy)} cross after an interchange (control "
        f"{percent(addition.interchange.control)}) and {percent(addition.steering.accuracy)} after steering (control "
        f"{percent(addition.steering.control)}); {addition.interchange.pairs:,} and {addition.steering.pairs:,} {things} were changed. "
        f"Asked for are at least {CROSSES:.0%}, and at most {KEEPS:.0%} in the controls.",
    )


def totals(run: Run, step: int, q: int, seen: tuple[int, ...]) -> None:
    """Whether the network adds or looks totals up."""
    write.header("Addition, or a table of totals?", anchor="totals")
    found = added(run.name, step, q, seen).generalization
    assert found is not None
    trained = int(found.lattice.trained.sum())
    write.text(
        f"""
If the sum has one vector per residue, it depends only on how many digits contribute each residue modulo {q}. Training
shows {trained} such **count vectors**, few enough to learn one answer for each. A network that adds is also right at counts
that training did not show. Each point is a count vector: the sums of test integers, moved there along mean contributions.
"""
    )
    cell(
        lattice,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        alt=f"Evidence at count vectors modulo {q}, in training and beyond.",
        caption=f"AUC of other integers against multiples of {q}: {span(found.lattice.inside)} at counts in training, "
        f"{span(found.lattice.outside)} elsewhere. "
        + (
            f"Real integers with the withheld counts: {span(found.withheld)}."
            if found.withheld
            else f"A network that adds has at least {LEAST} on both."
        ),
    )
    if found.by_counts:
        write.table(
            [{"withheld counts": counts, "AUC": finite(value)} for counts, value in found.by_counts.items()],
            width="content",
            name="withheld-counts",
        )


def span(interval: Interval) -> str:
    """An AUC with its 95% interval; a dash where multiples or others are missing."""
    if math.isnan(interval.auc):
        return "–"
    return f"{interval.auc:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def probes(run: Run, step: int, moduli: tuple[int, ...], q: int) -> None:
    """Linear probes at every site and position, computed only when asked for."""
    write.header("Where can the residue be read?", anchor="probes")
    write.text(
        r"""
A **probe** is a linear regression from an activation to $\cos \frac{2\pi k n}{q}$ and $\sin \frac{2\pi k n}{q}$, fitted
on training examples; $R^2$ is measured on held-out ones. The residue of the whole number should be readable only after
attention has added the digits up, at the position where the answer is read. What an untrained network shows is no merit
of training.
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
                help="How often the wave turns in q steps",
            )
        wanted = st.toggle(
            "Fit the probes",
            key="probes",
            bind="query-params",
            help="Every site and position of two or three networks: takes about ten seconds",
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
            alt=f"Maps of R^2 by site and position for harmonic {k} of {q}, one a network.",
        )
        best = {"trained": probed(run.name, step, moduli, True).best(q)}
        best["untrained"] = probed(run.name, step, moduli, False).best(q)
    listed = "; ".join(f"{name} {value:.3f}" for name, value in best.items())
    write.caption(
        f"Best R² for {q}, over harmonics, sites and positions: {listed}. Below 0 a probe is worse than the mean. "
        + (
            f"The control with shuffled labels is {write.escaped(control)}."
            if control
            else f"There is no run named {write.escaped(run.name)}-shuffled, so there is no control with shuffled labels."
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


def verdict(run: Run, step: int, moduli: tuple[int, ...], seen: tuple[int, ...], q: int) -> None:
    """The rule, and what it gives."""
    write.header("The verdict", anchor="verdict")
    write.text(
        f"""
The rule: a network **sums residues modulo q** if the residue explains at least {EXPLAINED:.0%} of the variance of what
digits add, at least {CROSSES:.0%} cross after interchange and after steering, and at most {KEEPS:.0%} in either
control. All must hold, on held-out examples. It **adds digits** if it is also right about sums that training did not
show; otherwise it looks the total up.
"""
    )
    every = len(moduli) == 1 or st.toggle(
        "Measure all moduli",
        key="all",
        bind="query-params",
        help=f"{', '.join(map(str, moduli))}, in place of {q} alone",
    )
    with st.spinner("Measuring …", show_time=True):
        found = tuple(added(run.name, step, p, seen) for p in (moduli if every else (q,)))
    said = analysis.sieve.verdict(found)
    if any(each.adds for each in found):
        write.box("success", f"At step {step} the network **{said}**.", "verified")
    elif every:
        write.box("info", f"At step {step} the network **{said}**.", "help")
    elif found[0].decided:
        write.box("info", f"At step {step} the network **does not sum residues modulo {q}** by this rule.", "help")
    else:
        write.box(
            "info",
            f"At step {step} there are **too few examples to tell** whether it sums residues modulo {q}.",
            "help",
        )
    write.table(
        [
            {
                "q": each.q,
                "explained": finite(each.variance_explained),
                "by chance": finite(each.explained.chance),
                "interchange": finite(each.interchange.accuracy),
                "its control": finite(each.interchange.control),
                "steering": finite(each.steering.accuracy),
                "control of steering": finite(each.steering.control),
                "sums residues": each.adds,
                "generalizes": each.generalizes,
            }
            for each in found
        ],
        width="content",
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in ("explained", "by chance", "interchange", "its control", "steering", "control of steering")
        },
        name="addition-by-modulus",
    )


def percent(share: float, digits: int = 1) -> str:
    """A share in words; a dash where there was too little to measure."""
    return "–" if math.isnan(share) else f"{share:.{digits}%}"
