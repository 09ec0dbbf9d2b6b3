/* SPDX-License-Identifier: MIT */

/*
 * Gives back the jobs of machines that ended before their runners listened.
 */

#include "give_back_unstarted.h"

#include <stdlib.h>
#include <string.h>

#include "aws/ssm.h"
#include "exchange/handover.h"
#include "give_back.h"
#include "machine/leftovers.h"
#include "machine/notifications.h"

static int handle_value(
        struct scaler *scaler, const char *instance, const char *value, struct err *err)
{
        _cleanup_(handover_release) struct handover handover = {0};
        bool given_back = false;
        int r = handover_parse(value, strlen(value), &handover, err);

        if (r < 0) {
                log_error(&scaler->log,
                        "hand-over of an ended machine cannot be parsed and is deleted",
                        LOG_TEXT("instance", instance), LOG_TEXT("error", err->text));
                return 0;
        }
        r = give_back_job(scaler, &handover.job, handover.spec, &handover.times, &given_back, err);
        return r < 0 ? r : tell_machine_ended_early(scaler, instance, &handover, given_back, err);
}

/* As many INSTANCES as one call to SSM takes. */
static int handle_some(struct scaler *scaler, struct aws *aws, const struct config *config,
        const char *const *instances, size_t n, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ssm_free_parameters) cJSON *found = NULL;
        const char *unstarted[SSM_NAMES_MAX];
        char *names[SSM_NAMES_MAX];
        size_t n_unstarted = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                names[i] = handover_parameter(config->prefix, instances[i]);
        call = scaler_call(scaler, ssm_get_parameters(aws, (const char *const *)names, n));
        r = ssm_get_parameters_answer(call, &found, err);
        for (size_t i = 0; i < n; i++) {
                const char *value =
                        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(found, names[i]));

                if (r == 0 && value) {
                        unstarted[n_unstarted++] = instances[i];
                        r = handle_value(scaler, instances[i], value, err);
                }
                free(names[i]);
        }
        if (r < 0 || n_unstarted == 0)
                return r;
        return leftovers_delete_parameters(
                scaler, aws, config->prefix, unstarted, n_unstarted, err);
}

int give_back_unstarted(struct scaler *scaler, struct aws *aws, const struct config *config,
        const char *const *instances, size_t n_instances, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n_instances && r == 0; i += SSM_NAMES_MAX) {
                size_t n = n_instances - i < SSM_NAMES_MAX ? n_instances - i : SSM_NAMES_MAX;

                r = handle_some(scaler, aws, config, instances + i, n, err);
        }
        return r;
}
