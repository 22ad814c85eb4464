"""The entry point: page configuration, navigation, and what every page has around it."""

from contextlib import suppress
from itertools import groupby
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from miii import platform, runs
from miii.errors import InputError
from pages._kit import address, export, lecture, links, second_run, share, write
from pages._kit.navigation import PAGES, Entry
from pages._kit.navigation import entry as entry_of
from pages._kit.run_picker import Choice, choose_run, run_name, select_run
from pages._server import gate, jobs
from pages._tasks.view import view_of

KIT = Path(__file__).parent / "pages" / "_kit"
UNFIT = "link_off"  #: icon in the menu of pages that the chosen run does not fit
st.set_page_config(page_title="miii", page_icon=KIT / "icon.png", layout="wide")
st.html(KIT / "app.css")


def linked(entry: Entry) -> list[StreamlitPage]:
    """The page at each of its addresses; the first entry of all is the default page."""
    fits = choice.kind is None or entry.own_runs or entry.file in ("runs", *view_of(choice.kind).pages)
    return [
        st.Page(
            f"pages/{entry.file}.py",
            title=entry.title,
            icon=f":material/{entry.icon if fits else UNFIT}:",
            help="" if i else entry.help if fits else f"Not for {write.escaped(run_name())}. {entry.help}",
            default=entry is PAGES[0] and i == 0,
            url_path=url,
            visibility="hidden" if i else "visible",
        )
        for i, url in enumerate(entry.addresses or (entry.file,))
    ]


def to_next_page() -> None:
    """Link to the page to read next, by the task of the chosen run."""
    name, following = run_name(), None
    with suppress(InputError):  # a run that waits for its turn has no folder yet
        following = None if name is None else view_of(runs.open(name).config.task.kind).after(shown.file)
    if following is None and shown is not PAGES[0] and (shown.own_runs or shown.file == "runs"):
        following = PAGES[(PAGES.index(shown) + 1) % len(PAGES)].file  # the next in the menu
    if following is not None:
        st.divider()
        links.to(following, f"Next: {entry_of(following).title}", f":material/{entry_of(following).icon}:")


problem, choice = None, Choice([], {}, None)
try:
    jobs.prepare()
    choice = select_run()
except InputError as error:  # an invalid setting of the server
    problem = error
sections = groupby(PAGES, lambda entry: entry.section)
page = st.navigation(
    {section: [each for entry in entries for each in linked(entry)] for section, entries in sections}, position="top"
)
shown = next(entry for entry in PAGES if entry.title == page.title)
links.begin()
notes, sharing = st.container(), None
try:
    if problem is not None:
        raise problem
    with st.sidebar:
        choose_run(choice, second=not shown.own_runs)
        export.page(page.title, write.begin())
        sharing = share.begin()
        lecture.choose()
    lecture.begin()
    if not shown.own_runs:
        second_run.what_changed(run_name())
    with gate.turn(gate.admit(page)):
        page.run()
except write.PageEnd:
    pass
except InputError as error:  # such as a damaged file of the chosen run, or an invalid setting
    write.error(error)
finally:
    write.end()
    to_next_page()
    links.end(notes)
    address.end()
    if sharing is not None:
        share.end(sharing, notes, shown.own_runs)
    platform.give_back_memory()
