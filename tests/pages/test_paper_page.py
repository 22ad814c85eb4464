"""The first page: its numbers are those of the shipped runs, its errata hold, and its links lead somewhere."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
import sympy
from shown import figures
from streamlit.testing.v1 import AppTest

from miii import runs

ROOT = Path(__file__).parents[2]
HOME = ROOT / "checkpoints"
PRIMES = ["primes-10", *(f"seeds/primes-10-seed{seed}" for seed in (1, 2, 3, 4))]


def read(name: str, file: str = "report.json") -> dict:
    return json.loads((HOME / name / file).read_text())


@pytest.fixture
def paper(visit) -> AppTest:
    return visit("paper")


@pytest.fixture
def errata(server) -> dict:
    found = importlib.import_module("pages._parts.paper.errata").errata()
    return {each.where: each for each in found}


def frames(at: AppTest) -> list:
    return [element.value for element in at.dataframe]


# ---- the page ----


def test_the_page_opens_with_one_title_and_no_complaint(paper):
    assert not paper.error
    assert not paper.warning
    assert not paper.info
    charts = paper.get("vega_lite_chart")
    assert len(charts) == 20
    assert all(chart.proto.alt for chart in charts)


def test_every_entry_of_the_contents_leads_to_a_heading(paper):
    listed = [found for block in paper.markdown for found in re.findall(r"\]\(#([\w-]+)\)", block.value)]
    anchors = {heading.proto.anchor for kind in (paper.header, paper.subheader) for heading in kind}
    assert len(listed) == 12
    assert set(listed) <= anchors


def test_every_link_leads_to_a_page_and_to_a_run_that_is_here():
    scripts = [ROOT / "pages" / "paper.py", *(ROOT / "pages" / "_parts" / "paper").glob("*.py")]
    calls = [node for path in scripts for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    links = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("link", "apart")]
    leading = [call for call in links if isinstance(call.args[0], ast.Constant)]
    assert len(leading) > 20
    for call in leading:
        assert (ROOT / "pages" / f"{call.args[0].value}.py").exists()
        for query in call.keywords:
            if query.arg == "run":
                assert (HOME / query.value.value / "config.json").exists()
            if query.arg == "comparison":
                assert (HOME / "architectures" / f"{query.value.value}.jsonl").exists()


def test_a_link_chooses_its_run_in_an_app_that_shows_another(visit):
    at = visit("paper", run="add-113")
    at.switch_page("pages/sieve.py")
    at.query_params["run"] = "primes-10"
    at.run()
    assert at.selectbox(key="run").value == "primes-10"
    at.selectbox(key="run").select("miu-24").run()  # and then the reader chooses another
    assert at.selectbox(key="run").value == "miu-24"


def test_the_page_says_what_is_missing(home, tmp_path, monkeypatch):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (home, tmp_path / "nowhere"))
    monkeypatch.setattr("miii.runs.homes", lambda: (home, tmp_path / "nowhere"))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.switch_page("pages/paper.py").run()
    assert not at.exception
    said = "\n".join(box.value for box in at.info)
    for name in ("add-113", "primes-10", "miu-24", "residues-113", "frames-10"):
        assert name in said
    assert [heading.value for heading in at.header][-2:] == ["6 Errata", "7 References"]


# ---- its numbers ----


def test_the_numbers_of_the_abstract_are_those_of_the_runs(paper):
    (abstract,) = [block.value for block in paper.markdown if block.value.startswith("**Abstract.**")]
    added, result, config = read("add-113"), read("add-113", "result.json"), read("add-113", "config.json")
    reports = [read(name) for name in PRIMES]
    waves = len(added["key_frequencies"])
    least = min(report["digit_variance_explained"]["3"] for report in reports)
    passed = sum(report["verdict"] == "sums residues modulo 3" for report in reports)
    expected = [
        f"{config['task']['train_fraction']:.0%}",
        f"modulo {config['task']['p']} ",
        f"after {result['grokked_at']} steps",
        f"on {waves} circles",
        f"{waves} cosines explains {added['logit_variance_explained']:.1%}",
        f"in {added['steering_accuracy']:.2%} of all cases",
        f"in each of {len(reports)},",
        f"at least {least:.1%} of what",
        f"and {passed} of them",
        f"beyond {max(report['sieve_depth'] for report in reports)};",
    ]
    for words in expected:
        assert words in abstract
    known = set(re.findall(r"\d+(?:\.\d+)?%?", " ".join(expected))) | {"3"}  # modulo 3
    assert set(re.findall(r"\d+(?:\.\d+)?%?", abstract)) == known
    assert abstract.count("\n\n") == 2


def test_the_story_of_the_curves_is_that_of_the_evaluations(paper):
    rows = runs.shipped("add-113").rows()
    (told,) = [caption.value for caption in paper.caption if caption.value.startswith("Blue:")]
    for step, share in re.findall(r"[Aa]t step (\d+) it knows (\d+)%", told):
        (row,) = [row for row in rows if row["step"] == int(step)]
        assert f"{row['test_accuracy']:.0%}" == f"{share}%"
    worst = max(rows, key=lambda row: row["test_loss"])
    assert f"step {worst['step']} it is right on {worst['train_accuracy']:.0%}" in told
    assert f"{worst['test_loss']:.2f}" in told


def test_the_grids_are_of_memory_then_of_the_rule(server):
    question = importlib.import_module("pages._parts.paper.question")
    run = runs.shipped("add-113")
    steps = question.moments(run.rows(), run.steps)
    assert set(steps) <= set(run.steps)
    assert len(steps) == 4
    assert list(steps) == sorted(steps)
    train = run.task().train_mask
    right = question.known("add-113", steps)
    others = [right[step][~train].double().mean().item() for step in steps]
    assert others == sorted(others)
    assert others[0] < 0.1 < 0.9 < others[-1]
    assert right[steps[0]][train].double().mean() > 5 * others[0]


def test_the_table_of_the_five_networks_is_what_their_reports_say(paper):
    (table,) = [frame for frame in frames(paper) if "explained" in frame and len(frame) == 5]
    reports = [read(name) for name in PRIMES]
    assert table["network"].tolist() == [f"seed {seed}" for seed in range(5)]
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


def test_the_circuits_are_those_of_the_reports(paper):
    tables = [frame for frame in frames(paper) if "faithfulness" in frame]
    found = [read("primes-10")["circuits"]["base"], read("primes-10")["circuits"]["3"], read("miu-24")["circuits"]["3"]]
    rows = [row for table in tables for _, row in table.iterrows()]
    assert [row["question"][0] for row in rows] == ["1", "2", "3"]
    assert [row["faithfulness"] for row in rows] == [circuit["faithfulness"] for circuit in found]
    assert [row["without"] for row in rows] == [circuit["without"] for circuit in found]
    assert [row["edges"] for row in rows] == [str(len(circuit["edges"])) for circuit in found]


def test_what_is_not_reached_is_said(server):
    ledger = importlib.import_module("pages._parts.paper.ledger").ledger()
    reached = dict(zip(ledger["goal"], ledger["reached"], strict=True))
    right = read("residues-113")["accuracy"]
    solved = sum(value >= 0.995 for value in right.values())
    assert solved < len(right)
    assert reached[f"all {len(right)} residues at once"] == "**no**"
    (row,) = ledger[ledger["goal"] == f"all {len(right)} residues at once"]["measured"]
    assert row == f"{solved} of {len(right)}"
    assert reached["add-113 adds modulo 113"] == "yes"
    assert reached["sieves beyond 3 by labels alone"] == "**no**"
    assert reached["the same with residues as help"] == "yes"
    least = min(read(name)["steering_accuracy"]["3"] for name in PRIMES)
    assert (reached["steering, least"] == "yes") == (least >= 0.95)


def test_the_recipes_are_those_of_the_configs(server):
    recipes = importlib.import_module("pages._parts.paper.method").recipes()
    for name in recipes:
        config, result = read(name, "config.json"), read(name, "result.json")
        shown = recipes[name]
        assert shown["layers"] == str(config["model"]["n_layers"])
        assert shown["learning rate"] == f"{config['optimizer']['lr']:g}"
        assert shown["steps"] == f"{config['steps']:,}"
        assert shown["minutes of training"] == f"{result['seconds'] / 60:.1f}"
    assert len(recipes.columns) == 7


# ---- what moves ----


def test_the_clock_turns(paper):
    paper.slider(key="clock_a").set_value(7).run()
    assert not paper.exception
    assert r"$7 + 3 \equiv 10 \pmod{12}$" in [block.value for block in paper.markdown]


@pytest.mark.parametrize("n", [10_011, 10_007, 99_999])
def test_a_number_is_summed_and_judged(paper, texts, n):
    paper.number_input(key="paper_n").set_value(n).run()
    assert not paper.exception
    said = texts(paper)
    digits = sum(map(int, str(n)))
    assert rf"= {digits} \equiv {digits % 3} \pmod 3$" in said
    assert ("so 3 divides it" in said) == (n % 3 == 0)
    assert ("in truth it is prime" in said) == sympy.isprime(n)
    evidence = float(re.search(r"is \*\*([+−]\d+\.\d)\*\*", said)[1].replace("−", "-"))
    assert (evidence < -1.5) == (n % 3 == 0)


def test_the_circles_are_those_of_the_snapshot(paper):
    slider = paper.select_slider(key="at")
    assert [int(option) for option in slider.options] == runs.shipped("add-113").steps
    slider.set_value(0).run()
    assert not paper.exception
    circles = [figure for figure in figures(paper) if figure.make.__name__ == "circle_of_the_adder"]
    assert [figure.arguments["step"] for figure in circles] == [0, 0, 0]


def test_the_frames_go_on_from_the_integer(paper):
    paper.number_input(key="first").set_value(5_000).run()
    assert not paper.exception
    assert any("after 5000 with +7" in chart.proto.alt for chart in paper.get("vega_lite_chart"))


def test_what_takes_long_is_done_when_it_is_asked_for(paper, texts):
    assert "Smaller betas grok soonest" not in texts(paper)
    paper.session_state["log"] = paper.session_state["turned"] = True
    paper.run()
    assert not paper.exception
    assert "Smaller betas grok soonest" in texts(paper)
    assert len(paper.get("vega_lite_chart")) == 21
    assert f"on {read('add-113')['steering_minimum']:.2%} at worst" in texts(paper)


def test_the_log_has_no_heading_as_large_as_the_page_s(server):
    log = importlib.import_module("pages._parts.paper.discussion").log()
    assert "Smaller betas grok soonest" in log
    assert not [line for line in log.splitlines() if re.match(r"#{1,4} ", line)]


# ---- errata ----


def test_table_1_is_right_and_its_digits_are_counted(errata):
    found = errata["Section 3.1 and Table 1"]
    assert f"{sum(1 for _ in sympy.primerange(1_000, 10_000)):,} of them prime" in found.true
    assert f"of five, {sum(1 for _ in sympy.primerange(10_000, 100_000)):,} prime" in found.true
    assert found.true.startswith("The table has 5 digits")
    assert "16 of 16 printed labels agree" in found.checked


def test_the_program_is_not_xor(errata):
    rows = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    printed = [not (a and b and c) and not (not a and not b and not c) for a, b, c in rows]
    equal = sum(said == (len(set(row)) > 1) for said, row in zip(printed, rows, strict=True))
    odd = sum(said == bool(sum(row) % 2) for said, row in zip(printed, rows, strict=True))
    assert f"agrees with *not all equal* on {equal} and with xor on {odd}" in errata["Section 2, the program"].checked
    assert (equal, odd) == (8, 4)


def test_equation_3_always_says_yes(errata):
    assert "8 of 8 numbers are above 0" in errata["Equation 3"].checked
    assert r"-1 & -1 \\ 1 & 0" in errata["Equation 3"].true


def test_equation_4_put_right_is_what_the_network_does(server):
    assert importlib.import_module("pages._parts.paper.errata").attention_error() < 1e-5


def test_the_other_errata_are_there(errata):
    assert "reference 3, Conmy" in errata["Reference 4"].true
    assert "On 4 of them: 2, 3, 5, 7" in errata["Section 2.3"].true
    assert "MIII has 3 I's, so it cannot be derived" in errata["Section 2.3, footnote 1"].checked
    assert "MIIUII has 4 I's, so it can be derived" in errata["Section 2.3, footnote 1"].checked
    assert all(each.checked for each in errata.values())


def test_the_references_are_the_draft_s_fourteen(server):
    references = importlib.import_module("pages._parts.paper.references")
    assert len(references.DRAFT) == 14
    assert "Elements of Information Theory" in references.DRAFT[3][0]
    assert all(re.fullmatch(r"\d{4}\.\d{5}|", entry[2]) for entry in (*references.DRAFT, *references.FURTHER))


def test_no_measured_share_is_typed_into_a_chapter(server):
    typed = set()
    for path in sorted((ROOT / "pages" / "_parts" / "paper").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                typed |= set(re.findall(r"(?<![.\d])\d+(?:\.\d+)? ?%", node.value))
    assert typed == {"99 %", "79 %", "95 %"}  # what Lee and Kim report, and the level of an interval
