/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what GitHub says of the App's webhook, and of its deliveries.
 */

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"
#include "github/hooks.h"

/* GitHub cancels a job that has waited this long: what failed earlier does not matter any more. */
#define JOB_WAITS_MS (24 * 3600 * MSEC_PER_SEC)

/* -- the webhook -- */

void doctor_check_hook(struct doctor *doctor, struct finding *finding)
{
        static const char advice[] =
                "GitHub, the App's settings: Webhook; "
                "active, the stack's WebhookUrl, the secret, SSL verification enabled";
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct github_hook hook = {0};
        struct err err;

        if (!doctor_has_app(doctor, finding))
                return;
        call = ask_github(&doctor->scaler, doctor->github, github_get_hook, &err);
        if (!call || github_hook_answer(call, &hook, &err) < 0) {
                finding_fail(finding, advice, "%s", err.text);
                return;
        }
        finding_say(finding, "%s", hook.url);
        if (!hook.url[0])
                finding_fail(finding, advice, "it has no URL");
        else if (strncmp(hook.url, "https://", 8) != 0)
                finding_fail(finding, advice, "its URL is %s, without TLS", hook.url);
        if (!hook.has_secret)
                finding_fail(finding, advice, "it has no secret, so every delivery is refused");
        if (hook.is_insecure)
                finding_fail(finding, advice, "it does not check the certificate of its URL");
}

/* -- deliveries -- */

static const char *explain_status(int code)
{
        static const struct {
                int code;
                const char *text;
        } table[] = {
                {0, "the URL did not answer: compare it with the stack's WebhookUrl"},
                {401, "the App's webhook secret is not the one that is stored: `scaler setup`; "
                      "`recover` then has them delivered again"},
                {403, "nobody may call the function URL: compare its permissions with those of "
                      "the stack's template"},
                {404, "the URL is not that of the stack: compare it with WebhookUrl"},
                {422, "repository or installation are not configured, or a label of the job's own "
                      "cannot be used: GitHub shows the answer, which says which"},
                {503, "the function could not reach its queue or secret: "
                      "see its log; `recover` has them delivered again"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (table[i].code == code)
                        return table[i].text;
        return "see the delivery in the App's settings, Advanced, and the log of the function";
}

/* Whether the list has a later attempt of the delivery at INDEX. */
static bool was_redelivered(const struct github_deliveries *deliveries, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (strcmp(deliveries->items[i].guid, deliveries->items[index].guid) == 0)
                        return true;
        return false;
}

static void judge_deliveries(const struct doctor *doctor,
        const struct github_deliveries *deliveries, struct finding *finding)
{
        int64_t since = clock_wall_ms(doctor->scaler.clock) - JOB_WAITS_MS;
        const struct github_delivery *failed = NULL;
        unsigned count = 0;
        unsigned n_failed = 0;
        char time[CLOCK_TEXT_SIZE];

        for (size_t i = 0; i < deliveries->count && deliveries->items[i].at_ms >= since; i++) {
                const struct github_delivery *delivery = &deliveries->items[i];

                if (was_redelivered(deliveries, i))
                        continue;
                count++;
                if (delivery->status_code / 100 == 2)
                        continue;
                n_failed++;
                failed = failed ? failed : delivery;
        }
        if (failed)
                finding_fail(finding, explain_status(failed->status_code),
                        "%u of the last %u failed, the newest at %s: %s %s, %s", n_failed, count,
                        clock_format(failed->at_ms, time), failed->event, failed->action,
                        failed->status);
        else if (count > 0)
                finding_say(finding, "the last %u of 24 hours arrived", count);
        else
                finding_skip(finding, "there was none in 24 hours");
}

static int list_newest(struct github *github, struct http_call **ret_call, struct err *err)
{
        return github_list_deliveries(github, GITHUB_APP_HOOK, NULL, ret_call, err);
}

void doctor_check_deliveries(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(github_deliveries_release) struct github_deliveries deliveries = {0};
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct err err;

        if (doctor->config && !doctor->config->app_id) {
                finding_skip(finding,
                        "a personal token is used, no App: the log of recover names each "
                        "repository of which it cannot read the deliveries");
                return;
        }
        if (!doctor_has_app(doctor, finding))
                return;
        call = ask_github(&doctor->scaler, doctor->github, list_newest, &err);
        if (!call || github_list_deliveries_answer(call, &deliveries, &err) < 0)
                finding_fail(finding, NULL, "%s", err.text);
        else
                judge_deliveries(doctor, &deliveries, finding);
}
