/* SPDX-License-Identifier: MIT */

/*
 * Setup: reads what SSM holds, stores values there, and sets the App's webhook at GitHub.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/ssm.h"
#include "base/json.h"
#include "base/mem.h"
#include "github_app.h"
#include "setup.h"

int setup_read_items(struct setup *setup, size_t first, struct err *err)
{
        _cleanup_(ssm_free_parameters) cJSON *found = NULL;
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        size_t n = setup->n_items - first;
        const char *names[SSM_NAMES_MAX] = {0};
        int r;

        for (size_t i = 0; i < n; i++)
                names[i] = setup->items[first + i].parameter;
        call = scaler_call(&setup->scaler, ssm_get_parameters(setup->aws, names, n));
        r = ssm_get_parameters_answer(call, &found, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const cJSON *value = cJSON_GetObjectItemCaseSensitive(found, names[i]);

                if (!cJSON_IsString(value))
                        continue;
                setup->items[first + i].stored = mem_string(value->valuestring);
                printf("%s exists\n", names[i]);
        }
        return 0;
}

int setup_read(struct setup *setup, struct err *err)
{
        int r = scaler_aws(&setup->scaler, &setup->aws, err);

        return r < 0 ? r : setup_read_items(setup, 0, err);
}

/* The previous secret becomes the second line, so deliveries signed with it are still accepted. */
static char *with_previous(const char *secret, const char *previous)
{
        if (!previous || strchr(secret, '\n'))
                return mem_string(secret);
        return mem_format("%s\n%.*s", secret, (int)strcspn(previous, "\r\n"), previous);
}

static int store(struct setup *setup, size_t index, struct err *err)
{
        const struct setup_item *item = &setup->items[index];
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char *value;
        int r;

        if (!item->value)
                return 0;
        value = index == SETUP_WEBHOOK_SECRET ? with_previous(item->value, item->stored)
                                              : mem_string(item->value);
        call = ssm_replace_parameter(setup->aws, item->parameter, value);
        mem_free_secret(value);
        scaler_call(&setup->scaler, call);
        r = ssm_put_parameter_answer(call, err);
        if (r < 0)
                return err_prefix(err, r, "%s", item->parameter);
        printf("stored %s\n", item->parameter);
        return 0;
}

/* Stores the secrets that the configuration needs first, so that no function reads the
 * configuration before they are there. */
int setup_store(struct setup *setup, struct err *err)
{
        int r = 0;

        for (size_t i = setup->n_fixed; i < setup->n_items && r == 0; i++)
                r = store(setup, i, err);
        for (size_t i = 0; i < setup->n_fixed && r == 0; i++)
                r = store(setup, i, err);
        return r;
}

/* -- the webhook -- */

static int set_hook(struct setup *setup, const char *secret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct github_hook hook;
        int r = github_set_hook(&setup->github, setup->webhook_url, secret, &call, err);

        if (r < 0)
                return r;
        scaler_call(&setup->scaler, call);
        r = github_hook_answer(call, &hook, err);
        if (r == 0)
                printf("ok: GitHub signs deliveries to %s with the secret\n",
                        hook.url[0] ? hook.url : "(no URL yet)");
        return r;
}

static void print_what_to_paste(const struct setup *setup)
{
        printf("to do: GitHub, the App's settings, Webhook:\n"
               "  Webhook URL     %s\n",
                setup->webhook_url ? setup->webhook_url : "the stack's output WebhookUrl");
        if (setup->generated)
                printf("  Webhook secret  what this prints: "
                       "aws ssm get-parameter --with-decryption --name %s "
                       "--query Parameter.Value --output text\n",
                        setup->items[SETUP_WEBHOOK_SECRET].parameter);
        else
                printf("  Webhook secret  the one that is stored now\n");
        printf("  Active, SSL verification enabled\n");
}

/* Sets the webhook at GitHub if the person wants that, or says what to paste there. */
int setup_hook(struct setup *setup, struct err *err)
{
        const struct setup_item *item = &setup->items[SETUP_WEBHOOK_SECRET];
        _cleanup_free_ char *first = NULL;
        bool set = setup->set_webhook;
        int r = 0;

        if (!set && setup->interactive && !setup->yes)
                r = ask_yes("Set URL and secret of the App's webhook at GitHub now?", true, &set);
        if (r < 0)
                set = false;
        if (!set) {
                print_what_to_paste(setup);
                return 0;
        }
        first = mem_format("%.*s", (int)strcspn(item->value ? item->value : item->stored, "\r\n"),
                item->value ? item->value : item->stored);
        r = set_hook(setup, first, err);
        explicit_bzero(first, strlen(first));
        return r;
}
