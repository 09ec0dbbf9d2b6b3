/* SPDX-License-Identifier: MIT */

/*
 * One round of calls: the token first; with it, at the same time, the identity document (whose
 * answer also tells the time), the tag that names the bucket of the hand-over, and the name of the
 * role; then the role's credentials. When any of
 * them fails, the whole round is repeated after a back-off.
 */

#include "identify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "set_clock.h"

/* The metadata service is on the host: without an answer within a second, there is none. */
#define CONNECT_TIMEOUT_MS 1000
#define CALL_TIMEOUT_MS 2000

#define RETRY_FIRST_MS 50
#define RETRY_MOST_MS 500

/* EC2 provides new credentials at least five minutes before the old ones expire; the token is valid
 * for 6 h. */
#define REFRESH_BEFORE_END_MS (600 * MSEC_PER_SEC)
#define REFRESH_LEAST_MS (60 * MSEC_PER_SEC)
#define REFRESH_MOST_MS (18000 * MSEC_PER_SEC)
#define REFRESH_RETRY_FIRST_MS (2 * MSEC_PER_SEC)
#define REFRESH_RETRY_MOST_MS (60 * MSEC_PER_SEC)

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);
static void on_identity(struct http_call *call, void *userdata);
static void on_bucket(struct http_call *call, void *userdata);
static void on_role(struct http_call *call, void *userdata);
static void on_credentials(struct http_call *call, void *userdata);

static void drop_calls(struct identify *identify)
{
        agent_call_drop(identify->agent, &identify->token);
        agent_call_drop(identify->agent, &identify->identity);
        agent_call_drop(identify->agent, &identify->bucket);
        agent_call_drop(identify->agent, &identify->role);
        agent_call_drop(identify->agent, &identify->credentials);
}

static void start_call(struct identify *identify, struct http_call **slot, struct http_call *call,
        void (*done)(struct http_call *, void *))
{
        call->connect_timeout_ms = CONNECT_TIMEOUT_MS;
        call->try_timeout_ms = CALL_TIMEOUT_MS;
        call->timeout_ms = CALL_TIMEOUT_MS;
        call->tries_max = 1;
        agent_call(identify->agent, slot, call, done, identify);
}

static bool is_asking(const struct identify *identify)
{
        return identify->token || identify->identity || identify->bucket || identify->role ||
               identify->credentials;
}

/* -- how a round ends -- */

static void give_up(struct identify *identify)
{
        const struct agent *agent = identify->agent;
        agent_done done = MEM_STEAL(identify->done);
        long long seconds = agent->settings.identify_limit_seconds;
        struct err err;

        network_close(&identify->network);
        if (agent->is_identified)
                err_set(&err, -ETIMEDOUT,
                        "no AWS credentials within %lld s: "
                        "does the launch template name an instance profile? %s",
                        seconds, identify->err.text);
        else
                err_set(&err, -ETIMEDOUT,
                        "this is not an EC2 instance, "
                        "or its metadata service (IMDSv2) is off or out of reach: "
                        "no identity within %lld s: %s",
                        seconds, identify->err.text);
        done(identify->userdata, -ETIMEDOUT, &err);
}

/* The round has failed, for the reason in identify->err. */
static void try_later(struct identify *identify)
{
        struct agent *agent = identify->agent;
        int64_t delay;

        drop_calls(identify);
        identify->failures++;
        log_debug(agent_log(agent), "metadata not read", LOG_TEXT("error", identify->err.text));
        if (!identify->done) {
                delay = agent_backoff_ms(
                        identify->failures, REFRESH_RETRY_FIRST_MS, REFRESH_RETRY_MOST_MS);
                log_warning(agent_log(agent), "credentials not refreshed",
                        LOG_TEXT("error", identify->err.text));
                agent_timer(agent, &identify->timer, delay, on_time, identify);
                return;
        }
        delay = agent_backoff_ms(identify->failures, RETRY_FIRST_MS, RETRY_MOST_MS);
        if (identify->has_network_changed)
                delay = 0;
        identify->has_network_changed = false;
        if (clock_monotonic_ms(agent->clock) + delay >= identify->deadline_ms)
                give_up(identify);
        else
                agent_timer(agent, &identify->timer, delay, on_time, identify);
}

static int64_t refresh_delay_ms(const struct agent *agent, int64_t expires_ms)
{
        int64_t delay = expires_ms - clock_wall_ms(agent->clock) - REFRESH_BEFORE_END_MS;

        if (expires_ms == 0 || delay > REFRESH_MOST_MS)
                return REFRESH_MOST_MS;
        return delay > REFRESH_LEAST_MS ? delay : REFRESH_LEAST_MS;
}

/* All branches of a round lead here; the latest one ends it. */
static void join(struct identify *identify)
{
        struct agent *agent = identify->agent;
        agent_done done = identify->done;
        int64_t expires_ms = identify->found.expires_ms;

        if (!agent->is_identified || !identify->has_bucket || !identify->has_credentials)
                return;
        aws_set_credentials(agent_aws(agent), &identify->found);
        identify->has_credentials = false;
        identify->failures = 0;
        identify->done = NULL;
        agent_timer(
                agent, &identify->timer, refresh_delay_ms(agent, expires_ms), on_time, identify);
        if (done)
                done(identify->userdata, 0, NULL);
        network_close(&identify->network); /* last, since the kernel is slow to close its socket */
}

/* -- the calls -- */

static void on_token(struct http_call *call, void *userdata)
{
        struct identify *identify = userdata;
        struct agent *agent = identify->agent;
        char *token = NULL;
        int r = imds_token_answer(call, &token, &identify->err);

        agent_call_drop(agent, &identify->token);
        if (r < 0) {
                try_later(identify);
                return;
        }
        mem_free_secret(agent->metadata_token);
        agent->metadata_token = token;
        if (!agent->is_identified)
                start_call(identify, &identify->identity, imds_get(token, IMDS_PATH_IDENTITY),
                        on_identity);
        if (!identify->has_bucket)
                start_call(identify, &identify->bucket, imds_get(token, IMDS_PATH_TAG(STORE_TAG)),
                        on_bucket);
        start_call(identify, &identify->role, imds_get(token, IMDS_PATH_ROLES), on_role);
}

static void on_identity(struct http_call *call, void *userdata)
{
        struct identify *identify = userdata;
        struct agent *agent = identify->agent;
        int r = imds_identity_answer(call, &agent->identity, &identify->err);

        if (r >= 0)
                set_clock(agent, call); /* before the first TLS connection */
        agent_call_drop(agent, &identify->identity);
        if (r < 0) {
                try_later(identify);
                return;
        }
        agent->is_identified = true;
        agent_time(agent, REPORT_TIME_IDENTIFIED);
        agent_log_context(agent, "instance", agent->identity.instance_id);
        join(identify);
}

/* There is no such tag, or tags are not shown here: the hand-over is in SSM. */
static void on_bucket(struct http_call *call, void *userdata)
{
        struct identify *identify = userdata;
        struct agent *agent = identify->agent;
        char *bucket = NULL;
        int r = imds_text_answer(call, &bucket, &identify->err);

        agent_call_drop(agent, &identify->bucket);
        if (r < 0) {
                try_later(identify);
                return;
        }
        agent->bucket = bucket;
        identify->has_bucket = true;
        join(identify);
}

static void on_role(struct http_call *call, void *userdata)
{
        struct identify *identify = userdata;
        struct agent *agent = identify->agent;
        _cleanup_free_ char *roles = NULL;
        _cleanup_free_ char *path = NULL;
        int r = imds_text_answer(call, &roles, &identify->err);

        agent_call_drop(agent, &identify->role);
        if (r == IMDS_NOT_FOUND)
                r = err_set(&identify->err, -ENOENT, "the instance has no role");
        if (r < 0) {
                try_later(identify);
                return;
        }
        roles[strcspn(roles, "\r\n")] = '\0'; /* an instance has only one */
        path = mem_format("%s%s", IMDS_PATH_ROLES, roles);
        start_call(identify, &identify->credentials, imds_get(agent->metadata_token, path),
                on_credentials);
}

static void on_credentials(struct http_call *call, void *userdata)
{
        struct identify *identify = userdata;
        struct agent *agent = identify->agent;
        int r;

        aws_credentials_release(&identify->found);
        r = imds_credentials_answer(call, &identify->found, &identify->err);
        agent_call_drop(agent, &identify->credentials);
        if (r < 0) {
                try_later(identify);
                return;
        }
        identify->has_credentials = true;
        join(identify);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct identify *identify = userdata;

        (void)source;
        (void)usec;
        start_call(identify, &identify->token, imds_token(), on_token);
        return 0;
}

/* Repeats at once a round that failed, or is about to fail, for want of a network. */
static void on_network(void *userdata)
{
        struct identify *identify = userdata;

        if (is_asking(identify))
                identify->has_network_changed = true;
        else if (identify->done && identify->failures > 0)
                agent_timer(identify->agent, &identify->timer, 0, on_time, identify);
}

void identify_start(struct identify *identify, agent_done done, void *userdata)
{
        struct agent *agent = identify->agent;

        identify->done = done;
        identify->userdata = userdata;
        identify->deadline_ms = clock_monotonic_ms(agent->clock) +
                                agent->settings.identify_limit_seconds * MSEC_PER_SEC;
        network_open(&identify->network, agent, on_network, identify);
        start_call(identify, &identify->token, imds_token(), on_token);
}

void identify_refresh(struct identify *identify)
{
        if (is_asking(identify) || identify->failures > 0)
                return;
        agent_timer(identify->agent, &identify->timer, 0, on_time, identify);
}

void identify_release(struct identify *identify)
{
        drop_calls(identify);
        agent_timer_stop(&identify->timer);
        network_close(&identify->network);
        aws_credentials_release(&identify->found);
}
