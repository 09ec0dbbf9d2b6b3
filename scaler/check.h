/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler check FILE`: says everything that is wrong with a configuration, before it is put where
 * the functions read it.
 */

#include "cli.h"

extern const struct cli check_command;
