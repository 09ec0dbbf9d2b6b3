/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How libcurl's transport uses OpenSSL.
 */

#include <curl/curl.h>

#include "http_trust.h"

/* Before curl_global_init(), which starts OpenSSL with all that it could ever need. */
void http_tls_init(void);

/* Makes EASY trust TRUST, which outlives it. Where TRUST cannot be read, a connection ends with
 * CURLE_SSL_CACERT_BADFILE. */
void http_tls_trust(CURL *easy, struct http_trust *trust);
