/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler setup`: its options, and the order of its steps.
 */

#include "setup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const parameter_names[] = {
        [SETUP_PRIVATE_KEY] = "github/private-key",
        [SETUP_WEBHOOK_SECRET] = "github/webhook-secret",
        [SETUP_CONFIG] = "config",
};

static void setup_release(struct setup *setup)
{
        for (size_t i = 0; i < setup->n_items; i++) {
                free(setup->items[i].parameter);
                mem_free_secret(setup->items[i].stored);
                mem_free_secret(setup->items[i].value);
        }
        github_release(&setup->github);
        config_free(setup->config);
        free(setup->app_id);
        scaler_release(&setup->scaler);
}

/* Says what to put into the configuration, unless it names the App already. */
static void print_configuration(const struct setup *setup)
{
        const struct setup_item *item = &setup->items[SETUP_CONFIG];
        const char *app_id = setup->config ? setup->config->app_id : NULL;

        if ((item->value || item->stored) && app_id && strcmp(app_id, setup->app_id) == 0)
                return;
        printf("to do: the configuration (%s) needs \"github\": {\"app_id\": \"%s\", ...}; "
               "`scaler setup --config FILE` checks a file and stores it there\n",
                item->parameter, setup->app_id);
}

/* After a failure before the first change. */
static int give_up(int code, const struct err *err)
{
        fprintf(stderr, "scaler setup: %s\nNothing was changed.\n", err->text);
        return code;
}

static int apply(struct setup *setup)
{
        struct err err;
        int r = setup_store(setup, &err);

        if (r == 0)
                r = setup_hook(setup, &err);
        if (r < 0) {
                fprintf(stderr,
                        "scaler setup: %s\n"
                        "Some of it was stored, as printed above. Run this again.\n",
                        err.text);
                return 1;
        }
        print_configuration(setup);
        printf("`scaler doctor` checks all of it.\n");
        return 0;
}

static int run(struct setup *setup)
{
        struct err err;
        int r;

        if (setup_read(setup, &err) < 0)
                return give_up(1, &err);
        r = setup_gather(setup, &err);
        if (r == 0)
                r = setup_confirm(setup, &err);
        if (r < 0)
                return give_up(r == -ENODATA || r == -EINVAL ? CLI_WRONG_USAGE : 1, &err);
        if (setup_verify(setup, &err) < 0)
                return give_up(1, &err);
        return apply(setup);
}

enum {
        OPTION_APP_ID,
        OPTION_KEY_FILE,
        OPTION_CONFIG,
        OPTION_WEBHOOK_URL,
        OPTION_GENERATE_SECRET,
        OPTION_SET_WEBHOOK,
        OPTION_PREFIX,
        OPTION_YES,
        N_OPTIONS,
};

static void add_item(struct setup *setup, const char *name)
{
        setup->items[setup->n_items++].parameter = mem_format("%s/%s", setup->prefix, name);
}

static void take_options(struct setup *setup, const char *const *values)
{
        const char *url =
                values[OPTION_WEBHOOK_URL] ? values[OPTION_WEBHOOK_URL] : getenv("WEBHOOK_URL");

        setup->prefix = values[OPTION_PREFIX] ? values[OPTION_PREFIX] : "/scale-agent";
        setup->app_id = mem_string(values[OPTION_APP_ID]);
        setup->key_file = values[OPTION_KEY_FILE];
        setup->config_file = values[OPTION_CONFIG];
        setup->webhook_url = url && *url ? url : NULL;
        setup->generate_secret = values[OPTION_GENERATE_SECRET];
        setup->set_webhook = values[OPTION_SET_WEBHOOK];
        setup->yes = values[OPTION_YES];
        setup->interactive = isatty(STDIN_FILENO);
        for (size_t i = 0; i < ARRAY_SIZE(parameter_names); i++)
                add_item(setup, parameter_names[i]);
        for (size_t i = 0; notify_channels[i].name; i++)
                add_item(setup, notify_channels[i].parameter);
        setup->n_fixed = setup->n_items;
}

static int setup_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        _cleanup_(setup_release) struct setup setup = {0};
        int code = cli_parse(&setup_command, argc, argv, values, NULL);

        scaler_init(&setup.scaler);
        if (code != CLI_GO_ON)
                return code;
        if (values[OPTION_PREFIX] && (values[OPTION_PREFIX][0] != '/' || !values[OPTION_PREFIX][1]))
                return cli_wrong(&setup_command, "--prefix: it begins with a slash: /scale-agent");
        if (values[OPTION_WEBHOOK_URL] && strncmp(values[OPTION_WEBHOOK_URL], "https://", 8) != 0)
                return cli_wrong(&setup_command, "--webhook-url: https:// is needed");
        (void)signal(SIGPIPE, SIG_IGN);
        take_options(&setup, values);
        return run(&setup);
}

static const struct cli_option options[] = {
        [OPTION_APP_ID] = {"app-id", "ID", "the GitHub App's id or client id", false},
        [OPTION_KEY_FILE] = {"key-file", "FILE", "the App's private key (.pem)", false},
        [OPTION_CONFIG] = {"config", "FILE", "store this configuration, too, if it is valid",
                false},
        [OPTION_WEBHOOK_URL] = {"webhook-url", "URL",
                "the stack's output WebhookUrl (default: WEBHOOK_URL)", false},
        [OPTION_GENERATE_SECRET] = {"generate-secret", NULL, "make a webhook secret", false},
        [OPTION_SET_WEBHOOK] = {"set-webhook", NULL,
                "set the URL and secret of the App's webhook at GitHub, too", false},
        [OPTION_PREFIX] = {"prefix", "PREFIX",
                "where SSM parameters are: a slash and the prefix of the stack "
                "(default: /scale-agent)",
                false},
        [OPTION_YES] = {"yes", NULL, "replace what exists without a question", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "GitHub or AWS refused"},
        {2, "wrong usage, or something is missing and there is no terminal to ask"},
        {0},
};

const struct cli setup_command = {
        .program = "scaler",
        .name = "setup",
        .brief = "verify the GitHub App's secrets and store them for the functions",
        .text = "Asks for what was not given, verifies the App at GitHub "
                "(key accepted, permissions sufficient, subscribed to workflow_job), "
                "stores the secrets as SSM SecureStrings, and says what is left to do. "
                "It does the same for each additional App, and for the token of an enterprise, "
                "that the configuration needs. "
                "Nothing is changed before all of it is verified. "
                "What exists is replaced only after a question, and never printed.\n"
                "To answer in advance, set GITHUB_PRIVATE_KEY, GITHUB_WEBHOOK_SECRET, "
                "TEAMS_WEBHOOK_URLS, SLACK_WEBHOOK_URLS and GITHUB_ENTERPRISE_TOKEN to values or "
                "references (file:/PATH), and GITHUB_APP_KEYS to file:/FOLDER, where "
                "FOLDER/ID/private-key is the key of the additional App ID. "
                "PARAMETER_KMS_KEY names the KMS key of the stack, where it has one; "
                "without it the account's key aws/ssm encrypts the parameters. "
                "Needs AWS_REGION and credentials in the environment.",
        .options = options,
        .exits = exits,
        .main = setup_main,
};
