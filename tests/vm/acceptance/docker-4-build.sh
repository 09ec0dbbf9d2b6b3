#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build-push-action with driver: docker. (Its other driver pulls an image of BuildKit.)
set -euxo pipefail
mkdir image
cd image
# shellcheck disable=SC2016 # for the build
printf '%s\n' 'FROM registry.example.com/busybox:1' 'ARG WHO' \
  'RUN --mount=type=secret,id=token cat /run/secrets/token && echo "hello $WHO" >/hello && env | grep -i ^https_proxy=' \
  'CMD ["cat", "/hello"]' >Dockerfile
echo secret >"$RUNNER_TEMP/token"
docker buildx version
docker buildx build --load --tag built:1 --build-arg WHO=you --secret "id=token,src=$RUNNER_TEMP/token" \
  --iidfile "$RUNNER_TEMP/iidfile" --metadata-file "$RUNNER_TEMP/metadata-file" .
grep -q sha256: "$RUNNER_TEMP/iidfile"
[ "$(docker run --rm built:1)" = "hello you" ]
