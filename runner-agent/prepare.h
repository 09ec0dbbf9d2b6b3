/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the first calls will need, ahead: for the time in which the network is not there yet.
 */

struct agent;
struct http_call;

struct prepare {
        struct http_call *call;
};

/* Takes some milliseconds, or a little more where files come from a disk that is slow at first.
 * What fails here fails again, and is told, when it is needed. */
void prepare_start(struct agent *agent);

void prepare_release(struct agent *agent);
