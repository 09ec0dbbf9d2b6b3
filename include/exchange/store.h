/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where hand-overs wait for their machines: SSM parameters, or objects in a bucket of S3. Both
 * programs use a store through this interface, in pairs: one function makes a call, the other reads
 * its answer.
 *
 *      SSM     PREFIX/runners/INSTANCE, with a tag that names the instance's ARN; free, and for up
 *              to three a second in the whole account
 *      S3      the ARN of the instance is the key; for bursts
 *
 * An instance may reach only what has its ARN as tag or key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/aws.h"
#include "base/buf.h"
#include "base/err.h"

/* Positive results. */
#define STORE_ABSENT 1
#define STORE_EXISTS 2

/* Beyond what any hand-over has. */
#define STORE_VALUE_MAX (64UL * 1024)

/* The tag of an instance whose hand-over waits in S3: the bucket's name. Without it, in SSM. */
#define STORE_TAG "scale-agent:hand-overs"
/* Of such a name. */
#define STORE_BUCKET_SIZE 64

struct store_kind;

struct store {
        const struct store_kind *kind; /* NULL: there is no such store */
        struct aws *aws;               /* borrowed */
        char *place;                   /* SSM: the prefix; S3: the bucket; owned */
        char *arns; /* what comes before "/INSTANCE" in an instance's ARN; owned */
};

/* ARNS ("arn:aws:ec2:REGION:ACCOUNT:instance") may be NULL for a store of SSM in which nothing is
 * put. Everything but AWS is copied. */
void store_init_ssm(struct store *store, struct aws *aws, const char *prefix, const char *arns);
void store_init_s3(struct store *store, struct aws *aws, const char *bucket, const char *arns);
void store_release(struct store *store);

bool store_is_s3(const struct store *store);

/* What the hand-over of INSTANCE is called, for people; the caller frees. */
char *store_name(const struct store *store, const char *instance);

/* Whether -EACCES may mean that there is no hand-over: SSM refuses a machine by the tag of its
 * parameter, which one that does not exist does not have. */
bool store_hides_absence(const struct store *store);

/* Reads a hand-over. */
struct http_call *store_get(const struct store *store, const char *instance);
/* 0 with the value, which is secret, in RET (emptied first), STORE_ABSENT, or negative. */
int store_get_answer(
        const struct store *store, const struct http_call *call, struct buf *ret, struct err *err);

/* Stores a hand-over where there is none. */
struct http_call *store_put(const struct store *store, const char *instance, const char *value);
/* 0, STORE_EXISTS, also for our own try whose answer was lost, or negative. */
int store_put_answer(const struct store *store, const struct http_call *call, struct err *err);

/* Stores a hand-over in place of what is there, which nobody can use. SSM gives only a new
 * parameter its tag. */
struct http_call *store_replace(const struct store *store, const char *instance, const char *value);
int store_replace_answer(const struct store *store, const struct http_call *call, struct err *err);

/* Deletes a hand-over: 0 also when it is gone already. */
struct http_call *store_delete(const struct store *store, const char *instance);
int store_delete_answer(const struct store *store, const struct http_call *call, struct err *err);

/* A hand-over without its value. */
struct store_listed {
        char *instance;      /* owned */
        int64_t modified_ms; /* when it was stored */
        bool is_in_s3;
};

struct store_list {
        struct store_listed *items; /* owned */
        size_t count;
        char *next_page; /* NULL: the last; owned */
};

/* A page of all hand-overs. PAGE is the `next_page` of the page before, NULL for the first. */
struct http_call *store_list(const struct store *store, const char *page);
/* 0 with what was found added to LIST, or negative. */
int store_list_answer(const struct store *store, const struct http_call *call,
        struct store_list *list, struct err *err);
void store_list_release(struct store_list *list);
