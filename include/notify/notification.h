/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Telling people. A channel turns a notification into one HTTP call; to add one, write a function
 * as teams_call() and add a row to the table in notify.c.
 */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/http.h"

enum notification_severity {
        NOTIFICATION_INFO,
        NOTIFICATION_WARNING,
        NOTIFICATION_ERROR,
};

struct notification_fact {
        const char *name;
        const char *value;
};

#define NOTIFICATION_FACTS_MAX 12

struct notification {
        enum notification_severity severity;
        const char *title;                                      /* one line: what happened */
        const char *text;                                       /* what it means, and what to do */
        struct notification_fact facts[NOTIFICATION_FACTS_MAX]; /* job, repository, instance, … */
        size_t n_facts;
        const char *url; /* the job, or NULL */
        const char *key; /* what it is about: one of the same key is enough for a while */
};

/* Adds a fact; leaves it out when VALUE is NULL or "", or there are too many. */
void notification_fact(struct notification *notification, const char *name, const char *value);

/* As a queue message, and back; the strings of RET then belong to *ret_json, which the caller gives
 * to cJSON_Delete(). */
struct cJSON;
char *notification_print(const struct notification *notification);
int notification_parse(const char *text, size_t size, struct notification *ret,
        struct cJSON **ret_json, struct err *err);

struct notify_channel {
        const char *name;     /* "teams" */
        const char *variable; /* "TEAMS_WEBHOOK_URLS": a reference to one URL per line */
        /* The call that shows NOTIFICATION at URL. URL is secret as a whole. */
        struct http_call *(*call)(const char *url, const struct notification *notification);
        /* 0, or negative: the text names the channel, and never the URL. */
        int (*answer)(const struct http_call *call, struct err *err);
};

/* All channels, ended by one without a name. */
extern const struct notify_channel notify_channels[];

/* The channels themselves. Microsoft Teams: an Adaptive Card to a Workflows webhook; Slack: blocks
 * to an incoming webhook. */
struct http_call *teams_call(const char *url, const struct notification *notification);
int teams_answer(const struct http_call *call, struct err *err);
struct http_call *slack_call(const char *url, const struct notification *notification);
int slack_answer(const struct http_call *call, struct err *err);
