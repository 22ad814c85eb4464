"""Export a page as a Jupyter notebook that recomputes its figures, or as an article that shows them."""
