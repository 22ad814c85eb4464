"""A page that draws a matrix of noise on request, for ``figures``."""

import streamlit as st
import torch

from miii import plots
from pages._kit.draw import draw

st.title("Heatmap")
size = st.radio("Size", ["none", "113 x 113", "128 x 512"])
if size != "none":
    rows, columns = map(int, size.split(" x "))
    noise = plots.heatmap(torch.randn(rows, columns), title=size, row="row", column="column", value="value")
    draw(noise, width="content", alt=f"Noise, {size}.", key=size)
