"""Integer sequences: a grammar of rules, their kinds, terms as residues, and the task that asks for kinds."""

from miii.tasks.sequences.task import Sequences

__all__ = ["Sequences"]
