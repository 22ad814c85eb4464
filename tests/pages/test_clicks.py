"""A click in a figure: it chooses what the fields beside it choose, and the page takes that apart."""

import pytest
from shown import click, move

from miii import analysis

PAIRS = [
    ("attention", "chart-over_inputs-0-0-0"),
    ("attention", "chart-over_inputs-0-0-1"),
    ("train", "chart-answers"),
]


def test_a_bar_of_the_spectrum_chooses_its_frequency(adding, visit, texts):
    at = visit("fourier", run="adding")
    assert at.number_input(key="k").value is None
    click(at, "chart-embedding_spectrum", "frequency", frequency=5)
    assert at.number_input(key="k").value == 5
    assert at.query_params["k"] == "5"
    typed = visit("fourier", run="adding")
    typed.number_input(key="k").set_value(5).run()
    assert texts(typed) == texts(at)
    assert "Frequency 5 has" in texts(at)


@pytest.mark.parametrize(("page", "chart"), PAIRS)
def test_a_cell_of_a_grid_of_pairs_chooses_the_pair(adding, visit, page, chart):
    at = click(visit(page, run="adding"), chart, "cell", row=3, column=9)
    assert (at.number_input(key="a").value, at.number_input(key="b").value) == (3, 9)
    assert (at.query_params["a"], at.query_params["b"]) == ("3", "9")


@pytest.mark.parametrize("k", [2, 3])
def test_a_bar_of_the_clusters_shows_its_purest_neuron(adding, visit, texts, k):
    found = analysis.neurons.describe(adding.model(), adding.task())
    members = found.clusters()[k]
    at = click(visit("neurons", run="adding"), "chart-clusters", "frequency", frequency=k)
    assert at.selectbox(key="frequency").value == str(k)
    neuron = at.number_input(key="neuron").value
    assert neuron in members
    assert found.share[neuron] == found.share[members].max()
    assert f"Neuron **{neuron}**: frequency **{k}**" in texts(at)


def test_a_bar_without_a_cluster_shows_a_neuron_and_chooses_no_frequency(adding, visit):
    at = move(visit("neurons", run="adding"), adding.steps[0])
    found = analysis.neurons.describe(adding.model(adding.steps[0]), adding.task())
    k = next(k for k in found.frequency.tolist() if k not in found.clusters())
    click(at, "chart-clusters", "frequency", frequency=k)
    assert at.selectbox(key="frequency").value == "any"
    assert found.frequency[at.number_input(key="neuron").value] == k


def test_a_dot_of_the_phases_shows_its_neuron_whatever_frequency_was_chosen(adding, visit, texts):
    at = visit("neurons", run="adding", frequency=2)
    click(at, "chart-phases", "neuron", neuron=5)
    assert at.number_input(key="neuron").value == 5
    assert at.selectbox(key="frequency").value == "any"
    assert "Neuron **5**" in texts(at)


def test_a_cell_of_a_neuron_offers_to_follow_the_pair(adding, visit):
    at = visit("neurons", run="adding", neuron=4)
    click(at, "chart-activation-4", "cell", row=7, column=1)
    assert "Follow the pair (7, 1) through the network" in [button.label for button in at.button]


def test_a_click_on_nothing_changes_nothing(adding, visit):
    at = visit("fourier", run="adding", k=4)
    click(at, "chart-embedding_spectrum", "frequency")
    assert at.number_input(key="k").value == 4
