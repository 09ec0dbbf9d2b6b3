#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# services: and container:, with the runner's own commands for them.
set -euxo pipefail
image=registry.example.com/busybox:1 label=one
docker ps --all --quiet --no-trunc --filter label=$label
docker network create --label $label github_network_1
service=$(docker create --name web --label $label --network github_network_1 --network-alias web -p 18080:8080 \
  --health-cmd 'wget -Y off -qO- http://127.0.0.1:8080/up' --health-interval 5s -e GITHUB_ACTIONS=true -e CI=true \
  $image sh -c 'mkdir /tmp/www && echo up >/tmp/www/up && exec httpd -f -p 8080 -h /tmp/www')
docker start "$service"
docker port "$service"
until [ "$(docker inspect --format '{{.State.Health.Status}}' "$service")" = healthy ]; do sleep 1; done
[ "$(curl -fsS --noproxy '*' http://localhost:18080/up)" = up ]
container=$(docker create --name job --label $label --workdir /__w/one/one --network github_network_1 \
  -e HOME=/github/home -v /var/run/docker.sock:/var/run/docker.sock -v /home/runner/work:/__w \
  --entrypoint tail $image -f /dev/null)
docker start "$container"
docker exec -i --workdir /__w/one/one -e CI=true "$container" sh -e -c 'wget -Y off -qO- http://web:8080/up >by-root'
[ "$(stat -c %U by-root) $(cat by-root)" = "root up" ]
docker rm --force "$service" "$container"
docker network rm github_network_1
