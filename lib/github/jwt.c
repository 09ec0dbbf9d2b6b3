/* SPDX-License-Identifier: MIT */

/*
 * Makes the JWT by which an App identifies itself, signed with its private key (RS256). Calls about
 * the App itself (app.c), and those that request an installation token (installation_token.c), need
 * one.
 * https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
 */

#include "github/github.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"

/* GitHub's clock and ours may differ; GitHub accepts ten minutes at most. */
#define ISSUED_BEFORE_SECONDS INT64_C(60)
#define EXPIRES_AFTER_SECONDS INT64_C(540)

/* Bounds the App id, which comes from the configuration and should be short. */
#define JWT_LIMIT 8192

#define KEY_ADVICE                                                                \
        "it must be the App's private key as GitHub's App settings hand it out: " \
        "the whole .pem file, with its line breaks"

static void key_freep(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

static void bio_freep(BIO **bio)
{
        BIO_free(*bio);
}

static void digest_freep(EVP_MD_CTX **digest)
{
        EVP_MD_CTX_free(*digest);
}

/* -- the key -- */

/* OpenSSL calls this for a pass phrase, instead of asking on the terminal. There is none. */
static int note_encrypted(char *phrase, int size, int writing, void *userdata)
{
        (void)phrase;
        (void)size;
        (void)writing;
        *(bool *)userdata = true;
        return -1;
}

/* Says what a text is that is no usable private key. */
static const char *describe_bad_key(const char *pem)
{
        static const struct {
                const char *mark;
                const char *is;
        } table[] = {
                {"PUBLIC KEY-----", "is a public key"},
                {"-----BEGIN CERTIFICATE-----", "is a certificate"},
                {"-----BEGIN OPENSSH PRIVATE KEY-----", "is in OpenSSH's format"},
                {"-----BEGIN ",
                        "is PEM that OpenSSL cannot read (cut off, or without its line breaks)"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (strstr(pem, table[i].mark))
                        return table[i].is;
        return *pem ? "is not PEM" : "is empty";
}

/* Reads the App's key once: reading it, and its first signature, take three times a signature. */
static int read_key(struct github *github, struct err *err)
{
        const char *pem = github->private_key;
        _cleanup_(bio_freep) BIO *bio = NULL;
        _cleanup_(key_freep) EVP_PKEY *key = NULL;
        bool is_encrypted = false;

        if (github->key)
                return 0;
        bio = BIO_new_mem_buf(pem, -1);
        if (!bio)
                return err_set(err, -ENOMEM, "GitHub App: no memory for its private key");
        key = PEM_read_bio_PrivateKey(bio, NULL, note_encrypted, &is_encrypted);
        ERR_clear_error();
        if (is_encrypted)
                return err_set(err, -EINVAL,
                        "GitHub App: the private key is encrypted with a pass phrase; " KEY_ADVICE);
        if (!key)
                return err_set(err, -EINVAL, "GitHub App: the private key %s; " KEY_ADVICE,
                        describe_bad_key(pem));
        if (!EVP_PKEY_is_a(key, "RSA"))
                return err_set(err, -EINVAL,
                        "GitHub App: the private key is of type %s, not RSA; " KEY_ADVICE,
                        EVP_PKEY_get0_type_name(key));
        github->key = MEM_STEAL(key);
        return 0;
}

/* -- the token -- */

/* Adds BYTES as base64url without padding (RFC 7515, appendix C). */
static void add_base64url(struct buf *buf, const void *bytes, size_t size)
{
        _cleanup_free_ char *text = mem_alloc((size + 2) / 3 * 4 + 1);
        size_t length = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);

        while (length > 0 && text[length - 1] == '=')
                length--;
        for (size_t i = 0; i < length; i++) {
                if (text[i] == '+')
                        text[i] = '-';
                else if (text[i] == '/')
                        text[i] = '_';
        }
        buf_add(buf, text, length);
}

/* Each JWT has an id of its own: GitHub has answered 404 where two were the same. */
static int make_id(char id[static 33], struct err *err)
{
        unsigned char bytes[16];

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                return err_set(err, -EIO, "GitHub App: no random number for a JWT");
        for (size_t i = 0; i < sizeof(bytes); i++)
                snprintf(id + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static int add_claims(const struct github *github, struct buf *jwt, struct err *err)
{
        _cleanup_json_ cJSON *claims = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        int64_t now = clock_wall_ms(github->clock) / MSEC_PER_SEC;
        char id[33];
        int r;

        r = make_id(id, err);
        if (r < 0)
                return r;
        json_add_integer(claims, "iat", now - ISSUED_BEFORE_SECONDS);
        json_add_integer(claims, "exp", now + EXPIRES_AFTER_SECONDS);
        json_add_string(claims, "iss", github->app_id);
        json_add_string(claims, "jti", id);
        text = json_print(claims);
        add_base64url(jwt, text, strlen(text));
        return 0;
}

static int add_signature(EVP_PKEY *key, struct buf *jwt, struct err *err)
{
        _cleanup_(digest_freep) EVP_MD_CTX *digest = EVP_MD_CTX_new();
        _cleanup_free_ unsigned char *signature = NULL;
        size_t size = (size_t)EVP_PKEY_get_size(key);

        signature = mem_alloc(size);
        if (!digest || EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, key) != 1 ||
                EVP_DigestSign(digest, signature, &size, (const unsigned char *)jwt->data,
                        jwt->size) != 1) {
                ERR_clear_error();
                return err_set(err, -EINVAL,
                        "GitHub App: OpenSSL cannot sign with the private key; " KEY_ADVICE);
        }
        buf_add_string(jwt, ".");
        add_base64url(jwt, signature, size);
        return 0;
}

int github_app_jwt(struct github *github, char **ret_jwt, struct err *err)
{
        static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
        _cleanup_buf_ struct buf jwt = BUF_INIT(JWT_LIMIT);
        int r;

        if (!github->app_id || !github->private_key)
                return err_set(err, -ENOKEY,
                        "GitHub App: no App is configured (id and private key are needed)");
        r = read_key(github, err);
        if (r < 0)
                return r;
        add_base64url(&jwt, header, strlen(header));
        buf_add_string(&jwt, ".");
        r = add_claims(github, &jwt, err);
        if (r < 0)
                return r;
        r = add_signature(github->key, &jwt, err);
        if (r < 0)
                return r;
        if (jwt.overflow)
                return err_set(err, -EINVAL, "GitHub App: its id is too long");
        *ret_jwt = buf_steal(&jwt);
        return 0;
}
