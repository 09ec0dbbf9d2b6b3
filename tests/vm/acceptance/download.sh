#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Steps that download: curl, wget and Python by the company's proxy, with the company's authority.
set -euxo pipefail
[ "$(curl -fsS https://files.example.com/hello)" = "hello from outside" ]
[ "$(wget -qO- https://files.example.com/hello)" = "hello from outside" ]
[ "$(sudo curl -fsS https://files.example.com/hello)" = "hello from outside" ]
python - <<'END'
import urllib.request
assert urllib.request.urlopen("https://files.example.com/hello").read() == b"hello from outside\n"
END
