/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Notifications for people. A channel turns a notification into one HTTP call. To add a channel,
 * write functions like teams_call() and teams_answer(), and add a row to the table in
 * lib/notify/notification.c.
 */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/http_call.h"

enum notification_severity {
        NOTIFICATION_INFO,
        NOTIFICATION_WARNING,
        NOTIFICATION_ERROR,
};

struct notification_fact {
        const char *name;
        const char *value;
        const char *url; /* of a job, shown beside the value, or NULL; not part of a message */
};

#define NOTIFICATION_FACTS_MAX 12

struct notification {
        enum notification_severity severity;
        const char *title;                                      /* one line: what happened */
        const char *text;                                       /* what it means, and what to do */
        struct notification_fact facts[NOTIFICATION_FACTS_MAX]; /* job, repository, instance, … */
        size_t n_facts;
        const char *url; /* the job, or NULL */
        const char *key; /* what it is about; people need not see the same key again for a while */
};

/* Adds a fact, unless VALUE is NULL or "" or there are too many. The strings are borrowed. */
void notification_fact(struct notification *notification, const char *name, const char *value);

/* A notification as a queue message. notification_print() gives the message, which the caller
 * frees; notification_parse() reads one: 0, or negative. RET's strings point into *ret_json, which
 * the caller gives to cJSON_Delete(). */
struct cJSON;
char *notification_print(const struct notification *notification);
int notification_parse(const char *text, size_t size, struct notification *ret,
        struct cJSON **ret_json, struct err *err);

/* Many notifications as one, a fact for each, so that a bad hour does not flood the channel. */
struct notification_summary {
        struct notification notification;
        char *title;                          /* owned */
        char *values[NOTIFICATION_FACTS_MAX]; /* owned */
};

/* Sums up N notifications, of 2 to NOTIFICATION_FACTS_MAX, whose strings are borrowed. */
void notification_sum_up(
        const struct notification *all, size_t n, struct notification_summary *ret);
void notification_summary_release(struct notification_summary *summary);

struct notify_channel {
        const char *name;      /* "teams" */
        const char *title;     /* "Teams": for people */
        const char *variable;  /* "TEAMS_WEBHOOK_URLS": a reference to one URL per line */
        const char *parameter; /* below the prefix, where `scaler setup` stores these */
        /* A call that posts NOTIFICATION to URL, which is secret as a whole. */
        struct http_call *(*call)(const char *url, const struct notification *notification);
        /* 0, or negative: -EPROTO where it is refused, -EAGAIN where any would be, for now. The
         * text names the channel, but never the URL. */
        int (*answer)(const struct http_call *call, struct err *err);
};

/* All channels, ended by one without a name. */
#define NOTIFY_CHANNELS_MAX 7
extern const struct notify_channel notify_channels[];

/* The channels themselves. Microsoft Teams: an Adaptive Card to a Workflows webhook; Slack: blocks
 * to an incoming webhook. */
struct http_call *teams_call(const char *url, const struct notification *notification);
int teams_answer(const struct http_call *call, struct err *err);
struct http_call *slack_call(const char *url, const struct notification *notification);
int slack_answer(const struct http_call *call, struct err *err);
