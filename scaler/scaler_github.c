/* SPDX-License-Identifier: MIT */

/*
 * Opens GitHub: as the first App or with a personal token, with the token for enterprises, and as
 * each additional App.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/reference.h"
#include "scaler.h"

#define GITHUB_API_URL_DEFAULT "https://api.github.com"
#define SECRET_MAX ((size_t)16 * 1024)
/* A key that is missing is looked for so often. */
#define APP_AGAIN_MS (5 * 60 * MSEC_PER_SEC)

static const char *api_url(void)
{
        const char *url = getenv("GITHUB_API_URL");

        return url && *url ? url : GITHUB_API_URL_DEFAULT;
}

/* -- the first App, or a personal token -- */

/* Only the functions that call GitHub about runners have the variable. Without the token, all goes
 * on but runners of an enterprise. */
static int add_enterprise_token(struct scaler *scaler, struct github *github, struct err *err)
{
        _cleanup_buf_ struct buf token = BUF_INIT(SECRET_MAX);
        int r;

        if (!getenv("GITHUB_ENTERPRISE_TOKEN"))
                return 0;
        r = scaler_resolve_variable(scaler, "GITHUB_ENTERPRISE_TOKEN", &token, err);
        if (r == REFERENCE_ABSENT)
                log_warning(&scaler->log,
                        "GITHUB_ENTERPRISE_TOKEN leads to no token: no runner of an enterprise can "
                        "register",
                        LOG_TEXT("error", err->text));
        if (r == 0)
                github_set_enterprise_token(github, buf_string(&token));
        if (token.data)
                explicit_bzero(token.data, token.size);
        return r < 0 ? r : 0;
}

static int open_github(struct scaler *scaler, struct github *github, struct err *err)
{
        _cleanup_buf_ struct buf secret = BUF_INIT(SECRET_MAX);
        const struct config *config = NULL;
        int r = scaler_config(scaler, &config, err);

        if (r < 0 || !config)
                return r;
        r = scaler_need_variable(
                scaler, config->app_id ? "GITHUB_PRIVATE_KEY" : "GITHUB_TOKEN", &secret, err);
        if (r < 0)
                return r;
        if (config->app_id)
                github_init_app(
                        github, scaler->clock, api_url(), config->app_id, buf_string(&secret));
        else
                github_init_token(github, scaler->clock, api_url(), buf_string(&secret));
        r = config_has_enterprise(config) ? add_enterprise_token(scaler, github, err) : 0;
        if (r < 0)
                github_release(github);
        return r;
}

int scaler_github(struct scaler *scaler, struct github **ret, struct err *err)
{
        _cleanup_free_ struct github *github = NULL;
        int r;

        /* Somebody may have replaced the key that GitHub refused. */
        if (scaler->github_refused)
                scaler_forget_github(scaler);
        if (!scaler->github) {
                github = mem_alloc(sizeof(*github));
                r = open_github(scaler, github, err);
                if (r < 0)
                        return r;
                scaler->github = MEM_STEAL(github);
                scaler->github_refused = false;
        }
        *ret = scaler->github;
        return 0;
}

void scaler_forget_github(struct scaler *scaler)
{
        if (!scaler->github)
                return;
        github_release(scaler->github);
        free(MEM_STEAL(scaler->github));
}

/* -- additional Apps -- */

static struct scaler_app *find_app(struct scaler *scaler, int64_t id)
{
        struct scaler_app *app;

        for (size_t i = 0; i < scaler->n_apps; i++)
                if (scaler->apps[i]->id == id)
                        return scaler->apps[i];
        app = mem_alloc(sizeof(*app));
        app->id = id;
        scaler->apps = mem_resize(scaler->apps, scaler->n_apps + 1, sizeof(*scaler->apps));
        scaler->apps[scaler->n_apps++] = app;
        return app;
}

static int read_app_key(
        struct scaler *scaler, const struct scaler_app *app, struct buf *ret, struct err *err)
{
        _cleanup_free_ char *reference = NULL;
        const char *keys = getenv("GITHUB_APP_KEYS");
        int r;

        if (!keys || !*keys)
                return err_set(err, -ENOENT,
                        "environment variable GITHUB_APP_KEYS is not set: "
                        "it must say where the keys of additional Apps are");
        reference = mem_format("%s/%" PRId64 "/private-key", keys, app->id);
        r = scaler_resolve(scaler, reference, "GITHUB_APP_KEYS", ret, err);
        return r == REFERENCE_ABSENT ? err_prefix(err, -ENOENT, "GITHUB_APP_KEYS") : r;
}

/* Signs once: a key that cannot is as good as none. */
static int open_app(struct scaler *scaler, struct scaler_app *app, struct err *err)
{
        _cleanup_buf_ struct buf key = BUF_INIT(SECRET_MAX);
        _cleanup_free_ char *id = mem_format("%" PRId64, app->id);
        char *jwt = NULL;
        int r = read_app_key(scaler, app, &key, err);

        if (r < 0)
                return r;
        github_init_app(&app->github, scaler->clock, api_url(), id, buf_string(&key));
        r = github_app_jwt(&app->github, &jwt, err);
        mem_free_secret(jwt);
        if (r < 0)
                github_release(&app->github);
        app->is_open = r == 0;
        return r;
}

static void close_app(struct scaler_app *app)
{
        if (app->is_open)
                github_release(&app->github);
        app->is_open = false;
        app->refused = false;
}

int scaler_additional_app(
        struct scaler *scaler, int64_t id, struct scaler_app **ret, struct err *err)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        struct scaler_app *app = find_app(scaler, id);
        int r;

        if (app->refused)
                close_app(app);
        if (!app->is_open) {
                if (app->failed_ms > 0 && now_ms - app->failed_ms < APP_AGAIN_MS) {
                        *err = app->err;
                        return -ENOKEY;
                }
                r = open_app(scaler, app, &app->err);
                app->failed_ms = r < 0 ? now_ms : 0;
                if (r < 0) {
                        log_warning(&scaler->log, "an additional App is left out",
                                LOG_NUMBER("app", id), LOG_TEXT("error", app->err.text));
                        *err = app->err;
                        return r;
                }
        }
        *ret = app;
        return 0;
}

void scaler_forget_apps(struct scaler *scaler)
{
        for (size_t i = 0; i < scaler->n_apps; i++) {
                close_app(scaler->apps[i]);
                free(scaler->apps[i]);
        }
        free(MEM_STEAL(scaler->apps));
        scaler->n_apps = 0;
}
