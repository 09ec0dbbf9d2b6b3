/* SPDX-License-Identifier: MIT */

/*
 * Setup: verifies that GitHub accepts the App, and that the App may do what the scaler needs.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "github_app.h"
#include "setup.h"

static int verify_app(struct setup *setup, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                ask_github(&setup->scaler, &setup->github, github_get_app, err);
        int r = call ? github_get_app_answer(call, &setup->app, err) : -EINVAL;

        if (r < 0)
                return err_prefix(err, r, "App %s", setup->app_id);
        printf("ok: GitHub accepts App %s: %s of %s\n", setup->app_id, setup->app.name,
                setup->app.owner);
        return 0;
}

static bool only_enterprises(const struct config *config)
{
        for (size_t i = 0; config && i < config->n_specs; i++)
                if (!config->specs[i].enterprise)
                        return false;
        return config;
}

static int verify_grants(struct setup *setup, struct err *err)
{
        _cleanup_buf_ struct buf names = BUF_INIT(512);
        const unsigned either = GITHUB_MAY_ADMINISTER | GITHUB_MAY_RUN_ORGANIZATION;
        unsigned needs = grants_needed(setup->config);
        unsigned missing = needs & ~setup->app.grants;

        github_name_grants(missing ? missing : needs, &names);
        if (missing)
                return err_set(err, -EACCES, "App %s lacks %s: %s", setup->app_id,
                        buf_string(&names), GRANTS_ADVICE);
        if (!(setup->app.grants & either) && !only_enterprises(setup->config))
                return err_set(err, -EACCES,
                        "App %s may register no runners; "
                        "it needs administration: write for repositories, "
                        "or organization_self_hosted_runners: write for an organization: %s",
                        setup->app_id, GRANTS_ADVICE);
        printf("ok: it has %s\n", buf_string(&names));
        if (grants_wanted(setup->config) & ~setup->app.grants)
                printf("to do: it lacks actions: write; " WANTED_ADVICE "\n");
        return 0;
}

/* An App that is installed nowhere gets no deliveries; it can be installed later. */
static int verify_installations(struct setup *setup, struct err *err)
{
        _cleanup_(github_installations_release) struct github_installations installations = {0};
        _cleanup_(http_call_freep) struct http_call *call =
                ask_github(&setup->scaler, &setup->github, github_list_installations, err);
        int r = call ? github_list_installations_answer(call, &installations, err) : -EINVAL;

        if (r < 0)
                return r;
        for (size_t i = 0; i < installations.count; i++)
                printf("ok: it is installed for %s\n", installations.items[i].account);
        if (installations.count == 0)
                printf("to do: install it: GitHub, the App's settings, Install App (%s)\n",
                        setup->app.url);
        return 0;
}

int setup_verify(struct setup *setup, struct err *err)
{
        const struct setup_item *key = &setup->items[SETUP_PRIVATE_KEY];
        const char *api_url = getenv("GITHUB_API_URL");
        int r;

        github_init_app(&setup->github, setup->scaler.clock,
                api_url && *api_url ? api_url : "https://api.github.com", setup->app_id,
                key->value ? key->value : key->stored);
        r = verify_app(setup, err);
        if (r == 0)
                r = verify_grants(setup, err);
        if (r == 0)
                r = verify_installations(setup, err);
        if (r == 0)
                r = setup_verify_apps(setup, err);
        return r;
}
