/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A small web server in threads of the test itself, on the loopback interface: what the path asks
 * for is how it behaves.
 *
 *      /ok             "ok"; the connection is kept
 *      /echo           the request's head and body, as the answer's body
 *      /close          "ok", and the connection is closed, though nothing said so
 *      /drop           "ok"; the next request on this connection gets no answer
 *      /cut            less of an answer than it announces
 *      /bytes/N        N bytes
 *      /silent         nothing, until the client goes away
 *      /together/N     "ok", as soon as N such requests wait
 *      /busy           503 the first time, then "ok"
 *      /early          an interim answer before the real one
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/ssl.h>

struct server {
        int fd;
        int port;
        SSL_CTX *tls; /* NULL: plain HTTP */
        pthread_t thread;
        atomic_uint connections;
        atomic_uint requests;
        atomic_uint waiting;
        atomic_uint open;
        atomic_bool ended;
};

/* CERTIFICATE: where to write the certificate for TLS that it makes up; NULL: plain HTTP. */
struct server *server_start(const char *certificate);
/* Waits until all clients are gone, and frees. */
void server_stop(struct server *server);
