/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whom the runner runs as, and what it finds in its environment.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

#define ACCOUNT_GROUPS_MAX 256

struct account {
        char *name; /* owned, as all strings here */
        char *home;
        char *shell;
        uid_t uid;
        gid_t gid;
        bool is_other; /* than the agent's own */
        gid_t groups[ACCOUNT_GROUPS_MAX];
        int n_groups;
};

int account_find(const char *user, struct account *ret, struct err *err);
void account_release(struct account *account);

#define ENVIRONMENT_MAX 12

struct environment {
        char *variables[ENVIRONMENT_MAX + 1]; /* "NAME=value", ending with NULL; for execve() */
        size_t n;
};

/* Made from nothing: what the agent has in its own environment is none of a job's business. A
 * proxy, or what else all jobs are to have, goes into the file .env of the runner's folder. */
void environment_make(struct environment *ret, const struct account *account, const char *path,
        const char *jit_config);
/* Overwrites the values, of which one is secret. */
void environment_release(struct environment *environment);
