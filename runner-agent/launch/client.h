/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The client: stands where the program would, as a child of the agent.
 */

/* Has the server behind SOCKET_PATH start ARGUMENTS (an absolute path first) with this process's
 * environment, folder, standard output and error. Returns what to exit with, or ends this process
 * by the signal that ended the program. */
int client_run(const char *socket_path, char **arguments);
