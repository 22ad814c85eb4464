"""A page as a file to take away: a Jupyter notebook that makes its figures anew, or an article that shows them."""
