/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person types: a file for each command, which has its help, options and exit codes
 * (cli/cli.h).
 */

#include "cli/cli.h"

extern const struct cli setup_command;   /* asks for the App's secrets, verifies and stores them */
extern const struct cli doctor_command;  /* checks a deployment from end to end */
extern const struct cli check_command;   /* reports every fault of a configuration */
extern const struct cli ladder_command;  /* prints the ladder of an instance type */
extern const struct cli retry_command;   /* moves kept dead letters back to their queues */
extern const struct cli recover_command; /* a sweep for what lost events left behind */
