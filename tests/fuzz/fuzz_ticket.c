/* SPDX-License-Identifier: MIT */

/*
 * Tickets: nothing is believed that was not signed; what was signed, and can be read, is printed
 * again as what says the same.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"
#include "job/ticket.h"
#include "sign.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct ticket_place here = {"/p", "123456789012", "eu-central-1"};

static void check_signed(const char *content)
{
        _cleanup_free_ char *text = sign_ticket(KEY, content);
        _cleanup_(ticket_release) struct ticket first = {0};
        _cleanup_(ticket_release) struct ticket second = {0};
        _cleanup_free_ char *once = NULL;
        _cleanup_free_ char *twice = NULL;
        int r = ticket_check(text, KEY, &here, 1, &first);

        CHECK(r != TICKET_FORGED && r != TICKET_UNKNOWN_KEY && r != TICKET_ABSENT);
        if (r != 0)
                return;
        CHECK(first.job.id > 0 && first.runner_id >= 0 && first.job.relaunches >= 0);
        CHECK(first.instance && first.spec && first.job.repository && first.job.instance_type);
        once = ticket_print(&first, KEY);
        r = ticket_check(once, KEY, &here, 1, &second);
        CHECK(r == 0 || (r == TICKET_MALFORMED && strlen(once) > TICKET_MAX));
        if (r != 0)
                return;
        twice = ticket_print(&second, KEY);
        CHECK(strcmp(once, twice) == 0);
}

/* Nobody gave the fuzzer this key. */
static void check_unsigned(const char *text)
{
        _cleanup_(ticket_release) struct ticket ticket = {0};

        CHECK(ticket_check(text, "e" KEY "\n" KEY " 4", &here, 5000, &ticket) != 0);
        CHECK(!ticket.instance);
        (void)ticket_check("1.00000000.{}", text, &here, 1, &ticket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_alloc(size + 1);

        memcpy(text, data, size);
        check_signed(text);
        check_unsigned(text);
        return 0;
}
