/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the first calls will need, ahead: for the time in which the network is not there yet.
 */

/* Takes some milliseconds, or a little more where files come from a disk that is slow at first.
 * What fails here fails again, and is told, when it is needed. */
void prepare(void);
