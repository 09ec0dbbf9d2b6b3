/* SPDX-License-Identifier: MIT */

/*
 * Stops a spec whose machines come up with nothing: its image or network is broken, and each
 * further machine would cost money for nothing. EC2 is asked for all machines of the spec that it
 * still shows, from the newest on. One that has a job tag, or was heard idling, worked. One that
 * ended without, or hangs past the boot limit, is bad. What EC2 or we ended says nothing, and
 * neither does one that still boots.
 */

#include "breaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "queue/tell_people.h"

#define PAGES_MAX 20

enum sign { SIGN_NONE, SIGN_GOOD, SIGN_BAD };

/* EC2's StateReason of machines that ended for reasons of their own. */
static const char *const own_ends[] = {
        "Client.InstanceInitiatedShutdown",
        "Client.InternalError",
        "Server.InternalError",
        "Client.InvalidSnapshot.NotFound",
};

static enum sign sign_of(const struct ec2_instance *machine, int64_t now_ms)
{
        if (ec2_instance_tag(machine, JOB_TAG) || ec2_instance_tag(machine, JOB_IDLE_TAG))
                return SIGN_GOOD;
        if (ec2_instance_lives(machine))
                return now_ms - machine->launched_ms > BREAKER_BOOT_LIMIT_MS ? SIGN_BAD : SIGN_NONE;
        for (size_t i = 0; i < ARRAY_SIZE(own_ends); i++)
                if (strcmp(machine->state_reason, own_ends[i]) == 0)
                        return SIGN_BAD;
        return SIGN_NONE;
}

/* The newest first. */
static int compare(const void *a, const void *b)
{
        const struct ec2_instance *first = *(const struct ec2_instance *const *)a;
        const struct ec2_instance *second = *(const struct ec2_instance *const *)b;

        return (first->launched_ms < second->launched_ms) -
               (first->launched_ms > second->launched_ms);
}

size_t breaker_count_bad(const struct ec2_instances *machines, int64_t now_ms)
{
        _cleanup_free_ const struct ec2_instance **sorted =
                mem_alloc((machines->count + 1) * sizeof(*sorted));
        size_t bad = 0;

        for (size_t i = 0; i < machines->count; i++)
                sorted[i] = &machines->items[i];
        qsort(sorted, machines->count, sizeof(*sorted), compare);
        for (size_t i = 0; i < machines->count; i++) {
                enum sign sign = sign_of(sorted[i], now_ms);

                if (sign == SIGN_GOOD)
                        break;
                bad += sign == SIGN_BAD;
        }
        return bad;
}

/* All of them or an error: EC2 does not list the newest first, and one that is missing may be good.
 */
static int find_machines(struct scaler *scaler, struct aws *aws, const char *spec,
        struct ec2_instances *ret, struct err *err)
{
        const struct config *config;
        unsigned pages = 0;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        do {
                _cleanup_(ec2_instances_release) struct ec2_instances page = {0};
                _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                        scaler, ec2_find_of_spec(aws, config->prefix, spec, ret->next_page));

                r = ec2_describe_instances_answer(call, &page, err);
                if (r == 0)
                        ec2_instances_add(ret, &page);
        } while (r == 0 && ret->next_page && ++pages < PAGES_MAX);
        if (r == 0 && ret->next_page)
                return err_set(err, -E2BIG, "there are more than %u pages of machines", pages);
        return r;
}

static void tell_stopped(struct scaler *scaler, const char *spec)
{
        const struct metric metric = {"SpecStopped", METRIC_COUNT, 1};
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .text = "Its newest machines ended or hang without having run a job. One is tried "
                        "every quarter of an hour; once it runs a job, all goes on by itself, and "
                        "no job is lost meanwhile. Look at the image, the network of the subnets, "
                        "and the console output of such an instance.",
        };
        char title[160];
        struct err err;

        scaler_emit_metrics(scaler, spec, &metric, 1, NULL, 0);
        snprintf(title, sizeof(title), "Spec %s: launches are stopped", spec);
        notification.title = title;
        notification.key = title;
        notification_fact(&notification, "Spec", spec);
        (void)tell_people(scaler, &notification, &err); /* logs a failure */
}

static void tell_goes_on(struct scaler *scaler, const char *spec)
{
        struct notification notification = {
                .severity = NOTIFICATION_INFO,
                .text = "One of its machines has run a job.",
        };
        char title[160];
        struct err err;

        snprintf(title, sizeof(title), "Spec %s: launches go on", spec);
        notification.title = title;
        notification.key = title;
        (void)tell_people(scaler, &notification, &err); /* logs a failure */
}

int breaker_note_dead(
        struct scaler *scaler, struct aws *aws, const struct config_spec *spec, struct err *err)
{
        _cleanup_(ec2_instances_release) struct ec2_instances machines = {0};
        int64_t now = clock_wall_ms(scaler->clock);
        struct breaker breaker = breaker_read(scaler, spec->name, false);
        int r;

        if (breaker.stopped_since_ms > 0)
                return 0; /* one that was tried */
        r = find_machines(scaler, aws, spec->name, &machines, err);
        if (r < 0 || breaker_count_bad(&machines, now) < BREAKER_BAD_MACHINES)
                return r;
        breaker = breaker_read(scaler, spec->name, true);
        if (breaker.stopped_since_ms > 0)
                return 0;
        breaker.stopped_since_ms = now;
        breaker.stopped_until_ms = now + BREAKER_PROBE_MS;
        r = breaker_store(scaler, spec->name, &breaker, err);
        if (r < 0)
                return r;
        log_error(&scaler->log, "spec is stopped: its machines end without having run a job",
                LOG_TEXT("spec", spec->name));
        tell_stopped(scaler, spec->name);
        return 0;
}

static bool is_over(const struct breaker *breaker, int64_t launched_ms)
{
        return breaker->stopped_since_ms > 0 && launched_ms >= breaker->stopped_since_ms;
}

int breaker_note_work(struct scaler *scaler, const char *spec, int64_t launched_ms, struct err *err)
{
        struct breaker breaker = breaker_read(scaler, spec, false);
        int r;

        if (!is_over(&breaker, launched_ms))
                return 0;
        breaker = breaker_read(scaler, spec, true); /* it also holds losses, which must stay */
        if (!is_over(&breaker, launched_ms))
                return 0;
        breaker.stopped_since_ms = 0;
        breaker.stopped_until_ms = 0;
        r = breaker_store(scaler, spec, &breaker, err);
        if (r < 0)
                return r;
        log_info(&scaler->log, "spec goes on: one of its machines has run a job",
                LOG_TEXT("spec", spec));
        tell_goes_on(scaler, spec);
        return 0;
}
