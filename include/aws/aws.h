/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Makes a signed AWS call. The services (ec2, describe, ssm, s3, sqs, events) are pairs of
 * functions on top of this: one makes a call, the other reads its answer (answer.h). Neither
 * touches the network, so that both can be tested and fuzzed alone; http/http.h carries the call.
 *
 * libcurl signs (CURLOPT_AWS_SIGV4). Endpoints follow the standard settings AWS_ENDPOINT_URL and
 * AWS_ENDPOINT_URL_<SERVICE>.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/http_call.h"

struct aws_credentials {
        char *access_key;    /* owned */
        char *secret_key;    /* owned, secret */
        char *session_token; /* owned, secret; NULL for a user's long-term keys */
        int64_t expires_ms;  /* wall clock; 0 = never */
};

/* Overwrites and frees the members. */
void aws_credentials_release(struct aws_credentials *credentials);

/* Reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as Lambda sets them.
 * Returns 0, or -ENOKEY when they are not set. */
int aws_credentials_from_environment(struct aws_credentials *ret, struct err *err);

struct aws {
        char *region; /* owned: "eu-central-1" */
        struct aws_credentials credentials;
        char *parameter_key; /* owned: KMS key of new SSM parameters; NULL: the account's aws/ssm */
};

/* REGION is copied; NULL: AWS_REGION or AWS_DEFAULT_REGION. Returns 0, or -EINVAL when there is no
 * usable region. The caller then sets the credentials. */
int aws_init(struct aws *aws, const char *region, struct err *err);
void aws_release(struct aws *aws);

/* Replaces the credentials: takes ownership of the members of CREDENTIALS, and empties it. */
void aws_set_credentials(struct aws *aws, struct aws_credentials *credentials);

/* The partition that ARNs of REGION name: "aws", "aws-cn", "aws-us-gov", "aws-eusc".
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html */
const char *aws_partition(const char *region);

/* What host names of services in REGION end with: "amazonaws.com", "amazonaws.com.cn",
 * "amazonaws.eu". */
const char *aws_domain(const char *region);

/* The services that this project calls. */
enum aws_service {
        AWS_EC2,            /* query protocol, XML answers, version 2016-11-15 */
        AWS_SSM,            /* JSON 1.1, AmazonSSM */
        AWS_SQS,            /* JSON 1.0, AmazonSQS */
        AWS_EVENTBRIDGE,    /* JSON 1.1, AWSEvents */
        AWS_SERVICE_QUOTAS, /* JSON 1.1, ServiceQuotasV20190624 */
        AWS_S3,             /* objects by their paths, XML lists and errors */
};

/* A JSON call: ACTION is a literal such as "GetParameter"; BODY is JSON text, which is copied. It
 * is tried up to three times, on throttling, 5xx and lost connections; the maker of a call that
 * must not be repeated sets tries_max to 1. */
struct http_call *aws_json_call(
        struct aws *aws, enum aws_service service, const char *action, const char *body);

/* Like aws_json_call(), with the body as a JSON value, which remains the caller's. */
struct http_call *aws_object_call(
        struct aws *aws, enum aws_service service, const char *action, const cJSON *body);

/* A query call to EC2: FORM is what follows "Action=…&Version=…": encoded "&Name=value" pairs. */
struct http_call *aws_query_call(
        struct aws *aws, enum aws_service service, const char *action, const char *form);

/*
 * A call to S3: KEY is "" for the bucket itself, QUERY is "" or encoded pairs "a=b&c=d" in the
 * order of their names, since libcurl signs them as they stand. aws_s3_body() must follow, also
 * where there is nothing to send.
 *
 * S3 differs from the other services in two ways: the path is encoded once, and a header names the
 * body's hash. libcurl signs the path as it is in the URL (8.x: for S3 only), each header that it
 * is given, and takes the hash from that header, so that its signature holds for S3. It sorts
 * headers with their values: none may begin with the whole name of another.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
struct http_call *aws_s3_call(struct aws *aws, const char *action, const char *method,
        const char *bucket, const char *key, const char *query);
void aws_s3_body(struct http_call *call, const char *bytes, size_t size);
