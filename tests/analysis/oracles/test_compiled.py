"""Networks compiled from sums: right at every pair, and what the analyses find in them is what was put in."""

import torch

import miii
from miii import analysis
from miii.analysis.modular import grid
from miii.analysis.oracles import compiled


def task(expression, p, **more):
    return miii.ModularAddition(operation="expr", expression=expression, p=p, **{"train_fraction": 0.5} | more)


def right(model, config):
    built = config.build()
    return (grid.logits(model, built).argmax(1) == built.labels).double().mean().item()


def test_compiled_networks_are_always_correct():
    cases = [("a + b", 113, 1), ("3*a - b + 7", 59, 1), ("-a + 5*b + 1", 11, 8), ("b + 3", 7, 1)]
    for expression, p, hinges in [*cases, ("a + b", 2, 1), ("3*a - b + 7", 3, 8)]:
        config = task(expression, p)
        assert right(compiled.network(config, hinges=hinges), config) == 1.0


def test_composite_p():
    for expression, p in [("6*a + b + 5", 12), ("2*a - 2*b + 1", 16), ("a/5 + b", 12)]:
        assert right(compiled.network(task(expression, p)), task(expression, p)) == 1.0


def test_given_frequencies(one_sentence):
    config = task("2*a + b + 3", 23)
    model = compiled.network(config, frequencies=(3, 5, 9))
    assert right(model, config) == 1.0
    assert [term.k_c for term in compiled.formula(config, (9, 3, 5)).terms] == [3, 5, 9]
    with one_sentence("frequencies must be in 1 .. 11", "12"):
        compiled.network(config, frequencies=(3, 12))
    with one_sentence("frequencies must have no divisor in common", "12", "[2, 4]"):
        compiled.network(task("a + b", 12), frequencies=(2, 4))


def test_only_sums_compile(one_sentence):
    for operation in ("add", "sub"):
        config = miii.ModularAddition(operation=operation, p=23, train_fraction=0.5)
        assert right(compiled.network(config), config) == 1.0
    with one_sentence("task must be a modular sum to be compiled", "3*a - b + 7", "'mul'"):
        compiled.network(miii.ModularAddition(operation="mul", p=23))
    with one_sentence("task must be a modular sum to be compiled", "'a*b'"):
        compiled.network(task("a*b", 23))


def test_analyses_find_the_compiled_formula():
    config = task("3*a - b + 7", 23)
    model, built = compiled.network(config, frequencies=(2, 5, 9)), config.build()
    report = analysis.verdict.analyze(model, built)
    assert set(report.key_frequencies) >= {2, 5, 9}
    assert (report.accuracy, report.computes) == (1.0, "3a - b")
    assert report.logit_variance_explained > 0.95
    assert report.steering_accuracy == report.steering_control == 1.0  # the 7 is not lost
    neurons = analysis.neurons.describe(model, compiled.as_plain_addition(config))
    assert neurons.single_frequency == 1.0
    assert set(neurons.clusters()) == {2, 5, 9}
    assert neurons.alignment[neurons.alive].min() > 0.99
    # in the task's own order a neuron has another frequency in a than in b
    assert analysis.neurons.describe(model, built, (3, -1)).single_frequency < 0.1


def test_plain_order_makes_a_sum_of_the_same_examples():
    for expression in ["3*a - b + 7", "a + b", "-a + 4*b - 2"]:
        config = task(expression, 11)
        plain, built = compiled.as_plain_addition(config), config.build()
        assert torch.equal(plain.labels, grid.combined(11))
        rows = plain.tokens[:, 0] * 11 + plain.tokens[:, 1]
        assert rows.sort().values.tolist() == list(range(121))
        assert torch.equal(built.labels[rows], plain.labels)
        assert torch.equal(built.train_mask[rows], plain.train_mask)
