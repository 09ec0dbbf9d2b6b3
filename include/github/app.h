/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The GitHub App itself, for `scaler setup` and `scaler doctor`: what it may do, where it is
 * installed, and how its webhook is doing. All calls are made with the App's JWT, so making one
 * fails when the private key cannot sign.
 * https://docs.github.com/en/rest/apps
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "github.h"

/* The permissions and events of an App that the scaler needs. */
enum {
        GITHUB_MAY_ADMINISTER = 1 << 0,       /* runners of repositories */
        GITHUB_MAY_RUN_ORGANIZATION = 1 << 1, /* runners of organizations */
        GITHUB_MAY_READ_ACTIONS = 1 << 2,     /* needed for the event */
        GITHUB_HEARS_JOBS = 1 << 3,           /* event workflow_job */
        GITHUB_MAY_RERUN = 1 << 4,            /* jobs; includes reading them */
};

/* "administration: write, event workflow_job": GRANTS as GitHub's settings call them. */
void github_name_grants(unsigned grants, struct buf *ret);

struct github_app {
        char name[128];
        char owner[64];
        char url[256]; /* its public page */
        unsigned grants;
};

int github_get_app(struct github *github, struct http_call **ret_call, struct err *err);
/* 0, or negative; the text says whether the key or the id is wrong. */
int github_get_app_answer(const struct http_call *call, struct github_app *ret, struct err *err);

struct github_installation {
        int64_t id;
        char account[64];
        bool suspended;
        unsigned grants; /* fewer than the App's until the account's owner accepts a change */
};

struct github_installations {
        struct github_installation *items; /* owned */
        size_t count;
};

/* The first hundred. */
int github_list_installations(struct github *github, struct http_call **ret_call, struct err *err);
int github_list_installations_answer(
        const struct http_call *call, struct github_installations *ret, struct err *err);
void github_installations_release(struct github_installations *installations);

struct github_hook {
        char url[512]; /* "" where there is none */
        bool has_secret;
        bool is_insecure; /* GitHub does not check the certificate of the URL */
};

int github_get_hook(struct github *github, struct http_call **ret_call, struct err *err);
/* Sets the URL (NULL: leaves it as it is) and SECRET of the App's webhook. */
int github_set_hook(struct github *github, const char *url, const char *secret,
        struct http_call **ret_call, struct err *err);
/* Reads the answer to either. */
int github_hook_answer(const struct http_call *call, struct github_hook *ret, struct err *err);
