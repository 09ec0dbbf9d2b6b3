/* SPDX-License-Identifier: MIT */

/*
 * Looks for the parameter, then lets the grace pass, then asks for a worker.
 */

#include "idle.h"

#include <errno.h>

#include "base/mem.h"

/* In polls: how often the report is repeated, since an answer may have been lost; and the longest
 * pause when SSM refuses to be asked so often. */
#define REPEAT_POLLS 10
#define POLL_MOST 10

/* The starter answers at once: one that has not within this time does not know whether a worker
 * lives. */
#define WORKER_LIMIT_MS 5000

static void ask_later(struct idle *idle);

static void explain(const struct idle *idle, struct err *ret)
{
        err_set(ret, 0, "no job within %lld s", (long long)agent_idle_limit_seconds(idle->agent));
}

static int64_t poll_ms(const struct idle *idle)
{
        return idle->agent->settings.idle_poll_seconds * MSEC_PER_SEC;
}

static void report(struct idle *idle)
{
        struct err err;

        explain(idle, &err);
        idle->reported_ms = clock_monotonic_ms(idle->agent->clock);
        idle->events->report(idle->userdata, err.text);
}

/* -- the worker -- */

static void end_idle(struct idle *idle)
{
        const struct idle_events *events = idle->events;
        struct err err;

        explain(idle, &err);
        idle_release(idle);
        events->over(idle->userdata, err.text);
}

static int on_no_answer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        end_idle(userdata);
        return 0;
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct idle *idle = userdata;

        (void)source;
        (void)usec;
        agent_timer(idle->agent, &idle->timer, WORKER_LIMIT_MS, on_no_answer, idle);
        idle->events->ask_worker(idle->userdata);
        return 0;
}

/* A runner that has a worker and has not said so will do so. */
void idle_worker(struct idle *idle, bool lives)
{
        if (!idle->events)
                return;
        if (!lives) {
                end_idle(idle);
                return;
        }
        log_info(agent_log(idle->agent), "the runner has a worker, and is left alone");
        agent_timer(idle->agent, &idle->timer, poll_ms(idle), on_grace_over, idle);
}

/* -- the parameter -- */

static bool is_too_long(const struct idle *idle)
{
        return clock_monotonic_ms(idle->agent->clock) - idle->started_ms >=
               agent_job_limit_seconds(idle->agent) * MSEC_PER_SEC;
}

static void on_gone(struct idle *idle)
{
        struct agent *agent = idle->agent;

        log_info(agent_log(agent), "the runner is deregistered");
        agent_timer(agent, &idle->timer, agent->settings.idle_grace_seconds * MSEC_PER_SEC,
                on_grace_over, idle);
}

/* In SSM, the role may use only the parameter that carries this instance's tag, so that one which
 * is gone may be refused as well (clean_up.c). */
static void on_answer(struct http_call *call, void *userdata)
{
        struct idle *idle = userdata;
        struct agent *agent = idle->agent;
        _cleanup_buf_ struct buf value = BUF_INIT(call->answer_limit);
        struct err err;
        const struct store *store = agent_store(agent);
        int r = store_get_answer(store, call, &value, &err);

        agent_call_drop(agent, &idle->call);
        if (r == STORE_ABSENT || (r == -EACCES && store_hides_absence(store))) {
                on_gone(idle);
                return;
        }
        idle->failures = r < 0 ? idle->failures + 1 : 0;
        if (r < 0)
                log_debug(
                        agent_log(agent), "parameter not looked for", LOG_TEXT("error", err.text));
        if (is_too_long(idle)) {
                log_warning(agent_log(agent),
                        "nobody has deregistered the idle runner: it is stopped unless a job runs");
                on_grace_over(NULL, 0, idle);
                return;
        }
        if (clock_monotonic_ms(agent->clock) - idle->reported_ms >= REPEAT_POLLS * poll_ms(idle))
                report(idle);
        ask_later(idle);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct idle *idle = userdata;

        (void)source;
        (void)usec;
        agent_call_for_handover(idle->agent, &idle->call, on_answer, idle);
        return 0;
}

static void ask_later(struct idle *idle)
{
        int64_t delay =
                agent_backoff_ms(idle->failures + 1, poll_ms(idle), POLL_MOST * poll_ms(idle));

        agent_timer(idle->agent, &idle->timer, delay, on_time, idle);
}

void idle_start(struct idle *idle, const struct idle_events *events, void *userdata)
{
        idle_release(idle);
        idle->events = events;
        idle->userdata = userdata;
        idle->failures = 0;
        idle->started_ms = clock_monotonic_ms(idle->agent->clock);
        report(idle);
        ask_later(idle);
}

void idle_release(struct idle *idle)
{
        agent_call_drop(idle->agent, &idle->call);
        agent_timer_stop(&idle->timer);
        idle->events = NULL;
}
