/* SPDX-License-Identifier: MIT */

/*
 * An agent that is up before the network is: it waits, and goes on as soon as there is one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_stand.h"

static uint64_t next_try_us(const struct stand *stand)
{
        uint64_t usec = 0;

        assert_non_null(stand->identify.timer);
        assert_int_equal(sd_event_source_get_time(stand->identify.timer, &usec), 0);
        return usec;
}

static uint64_t now_us(struct stand *stand)
{
        uint64_t usec;

        assert_true(sd_event_now(agent_event(&stand->agent), CLOCK_BOOTTIME, &usec) >= 0);
        return usec;
}

/* An agent that waits for its next try. */
static void fail_to_identify(struct stand *stand)
{
        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ENETUNREACH);
        identify_start(&stand->identify, stand_done, stand);
        http_finish(stand->agent.http);
        assert_int_equal(stand->identify.failures, 1);
}

static void change_routes(struct stand *stand)
{
        struct network *network = &stand->identify.network;

        network->changed(network->userdata);
}

static void test_a_new_route_ends_the_wait(void **state)
{
        struct stand *stand = *state;

        fail_to_identify(stand);
        assert_true(next_try_us(stand) > now_us(stand) + 10000);
        change_routes(stand);
        assert_true(next_try_us(stand) <= now_us(stand));
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner\n");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_null(stand->identify.network.source);
}

static void test_a_route_while_an_answer_is_awaited_changes_nothing(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_latency(stand->script, 12000);
        identify_start(&stand->identify, stand_done, stand);
        stand->identify.failures = 1;
        change_routes(stand);
        assert_null(stand->identify.timer);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_null(stand->identify.network.source);
}

static void test_a_route_that_comes_during_a_failing_try_is_not_forgotten(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ENETUNREACH);
        identify_start(&stand->identify, stand_done, stand);
        change_routes(stand);
        http_finish(stand->agent.http);
        assert_int_equal(stand->identify.failures, 1);
        assert_true(next_try_us(stand) <= now_us(stand));
}

static void on_change(void *userdata)
{
        bool *was_told = userdata;

        *was_told = true;
}

/* The loopback's routes come when it is turned on; in a network of its own, to harm nobody. */
static void test_the_kernel_tells(void **state)
{
        struct stand *stand = *state;
        struct ifreq request = {.ifr_name = "lo"};
        bool was_told = false;
        int fd;

        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                print_message("no network namespaces here: %s\n", strerror(errno));
                skip();
        }
        network_open(&stand->identify.network, &stand->agent, on_change, &was_told);
        sd_event_run(agent_event(&stand->agent), 0);
        assert_false(was_told);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        request.ifr_flags = IFF_UP;
        assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
        close(fd);
        sd_event_run(agent_event(&stand->agent), 5000000);
        assert_true(was_told);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_FRESH(test_a_new_route_ends_the_wait),
                STAND_FRESH(test_a_route_while_an_answer_is_awaited_changes_nothing),
                STAND_FRESH(test_a_route_that_comes_during_a_failing_try_is_not_forgotten),
                STAND_FRESH(test_the_kernel_tells),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
