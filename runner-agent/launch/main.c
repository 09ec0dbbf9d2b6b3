/* SPDX-License-Identifier: MIT */

/*
 * launch: starts the runner outside of the agent's sandbox, in runner.slice. `launch --serve` is
 * runner.service, which waits for that; `launch PROGRAM ARG...` is what the agent starts in the
 * runner's place, and lives and ends as the runner does. Not for people: there is no manual page.
 */

#include <stdio.h>
#include <string.h>

#include "client.h"
#include "message.h"
#include "serve.h"

static const char usage[] =
        "usage: launch [--socket PATH] PROGRAM [ARGUMENT...]   has runner.service start it\n"
        "       launch --serve                                 is runner.service\n";

int main(int argc, char **argv)
{
        const char *socket = LAUNCH_SOCKET;
        char **words = argv + 1;

        if (argc == 2 && strcmp(words[0], "--serve") == 0)
                return serve_run();
        if (argc >= 3 && strcmp(words[0], "--socket") == 0) {
                socket = words[1];
                words += 2;
        }
        if (!words[0] || words[0][0] != '/') {
                fputs(usage, stderr);
                return LAUNCH_EXIT_FAILED;
        }
        return client_run(socket, words);
}
