"""Shared code of the pages. Streamlit is used here and in the pages, never in miii."""
