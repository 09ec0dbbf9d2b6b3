/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The instance metadata service, version 2 (token first).
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 * Its address is AWS_EC2_METADATA_SERVICE_ENDPOINT where set, else http://169.254.169.254.
 */

#include <stdint.h>

#include "aws.h"
#include "ec2_instances.h"

/* Positive result: the path does not exist (yet). */
#define IMDS_NOT_FOUND 1

/* Asks for a token that is valid for six hours. */
struct http_call *imds_token(void);
/* The token is the caller's to free, and secret. */
int imds_token_answer(const struct http_call *call, char **ret_token, struct err *err);

/* Reads /latest/PATH. */
struct http_call *imds_get(const char *token, const char *path);
/* 0 with plain text in *ret_text, which the caller frees; IMDS_NOT_FOUND, or negative.
 * -EKEYEXPIRED, here and below: the token is no longer accepted, and a new one is needed. */
int imds_text_answer(const struct http_call *call, char **ret_text, struct err *err);

#define IMDS_PATH_IDENTITY "dynamic/instance-identity/document"
#define IMDS_PATH_ROLES "meta-data/iam/security-credentials/"
#define IMDS_PATH_SPOT_ACTION "meta-data/spot/instance-action"
/* The value of a tag, where the launch template shows tags: InstanceMetadataTags. */
#define IMDS_PATH_TAG(key) "meta-data/tags/instance/" key

struct imds_identity {
        char instance_id[EC2_ID_SIZE];
        char instance_type[32];
        char zone[32];
        char region[32];
        char account[16];
};

int imds_identity_answer(const struct http_call *call, struct imds_identity *ret, struct err *err);

/* Reads the answer at IMDS_PATH_ROLES + role name. -EACCES when there are no credentials. */
int imds_credentials_answer(
        const struct http_call *call, struct aws_credentials *ret, struct err *err);

struct imds_spot_action {
        char action[16]; /* "terminate", "stop", "hibernate" */
        int64_t time_ms; /* wall clock: when EC2 acts */
};

/* 0, IMDS_NOT_FOUND as long as there is no notice, or negative. */
int imds_spot_answer(const struct http_call *call, struct imds_spot_action *ret, struct err *err);
