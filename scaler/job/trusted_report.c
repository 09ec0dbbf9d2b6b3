/* SPDX-License-Identifier: MIT */

/*
 * Refuses reports without a ticket of ours, and replaces what a report says of its launch by what
 * the ticket says.
 */

#include "trusted_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "ticket.h"
#include "ticket_keys.h"

/* The clocks of machine and Lambda may differ so much. */
#define CLOCKS_DIFFER_MS (60 * 60 * MSEC_PER_SEC)
#define EXIT_CODE_MAX 255
/* Bytes of the texts that people read. */
#define REASON_MAX 1000
#define WORD_MAX 64
#define WORD_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

static int refuse(struct scaler *scaler, const cJSON *event, const char *why, const char *detail)
{
        const struct metric metric = {"ReportRefused", METRIC_COUNT, 1};
        const struct log_field properties[] = {LOG_TEXT("why", why)};
        const char *instance = json_string(event, "detail.instance_id");
        const char *reason = json_string(event, "detail.reason");
        char said_instance[WORD_MAX];
        char said_reason[WORD_MAX * 4];

        snprintf(said_instance, sizeof(said_instance), "%s", instance ? instance : "");
        snprintf(said_reason, sizeof(said_reason), "%s", reason ? reason : "");
        scaler_emit_metrics(scaler, NULL, &metric, 1, properties, ARRAY_SIZE(properties));
        log_warning(&scaler->log, "report refused and dropped", LOG_TEXT("why", why),
                LOG_TEXT("detail", detail), LOG_TEXT("said_instance", said_instance),
                LOG_TEXT("said_reason", said_reason));
        return REPORT_REFUSED;
}

/* -- the ticket -- */

/* A ticket may have a key that is newer than those we know. */
static int check_ticket(struct scaler *scaler, const cJSON *event, const struct ticket_place *place,
        struct ticket *ret, struct err *err)
{
        const char *text = json_string(event, "detail.ticket");
        int64_t now_ms = clock_wall_ms(scaler->clock);
        const char *keys;
        int refusal;
        int r;

        if (!text)
                return TICKET_ABSENT;
        r = ticket_keys_read(scaler, false, &keys, err);
        if (r < 0)
                return r;
        refusal = ticket_check(text, keys, place, now_ms, ret);
        if (refusal != TICKET_UNKNOWN_KEY)
                return refusal;
        r = ticket_keys_read(scaler, true, &keys, err);
        if (r < 0)
                return r;
        return keys ? ticket_check(text, keys, place, now_ms, ret) : refusal;
}

static int read_ticket(
        struct scaler *scaler, const cJSON *event, struct ticket *ret, struct err *err)
{
        const char *account = json_string(event, "account");
        struct ticket_place place = {.account = account ? account : ""};
        const struct config *config;
        struct aws *aws;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r != 0)
                return r;
        place.prefix = config->prefix;
        place.region = aws->region;
        r = check_ticket(scaler, event, &place, ret, err);
        return r > 0 ? refuse(scaler, event, ticket_refusal_name((enum ticket_refusal)r), NULL) : r;
}

/* -- what the ticket says, in place of what the report says -- */

static void replace(char **text, char **by)
{
        free(*text);
        *text = MEM_STEAL(*by);
}

/* Moves the ticket's values into REPORT; those that a report has no member for stay in TICKET. */
static void take_launch(struct report *report, struct ticket *ticket)
{
        replace(&report->prefix, &ticket->prefix);
        replace(&report->instance_id, &ticket->instance);
        replace(&report->instance_type, &ticket->type);
        replace(&report->spec, &ticket->spec);
        replace(&report->scope, &ticket->scope);
        report->runner_id = ticket->runner_id;
        report->before = ticket->times;
        handover_job_release(&report->job);
        report->job = ticket->job;
        ticket->job = (struct handover_job){0};
}

/* -- bounds of the rest -- */

static void cut(char *text, size_t limit)
{
        size_t size = 0;

        while (text && text[size]) {
                size_t next = utf8_character(text + size, strnlen(text + size, UTF8_SIZE_MAX));

                next = next > 0 ? next : 1;
                if (size + next > limit) {
                        text[size] = '\0';
                        return;
                }
                size += next;
        }
}

/* A word of EC2's or of the runner's; another is not there. */
static void need_word(char **text)
{
        if (*text && (strlen(*text) > WORD_MAX || (*text)[strspn(*text, WORD_CHARACTERS)] != '\0'))
                free(MEM_STEAL(*text));
}

/* A moment that is not within the machine's life is not there. */
static void bound(struct report *report, int64_t expires_ms, int64_t now_ms)
{
        int64_t first = report->before.launched - CLOCKS_DIFFER_MS;
        int64_t last = now_ms + CLOCKS_DIFFER_MS;

        if (last > expires_ms)
                last = expires_ms;
        for (size_t i = 0; i < REPORT_TIMES; i++)
                if (report->times[i] < first || report->times[i] > last)
                        report->times[i] = 0;
        if (report->exit_code < 0 || report->exit_code > EXIT_CODE_MAX)
                report->exit_code = -1;
        need_word(&report->zone);
        need_word(&report->result);
        cut(report->reason, REASON_MAX);
        cut(report->job_name, REASON_MAX);
}

int trusted_report_read(struct scaler *scaler, const cJSON *event, struct report *ret,
        int64_t *ret_expires_ms, struct err *err)
{
        _cleanup_(report_release) struct report report = {0};
        _cleanup_(ticket_release) struct ticket ticket = {0};
        struct err why;
        int r = read_ticket(scaler, event, &ticket, err);

        if (r != 0)
                return r;
        if (report_parse(json_get(event, "detail"), &report, &why) < 0)
                return refuse(scaler, event, "unreadable", why.text);
        take_launch(&report, &ticket);
        bound(&report, ticket.expires_ms, clock_wall_ms(scaler->clock));
        *ret_expires_ms = ticket.expires_ms;
        *ret = report;
        report = (struct report){0};
        return 0;
}
