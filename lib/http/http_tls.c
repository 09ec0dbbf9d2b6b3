/* SPDX-License-Identifier: MIT */

/*
 * OpenSSL as libcurl's connections find it: with little done before the first poll, since somebody
 * waits for each start, and with what a handshake needs done once for all connections.
 */

#include "http_tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/sslerr_legacy.h>

#include "http/http.h"

/* Certificates' signatures look these up by name; everything else asks OpenSSL's providers. The
 * lists of all ciphers and digests would be a sixth of the instructions before the first poll, and
 * a tenth of those of the first handshake, which goes through them. Texts of libcrypto's errors
 * stay out as well: none of our messages shows them. */
void http_tls_init(void)
{
        uint64_t without = OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                           OPENSSL_INIT_NO_ADD_ALL_DIGESTS;

        /* Where OpenSSL was built to read no configuration by itself, as in the zip, libcurl must
         * not ask for it either: reading it is half of the instructions of a start, and an OpenSSL
         * that can load no module has no use for it. */
#ifdef OPENSSL_NO_AUTOLOAD_CONFIG
        without |= OPENSSL_INIT_NO_LOAD_CONFIG;
#endif
        OPENSSL_init_crypto(without, NULL);
        EVP_add_digest(EVP_sha1());
        EVP_add_digest(EVP_sha256());
        EVP_add_digest(EVP_sha384());
        EVP_add_digest(EVP_sha512());
}

/* The zip's OpenSSL does not load the texts of TLS's errors by itself. Here they are loaded while
 * the peer is waited for, and still before libcurl looks for the text of a handshake that failed.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* ERR_load_SSL_strings() */
static void on_handshake(const SSL *ssl, int where, int result)
{
        (void)ssl;
        (void)result;
#ifdef OPENSSL_NO_AUTOERRINIT
        if (where == SSL_CB_CONNECT_EXIT)
                ERR_load_SSL_strings();
#else
        (void)where;
#endif
}
#pragma GCC diagnostic pop

static CURLcode on_context(CURL *easy, void *context, void *userdata)
{
        X509_STORE *store = http_trust_store(userdata);

        (void)easy;
        if (!store)
                return CURLE_SSL_CACERT_BADFILE;
        SSL_CTX_set1_cert_store(context, store);
        SSL_CTX_set_info_callback(context, on_handshake);
        return CURLE_OK;
}

void http_tls_trust(CURL *easy, struct http_trust *trust)
{
        /* libcurl would read the authority of each connection again. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, trust);
}

/* The first half of a handshake, which goes nowhere: in its first one, OpenSSL looks up its
 * algorithms, seeds its random numbers and makes a key, which takes several milliseconds. */
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
