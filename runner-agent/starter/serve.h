/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The server: starts what its clients ask for, one after the other.
 */

/* Serves on the socket that systemd has opened, until SIGTERM or SIGINT. Returns what to exit with:
 * 0, or 1 when there is no socket to serve on. */
int serve_run(void);
