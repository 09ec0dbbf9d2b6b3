/* SPDX-License-Identifier: MIT */

/*
 * Calls: recognizing them, finding their answers, and recording their times.
 */

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

#define CALLS_MAX 100000
#define ANSWERS_MAX 64
#define LINE_SIZE 512

static struct call calls[CALLS_MAX];
static size_t n_calls;
static struct answer answers[ANSWERS_MAX];
static size_t n_answers;

/* -- names -- */

static const struct {
        const char *pattern;
        const char *name;
        int status;
} routes[] = {
        {"GET /2018-06-01/runtime/invocation/next", "next", 200},
        {"POST /2018-06-01/runtime/invocation/*/response", "response", 202},
        {"POST /2018-06-01/runtime/invocation/*/error", "error", 202},
        {"PUT /latest/api/token", "token", 200},
        {"GET /latest/dynamic/instance-identity/document", "identity", 200},
        {"GET /latest/meta-data/iam/security-credentials/", "role", 200},
        {"GET /latest/meta-data/iam/security-credentials/?*", "credentials", 200},
        {"GET /latest/meta-data/spot/instance-action", "spot", 404},
        {"GET /latest/meta-data/tags/instance/*", "tag", 404},
        {"POST /app/installations/*/access_tokens", "access_tokens", 201},
        {"POST /*/actions/runners/generate-jitconfig", "generate-jitconfig", 201},
        {"POST /", "aws", 200},
};

/* Copies the word that follows BEGINNING in TEXT. */
static void copy_word(char *name, const char *text, const char *beginning)
{
        const char *found = strcasestr(text, beginning);

        if (!found)
                return;
        found += strlen(beginning);
        snprintf(name, CALL_NAME_SIZE, "%.*s", (int)strcspn(found, "&\"\r\n "), found);
}

/* The action, such as "RunInstances"; GetParameter also has the last part of the parameter's name.
 */
static void name_aws_call(struct call *call, const char *request)
{
        char target[CALL_NAME_SIZE] = "";
        char parameter[CALL_NAME_SIZE] = "";
        const char *dot;

        copy_word(target, request, "X-Amz-Target: ");
        if (target[0] == '\0')
                copy_word(target, request, "\r\nAction=");
        dot = strchr(target, '.');
        snprintf(call->name, CALL_NAME_SIZE, "%s", dot ? dot + 1 : target);
        if (!call_is(call, "GetParameter"))
                return;
        copy_word(parameter, request, "\"Name\":\"");
        dot = strrchr(parameter, '/');
        snprintf(call->name, CALL_NAME_SIZE, "GetParameter.%.40s", dot ? dot + 1 : parameter);
}

static void name_call(struct call *call, const char *request)
{
        char line[LINE_SIZE];
        const char *end = strstr(request, " HTTP/1.1\r\n");

        snprintf(line, sizeof(line), "%.*s", end ? (int)(end - request) : 0, request);
        strcpy(call->name, "unknown");
        call->status = 500;
        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
                if (fnmatch(routes[i].pattern, line, 0) != 0)
                        continue;
                snprintf(call->name, CALL_NAME_SIZE, "%s", routes[i].name);
                call->status = routes[i].status;
                break;
        }
        if (call_is(call, "aws"))
                name_aws_call(call, request);
}

bool call_is(const struct call *call, const char *name)
{
        return strcmp(call->name, name) == 0;
}

bool call_is_lambda(const struct call *call)
{
        return call_is(call, "next") || call_is(call, "response") || call_is(call, "error");
}

/* -- answers -- */

static void load_answer(int folder, const char *name)
{
        struct answer *answer = &answers[n_answers++];
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        struct stat st = {0};
        char *body;

        must(fd >= 0 && fstat(fd, &st) == 0 && n_answers < ANSWERS_MAX, name);
        snprintf(answer->name, CALL_NAME_SIZE, "%.63s", name);
        answer->size = (size_t)st.st_size;
        body = malloc(answer->size + 1);
        must(body && read(fd, body, answer->size) == st.st_size, name);
        answer->body = body;
        close(fd);
}

void calls_load(const char *folder)
{
        DIR *directory = opendir(folder);
        struct dirent *entry;

        must(directory, folder);
        while ((entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        load_answer(dirfd(directory), entry->d_name);
        closedir(directory);
}

const struct answer *call_answer(const struct call *call)
{
        static const struct answer none = {.body = ""};

        for (size_t i = 0; i < n_answers; i++)
                if (strcmp(answers[i].name, call->name) == 0)
                        return &answers[i];
        return &none;
}

/* -- the record -- */

struct call *calls_add(const char *name, const char *request, clockid_t cpu)
{
        struct call *call = &calls[n_calls++];

        must(n_calls < CALLS_MAX, "too many calls");
        call->received_ns = now_ns(CLOCK_MONOTONIC);
        call->cpu_ns = now_ns(cpu);
        if (name)
                snprintf(call->name, CALL_NAME_SIZE, "%s", name);
        else
                name_call(call, request);
        return call;
}

void calls_print(int64_t begun_ns)
{
        for (size_t i = 0; i < n_calls; i++) {
                const struct call *call = &calls[i];
                int64_t answered = call->answered_ns > 0 ? call->answered_ns - begun_ns : 0;

                printf("call %s %" PRId64 " %" PRId64 " %" PRId64 "\n", call->name,
                        (call->received_ns - begun_ns) / 1000, answered / 1000,
                        call->cpu_ns / 1000);
        }
}
