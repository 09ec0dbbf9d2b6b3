/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person types: one file a command, each with its own help (cli/cli.h).
 */

#include "cli/cli.h"

extern const struct cli setup_command;  /* asks for the App's secrets, tries and stores them */
extern const struct cli doctor_command; /* looks at a deployment from end to end */
extern const struct cli check_command;  /* reports every fault of a configuration */
extern const struct cli ladder_command; /* prints the rungs of a type's ladder */
extern const struct cli retry_command;  /* moves kept dead letters back to their queues */
