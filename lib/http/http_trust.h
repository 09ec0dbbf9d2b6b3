/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where libcurl's transport finds the certificate authorities that it trusts: in what SSL_CERT_FILE
 * or SSL_CERT_DIR name, else where libcurl was built to look, else where OpenSSL was. Our static
 * libcurl was built for no distribution and knows no place; OpenSSL's is where Debian and Ubuntu
 * keep theirs.
 */

#include <openssl/x509_vfy.h>

struct http_trust {
        char *file;        /* one of the two is set, or both */
        char *directory;   /* holds a file for each authority, named by the hash of its name */
        X509_STORE *store; /* what was read of them; NULL before the first connection */
};

/* After curl_global_init(). */
void http_trust_init(struct http_trust *trust);
void http_trust_release(struct http_trust *trust);

/* The file, or else the directory; for messages. */
const char *http_trust_place(const struct http_trust *trust);

/* The authorities, borrowed: what was read for one connection is there for the next. NULL where the
 * file cannot be read. */
X509_STORE *http_trust_store(struct http_trust *trust);
