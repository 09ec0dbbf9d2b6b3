/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GitHub's limits, as `register` meets them, for those who launch: they meet none, since they
 * register nobody. A limit that lasts is stored in PREFIX/breakers/_limit.REGISTRAR (shared.h),
 * where REGISTRAR is the installation of the App that delivers, or "enterprise". With several Apps
 * it is stored only while all of them are limited.
 *
 *      pauses       nothing is launched until a machine's boot before the limit ends
 *      is near      it ended some minutes ago, or was short: launches are counted, however few come
 */

#include <stdbool.h>
#include <stdint.h>

#include "scaler.h"

/* Stores that nobody can be registered for REGISTRAR (pace.h) before UNTIL_MS (wall clock), unless
 * this process has done so. A failure is logged. */
void github_limit_note(struct scaler *scaler, int64_t registrar, int64_t until_ms);

/* Until when (wall clock) nothing is launched for REGISTRAR; 0: launch. */
int64_t github_limit_pause_until(struct scaler *scaler, int64_t registrar);

/* Whether a limit lasts, or did a moment ago. */
bool github_limit_is_near(struct scaler *scaler, int64_t registrar);

/* For how many registrars nothing is launched. */
size_t github_limits_that_pause(struct scaler *scaler);
