#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# setup-python, setup-node, setup-java, setup-go: unpack an archive, put it into the tool cache, find it again.
set -euxo pipefail
mkdir -p "$RUNNER_TEMP/tool/bin"
printf '#!/bin/sh\necho tool 1.2.3\n' >"$RUNNER_TEMP/tool/bin/tool"
chmod +x "$RUNNER_TEMP/tool/bin/tool"
tar -C "$RUNNER_TEMP/tool" -czf "$RUNNER_TEMP/tool.tar.gz" .
cached=$RUNNER_TOOL_CACHE/tool/1.2.3/x64
mkdir -p "$cached"
tar xz --warning=no-unknown-keyword --overwrite -C "$cached" -f "$RUNNER_TEMP/tool.tar.gz"
: >"$cached.complete"
[ -e "$AGENT_TOOLSDIRECTORY/tool/1.2.3/x64.complete" ]
[ "$(PATH=$cached/bin:$PATH tool)" = "tool 1.2.3" ]
# setup-dotnet installs here
mkdir /usr/share/dotnet/sdk
