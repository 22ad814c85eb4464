"""Bad input becomes one sentence that names the field and what it may be."""

from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from miii.errors import Frozen, InputError


class Inner(Frozen):
    size: int = Field(3, ge=2, le=9)


class Sample(Frozen):
    """One field for each kind of constraint."""

    count: int = Field(2, ge=2, le=5)
    share: float = Field(0.5, gt=0, lt=1)
    kind: Literal["one", "two"] = "one"
    flag: bool = True
    text: str = ""
    inner: Inner = Inner()
    pair: tuple[int, int] = (1, 2)
    finite: float = Field(0.0, allow_inf_nan=False)
    whole: int | None = None
    several: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _together(self) -> "Sample":
        if self.count == 5 and self.kind == "two":
            raise InputError("count must not be 5 where kind is two.")
        return self


class Needed(Frozen):
    name: str


def test_each_kind_of_problem_has_its_sentence():
    for values, text in [
        ({"count": 1}, "count must be at least 2 and at most 5 (got 1)."),
        ({"count": 6}, "count must be at least 2 and at most 5 (got 6)."),
        ({"count": 2.5}, "count must be an integer at least 2 and at most 5 (got 2.5)."),
        ({"count": "x"}, "count must be an integer at least 2 and at most 5 (got 'x')."),
        ({"count": None}, "count must be an integer at least 2 and at most 5 (got None)."),
        ({"share": 0}, "share must be greater than 0 and less than 1 (got 0)."),
        ({"share": 1}, "share must be greater than 0 and less than 1 (got 1)."),
        ({"share": "x"}, "share must be a number greater than 0 and less than 1 (got 'x')."),
        ({"share": []}, "share must be a number greater than 0 and less than 1 (got [])."),
        ({"finite": float("inf")}, "finite must be a finite number (got inf)."),
        ({"whole": "x"}, "whole must be an integer (got 'x')."),
        ({"kind": "three"}, "kind must be one of 'one' or 'two' (got 'three')."),
        ({"flag": "perhaps"}, "flag must be true or false (got 'perhaps')."),
        ({"text": 3}, "text must be text (got 3)."),
        ({"inner": {"size": 1}}, "size must be at least 2 and at most 9 (got 1)."),
        ({"inner": {"unknown": 1}}, "unknown is not a known field; Inner has size."),
        (
            {"unknown": 1},
            "unknown is not a known field; "
            "Sample has count, share, kind, flag, text, inner, pair, finite, whole, several.",
        ),
        ({"several": [1, "x"]}, "several must be an integer (got 'x')."),  # not "1", its place in the list
        ({"inner": 3}, "inner: input should be a valid dictionary or instance of Inner (got 3)."),
        ({"count": 5, "kind": "two"}, "count must not be 5 where kind is two."),
    ]:
        with pytest.raises(InputError) as caught:
            Sample(**values)
        assert str(caught.value) == text


def test_a_missing_field_is_named():
    with pytest.raises(InputError, match=r"^name is required\.$"):
        Needed()


def test_a_problem_without_words_of_its_own_is_still_one_sentence(one_sentence):
    for values in [{"pair": (1, 2, 3)}, {"pair": 3}, {"inner": 3}]:
        with one_sentence(*values):
            Sample(**values)


def test_only_the_first_of_several_problems_is_told(one_sentence):
    with one_sentence("count"):
        Sample(count=1, share=2, kind="three")


def test_the_value_given_does_not_break_the_line(one_sentence):
    for value in ["two\nlines", {"a": "two\nlines"}]:
        with one_sentence("count", r"two\nlines"):
            Sample(count=value)


def test_a_message_repeats_no_more_than_the_ends_of_a_long_value():
    long = "x" * 3_000_000
    cases = (
        {"count": long},
        {"kind": long},
        {long: 1},
        {"pair": (1,) * 1_000_000},
        {"inner": {long: 1}},
        {"text": [long]},
    )
    for values in (*cases, {"count": 10**4000}, {"flag": {str(i): i for i in range(10**5)}}):
        with pytest.raises(InputError) as caught:
            Sample(**values)
        assert len(str(caught.value)) < 400
    assert str(InputError(f"name must be short (got {long}).")).startswith("name must be short")
    assert len(str(InputError(long))) == 1000


def test_a_value_that_is_too_deep_to_be_repeated_is_told(one_sentence):
    deep = []
    for _ in range(5000):
        deep = [deep]
    for values in ({"count": deep}, {"kind": deep}, {"share": {"a": deep}}, {"unknown": deep}):
        with one_sentence(next(iter(values))):
            Sample(**values)


def test_the_error_hides_pydantic():
    with pytest.raises(InputError) as caught:
        Sample(count=1)
    assert caught.value.__suppress_context__
    assert isinstance(caught.value, ValueError)


def test_a_value_cannot_be_changed():
    sample = Sample()
    with pytest.raises(ValidationError, match="frozen"):
        sample.count = 3


def test_a_bad_default_is_refused():
    class Bad(Frozen):
        count: int = Field(1, ge=2)

    with pytest.raises(InputError, match="count must be at least 2"):
        Bad()


def test_a_field_may_not_be_called_like_an_argument_of_the_constructor(one_sentence):
    # JSON from a file may hold any key, "self" among them
    with one_sentence("self", "Sample has"):
        Sample(**{"self": 1})
