/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which certificate authorities libcurl's transport trusts: those that SSL_CERT_FILE or
 * SSL_CERT_DIR name, else those that libcurl was built to find, else those where OpenSSL looks. A
 * static libcurl was built for no distribution and finds none; OpenSSL's place is where Debian and
 * Ubuntu keep theirs.
 */

struct http_trust {
        char *file;      /* at least one of these is set */
        char *directory; /* of authorities, each under the hash of its name */
};

/* After curl_global_init(). */
void http_trust_init(struct http_trust *trust);
void http_trust_release(struct http_trust *trust);

/* For messages: where authorities are looked for. */
const char *http_trust_place(const struct http_trust *trust);
