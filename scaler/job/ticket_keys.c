/* SPDX-License-Identifier: MIT */

/*
 * Reads the keys of tickets, and makes the first one. Several processes may do so at the same time:
 * SSM takes one of their keys, and all use what is stored.
 */

#include "ticket_keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/ssm.h"
#include "ticket.h"

#define KEPT_MS (15 * 60 * MSEC_PER_SEC)
/* Whoever sends us reports must not make us read the keys each time. */
#define READ_AGAIN_MS (60 * MSEC_PER_SEC)

#define KEY_BYTES (TICKET_KEY_SIZE / 2)

static int parameter_name(struct scaler *scaler, struct aws **ret_aws, char **ret, struct err *err)
{
        const struct config *config;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, ret_aws, err);
        if (r == 0)
                *ret = mem_format("%s/ticket-key", config->prefix);
        return r;
}

/* 0, or SSM_NOT_FOUND with no keys, or negative with the old ones. */
static int read_keys(struct scaler *scaler, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_buf_ struct buf fresh = BUF_INIT(scaler->ticket_keys.limit);
        _cleanup_free_ char *name = NULL;
        struct aws *aws;
        int r = parameter_name(scaler, &aws, &name, err);

        if (r != 0)
                return r;
        call = scaler_call(scaler, ssm_get_parameter(aws, name));
        r = ssm_get_parameter_answer(call, &fresh, err);
        if (r < 0)
                return err_prefix(err, r, "SSM parameter %s", name);
        scaler->ticket_keys_read_ms = clock_monotonic_ms(scaler->clock);
        buf_release(&scaler->ticket_keys);
        scaler->ticket_keys = fresh;
        fresh = (struct buf)BUF_INIT(0);
        return r;
}

static int store_new_key(struct scaler *scaler, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ char *name = NULL;
        unsigned char bytes[KEY_BYTES];
        char key[TICKET_KEY_SIZE + 1];
        struct aws *aws;
        int r = parameter_name(scaler, &aws, &name, err);

        if (r != 0)
                return r;
        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
                abort(); /* the system gives no random bytes */
        for (size_t i = 0; i < sizeof(bytes); i++)
                snprintf(key + 2 * i, 3, "%02x", bytes[i]);
        call = scaler_call(scaler, ssm_new_parameter(aws, name, key));
        OPENSSL_cleanse(bytes, sizeof(bytes));
        OPENSSL_cleanse(key, sizeof(key));
        r = ssm_put_parameter_answer(call, err);
        return r < 0 ? err_prefix(err, r, "SSM parameter %s", name) : 0;
}

static int64_t age_ms(const struct scaler *scaler)
{
        return clock_monotonic_ms(scaler->clock) - scaler->ticket_keys_read_ms;
}

int ticket_keys_make(struct scaler *scaler, const char **ret, struct err *err)
{
        int r = 0;

        if (!ticket_has_key(buf_string(&scaler->ticket_keys)) || age_ms(scaler) > KEPT_MS)
                r = read_keys(scaler, err);
        if (r == SSM_NOT_FOUND) {
                r = store_new_key(scaler, err);
                if (r == 0)
                        r = read_keys(scaler, err);
        }
        if (scaler->ticket_keys.size > 0)
                r = 0;
        if (r > 0)
                r = err_set(err, -ENOENT, "the key of tickets was stored, but cannot be read yet");
        *ret = buf_string(&scaler->ticket_keys);
        if (r == 0 && !ticket_has_key(*ret))
                r = err_set(err, -EINVAL,
                        "the SSM parameter ticket-key holds no key, of %d characters or more: "
                        "delete it, and a new one is made",
                        TICKET_KEY_SIZE);
        return r;
}

/* Whether the keys are too old to go on without reading them. Known keys last longer, so that they
 * outlive a failure of SSM. */
static bool are_old(const struct scaler *scaler)
{
        return age_ms(scaler) > (scaler->ticket_keys.size > 0 ? KEPT_MS : READ_AGAIN_MS);
}

int ticket_keys_read(struct scaler *scaler, bool again, const char **ret, struct err *err)
{
        bool known = scaler->ticket_keys_read_ms > 0;
        int r = 0;

        if (again && known && age_ms(scaler) < READ_AGAIN_MS) {
                *ret = NULL;
                return 0;
        }
        if (again || !known || are_old(scaler))
                r = read_keys(scaler, err);
        if (r < 0 && (again || scaler->ticket_keys.size == 0))
                return r;
        *ret = buf_string(&scaler->ticket_keys);
        return 0;
}
