# SPDX-License-Identifier: MIT
"""Reads the headers of HTTP fast.

The standard library has its parser for e-mails read them, which takes longer than all the rest of
a small call. `read_fast` replaces that for this process; what is not plain goes to the old parser.
"""

from __future__ import annotations

import email.parser
import http.client
from typing import Any


def _parse(file: Any, _class: type[http.client.HTTPMessage] = http.client.HTTPMessage) -> Any:
    lines = http.client._read_headers(file)  # type: ignore[attr-defined]
    message = _class()
    for line in lines[:-1]:
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if not colon or not name or name[-1].isspace() or name[0].isspace():
            text = b"".join(lines).decode("iso-8859-1")
            return email.parser.Parser(_class=_class).parsestr(text)
        message._headers.append((name, value.lstrip(" \t").rstrip("\r\n")))  # type: ignore
    return message


def read_fast() -> None:
    """Let clients and servers of this process read headers so."""
    http.client.parse_headers = _parse  # type: ignore[attr-defined]
