/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler setup`: asks for the GitHub App's secrets, verifies them at GitHub, and stores them where
 * the stack's functions read them. Nothing is changed before everything is verified.
 */

#include <stdbool.h>

#include "aws/aws.h"
#include "base/err.h"
#include "commands.h"
#include "config/config.h"
#include "github/app.h"
#include "notify/notification.h"
#include "scaler.h"

/* The parameters below the prefix. */
enum setup_name {
        SETUP_PRIVATE_KEY,
        SETUP_WEBHOOK_SECRET,
        SETUP_CONFIG,
        SETUP_CHANNELS, /* the first of notify_channels; the others follow it */
        SETUP_FIXED_MAX = SETUP_CHANNELS + NOTIFY_CHANNELS_MAX, /* SSM reads ten at once */
        /* After these come the token for enterprises and the keys of additional Apps, as
         * configured. */
        SETUP_ITEMS_MAX = SETUP_FIXED_MAX + 10,
};

struct setup_item {
        char *parameter; /* "/scale-agent/github/private-key" */
        char *stored;    /* secret: what SSM holds; NULL: nothing */
        char *value;     /* secret: what will be stored; NULL: no change */
        int64_t app;     /* the additional App whose key it is; 0: of none */
};

struct setup {
        struct scaler scaler;
        struct aws *aws;
        const char *prefix;
        const char *config_file; /* options; NULL: not given */
        const char *key_file;
        const char *webhook_url;
        bool generate_secret;
        bool set_webhook;
        bool yes;
        bool interactive; /* a person at a terminal can be asked */

        char *app_id;
        bool generated;        /* setup made the webhook secret itself */
        struct config *config; /* the given one, or else the stored one; may be NULL */
        struct setup_item items[SETUP_ITEMS_MAX];
        size_t n_items;
        size_t n_fixed;       /* of those that do not depend on the configuration */
        struct github github; /* with App id and key */
        struct github_app app;
};

/* setup_ask.c: asks at the terminal. 0, -ENODATA at the end of the input, or -ECANCELED. */
int ask_line(const char *question, bool hidden, struct buf *ret);
int ask_yes(const char *question, bool fallback, bool *ret);

/* setup_gather.c: takes values from options, the environment and answers. -ENODATA: one is missing
 * and nobody can be asked; the text names the option. */
int setup_gather(struct setup *setup, struct err *err);
/* Asks; without a terminal, fails and names the OPTION that gives the answer. */
int setup_ask(struct setup *setup, const char *question, bool hidden, const char *option,
        struct buf *ret, struct err *err);
int setup_read_file(struct setup *setup, const char *path, struct buf *ret, struct err *err);
/* Asks before each value that would be replaced; drops those that may not. */
int setup_confirm(struct setup *setup, struct err *err);

/* setup_verify.c: 0, or negative; the text says what is wrong and what to do. */
int setup_verify(struct setup *setup, struct err *err);

/* setup_apps.c: what the configuration names besides the first App: additional ones, enterprises.
 */
int setup_gather_apps(struct setup *setup, struct err *err);
int setup_verify_apps(struct setup *setup, struct err *err);

/* setup_store.c: reads and writes SSM, and sets the webhook at GitHub. */
int setup_read(struct setup *setup, struct err *err);
/* The items from FIRST on, at most ten. */
int setup_read_items(struct setup *setup, size_t first, struct err *err);
int setup_store(struct setup *setup, struct err *err);
int setup_hook(struct setup *setup, struct err *err);
