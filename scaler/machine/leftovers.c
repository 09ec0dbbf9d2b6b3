/* SPDX-License-Identifier: MIT */

/*
 * Deletes hand-overs and terminates instances.
 */

#include "leftovers.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/ec2.h"
#include "aws/ssm.h"
#include "exchange/handover.h"

/* What the caller needs after this. */
#define RESERVE_MS (5 * MSEC_PER_SEC)

static int delete_parameters(struct scaler *scaler, struct aws *aws, const char *prefix,
        const char *const *instances, size_t n, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char *names[SSM_NAMES_MAX];
        size_t deleted = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                names[i] = handover_parameter(prefix, instances[i]);
        call = ssm_delete_parameters(aws, (const char *const *)names, n);
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        scaler_call(scaler, call);
        r = ssm_delete_parameters_answer(call, &deleted, err);
        if (r == 0 && deleted > 0)
                log_warning(&scaler->log, "parameters deleted that machines left behind",
                        LOG_NUMBER("count", (int64_t)deleted));
        return r;
}

static int delete_objects(struct scaler *scaler, const struct store *store,
        const char *const *instances, size_t n, struct err *err)
{
        struct http_call *calls[SSM_NAMES_MAX];
        int result = 0;

        for (size_t i = 0; i < n; i++) {
                calls[i] = store_delete(store, instances[i]);
                scaler_start(scaler, calls[i]);
        }
        for (size_t i = 0; i < n; i++) {
                int r;

                http_await(scaler_http(scaler), calls[i]);
                r = store_delete_answer(store, calls[i], err);
                if (r < 0)
                        result = r;
                http_call_free(calls[i]);
        }
        return result;
}

int leftovers_delete_handovers(struct scaler *scaler, const struct store *store,
        const char *const *instances, size_t n_instances, struct err *err)
{
        int result = 0;

        for (size_t i = 0; i < n_instances; i += SSM_NAMES_MAX) {
                size_t n = n_instances - i < SSM_NAMES_MAX ? n_instances - i : SSM_NAMES_MAX;
                int r = store_is_s3(store) ? delete_objects(scaler, store, instances + i, n, err)
                                           : delete_parameters(scaler, store->aws, store->place,
                                                     instances + i, n, err);

                if (r < 0)
                        result = r;
        }
        return result;
}

static int terminate(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call =
                scaler_call(scaler, ec2_terminate_instances(aws, instances, n_instances));

        return ec2_terminate_instances_answer(call, err);
}

int leftovers_terminate(struct scaler *scaler, struct aws *aws, const char *const *instances,
        size_t n_instances, struct err *err)
{
        int result = n_instances > 0 ? terminate(scaler, aws, instances, n_instances, err) : 0;

        if (result != -ENOENT || n_instances == 1)
                return result;
        /* EC2 terminates none of them when it does not know one, so try them one by one. */
        result = 0;
        for (size_t i = 0; i < n_instances; i++) {
                int r;

                if (scaler_time_left(scaler) < RESERVE_MS)
                        return err_set(err, -ETIME,
                                "%zu instances are not terminated yet, and this event's time is "
                                "over: the next try goes on",
                                n_instances - i);
                r = terminate(scaler, aws, &instances[i], 1, err);
                if (r < 0)
                        result = r;
        }
        return result;
}
