"""The page Phase diagram: its figure is the diagram's table, and its form trains one."""

import time

from shown import app, button, fine, shown

from miii import runs, sweeps


def test_the_shipped_diagram_is_shown_as_its_table_says(see):
    sweep = sweeps.open("phases-add-13")
    table = sweeps.Diagram(sweep, "lr", "weight_decay").table()
    assert set(sweeps.phases.PHASES) <= set(table["phase"])
    view = see("phases")
    assert not view.errors
    found = view.numbers("phase_map")
    assert found["phase"].tolist() == table["phase"].tolist()
    assert f"{(~table['inferred']).sum()} networks were trained" in view.captions
    run = table["run"].dropna().iloc[0]
    view = see("phases", run=f"phases-add-13/{run}")
    assert len(view.charts) == 2  # the curves of the chosen run


def test_a_diagram_is_trained_from_the_form_within_the_limits(home, visit, monkeypatch):
    at = visit("phases")
    at.number_input(key="phases-count").set_value(4)
    at.number_input(key="phases-p").set_value(5)
    at.number_input(key="phases-steps").set_value(100)
    at.number_input(key="phases-lr-low").set_value(0.5)
    button(at, "Train").click().run()
    assert any("lr must run from a low value" in error for error in shown(at).errors)
    at.number_input(key="phases-lr-low").set_value(0.01)
    with monkeypatch.context() as shared:
        shared.setenv("MIII_SHARED", "1")
        shared.setenv("MIII_MAX_SWEEP", "15")
        button(at, "Train").click().run()
        assert any("at most 15 cells" in error for error in shown(at).errors)
    assert not list(home.iterdir())
    fine(button(at, "Train").click().run())
    end = time.monotonic() + 120
    while not app("_server.sweeping").get("phases-add-5-lr-weight-decay").ended and time.monotonic() < end:
        time.sleep(0.05)
    diagram = sweeps.Diagram(sweeps.open(runs.homes()[0] / "phases-add-5-lr-weight-decay"), "lr", "weight_decay")
    assert not diagram.next()
    assert len(diagram.table()) == 16
    at = visit("phases", diagram="phases-add-5-lr-weight-decay")
    assert shown(fine(at)).value("diagram") == "phases-add-5-lr-weight-decay"
