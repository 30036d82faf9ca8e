from __future__ import annotations

from typing import TypedDict, Unpack

import pytest

from ledger.capture.arguments import named_arguments


class Extra(TypedDict, total=False):
    model: str
    observed_at: str


class Recorder:
    @named_arguments(Extra)
    def charge(self, agent: str, *, cost_usd: str = "0", **more: Unpack[Extra]) -> tuple[object, ...]:
        """Return what was given."""
        return agent, cost_usd, more


def test_known_arguments_arrive_as_they_are() -> None:
    assert Recorder().charge("plan", cost_usd="1", model="m") == ("plan", "1", {"model": "m"})
    assert Recorder.charge.__doc__ == "Return what was given."


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("observed", "did you mean 'observed_at'"),
        ("cost_us", "did you mean 'cost_usd'"),
        ("modell", "did you mean 'model'"),
        ("zzz", "it takes agent, cost_usd, model, observed_at"),
        ("self_", "it takes agent, cost_usd, model, observed_at"),
    ],
)
def test_a_misspelt_argument_is_answered_with_the_one_that_was_meant(wrong: str, hint: str) -> None:
    with pytest.raises(TypeError, match=rf"charge\(\) got an unexpected argument '{wrong}'; {hint}"):
        Recorder().charge("plan", **{wrong: "x"})
