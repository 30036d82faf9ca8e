from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CostledgerError, InvalidInput
from projections.server.service.tokens import SCOPES, TokenRegister


@settings(max_examples=15, deadline=None)
@given(scopes=st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3), revoked=st.sets(st.integers(0, 2)))
def test_a_token_is_found_by_its_whole_text_until_it_is_revoked(
    tmp_path_factory: pytest.TempPathFactory, scopes: list[str], revoked: set[int]
) -> None:
    register = TokenRegister(tmp_path_factory.mktemp("data"))
    other = TokenRegister(register.path.parent)
    texts = [register.create(scope, note=str(number)) for number, scope in enumerate(scopes)]
    for number in revoked & set(range(len(texts))):
        register.revoke(texts[number].split("_")[1])
    for number, (text, scope) in enumerate(zip(texts, scopes, strict=True)):
        found = other.find(text)
        assert (found is None) == (number in revoked)
        if found is not None:
            assert (found.scope, found.note) == (scope, str(number))
            assert {one for one in SCOPES if found.allows(one)} == (set(SCOPES) if scope == "admin" else {scope})
        assert other.find(text[:-1]) is other.find(f"x{text}") is other.find(text + "x") is None
    stored = register.path.read_text()
    assert not any(text.split("_", 2)[2] in stored for text in texts)
    assert register.path.stat().st_mode & 0o777 == 0o600


@given(st.text(st.characters(exclude_categories=())))
def test_any_other_text_is_no_token(text: str) -> None:
    assert TokenRegister(Path("/nowhere")).find(text) is None


def test_a_second_revocation_keeps_the_time_of_the_first(tmp_path: Path) -> None:
    register = TokenRegister(tmp_path)
    id = register.create("read").split("_")[1]
    assert register.revoke(id) == register.revoke(id)
    with pytest.raises(InvalidInput, match="no token is called 'x'"):
        register.revoke("x")
    with pytest.raises(InvalidInput, match="no scope is called 'all'; there are: read, append, admin"):
        register.create("all")


def test_a_file_that_cannot_be_read_lets_no_one_in(tmp_path: Path) -> None:
    register = TokenRegister(tmp_path)
    text = register.create("admin")
    register.path.write_text("junk")
    with pytest.raises(CostledgerError, match="restore it, or move it away"):
        register.find(text)
