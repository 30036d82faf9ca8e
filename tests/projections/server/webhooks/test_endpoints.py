from __future__ import annotations

from pathlib import Path

import pytest

from ledger.config.schema import WebhookConfig
from ledger.errors import InvalidInput
from projections.server.webhooks.endpoints import endpoint_of, host_of, id_of

SECRET = "whsec_" + "c2VjcmV0" * 5
URL = "https://example.com:8443/hooks/secret-path?key=1"


def config(url: str = URL, **more: object) -> WebhookConfig:
    return WebhookConfig.model_validate({"url": url, "secret_env": "COSTLEDGER_TEST_SECRET", **more})


def test_an_endpoint_has_the_id_of_its_url_and_shows_neither_path_nor_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLEDGER_TEST_SECRET", SECRET)
    endpoint = endpoint_of(config())
    assert (endpoint.id, endpoint.host) == (id_of(URL), "https://example.com:8443")
    assert host_of(URL) == endpoint.host
    assert id_of(URL) != id_of(URL + "2")
    assert SECRET not in repr(endpoint)


def test_a_secret_is_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    made = WebhookConfig.model_validate({"url": URL, "secret_file": str(tmp_path / "secret")})
    assert endpoint_of(made).id == id_of(URL)


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_c2VjcmV0", "whsec_" + "ä" * 40, "whsec_" + "!" * 41])
def test_a_secret_that_is_none_is_named_with_the_command_that_makes_one(
    secret: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COSTLEDGER_TEST_SECRET", raising=False)
    if secret is not None:
        monkeypatch.setenv("COSTLEDGER_TEST_SECRET", secret)
    with pytest.raises(InvalidInput, match=r"COSTLEDGER_TEST_SECRET.*--new-secret") as raised:
        endpoint_of(config())
    assert "secret-path" not in str(raised.value)


def test_slack_needs_no_secret() -> None:
    made = WebhookConfig.model_validate({"url": URL, "format": "slack"})
    assert endpoint_of(made).signer is None
