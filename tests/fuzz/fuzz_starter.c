/* SPDX-License-Identifier: MIT */

/*
 * What the agent and the starter receive from each other: requests, signals, answers.
 */

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "starter/message.h"

static size_t length(const char *const *strings)
{
        size_t n = 0;

        while (strings[n])
                n++;
        return n;
}

/* What was taken is in bounds, and printed again gives the same bytes. */
static void read_request(const char *bytes, size_t size)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);
        struct starter_request request;
        struct err err = {0};
        int r = starter_request_parse(bytes, size, &request, &err);

        if ((r < 0) != (err.text[0] != '\0'))
                abort();
        if (r < 0)
                return;
        if (length(request.arguments) > STARTER_ARGUMENTS_MAX ||
                length(request.variables) > STARTER_VARIABLES_MAX)
                abort();
        if (starter_request_print(request.directory, (char *const *)request.arguments,
                    (char *const *)request.variables, &packet, &err) < 0)
                abort();
        if (packet.size != size || memcmp(packet.data, bytes, size) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *bytes = (const char *)data;
        struct starter_answer answer;
        struct err err;
        int number = SIGINT;

        read_request(bytes, size);
        if (starter_signal_parse(bytes, size, &number) == 0 && number != SIGINT &&
                number != SIGTERM && number != SIGKILL && number != STARTER_ASK_WORKER)
                abort();
        if (starter_answer_parse(bytes, size, &answer, &err) == 0 &&
                strlen(answer.text) >= sizeof(answer.text))
                abort();
        return 0;
}
