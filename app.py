"""The front door: page configuration, navigation, and the run picker in the sidebar."""

from pathlib import Path

import streamlit as st

from miii.errors import InputError
from pages._ui import jobs, pick

st.set_page_config(page_title="miii", page_icon=Path(__file__).parent / "pages" / "_ui" / "icon.png", layout="wide")

page = st.navigation(
    {
        "Read": [
            st.Page(
                "pages/paper.py",
                title="Paper",
                icon=":material/article:",
                default=True,
                url_path="start",
                help="What was asked, what was found and what was not, every figure from a run that came with miii.",
            ),
            # the default page has the bare address alone; /paper is what people write, and /results is in old links
            st.Page("pages/paper.py", title="Paper", url_path="paper", visibility="hidden"),
            st.Page("pages/paper.py", title="Paper", url_path="results", visibility="hidden"),
        ],
        "Learn": [
            st.Page(
                "pages/train.py",
                title="Train",
                icon=":material/play_circle:",
                help="Train a transformer on arithmetic, primes, residues, a puzzle or frames, and watch it live.",
            ),
            st.Page(
                "pages/data.py",
                title="Data",
                icon=":material/grid_on:",
                help="What the network is shown: every pair, its answer, its tokens, and which pairs train.",
            ),
            st.Page(
                "pages/symbolic.py",
                title="Symbolic",
                icon=":material/join_inner:",
                help="A function as a program and as a network: logic, and a formula that you type.",
            ),
        ],
        "Inside": [
            st.Page(
                "pages/attention.py",
                title="Attention",
                icon=":material/visibility:",
                help="Where each head looks, for one input and over all of them.",
            ),
            st.Page(
                "pages/fourier.py",
                title="Fourier",
                icon=":material/graphic_eq:",
                help="The frequencies that the network is made of, and how they arise during training.",
            ),
            st.Page(
                "pages/neurons.py",
                title="Neurons",
                icon=":material/hub:",
                help="What each neuron computes: its frequency, its phases, what it reads and writes.",
            ),
            st.Page(
                "pages/circuits.py",
                title="Circuits",
                icon=":material/account_tree:",
                help="Which edges of the network make the answer: found automatically, checked against the truth.",
            ),
            st.Page(
                "pages/sieve.py",
                title="Sieve",
                icon=":material/filter_alt:",
                help="What a network on primes, residues or theorems learned: does it add digits modulo q?",
            ),
            st.Page(
                "pages/frames.py",
                title="Frames",
                icon=":material/view_carousel:",
                help="A network that writes the next integers and their labels, frame by frame: how far is it right?",
            ),
            st.Page(
                "pages/sparse.py",
                title="Sparse grid",
                icon=":material/grid_4x4:",
                help="Primes from a single 1 in 150 x 150 x 150 zeros, and what recalls of 99 % and 79 % are worth.",
            ),
            st.Page(
                "pages/compare.py",
                title="Compare",
                icon=":material/balance:",
                help="Blocks and mixers on equal terms: which of them grok, how soon, and by the same algorithm?",
            ),
            st.Page(
                "pages/progress.py",
                title="Progress",
                icon=":material/trending_up:",
                help="What accuracy does not show while the network learns, and the phases of its training.",
            ),
            st.Page(
                "pages/formula.py",
                title="Formula",
                icon=":material/function:",
                help="The network as a formula, and the evidence: does it perform modular addition?",
            ),
        ],
    },
    expanded=True,  # or the last pages hide behind “View more”
)
jobs.prepare()
with st.sidebar:
    pick.run_picker()
try:
    page.run()
except InputError as error:  # such as a spoilt file of the run that is shown
    st.error(str(error), icon=":material/error:")
