/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What launches need, as EC2 describes it (launch template, images, subnets, offered instance
 * types), and the account's quotas. Used by `scaler doctor`. Lists are asked for by filter, so that
 * what does not exist is missing from the answer, and is no error.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/
 */

#include <stddef.h>

#include "aws.h"
#include "ec2_instances.h"

/* A list with more items is an error. */
#define EC2_DESCRIBED_MAX 2000

struct ec2_template {
        char id[EC2_ID_SIZE];
        char version[16];
        char image[256];      /* "ami-…", or "resolve:ssm:…"; "" where it names none */
        char profile[256];    /* name or ARN of the instance profile; "" */
        char http_tokens[16]; /* "required": IMDSv2 only; "" */
        char shutdown[16];    /* "terminate": what a machine's shutdown does to it; "" */
        char tags_shown[16];  /* "enabled": its metadata has its tags; "" */
        char hop_limit[8];    /* of the metadata's answers; "" */
        char encrypted[8];    /* "true": volumes are, whatever the image is; "" */
        char key[256];        /* the KMS key of volumes; "" */
};

/* Describes VERSION of a launch template; TEMPLATE is its name, or its id "lt-…". */
struct http_call *ec2_describe_template(struct aws *aws, const char *template, const char *version);
/* Positive result: there is no such template, or no such version. */
#define EC2_NO_TEMPLATE 1
int ec2_describe_template_answer(
        const struct http_call *call, struct ec2_template *ret, struct err *err);

struct ec2_image {
        char id[EC2_ID_SIZE];
        char state[16];        /* "available" */
        char architecture[16]; /* "x86_64", "arm64" */
        char snapshot[EC2_ID_SIZE];
        char encrypted[8]; /* "true" or "false": the snapshot */
        /* Tags of packer/source.pkr.hcl; "" without them: */
        char runner_version[24];
        char job_metadata[8]; /* "allow", "deny" */
};

struct ec2_images {
        struct ec2_image *items; /* owned */
        size_t count;
};

struct http_call *ec2_describe_images(struct aws *aws, const char *const *ids, size_t n_ids);
int ec2_describe_images_answer(
        const struct http_call *call, struct ec2_images *ret, struct err *err);
void ec2_images_release(struct ec2_images *images);

struct ec2_snapshot {
        char id[EC2_ID_SIZE];
        char encrypted[8]; /* "true", "false" */
        char key[256];     /* ARN of the KMS key; "" */
};

struct ec2_snapshots {
        struct ec2_snapshot *items; /* owned */
        size_t count;
};

struct http_call *ec2_describe_snapshots(struct aws *aws, const char *const *ids, size_t n_ids);
int ec2_describe_snapshots_answer(
        const struct http_call *call, struct ec2_snapshots *ret, struct err *err);
void ec2_snapshots_release(struct ec2_snapshots *snapshots);

struct ec2_subnet {
        char id[EC2_ID_SIZE];
        char zone[32];
        char state[16];          /* "available" */
        char free_addresses[16]; /* a number */
};

struct ec2_subnets {
        struct ec2_subnet *items; /* owned */
        size_t count;
};

struct http_call *ec2_describe_subnets(struct aws *aws, const char *const *ids, size_t n_ids);
int ec2_describe_subnets_answer(
        const struct http_call *call, struct ec2_subnets *ret, struct err *err);
void ec2_subnets_release(struct ec2_subnets *subnets);

/* An instance type that EC2 offers in a zone. */
struct ec2_offering {
        char type[32];
        char zone[32];
};

struct ec2_offerings {
        struct ec2_offering *items; /* owned */
        size_t count;
};

/* At most 100 types and 10 zones, so that EC2 answers in one page. */
#define EC2_OFFERED_TYPES_MAX 100
#define EC2_OFFERED_ZONES_MAX 10
struct http_call *ec2_describe_offerings(struct aws *aws, const char *const *types, size_t n_types,
        const char *const *zones, size_t n_zones);
int ec2_describe_offerings_answer(
        const struct http_call *call, struct ec2_offerings *ret, struct err *err);
void ec2_offerings_release(struct ec2_offerings *offerings);

/* Pure parsers behind the answers above: 0, also for an empty list, or -EBADMSG (RET is untouched
 * then). *RET_COUNT is the number of versions in the answer; RET gets the first, if any. */
int ec2_parse_templates(
        const char *xml, size_t size, struct ec2_template *ret, size_t *ret_count, struct err *err);
int ec2_parse_images(const char *xml, size_t size, struct ec2_images *ret, struct err *err);
int ec2_parse_snapshots(const char *xml, size_t size, struct ec2_snapshots *ret, struct err *err);
int ec2_parse_subnets(const char *xml, size_t size, struct ec2_subnets *ret, struct err *err);
int ec2_parse_offerings(const char *xml, size_t size, struct ec2_offerings *ret, struct err *err);

/* A quota's value in this region: QUOTA is its code, "L-34B43A08".
 * https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html */
struct http_call *quotas_get(struct aws *aws, const char *service, const char *quota);
/* Positive result: the account has no quota of that code. */
#define QUOTAS_NOT_FOUND 1
int quotas_get_answer(const struct http_call *call, double *ret_value, struct err *err);
