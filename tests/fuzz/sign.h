/* SPDX-License-Identifier: MIT */
#pragma once

/* Signs as the scaler does, written from its description: "1.KEYID.CONTENT.SIGNATURE". */

#include <openssl/evp.h>
#include <stdio.h>

#include "base/mem.h"
#include "fuzz.h"

static inline void print_hex(const unsigned char *bytes, size_t size, char *hex)
{
        for (size_t i = 0; i < size; i++)
                snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

/* The HMAC-SHA256 of TEXT, in hex. */
static inline void sign_text(const char *key, const char *text, char hex[static 65])
{
        unsigned char digest[32];
        size_t size;

        CHECK(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, strlen(key),
                (const unsigned char *)text, strlen(text), digest, sizeof(digest), &size));
        print_hex(digest, sizeof(digest), hex);
}

/* The caller frees. */
static inline char *sign_ticket(const char *key, const char *content)
{
        unsigned char digest[32];
        char id[9];
        char signature[65];
        size_t size;
        _cleanup_free_ char *text = NULL;

        EVP_Q_digest(NULL, "SHA256", NULL, key, strlen(key), digest, &size);
        print_hex(digest, 4, id);
        text = mem_format("1.%s.%s", id, content);
        sign_text(key, text, signature);
        return mem_format("%s.%s", text, signature);
}
