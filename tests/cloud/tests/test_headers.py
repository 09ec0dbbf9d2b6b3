# SPDX-License-Identifier: MIT
"""Headers that are read fast are those that the standard library reads."""

from __future__ import annotations

import email.parser
import io
from http.client import HTTPMessage

import pytest

from cloud import headers


@pytest.mark.parametrize(
    "text",
    [
        "\r\n",
        "Host: a\r\nX-Empty:\r\nx-two: b:c \r\nX-Two:\t d\r\n\r\n",
        "Folded: a\r\n b\r\nHost: c\r\n\r\n",
        "no colon\r\nHost: c\r\n\r\n",
        "Spaced : a\r\nHost: c\r\n\r\n",
        ": nameless\r\nHost: c\r\n\r\n",
        "Late: \xe4\nHost: c\n\n",
    ],
)
def test_headers_are_as_the_standard_library_reads_them(text):
    found = headers._parse(io.BytesIO(text.encode("iso-8859-1")))
    assert found.items() == email.parser.Parser(_class=HTTPMessage).parsestr(text).items()
