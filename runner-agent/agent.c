/* SPDX-License-Identifier: MIT */

/*
 * Opens what the stages use, and starts calls and timers on the event loop for them. When memory or
 * descriptors for these run out, the agent aborts and systemd powers the machine off.
 */

#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "journal.h"

/* How late sd-event may fire; its default of 250 ms would exceed the agent's own time. */
#define TIMER_ACCURACY_US 1000

static int set_system_clock(int64_t wall_ms)
{
        struct timespec time = {
                .tv_sec = (time_t)(wall_ms / MSEC_PER_SEC),
                .tv_nsec = (long)(wall_ms % MSEC_PER_SEC) * 1000000,
        };

        return clock_settime(CLOCK_REALTIME, &time) < 0 ? -errno : 0;
}

void agent_init(struct agent *agent)
{
        *agent = (struct agent){
                .clock = &clock_system,
                .set_clock = set_system_clock,
                .version = "unknown",
                .log = {.level = LOG_LEVEL_INFO},
                .runner_log = {.level = LOG_LEVEL_INFO},
                .runner_exit_code = -1,
        };
        agent_settings_init(&agent->settings);
}

void agent_release(struct agent *agent)
{
        sd_event_source_disable_unref(agent->http_source);
        http_free(agent->http);
        sd_event_unref(agent->event);
        store_release(&agent->store);
        aws_release(&agent->aws);
        agent_settings_release(&agent->settings);
        handover_release(&agent->handover);
        mem_free_secret(agent->metadata_token);
        free(agent->bucket);
        free(agent->job_name);
        free(agent->result);
}

static void or_die(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "runner-agent: %s: %s\n", what, strerror(-r));
        abort();
}

sd_event *agent_event(struct agent *agent)
{
        if (!agent->event)
                or_die(sd_event_new(&agent->event), "the event loop cannot be opened");
        return agent->event;
}

static int on_http(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct agent *agent = userdata;

        (void)source;
        (void)fd;
        (void)events;
        http_dispatch(agent->http);
        return 0;
}

struct http *agent_http(struct agent *agent)
{
        _cleanup_free_ char *user_agent = NULL;
        struct http_transport *transport;
        struct err err;

        if (agent->http)
                return agent->http;
        user_agent = mem_format("scale-agent/%s runner-agent", agent->version);
        or_die(http_curl_new(user_agent, &transport, &err), "HTTP cannot be opened");
        agent->http = http_new(transport, agent->clock);
        or_die(sd_event_add_io(agent_event(agent), &agent->http_source, http_fd(agent->http),
                       EPOLLIN, on_http, agent),
                "HTTP cannot be watched");
        return agent->http;
}

struct aws *agent_aws(struct agent *agent)
{
        struct err err;

        if (!agent->aws.region)
                or_die(aws_init(&agent->aws, agent->identity.region, &err), "no region");
        return &agent->aws;
}

const struct store *agent_store(struct agent *agent)
{
        const struct imds_identity *identity = &agent->identity;
        _cleanup_free_ char *arns = NULL;

        if (agent->store.kind)
                return &agent->store;
        arns = mem_format("arn:%s:ec2:%s:%s:instance", aws_partition(identity->region),
                identity->region, identity->account);
        if (agent->bucket)
                store_init_s3(&agent->store, agent_aws(agent), agent->bucket, arns);
        else
                store_init_ssm(&agent->store, agent_aws(agent), agent->settings.prefix, arns);
        return &agent->store;
}

char *agent_handover_name(struct agent *agent)
{
        return store_name(agent_store(agent), agent->identity.instance_id);
}

bool agent_has_aws(const struct agent *agent)
{
        return agent->aws.region && agent->aws.credentials.access_key;
}

static void open_log(struct agent *agent, struct log *log)
{
        if (log->sink)
                return;
        if (journal_is_stderr()) {
                log->sink = journal_sink();
                return;
        }
        log_json_sink_init(&agent->json_sink, STDERR_FILENO, agent->clock);
        log->sink = &agent->json_sink.sink;
}

struct log *agent_log(struct agent *agent)
{
        open_log(agent, &agent->log);
        return &agent->log;
}

struct log *agent_runner_log(struct agent *agent)
{
        open_log(agent, &agent->runner_log);
        log_context(&agent->runner_log, "identifier", "runner");
        return &agent->runner_log;
}

void agent_log_context(struct agent *agent, const char *name, const char *text)
{
        log_context(&agent->log, name, text);
        log_context(&agent->runner_log, name, text);
}

void agent_time(struct agent *agent, enum report_time time)
{
        if (agent->times[time] == 0)
                agent->times[time] = clock_wall_ms(agent->clock);
}

int64_t agent_idle_limit_seconds(const struct agent *agent)
{
        return agent->handover.idle_limit_seconds > 0 ? agent->handover.idle_limit_seconds
                                                      : agent->settings.idle_limit_seconds;
}

int64_t agent_job_limit_seconds(const struct agent *agent)
{
        return agent->handover.job_limit_seconds > 0 ? agent->handover.job_limit_seconds
                                                     : agent->settings.job_limit_seconds;
}

void agent_call(struct agent *agent, struct http_call **slot, struct http_call *call,
        void (*done)(struct http_call *call, void *userdata), void *userdata)
{
        call->done = done;
        call->userdata = userdata;
        *slot = call;
        http_start(agent_http(agent), call);
}

void agent_call_for_handover(struct agent *agent, struct http_call **slot,
        void (*done)(struct http_call *call, void *userdata), void *userdata)
{
        struct http_call *call = store_get(agent_store(agent), agent->identity.instance_id);

        call->tries_max = 1;
        call->answer_limit = AGENT_HANDOVER_LIMIT;
        agent_call(agent, slot, call, done, userdata);
}

void agent_call_drop(struct agent *agent, struct http_call **slot)
{
        struct http_call *call = MEM_STEAL(*slot);

        if (!call)
                return;
        http_cancel(agent_http(agent), call);
        http_call_free(call);
}

void agent_timer(struct agent *agent, sd_event_source **source, int64_t ms,
        sd_event_time_handler_t handler, void *userdata)
{
        uint64_t delay_us = ms > 0 ? (uint64_t)ms * 1000 : 0;

        agent_timer_stop(source);
        or_die(sd_event_add_time_relative(agent_event(agent), source, CLOCK_BOOTTIME, delay_us,
                       TIMER_ACCURACY_US, handler, userdata),
                "a timer cannot be set");
}

void agent_timer_stop(sd_event_source **source)
{
        *source = sd_event_source_disable_unref(*source);
}

int64_t agent_backoff_ms(unsigned failures, int64_t first_ms, int64_t most_ms)
{
        int64_t delay = first_ms;
        uint32_t number = 0;

        while (failures-- > 1 && delay < most_ms)
                delay *= 2;
        if (delay > most_ms)
                delay = most_ms;
        if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
                number = (uint32_t)getpid() * 2654435761U;
        return delay / 2 + number % (delay / 2 + 1);
}
