/* SPDX-License-Identifier: MIT */

/*
 * Setup: gathers what to store, from options, from the environment, or from a person.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "config/reference.h"
#include "setup.h"

#define SECRET_LIMIT ((size_t)16 * 1024)
#define LINE_LIMIT ((size_t)4096)

/* -- where values come from -- */

static int input_failed(int r, const char *what, struct err *err)
{
        return err_set(err, r, "%s: %s", what,
                r == -ECANCELED ? "cancelled" : "the input ended before it was given");
}

int setup_ask(struct setup *setup, const char *question, bool hidden, const char *option,
        struct buf *ret, struct err *err)
{
        int r;

        if (!setup->interactive)
                return err_set(err, -ENODATA, "%s is missing, and there is no terminal: give %s",
                        question, option);
        r = ask_line(question, hidden, ret);
        return r < 0 ? input_failed(r, question, err) : 0;
}

int setup_read_file(struct setup *setup, const char *path, struct buf *ret, struct err *err)
{
        _cleanup_free_ char *reference = mem_format("file:%s", path);
        int r = reference_resolve(reference, scaler_http(&setup->scaler), 0, NULL, ret, err);

        return r == REFERENCE_ABSENT ? err_set(err, -ENOENT, "file %s does not exist", path) : r;
}

/* Takes the value of environment variable NAME: 0, REFERENCE_ABSENT if not set, or negative. */
static int take_variable(
        struct setup *setup, const char *name, enum setup_name item, struct err *err)
{
        _cleanup_buf_ struct buf value = BUF_INIT(SECRET_LIMIT);
        int r = scaler_resolve_variable(&setup->scaler, name, &value, err);

        if (r == 0 && value.size > 0)
                setup->items[item].value = buf_steal(&value);
        return r == 0 && !setup->items[item].value ? REFERENCE_ABSENT : r;
}

/* -- configuration and App id -- */

static int gather_config(struct setup *setup, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(REFERENCE_LIMIT);
        const struct setup_item *item = &setup->items[SETUP_CONFIG];
        int r;

        if (!setup->config_file) {
                /* An invalid one is passed over here; doctor reports it. */
                if (item->stored)
                        (void)config_parse(
                                item->stored, strlen(item->stored), &setup->config, NULL, NULL);
                return 0;
        }
        r = setup_read_file(setup, setup->config_file, &text, err);
        if (r < 0)
                return r;
        r = config_parse(buf_string(&text), text.size, &setup->config, NULL, err);
        if (r < 0)
                return err_prefix(
                        err, r, "%s (`scaler check` lists every fault)", setup->config_file);
        if (strcmp(setup->config->prefix, setup->prefix) != 0)
                return err_set(err, -EINVAL, "%s: its prefix is %s, and --prefix is %s",
                        setup->config_file, setup->config->prefix, setup->prefix);
        setup->items[SETUP_CONFIG].value = buf_steal(&text);
        return 0;
}

static int gather_app_id(struct setup *setup, struct err *err)
{
        const char *configured = setup->config ? setup->config->app_id : NULL;
        _cleanup_buf_ struct buf answer = BUF_INIT(LINE_LIMIT);
        int r;

        if (setup->app_id && configured && setup->config_file &&
                strcmp(setup->app_id, configured) != 0)
                return err_set(err, -EINVAL, "--app-id is %s, and %s says %s", setup->app_id,
                        setup->config_file, configured);
        if (setup->app_id)
                return 0;
        if (configured) {
                setup->app_id = mem_string(configured);
                return 0;
        }
        r = setup_ask(setup, "GitHub App id or client id", false, "--app-id", &answer, err);
        if (r < 0)
                return r;
        if (answer.size == 0)
                return err_set(err, -ENODATA, "no App id was given");
        setup->app_id = buf_steal(&answer);
        return 0;
}

/* -- secrets -- */

static int gather_key(struct setup *setup, struct err *err)
{
        struct setup_item *item = &setup->items[SETUP_PRIVATE_KEY];
        _cleanup_buf_ struct buf path = BUF_INIT(LINE_LIMIT);
        _cleanup_buf_ struct buf key = BUF_INIT(SECRET_LIMIT);
        int r;

        if (!setup->key_file) {
                r = take_variable(setup, "GITHUB_PRIVATE_KEY", SETUP_PRIVATE_KEY, err);
                if (r <= 0)
                        return r;
                if (item->stored && !setup->interactive)
                        return 0;
                r = setup_ask(setup,
                        item->stored ? "Private key file (.pem; empty: the one that is stored)"
                                     : "Private key file (.pem)",
                        false, "--key-file", &path, err);
                if (r < 0)
                        return r;
                if (path.size == 0 && item->stored)
                        return 0;
                setup->key_file = buf_string(&path);
        }
        r = setup_read_file(setup, setup->key_file, &key, err);
        setup->key_file = NULL;
        if (r < 0)
                return err_prefix(err, r, "private key");
        item->value = buf_steal(&key);
        return 0;
}

static int generate(struct setup *setup, struct err *err)
{
        unsigned char bytes[32];
        char *text = mem_alloc(2 * sizeof(bytes) + 1);

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
                free(text);
                return err_set(err, -EIO, "no random bytes for a webhook secret");
        }
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        explicit_bzero(bytes, sizeof(bytes));
        setup->items[SETUP_WEBHOOK_SECRET].value = text;
        setup->generated = true;
        return 0;
}

static int gather_webhook_secret(struct setup *setup, struct err *err)
{
        struct setup_item *item = &setup->items[SETUP_WEBHOOK_SECRET];
        _cleanup_buf_ struct buf secret = BUF_INIT(LINE_LIMIT);
        bool yes = false;
        int r;

        if (setup->generate_secret)
                return generate(setup, err);
        r = take_variable(setup, "GITHUB_WEBHOOK_SECRET", SETUP_WEBHOOK_SECRET, err);
        if (r <= 0)
                return r;
        if (item->stored && !setup->interactive)
                return 0;
        r = setup_ask(setup,
                item->stored ? "Webhook secret (hidden; empty: the one that is stored)"
                             : "Webhook secret (hidden; empty: make one)",
                true, "GITHUB_WEBHOOK_SECRET or --generate-secret", &secret, err);
        if (r < 0)
                return r;
        if (secret.size > 0) {
                item->value = buf_steal(&secret);
                return 0;
        }
        if (item->stored)
                return 0;
        r = ask_yes("Make a webhook secret?", true, &yes);
        if (r < 0)
                return input_failed(r, "webhook secret", err);
        return yes ? generate(setup, err) : err_set(err, -ENODATA, "no webhook secret was given");
}

static int gather_channel(struct setup *setup, size_t index, struct err *err)
{
        const struct notify_channel *channel = &notify_channels[index];
        enum setup_name name = (enum setup_name)(SETUP_CHANNELS + index);
        _cleanup_free_ char *question =
                mem_format("%s webhook URL (hidden; empty: none)", channel->title);
        _cleanup_buf_ struct buf url = BUF_INIT(LINE_LIMIT);
        int r = take_variable(setup, channel->variable, name, err);

        if (r <= 0)
                return r;
        if (!setup->interactive || setup->items[name].stored)
                return 0;
        r = setup_ask(setup, question, true, channel->variable, &url, err);
        if (r < 0)
                return r;
        if (url.size > 0)
                setup->items[name].value = buf_steal(&url);
        return 0;
}

int setup_gather(struct setup *setup, struct err *err)
{
        int r = gather_config(setup, err);

        if (r == 0)
                r = gather_app_id(setup, err);
        if (r == 0)
                r = gather_key(setup, err);
        if (r == 0)
                r = setup_gather_apps(setup, err);
        if (r == 0)
                r = gather_webhook_secret(setup, err);
        for (size_t i = 0; r == 0 && notify_channels[i].name; i++)
                r = gather_channel(setup, i, err);
        return r;
}

/* -- confirmation -- */

/* A stored webhook secret may be followed by the previous one. */
static bool is_same(const struct setup_item *item, bool is_webhook_secret)
{
        size_t size = strlen(item->value);

        if (strcmp(item->value, item->stored) == 0)
                return true;
        return is_webhook_secret && strncmp(item->value, item->stored, size) == 0 &&
               item->stored[size] == '\n';
}

int setup_confirm(struct setup *setup, struct err *err)
{
        for (size_t i = 0; i < setup->n_items; i++) {
                struct setup_item *item = &setup->items[i];
                _cleanup_free_ char *question = NULL;
                bool yes = setup->yes;
                int r;

                if (!item->value || !item->stored)
                        continue;
                if (is_same(item, i == SETUP_WEBHOOK_SECRET)) {
                        mem_free_secret(MEM_STEAL(item->value));
                        continue;
                }
                if (!yes && !setup->interactive)
                        return err_set(err, -ENODATA,
                                "%s exists with another value: --yes replaces it", item->parameter);
                question = mem_format("Replace %s?", item->parameter);
                r = yes ? 0 : ask_yes(question, false, &yes);
                if (r < 0)
                        return input_failed(r, item->parameter, err);
                if (!yes)
                        mem_free_secret(MEM_STEAL(item->value));
        }
        return 0;
}
