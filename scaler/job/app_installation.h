/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which installations of the additional Apps reach a scope, as GitHub said within ten minutes.
 */

#include <stdint.h>

#include "scaler.h"

/* Starts the question for SCOPE, unless its answer is kept. */
void app_installation_look_up(struct scaler *scaler, struct scaler_app *app, const char *scope);

/* NULL: it was not asked for, or too long ago. */
const struct app_installation *app_installation_find(
        struct scaler *scaler, const struct scaler_app *app, const char *scope);

/* Installation ID may have been removed: the next look-up asks for it again. */
void app_installation_doubt(struct scaler *scaler, int64_t id);
