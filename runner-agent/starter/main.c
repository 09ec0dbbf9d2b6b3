/* SPDX-License-Identifier: MIT */

/*
 * starter: starts the runner outside of the agent's sandbox, in runner.slice. It runs as
 * runner.service and waits for the agent to ask. It is not for people and has no manual page.
 */

#include <stdio.h>

#include "serve.h"

int main(int argc, char **argv)
{
        (void)argv;
        if (argc > 1) {
                fputs("starter: it takes no arguments: systemd starts it, as runner.service\n",
                        stderr);
                return 1;
        }
        return serve_run();
}
