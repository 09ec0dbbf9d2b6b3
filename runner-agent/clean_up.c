/* SPDX-License-Identifier: MIT */

/*
 * Deletes the parameter if a job has started, and looks for it only where that is refused.
 */

#include "clean_up.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

#define RETRY_FIRST_MS 250
#define RETRY_MOST_MS (60 * MSEC_PER_SEC)
#define RETRY_MOST_AT_END_MS 1000

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);
static void look_for_parameter(struct clean_up *clean_up);

static bool is_left(const struct clean_up *clean_up)
{
        return clean_up->agent->has_parameter && !clean_up->agent->has_deleted_parameter;
}

static void end_clean_up(struct clean_up *clean_up, int result)
{
        agent_done done = MEM_STEAL(clean_up->done);

        clean_up_release(clean_up);
        done(clean_up->userdata, result, &clean_up->err);
}

/* -- deleting -- */

static void try_later(struct clean_up *clean_up)
{
        int64_t most = clean_up->done ? RETRY_MOST_AT_END_MS : RETRY_MOST_MS;
        int64_t delay = agent_backoff_ms(++clean_up->failures, RETRY_FIRST_MS, most);

        log_debug(agent_log(clean_up->agent), "parameter not deleted, will be tried again",
                LOG_TEXT("error", clean_up->err.text));
        agent_timer(clean_up->agent, &clean_up->timer, delay, on_time, clean_up);
}

static void on_gone(struct clean_up *clean_up)
{
        clean_up->failures = 0;
        if (clean_up->done)
                end_clean_up(clean_up, 0);
}

static void on_deleted(struct http_call *call, void *userdata)
{
        struct clean_up *clean_up = userdata;
        const struct store *store = agent_store(clean_up->agent);
        int r = store_delete_answer(store, call, &clean_up->err);

        agent_call_drop(clean_up->agent, &clean_up->call);
        if (r == -EACCES && store_hides_absence(store)) {
                look_for_parameter(clean_up);
        } else if (r < 0) {
                try_later(clean_up);
        } else {
                log_debug(agent_log(clean_up->agent), "parameter deleted");
                clean_up->agent->has_deleted_parameter = true;
                on_gone(clean_up);
        }
}

static void delete_parameter(struct clean_up *clean_up)
{
        struct agent *agent = clean_up->agent;
        struct http_call *call = store_delete(agent_store(agent), agent->identity.instance_id);

        call->tries_max = 1;
        agent_call(agent, &clean_up->call, call, on_deleted, clean_up);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        delete_parameter(userdata);
        return 0;
}

void clean_up_start(struct clean_up *clean_up)
{
        if (is_left(clean_up) && !clean_up->call && !clean_up->timer)
                delete_parameter(clean_up);
}

/* -- looking for it -- */

/* In SSM, the role may use only the parameter that carries this instance's tag. One that does not
 * exist has no tag, so that a refusal to read means that it is gone; one that can be read but not
 * deleted is still there. */
static void on_looked(struct http_call *call, void *userdata)
{
        struct clean_up *clean_up = userdata;
        struct agent *agent = clean_up->agent;
        _cleanup_buf_ struct buf value = BUF_INIT(call->answer_limit);
        struct err err;
        const struct store *store = agent_store(agent);
        int r = store_get_answer(store, call, &value, &err);

        agent_call_drop(agent, &clean_up->call);
        if (r != STORE_ABSENT && r != -EACCES) {
                try_later(clean_up);
                return;
        }
        agent->has_parameter = false; /* not by this deletion, as far as is known */
        on_gone(clean_up);
}

static void look_for_parameter(struct clean_up *clean_up)
{
        struct agent *agent = clean_up->agent;
        struct http_call *call = store_get(agent_store(agent), agent->identity.instance_id);

        agent_call(agent, &clean_up->call, call, on_looked, clean_up);
}

/* -- at the end -- */

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct clean_up *clean_up = userdata;
        _cleanup_free_ char *name = agent_handover_name(clean_up->agent);

        (void)source;
        (void)usec;
        if (!clean_up->err.text[0])
                err_set(&clean_up->err, 0, "AWS did not answer in time");
        log_error(agent_log(clean_up->agent), "parameter left behind, the scaler will delete it",
                LOG_TEXT("parameter", name), LOG_TEXT("error", clean_up->err.text));
        end_clean_up(clean_up, -ETIMEDOUT);
        return 0;
}

void clean_up_finish(struct clean_up *clean_up, int64_t limit_ms, agent_done done, void *userdata)
{
        clean_up->done = done;
        clean_up->userdata = userdata;
        clean_up->failures = 0;
        if (!agent_has_aws(clean_up->agent) || !is_left(clean_up) ||
                clean_up->agent->times[REPORT_TIME_JOB_STARTED] == 0) {
                end_clean_up(clean_up, 0);
                return;
        }
        agent_timer(clean_up->agent, &clean_up->limit, limit_ms, on_limit, clean_up);
        if (clean_up->call)
                return; /* on_deleted() goes on */
        agent_timer_stop(&clean_up->timer);
        delete_parameter(clean_up);
}

void clean_up_release(struct clean_up *clean_up)
{
        agent_call_drop(clean_up->agent, &clean_up->call);
        agent_timer_stop(&clean_up->timer);
        agent_timer_stop(&clean_up->limit);
}
