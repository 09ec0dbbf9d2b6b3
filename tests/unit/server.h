/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A small web server in threads of the test itself, on the loopback interface. The path tells it
 * how to behave:
 *
 *      /ok             "ok"; the connection is kept
 *      /echo           the request's head and body, as the answer's body
 *      /close          "ok", and the connection is closed without notice
 *      /drop           "ok"; the next request on this connection gets no answer
 *      /cut            a shorter answer than its Content-Length announces
 *      /bytes/N        N bytes
 *      /silent         nothing, until the client goes away
 *      /together/N     "ok", once N such requests are waiting
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

/* Serves TLS with a new certificate, which is written to the file CERTIFICATE; NULL: plain HTTP. */
struct server *server_start(const char *certificate);
/* Waits until every connection is closed; on the loopback interface the client knows then. */
void server_await_closed(const struct server *server);
/* Waits until every connection is closed, then frees. */
void server_stop(struct server *server);
