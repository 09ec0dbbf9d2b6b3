/* SPDX-License-Identifier: MIT */

/*
 * Reads the queue of kept letters for `scaler retry`, and leaves it as it was.
 */

#include "kept_letters.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* SQS hides a received letter for this long: what a killed process leaves hidden. */
#define HIDDEN_SECONDS 60

/* -- signals -- */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
        stopped = signal;
}

/* The first signal is noted, and the call that is under way ends first; a second one kills. */
static void catch_signals(void)
{
        struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};

        stopped = 0;
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        /* `scaler retry | head` */
        (void)signal(SIGPIPE, SIG_IGN);
}

/* -- letters that stay -- */

/* Notes that LETTER is in the queue, with its newest receipt; whether it was seen before. */
static bool note(struct kept_letters *letters, const struct sqs_received *letter)
{
        struct stay *stay;

        for (size_t i = 0; i < letters->n_stay; i++) {
                stay = &letters->stay[i];
                if (strcmp(stay->id, letter->id) == 0) {
                        free(stay->receipt);
                        stay->receipt = mem_string(letter->receipt);
                        return true;
                }
        }
        letters->stay = mem_resize(letters->stay, letters->n_stay + 1, sizeof(*stay));
        stay = &letters->stay[letters->n_stay++];
        *stay = (struct stay){mem_string(letter->id), mem_string(letter->receipt)};
        return false;
}

static void forget_last(struct kept_letters *letters)
{
        struct stay *last = &letters->stay[--letters->n_stay];

        free(last->id);
        free(last->receipt);
}

/* Makes the letters that stay visible again. */
static void show_again(struct kept_letters *letters)
{
        struct err err;
        int r = 0;

        while (letters->n_stay > 0) {
                const struct stay *last = &letters->stay[letters->n_stay - 1];

                if (r == 0) {
                        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                                letters->scaler, sqs_hide_message(letters->aws, letters->queue_url,
                                                         last->receipt, 0));

                        r = sqs_hide_message_answer(call, &err);
                }
                forget_last(letters);
        }
        free(letters->stay);
        letters->stay = NULL;
        if (r < 0)
                fprintf(stderr,
                        "scaler: letters that stay could not be shown again: "
                        "SQS hides them for up to %d seconds: %s\n",
                        HIDDEN_SECONDS, err.text);
}

/* -- reading -- */

/* Passes on up to ten letters; positive if one of them was new. */
static int read_some(
        struct kept_letters *letters, kept_letter_handler handler, void *userdata, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(letters->scaler,
                sqs_receive_messages(letters->aws, letters->queue_url, HIDDEN_SECONDS));
        _cleanup_(sqs_received_list_release) struct sqs_received_list list = {0};
        int r = sqs_receive_messages_answer(call, &list, err);
        bool is_new = false;

        if (r < 0)
                return r;
        for (size_t i = 0; i < list.count; i++) {
                if (note(letters, &list.items[i]))
                        continue;
                is_new = true;
                if (!stopped && handler(&list.items[i], userdata) > 0)
                        forget_last(letters);
        }
        return is_new;
}

int kept_letters_each(
        struct kept_letters *letters, kept_letter_handler handler, void *userdata, struct err *err)
{
        int r;

        catch_signals();
        do
                r = read_some(letters, handler, userdata, err);
        while (r > 0 && !stopped);
        show_again(letters);
        if (r >= 0 && stopped)
                return err_set(err, -EINTR, "interrupted; letters that were not seen are kept");
        return r;
}

int kept_letters_delete(
        struct kept_letters *letters, const struct sqs_received *letter, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(letters->scaler,
                sqs_delete_message(letters->aws, letters->queue_url, letter->receipt));

        return sqs_delete_message_answer(call, err);
}
