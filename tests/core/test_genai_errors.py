"""What an error is called: few names, so that they can be counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_dev_squad.genai.errors import error_type


class ApiError(Exception):
    """Shaped like the errors of the providers' clients."""

    def __init__(self, **fields: Any) -> None:
        super().__init__("refused")
        self.__dict__.update(fields)


class ReadTimeout(Exception):
    """Named like the time-outs of HTTP clients."""


class Answer:
    """An HTTP client's answer."""

    status_code = 503


@pytest.mark.parametrize(
    "error, expected",
    [
        (ApiError(status_code=429, code="insufficient_quota"), "insufficient_quota"),
        (ApiError(status_code=429, code=None), "429"),
        (ApiError(status_code=400, code="x" * 90), "400"),
        (ApiError(status_code=400, code="no such model: a b c"), "400"),
        (ApiError(response=Answer()), "503"),
        (ApiError(code=404), "404"),
        (ApiError(code="e3q8"), f"{__name__}.ApiError"),
        (TimeoutError(), "timeout"),
        (ReadTimeout(), "timeout"),
        (json.JSONDecodeError("m", "d", 0), "json.decoder.JSONDecodeError"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (type("Local", (Exception,), {"__qualname__": "f.<locals>.Local"})(), "Local"),
    ],
)
def test_error_types_are_few(error: BaseException, expected: str) -> None:
    """error.type is the provider's code, the HTTP status, timeout, or the exception's name: never its text."""
    assert error_type(error) == expected
