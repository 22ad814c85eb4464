"""Where an integer stands in the grid."""

import torch

from miii.sparse import encoding


def test_coordinates_are_the_digits_in_base_150():
    for s, cell in [
        (0, [0, 0, 0]),
        (149, [0, 0, 149]),
        (150, [0, 1, 0]),
        (22_500, [1, 0, 0]),
        (3_374_999, [149, 149, 149]),
    ]:
        assert encoding.coordinates(torch.tensor([s])).tolist() == [cell]
        assert encoding.integers(torch.tensor([cell])).tolist() == [s]


def test_every_cell_of_a_small_grid_is_one_integer():
    s = torch.arange(6**3)
    cells = encoding.coordinates(s, 6)
    assert len({tuple(cell) for cell in cells.tolist()}) == 6**3
    assert torch.equal(encoding.integers(cells, 6), s)


def test_the_last_coordinate_gives_away_2_3_and_5_and_not_7():
    s = torch.arange(1_000_000, 1_001_000)
    last = encoding.coordinates(s)[:, 2]
    assert all(torch.equal(last % q, s % q) for q in (2, 3, 5))
    assert not torch.equal(last % 7, s % 7)


def test_patch_and_entry_say_where_the_one_is():
    for kernel in [1, 2, 3, 6]:
        s = torch.arange(6**3).reshape(8, 27)
        patch, entry = encoding.patches(s, kernel, 6)
        inner = torch.stack([entry // kernel**2, entry // kernel % kernel, entry % kernel], dim=-1)
        assert torch.equal(patch * kernel + inner, encoding.coordinates(s, 6))


def test_an_integer_beyond_the_grid_is_one_sentence(one_sentence):
    for s in [-1, 216]:
        with one_sentence("s must be from 0 to 215", str(s)):
            encoding.coordinates(torch.tensor([3, s]), 6)
