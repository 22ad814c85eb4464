"""All runs: find, open, download, rename, delete and import."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from miii import runs
from miii.errors import InputError
from pages._kit import links, startup, write
from pages._kit.downloads import csv
from pages._kit.run_picker import RUN
from pages._kit.second_run import SECOND_RUN
from pages._kit.step_picker import STEP
from pages._parts.runs import importing, run_table
from pages._parts.runs.importing import CHOSEN, DOUBT, MESSAGES, NOTE, WRONG
from pages._server import rights, settings
from pages._server.jobs import registry, waiting
from pages._tasks.view import view_of

startup.run_app_first()

DELETED = "runs-deleted"
LONGEST = 200  # characters of a search
GROUPS = {"task": "task", "what changed": "changed", "state": "state", "origin": "from"}
SEEN = "runs-seen"  # the last selected row of the table


@dataclass(frozen=True)
class Deleted:
    """A deleted run that can be restored: its name, its place in the trash, and its owner."""

    name: str
    place: Path
    note: str | None


def busy() -> list[str]:
    return [job.name for job in waiting()]


def open_run(name: str) -> None:
    """Show the run on the page that fits its task."""
    st.session_state[RUN] = name
    st.session_state.pop(STEP, None)
    page = "train"  # of a queued run, which has no folder yet
    with suppress(InputError):
        page = view_of(runs.open(name).config.task.kind).home
    links.go(page)


def click() -> None:
    """Open the run whose name was clicked."""
    rows = [listed[row] for row, column in st.session_state[table_key]["selection"]["cells"] if column == "run"]
    if rows and rows[0] in names:
        open_run(rows[0])


def compare(name: str) -> None:
    st.session_state[SECOND_RUN] = name
    st.session_state[MESSAGES] = f"All pages now compare {st.session_state[RUN]} with {name}."


def rename_choices(old: str, new: str | None) -> None:
    """Carry choices of a run over to its new name."""
    for key in (RUN, SECOND_RUN, CHOSEN):
        if st.session_state.get(key) == old:
            st.session_state[key] = new


def rename(name: str, field: str) -> None:
    try:
        rights.check(name)
        check_idle(name)
        run = runs.rename(runs.open(name), st.session_state[field].strip(), [job.name for job in registry().all()])
        rights.set_owner(run.name, rights.remove_owner(name))
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        rename_choices(name, run.name)
        st.session_state[MESSAGES] = f"Renamed {name} to {run.name}."


def delete(name: str) -> None:
    try:
        rights.check(name)
        check_idle(name)
        place = runs.trash(runs.open(name))
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        st.session_state[DELETED] = Deleted(name, place, rights.remove_owner(name))
        rename_choices(name, None)


def undo(deleted: Deleted) -> None:
    st.session_state.pop(DELETED, None)
    try:
        run = runs.restore(deleted.place, busy())
        rights.set_owner(run.name, deleted.note)
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        st.session_state[CHOSEN] = run.name
        st.session_state[MESSAGES] = f"Restored {run.name}."


def why_busy(name: str) -> str | None:
    """Return why a run cannot be changed now; None if it can."""
    return f"{name} is training or queued. Stop it first, on the Train page." if name in busy() else None


def check_idle(name: str) -> None:
    if why := why_busy(name):
        raise InputError(why)


def messages() -> None:
    """Show what the last press of a button did."""
    if MESSAGES in st.session_state:
        write.success(st.session_state.pop(MESSAGES))
    if NOTE in st.session_state:
        write.info(st.session_state.pop(NOTE))
    if DOUBT in st.session_state:
        write.warning(st.session_state.pop(DOUBT))
    if WRONG in st.session_state:
        write.error(st.session_state.pop(WRONG))
    deleted = st.session_state.get(DELETED)
    if deleted is not None:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            write.text(f":material/delete: {write.escaped(deleted.name)} was deleted.", width="content")
            st.button(
                "Undo",
                icon=":material/undo:",
                on_click=undo,
                args=(deleted,),
                help="For at least an hour",
            )


def actions(name: str) -> None:
    """Show the actions on the chosen run."""
    on_disk = name in {run.name for run in runs.every()}
    why = rights.why_not(name) or why_busy(name)
    resumable = on_disk and run_table.has_state(name)
    if resumable:
        resumable = st.checkbox(
            "Download with training state",
            key="download-state",
            help="To resume elsewhere",
        )
    says = None if why is None else write.escaped(why)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Open",
            type="primary",
            icon=":material/visibility:",
            on_click=open_run,
            args=(name,),
        )
        st.button(
            "Compare",
            icon=":material/balance:",
            on_click=compare,
            args=(name,),
            disabled=not on_disk or name == st.session_state.get(RUN),
            help="Beside the chosen run",
        )
        st.download_button(
            "Download",
            partial(run_table.packed, name, resumable),
            f"{name}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            disabled=not on_disk,
            help="A zip file, for `miii unpack`",
        )
        with st.popover(
            "Rename",
            icon=":material/edit:",
            disabled=why is not None or not on_disk,
            help=says or "Old links to the run stop working",
        ):
            field = f"rename-{name}"
            st.text_input("New name", name, key=field, max_chars=80, help="Letters, digits, dots, underscores, hyphens")
            st.button(
                "Rename",
                key="rename",
                on_click=rename,
                args=(name, field),
                disabled=why is not None,
                help=says,
            )
        st.button(
            "Delete",
            icon=":material/delete:",
            on_click=delete,
            args=(name,),
            disabled=why is not None or not on_disk,
            help=says or "Can be undone",
        )


def secret_link() -> None:
    with st.popover("Secret link", icon=":material/key:", help="To change your runs after a reload"):
        write.text("Anyone with this link can change and delete your runs. Keep it private.")
        st.code(rights.link(), language=None)


write.title("Runs")
write.text("A run is one trained network: settings, metrics and **snapshots** of its weights.")
if rights.accept_link():
    write.success("You can now change the runs of this link.", icon="key")
found = settings.read()
if found.shared:
    lasts = "" if settings.is_persistent() else " Its disk is not persistent: download what you need."
    write.info(f"This server is shared.{lasts} {found.sentence()}", icon="group")
    secret_link()

search = st.text_input(
    "Search",
    key="search",
    bind="query-params",
    placeholder="add 113",
    max_chars=LONGEST,
    help="In name, task, options, state, origin",
)
group = st.segmented_control("Group by", list(GROUPS), key="group", bind="query-params")
table = run_table.table(waiting(), search or "", GROUPS[group] if group else "")
listed = list(table["run"])
names = list(table["run"][table["state"] != run_table.UNREADABLE])
if listed:
    table_key = f"runs-{hash(tuple(listed))}"  # another list has another row chosen: none
    event = st.dataframe(
        table,
        hide_index=True,
        column_config=run_table.COLUMNS,
        column_order=run_table.columns(table, GROUPS[group] if group else ""),
        on_select=click,
        selection_mode=["single-row", "single-cell"],
        key=table_key,
        width="stretch",
        placeholder="–",
    )
    chosen_rows = [listed[row] for row in event["selection"]["rows"] if row < len(listed)]
    rows = [name for name in chosen_rows if name in names]
    if rows != st.session_state.get(SEEN):
        st.session_state[SEEN] = rows
        st.session_state[CHOSEN] = rows[0] if rows else st.session_state.get(CHOSEN)
    write.caption("Click a name to open it, a header to sort.")
    csv(lambda: table, "runs")
if names:
    if st.session_state.get(CHOSEN) not in names:
        shown = st.session_state.get(RUN)
        st.session_state[CHOSEN] = shown if shown in names else names[0]
    chosen = st.selectbox(
        "Chosen run",
        names,
        key=CHOSEN,
        help="Or select a row",
    )
    actions(chosen)
elif search and not listed:
    write.info(f"No run matches “{' '.join(search.split())}”.", icon="search_off")
elif not listed:
    write.info("No run yet. Train one, or import one below.", icon="play_circle")

messages()  # in view of the buttons above and below
write.header("Import a run", anchor="bring")
write.text("Files are untrusted: miii reads only JSON and tensors, and checks them first.")
importing.panel()
