/* SPDX-License-Identifier: MIT */

/*
 * starter: starts the runner outside of the agent's sandbox, in runner.slice. It is runner.service,
 * and waits there for the agent to ask. Not for people: there is no manual page.
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
