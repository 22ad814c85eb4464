"""``python -m benchmarks foreign``: a line for every file, whatever it holds."""

import torch

from benchmarks import foreign
from miii.foreign import to_state_dict


def test_every_file_gets_a_line_and_none_stops_the_table(adder, tmp_path, capsys):
    torch.save(to_state_dict(adder(11, (2, 3), n_heads=2)), tmp_path / "adds.pt")
    (tmp_path / "noise.pt").write_bytes(bytes(range(256)))
    (tmp_path / "below").mkdir()
    torch.save(
        {"conv.weight": torch.ones(2, 2, 2), "a": torch.ones(2, 2), "b": torch.ones(3, 3)}, tmp_path / "below/x.pth"
    )
    (tmp_path / "read me.txt").touch()
    lines = {path.name: foreign.examine(path, path.name) for path in foreign.files(tmp_path)}
    assert lines.keys() == {"adds.pt", "noise.pt", "x.pth"}
    adds = lines["adds.pt"]
    assert (adds.layout, adds.accuracy, adds.operation, adds.reason) == ("transformer-lens", 1.0, "a + b", "")
    assert adds.settings.startswith("act=square")
    assert adds.verdict != "-"
    assert "is not a readable torch file" in lines["noise.pt"].reason
    assert "a layout that miii knows" in lines["x.pth"].reason
    foreign.main(tmp_path)
    assert capsys.readouterr().out.count("\n| ") == 3
