/* SPDX-License-Identifier: MIT */

/*
 * The metadata service's answers: one text is read as each of the documents. What is taken from it
 * fits, and is safe as a part of names and headers.
 */

#include "aws/imds.h"
#include "fuzz.h"

static void check_word(const char *word, size_t size)
{
        CHECK(word[0] && strlen(word) < size);
        for (; *word; word++)
                CHECK(*word > ' ' && *word <= '~' && *word != '/' && *word != '"');
}

static void read_token(const struct http_call *call)
{
        struct err err = {0};
        char *token = NULL;

        if (imds_token_answer(call, &token, &err) == 0) {
                CHECK(token[0] && !strpbrk(token, " \r\n"));
                mem_free_secret(token);
        } else {
                CHECK(!token && err.text[0]);
        }
}

static void read_text(const struct http_call *call)
{
        struct err err = {0};
        char *text = NULL;

        if (imds_text_answer(call, &text, &err) == 0)
                CHECK(strlen(text) == call->answer.size);
        else
                CHECK(!text && err.text[0]);
        free(text);
}

static void read_identity(const struct http_call *call)
{
        struct imds_identity identity;
        struct err err = {0};

        if (imds_identity_answer(call, &identity, &err) < 0) {
                CHECK(err.text[0]);
                return;
        }
        check_word(identity.instance_id, sizeof(identity.instance_id));
        check_word(identity.instance_type, sizeof(identity.instance_type));
        check_word(identity.zone, sizeof(identity.zone));
        check_word(identity.region, sizeof(identity.region));
        check_word(identity.account, sizeof(identity.account));
}

static void read_credentials(const struct http_call *call)
{
        struct aws_credentials credentials = {0};
        struct err err = {0};

        if (imds_credentials_answer(call, &credentials, &err) == 0)
                CHECK(credentials.access_key && credentials.secret_key &&
                        credentials.session_token);
        else
                CHECK(!credentials.access_key && err.text[0]);
        aws_credentials_release(&credentials);
}

static void read_spot_action(const struct http_call *call)
{
        struct imds_spot_action action;
        struct err err = {0};

        if (imds_spot_answer(call, &action, &err) == 0)
                check_word(action.action, sizeof(action.action));
        else
                CHECK(err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http_call *call = imds_get("token", IMDS_PATH_IDENTITY);

        call->status = 200;
        call->answer.limit = call->answer_limit;
        if (buf_add(&call->answer, data, size) == 0) {
                read_token(call);
                read_text(call);
                read_identity(call);
                read_credentials(call);
                read_spot_action(call);
        }
        http_call_free(call);
        return 0;
}
