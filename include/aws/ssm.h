/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SSM parameters: the hand-over from scaler to machine, the configuration, and secrets.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/
 */

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "aws.h"
#include "base/buf.h"

/* The largest value in bytes, in the Standard and in the Advanced tier. */
#define SSM_STANDARD_MAX 4096
#define SSM_ADVANCED_MAX 8192

/* GetParameters and DeleteParameters take no more names. */
#define SSM_NAMES_MAX 10

/* Positive result: there is no such parameter. */
#define SSM_NOT_FOUND 1

/* Reads NAME, decrypted. */
struct http_call *ssm_get_parameter(struct aws *aws, const char *name);
/* 0 with the value in RET (emptied first), SSM_NOT_FOUND, or negative. */
int ssm_get_parameter_answer(const struct http_call *call, struct buf *ret, struct err *err);

/* Reads up to SSM_NAMES_MAX parameters, decrypted. Names that do not exist are no error. */
struct http_call *ssm_get_parameters(struct aws *aws, const char *const *names, size_t n_names);
/* 0 with those that exist in *ret_parameters, an object of names and values; or negative. It is
 * secret: the caller gives it to ssm_free_parameters(). */
int ssm_get_parameters_answer(
        const struct http_call *call, cJSON **ret_parameters, struct err *err);
void ssm_free_parameters(cJSON **parameters);

/* A parameter without its value. */
struct ssm_listed {
        char *name;          /* owned */
        int64_t modified_ms; /* when it was stored */
};

struct ssm_list {
        struct ssm_listed *items; /* owned */
        size_t count;
        char *next_page; /* NULL: the last; owned */
};

/* A page of the parameters directly below PATH ("/a/b"). PAGE is the `next_page` of the page
 * before, NULL for the first. A page may be empty and not the last.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html */
struct http_call *ssm_list_parameters(struct aws *aws, const char *path, const char *page);
/* 0 with what was found added to LIST, or negative. */
int ssm_list_parameters_answer(
        const struct http_call *call, struct ssm_list *list, struct err *err);
void ssm_list_release(struct ssm_list *list);

/* A parameter of type String, which is no secret. */
struct ssm_text {
        char *name; /* owned, as is `value` */
        char *value;
        int64_t version; /* grows by one with each PutParameter */
};

struct ssm_texts {
        struct ssm_text *items; /* owned */
        size_t count;
        char *next_page; /* NULL: the last; owned */
};

/* A page of the texts directly below PATH. PAGE is as above.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html */
struct http_call *ssm_get_texts(struct aws *aws, const char *path, const char *page);
/* 0 with what was found added to TEXTS, or negative. */
int ssm_get_texts_answer(const struct http_call *call, struct ssm_texts *texts, struct err *err);
void ssm_texts_release(struct ssm_texts *texts);

/* A setting of the account: the answer is its value, which the caller frees. Higher throughput is
 * "true" or "false".
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html */
#define SSM_SETTING_THROUGHPUT "/ssm/parameter-store/high-throughput-enabled"
struct http_call *ssm_get_setting(struct aws *aws, const char *setting);
int ssm_get_setting_answer(const struct http_call *call, char **ret_value, struct err *err);

/* Stores a text, in place of one that is there. Whoever gets the version after the one that it has
 * read was the first to replace that. */
struct http_call *ssm_put_text(struct aws *aws, const char *name, const char *value);
int ssm_put_text_answer(const struct http_call *call, int64_t *ret_version, struct err *err);

/* Stores a new SecureString, encrypted with aws->parameter_key, tagged TAG_KEY=TAG_VALUE, in the
 * tier that its size needs. A value above SSM_ADVANCED_MAX is not sent, and reading the answer
 * gives -EFBIG. Tags can be set only on a new parameter. The answer is SSM_EXISTS where the name is
 * taken, by an earlier launch or by our own try whose answer was lost: delete it, and store again.
 */
struct http_call *ssm_put_parameter(struct aws *aws, const char *name, const char *value,
        const char *tag_key, const char *tag_value);
#define SSM_EXISTS 2
/* 0, SSM_EXISTS, or negative; the text quotes SSM only where that cannot quote the value. */
int ssm_put_parameter_answer(const struct http_call *call, struct err *err);

/* Stores a SecureString without tags, in place of a value that is there. The answer is read as
 * above. */
struct http_call *ssm_replace_parameter(struct aws *aws, const char *name, const char *value);

/* Stores a SecureString without tags; the answer is SSM_EXISTS where the name is taken. */
struct http_call *ssm_new_parameter(struct aws *aws, const char *name, const char *value);

/* For the machine, which may delete only its own parameter. 0 also when it is gone already. */
struct http_call *ssm_delete_parameter(struct aws *aws, const char *name);
int ssm_delete_parameter_answer(const struct http_call *call, struct err *err);

/* For the scaler: up to SSM_NAMES_MAX names in one call. Names that do not exist are no error;
 * *ret_deleted (may be NULL) is how many there were. */
struct http_call *ssm_delete_parameters(struct aws *aws, const char *const *names, size_t n_names);
int ssm_delete_parameters_answer(
        const struct http_call *call, size_t *ret_deleted, struct err *err);
