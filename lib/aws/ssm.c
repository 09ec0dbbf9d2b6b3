/* SPDX-License-Identifier: MIT */

/*
 * Reads, stores and deletes SSM parameters. Their values are secret: every copy made on the way is
 * wiped, and no error text quotes one.
 */

#include "aws/ssm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"

/* The call of ACTION on the parameter NAME. */
static struct http_call *call_on_name(
        struct aws *aws, const char *action, const char *name, bool decrypted)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "Name", name);
        if (decrypted)
                json_add_boolean(body, "WithDecryption", true);
        return aws_object_call(aws, AWS_SSM, action, body);
}

struct http_call *ssm_get_parameter(struct aws *aws, const char *name)
{
        return call_on_name(aws, "GetParameter", name, true);
}

/* http_call_fail() would quote the answer, which may hold the secret value. */
static int unexpected(const struct http_call *call, int result, struct err *err)
{
        return err_set(err, result, "%s: unexpected answer, HTTP status %d, %zu bytes", call->what,
                call->status, call->answer.size);
}

int ssm_get_parameter_answer(const struct http_call *call, struct buf *ret, struct err *err)
{
        _cleanup_json_secret_ cJSON *answer = NULL;
        struct aws_error error = {0};
        const char *value;
        int r;

        buf_clear(ret);
        r = aws_outcome(call, &error, err);
        if (r == AWS_REFUSED)
                return strcmp(error.code, "ParameterNotFound") == 0
                               ? SSM_NOT_FOUND
                               : aws_refused(call, &error, err);
        if (r < 0)
                return call->result < 0 ? r : unexpected(call, r, err);
        r = aws_json_answer(call, &answer, err);
        if (r < 0)
                return r;
        value = json_string(answer, "Parameter.Value");
        if (!value)
                return err_set(err, -EBADMSG,
                        "GetParameter: Parameter.Value: a string is needed, found %s",
                        json_type_name(json_get(answer, "Parameter.Value")));
        r = buf_add_string(ret, value);
        if (r < 0) {
                buf_clear(ret);
                return err_set(err, -EFBIG, "GetParameter: the value is larger than %zu bytes",
                        ret->limit);
        }
        return 0;
}

/* -- storing -- */

static struct http_call *put(struct aws *aws, const char *name, const char *value, bool overwrite,
        const char *tag_key, const char *tag_value)
{
        _cleanup_json_secret_ cJSON *body = cJSON_CreateObject();
        cJSON *tag;

        /* An empty body stands for a value that is too large: SSM gets nothing to store, and the
         * reader of the answer says why. */
        if (strlen(value) > SSM_ADVANCED_MAX)
                return aws_json_call(aws, AWS_SSM, "PutParameter", "");
        json_add_string(body, "Name", name);
        json_add_string(body, "Type", "SecureString");
        json_add_string(body, "Tier", strlen(value) > SSM_STANDARD_MAX ? "Advanced" : "Standard");
        json_add_boolean(body, "Overwrite", overwrite);
        json_add_string(body, "KeyId", aws->parameter_key);
        json_add_string(body, "Value", value);
        if (tag_key) {
                tag = cJSON_CreateObject();
                json_add_string(tag, "Key", tag_key);
                json_add_string(tag, "Value", tag_value);
                cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "Tags"), tag);
        }
        return aws_object_call(aws, AWS_SSM, "PutParameter", body);
}

struct http_call *ssm_put_parameter(struct aws *aws, const char *name, const char *value,
        const char *tag_key, const char *tag_value)
{
        return put(aws, name, value, false, tag_key, tag_value);
}

struct http_call *ssm_new_parameter(struct aws *aws, const char *name, const char *value)
{
        return put(aws, name, value, false, NULL, NULL);
}

/* SSM takes no tags for a value that replaces another. */
struct http_call *ssm_replace_parameter(struct aws *aws, const char *name, const char *value)
{
        return put(aws, name, value, true, NULL, NULL);
}

/* Whether SSM refuses before it looks at the value, so that its words cannot quote it. */
static bool is_before_value(const char *code)
{
        static const char *const beginnings[] = {
                "AccessDenied", "ExpiredToken", "UnrecognizedClient", "Throttling"};

        for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
                if (strncmp(code, beginnings[i], strlen(beginnings[i])) == 0)
                        return true;
        return false;
}

int ssm_put_parameter_answer(const struct http_call *call, struct err *err)
{
        _cleanup_json_secret_ cJSON *answer = NULL;
        struct aws_error error = {0};
        int r;

        if (call->body.size == 0)
                return err_set(err, -EFBIG,
                        "PutParameter: the value is larger than %d bytes, the most that SSM stores",
                        SSM_ADVANCED_MAX);
        r = aws_outcome(call, &error, err);
        if (r == AWS_REFUSED) {
                if (strcmp(error.code, "ParameterAlreadyExists") == 0)
                        return SSM_EXISTS;
                if (!is_before_value(error.code))
                        error.message[0] = '\0';
                return aws_refused(call, &error, err);
        }
        if (r < 0)
                return call->result < 0 ? r : unexpected(call, r, err);
        return aws_json_answer(call, &answer, err);
}

/* -- deleting -- */

struct http_call *ssm_delete_parameter(struct aws *aws, const char *name)
{
        return call_on_name(aws, "DeleteParameter", name, false);
}

int ssm_delete_parameter_answer(const struct http_call *call, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        if (r != AWS_REFUSED)
                return r;
        return strcmp(error.code, "ParameterNotFound") == 0 ? 0 : aws_refused(call, &error, err);
}

/* The call of ACTION on several names. */
static struct http_call *call_on_names(struct aws *aws, const char *action,
        const char *const *names, size_t n_names, bool decrypted)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(body, "Names");

        for (size_t i = 0; i < n_names; i++)
                cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
        if (decrypted)
                json_add_boolean(body, "WithDecryption", true);
        return aws_object_call(aws, AWS_SSM, action, body);
}

struct http_call *ssm_get_parameters(struct aws *aws, const char *const *names, size_t n_names)
{
        return call_on_names(aws, "GetParameters", names, n_names, true);
}

void ssm_free_parameters(cJSON **parameters)
{
        json_free_secret(parameters);
}

int ssm_get_parameters_answer(const struct http_call *call, cJSON **ret_parameters, struct err *err)
{
        _cleanup_json_secret_ cJSON *answer = NULL;
        _cleanup_json_secret_ cJSON *found = NULL;
        struct aws_error error = {0};
        const cJSON *parameter;
        int r = aws_outcome(call, &error, err);

        if (r == AWS_REFUSED)
                return aws_refused(call, &error, err);
        if (r < 0)
                return call->result < 0 ? r : unexpected(call, r, err);
        r = aws_json_answer(call, &answer, err);
        if (r < 0)
                return r;
        if (!cJSON_IsArray(json_get(answer, "Parameters")))
                return err_set(err, -EBADMSG, "GetParameters: Parameters: an array is needed");
        found = cJSON_CreateObject();
        cJSON_ArrayForEach (parameter, json_get(answer, "Parameters")) {
                const char *name = json_string(parameter, "Name");
                const char *value = json_string(parameter, "Value");

                if (!name || !value)
                        return err_set(err, -EBADMSG,
                                "GetParameters: a parameter without a name or value");
                json_add_string(found, name, value);
        }
        *ret_parameters = MEM_STEAL(found);
        return 0;
}

/* -- deleting several -- */

struct http_call *ssm_delete_parameters(struct aws *aws, const char *const *names, size_t n_names)
{
        return call_on_names(aws, "DeleteParameters", names, n_names, false);
}

int ssm_delete_parameters_answer(const struct http_call *call, size_t *ret_deleted, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *deleted;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        deleted = json_get(answer, "DeletedParameters");
        if (ret_deleted)
                *ret_deleted = (size_t)cJSON_GetArraySize(deleted);
        return 0;
}
