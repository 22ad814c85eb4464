"""Which kinds a network sees in a sequence of integers, and which terms and residues it reads."""

from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.tasks import Sequences
from miii.tasks.sequences.kinds import KINDS
from miii.tasks.sequences.typed import parse, spelled
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._parts.sequences import choose, next_term, other_targets
from pages._tasks.checks import run_of_kind

QUICK = 400  # sequences that the page measures on; the report of a shipped run has more

INTRO = """
The network reads each term as **residues** modulo 2, 3, 4, …, a sign and a log magnitude{}. Tests are on held-out rule families, such as all
geometric sequences of one base.
"""
NAMES_KINDS = ", and names the kinds that hold"


def what_argued(name: str, step: int, terms: str, kind: str) -> Chart:
    run, read = miii.runs.open(name), analysis.kinds.parse(terms).terms
    config = analysis.kinds.check(run.config.task)
    effect = analysis.moduli.argued(run.model(step), config, read, kind)
    return plots.argued(
        effect, list(analysis.moduli.columns(config)), [analysis.kinds.spelled(term) for term in read], kind
    )


@shared
def measured(name: str, step: int, examples: int) -> analysis.moduli.Spectrum:
    run = miii.runs.open(name)
    if (report := run.report_at(step)) is not None:
        return analysis.moduli.Spectrum.from_json(report["spectrum"])
    config = analysis.kinds.check(run.config.task)
    return analysis.moduli.spectrum(run.model(step), run.task(), config, examples)


def spectrum(name: str, step: int, examples: int) -> tuple[Chart, ...]:
    found = measured(name, step, examples)
    return plots.modulo_spectrum(found), plots.modulo_spectrum(found, "alone")


def decoded(name: str, examples: int) -> Chart:
    run = miii.runs.open(name)
    if (report := run.report_at(run.steps[-1])) is not None and report.get("decoded"):
        return plots.decodability(analysis.moduli.reported(report)[1])
    config = analysis.kinds.check(run.config.task)
    models = {step: run.model(step) for step in run.steps}
    return plots.decodability(analysis.moduli.decodability(models, run.task(), config, examples))


def residues_or_size(name: str, step: int, examples: int) -> Chart:
    run = miii.runs.open(name)
    if (report := run.report_at(step)) is not None:
        return plots.carriers(analysis.moduli.reported(report)[0])
    config = analysis.kinds.check(run.config.task)
    return plots.carriers(analysis.moduli.carriers(run.model(step), run.task(), config, examples))


@shared
def held_out(name: str, step: int) -> dict[str, float]:
    run = miii.runs.open(name)
    if (report := run.report_at(step)) is not None:
        return dict(report["held_out"])
    return analysis.kinds.held_out(run.model(step), run.task())


def scores(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    report = run.report or {}
    others = {
        label: report[key] for key, label in (("tree", "decision tree"), ("untrained", "untrained")) if key in report
    }
    return plots.kind_scores({"network": held_out(name, step)} | others)


def of_all(name: str, step: int, task: Sequences) -> None:
    """Show scores on held-out families and on the named sequences."""
    run = miii.runs.open(name)
    report: dict[str, Any] = run.report or {}
    write.header("How accurate is it?", anchor="scores")
    on_named = named_table(name, step)
    figures = held_out(name, step)
    with st.container(horizontal=True):
        write.metric("Macro F1", f"{figures['macro']:.3f}", border=True, help="Mean over kinds, held-out families")
        if "tree" in report:
            write.metric(
                "Decision tree",
                f"{report['tree']['macro']:.3f}",
                border=True,
                help="On differences and ratios",
            )
        correct = sum(row["correct"] for row in on_named) / len(on_named)
        write.metric(
            "Named sequences",
            f"{correct:.0%}",
            border=True,
            help="Top kind holds, or rightly none",
        )
    cell(
        scores,
        name=name,
        step=step,
    )
    with st.expander(f"All {len(on_named)} named sequences"):
        write.table(pd.DataFrame(on_named), name="named")


@shared
def named_table(name: str, step: int) -> list[dict[str, Any]]:
    run = miii.runs.open(name)
    config = analysis.kinds.check(run.config.task)
    found = analysis.kinds.on_named(run.model(step), config)
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def over_seeds(rows: list[dict[str, Any]]) -> None:
    """Show what carries two kinds in networks of several seeds, from a shipped report."""

    def between(*names: str) -> str:
        values = [row[name] for row in rows for name in names]
        return f"{min(values):.0%} to {max(values):.0%}"

    write.header(f"What carries a kind, over {len(rows)} seeds", anchor="seeds")
    write.text(
        f"**Polynomial is read mainly from sign and size, finite from residues**, in all {len(rows)} networks. Called polynomial: "
        f"{between('polynomial, size')} if only sign and size are a polynomial's, {between('polynomial, residues')} if only the residues are, "
        f"{between('polynomial, neither')} if neither. For finite: residues {between('finite, residues')}, size "
        f"{between('finite, size')}, neither {between('finite, neither')}. **Periodic is not read by looking back one period**: without attention "
        f"at multiples of the period, {between('periodic, lag cut')} are called periodic, against {between('periodic')} "
        f"(control, as many other terms cut: {between('periodic, other lags cut')})."
    )
    format_ = {
        name: st.column_config.NumberColumn(format="percent")
        for name in rows[0]
        if name not in ("seed", "steps", "macro F1")
    }
    write.table(pd.DataFrame(rows).round(2), name="seeds", column_config=format_)
    write.caption(
        "“finite, residues”: called finite if only the residues are a finite sequence's. Later seeds trained on fewer sequences for fewer steps."
    )


startup.run_app_first()
write.title("Sequences")
run, task = run_of_kind(Sequences, "a run on integer sequences")
write.text(INTRO.format(NAMES_KINDS if task.target == "kinds" else ""))
step = step_of(run)
if task.target not in ("kinds", "continuation"):
    other_targets.show(run, step, task)
    write.stop()
terms = choose.sequence()
read = parse(terms).terms
shown = ", ".join(map(spelled, read))
write.text(f"`{shown}`")
if len(read) < task.shortest:
    write.caption(f"Below {task.shortest} terms, its shortest, the network guesses.")
elif len(read) > task.longest:
    write.caption(f"The network reads the first {task.longest} terms.")
if task.target == "continuation":
    next_term.next_term(run, step, terms, read)
    other_targets.others(run, task)
    write.stop()

write.header("Which kinds?", anchor="kinds")
choose.show_kinds(run.name, step, terms)
write.header("Which terms and residues matter?", anchor="argued")
kind = choose.kind()
write.caption(f"{kind.capitalize()}: {KINDS[kind]}.")
cell(
    what_argued,
    name=run.name,
    step=step,
    terms=terms,
    kind=kind,
    width="content",
    caption=f"Blanking an orange part lowers the logit of {kind}.",
)
next_term.next_term(run, step, terms, read)
of_all(run.name, step, task)
other_targets.over_seeds("kinds")

write.header("Modulo spectrum", anchor="spectrum")
write.text(
    "Left: drop in held-out F1 when one part of every term comes from another sequence. Right: F1 from sign, size and one modulus's residues."
)
differences = task.terms == "differences"
reported = run.report_at(step)
if reported is not None or st.toggle(
    "Measure",
    key="measure",
    bind="query-params",
    help="About 10 s",
):
    with st.spinner("Measuring …", show_time=True):
        found = measured(run.name, step, QUICK)
    cell(
        spectrum,
        name=run.name,
        step=step,
        examples=QUICK,
        width="content",
        caption=f"Macro F1: {found.whole.mean():.2f}. Controls: {found.shuffled.mean():.2f} with shuffled terms, "
        f"{found.size_only.mean():.2f} from {'sizes and differences' if differences else 'sign and size'} alone."
        + " Differences stay with their terms."
        * differences,
    )
    cell(
        residues_or_size,
        name=run.name,
        step=step,
        examples=QUICK,
        caption=f"Residues{' and differences' * differences} of one sequence, sign and size of another: a kind is read from the part that "
        "suffices.",
    )
    if task.terms in analysis.moduli.WITH_RESIDUES:
        cell(
            decoded,
            name=run.name,
            examples=QUICK,
            width="content",
            caption="Controls: sign and size (“magnitude”); residues of other sequences (“shuffled”)."
            + " Step 0 is untrained." * (0 in run.steps),
        )
    if reported is not None and "seeds" in reported:
        over_seeds(reported["seeds"])
other_targets.others(run, task)
