/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler retry --dead-letters [--dry-run]`: moves kept dead letters back to the queues that they
 * came from. Exit code: 0, 1 when a letter could not be moved, 2 for wrong options.
 */
int retry_main(int argc, char *argv[]);
