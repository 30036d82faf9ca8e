from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInput
from ledger.replication.replica import partition_of
from ledger.replication.subjects import ALL, chain_of, is_chain, of_origin, of_partitions, subject_of

workflow_ids = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}", fullmatch=True)
origins = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)


@given(workflow_ids, origins)
def test_a_subject_has_four_tokens_and_leads_back_to_its_chain(workflow_id: str, origin: str) -> None:
    subject = subject_of(workflow_id, origin)
    assert subject.count(".") == 3
    assert chain_of(subject) == (workflow_id, origin)
    for pattern in (ALL, of_origin(None), of_origin(origin), *of_partitions([partition_of(workflow_id)])):
        assert fnmatchcase(subject, pattern)
    others = set(range(64)) - {partition_of(workflow_id)}
    assert not any(fnmatchcase(subject, pattern) for pattern in of_partitions(others))


@given(st.text("costledgr.=*>0123x", max_size=24))
def test_a_subject_of_others_is_no_chain(subject: str) -> None:
    if is_chain(subject):
        assert subject_of(*chain_of(subject)) == subject
    else:
        with pytest.raises(InvalidInput):
            chain_of(subject)


@pytest.mark.parametrize("origin", ["", "a.b", "*", ">", "a b", "a" * 129, "a\n"])
def test_an_origin_cannot_widen_a_subject(origin: str) -> None:
    for make in (of_origin, lambda name: subject_of("w", name)):
        with pytest.raises(InvalidInput, match="is not an origin"):
            make(origin)
