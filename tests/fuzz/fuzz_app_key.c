/* SPDX-License-Identifier: MIT */

/*
 * What people store as an App's private key. The first byte of the input says which key it begins
 * as, or none; of the others, each pair changes one byte of it, or all are the text itself. A key
 * is signed with, or it is said what is wrong with it, but not what is in it.
 */

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fuzz.h"
#include "github/app.h"

#define KEY_SIZE_MAX 4096

enum kind { KIND_TEXT, KIND_RSA, KIND_ELLIPTIC, KIND_ENCRYPTED, KIND_PUBLIC, N_KINDS };

/* In PEM, owned by nobody. */
static char *keys[N_KINDS];

static char *take_text(BIO *bio)
{
        const char *data = NULL;
        long size = BIO_get_mem_data(bio, &data);
        char *text = mem_format("%.*s", (int)size, data);

        BIO_free(bio);
        return text;
}

static char *print_private(EVP_PKEY *key, const char *phrase)
{
        BIO *bio = BIO_new(BIO_s_mem());

        CHECK(PEM_write_bio_PKCS8PrivateKey(bio, key, phrase ? EVP_aes_128_cbc() : NULL, NULL, 0,
                      NULL, (void *)phrase) == 1);
        return take_text(bio);
}

static char *print_public(EVP_PKEY *key)
{
        BIO *bio = BIO_new(BIO_s_mem());

        CHECK(PEM_write_bio_PUBKEY(bio, key) == 1);
        return take_text(bio);
}

static void make_keys(void)
{
        EVP_PKEY *rsa = EVP_RSA_gen(1024);
        EVP_PKEY *elliptic = EVP_EC_gen("P-256");

        CHECK(rsa && elliptic);
        keys[KIND_RSA] = print_private(rsa, NULL);
        keys[KIND_ELLIPTIC] = print_private(elliptic, NULL);
        keys[KIND_ENCRYPTED] = print_private(rsa, "phrase");
        keys[KIND_PUBLIC] = print_public(rsa);
        EVP_PKEY_free(rsa);
        EVP_PKEY_free(elliptic);
}

/* The caller frees. */
static char *make_key(const uint8_t *data, size_t size)
{
        unsigned kind = size > 0 ? data[0] % N_KINDS : KIND_TEXT;
        char *key;
        size_t length;

        if (kind == KIND_TEXT)
                return mem_format("%.*s", (int)(size > 0 ? size - 1 : 0), (const char *)data + 1);
        key = mem_string(keys[kind]);
        length = strlen(key);
        for (size_t i = 1; i + 1 < size; i += 2)
                key[data[i] * length / 256] = (char)data[i + 1];
        return key;
}

/* The call is the App's, with a JWT in three parts, or there is none and it is said why. */
static void check_call(int r, struct http_call *call, const struct err *err)
{
        const char *jwt = r == 0 ? strstr(buf_string(&call->headers), "Bearer ") : NULL;

        CHECK((r == 0) == (call != NULL));
        if (r < 0)
                check_err(err);
        else
                CHECK(jwt && strchr(jwt, '.') && strchr(strchr(jwt, '.') + 1, '.'));
        http_call_free(call);
}

static void make_calls(struct github *github)
{
        struct http_call *calls[4] = {NULL};
        struct err errs[4] = {0};
        int results[4];

        results[0] = github_get_app(github, &calls[0], &errs[0]);
        results[1] = github_list_installations(github, &calls[1], &errs[1]);
        results[2] = github_get_hook(github, &calls[2], &errs[2]);
        results[3] = github_set_hook(github, "https://x.test", "secret", &calls[3], &errs[3]);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                check_call(results[i], calls[i], &errs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *key = NULL;
        _cleanup_buf_ struct buf grants = BUF_INIT(1024);
        struct github github;

        if (size > KEY_SIZE_MAX)
                return 0;
        if (!keys[KIND_RSA])
                make_keys();
        key = make_key(data, size);
        github_init_app(&github, &clock_system, "https://api.github.com",
                size > 1 && data[1] == 0 ? "" : "12345", key);
        make_calls(&github);
        github_release(&github);
        github_name_grants(size > 1 ? data[1] : 0, &grants);
        CHECK(!grants.overflow);
        return 0;
}
