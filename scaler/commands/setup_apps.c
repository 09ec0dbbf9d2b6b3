/* SPDX-License-Identifier: MIT */

/*
 * Setup: the keys of additional Apps, and the token for enterprises, as the configuration needs
 * them.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/reference.h"
#include "github_app.h"
#include "setup.h"

#define SECRET_LIMIT ((size_t)16 * 1024)
#define LINE_LIMIT ((size_t)4096)
#define ENTERPRISE_TOKEN "github/enterprise-token"

static const char *api_url(void)
{
        const char *url = getenv("GITHUB_API_URL");

        return url && *url ? url : "https://api.github.com";
}

/* -- gathering -- */

static struct setup_item *add_item(struct setup *setup, int64_t app, char *name)
{
        struct setup_item *item = &setup->items[setup->n_items++];

        item->app = app;
        item->parameter = mem_format("%s/%s", setup->prefix, name);
        free(name);
        return item;
}

/* Resolves REFERENCE, called NAME: 0, or REFERENCE_ABSENT, or negative. */
static int take(struct setup *setup, const char *reference, const char *name,
        struct setup_item *item, struct err *err)
{
        _cleanup_buf_ struct buf value = BUF_INIT(SECRET_LIMIT);
        int r = scaler_resolve(&setup->scaler, reference, name, &value, err);

        if (r == 0 && value.size > 0)
                item->value = buf_steal(&value);
        return r;
}

static int gather_app_key(struct setup *setup, struct setup_item *item, struct err *err)
{
        const char *keys = getenv("GITHUB_APP_KEYS");
        _cleanup_buf_ struct buf path = BUF_INIT(LINE_LIMIT);
        _cleanup_buf_ struct buf key = BUF_INIT(SECRET_LIMIT);
        _cleanup_free_ char *question = mem_format("Private key file of App %" PRId64 " (.pem%s)",
                item->app, item->stored ? "; empty: the one that is stored" : "");
        int r;

        if (keys && *keys) {
                _cleanup_free_ char *reference =
                        mem_format("%s/%" PRId64 "/private-key", keys, item->app);

                r = take(setup, reference, "GITHUB_APP_KEYS", item, err);
                if (r <= 0)
                        return r;
        }
        if (item->stored && !setup->interactive)
                return 0;
        r = setup_ask(setup, question, false, "GITHUB_APP_KEYS", &path, err);
        if (r < 0 || (path.size == 0 && item->stored))
                return r;
        r = setup_read_file(setup, buf_string(&path), &key, err);
        if (r == 0)
                item->value = buf_steal(&key);
        return r;
}

static int gather_enterprise_token(struct setup *setup, struct setup_item *item, struct err *err)
{
        const char *reference = getenv("GITHUB_ENTERPRISE_TOKEN");
        _cleanup_buf_ struct buf token = BUF_INIT(LINE_LIMIT);
        int r;

        if (reference && *reference) {
                r = take(setup, reference, "GITHUB_ENTERPRISE_TOKEN", item, err);
                if (r <= 0)
                        return r;
        }
        if (item->stored && !setup->interactive)
                return 0;
        r = setup_ask(setup,
                item->stored ? "Classic token for the enterprise (hidden; empty: the stored one)"
                             : "Classic token for the enterprise, of scope "
                               "manage_runners:enterprise (hidden)",
                true, "GITHUB_ENTERPRISE_TOKEN", &token, err);
        if (r == 0 && token.size > 0)
                item->value = buf_steal(&token);
        return r;
}

int setup_gather_apps(struct setup *setup, struct err *err)
{
        const struct config *config = setup->config;
        int r = 0;

        for (size_t i = 0; config && i < config->n_additional_apps; i++) {
                int64_t app = config->additional_apps[i];

                add_item(setup, app, mem_format("github/apps/%" PRId64 "/private-key", app));
        }
        if (config && config_has_enterprise(config))
                add_item(setup, 0, mem_string(ENTERPRISE_TOKEN));
        if (setup->n_items > setup->n_fixed)
                r = setup_read_items(setup, setup->n_fixed, err);
        for (size_t i = setup->n_fixed; r == 0 && i < setup->n_items; i++)
                r = setup->items[i].app ? gather_app_key(setup, &setup->items[i], err)
                                        : gather_enterprise_token(setup, &setup->items[i], err);
        return r;
}

/* -- verifying -- */

static int verify_app(struct setup *setup, struct github *github, int64_t id,
        struct github_app *ret, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                ask_github(&setup->scaler, github, github_get_app, err);
        _cleanup_buf_ struct buf names = BUF_INIT(512);
        unsigned missing;
        int r = call ? github_get_app_answer(call, ret, err) : -EINVAL;

        if (r < 0)
                return err_prefix(err, r, "additional App %" PRId64, id);
        missing = grants_to_register(setup->config) & ~ret->grants;
        github_name_grants(missing, &names);
        if (missing)
                return err_set(err, -EACCES, "additional App %" PRId64 " lacks %s: %s", id,
                        buf_string(&names), GRANTS_ADVICE);
        if (setup->app.url[0] && strcmp(ret->url, setup->app.url) == 0)
                return err_set(err, -EINVAL,
                        "additional App %" PRId64 " is the first one, whose deliveries would be "
                        "dropped: name another App in github.additional_apps",
                        id);
        printf("ok: GitHub accepts the additional App %" PRId64 ": %s of %s\n", id, ret->name,
                ret->owner);
        return 0;
}

/* What can be done later. */
static int say_what_is_left(struct setup *setup, struct github *github, int64_t id,
        const struct github_app *app, struct err *err)
{
        _cleanup_(github_installations_release) struct github_installations installations = {0};
        _cleanup_(http_call_freep) struct http_call *call =
                ask_github(&setup->scaler, github, github_list_installations, err);
        _cleanup_(http_call_freep) struct http_call *hook_call = NULL;
        struct github_hook hook = {0};
        int r = call ? github_list_installations_answer(call, &installations, err) : -EINVAL;

        if (r < 0)
                return r;
        if (installations.count == 0)
                printf("to do: install App %" PRId64 " where the first one is (%s)\n", id,
                        app->url);
        hook_call = ask_github(&setup->scaler, github, github_get_hook, err);
        if (hook_call && github_hook_answer(hook_call, &hook, NULL) == 0 &&
                github_hook_delivers(app, &hook))
                printf("to do: App %" PRId64 " delivers to %s: " INACTIVE_ADVICE "\n", id,
                        hook.url);
        return 0;
}

static int verify_key(struct setup *setup, const struct setup_item *item, struct err *err)
{
        _cleanup_(github_release) struct github github = {0};
        _cleanup_free_ char *id = mem_format("%" PRId64, item->app);
        struct github_app app = {0};
        int r;

        github_init_app(&github, setup->scaler.clock, api_url(), id,
                item->value ? item->value : item->stored);
        r = verify_app(setup, &github, item->app, &app, err);
        return r < 0 ? r : say_what_is_left(setup, &github, item->app, &app, err);
}

/* Looks for a runner that does not exist: GitHub refuses that without the scope. */
static int verify_enterprise(struct setup *setup, const char *enterprise, struct err *err)
{
        _cleanup_free_ char *scope = mem_format("enterprises/%s", enterprise);
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                &setup->scaler, github_find_runner(&setup->github, 0, scope, "scaler-setup"));
        struct github_runner runner;
        int r = github_find_runner_answer(call, "scaler-setup", &runner, err);

        if (r < 0)
                return r;
        printf("ok: the token may administer the runners of enterprise %s\n", enterprise);
        return 0;
}

static int verify_token(struct setup *setup, const struct setup_item *item, struct err *err)
{
        const char *token = item->value ? item->value : item->stored;
        int r = 0;

        if (!token)
                return err_set(err, -ENODATA, "no token for the enterprise was given");
        github_set_enterprise_token(&setup->github, token);
        for (size_t i = 0; r == 0 && i < setup->config->n_specs; i++)
                if (setup->config->specs[i].enterprise)
                        r = verify_enterprise(setup, setup->config->specs[i].enterprise, err);
        return r;
}

int setup_verify_apps(struct setup *setup, struct err *err)
{
        int r = 0;

        for (size_t i = setup->n_fixed; r == 0 && i < setup->n_items; i++)
                r = setup->items[i].app ? verify_key(setup, &setup->items[i], err)
                                        : verify_token(setup, &setup->items[i], err);
        return r;
}
