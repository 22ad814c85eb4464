"""Chapter 2 of the paper: transformers, symbols, waves on a clock, and the terms."""

import streamlit as st

from pages._kit import write
from pages._parts.paper import glossary as paper_glossary
from pages._parts.paper.parts import link


def chapter() -> None:
    """What one has to know to judge the results, with the corrected equations of the draft."""
    write.header("2 Background", anchor="background")
    write.subheader("Three ways to exchange information", anchor="transformers")
    write.text(
        r"""
A **transformer** keeps a vector $x_i$ for each position of its input, the rows of $X$. Positions exchange information; then **neurons** process each
alone, ${x \mapsto \mathrm{ReLU}(x W_\mathrm{in} + b)\, W_\mathrm{out}}$ with ${\mathrm{ReLU}(x) = \max(0, x)}$. The answer is read at the last
position. The exchange is attention, convolution or recurrence:

$$A(X) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V,$$

$$C(X)_i = \sum_j X_{i-j}\, W_j,$$

$$R(X)_i = f\big(x_i,\ R(X)_{i-1}\big),$$

with ${Q = X W_Q}$, ${K = X W_K}$ and ${V = X W_V}$ of $d$ columns each. Softmax makes weights that sum to 1, so attention is a mean of values $V$.
**A mean is a sum**, so attention could add.
"""
    )
    with st.container(horizontal=True):
        link("attention", "Where heads attend: Attention", run="add-113")
        link("compare", "Which is needed: Compare", comparison="add-113")
    write.subheader("Symbolic and sub-symbolic", anchor="symbolic")
    write.text(
        """
In a **symbolic** model, each part has a meaning; in a **sub-symbolic** one, meaning is spread over numbers. Mechanistic interpretability translates
the second into the first.
"""
    )
    link("symbolic", "One function both ways: Symbolic")
    write.subheader("Waves on a clock", anchor="waves")
    write.text(
        r"""
Any function on the $p$ hours of a clock is a sum of waves $\cos w_k n$ and $\sin w_k n$ with $w_k = 2 \pi k / p$. The hand of **frequency** $k$
goes around $k$ times while $n$ goes around once. Rotating takes products:

$$\cos w_k (a + b) = \cos w_k a\, \cos w_k b - \sin w_k a\, \sin w_k b.$$

Attention and neurons can form these products from $a$ and $b$ embedded as waves. The sum of ${\cos w_k(a + b - c)}$ over a few frequencies is largest
at ${c = a + b}$.
"""
    )
    with st.expander("Glossary", icon=":material/menu_book:"):
        write.text(paper_glossary.text())
