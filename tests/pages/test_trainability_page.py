"""The page Trainability: shipped maps at once, others from a background job, and a way back up."""

import time

from shown import app, button, fine, shown

from miii import landscape


def until_ended(view: landscape.View) -> None:
    end = time.monotonic() + 60
    while not app("_server.mapping").get(view).ended and time.monotonic() < end:
        time.sleep(0.02)
    assert app("_server.mapping").get(view).ended


def test_the_shipped_maps_are_shown_with_their_dimensions(see):
    view = see("trainability")
    assert not view.errors
    tile = landscape.open("tanh-0")
    assert view.numbers("map_of")["value"].tolist() == [float(f"{v:.4g}") for v in tile.measures.ravel()]
    rows = view.table("paper").set_index("condition")
    for name, condition in landscape.CONDITIONS.items():
        maps = landscape.sequence(name)
        if maps:
            found = landscape.dimension([each.measures for each in maps])
            assert rows.loc[condition.title, ["paper", "here", "from", "to"]].tolist() == [
                condition.dimension,
                found.value,
                found.low,
                found.high,
            ]
    assert "(1.5, 1.5)" in view.captions


def test_a_map_is_computed_in_the_background_and_left_again(home, visit, monkeypatch):
    controls = app("_parts.trainability.controls")
    monkeypatch.setitem(controls.NETWORKS, controls.SMALL, {"width": 2, "steps": 20, "precision": "float32"})
    at = visit("trainability", networks=controls.SMALL, cells="16")
    assert "not been computed" in shown(at).infos[0]
    fine(button(at, "Compute this map").click().run())
    view = landscape.View(width=2, steps=20, precision="float32", resolution=16)
    until_ended(view)
    at = fine(at.run())
    assert (shown(at).numbers("map_of")["value"] < 0).sum() == (
        landscape.open(landscape.named(view)).measures < 0
    ).sum()
    at.text_input(key="across").set_value("1 1.5")
    at.text_input(key="upward").set_value("2 2.5")
    fine(at.run())
    fine(button(at, "Zoom out").click().run())
    wider = view.zoomed(-0.75, 3.25, 0.25, 4.25)
    until_ended(wider)
    at = fine(at.run())
    assert [at.text_input(key=key).value for key in ("across", "upward")] == ["-0.75 3.25", "0.25 4.25"]
    fine(button(at, "Back").click().run())
    assert at.text_input(key="across").value == "1 1.5"


def test_bounds_that_cannot_be_shown_are_refused(visit):
    for across, match in (
        ("2 1", "x_high must be greater"),
        ("one two", "two numbers"),
        ("1 1.0000000000001", "float64"),
        ("nan inf", "finite"),
    ):
        at = visit("trainability", across=across)
        assert any(match in error for error in shown(at).errors)
        assert not shown(at).charts


def test_a_film_of_a_zoom_is_computed_and_offered(home, visit, monkeypatch):
    controls, mapping = app("_parts.trainability.controls"), app("_server.mapping")
    monkeypatch.setitem(controls.NETWORKS, controls.SMALL, {"width": 2, "steps": 20, "precision": "float32"})
    view = landscape.View(width=2, steps=20, precision="float32", resolution=16, x_low=1, x_high=2, y_low=1, y_high=2)
    landscape.write(mapping.place(view), list(landscape.compute(view))[-1])
    at = visit("trainability", networks=controls.SMALL, cells="16", across="1 2", upward="1 2")
    at.number_input(key="film-frames").set_value(2)
    at = fine(at.run())
    fine(button(at, "Compute 2 maps of 16 x 16 cells").click().run())
    until_ended(view)
    at = fine(at.run())
    assert {"Film (GIF)", "Frames (PNG)"} <= {each.proto.label for each in at.get("download_button")}
    at = visit("trainability", networks=controls.SMALL, cells="16")
    assert all("number_input" not in str(each.key) and each.key != "film-frames" for each in at.number_input)


def test_the_map_of_grokking_is_shown_with_its_answer(see):
    view = see("trainability", condition="Modular addition: does it grok?", cells="32")
    assert not view.errors
    tile = landscape.open("grokking-0")
    assert view.numbers("map_of")["value"].tolist() == [float(f"{v:.4g}") for v in tile.measures.ravel()]
    table = landscape.question.table()
    assert landscape.question.answer(table, landscape.question.moved()) in view.text
    assert view.table("dimension").iloc[0]["dimension"] == round(table["dimension"].iloc[0], 3)
