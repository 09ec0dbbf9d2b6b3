/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler recover`: one sweep by hand, with the rights of the person who types it.
 */

#include "recover/sweep.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "commands.h"

#define DAY_MS (24 * 3600 * MSEC_PER_SEC)
#define DAYS_MAX 3 /* GitHub keeps deliveries no longer */

enum { OPTION_DRY_RUN, OPTION_DAYS, OPTION_JSON, N_OPTIONS };

static void print_actions(const struct sweep *sweep)
{
        const cJSON *action;
        const cJSON *unread;

        cJSON_ArrayForEach (action, sweep->actions)
                printf("%s%s %s: %s\n", sweep->is_dry ? "would " : "",
                        json_string(action, "action"), json_string(action, "subject"),
                        json_string(action, "reason"));
        cJSON_ArrayForEach (unread, sweep->unread)
                printf("deliveries are not read of %s: %s\n", json_string(unread, "scope"),
                        json_string(unread, "reason"));
        printf("looked at %u machines, %u hand-overs and %u deliveries with %u calls; "
               "%u done, %u left for the next time, %u failed\n",
                sweep->machines, sweep->parameters, sweep->deliveries, sweep->calls,
                sweep->is_dry ? 0 : (unsigned)cJSON_GetArraySize(sweep->actions), sweep->left,
                sweep->failed);
}

static void print_json(const struct sweep *sweep)
{
        _cleanup_json_ cJSON *json = sweep_print(sweep);
        _cleanup_free_ char *text = json_print(json);

        (void)puts(text);
}

static int recover_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        _cleanup_(scaler_release) struct scaler scaler = {0};
        _cleanup_(sweep_release) struct sweep sweep = {.scaler = &scaler};
        int code = cli_parse(&recover_command, argc, argv, values, NULL);
        long days = 0;
        char *end = NULL;

        scaler_init(&scaler);
        if (code != CLI_GO_ON)
                return code;
        if (values[OPTION_DAYS]) {
                days = strtol(values[OPTION_DAYS], &end, 10);
                if (*end || days < 1 || days > DAYS_MAX)
                        return cli_wrong(&recover_command, "--days: a number from 1 to 3");
        }
        (void)signal(SIGPIPE, SIG_IGN); /* of a connection that was closed */
        sweep.is_dry = values[OPTION_DRY_RUN];
        sweep.deliveries_ms = days * DAY_MS;
        sweep_run(&sweep);
        if (values[OPTION_JSON])
                print_json(&sweep);
        else
                print_actions(&sweep);
        if (sweep.result < 0)
                fprintf(stderr, "scaler: %s\n", sweep.err.text);
        return sweep.result < 0;
}

static const struct cli_option options[] = {
        [OPTION_DRY_RUN] = {"dry-run", NULL, "say what would be done, and do nothing", false},
        [OPTION_DAYS] = {"days", "N",
                "read the deliveries of the last N days, at most 3 "
                "(default: back until half an hour has no failure)",
                false},
        [OPTION_JSON] = {"json", NULL, "print one JSON object", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "something could not be done, but the rest was"},
        {2, "wrong usage"},
        {0},
};

const struct cli recover_command = {
        .program = "scaler",
        .name = "recover",
        .brief = "look for what lost events left behind",
        .text = "Does what the function recover does every ten minutes: ends machines that are "
                "past their lifetime or hang before their runner listens, cleans up after machines "
                "that are gone, and has GitHub deliver again the webhooks that got no answer: its "
                "App's, or with a personal token those that lead to WEBHOOK_URL, which must "
                "hold the stack's WebhookUrl then. Needs the settings of the function recover in "
                "the environment.",
        .options = options,
        .exits = exits,
        .main = recover_main,
};
