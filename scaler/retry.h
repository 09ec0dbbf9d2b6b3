/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler retry --dead-letters [--dry-run]`: moves kept dead letters back to the queues that they
 * came from.
 */

#include "cli.h"

extern const struct cli retry_command;
