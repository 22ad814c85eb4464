"""The front door: page configuration, navigation, and what stands beside every page."""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from miii import platform
from miii.errors import InputError
from pages._kit import address, links, pick, say, share
from pages._server import gate, jobs

UI = Path(__file__).parent / "pages" / "_kit"
st.set_page_config(page_title="miii", page_icon=UI / "icon.png", layout="wide")
st.html(UI / "app.css")


#: Pages that show runs of their own: there is nothing beside which another could stand.
BY_THEMSELVES = ("Paper", "Symbolic", "Sparse grid", "Compare")


def at(file: str, title: str, icon: str, says: str, **options: Any) -> StreamlitPage:
    """A page of the navigation."""
    return st.Page(f"pages/{file}.py", title=title, icon=f":material/{icon}:", help=says, **options)


page = st.navigation(
    {
        "": [
            at(
                "paper",
                "Paper",
                "article",
                "What was asked, what was found and what was not, every figure from a run that came with miii.",
                default=True,
                url_path="start",
            ),
            # the default page has the bare address alone; /paper is what people write, and /results is in old links
            at("paper", "Paper", "article", "", url_path="paper", visibility="hidden"),
            at("paper", "Paper", "article", "", url_path="results", visibility="hidden"),
            at(
                "try",
                "Try it",
                "route",
                "Your own numbers, followed through the network: tokens, attention, neurons, logits, answer.",
            ),
            at(
                "runs",
                "Runs",
                "inventory_2",
                "All runs: find one, rename it, delete it, carry it to another machine and back.",
            ),
        ],
        "Learn": [
            at(
                "train",
                "Train",
                "play_circle",
                "Train a transformer on arithmetic, primes, residues, a puzzle or frames, and watch it live.",
            ),
            at(
                "data",
                "Data",
                "grid_on",
                "What the network is shown: every pair, its answer, its tokens, and which pairs train.",
            ),
            at(
                "symbolic",
                "Symbolic",
                "join_inner",
                "A function as a program and as a network: logic, and a formula that you type.",
            ),
        ],
        "Inside": [
            at("attention", "Attention", "visibility", "Where each head looks, for one input and over all of them."),
            at(
                "fourier",
                "Fourier",
                "graphic_eq",
                "The frequencies that the network is made of, and how they arise during training.",
            ),
            at(
                "neurons",
                "Neurons",
                "hub",
                "What each neuron computes: its frequency, its phases, what it reads and writes.",
            ),
            at(
                "circuits",
                "Circuits",
                "account_tree",
                "Which edges of the network make the answer: found automatically, checked against the truth.",
            ),
            at(
                "progress",
                "Progress",
                "trending_up",
                "What accuracy does not show while the network learns, and the phases of its training.",
            ),
            at(
                "formula",
                "Formula",
                "function",
                "The network as a formula, and the evidence: does it perform modular addition?",
            ),
        ],
        "Beyond sums": [
            at(
                "sieve",
                "Sieve",
                "filter_alt",
                "What a network on primes, residues or theorems learned: does it sum residues modulo q?",
            ),
            at(
                "frames",
                "Frames",
                "view_carousel",
                "A network that writes the next integers and their labels, frame by frame: how far is it right?",
            ),
            at(
                "sparse",
                "Sparse grid",
                "grid_4x4",
                "Primes from a single 1 in 150 x 150 x 150 zeros, and what recalls of 99 % and 79 % are worth.",
            ),
            at(
                "compare",
                "Compare",
                "balance",
                "Blocks and mixers on equal terms: which of them grok, how soon, and by the same algorithm?",
            ),
        ],
    },
    position="top",
)
links.begin()
notes = st.container()
try:
    jobs.prepare()
    with st.sidebar:
        pick.run_picker(beside=page.title not in BY_THEMSELVES)
        share.page(page.title, say.begin())
    with gate.turn(gate.admit(page)):
        page.run()
except InputError as error:  # such as a spoilt file of the run that is shown, or a setting that is none
    say.error(error)
finally:
    say.end()
    links.end(notes)
    address.end()
    platform.give_back_memory()
