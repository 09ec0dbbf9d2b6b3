/* SPDX-License-Identifier: MIT */

/*
 * Checks that a delivery comes from GitHub. Nothing reads its body before that.
 */

#include "github/webhook.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define SIGNATURE_PREFIX "sha256="
#define DIGEST_SIZE 32

static int hex_value(char c)
{
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *found = c ? strchr(digits, c) : NULL;

        if (!found)
                return -1;
        return (int)((found - digits) % 16);
}

static bool parse_signature(const char *signature, unsigned char digest[static DIGEST_SIZE])
{
        const char *hex = signature + strlen(SIGNATURE_PREFIX);

        if (strncmp(signature, SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX)) != 0 ||
                strnlen(hex, (size_t)2 * DIGEST_SIZE + 1) != (size_t)2 * DIGEST_SIZE)
                return false;
        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                int high = hex_value(hex[2 * i]);
                int low = hex_value(hex[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                digest[i] = (unsigned char)(high << 4 | low);
        }
        return true;
}

static bool signed_with(const char *secret, size_t secret_size,
        const unsigned char expected[static DIGEST_SIZE], const void *body, size_t size)
{
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned int digest_size = 0;

        if (secret_size == 0 || secret_size > INT_MAX)
                return false;
        if (!HMAC(EVP_sha256(), secret, (int)secret_size, body, size, digest, &digest_size))
                return false;
        return digest_size == DIGEST_SIZE && CRYPTO_memcmp(digest, expected, DIGEST_SIZE) == 0;
}

bool webhook_signature_valid(
        const char *secrets, const char *signature, const void *body, size_t size)
{
        unsigned char expected[DIGEST_SIZE];
        bool valid = false;

        if (!secrets || !signature || !parse_signature(signature, expected))
                return false;
        /* Tries every secret, so that the time taken does not tell which of them matched. */
        while (*secrets) {
                size_t line = strcspn(secrets, "\n");
                size_t secret_size = line;

                if (secret_size > 0 && secrets[secret_size - 1] == '\r')
                        secret_size--;
                valid |= signed_with(secrets, secret_size, expected, body, size);
                secrets += line + (secrets[line] == '\n');
        }
        return valid;
}
