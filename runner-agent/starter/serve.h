/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The starter's server: starts the programs that its clients ask for, one at a time.
 */

/* Serves on the socket that systemd passed, until SIGTERM or SIGINT. Returns the exit code: 0, or 1
 * when there is no socket. */
int serve_run(void);
