/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 as text, for client tokens and deduplication ids.
 */

#include <stddef.h>

#define DIGEST_HEX_SIZE 65

void digest_sha256_hex(const void *bytes, size_t size, char hex[static DIGEST_HEX_SIZE]);
