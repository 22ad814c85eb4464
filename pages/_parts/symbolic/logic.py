"""The first half of the page Symbolic: logic functions as programs, as networks, and as truth tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from miii.analysis import logic
from miii.analysis.logic import Function, TwoLayers
from pages._kit import write

PRINTED = """
function xor(a, b, c)
    not (a and b and c) and
    not (not a and not b and not c)
end
"""


@dataclass(frozen=True)
class Shown:
    """A function that is shown both ways."""

    program: str
    function: Function
    network: TwoLayers
    caption: str


FUNCTIONS = {
    "xor of two": Shown(
        "def xor(a, b):\n    some = a or b\n    return some and not (a and b)",
        logic.xor,
        logic.not_all_equal_network(2),
        "Each unit is a clause: $h_1 > 0$ if no input is true, $h_2 > 0$ if both are.",
    ),
    "not all equal of three": Shown(
        "def not_all_equal(a, b, c):\n    some = a or b or c\n    return some and not (a and b and c)",
        logic.not_all_equal,
        logic.not_all_equal_network(3),
        "Each unit is a clause: $h_1 > 0$ if no input is true, $h_2 > 0$ if all are.",
    ),
    "xor of three": Shown(
        "def xor(a, b, c):\n    return (a + b + c) % 2 == 1",
        logic.xor,
        logic.xor_network(3),
        "No unit is a part of the program: together they bend a line so that the output alternates.",
    ),
}


def section() -> None:
    """Show logic functions both ways."""
    write.header("As the draft prints it", anchor="printed")
    left, right = st.columns(2, gap="medium")
    with left:
        printed = pd.DataFrame(logic.inputs(3).astype(bool), columns=["a", "b", "c"])
        for name, function in (
            ("program", logic.printed_program),
            ("not all equal", logic.not_all_equal),
            ("xor", logic.xor),
        ):
            printed[name] = logic.truth(function, 3)
        equal, odd = (int((printed["program"] == printed[name]).sum()) for name in ("not all equal", "xor"))
        write.text(
            f"**Symbolic**: printed as xor (an odd number of true inputs), it agrees with xor in only {odd} of "
            f"{len(printed)} rows, and with ***not all equal*** in {equal}."
        )
        st.code(PRINTED.strip(), language="lua")
        _table(printed, "printed-program")
    with right:
        values = logic.printed_network()
        network = pd.DataFrame(logic.inputs(2).astype(bool), columns=["a", "b"])
        for i in range(2):
            network[f"σ {'₁₂'[i]}"] = values[:, i]
        for i in range(2):
            network[f"σ {'₁₂'[i]} > 0"] = values[:, i] > 0
        network["xor"] = logic.truth(logic.xor, 2)
        printed_matrix = np.array(logic.PRINTED_MATRIX)
        product = _matrix((printed_matrix @ printed_matrix).tolist())
        always = "always" if (values > 0).all() else "not always"
        write.text(
            rf"**Sub-symbolic**: equation 3, meant to do the same, cannot. With **no nonlinearity** between, its matrices are one linear map, "
            rf"${product}$. The sigmoid is {always} above 0, so every answer is true; with threshold $\tfrac12$, σ₁ is never true and σ₂ equals $a$."
        )
        W = _matrix(logic.PRINTED_MATRIX)
        write.latex(rf"f(x) = \sigma\left({W} {W}\, x\right) > 0")
        _table(network, "printed-network")

    write.header("Weights that work", anchor="weights")
    chosen = st.segmented_control(
        "Function",
        list(FUNCTIONS),
        default="not all equal of three",
        required=True,
        key="function",
        bind="query-params",
    )
    shown = FUNCTIONS.get(chosen or "", FUNCTIONS["not all equal of three"])
    net, n = shown.network, len(shown.network.first[0])
    left, right = st.columns([5, 6], gap="medium")
    with left:
        write.text("**Symbolic**")
        st.code(shown.program, language="python")
        write.text("**Sub-symbolic**")
        bias = _matrix([[value] for value in net.bias])
        write.latex(
            rf"\begin{{aligned}} h &= \mathrm{{ReLU}}\left({_matrix(net.first)} x + {bias}\right) \\[1ex] "
            rf"f(x) &= {_matrix([net.second])}\, h {net.threshold:+g} > 0 \end{{aligned}}"
        )
        write.text(shown.caption)
    with right:
        table = pd.DataFrame(logic.inputs(n).astype(bool), columns=list("abc"[:n]))
        table["program"] = logic.truth(shown.function, n)
        for i, unit in enumerate(net.hidden().T):
            table[f"h{'₁₂₃'[i]}"] = unit
        table["output"] = net.output()
        table["network"] = net.output() > 0
        _table(table, "truth-table")
        right_rows = int((table["network"] == table["program"]).sum())
        write.text(f"Network and program agree in **{right_rows} of {len(table)}** rows.")


def _table(values: pd.DataFrame, name: str) -> None:
    """Show a whole truth table, without scrolling."""
    widths = {name: st.column_config.Column(width=max(38, 18 + 7 * len(name))) for name in values.columns}
    write.table(values.round(3), height="content", column_config=widths, name=name)


def _matrix(rows: list[tuple[int, ...]] | list[list[int]] | tuple[tuple[int, ...], ...]) -> str:
    inner = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
    return rf"\begin{{bmatrix}} {inner} \end{{bmatrix}}"
