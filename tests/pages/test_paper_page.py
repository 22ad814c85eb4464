"""The first page: its numbers are those of the shipped runs, its errata hold, and its links lead somewhere."""

import ast
import json
import re
import statistics

import pytest
import sympy
from shown import ROOT, Shown, app, fine, shown

import miii
from miii import runs
from miii.analysis import experience

HOME = ROOT / "checkpoints"
PARTS = sorted((ROOT / "pages" / "_parts" / "paper").glob("*.py"))
PRIMES = ["primes-10", *(f"seeds/primes-10-seed{seed}" for seed in range(1, 10))]


def read(name: str, file: str = "report.json") -> dict:
    return json.loads((HOME / name / file).read_text())


@pytest.fixture
def paper(see) -> Shown:
    return see("paper")


@pytest.fixture
def errata(server) -> dict:
    return {each.where: each for each in app("_parts.paper.errata").errata()}


# ---- the page ----


def test_every_entry_of_the_contents_leads_to_a_heading(paper, visit):
    at = visit("paper")
    listed = [found for text in paper.prose["markdown"] for found in re.findall(r"\]\(#([\w-]+)\)", text)]
    anchors = {heading.proto.anchor for kind in (at.header, at.subheader) for heading in kind}
    assert len(listed) == 13
    assert set(listed) <= anchors
    assert len(paper.charts) == 22


def test_figures_are_numbered_in_order_and_referred_to_by_number(paper):
    numbers = [int(n) for caption in paper.prose["caption"] for n in re.findall(r"^\*\*Figure (\d+)\.\*\*", caption)]
    assert numbers == [*range(1, len(paper.figures) + 1)]
    names = [figure.make.__name__ for figure in paper.figures]
    assert f"In Figure {names.index('plane_of_digits') + 1}," in paper.text


def test_every_link_leads_to_a_page_and_to_a_shipped_run(visit):
    nodes = [node for path in (ROOT / "pages" / "paper.py", *PARTS) for node in ast.walk(ast.parse(path.read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    leading = [c for c in calls if c.func.id in ("link", "link_details") and isinstance(c.args[0], ast.Constant)]
    assert len(leading) > 20
    for call in leading:
        assert (ROOT / "pages" / f"{call.args[0].value}.py").exists()
        for query in call.keywords:
            if query.arg == "run":
                assert (HOME / query.value.value / "config.json").exists()
            if query.arg == "comparison":
                assert (HOME / "architectures" / f"{query.value.value}.jsonl").exists()
    at = visit("paper", run="add-113")
    at.switch_page("pages/runs.py")
    at.query_params["run"] = "primes-10"
    assert at.run().selectbox(key="run").value == "primes-10"
    assert at.selectbox(key="run").select("miu-24").run().selectbox(key="run").value == "miu-24"


def test_the_page_names_the_runs_that_are_missing(home, tmp_path, monkeypatch, visit):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (home, tmp_path / "nowhere"))
    monkeypatch.setattr("miii.runs.homes", lambda: (home, tmp_path / "nowhere"))
    view = shown(visit("paper"))
    assert all(
        name in "\n".join(view.infos) for name in ("add-113", "primes-10", "miu-24", "residues-113", "frames-10")
    )
    assert [header[0] for header in view.headers[-2:]] == ["6", "7"]


# ---- its numbers ----


def test_the_numbers_of_the_abstract_are_those_of_the_runs(paper):
    abstract = next(text for text in paper.prose["markdown"] if text.startswith("**Abstract.**"))
    added, result, config = read("add-113"), read("add-113", "result.json"), read("add-113", "config.json")
    reports = [read(name) for name in PRIMES]
    waves, depth = len(added["key_frequencies"]), max(report["sieve_depth"] for report in reports)
    expected = [
        f"{config['task']['train_fraction']:.0%}",
        str(config["task"]["p"]),
        str(result["grokked_at"]),
        str(waves),
        f"{added['logit_variance_explained']:.1%}",
        f"{added['steering_accuracy']:.2%}",
        str(len(reports)),
        f"{min(report['digit_variance_explained']['3'] for report in reports):.1%}",
        str(sum(report["verdict"].startswith("sums residues modulo 3") for report in reports)),
        str(depth),
        f"{reports[0]['generalization']['3']['outside']['auc']:.2f}",
    ]
    assert set(re.findall(r"\d+(?:\.\d+)?%?", abstract)) == {*expected, "3"}  # modulo 3


def test_the_curves_are_those_of_the_evaluations(paper):
    rows = runs.shipped("add-113").rows()
    told = next(text for text in paper.prose["caption"] if "worse than that of a guess" in text)
    known = {str(row["step"]): f"{row['test_accuracy']:.0%}" for row in rows}
    found = re.findall(r"reaches (\d+%) at step (\d+)", told)
    assert found
    assert all(known[step] == share for share, step in found)
    worst = max(rows, key=lambda row: row["test_loss"])
    assert all(
        words in told
        for words in (f"step {worst['step']},", f"{worst['train_accuracy']:.0%}", f"{worst['test_loss']:.2f}")
    )


def test_the_grids_are_of_memory_then_of_the_rule(server):
    question = app("_parts.paper.question")
    run = runs.shipped("add-113")
    steps = question.moments(run.rows(), run.steps)
    assert len(steps) == 4
    assert set(steps) <= set(run.steps)
    train, right = run.task().train_mask, question.known("add-113", steps)
    others = [right[step][~train].double().mean().item() for step in steps]
    assert list(steps) == sorted(steps)
    assert others == sorted(others)
    assert others[0] < 0.1 < 0.9 < others[-1]
    assert right[steps[0]][train].double().mean() > 5 * others[0]


def test_the_tables_are_those_of_the_reports(paper):
    table = next(table for table in paper.tables if "explained" in table and len(table) == 10)
    reports = [read(name) for name in PRIMES]
    for column, field in (
        ("explained", "digit_variance_explained"),
        ("by chance", "digit_variance_chance"),
        ("interchange", "interchange_accuracy"),
        ("its control", "interchange_control"),
        ("steering", "steering_accuracy"),
        ("its control ", "steering_control"),
    ):
        assert table[column].tolist() == [report[field]["3"] for report in reports]
    assert table["probe"].tolist() == [report["probe_r2"]["trained"]["3"] for report in reports]
    assert table["passes"].tolist() == ["yes" if "modulo 3" in report["verdict"] else "no" for report in reports]
    found = [read("primes-10")["circuits"]["base"], read("primes-10")["circuits"]["3"], read("miu-24")["circuits"]["3"]]
    rows = [row for table in paper.tables if "faithfulness" in table for _, row in table.iterrows()]
    for column in ("faithfulness", "without"):
        assert [row[column] for row in rows] == [circuit[column] for circuit in found]
    assert [row["edges"] for row in rows] == [str(len(circuit["edges"])) for circuit in found]


def test_what_is_not_reached_is_listed(server):
    ledger = app("_parts.paper.ledger").ledger()
    reached = dict(zip(ledger["goal"], ledger["reached"], strict=True))
    assert reached["its formula explains the logits' variance"] == "yes"  # 95.1%, where the goal is 95%
    right = read("residues-113")["accuracy"]
    solved = sum(value >= 0.995 for value in right.values())
    (goal,) = (row.goal for row in ledger.itertuples() if str(row.measured) == f"{solved} of {len(right)}")
    assert reached[goal] == "**no**"
    assert set(reached.values()) == {"yes", "**no**"}
    least = min(read(name)["steering_accuracy"]["3"] for name in PRIMES[:5])  # those that chose the recipe
    assert (next(reached[goal] for goal in reached if "steering" in goal) == "yes") == (least >= 0.95)


def test_the_recipes_are_those_of_the_configs(server):
    recipes = app("_parts.paper.method").recipes()
    assert len(recipes.columns) == 7
    for name in recipes:
        config, result = read(name, "config.json"), read(name, "result.json")
        assert recipes[name]["layers"] == str(config["model"]["n_layers"])
        assert recipes[name]["learning rate"] == f"{config['optimizer']['lr']:g}"
        assert recipes[name]["steps"] == f"{config['steps']:,}"
        assert recipes[name]["training minutes"] == f"{result['seconds'] / 60:.1f}"


# ---- what moves ----


def test_clock_number_circles_and_frames_follow_their_controls(visit):
    at = visit("paper")
    at.slider(key="clock_a").set_value(7).run()
    assert r"$7 + 3 \equiv 10 \pmod{12}$" in shown(fine(at)).text
    for n in (10_011, 10_007):
        at.number_input(key="paper_n").set_value(n).run()
        text, digits = shown(fine(at)).text, sum(map(int, str(n)))
        assert rf"= {digits} \equiv {digits % 3} \pmod 3$" in text
        evidence = float(re.search(r"\*\*([+−]\d+\.\d)\*\*", text)[1].replace("−", "-"))
        assert (evidence < -1.5) == (n % 3 == 0)
        assert ("; it is prime" in text) == sympy.isprime(n)
    slider = at.select_slider(key="at")
    assert [int(option) for option in slider.options] == runs.shipped("add-113").steps
    slider.set_value(0).run()
    circles = [each for each in shown(fine(at)).figures if each.make.__name__ == "circles_of_the_adder"]
    assert [figure.arguments["step"] for figure in circles] == [0]
    at.number_input(key="first").set_value(5_000).run()
    assert any("5000" in chart.alt for chart in shown(fine(at)).charts)


@pytest.mark.slow  # measures six networks
def test_bits_bends_and_rotations_are_measured_on_request(visit):
    at = visit("paper")
    before = shown(at)
    made = {"rotations_of_the_adder", "regions_of_the_adder", "regions_of_the_primes", "bits_of_the_primes"}
    made |= {"steering_of_the_adder"}
    assert not made & {figure.make.__name__ for figure in before.figures}
    for key in ("rotations", "bends", "plane", "bits", "turned", "log"):
        at.session_state[key] = True
    view = shown(fine(at.run()))
    assert made <= {figure.make.__name__ for figure in view.figures}
    assert len(view.text) > len(before.text) + 1000
    assert f"{read('add-113')['steering_minimum']:.2%}" in view.text
    geometry = app("_parts.paper.geometry")
    for step in (0, runs.shipped("primes-10").steps[-1]):
        window = geometry.plane_at("primes-10", step)
        assert f"{window.regions:,}" in view.text
    assert (
        f"{geometry.bits_at('primes-10', runs.shipped('primes-10').steps[-1]).at('0.resid_mid', 'totals'):.3f}"
        in view.text
    )


def test_splits_are_those_of_the_trials(server):
    part = app("_parts.paper.generalization")
    trials = experience.load(HOME / "experience.jsonl")
    table = part.splits(trials).set_index("left out")
    beyond = [each.measures["beyond_3"] for each in trials if (each.experiment, each.name) == ("splits", "withheld")]
    row = table.loc[part.NAMES["withheld"]]
    assert row["seeds"] == str(len(beyond))
    assert row["AUC, 3, left out"] == f"{statistics.median(beyond):.3f}"
    for each in trials:
        config = miii.RunConfig(**each.config)
        task = config.task.model_copy(update={"seed": each.seed})
        assert task.n_train == each.examples


def test_the_log_has_no_heading_as_large_as_the_page_s(server):
    log = app("_parts.paper.discussion").log()
    assert len(log) > 1000
    assert not [line for line in log.splitlines() if re.match(r"#{1,4} ", line)]


# ---- errata ----


def test_the_errata_are_counted_and_checked(errata):
    found = errata["Section 3.1 and Table 1"]
    for low, high in ((1_000, 10_000), (10_000, 100_000)):
        assert f"{sum(1 for _ in sympy.primerange(low, high)):,}" in found.true
    assert "16 of 16" in found.checked
    rows = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    printed = [not (a and b and c) and not (not a and not b and not c) for a, b, c in rows]
    equal = sum(said == (len(set(row)) > 1) for said, row in zip(printed, rows, strict=True))
    odd = sum(said == bool(sum(row) % 2) for said, row in zip(printed, rows, strict=True))
    assert (equal, odd) == (8, 4)
    assert all(f" {count}" in errata["Section 2, the program"].checked for count in (equal, odd))
    assert "8 of 8" in errata["Equation 3"].checked
    assert r"-1 & -1 \\ 1 & 0" in errata["Equation 3"].true
    assert app("_parts.paper.errata").attention_error() < 1e-5
    assert "Conmy" in errata["Reference 4"].true
    assert "2, 3, 5, 7" in errata["Section 2.3"].true
    assert all(string in errata["Section 2.3, footnote 1"].checked for string in ("MIII has 3", "MIIUII has 4"))
    assert all(each.checked for each in errata.values())


def test_the_references_are_the_draft_s_fourteen(server):
    references = app("_parts.paper.references")
    assert len(references.DRAFT) == 14
    assert all(re.fullmatch(r"\d{4}\.\d{5}|", entry[2]) for entry in (*references.DRAFT, *references.FURTHER))


def test_no_measured_share_is_typed_into_a_chapter():
    typed = set()
    for path in PARTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                typed |= set(re.findall(r"(?<![.\d])(\d+(?:\.\d+)?) ?%", node.value))
    assert typed == {"99", "79", "95"}  # what Lee and Kim report, and the level of an interval
