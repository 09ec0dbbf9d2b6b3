/* SPDX-License-Identifier: MIT */

/*
 * SHA-256 through OpenSSL, as text.
 */

#include "base/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

void digest_sha256_hex(const void *bytes, size_t size, char hex[static DIGEST_HEX_SIZE])
{
        unsigned char digest[32];

        if (!EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL))
                abort(); /* no memory */
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
