from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import SourceUnreadable
from ledger.importing.source_registry import SourceEntry, SourceRegister

entries = st.builds(
    SourceEntry,
    st.sampled_from(["claude", "csv"]),
    st.binary(min_size=1, max_size=6).map(lambda raw: "/" + raw.hex()) | st.just("/h/\udcff"),
    st.none() | st.just("w"),
    st.none() | st.just("plan"),
    st.sampled_from([(), ("cost_usd=a",)]),
    st.sampled_from(["session", "branch"]),
)


@settings(max_examples=20)
@given(added=st.lists(entries, max_size=4))
def test_each_source_is_registered_once_in_the_order_of_its_first_import(
    tmp_path_factory: pytest.TempPathFactory, added: list[SourceEntry]
) -> None:
    data = tmp_path_factory.mktemp("data")
    for entry in [*added, *added]:
        SourceRegister(data).add(entry)
    assert SourceRegister(data).entries() == list(dict.fromkeys(added))


def test_a_relative_path_is_registered_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    register = SourceRegister(tmp_path)
    register.add(SourceEntry("claude", "logs"))
    assert [entry.path for entry in register.entries()] == [str(tmp_path / "logs")]


def test_an_option_of_an_earlier_version_is_passed_over_and_other_content_is_named(tmp_path: Path) -> None:
    register = SourceRegister(tmp_path)
    assert register.entries() == []
    register.path.write_text('{"kind":"claude","path":"/h","fed_too":true}\n\n')
    assert register.entries() == [SourceEntry("claude", "/h")]
    for content in ("junk", '{"path":"/h"}', '{"kind":"claude","path":"/h","later":1}'):
        register.path.write_text(content)
        with pytest.raises(SourceUnreadable, match="is not a register of sources"):
            register.entries()
