"""The first page: a network learns to add, and the way through the app."""

import streamlit as st

from pages._kit import links, startup, write
from pages._kit.navigation import entry
from pages._parts.start import live

startup.run_app_first()

#: The guided path: page, heading, text, and what the link opens.
PATH: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    ("train", "Train", "Watch it memorize, then grok.", {"run": "add-113"}),
    ("try", "Follow one pair", "Two numbers become a sum.", {"run": "add-113", "a": 17, "b": 58}),
    ("fourier", "See the circles", "Numbers lie on circles.", {"run": "add-113"}),
    ("formula", "Read the formula", "A few cosines explain the logits.", {"run": "add-113"}),
    ("sieve", "Try primes", "Another network sums digits modulo 3.", {"run": "primes-10"}),
)

write.title("Watch a network learn to add")
write.text(
    "A small transformer trains on some of the sums modulo a prime. First it memorizes them. Then it learns to add."
)
live.show()
st.subheader("Look inside in ten minutes", anchor="path")  # not for exports, which have no links
with st.container(key="path"):
    for number, (page, heading, text, query) in enumerate(PATH, 1):
        with st.container(border=True):
            links.to(page, f"{number} {heading}", f":material/{entry(page).icon}:", step=None, **query)
            st.caption(text)
links.to("paper", "Read the paper: every claim with its figure", ":material/article:")
