/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The starter's end of its socket, played by the test: it takes the agent's request, and answers
 * when the test says so.
 */

#include <stdbool.h>
#include <stddef.h>

#include "agent.h"

struct fake_starter {
        char directory[64]; /* of the socket; also the runner's */
        int listener;
        int socket; /* to the agent; -1: it has not asked, or has gone */
        int output; /* where the runner prints; -1: nowhere */
        char request[8192];
        size_t request_size;
};

/* Listens, and names itself in the settings of AGENT. */
void fake_starter_init(struct fake_starter *starter, struct agent *agent);
void fake_starter_release(struct fake_starter *starter);

/* Whether the agent has asked for a runner; takes its request, and forgets the one before. */
bool fake_starter_take(struct fake_starter *starter);
/* Whether TEXT is one of the request's arguments or variables. */
bool fake_starter_was_given(const struct fake_starter *starter, const char *text);

/* Sends an answer (enum starter_event). */
void fake_starter_answer(struct fake_starter *starter, int event, int value, const char *text);
/* The runner prints LINE. */
void fake_starter_print(struct fake_starter *starter, const char *line);
/* The starter has gone, and the runner's output with it. */
void fake_starter_hang_up(struct fake_starter *starter);

/* The next signal that the agent has sent, 0 for the question; -1: none; -2: the agent has closed
 * the connection. */
int fake_starter_signal(struct fake_starter *starter);
