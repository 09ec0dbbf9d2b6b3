/* SPDX-License-Identifier: MIT */

/*
 * Asks the instance metadata service, from which a machine learns who it is, which credentials it
 * has, and that EC2 takes it back. Every call may be repeated.
 */

#include "aws/imds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"

#define ADDRESS "http://169.254.169.254"
#define TOKEN_SECONDS "21600"
#define TOKEN_MAX 1024
#define ANSWER_MAX (64UL * 1024)
#define TRIES_MAX 3
#define CONNECT_MS INT64_C(1000)
#define TRY_MS INT64_C(2000)

/* Nothing that is special in a shell, a path or JSON. */
#define WORD_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

static enum http_verdict judge(const struct http_call *call)
{
        return call->status >= 500 || call->status == 429 ? HTTP_AGAIN : HTTP_DONE;
}

static struct http_call *imds_call(const char *what, const char *method, const char *path)
{
        const char *address = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        struct http_call *call;
        size_t size;

        if (!address || !*address)
                address = ADDRESS;
        size = strlen(address);
        while (size > 0 && address[size - 1] == '/')
                size--;
        call = http_call_new(what, method, "%.*s/latest/%s", (int)size, address, path);
        call->without_proxy = true; /* it would answer for its own machine, if at all */
        call->connect_timeout_ms = CONNECT_MS;
        call->try_timeout_ms = TRY_MS;
        call->tries_max = TRIES_MAX;
        call->answer_limit = ANSWER_MAX;
        call->judge = judge;
        return call;
}

/* -- token -- */

struct http_call *imds_token(void)
{
        struct http_call *call = imds_call("metadata token", "PUT", "api/token");

        http_call_header(call, "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        return call;
}

/* Visible ASCII only: the token goes into a header. */
static bool is_token(const struct buf *text)
{
        if (text->size == 0 || text->size > TOKEN_MAX)
                return false;
        for (size_t i = 0; i < text->size; i++)
                if (text->data[i] <= ' ' || text->data[i] > '~')
                        return false;
        return true;
}

int imds_token_answer(const struct http_call *call, char **ret_token, struct err *err)
{
        if (call->result < 0)
                return err_prefix(err, http_call_fail(call, err),
                        "the instance metadata service does not answer; is this an EC2 instance?");
        if (call->status == 403)
                return err_set(err, -EACCES,
                        "the instance metadata service is turned off for this instance: "
                        "MetadataOptions.HttpEndpoint must be enabled");
        if (call->status != 200)
                return http_call_fail(call, err);
        if (!is_token(&call->answer))
                return err_set(err, -EBADMSG, "metadata token: the answer of %zu bytes is no token",
                        call->answer.size);
        *ret_token = mem_string(buf_string(&call->answer));
        return 0;
}

/* -- texts -- */

struct http_call *imds_get(const char *token, const char *path)
{
        struct http_call *call = imds_call("instance metadata", "GET", path);

        http_call_header(call, "X-aws-ec2-metadata-token", token);
        return call;
}

/* 0 for an answer with something in it, IMDS_NOT_FOUND, or negative. */
static int outcome(const struct http_call *call, struct err *err)
{
        if (call->result < 0)
                return http_call_fail(call, err);
        if (call->status == 404)
                return IMDS_NOT_FOUND;
        if (call->status == 401)
                return err_set(err, -EKEYEXPIRED,
                        "instance metadata: the token is no longer accepted; ask for a new one");
        return call->status == 200 ? 0 : http_call_fail(call, err);
}

int imds_text_answer(const struct http_call *call, char **ret_text, struct err *err)
{
        int r = outcome(call, err);

        if (r != 0)
                return r;
        if (strlen(buf_string(&call->answer)) != call->answer.size)
                return err_set(err, -EBADMSG, "instance metadata: the answer is not text");
        *ret_text = mem_string(buf_string(&call->answer));
        return 0;
}

/* -- documents -- */

static int read_object(
        const struct http_call *call, const char *what, cJSON **ret_object, struct err *err)
{
        _cleanup_json_secret_ cJSON *object = NULL;
        int r = outcome(call, err);

        if (r != 0)
                return r;
        r = json_parse(buf_string(&call->answer), call->answer.size, what, &object, err);
        if (r < 0)
                return r;
        if (!cJSON_IsObject(object))
                return err_set(err, -EBADMSG, "%s is %s, an object was expected", what,
                        json_type_name(object));
        *ret_object = MEM_STEAL(object);
        return 0;
}

/* Copies a word that becomes part of other names: never cut, and only of WORD_CHARACTERS. */
static int read_word(
        const cJSON *object, const char *path, char *word, size_t size, struct err *err)
{
        const char *text;
        int r = json_need_string(object, path, &text, err);

        if (r < 0)
                return r;
        if (strlen(text) >= size || text[strspn(text, WORD_CHARACTERS)] != '\0')
                return err_set(err, -EBADMSG,
                        "%s: up to %zu letters, digits, hyphens and dots are needed", path,
                        size - 1);
        memcpy(word, text, strlen(text) + 1);
        return 0;
}

int imds_identity_answer(const struct http_call *call, struct imds_identity *ret, struct err *err)
{
        static const char what[] = "the instance's identity document";
        _cleanup_json_ cJSON *document = NULL;
        struct imds_identity identity = {0};
        const struct {
                const char *path;
                char *word;
                size_t size;
        } fields[] = {
                {"instanceId", identity.instance_id, sizeof(identity.instance_id)},
                {"instanceType", identity.instance_type, sizeof(identity.instance_type)},
                {"availabilityZone", identity.zone, sizeof(identity.zone)},
                {"region", identity.region, sizeof(identity.region)},
                {"accountId", identity.account, sizeof(identity.account)},
        };
        int r;

        r = read_object(call, what, &document, err);
        if (r == IMDS_NOT_FOUND)
                return err_set(err, -ENOENT, "%s does not exist; is this an EC2 instance?", what);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                r = read_word(document, fields[i].path, fields[i].word, fields[i].size, err);
                if (r < 0)
                        return err_prefix(err, r, "%s", what);
        }
        if (!ec2_is_instance_id(identity.instance_id))
                return err_set(err, -EBADMSG, "%s: instanceId: \"%s\" is no instance id", what,
                        identity.instance_id);
        *ret = identity;
        return 0;
}

static int read_credentials(const cJSON *document, struct aws_credentials *ret, struct err *err)
{
        enum { KEY, SECRET, TOKEN, EXPIRATION, N_MEMBERS };
        static const char *const names[N_MEMBERS] = {
                "AccessKeyId", "SecretAccessKey", "Token", "Expiration"};
        const char *texts[N_MEMBERS];
        int64_t expires_ms;

        for (size_t i = 0; i < N_MEMBERS; i++) {
                int r = json_need_string(document, names[i], &texts[i], err);

                if (r < 0)
                        return r;
        }
        if (clock_parse(texts[EXPIRATION], &expires_ms) < 0)
                return err_set(err, -EBADMSG, "Expiration: a time is needed");
        *ret = (struct aws_credentials){
                .access_key = mem_string(texts[KEY]),
                .secret_key = mem_string(texts[SECRET]),
                .session_token = mem_string(texts[TOKEN]),
                .expires_ms = expires_ms,
        };
        return 0;
}

int imds_credentials_answer(
        const struct http_call *call, struct aws_credentials *ret, struct err *err)
{
        static const char what[] = "the instance's credentials";
        _cleanup_json_secret_ cJSON *document = NULL;
        const char *code;
        int r;

        r = read_object(call, what, &document, err);
        if (r == IMDS_NOT_FOUND)
                return err_set(err, -EACCES,
                        "%s do not exist: give the launch template an instance profile", what);
        if (r < 0)
                return r;
        code = json_string(document, "Code");
        if (code && strcmp(code, "Success") != 0)
                return err_set(err, -EACCES, "%s do not exist: %s: check the role's trust policy",
                        what, code);
        r = read_credentials(document, ret, err);
        return r < 0 ? err_prefix(err, r, "%s", what) : 0;
}

int imds_spot_answer(const struct http_call *call, struct imds_spot_action *ret, struct err *err)
{
        static const char what[] = "the spot notice";
        _cleanup_json_ cJSON *document = NULL;
        struct imds_spot_action action = {0};
        const char *time = NULL;
        int r;

        r = read_object(call, what, &document, err);
        if (r != 0)
                return r;
        r = read_word(document, "action", action.action, sizeof(action.action), err);
        if (r == 0)
                r = json_need_string(document, "time", &time, err);
        if (r < 0)
                return err_prefix(err, r, "%s", what);
        if (clock_parse(time, &action.time_ms) < 0)
                return err_set(err, -EBADMSG, "%s: time: \"%.40s\" is no time", what, time);
        *ret = action;
        return 0;
}
