/* SPDX-License-Identifier: MIT */

/*
 * Reads the outcome of an AWS call. Each protocol refuses in its own way: EC2 in XML, the JSON
 * services in a member of the body, a header, or both. All of them give a short code, and what
 * happens next depends on that code alone.
 * https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
 */

#include "aws/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "xml.h"

/* -- errors in XML -- */

static bool ends_with(const char *text, const char *end)
{
        size_t size = strlen(text);
        size_t end_size = strlen(end);

        return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* EC2 sends <Response><Errors><Error>, and servers in front of it <ErrorResponse><Error>. */
static void close_error(struct xml_walker *walker)
{
        struct aws_error *error = walker->userdata;

        if (ends_with(walker->path, "/Error/Code"))
                utf8_copy(error->code, sizeof(error->code), walker->text, walker->text_size);
        else if (ends_with(walker->path, "/Error/Message"))
                utf8_copy(error->message, sizeof(error->message), walker->text, walker->text_size);
}

int aws_parse_xml_error(const char *xml, size_t size, struct aws_error *ret)
{
        struct aws_error error = {0};
        struct xml_walker walker = {.close = close_error, .userdata = &error};
        int r = xml_walk(&walker, xml, size, NULL);

        if (r < 0)
                return r;
        if (error.code[0] == '\0')
                return -EBADMSG;
        *ret = error;
        return 0;
}

/* -- errors -- */

/* Takes the bare code out of "namespace#Code", "Code:http://…" and "Code;Sender". */
static void copy_code(struct aws_error *error, const char *text)
{
        size_t size = strcspn(text, ":;");
        const char *hash = memchr(text, '#', size);

        if (hash) {
                size -= (size_t)(hash + 1 - text);
                text = hash + 1;
        }
        utf8_copy(error->code, sizeof(error->code), text, size);
}

/* Only the first line: when AWS refuses a signature, the other lines show the request's headers,
 * and so the session token. */
static void copy_message(struct aws_error *error, const char *text)
{
        if (text)
                utf8_copy(error->message, sizeof(error->message), text, strcspn(text, "\r\n"));
}

static void read_json_error(const struct http_call *call, struct aws_error *error)
{
        static const char *const headers[] = {"x-amzn-errortype", "x-amzn-query-error"};
        _cleanup_json_secret_ cJSON *body = NULL;
        const char *message;
        const char *type = NULL;
        char header[256];

        if (json_parse(buf_string(&call->answer), call->answer.size, "", &body, NULL) == 0) {
                type = json_string(body, "__type");
                message = json_string(body, "message");
                copy_message(error, message ? message : json_string(body, "Message"));
        }
        if (type)
                copy_code(error, type);
        for (size_t i = 0; i < ARRAY_SIZE(headers) && error->code[0] == '\0'; i++)
                if (http_call_answer_header(call, headers[i], header, sizeof(header)))
                        copy_code(error, header);
}

/* Leaves the code empty where the answer is not an AWS error. */
static void read_error(const struct http_call *call, struct aws_error *ret)
{
        const char *body = buf_string(&call->answer);

        *ret = (struct aws_error){0};
        if (body[strspn(body, " \t\r\n")] != '<')
                read_json_error(call, ret);
        else if (aws_parse_xml_error(body, call->answer.size, ret) == 0)
                ret->message[strcspn(ret->message, "\r\n")] = '\0';
}

static bool is_success(const struct http_call *call)
{
        return call->status >= 200 && call->status < 300;
}

int aws_outcome(const struct http_call *call, struct aws_error *ret_error, struct err *err)
{
        struct aws_error error = {0};

        if (call->result < 0)
                return http_call_fail(call, err);
        if (is_success(call))
                return 0;
        read_error(call, &error);
        if (error.code[0] == '\0')
                return http_call_fail(call, err);
        *ret_error = error;
        return AWS_REFUSED;
}

/* -- what to do about them -- */

bool aws_code_is_passing(const char *code)
{
        static const char *const codes[] = {
                "Throttling",
                "ThrottlingException",
                "ThrottledException",
                "RequestThrottled",
                "RequestThrottledException",
                "RequestLimitExceeded",
                "TooManyRequestsException",
                "TooManyUpdates",
                "KmsThrottled",
                "InternalError",
                "InternalException",
                "InternalFailure",
                "InternalServerError",
                "ServiceUnavailable",
                "ServiceUnavailableException",
                "RequestTimeout",
                "RequestTimeoutException",
                "SlowDown",
                "ConditionalRequestConflict",
                "OperationAborted",
        };

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(code, codes[i]) == 0)
                        return true;
        return false;
}

enum http_verdict aws_judge(const struct http_call *call)
{
        struct aws_error error = {0};

        if (is_success(call))
                return HTTP_DONE;
        if (call->status >= 500 || call->status == 429)
                return HTTP_AGAIN;
        read_error(call, &error);
        return aws_code_is_passing(error.code) ? HTTP_AGAIN : HTTP_DONE;
}

bool aws_call_is_passing(const struct http_call *call)
{
        static const char *const codes[] = {
                /* SSM's limit of parameters in an account, of which ours come and go, */
                "ParameterLimitExceeded",
                "OverLimit",
                /* and what is wrong with this process or its clock, and not with the call: another
                 * one has other credentials. */
                "ExpiredToken",
                "ExpiredTokenException",
                "RequestExpired",
                "RequestTimeTooSkewed",
        };
        struct aws_error error = {0};

        if (call->result < 0 || is_success(call) || aws_judge(call) == HTTP_AGAIN)
                return true;
        read_error(call, &error);
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(error.code, codes[i]) == 0)
                        return true;
        return false;
}

bool aws_call_is_throttled(const struct http_call *call)
{
        struct aws_error error = {0};

        if (call->result < 0 || is_success(call))
                return false;
        read_error(call, &error);
        return call->status == 429 || strcasestr(error.code, "throttl") ||
               strcmp(error.code, "RequestLimitExceeded") == 0 ||
               strcmp(error.code, "TooManyRequestsException") == 0 ||
               strcmp(error.code, "TooManyUpdates") == 0 || strcmp(error.code, "SlowDown") == 0;
}

/* What people can do about a code. */
struct remedy {
        const char *code;
        int result;
        const char *hint; /* NULL: allow the action */
};

static const struct remedy *find_remedy(const char *code)
{
        static const char credentials[] =
                "the credentials are wrong or no longer valid, or this machine's clock is off";
        static const struct remedy remedies[] = {
                {"AccessDenied", -EACCES, NULL},
                {"AccessDeniedException", -EACCES, NULL},
                {"UnauthorizedOperation", -EACCES, NULL},
                {"KmsAccessDenied", -EACCES, "allow kms:Decrypt and kms:GenerateDataKey"},
                {"AuthFailure.ServiceLinkedRoleCreationNotPermitted", -EACCES,
                        "make the role once: "
                        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"},
                {"AuthFailure", -EREMOTEIO, credentials},
                {"ExpiredToken", -EREMOTEIO, credentials},
                {"ExpiredTokenException", -EREMOTEIO, credentials},
                {"InvalidClientTokenId", -EREMOTEIO, credentials},
                {"UnrecognizedClientException", -EREMOTEIO, credentials},
                {"SignatureDoesNotMatch", -EREMOTEIO, credentials},
                {"InvalidSignatureException", -EREMOTEIO, credentials},
                {"RequestExpired", -EREMOTEIO, credentials},
                {"RequestTimeTooSkewed", -EREMOTEIO, credentials},
                {"MissingAuthenticationToken", -EREMOTEIO, credentials},
                {"MissingAuthenticationTokenException", -EREMOTEIO, credentials},
                {"OptInRequired", -EREMOTEIO,
                        "the account is not signed up for this service in this region"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
                if (strcmp(code, remedies[i].code) == 0)
                        return &remedies[i];
        return NULL;
}

/* IAM's name for what CALL does: "ssm:GetParameter". */
static void name_action(const struct http_call *call, char *name, size_t size)
{
        const char *service = call->sign_scope ? strrchr(call->sign_scope, ':') : NULL;

        snprintf(name, size, "%s:%s", service ? service + 1 : "aws", call->what);
}

int aws_refused(const struct http_call *call, const struct aws_error *error, struct err *err)
{
        const struct remedy *remedy = find_remedy(error->code);
        char allow[160] = "";
        char action[96];

        if (remedy && !remedy->hint) {
                name_action(call, action, sizeof(action));
                snprintf(allow, sizeof(allow), "allow %s in the policy of this role", action);
        }
        return err_set(err, remedy ? remedy->result : -EREMOTEIO,
                "AWS refused %s with %s%s%s%s%s%s", call->what, error->code,
                error->message[0] ? ": " : "", error->message, remedy ? " (" : "",
                remedy && remedy->hint ? remedy->hint : allow, remedy ? ")" : "");
}

int aws_accepted(const struct http_call *call, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        return r == AWS_REFUSED ? aws_refused(call, &error, err) : r;
}

int aws_json_answer(const struct http_call *call, cJSON **ret_object, struct err *err)
{
        _cleanup_json_secret_ cJSON *answer = NULL;
        int r;

        r = json_parse(buf_string(&call->answer), call->answer.size, "AWS's answer", &answer, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        if (!cJSON_IsObject(answer))
                return err_set(err, -EBADMSG, "%s: AWS's answer is %s, an object was expected",
                        call->what, json_type_name(answer));
        *ret_object = MEM_STEAL(answer);
        return 0;
}

int aws_accepted_json(const struct http_call *call, cJSON **ret_object, struct err *err)
{
        int r = aws_accepted(call, err);

        return r < 0 ? r : aws_json_answer(call, ret_object, err);
}
