"""Logic functions and their networks, row by row."""

import itertools

import numpy as np
import pytest

from miii.analysis import logic


def test_the_inputs_are_all_there_counting_up():
    for n in [1, 2, 3, 5]:
        assert [tuple(row) for row in logic.inputs(n)] == list(itertools.product((0, 1), repeat=n))


def test_the_printed_program_is_not_all_equal_and_not_xor():
    program = logic.truth(logic.printed_program, 3)
    assert program.tolist() == [False, True, True, True, True, True, True, False]
    assert (program == logic.truth(logic.not_all_equal, 3)).all()
    assert (program == logic.truth(logic.xor, 3)).sum() == 4


def test_xor_and_not_all_equal_are_what_they_say():
    for row in itertools.product((False, True), repeat=4):
        assert logic.xor(*row) == (row[0] ^ row[1] ^ row[2] ^ row[3])
        assert logic.not_all_equal(*row) == (any(row) and not all(row))
    assert (logic.truth(logic.xor, 2) == logic.truth(logic.not_all_equal, 2)).all()


def test_equation_3_says_yes_to_everything_and_is_one_linear_map():
    values = logic.printed_network()
    assert values.shape == (4, 2)
    assert (values > 0).all()
    # sigmoid undone, what is left is linear: f(1, 1) = f(0, 1) + f(1, 0), f(0, 0) = 0
    linear = np.log(values / (1 - values))
    assert linear[0].tolist() == [0, 0]
    assert linear[3] == pytest.approx(linear[1] + linear[2])
    # compared with one half: never, and a
    assert (values > 0.5 + 1e-9).tolist() == [[False, False], [False, False], [False, True], [False, True]]


def test_the_networks_compute_their_functions_on_the_whole_table():
    for n in range(2, 9):
        assert logic.xor_network(n).computes(logic.xor)
        assert logic.not_all_equal_network(n).computes(logic.not_all_equal)
        assert logic.xor_network(n).computes(logic.not_all_equal) == (n == 2)
        assert logic.not_all_equal_network(n).computes(logic.xor) == (n == 2)
