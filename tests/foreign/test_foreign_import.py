"""Imports: what the file does not record is guessed, claims are tried, histories become snapshots."""

import hashlib
import json

import pytest
import torch
from foreign_nets import H, Lens, P, Torch, randomized

import miii
from miii import ModelConfig, ModularAddition, foreign
from miii.foreign import Claim, Settings, examine, import_run, read, to_state_dict, unwrap

GIVEN = Settings(act="relu", n_heads=H, lnpre=False)


def weights(net=None):
    return {name: value.float() for name, value in randomized(net or Lens()).state_dict().items()}


def found_in(state, *arguments, **options):
    return examine(unwrap(dict(state), "x"), *arguments, **options)


def test_what_no_file_records_is_guessed_from_the_answers(adder):
    model = adder(11, (2, 3), n_heads=2)
    for format in ("transformer-lens", "transformer-lens-4"):
        found = found_in(to_state_dict(model, format))
        assert found.recognized.layout == format
        assert (found.recognized.settings.act, found.recognized.p) == ("square", 11)
        assert found.recognized.sources["act"].startswith("guessed")
        assert found.task == ModularAddition(operation="add", p=11, train_fraction=None)
        assert found.fitness.claimed.accuracy == 1
    given = found_in(to_state_dict(model), given=Settings(act="relu"))
    assert given.recognized.sources["act"] == "given"
    assert given.recognized.model.config.act == "relu"


def test_a_modulus_that_contradicts_the_shapes_is_refused(one_sentence):
    for p in (6, 8, 97):
        with one_sentence(f"p must be {P}", "embed.W_E has 8 tokens", f"got {p}"):
            found_in(weights(), given=Settings(p=p))
    with one_sentence("n_heads must be 2", "got 4"):
        found_in(weights(), given=Settings(n_heads=4))
    with one_sentence("n_heads must divide d_model", "3"):
        found_in(weights(Torch()), given=Settings(n_heads=3))
    with one_sentence("lnpre must be false"):
        found_in(weights(Lens(norms="LN")), given=Settings(lnpre=True))
    with one_sentence("act must be one of", "'relu'", "'solu'"):
        Settings(act="solu")


def test_a_claim_is_tried_against_every_operation(adder):
    state = to_state_dict(adder(11, (2, 3), n_heads=2))
    right = found_in(state, Claim("add")).fitness
    assert (right.warning, right.likelier, right.best.name) == (None, None, "a + b")
    wrong = found_in(state, Claim("mul")).fitness
    assert wrong.warning == (
        f"the network answers {wrong.claimed.accuracy:.1%} of a * b, 100.0% of a + b: did you mean --task add?"
    )
    formula = found_in(state, Claim("expr", "a + b + 1")).fitness
    assert "a + b + 1" in formula.warning
    none = found_in(weights(), Claim("add"), GIVEN).fitness
    assert "no operation fits" in none.warning
    assert none.likelier is None


def test_operations_beyond_miii_s_own_and_swapped_operands_are_tried(adder):
    model = adder(11, (2, 3), n_heads=2)
    negated = (-torch.arange(11)) % 11
    model.W_E.data[:11] = model.W_E.data[negated]  # answers -a - b; with its answers negated as well, a + b
    assert found_in(to_state_dict(model)).fitness.best.accuracy < 0.5
    labels = foreign.claim.tables(11)
    a, b = torch.arange(11).repeat_interleave(11), torch.arange(11).repeat(11)
    assert torch.equal(labels["b - a"], (b - a) % 11)
    inverse = torch.tensor([pow(n, 9, 11) for n in range(11)])
    assert torch.equal(labels["a / b"], torch.where(b == 0, -1, a * inverse[b] % 11))
    assert "a / b" not in foreign.claim.tables(12)
    assert foreign.claim.formulas(11)["b / a"]["expression"] == "b / a where a != 0"
    assert foreign.claim.best_of(labels["a / b"].clamp(min=0), [labels["a + b"], labels["a / b"]])[1] == 1
    for name, claim in foreign.claim.formulas(11).items():
        assert torch.equal(ModularAddition(p=11, **claim).build().labels, labels[name][labels[name] >= 0])


def test_an_imported_run_is_the_network_with_its_origin(saved, tmp_path):
    for name in ("w.safetensors", "w.pt"):
        file = saved(weights(Lens(2)) | {"extra": torch.ones(2)}, name)
        run, found = import_run(file, tmp_path / f"out-{name}", Claim("add"), GIVEN)
        assert found.recognized.ignored == ("extra",)
        model = ModelConfig(n_layers=2, d_model=8, n_heads=2, d_mlp=12, biases="all")
        assert run.config == miii.RunConfig(task=ModularAddition(p=P, train_fraction=None), model=model)
        origin = run.provenance
        assert (origin["format"], origin["layout"], origin["file"]) == ("foreign", "transformer-lens", name)
        assert origin["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert run.imported
        assert (run.steps, run.seed, miii.runs.row(run)["seed"]) == ([0], None, None)
        assert run.rows()[0]["accuracy"] == found.fitness.claimed.accuracy
        assert str(tmp_path) not in (run.folder / "provenance.json").read_text()
        json.loads((run.folder / "metrics.jsonl").read_text(), parse_constant=pytest.fail)


def test_a_history_is_a_run_with_snapshots_and_an_evaluation_of_each(small_run, saved, tmp_path):
    steps = small_run.steps
    for step in steps:
        saved(to_state_dict(small_run.model(step)), f"net_{step}.pt")
    task = small_run.config.task
    claim = Claim("add", train_fraction=task.train_fraction, seed=task.seed)
    run, _ = import_run(tmp_path / "net_*.pt", tmp_path / "again", claim, Settings(act="relu", lnpre=False))
    assert run.steps == steps
    assert run.result["steps"] == steps[-1]
    trained = {row["step"]: row for row in small_run.rows()}
    for row in run.rows():
        assert torch.equal(run.model(row["step"]).W_E, small_run.model(row["step"]).W_E)
        if row["step"] in trained and row["step"] == steps[-1]:  # earlier snapshots are in float16
            assert row["test_loss"] == pytest.approx(trained[row["step"]]["test_loss"], rel=1e-6)
    assert run.config.steps >= steps[-1]
    states = [to_state_dict(small_run.model(step)) for step in steps[:2]]
    states[1]["blocks.0.mlp.W_in"] = torch.ones(8, 13)
    with pytest.raises(miii.InputError):
        import_run(saved(states, "odd.pt"), tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


def test_nothing_is_written_where_something_is(saved, small_run, one_sentence, tree):
    before = tree(small_run.folder)
    with one_sentence("out", str(small_run.folder)):
        import_run(saved(weights()), small_run.folder, given=GIVEN)
    assert tree(small_run.folder) == before


def test_an_unknown_split_cannot_be_trained_and_a_packed_import_claims_no_seed(saved, tmp_path, home, one_sentence):
    run, _ = import_run(saved(weights()), home / "-", given=GIVEN)
    with one_sentence("nothing to resume"):
        miii.runs.resume(run.folder)
    with one_sentence("train_fraction must be a number in (0, 1) for training"):
        miii.runs.record(tmp_path / "more", miii.train(run.config))
    again = miii.runs.unpack(miii.runs.pack(run))
    assert again.name == f"{run.config.task.name}-imported"


def test_large_networks_are_refused_before_they_are_run(saved, one_sentence, tmp_path):
    with one_sentence("p must be at most 5"):
        import_run(saved(weights()), tmp_path / "x", given=GIVEN, limits=miii.runs.Limits(p=5))


def test_reading_is_part_of_the_library(saved):
    contents = read(saved(weights()))
    assert not contents.history
    assert foreign.recognize(contents, GIVEN).p == P
