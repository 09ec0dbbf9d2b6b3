/* SPDX-License-Identifier: MIT */

/*
 * The first half of a handshake with nobody: OpenSSL finds its algorithms, seeds its random numbers
 * and makes a key for the first time in a process, which takes several milliseconds, and keeps what
 * it has found for libcurl's connections.
 */

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "http/http.h"

void http_tls_prepare(void)
{
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = context ? SSL_new(context) : NULL;

        if (ssl) {
                SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_null())); /* its own now */
                SSL_set_connect_state(ssl);
                SSL_do_handshake(ssl); /* ends when it would have to read */
        }
        SSL_free(ssl);
        SSL_CTX_free(context);
        ERR_clear_error();
}
