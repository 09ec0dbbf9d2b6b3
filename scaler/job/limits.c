/* SPDX-License-Identifier: MIT */

/*
 * Counts machines by spec and repository. Those that are pending or running count. One that shuts
 * down does not: it takes no job any more, its end is certain, and its vCPUs are the account's
 * concern. So the next machine boots while it goes.
 */

#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/ec2.h"
#include "launch_name.h"

/* What is allowed shows in EC2's list within a minute, or came to nothing. */
#define GRANT_MS (60 * MSEC_PER_SEC)
/* A machine shows some seconds after its launch. One of a short job may have ended before anybody
 * looked, and whoever waits for its place should not wait for the rest of the minute. */
#define SHOWN_MS (20 * MSEC_PER_SEC)
/* Pages of 400: more machines than any limit allows. */
#define PAGES_MAX (CONFIG_MACHINES_MAX / 400 + 5)

bool limits_concern(const struct config *config, const struct config_spec *spec)
{
        return config->max_machines > 0 || config->max_machines_per_repository > 0 ||
               spec->max_machines > 0;
}

/* -- what lives -- */

/* Whom MACHINE is for. Those of an older release show it by their scope alone. */
static const char *repository_of(const struct ec2_instance *machine)
{
        static const char repos[] = "repos/";
        const char *repository = ec2_instance_tag(machine, JOB_REPOSITORY_TAG);
        const char *scope = ec2_instance_tag(machine, "scale-agent:scope");

        if (repository)
                return repository;
        return scope && strncmp(scope, repos, strlen(repos)) == 0 ? scope + strlen(repos) : "";
}

static void add_machine(struct machine_limits *limits, const char *spec, const char *repository)
{
        struct limit_count *count;

        for (size_t i = 0; i < limits->n_counts; i++) {
                count = &limits->counts[i];
                if (strcmp(count->spec, spec) != 0 ||
                        strcasecmp(count->repository, repository) != 0)
                        continue;
                count->machines++;
                return;
        }
        limits->counts = mem_resize(limits->counts, limits->n_counts + 1, sizeof(*limits->counts));
        count = &limits->counts[limits->n_counts++];
        *count = (struct limit_count){.machines = 1};
        snprintf(count->spec, sizeof(count->spec), "%s", spec);
        snprintf(count->repository, sizeof(count->repository), "%s", repository);
}

static void remove_grant(struct machine_limits *limits, size_t index)
{
        limits->grants[index] = limits->grants[--limits->n_grants];
}

/* EC2 shows MACHINE: it counts by itself from now on, and when it has ended, no longer. */
static void end_grants(struct machine_limits *limits, const struct ec2_instance *machine)
{
        for (size_t i = limits->n_grants; i > 0; i--)
                if (launch_name_owns(limits->grants[i - 1].launch, machine))
                        remove_grant(limits, i - 1);
}

static void count_page(struct machine_limits *limits, const struct ec2_instances *page)
{
        for (size_t i = 0; i < page->count; i++) {
                const struct ec2_instance *machine = &page->items[i];
                const char *spec = ec2_instance_tag(machine, "scale-agent:spec");

                end_grants(limits, machine);
                if (ec2_instance_lives(machine))
                        add_machine(limits, spec ? spec : "", repository_of(machine));
        }
}

static void end_old_grants(struct machine_limits *limits, int64_t now_ms)
{
        for (size_t i = limits->n_grants; i > 0; i--)
                if (limits->grants[i - 1].until_ms <= now_ms)
                        remove_grant(limits, i - 1);
}

int limits_count(struct scaler *scaler, struct aws *aws, const struct config *config,
        int64_t kept_ms, struct setback *ret_setback)
{
        struct machine_limits *limits = &scaler->limits;
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        _cleanup_free_ char *next = NULL;
        unsigned pages = 0;

        end_old_grants(limits, now_ms);
        if (limits->counted_ms > 0 && now_ms - limits->counted_ms < kept_ms)
                return 0;
        limits->n_counts = 0;
        limits->counted_ms = 0;
        do {
                _cleanup_(ec2_instances_release) struct ec2_instances page = {0};
                _cleanup_(http_call_freep) struct http_call *call = scaler_call(scaler,
                        ec2_list_instances(aws, "scale-agent:prefix", config->prefix, next));
                struct err err;
                int r = ec2_describe_instances_answer(call, &page, &err);

                if (r < 0) {
                        err_prefix(&err, r, "machines could not be counted");
                        *ret_setback = setback_by_aws(call, r, &err);
                        return r;
                }
                count_page(limits, &page);
                free(next);
                next = MEM_STEAL(page.next_page);
        } while (next && ++pages < PAGES_MAX);
        limits->counted_ms = now_ms;
        return 0;
}

/* -- limits -- */

/* Machines of SPEC (NULL: of any) for REPOSITORY (NULL: for any). */
static int64_t living(const struct machine_limits *limits, const char *spec, const char *repository)
{
        int64_t n = 0;

        for (size_t i = 0; i < limits->n_counts; i++) {
                const struct limit_count *count = &limits->counts[i];

                if ((!spec || strcmp(count->spec, spec) == 0) &&
                        (!repository || strcasecmp(count->repository, repository) == 0))
                        n += count->machines;
        }
        for (size_t i = 0; i < limits->n_grants; i++) {
                const struct limit_grant *grant = &limits->grants[i];

                n += (!spec || strcmp(grant->spec, spec) == 0) &&
                     (!repository || strcasecmp(grant->repository, repository) == 0);
        }
        return n;
}

int64_t limits_room(const struct scaler *scaler, const struct config *config,
        const struct config_spec *spec, const char *repository, enum limit *ret_limit)
{
        const struct machine_limits *limits = &scaler->limits;
        const struct {
                enum limit limit;
                int64_t most;
                const char *spec;
                const char *repository;
        } rows[] = {
                {LIMIT_REPOSITORY, config->max_machines_per_repository, NULL, repository},
                {LIMIT_SPEC, spec->max_machines, spec->name, NULL},
                {LIMIT_ALL, config->max_machines, NULL, NULL},
        };
        int64_t least = INT64_MAX;

        *ret_limit = LIMIT_NONE;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t room = rows[i].most - living(limits, rows[i].spec, rows[i].repository);

                if (rows[i].most == 0 || room >= least)
                        continue;
                least = room;
                *ret_limit = rows[i].limit;
        }
        return least;
}

int64_t limits_living(const struct scaler *scaler, const char *spec, const char *repository)
{
        return living(&scaler->limits, spec, repository);
}

void limits_grant(struct scaler *scaler, const struct job *job)
{
        struct machine_limits *limits = &scaler->limits;
        struct limit_grant *grant;

        limits_revoke(scaler, job);
        limits->grants = mem_resize(limits->grants, limits->n_grants + 1, sizeof(*limits->grants));
        grant = &limits->grants[limits->n_grants++];
        launch_name(job, grant->launch);
        snprintf(grant->spec, sizeof(grant->spec), "%s", job->spec);
        snprintf(grant->repository, sizeof(grant->repository), "%s", job->repository);
        grant->until_ms = clock_monotonic_ms(scaler->clock) + GRANT_MS;
}

void limits_launched(struct scaler *scaler, const struct job *job)
{
        struct machine_limits *limits = &scaler->limits;
        char launch[LAUNCH_NAME_SIZE];

        launch_name(job, launch);
        for (size_t i = 0; i < limits->n_grants; i++)
                if (strcmp(limits->grants[i].launch, launch) == 0)
                        limits->grants[i].until_ms = clock_monotonic_ms(scaler->clock) + SHOWN_MS;
}

void limits_revoke(struct scaler *scaler, const struct job *job)
{
        struct machine_limits *limits = &scaler->limits;
        char start[LAUNCH_NAME_SIZE];
        size_t size = (size_t)snprintf(
                start, sizeof(start), "%lld-%lld-", (long long)job->id, (long long)job->attempt);

        for (size_t i = limits->n_grants; i > 0; i--)
                if (strncmp(limits->grants[i - 1].launch, start, size) == 0)
                        remove_grant(limits, i - 1);
}

void limits_explain(enum limit limit, const struct config *config, const struct config_spec *spec,
        const char *repository, char text[static LIMIT_TEXT_SIZE])
{
        switch (limit) {
        case LIMIT_ALL:
                snprintf(text, LIMIT_TEXT_SIZE, "max_machines: %lld machines live",
                        (long long)config->max_machines);
                return;
        case LIMIT_SPEC:
                snprintf(text, LIMIT_TEXT_SIZE, "max_machines of spec %s: %lld machines live",
                        spec->name, (long long)spec->max_machines);
                return;
        case LIMIT_REPOSITORY:
                snprintf(text, LIMIT_TEXT_SIZE,
                        "max_machines_per_repository: %lld machines live for %s",
                        (long long)config->max_machines_per_repository, repository);
                return;
        case LIMIT_LINE:
                snprintf(text, LIMIT_TEXT_SIZE, "other jobs wait at a limit, and come first");
                return;
        case LIMIT_NONE:
        default:
                text[0] = '\0';
                return;
        }
}
