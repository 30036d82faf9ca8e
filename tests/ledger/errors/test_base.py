from __future__ import annotations

import copy
import pickle

from ledger.errors.base import CostledgerError, InvalidInput, MissingExtra


def test_a_copy_of_an_error_keeps_its_sentence_and_its_fields() -> None:
    error = MissingExtra("a replica on NATS", "nats")
    error.add_note("while it was opened")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert (type(again), str(again)) == (MissingExtra, str(error))
        assert again.__notes__ == ["while it was opened"]


def test_a_missing_extra_names_it_and_how_to_add_it() -> None:
    assert "[nats]" in str(MissingExtra("a replica on NATS", "nats"))


def test_each_kind_has_its_status() -> None:
    assert (CostledgerError.http_status, InvalidInput.http_status, MissingExtra.http_status) == (503, 422, 501)
