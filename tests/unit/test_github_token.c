/* SPDX-License-Identifier: MIT */

/*
 * How the scaler identifies itself to GitHub: the App's JWT is valid, an unusable key is explained,
 * and an installation's token is kept as long as it can be used.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/json.h"
#include "github/github.h"
#include "script.h"
#include "unit.h"

#define API "https://api.github.com"
#define MINUTE_MS INT64_C(60000)
#define NOW_SECONDS INT64_C(1767323045) /* where the script's clock starts */

/* The keys of this run, in the forms that people store. */
struct keys {
        EVP_PKEY *rsa;
        char *rsa_pem;
        char *pkcs1_pem; /* the form that GitHub hands out */
        char *encrypted_pem;
        char *public_pem;
        char *ec_pem;
};

static char *bio_text(BIO *bio)
{
        char *data;
        long size = BIO_get_mem_data(bio, &data);
        char *text = mem_alloc((size_t)size + 1);

        memcpy(text, data, (size_t)size);
        BIO_free(bio);
        return text;
}

static char *private_pem(EVP_PKEY *key, const char *phrase)
{
        BIO *bio = BIO_new(BIO_s_mem());

        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, phrase ? EVP_aes_128_cbc() : NULL,
                                 NULL, 0, NULL, (void *)phrase),
                1);
        return bio_text(bio);
}

static int make_keys(void **state)
{
        struct keys *keys = mem_alloc(sizeof(*keys));
        EVP_PKEY *ec = EVP_EC_gen("P-256");
        BIO *bio;

        keys->rsa = EVP_RSA_gen(2048);
        assert_non_null(keys->rsa);
        keys->rsa_pem = private_pem(keys->rsa, NULL);
        keys->encrypted_pem = private_pem(keys->rsa, "phrase");
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey_traditional(bio, keys->rsa, NULL, NULL, 0, NULL, NULL);
        keys->pkcs1_pem = bio_text(bio);
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PUBKEY(bio, keys->rsa);
        keys->public_pem = bio_text(bio);
        keys->ec_pem = private_pem(ec, NULL);
        EVP_PKEY_free(ec);
        *state = keys;
        return 0;
}

static int free_keys(void **state)
{
        struct keys *keys = *state;

        EVP_PKEY_free(keys->rsa);
        free(keys->rsa_pem);
        free(keys->pkcs1_pem);
        free(keys->encrypted_pem);
        free(keys->public_pem);
        free(keys->ec_pem);
        free(keys);
        return 0;
}

/* -- the JWT -- */

/* Decodes base64url of TEXT up to END; the caller frees. */
static unsigned char *decode(const char *text, const char *end, size_t *ret_size)
{
        struct buf padded = BUF_INIT(8192);
        unsigned char *bytes = mem_alloc(8192);
        size_t padding = 0;
        int decoded;

        buf_add(&padded, text, (size_t)(end - text));
        assert_null(strpbrk(padded.data, "+/="));
        for (char *c = padded.data; (c = strpbrk(c, "-_")); c++)
                *c = *c == '-' ? '+' : '/';
        for (; padded.size % 4 > 0; padding++)
                buf_add_string(&padded, "=");
        decoded = EVP_DecodeBlock(bytes, (unsigned char *)padded.data, (int)padded.size);
        assert_true(decoded > 0);
        *ret_size = (size_t)decoded - padding;
        buf_release(&padded);
        return bytes;
}

static cJSON *decode_json(const char *text, const char *end)
{
        size_t size;
        _cleanup_free_ unsigned char *bytes = decode(text, end, &size);
        cJSON *json = NULL;

        assert_int_equal(json_parse((char *)bytes, size, "part of the JWT", &json, NULL), 0);
        return json;
}

static void assert_signed_by(EVP_PKEY *key, const char *jwt)
{
        const char *dot = strrchr(jwt, '.');
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        size_t size;
        _cleanup_free_ unsigned char *signature = decode(dot + 1, dot + strlen(dot), &size);

        assert_int_equal(EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, key), 1);
        assert_int_equal(EVP_DigestVerify(digest, signature, size, (const unsigned char *)jwt,
                                 (size_t)(dot - jwt)),
                1);
        EVP_MD_CTX_free(digest);
}

static void check_jwt(const struct keys *keys, const char *pem, const char *app_id)
{
        struct script *script = script_new();
        struct github github;
        _cleanup_free_ char *jwt = NULL;
        _cleanup_json_ cJSON *header = NULL;
        _cleanup_json_ cJSON *claims = NULL;
        const char *dot;

        github_init_app(&github, script_clock(script), API, app_id, pem);
        assert_int_equal(github_app_jwt(&github, &jwt, NULL), 0);
        assert_signed_by(keys->rsa, jwt);
        dot = strchr(jwt, '.');
        header = decode_json(jwt, dot);
        assert_string_equal(json_string(header, "alg"), "RS256");
        claims = decode_json(dot + 1, strrchr(jwt, '.'));
        assert_string_equal(json_string(claims, "iss"), app_id);
        assert_int_equal(json_integer(claims, "iat", 0), NOW_SECONDS - 60);
        assert_int_equal(json_integer(claims, "exp", 0), NOW_SECONDS + 540);
        github_release(&github);
        script_done(script);
}

static void test_jwt_is_what_github_expects(void **state)
{
        const struct keys *keys = *state;

        check_jwt(keys, keys->rsa_pem, "12345");
        check_jwt(keys, keys->pkcs1_pem, "Iv23liabcdef");
        check_jwt(keys, keys->pkcs1_pem, "a\"quote");
}

/* GitHub has answered 404 to the second of two identical JWTs. */
static void test_jwts_of_one_second_differ(void **state)
{
        const struct keys *keys = *state;
        struct script *script = script_new();
        struct github github;
        _cleanup_free_ char *one = NULL;
        _cleanup_free_ char *two = NULL;

        github_init_app(&github, script_clock(script), API, "1", keys->rsa_pem);
        assert_int_equal(github_app_jwt(&github, &one, NULL), 0);
        assert_int_equal(github_app_jwt(&github, &two, NULL), 0);
        assert_string_not_equal(one, two);
        github_release(&github);
        script_done(script);
}

static void assert_key_refused(const char *pem, const char *reason)
{
        struct github github;
        struct http_call *call = NULL;
        struct err err = {0};

        github_init_app(&github, &clock_system, API, "1", pem);
        assert_int_equal(github_access_token(&github, 7, &call, &err), -EINVAL);
        assert_null(call);
        assert_contains(err.text, reason);
        assert_contains(err.text, "it must be the App's private key");
        github_release(&github);
}

static void test_unusable_keys_are_named(void **state)
{
        const struct keys *keys = *state;
        _cleanup_free_ char *flat = mem_string(keys->rsa_pem);
        _cleanup_free_ char *cut = mem_string(keys->rsa_pem);

        for (char *c = flat; *c; c++)
                if (*c == '\n')
                        *c = ' ';
        cut[strlen(cut) / 2] = '\0';
        assert_key_refused("", "is empty");
        assert_key_refused("12345", "is not PEM");
        assert_key_refused(flat, "without its line breaks");
        assert_key_refused(cut, "cut off");
        assert_key_refused(keys->public_pem, "is a public key");
        assert_key_refused(keys->encrypted_pem, "is encrypted");
        assert_key_refused(keys->ec_pem, "is of type EC, not RSA");
        assert_key_refused("-----BEGIN OPENSSH PRIVATE KEY-----\n", "is in OpenSSH's format");
}

/* -- installation tokens -- */

static int get_token(
        struct github *github, struct http *http, int64_t installation, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        int r = github_access_token(github, installation, &call, err);

        if (r < 0)
                return r;
        http_perform(http, call);
        return github_access_token_answer(github, call, installation, err);
}

/* The script's clock starts at 03:04:05. */
#define TOKEN_UNTIL_4(token_) "{\"token\":\"" token_ "\",\"expires_at\":\"2026-01-02T04:04:05Z\"}"

static void test_token_is_kept_until_five_minutes_before_its_end(void **state)
{
        const struct keys *keys = *state;
        struct script *script = script_new();
        struct http *http = script_http(script);
        struct github github;

        github_init_app(&github, script_clock(script), API "/", "1", keys->rsa_pem);
        assert_null(github_kept_token(&github, 7));
        script_expect(script, "POST", API "/app/installations/7/access_tokens", "{}", 201,
                TOKEN_UNTIL_4("ghs_one"));
        assert_int_equal(get_token(&github, http, 7, NULL), 0);
        assert_contains(script_last_headers(script), "Authorization: Bearer ey");
        assert_contains(script_last_headers(script), "Accept: application/vnd.github+json\n");
        assert_contains(script_last_headers(script), "X-GitHub-Api-Version: 2022-11-28\n");

        assert_string_equal(github_kept_token(&github, 7), "ghs_one");
        assert_null(github_kept_token(&github, 8));
        script_sleep(script, 54 * MINUTE_MS);
        assert_string_equal(github_kept_token(&github, 7), "ghs_one");
        script_sleep(script, MINUTE_MS);
        assert_null(github_kept_token(&github, 7));
        github_release(&github);
        http_free(http);
}

static void test_tokens_are_kept_per_installation(void **state)
{
        const struct keys *keys = *state;
        struct script *script = script_new();
        struct http *http = script_http(script);
        struct github github;

        github_init_app(&github, script_clock(script), API, "1", keys->rsa_pem);
        script_expect(script, "POST", "/7/", NULL, 201, TOKEN_UNTIL_4("ghs_seven"));
        script_expect(script, "POST", "/8/", NULL, 201, TOKEN_UNTIL_4("ghs_eight"));
        script_expect(script, "POST", "/8/", NULL, 201, TOKEN_UNTIL_4("ghs_again"));
        assert_int_equal(get_token(&github, http, 7, NULL), 0);
        assert_int_equal(get_token(&github, http, 8, NULL), 0);
        assert_int_equal(get_token(&github, http, 8, NULL), 0);
        assert_string_equal(github_kept_token(&github, 7), "ghs_seven");
        assert_string_equal(github_kept_token(&github, 8), "ghs_again");
        assert_int_equal(github.n_tokens, 2);

        github_forget_token(&github, 7);
        assert_null(github_kept_token(&github, 7));
        assert_string_equal(github_kept_token(&github, 8), "ghs_again");
        github_release(&github);
        http_free(http);
}

static void test_personal_token(void **state)
{
        struct github github;
        struct http_call *call = NULL;
        struct err err = {0};

        (void)state;
        github_init_token(&github, &clock_system, API, "ghp_personal");
        assert_string_equal(github_kept_token(&github, 0), "ghp_personal");
        assert_string_equal(github_kept_token(&github, 4711), "ghp_personal");
        github_forget_token(&github, 0);
        assert_string_equal(github_kept_token(&github, 0), "ghp_personal");
        assert_int_equal(github_access_token(&github, 0, &call, &err), -ENOKEY);
        assert_contains(err.text, "no App is configured");
        github_release(&github);
}

static void test_delivery_without_installation(void **state)
{
        const struct keys *keys = *state;
        struct github github;
        struct http_call *call = NULL;
        struct err err = {0};

        github_init_app(&github, &clock_system, API, "1", keys->rsa_pem);
        assert_int_equal(github_access_token(&github, 0, &call, &err), -EINVAL);
        assert_contains(err.text, "names no installation");
        github_release(&github);
}

static void test_refused_tokens_say_what_to_check(void **state)
{
        static const struct {
                int status;
                int result;
                const char *answer;
                const char *text;
        } cases[] = {
                {401, -EKEYREJECTED, "{\"message\":\"A JSON web token could not be decoded\"}",
                        "\"A JSON web token could not be decoded\": check that the private key"},
                {403, -EACCES, "{\"message\":\"This installation has been suspended\"}",
                        "not suspended"},
                {404, -ENOENT, "{\"message\":\"Not Found\"}", "is (still) installed"},
                {201, -EBADMSG, "{\"token\":\"ghs_x\"}", "expires_at: a time"},
                {201, -EBADMSG, "{\"expires_at\":\"2026-01-02T04:04:05Z\"}", "token: a string"},
                {201, -EBADMSG, TOKEN_UNTIL_4("ghs_x\\r\\nX-Evil: 1"), "printable"},
                {201, -EBADMSG, "<html>", "not JSON"},
                {201, -EBADMSG, "", "is empty"},
        };
        const struct keys *keys = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct script *script = script_new();
                struct http *http = script_http(script);
                struct github github;
                struct err err = {0};

                github_init_app(&github, script_clock(script), API, "12345", keys->rsa_pem);
                script_expect(script, "POST", "/7/", NULL, cases[i].status, cases[i].answer);
                assert_int_equal(get_token(&github, http, 7, &err), cases[i].result);
                assert_contains(err.text, "GitHub App 12345 for installation 7");
                assert_contains(err.text, cases[i].text);
                assert_lacks(err.text, "ghs_");
                assert_null(github_kept_token(&github, 7));
                github_release(&github);
                http_free(http);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_jwt_is_what_github_expects),
                cmocka_unit_test(test_jwts_of_one_second_differ),
                cmocka_unit_test(test_unusable_keys_are_named),
                cmocka_unit_test(test_token_is_kept_until_five_minutes_before_its_end),
                cmocka_unit_test(test_tokens_are_kept_per_installation),
                cmocka_unit_test(test_personal_token),
                cmocka_unit_test(test_delivery_without_installation),
                cmocka_unit_test(test_refused_tokens_say_what_to_check),
        };

        return cmocka_run_group_tests(tests, make_keys, free_keys);
}
