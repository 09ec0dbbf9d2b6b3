/* SPDX-License-Identifier: MIT */

/*
 * See agent_stand.h.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent_stand.h"
#include "base/mem.h"

#define TURNS_MAX 500

static void keep_message(struct log_sink *sink, enum log_level level, const char *message,
        const struct log_field *fields, size_t n_fields)
{
        struct stand *stand = (struct stand *)((char *)sink - offsetof(struct stand, sink));
        size_t size = strlen(stand->logged);

        (void)level;
        (void)fields;
        (void)n_fields;
        snprintf(stand->logged + size, sizeof(stand->logged) - size, "%s\n", message);
}

const char *stand_logged(const struct stand *stand, const char *words)
{
        return strstr(stand->logged, words);
}

int stand_make(void **state)
{
        struct stand *stand = mem_alloc(sizeof(*stand));

        unsetenv("AWS_ENDPOINT_URL");
        agent_init(&stand->agent);
        stand->identify.agent = &stand->agent;
        stand->receive.agent = &stand->agent;
        stand->alarm.agent = &stand->agent;
        stand->idle.agent = &stand->agent;
        stand->reporter.agent = &stand->agent;
        stand->clean_up.agent = &stand->agent;
        stand->script = script_new();
        stand->agent.clock = script_clock(stand->script);
        stand->agent.http = script_http(stand->script);
        stand->sink.write = keep_message;
        stand->agent.log.sink = &stand->sink;
        stand->agent.log.level = LOG_LEVEL_ERROR;
        stand->agent.settings.identify_limit_seconds = 10;
        script_serve(stand->script, "GET", BUCKET_TAG_URL, NULL, 404, "");
        *state = stand;
        return 0;
}

/* As it is after identify. */
int stand_make_identified(void **state)
{
        struct aws_credentials credentials = {
                .access_key = mem_string("AKIA"),
                .secret_key = mem_string("secret"),
        };
        struct agent *agent;

        stand_make(state);
        agent = &((struct stand *)*state)->agent;
        agent->is_identified = true;
        strcpy(agent->identity.instance_id, "i-0123456789abcdef0");
        strcpy(agent->identity.region, "eu-central-1");
        strcpy(agent->identity.account, "123456789012");
        agent->metadata_token = mem_string("TOKEN");
        aws_set_credentials(agent_aws(agent), &credentials);
        return 0;
}

void stand_use_s3(struct stand *stand)
{
        stand->agent.bucket = mem_string("b");
}

int stand_free(void **state)
{
        struct stand *stand = *state;

        alarm_release(&stand->alarm);
        idle_release(&stand->idle);
        receive_release(&stand->receive);
        reporter_release(&stand->reporter);
        clean_up_release(&stand->clean_up);
        identify_release(&stand->identify);
        agent_release(&stand->agent); /* which checks that the script was followed */
        free(stand);
        return 0;
}

void stand_done(void *userdata, int result, const struct err *err)
{
        struct told *told = &((struct stand *)userdata)->told;

        told->calls++;
        told->result = result;
        if (err)
                told->err = *err;
}

static void on_alarm(
        void *userdata, enum report_stage outcome, const char *reason, int64_t grace_ms)
{
        struct told *told = &((struct stand *)userdata)->told;

        told->calls++;
        told->stage = outcome;
        told->grace_ms = grace_ms;
        err_set(&told->err, 0, "%s", reason ? reason : "");
}

static void on_idle(void *userdata)
{
        ((struct stand *)userdata)->told.idles++;
}

static void on_token_expired(void *userdata)
{
        struct stand *stand = userdata;

        identify_refresh(&stand->identify);
}

const struct alarm_events stand_alarm_events = {
        .raised = on_alarm,
        .idle = on_idle,
        .token_expired = on_token_expired,
};

static void turn(struct stand *stand)
{
        http_finish(stand->agent.http);
        sd_event_run(agent_event(&stand->agent), 10000);
}

void stand_go_on_until(struct stand *stand, unsigned calls)
{
        for (int i = 0; i < TURNS_MAX && stand->told.calls < calls; i++)
                turn(stand);
        assert_int_equal(stand->told.calls, calls);
}

void stand_go_on(struct stand *stand, const bool *condition)
{
        for (int i = 0; i < TURNS_MAX && !*condition; i++)
                turn(stand);
        assert_true(*condition);
}
