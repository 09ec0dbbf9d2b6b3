/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where libcurl's transport finds the certificate authorities that it trusts: in what SSL_CERT_FILE
 * or SSL_CERT_DIR name, else where libcurl was built to look, else where OpenSSL was. Our static
 * libcurl was built for no distribution and knows no place; OpenSSL's is where Debian and Ubuntu
 * keep theirs.
 */

struct http_trust {
        char *file;      /* one of the two is set, or both */
        char *directory; /* holds a file for each authority, named by the hash of its name */
};

/* After curl_global_init(). */
void http_trust_init(struct http_trust *trust);
void http_trust_release(struct http_trust *trust);

/* The file, or else the directory; for messages. */
const char *http_trust_place(const struct http_trust *trust);
