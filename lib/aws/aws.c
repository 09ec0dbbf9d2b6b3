/* SPDX-License-Identifier: MIT */

/*
 * Makes a signed AWS call: by whom (credentials), where to (endpoint), and in which form
 * (protocol).
 */

#include "aws/aws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"

#define TRIES_MAX 3
#define QUERY_VERSION "2016-11-15"
#define REGION_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

#define PATH_CHARACTERS                                                  \
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" \
        "-._~/"

static const struct {
        const char *name;         /* in the signature's scope and in host names */
        const char *variable;     /* overrides the endpoint of this service */
        const char *target;       /* before the action in X-Amz-Target; NULL: another protocol */
        const char *content_type; /* of the body */
} services[] = {
        [AWS_EC2] = {"ec2", "AWS_ENDPOINT_URL_EC2", NULL,
                "application/x-www-form-urlencoded; charset=utf-8"},
        [AWS_SSM] = {"ssm", "AWS_ENDPOINT_URL_SSM", "AmazonSSM", "application/x-amz-json-1.1"},
        [AWS_SQS] = {"sqs", "AWS_ENDPOINT_URL_SQS", "AmazonSQS", "application/x-amz-json-1.0"},
        [AWS_EVENTBRIDGE] = {"events", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWSEvents",
                "application/x-amz-json-1.1"},
        [AWS_SERVICE_QUOTAS] = {"servicequotas", "AWS_ENDPOINT_URL_SERVICE_QUOTAS",
                "ServiceQuotasV20190624", "application/x-amz-json-1.1"},
        [AWS_S3] = {"s3", "AWS_ENDPOINT_URL_S3", NULL, "application/octet-stream"},
};

/* -- credentials -- */

void aws_credentials_release(struct aws_credentials *credentials)
{
        free(credentials->access_key);
        mem_free_secret(credentials->secret_key);
        mem_free_secret(credentials->session_token);
        *credentials = (struct aws_credentials){0};
}

/* The value of an environment variable; NULL when it is not set or empty. */
static const char *setting(const char *name)
{
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

int aws_credentials_from_environment(struct aws_credentials *ret, struct err *err)
{
        const char *access_key = setting("AWS_ACCESS_KEY_ID");
        const char *secret_key = setting("AWS_SECRET_ACCESS_KEY");

        if (!access_key || !secret_key)
                return err_set(err, -ENOKEY,
                        "no AWS credentials: %s is not set; AWS_ACCESS_KEY_ID, "
                        "AWS_SECRET_ACCESS_KEY and, for a role, AWS_SESSION_TOKEN are needed",
                        access_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        *ret = (struct aws_credentials){
                .access_key = mem_string(access_key),
                .secret_key = mem_string(secret_key),
                .session_token = mem_string(setting("AWS_SESSION_TOKEN")),
        };
        return 0;
}

int aws_init(struct aws *aws, const char *region, struct err *err)
{
        if (!region)
                region = setting("AWS_REGION");
        if (!region)
                region = setting("AWS_DEFAULT_REGION");
        if (!region)
                return err_set(err, -EINVAL, "no AWS region: set AWS_REGION, such as eu-central-1");
        if (!*region || region[strspn(region, REGION_CHARACTERS)] != '\0')
                return err_set(err, -EINVAL,
                        "AWS region \"%s\": lower case letters, digits and hyphens are needed, "
                        "such as eu-central-1",
                        region);
        *aws = (struct aws){.region = mem_string(region)};
        return 0;
}

void aws_release(struct aws *aws)
{
        free(aws->region);
        free(aws->parameter_key);
        aws_credentials_release(&aws->credentials);
        *aws = (struct aws){0};
}

void aws_set_credentials(struct aws *aws, struct aws_credentials *credentials)
{
        aws_credentials_release(&aws->credentials);
        aws->credentials = *credentials;
        *credentials = (struct aws_credentials){0};
}

/* -- partitions -- */

static const struct partition {
        const char *regions; /* what the names of its regions begin with */
        const char *name;
        const char *domain;
} partitions[] = {
        {"cn-", "aws-cn", "amazonaws.com.cn"},
        {"us-gov-", "aws-us-gov", "amazonaws.com"},
        {"eusc-", "aws-eusc", "amazonaws.eu"}, /* European Sovereign Cloud */
        {"", "aws", "amazonaws.com"},
};

static const struct partition *find_partition(const char *region)
{
        const struct partition *partition = partitions;

        while (strncmp(region, partition->regions, strlen(partition->regions)) != 0)
                partition++; /* the last one takes every region */
        return partition;
}

const char *aws_partition(const char *region)
{
        return find_partition(region)->name;
}

const char *aws_domain(const char *region)
{
        return find_partition(region)->domain;
}

/* -- calls -- */

/* The address that the settings give to a service, without a slash at its end, or NULL; the caller
 * frees. */
static char *set_endpoint(enum aws_service service)
{
        const char *own = setting(services[service].variable);
        const char *url = own ? own : setting("AWS_ENDPOINT_URL");
        size_t size;

        if (!url)
                return NULL;
        size = strlen(url);
        while (size > 0 && url[size - 1] == '/')
                size--;
        return mem_format("%.*s", (int)size, url);
}

/* AWS's own address of a service; the caller frees. */
static char *own_endpoint(const struct aws *aws, enum aws_service service, const char *host)
{
        return mem_format("https://%s%s.%s.%s", host, services[service].name, aws->region,
                aws_domain(aws->region));
}

/* Takes URL. */
static struct http_call *signed_call(const struct aws *aws, enum aws_service service,
        const char *action, const char *method, char *url)
{
        const struct aws_credentials *credentials = &aws->credentials;
        struct http_call *call = http_call_new(action, method, "%s/", url);

        free(url);
        call->sign_scope = mem_format("aws:amz:%s:%s", aws->region, services[service].name);
        call->sign_key = mem_string(credentials->access_key);
        call->sign_secret = mem_string(credentials->secret_key);
        if (credentials->session_token)
                http_call_header(call, "X-Amz-Security-Token", credentials->session_token);
        call->tries_max = TRIES_MAX;
        call->judge = aws_judge;
        return call;
}

/* A POST to a service. */
static struct http_call *post(struct aws *aws, enum aws_service service, const char *action)
{
        char *url = set_endpoint(service);

        return signed_call(
                aws, service, action, "POST", url ? url : own_endpoint(aws, service, ""));
}

struct http_call *aws_json_call(
        struct aws *aws, enum aws_service service, const char *action, const char *body)
{
        _cleanup_free_ char *target = mem_format("%s.%s", services[service].target, action);
        struct http_call *call = post(aws, service, action);

        http_call_header(call, "X-Amz-Target", target);
        http_call_body(call, services[service].content_type, body, strlen(body));
        return call;
}

struct http_call *aws_object_call(
        struct aws *aws, enum aws_service service, const char *action, const cJSON *body)
{
        char *text = json_print(body);
        struct http_call *call = aws_json_call(aws, service, action, text);

        mem_free_secret(text);
        return call;
}

struct http_call *aws_query_call(
        struct aws *aws, enum aws_service service, const char *action, const char *form)
{
        struct http_call *call = post(aws, service, action);

        http_call_body(call, services[service].content_type, "", 0);
        buf_add_format(&call->body, "Action=%s&Version=" QUERY_VERSION "%s", action, form);
        return call;
}

/* -- S3 -- */

static void add_path(struct buf *url, const char *path)
{
        for (; *path; path++) {
                if (strchr(PATH_CHARACTERS, *path))
                        buf_add(url, path, 1);
                else
                        buf_add_format(url, "%%%02X", (unsigned char)*path);
        }
}

/* A bucket has a host of its own, but at an endpoint from the settings it is part of the path. */
struct http_call *aws_s3_call(struct aws *aws, const char *action, const char *method,
        const char *bucket, const char *key, const char *query)
{
        _cleanup_free_ char *host = mem_format("%s.", bucket);
        char *url = set_endpoint(AWS_S3);
        bool is_set = url;
        struct http_call *call = signed_call(
                aws, AWS_S3, action, method, is_set ? url : own_endpoint(aws, AWS_S3, host));

        if (is_set)
                buf_add_format(&call->url, "%s/", bucket);
        add_path(&call->url, key);
        if (*query)
                buf_add_format(&call->url, "?%s", query);
        return call;
}

void aws_s3_body(struct http_call *call, const char *bytes, size_t size)
{
        char hash[DIGEST_HEX_SIZE];

        digest_sha256_hex(bytes, size, hash);
        http_call_header(call, "X-Amz-Content-Sha256", hash);
        if (size > 0)
                http_call_body(call, services[AWS_S3].content_type, bytes, size);
}
