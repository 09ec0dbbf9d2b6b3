/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 as text, for client tokens and deduplication ids, and with a key, for signatures.
 */

#include <stddef.h>

#define DIGEST_HEX_SIZE 65

void digest_sha256_hex(const void *bytes, size_t size, char hex[static DIGEST_HEX_SIZE]);

/* HMAC-SHA256 (RFC 2104) of the bytes with KEY, which must not be empty. */
void digest_hmac_hex(const void *key, size_t key_size, const void *bytes, size_t size,
        char hex[static DIGEST_HEX_SIZE]);
