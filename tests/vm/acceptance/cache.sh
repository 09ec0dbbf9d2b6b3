#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# cache, upload-artifact, download-artifact: archives with zstd, zip.
set -euxo pipefail
mkdir -p "$RUNNER_TEMP/cache/kept"
seq 1000 >"$RUNNER_TEMP/cache/kept/numbers"
cd "$RUNNER_TEMP/cache"
echo kept >manifest.txt
tar --posix -cf cache.tzst --exclude cache.tzst -P -C "$PWD" --files-from manifest.txt --use-compress-program zstdmt
mkdir restored
tar -xf cache.tzst -P -C restored --use-compress-program unzstd
cmp kept/numbers restored/kept/numbers
zip -qr kept.zip kept
unzip -q kept.zip -d unzipped
cmp kept/numbers unzipped/kept/numbers
7z a kept.7z kept >/dev/null
