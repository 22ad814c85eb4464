"""Which edges there are, and which lie on a path together."""

import torch

from miii.analysis.causal.circuits import Graph

ONE = Graph(n_layers=1, n_heads=4, n_ctx=3, causal=True)


def test_edges_of_one_layer():
    names = {edge.name for edge in ONE.edges}
    heads = range(4)
    expected = {f"embed@{p} -> 0.h{h}.{which}@{p}" for p in range(3) for h in heads for which in "kv"}
    expected |= {f"embed@2 -> 0.h{h}.q@2" for h in heads}
    expected |= {f"{source}@2 -> {reader}@2" for reader in ("0.mlp", "logits") for source in ("embed", "0.h0", "0.h3")}
    expected |= {f"0.h{h}@2 -> {reader}@2" for reader in ("0.mlp", "logits") for h in (1, 2)}
    expected.add("0.mlp@2 -> logits@2")
    assert names == expected
    assert len(ONE.edges) == 39


def test_edges_are_those_that_reach_the_logits(drawn, slow):
    names = [edge.name for edge in drawn.graph.edges]
    asked = slow(drawn, set(names))
    asked.logits()
    # recursion goes into the corrupted run as soon as an edge is not kept, so all are met
    assert set(names) == asked.met
    assert len(names) == len(set(names))


def test_index_and_matrix_agree():
    graph = Graph(2, 2, 3, False)
    kept = torch.zeros(len(graph.edges), dtype=torch.bool)
    for i in range(len(kept)):
        kept[i] = True
        assert [tuple(row) for row in graph.matrix(kept).nonzero().tolist()] == [tuple(graph.index[i].tolist())]
        assert graph.of_edges(graph.matrix(kept).double()).nonzero().flatten().tolist() == [i]
        kept[i] = False


def test_keys_and_values_feed_all_later_positions():
    for causal in [True, False]:
        graph = Graph(2, 1, 3, causal)
        feeds = {edge.name: [node.name for node in nodes] for edge, nodes in zip(graph.edges, graph.feeds, strict=True)}
        assert feeds["embed@1 -> 0.h0.k@1"] == (["0.h0@1", "0.h0@2"] if causal else ["0.h0@0", "0.h0@1", "0.h0@2"])
        assert feeds["embed@1 -> 0.h0.q@1"] == ["0.h0@1"]
        assert feeds["0.mlp@0 -> 1.h0.v@0"] == ["1.h0@2"]  # the last block is heard at the end only
        assert feeds["0.mlp@2 -> 1.mlp@2"] == ["1.mlp@2"]


def all_paths(graph: Graph, mask: set[int]) -> list[list[int]]:
    """Every path along some edges that cannot be made longer at its end, from each edge; by brute force."""

    def onward(i: int) -> list[list[int]]:
        after = [j for j in mask if graph.edges[j].source in graph.feeds[i]]
        return [[i, *path] for j in after for path in onward(j)] or [[i]]

    return [path for i in mask for path in onward(i)]


def test_paths_and_live_edges_by_brute_force():
    for seed in range(3):
        for causal in [True, False]:
            graph = Graph(2, 2, 3, causal)
            kept = torch.rand(len(graph.edges), generator=torch.Generator().manual_seed(seed)) < 0.4
            chosen = set(kept.nonzero().flatten().tolist())
            paths = all_paths(graph, chosen)
            ends = {i for path in paths if graph.edges[path[-1]].target.kind == "logits" for i in path}
            assert 0 < len(ends) < len(chosen)
            assert set(graph.live(kept).nonzero().flatten().tolist()) == ends
            found = graph.paths(chosen)
            for i in chosen:
                together = {j for path in paths if i in path for j in path}
                assert found[graph.edges[i].name] == together
            for node in {graph.edges[i].source for i in chosen}:
                out = {j for path in paths if graph.edges[path[0]].source == node for j in path}
                into = {
                    j for path in paths for n, i in enumerate(path) if node in graph.feeds[i] for j in path[: n + 1]
                }
                assert found[node.name] == out | into


def test_no_live_edges_without_edges_into_the_logits():
    kept = torch.tensor([edge.target.kind != "logits" for edge in ONE.edges])
    assert not ONE.live(kept).any()
    assert ONE.live(torch.ones_like(kept)).all()


def test_first_stage_with_a_missing_edge():
    graph = Graph(2, 1, 2, True)
    whole = torch.ones(len(graph.edges), dtype=torch.bool)
    assert graph.first_stage(whole) == 4
    stages = {"0.h0.v@0": 0, "0.mlp@1": 1, "1.h0.k@1": 2, "1.mlp@1": 3, "logits@1": 4}
    for reader, stage in stages.items():
        missing = torch.tensor([edge.reader == reader for edge in graph.edges])
        assert missing.any()
        assert graph.first_stage(~missing) == stage
