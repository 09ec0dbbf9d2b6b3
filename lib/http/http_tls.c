/* SPDX-License-Identifier: MIT */

/*
 * Warms up OpenSSL with the first half of a handshake, which goes nowhere. In its first handshake
 * OpenSSL looks up its algorithms, seeds its random numbers and makes a key, which takes several
 * milliseconds. libcurl's connections use the same OpenSSL and find that done.
 */

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "http/http.h"

void http_tls_prepare(void)
{
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = context ? SSL_new(context) : NULL;

        if (ssl) {
                SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_null())); /* owned by ssl */
                SSL_set_connect_state(ssl);
                SSL_do_handshake(ssl); /* ends when it would have to read */
        }
        SSL_free(ssl);
        SSL_CTX_free(context);
        ERR_clear_error();
}
