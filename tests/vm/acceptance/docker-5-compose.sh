#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Steps that run docker compose: an image is built, a service waited for.
set -euxo pipefail
mkdir compose
cd compose
printf '%s\n' 'FROM registry.example.com/busybox:1' 'RUN mkdir /www && echo composed >/www/index.html' >Dockerfile
printf '%s\n' 'services:' '  web:' '    build: .' '    command: httpd -f -p 8080 -h /www' '    ports: ["18081:8080"]' \
  '    healthcheck: {test: wget -Y off -qO- http://127.0.0.1:8080/, interval: 1s}' >compose.yaml
docker compose up --build --wait
[ "$(curl -fsS --noproxy '*' http://localhost:18081/)" = composed ]
docker compose down --timeout 0
