/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Versions of GitHub's runner: which were published, and which the registered runners have.
 * GitHub gives jobs to a runner until 30 days after a newer version was published.
 * https://docs.github.com/en/actions/reference/runners/self-hosted-runners
 */

#include "github.h"

#define GITHUB_VERSION_SIZE 24

struct github_version {
        char text[GITHUB_VERSION_SIZE]; /* "2.338.0" */
        int64_t published_ms;           /* wall clock */
};

struct github_versions {
        struct github_version *items; /* owned */
        size_t count;
};

/* The last twenty releases of the runner. Any token will do, as the repository is public. */
struct http_call *github_list_versions(struct github *github, int64_t installation);
/* 0, GITHUB_NOT_FOUND where this GitHub has no such repository (GHES), or negative. */
int github_list_versions_answer(
        const struct http_call *call, struct github_versions *ret, struct err *err);
void github_versions_release(struct github_versions *versions);

/* The newest; NULL where there is none. */
const struct github_version *github_newest_version(const struct github_versions *versions);
/* When the first that is newer than VERSION was published; 0: none is newer. */
int64_t github_outdated_since_ms(const struct github_versions *versions, const char *version);

struct github_runner_version {
        char name[64];
        char version[GITHUB_VERSION_SIZE];
};

struct github_runner_versions {
        struct github_runner_version *items; /* owned */
        size_t count;
};

/* The first hundred runners of SCOPE; those that never connected have no version, and are missing.
 */
struct http_call *github_list_runners(
        struct github *github, int64_t installation, const char *scope);
int github_list_runners_answer(
        const struct http_call *call, struct github_runner_versions *ret, struct err *err);
void github_runner_versions_release(struct github_runner_versions *versions);
