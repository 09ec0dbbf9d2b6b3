/* SPDX-License-Identifier: MIT */

/*
 * Nothing of what is read here is kept.
 */

#include "rehearse.h"

#include <stdlib.h>

#include "aws/imds.h"
#include "aws/ssm.h"
#include "base/json.h"
#include "base/mem.h"
#include "exchange/handover.h"

#define ANSWER_LIMIT (16UL * 1024)

static void answer(struct http_call *call, const char *text)
{
        call->status = 200;
        call->answer = (struct buf)BUF_INIT(ANSWER_LIMIT);
        buf_add_string(&call->answer, text);
}

/* -- the metadata service -------------------------------------------------------------------- */

static int read_token(struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = imds_token();
        _cleanup_free_ char *token = NULL;

        answer(call, "token");
        return imds_token_answer(call, &token, err);
}

static struct http_call *ask(const char *path, const char *text)
{
        struct http_call *call = imds_get("token", path);

        answer(call, text);
        return call;
}

static int read_identity(struct imds_identity *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = ask(IMDS_PATH_IDENTITY,
                "{\"instanceId\": \"i-0123456789abcdef0\", \"instanceType\": \"m7i.large\", "
                "\"availabilityZone\": \"nowhere-1a\", \"region\": \"nowhere-1\", "
                "\"accountId\": \"123456789012\"}");

        return imds_identity_answer(call, ret, err);
}

static int read_credentials(struct aws_credentials *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                ask(IMDS_PATH_ROLES, "{\"Code\": \"Success\", \"AccessKeyId\": \"key\", "
                                     "\"SecretAccessKey\": \"secret\", \"Token\": \"token\", "
                                     "\"Expiration\": \"2026-01-01T00:00:00Z\"}");

        return imds_credentials_answer(call, ret, err);
}

/* -- SSM ------------------------------------------------------------------------------------- */

static char *make_parameter(void)
{
        static char something[] = "x";
        static const struct handover handover = {
                .jit_config = something,
                .prefix = something,
                .spec = something,
                .scope = something,
                .job.id = 1,
        };
        _cleanup_json_ cJSON *parameter = cJSON_CreateObject();
        _cleanup_free_ char *value = handover_print(&handover);

        json_add_string(json_add_object(parameter, "Parameter"), "Value", value);
        return json_print(parameter);
}

static int read_handover(struct aws *aws, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = ssm_get_parameter(aws, "nothing");
        _cleanup_(handover_release) struct handover handover = {0};
        _cleanup_buf_ struct buf value = BUF_INIT(ANSWER_LIMIT);
        _cleanup_free_ char *parameter = make_parameter();
        int r;

        answer(call, parameter);
        r = ssm_get_parameter_answer(call, &value, err);
        return r < 0 ? r : handover_parse(buf_string(&value), value.size, &handover, err);
}

/* -- the whole ------------------------------------------------------------------------------- */

int rehearse(const char *url, struct http_call **ret_question, struct err *err)
{
        _cleanup_(aws_credentials_release) struct aws_credentials credentials = {0};
        _cleanup_(aws_release) struct aws aws = {0};
        struct imds_identity identity;
        struct http_call *question;
        int r = read_token(err);

        if (r >= 0)
                r = read_identity(&identity, err);
        if (r >= 0)
                r = read_credentials(&credentials, err);
        if (r >= 0)
                r = aws_init(&aws, identity.region, err);
        if (r < 0)
                return r;
        aws_set_credentials(&aws, &credentials);
        r = read_handover(&aws, err);
        if (r < 0)
                return r;
        question = ssm_get_parameter(&aws, "nothing");
        buf_clear(&question->url);
        buf_add_string(&question->url, url);
        *ret_question = question;
        return 0;
}
