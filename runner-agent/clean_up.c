/* SPDX-License-Identifier: MIT */

/*
 * Deleting the parameter, and looking for it once more.
 */

#include "clean_up.h"

#include <errno.h>
#include <stdlib.h>

#include "agent.h"
#include "aws/ssm.h"
#include "base/mem.h"

#define RETRY_FIRST_MS 250
#define RETRY_MOST_MS (60 * MSEC_PER_SEC)
#define RETRY_MOST_AT_END_MS 1000

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);
static void look_for_parameter(struct agent *agent);

static char *parameter_name(const struct agent *agent)
{
        return handover_parameter(agent->settings.prefix, agent->identity.instance_id);
}

static void end_clean_up(struct agent *agent, int result)
{
        struct clean_up *clean_up = &agent->clean_up;
        agent_done done = MEM_STEAL(clean_up->done);

        clean_up_release(agent);
        done(agent, result, &clean_up->err);
}

static void try_later(struct agent *agent)
{
        struct clean_up *clean_up = &agent->clean_up;
        int64_t most = clean_up->done ? RETRY_MOST_AT_END_MS : RETRY_MOST_MS;

        clean_up->failures++;
        log_debug(agent_log(agent), "parameter not deleted, will be tried again",
                LOG_TEXT("error", clean_up->err.text));
        agent_timer(agent, &clean_up->timer,
                agent_backoff_ms(clean_up->failures, RETRY_FIRST_MS, most), on_time);
}

static void on_gone(struct agent *agent)
{
        agent->clean_up.is_deleted = true;
        agent->clean_up.was_refused = false;
        agent->clean_up.failures = 0;
        if (agent->clean_up.done)
                end_clean_up(agent, 0);
}

static void on_deleted(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;
        struct clean_up *clean_up = &agent->clean_up;
        int r = ssm_delete_parameter_answer(call, &clean_up->err);

        agent_call_drop(agent, &clean_up->call);
        if (r == -EACCES) {
                clean_up->was_refused = true;
                look_for_parameter(agent);
        } else if (r < 0) {
                try_later(agent);
        } else {
                log_debug(agent_log(agent), "parameter deleted");
                on_gone(agent);
        }
}

static void delete_parameter(struct agent *agent)
{
        _cleanup_free_ char *name = parameter_name(agent);
        struct http_call *call = ssm_delete_parameter(agent_aws(agent), name);

        call->tries_max = 1;
        agent_call(agent, &agent->clean_up.call, call, on_deleted);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)usec;
        delete_parameter(agent);
        return 0;
}

void clean_up_start(struct agent *agent)
{
        struct clean_up *clean_up = &agent->clean_up;

        if (agent->receive.was_seen && !clean_up->is_deleted && !clean_up->call && !clean_up->timer)
                delete_parameter(agent);
}

/* A role that is allowed its own parameter only is refused one that does not exist (its tag cannot
 * match), so a refusal to read means that it is gone. One that can be read and not deleted is
 * there.
 */
static void on_looked(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;
        struct clean_up *clean_up = &agent->clean_up;
        _cleanup_buf_ struct buf value = BUF_INIT(call->answer_limit);
        struct err err;
        int r = ssm_get_parameter_answer(call, &value, &err);

        agent_call_drop(agent, &clean_up->call);
        if (r == SSM_NOT_FOUND || r == -EACCES) {
                on_gone(agent);
        } else if (clean_up->was_refused) {
                clean_up->was_refused = false;
                try_later(agent);
        } else if (r == 0) {
                agent->receive.was_seen = true;
                clean_up->is_deleted = false;
                delete_parameter(agent);
        } else {
                log_debug(
                        agent_log(agent), "parameter not looked for", LOG_TEXT("error", err.text));
                end_clean_up(agent, 0);
        }
}

static void look_for_parameter(struct agent *agent)
{
        _cleanup_free_ char *name = parameter_name(agent);
        struct http_call *call = ssm_get_parameter(agent_aws(agent), name);

        agent_call(agent, &agent->clean_up.call, call, on_looked);
}

/* -- at the end ------------------------------------------------------------------------------- */

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        struct clean_up *clean_up = &agent->clean_up;
        bool is_left = agent->receive.was_seen && !clean_up->is_deleted;
        _cleanup_free_ char *name = parameter_name(agent);

        (void)source;
        (void)usec;
        if (is_left && !clean_up->err.text[0])
                err_set(&clean_up->err, 0, "SSM did not answer in time");
        if (is_left)
                log_error(agent_log(agent), "parameter left behind, the scaler will delete it",
                        LOG_TEXT("parameter", name), LOG_TEXT("error", clean_up->err.text));
        end_clean_up(agent, is_left ? -ETIMEDOUT : 0);
        return 0;
}

void clean_up_finish(struct agent *agent, int64_t limit_ms, agent_done done)
{
        struct clean_up *clean_up = &agent->clean_up;

        clean_up->done = done;
        clean_up->failures = 0;
        if (!agent_has_aws(agent)) {
                end_clean_up(agent, 0);
                return;
        }
        agent_timer(agent, &clean_up->limit, limit_ms, on_limit);
        if (clean_up->call)
                return; /* on_deleted() goes on */
        agent_timer_stop(&clean_up->timer);
        if (agent->receive.was_seen && !clean_up->is_deleted)
                delete_parameter(agent);
        else
                look_for_parameter(agent);
}

void clean_up_release(struct agent *agent)
{
        agent_call_drop(agent, &agent->clean_up.call);
        agent_timer_stop(&agent->clean_up.timer);
        agent_timer_stop(&agent->clean_up.limit);
}
