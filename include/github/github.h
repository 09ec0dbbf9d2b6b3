/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The part of GitHub's REST API that runners need. Base URLs: https://api.github.com, GHES
 * https://HOST/api/v3, data residency https://api.SUBDOMAIN.ghe.com.
 * https://docs.github.com/en/rest/actions/self-hosted-runners
 *
 * Calls are made as a GitHub App or with a personal token. An App signs a JWT with its private key,
 * for which GitHub issues an installation token, valid for an hour. So a caller first looks for a
 * kept token of the installation (github_kept_token()), requests one where there is none
 * (github_access_token()), and then makes its call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/http_call.h"

/* Where runners are registered: "repos/OWNER/REPO", "orgs/ORG" or "enterprises/SLUG". Whoever may
 * administer the runners of a scope may delete any of them, whichever App registered it: the calls
 * ask for a permission of the scope, and a runner has no other owner. */
#define GITHUB_SCOPE_SIZE 256

/* Whether SCOPE is an enterprise. GitHub allows calls about its runners with a classic personal
 * token of scope manage_runners:enterprise only; none "works with GitHub App user access tokens,
 * GitHub App installation access tokens, or fine-grained personal access tokens".
 * https://docs.github.com/enterprise-cloud@latest/rest/actions/self-hosted-runners */
bool github_is_enterprise(const char *scope);

struct github_token {
        int64_t installation; /* 0 for a personal token */
        char *token;          /* secret */
        int64_t expires_ms;   /* wall clock; 0 = never */
};

struct github {
        const struct clock *clock;
        char *api_url;           /* without a slash at the end */
        char *app_id;            /* App id or client id; NULL: personal token */
        char *private_key;       /* PEM; secret */
        struct evp_pkey_st *key; /* the same as OpenSSL has it, from the first JWT on; owned */
        char *enterprise_token;  /* for scopes that are enterprises; NULL: there is none; secret */
        struct github_token *tokens; /* one per installation */
        size_t n_tokens;
};

/* Initializes GITHUB for an App, or for a personal token. The texts are copied. */
void github_init_app(struct github *github, const struct clock *clock, const char *api_url,
        const char *app_id, const char *private_key);
void github_init_token(
        struct github *github, const struct clock *clock, const char *api_url, const char *token);
void github_release(struct github *github);

/* Calls about runners of an enterprise are made with TOKEN, which is copied. */
void github_set_enterprise_token(struct github *github, const char *token);

/* -- tokens -- */

/* The kept token for INSTALLATION if it is valid for another five minutes, else NULL. Borrowed. */
const char *github_kept_token(const struct github *github, int64_t installation);

/* Forgets the token of INSTALLATION, as after -EKEYREJECTED from a call about runners: a token may
 * end early (App reinstalled, permissions changed). A personal token stays. */
void github_forget_token(struct github *github, int64_t installation);

/* Makes a call that requests a token. GitHub may answer a JWT that it has seen with 404, so that
 * after a failure of a repeated call another one is worth a try, with a JWT of its own. 0 and a
 * call, or negative when there is no installation or
 * the private key cannot sign (the text says what is wrong with it). */
int github_access_token(
        struct github *github, int64_t installation, struct http_call **ret_call, struct err *err);
/* Reads its answer, and keeps the token in GITHUB: 0 or negative; the text says what to check. */
int github_access_token_answer(
        struct github *github, const struct http_call *call, int64_t installation, struct err *err);

/* Makes a call that asks which installation of the App reaches SCOPE, a repository or organization:
 * 0 and a call, or negative as github_access_token().
 * https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
 */
int github_find_installation(
        struct github *github, const char *scope, struct http_call **ret_call, struct err *err);
struct github_found_installation {
        int64_t id;
        bool suspended;
};

/* 0, GITHUB_NOT_FOUND where the App is not installed, or negative. */
int github_find_installation_answer(
        const struct http_call *call, struct github_found_installation *ret, struct err *err);

/* A JWT for the App, which the caller frees: RS256, issued one minute ago, expiring in nine. */
int github_app_jwt(struct github *github, char **ret_jwt, struct err *err);

/* Whether CALL, which has failed, may be accepted later as it is: no answer, GitHub's own failures,
 * rate limits, a key that a person may replace. *ret_until_ms (wall clock) is when a limit ends, or
 * 0 where GitHub does not say. What is refused for another reason stays refused. */
bool github_call_is_passing(const struct http_call *call, int64_t now_ms, int64_t *ret_until_ms);

/* -- runners: each call needs the token of its installation to be kept -- */

/* Positive results. */
#define GITHUB_NAME_TAKEN 1 /* 409: a runner of that name exists */
#define GITHUB_NOT_FOUND 2
#define GITHUB_RUNNER_BUSY 3 /* 422: it runs a job, so it stays */

/* GitHub takes no more labels for a runner.
 * https://docs.github.com/en/rest/actions/self-hosted-runners: generate-jitconfig */
#define GITHUB_LABELS_MAX 100

/* Where a runner puts the repository and all that a job makes. On GitHub's own machines it is this
 * folder, which workflows, caches and compilers' outputs name. */
#define GITHUB_WORK_FOLDER "/home/runner/work"

struct github_runner_request {
        int64_t installation;
        const char *scope;
        const char *name; /* the instance id */
        const char *const *labels;
        size_t n_labels;
        int64_t runner_group_id;
};

struct http_call *github_generate_jitconfig(
        struct github *github, const struct github_runner_request *request);

struct github_jitconfig {
        int64_t runner_id;
        char *encoded; /* owned; secret */
};

void github_jitconfig_release(struct github_jitconfig *jitconfig);
/* 0, GITHUB_NAME_TAKEN, or negative; an answer without a configuration is -EBADMSG. */
int github_generate_jitconfig_answer(
        const struct http_call *call, struct github_jitconfig *ret, struct err *err);

struct http_call *github_find_runner(
        struct github *github, int64_t installation, const char *scope, const char *name);
struct github_runner {
        int64_t id;
        bool offline; /* not connected at the moment, or never yet */
        bool busy;    /* false does not prove that it has no job: GitHub may be late by minutes */
};

/* 0, GITHUB_NOT_FOUND, or negative. NAME must match exactly. */
int github_find_runner_answer(
        const struct http_call *call, const char *name, struct github_runner *ret, struct err *err);

struct http_call *github_delete_runner(
        struct github *github, int64_t installation, const char *scope, int64_t runner_id);
/* 0 (also when it is gone already), GITHUB_RUNNER_BUSY, or negative. */
int github_delete_runner_answer(const struct http_call *call, struct err *err);

/* -- jobs: each call needs the token of its installation to be kept -- */

/* Asks for job ID of REPOSITORY ("OWNER/REPO"). Needs the permission actions:read.
 * https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run */
struct http_call *github_get_job(
        struct github *github, int64_t installation, const char *repository, int64_t id);

struct github_job {
        char status[24]; /* "queued", "waiting", "pending", "requested", "in_progress", "completed"
                          */
        char runner[64]; /* the name of its runner; "" */
        char **labels;   /* its runs-on; owned */
        size_t n_labels;
};

void github_job_release(struct github_job *job);
/* 0, GITHUB_NOT_FOUND (deleted with its run or repository), or negative. */
int github_get_job_answer(const struct http_call *call, struct github_job *ret, struct err *err);
