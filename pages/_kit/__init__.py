"""What the pages share. Streamlit lives here and in the pages, never in miii."""
