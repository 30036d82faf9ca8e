from __future__ import annotations

from typing import Any

import pytest

from ledger.providers.modalities import ALWAYS_APART, modalities_of


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({"prompt_tokens": 5}, set()),
        ({"prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 3}}, set()),
        ({"prompt_tokens_details": {"audio_tokens": 4}}, {"input_audio", "audio"}),
        ({"input_token_details": {"audio_tokens": 4}}, {"input_audio", "audio"}),
        ({"completion_tokens_details": {"audio_tokens": 4}}, {"output_audio", "audio"}),
        ({"input_tokens_details": {"image_tokens": 0, "text_tokens": 9}}, {"output_image"}),
        ({"input_tokens_details": {"image_tokens": 7}}, {"input_image", "image", "output_image"}),
        ({"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}]}, set()),
        ({"promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 5}]}, {"input_video"}),
        ({"candidates_tokens_details": [{"modality": "AUDIO", "token_count": 5}]}, {"output_audio"}),
        ({"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 0}]}, set()),
        ({"prompt_tokens_details": "junk"}, set()),
        (None, set()),
    ],
)
def test_tokens_that_are_not_text_are_named_by_side_and_kind(usage: Any, found: set[str]) -> None:
    assert modalities_of(usage) == found


def test_audio_as_openai_names_it_always_has_a_price_of_its_own() -> None:
    assert ALWAYS_APART & modalities_of({"prompt_tokens_details": {"audio_tokens": 4}})
    assert not ALWAYS_APART & modalities_of({"prompt_tokens_details": {"image_tokens": 4}})
