/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The keys of tickets (ticket.h), in the SecureString PREFIX/ticket-key. The first `queued` that
 * needs one makes it. The container keeps them while the process is warm.
 */

#include "base/err.h"
#include "scaler.h"

/* For who signs: the keys, made if there are none. They are read again after a quarter of an hour;
 * if that fails, the old ones stay. Borrowed until the next call. */
int ticket_keys_make(struct scaler *scaler, const char **ret, struct err *err);

/* For who checks: the keys, which are empty where none were made. They are read again after a
 * quarter of an hour, too, since one may have been stolen and replaced. AGAIN: reads them once
 * more, since the ticket may be of a new one, but not within a minute of the last time: *ret is
 * NULL then. */
int ticket_keys_read(struct scaler *scaler, bool again, const char **ret, struct err *err);
