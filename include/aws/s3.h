/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * S3 objects: the other store of hand-overs.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/
 */

#include <stddef.h>
#include <stdint.h>

#include "aws.h"
#include "base/buf.h"

/* Positive results. */
#define S3_NOT_FOUND 1
#define S3_EXISTS 2

/* Reads an object. */
struct http_call *s3_get_object(struct aws *aws, const char *bucket, const char *key);
/* 0 with its content in RET (emptied first), S3_NOT_FOUND, or negative: -EACCES also for an object
 * that does not exist, to a caller who may not list it. */
int s3_get_object_answer(const struct http_call *call, struct buf *ret, struct err *err);

/* Stores an object of which there is none yet. The bucket's default encryption applies. */
struct http_call *s3_new_object(
        struct aws *aws, const char *bucket, const char *key, const char *content);
/* 0, S3_EXISTS (also for our own try whose answer was lost), or negative. Of two that store at the
 * same time, S3 may refuse one with a conflict, which is worth another try.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
int s3_new_object_answer(const struct http_call *call, struct err *err);

/* Stores an object, in place of one of that key. */
struct http_call *s3_put_object(
        struct aws *aws, const char *bucket, const char *key, const char *content);
int s3_put_object_answer(const struct http_call *call, struct err *err);

/* Deletes an object: 0 also when it is gone already. */
struct http_call *s3_delete_object(struct aws *aws, const char *bucket, const char *key);
int s3_delete_object_answer(const struct http_call *call, struct err *err);

struct s3_object {
        char *key;           /* owned */
        int64_t modified_ms; /* when it was stored */
};

struct s3_list {
        struct s3_object *items; /* owned */
        size_t count;
        char *next_page; /* NULL: the last; owned */
};

/* A page of up to 1,000 objects whose keys begin with PREFIX. PAGE is the `next_page` of the page
 * before, NULL for the first. */
struct http_call *s3_list_objects(
        struct aws *aws, const char *bucket, const char *prefix, const char *page);
/* 0 with what was found added to LIST, or negative. */
int s3_list_objects_answer(const struct http_call *call, struct s3_list *list, struct err *err);
void s3_list_release(struct s3_list *list);
