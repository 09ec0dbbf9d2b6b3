/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler check FILE`: says everything that is wrong with a configuration, before it is put where
 * the functions read it.
 */

/* Returns the exit code: 0 for a valid configuration, 2 for one with faults, 1 when it cannot be
 * read or the command was called in a wrong way. */
int check_main(int argc, char *argv[]);
