from __future__ import annotations

from pathlib import Path

import pytest

from projections.server.service.settings import Settings


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.9.9.9", True, False),
        ("::1", True, False),
        ("localhost", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("", False, True),
        ("192.168.1.5", False, False),
        ("Host.example", False, False),
    ],
)
def test_tokens_are_needed_wherever_another_machine_can_reach_it(host: str, *, loopback: bool, wildcard: bool) -> None:
    settings = Settings(Path("data"), host)
    assert (settings.loopback, settings.wildcard) == (loopback, wildcard)
    assert settings.needs_tokens is not loopback
    assert Settings(Path("data"), host, tokens_required=True).needs_tokens
    assert ("localhost" in settings.hosts) is loopback


def test_each_name_that_is_answered_to_is_named_once_in_lower_case() -> None:
    settings = Settings(Path("data"), "Host.example", allowed_hosts=("COSTS.example", "host.example"))
    assert settings.hosts == ["host.example", "costs.example"]
