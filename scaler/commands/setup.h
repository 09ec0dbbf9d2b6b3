/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler setup`: asks for the GitHub App's secrets, tries them at GitHub, and stores them where
 * the stack's functions read them. Everything is asked and tried before anything is changed.
 */

#include <stdbool.h>

#include "aws/aws.h"
#include "base/err.h"
#include "commands.h"
#include "config/config.h"
#include "github/app.h"
#include "scaler.h"

/* What is stored, below the prefix. */
enum setup_name {
        SETUP_PRIVATE_KEY,
        SETUP_WEBHOOK_SECRET,
        SETUP_TEAMS,
        SETUP_SLACK,
        SETUP_CONFIG,
        SETUP_ITEMS,
};

struct setup_item {
        char *parameter; /* "/scale-agent/github/private-key" */
        char *stored;    /* secret; NULL: there is none */
        char *value;     /* secret; NULL: what is present stays */
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
        bool interactive; /* there is a person at a terminal */

        char *app_id;
        bool generated;        /* the webhook secret is of our own making */
        struct config *config; /* what is given, or else stored; NULL: neither */
        struct setup_item items[SETUP_ITEMS];
        struct github github; /* with App id and key */
        struct github_app app;
};

/* setup_ask.c: the terminal. Each returns 0, -ENODATA at the end of input, or -ECANCELED. */
int ask_line(const char *question, bool hidden, struct buf *ret);
int ask_yes(const char *question, bool fallback, bool *ret);

/* setup_gather.c: options, environment, questions. -ENODATA: something is missing and there is
 * nobody to ask; the text names the option. */
int setup_gather(struct setup *setup, struct err *err);
/* What would be replaced, and may be: the rest stays. */
int setup_confirm(struct setup *setup, struct err *err);

/* setup_verify.c: 0, or negative with what is wrong and the next step. */
int setup_verify(struct setup *setup, struct err *err);

/* setup_store.c */
int setup_read(struct setup *setup, struct err *err);
int setup_store(struct setup *setup, struct err *err);
int setup_hook(struct setup *setup, struct err *err);
