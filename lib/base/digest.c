/* SPDX-License-Identifier: MIT */

/*
 * SHA-256 through OpenSSL, as text.
 */

#include "base/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_SIZE 32

static void print_hex(
        const unsigned char digest[static DIGEST_SIZE], char hex[static DIGEST_HEX_SIZE])
{
        for (size_t i = 0; i < DIGEST_SIZE; i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void digest_sha256_hex(const void *bytes, size_t size, char hex[static DIGEST_HEX_SIZE])
{
        unsigned char digest[DIGEST_SIZE];

        if (!EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL))
                abort(); /* no memory */
        print_hex(digest, hex);
}

void digest_hmac_hex(const void *key, size_t key_size, const void *bytes, size_t size,
        char hex[static DIGEST_HEX_SIZE])
{
        unsigned char digest[EVP_MAX_MD_SIZE];

        if (!HMAC(EVP_sha256(), key, (int)key_size, bytes, size, digest, NULL))
                abort(); /* no memory */
        print_hex(digest, hex);
}
