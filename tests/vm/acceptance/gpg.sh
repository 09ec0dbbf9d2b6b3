#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# import-gpg: a key that comes as text is imported and signs.
set -euxo pipefail
export GNUPGHOME=$RUNNER_TEMP/one
mkdir -m 700 "$GNUPGHOME" "$RUNNER_TEMP/other"
gpg --batch --quiet --passphrase '' --quick-generate-key 'n <n@example.com>' ed25519 sign
key=$(gpg --batch --armor --export-secret-keys)
gpgconf --kill all
export GNUPGHOME=$RUNNER_TEMP/other
gpg --batch --yes --import <<<"$key"
echo text | gpg --batch --clearsign | gpg --batch --verify
gpgconf --kill all
