#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Actions in JavaScript: @actions/http-client asks a proxy for a tunnel, and trusts NODE_EXTRA_CA_CERTS.
# (It does not wait for the server to close, which the emulated network does not pass on.)
set -euxo pipefail
node - <<'END'
const http = require("node:http"), tls = require("node:tls");
const proxy = new URL(process.env.https_proxy), host = "files.example.com";
const request = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: `${host}:443` });
request.on("connect", (answer, socket) => {
  if (answer.statusCode !== 200) process.exit(1);
  const secured = tls.connect({ socket, servername: host }, () => {
    secured.write(`GET /hello HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
  let text = "";
  secured.on("data", (data) => {
    text += data;
    if (text.includes("hello from outside")) process.exit(0);
  });
  secured.on("close", () => process.exit(1));
});
request.end();
END
