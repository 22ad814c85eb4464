"""Chapter 2 of the paper: transformers, symbols and what is none, waves on a clock, and the terms."""

import streamlit as st

from pages._kit import write
from pages._parts.paper import glossary as paper_glossary
from pages._parts.paper.parts import link


def chapter() -> None:
    """What one has to know to judge the results, with the draft's equations put right."""
    write.header("2 Background", anchor="background")
    write.subheader("Three ways to exchange information", anchor="transformers")
    write.text(
        r"""
A **transformer** keeps a vector $x_i$ for each position of its input, the rows of $X$, and improves them in two alternating moves. In one, positions
exchange information; in the other, each is worked on alone, by **neurons**: $x \mapsto \mathrm{ReLU}(x W_\mathrm{in} + b)\, W_\mathrm{out}$ with
$\mathrm{ReLU}(x) = \max(0, x)$. The answer is read at the last position. For the exchange there are three ways on offer, attention, convolution and
recurrence:

$$A(X) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V,$$

$$C(X)_i = \sum_j X_{i-j}\, W_j,$$

$$R(X)_i = f\big(x_i,\ R(X)_{i-1}\big),$$

with $Q = X W_Q$, $K = X W_K$ and $V = X W_V$ of $d$ columns each. Attention is a weighted mean whose weights the input itself chooses: position $i$ asks (its row of $Q$), each position $j$ offers a key (of $K$), and
what it then gives is its value (of $V$). **A mean is a sum**, so attention is the part that could add. Around these moves stand skips, norms and
projections (Vaswani et al.); He and Hofmann take most of them away, and chapter 4.4 measures what that costs here.
"""
    )
    with st.container(horizontal=True):
        link("attention", "See where heads look: Attention", run="add-113")
        link("compare", "See which of the three is needed: Compare", comparison="add-113")
    write.subheader("Symbolic, and not", anchor="symbolic")
    write.text(
        """
In a **symbolic** model every part means something by itself: in `some and not all` one can point at *some* and at *all*. In a **sub-symbolic** one the
parts are numbers, and what they mean is spread over them. The same function can be had both ways, and of small ones one can see through both.
Reverse-engineering goes from the second to the first: *mechanistic interpretability*. Nanda et al. did it by hand for addition modulo 113, Conmy et al.
let a program find the parts that matter, and Belcák et al. collect sequences on which to try such things.
"""
    )
    link("symbolic", "See one function both ways: Symbolic")
    write.subheader("Waves on a clock", anchor="waves")
    write.text(
        r"""
Any function on the $p$ hours of a clock is a sum of waves $\cos w_k n$ and $\sin w_k n$ with $w_k = 2 \pi k / p$. One **frequency** $k$ is a hand that goes round
$k$ times while $n$ goes round once. On such a circle, adding is turning, and turning is a matter of products:

$$\cos w_k (a + b) = \cos w_k a\, \cos w_k b - \sin w_k a\, \sin w_k b.$$

A network that has $\cos w_k a$, $\sin w_k a$ and the same of $b$ can make such products with its attention and its neurons. To choose an answer it then needs
the sum over a few frequencies of $\cos w_k(a + b - c)$, which is largest at $c = a + b$: each hand alone is blurred, several together point at one hour.
"""
    )
    with st.expander("Every term, defined", icon=":material/menu_book:"):
        write.text(paper_glossary.text())
