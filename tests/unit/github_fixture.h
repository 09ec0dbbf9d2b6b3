/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GitHub with a personal token, on a scripted network. No error text may show the token.
 */

#include "github/github.h"
#include "script.h"

#define GITHUB_API "https://ghes.example.com/api/v3"
#define GITHUB_REPOSITORY "repos/octo-org/hello.world"
#define GITHUB_ORGANIZATION "orgs/octo-org"
#define GITHUB_NAME "i-0123456789abcdef0"
#define GITHUB_TOKEN "ghp_verysecret"

struct github_fixture {
        struct script *script;
        struct http *http;
        struct github github;
        struct err err;
};

/* For cmocka: *state is the fixture. */
int github_set_up(void **state);
int github_tear_down(void **state);

/* The next generate-jitconfig gets this answer. */
void github_fixture_expect(
        struct github_fixture *fixture, int status, const char *headers, const char *answer);

/* Each of these makes one call and reads its answer. */
int github_fixture_generate(
        struct github_fixture *fixture, const char *scope, struct github_jitconfig *ret);
int github_fixture_find(
        struct github_fixture *fixture, const char *scope, const char *name, int64_t *ret_id);
