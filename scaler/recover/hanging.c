/* SPDX-License-Identifier: MIT */

/*
 * Machines that hang: GitHub shows their runners as offline long after their boot. Such a runner is
 * deregistered, and its machine marked with a tag.
 *
 * A machine whose runner is gone is left alone: it may be working. So before a runner is
 * deregistered, the tag says that this is about to happen. If the sweep is killed then, the next
 * one knows why there is no runner.
 */

#include "hanging.h"

#include <stdio.h>
#include <stdlib.h>

#include "job/token_requests.h"

/* Stands in place of the time where GitHub has shown that the runner works, or listens. GitHub
 * forgets a runner when its job ends: without this mark, we would believe that we had deregistered
 * it. */
#define HANGS_NOT (-1)
/* Further ones wait for the next sweep. */
#define SUSPECTS_MAX 50

/* A machine that may hang: no job, no end, and its hand-over is not used. */
struct suspect {
        struct sweep *sweep;
        const struct ec2_instance *machine;
        struct token_requests *tokens;
        int64_t installation;
        const char *scope;
        int64_t runner_id;
        bool is_begun;     /* an earlier sweep has announced it, and may have done it, */
        bool is_announced; /* or this one has announced it */
        bool is_deregistered;
};

static int64_t installation_of(const struct ec2_instance *machine)
{
        const char *value = ec2_instance_tag(machine, "scale-agent:installation");

        return value ? strtoll(value, NULL, 10) : 0;
}

/* -- deregistering -- */

static struct http_call *make_mark(const struct suspect *suspect, int64_t since)
{
        char value[24];
        const struct ec2_tag tag = {HANGS_TAG, value};

        snprintf(value, sizeof(value), "%lld", (long long)since);
        suspect->sweep->calls++;
        return ec2_create_tags(suspect->sweep->aws, suspect->machine->id, &tag, 1);
}

static void on_withdrawn(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct suspect *suspect = userdata;
        struct err err;
        int r = ec2_create_tags_answer(call, &err);

        if (r < 0)
                sweep_fail(suspect->sweep, r, &err);
}

static void withdraw(struct suspect *suspect)
{
        struct http_call *call = make_mark(suspect, HANGS_NOT);

        call->done = on_withdrawn;
        call->userdata = suspect;
        scaler_start(suspect->sweep->scaler, call);
}

static void on_deleted(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct suspect *suspect = userdata;
        struct sweep *sweep = suspect->sweep;
        struct err err;
        int r = github_delete_runner_answer(call, &err);

        token_note_scope_result(
                sweep->scaler, suspect->tokens->github, suspect->scope, suspect->installation, r);
        if (r < 0)
                sweep_fail(sweep, r, &err);
        if (r == GITHUB_RUNNER_BUSY)
                withdraw(suspect);
        suspect->is_deregistered = r == 0;
}

static void delete_runner(struct suspect *suspect)
{
        struct http_call *call = github_delete_runner(
                suspect->tokens->github, suspect->installation, suspect->scope, suspect->runner_id);

        call->done = on_deleted;
        call->userdata = suspect;
        suspect->sweep->calls++;
        scaler_start(suspect->sweep->scaler, call);
}

static void find_runner(struct suspect *suspect);

/* Meanwhile it may have come to life: the question is asked again right before the deletion. */
static void on_announced(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct suspect *suspect = userdata;
        struct err err;
        int r = ec2_create_tags_answer(call, &err);

        if (r < 0) {
                sweep_fail(suspect->sweep, r, &err);
                return;
        }
        suspect->is_announced = true;
        find_runner(suspect);
}

static void announce(struct suspect *suspect)
{
        struct http_call *call = make_mark(suspect, 0);

        call->done = on_announced;
        call->userdata = suspect;
        scaler_start(suspect->sweep->scaler, call);
}

/* Its runner has come online, or is gone and we did not remove it: it may work. */
static void leave(struct suspect *suspect)
{
        if (suspect->is_announced && !suspect->sweep->is_dry)
                withdraw(suspect);
}

static bool may_work(const struct github_runner *runner)
{
        return !runner->offline || runner->busy;
}

/* Only a runner that is not connected is touched: one that is may be taking a job. */
static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct suspect *suspect = userdata;
        struct sweep *sweep = suspect->sweep;
        struct github_runner runner = {0};
        struct err err;
        int r = github_find_runner_answer(call, suspect->machine->id, &runner, &err);

        token_note_scope_result(
                sweep->scaler, suspect->tokens->github, suspect->scope, suspect->installation, r);
        if (r < 0)
                sweep_fail(sweep, r, &err);
        if (r == GITHUB_NOT_FOUND && suspect->is_begun)
                suspect->is_deregistered = true;
        else if (r == GITHUB_NOT_FOUND || (r == 0 && may_work(&runner)))
                leave(suspect);
        if (r != 0 || may_work(&runner))
                return;
        suspect->runner_id = runner.id;
        if (sweep->is_dry)
                suspect->is_deregistered = true;
        else if (suspect->is_announced)
                delete_runner(suspect);
        else
                announce(suspect);
}

static void find_runner(struct suspect *suspect)
{
        struct http_call *call = github_find_runner(suspect->tokens->github, suspect->installation,
                suspect->scope, suspect->machine->id);

        call->done = on_found;
        call->userdata = suspect;
        suspect->sweep->calls++;
        scaler_start(suspect->sweep->scaler, call);
}

static void on_token(void *userdata, const struct setback *setback)
{
        struct suspect *suspect = userdata;

        if (setback)
                sweep_fail(suspect->sweep, setback->result, &setback->err);
        else
                find_runner(suspect);
}

/* -- marking -- */

static void mark(struct suspect *suspect)
{
        struct sweep *sweep = suspect->sweep;
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct err err;
        int r;

        sweep->marked++;
        sweep_note(sweep, "deregister", suspect->machine->id,
                "its runner is offline long after its boot");
        if (sweep->is_dry)
                return;
        call = scaler_call(sweep->scaler,
                make_mark(suspect, clock_wall_ms(sweep->scaler->clock) / MSEC_PER_SEC));
        r = ec2_create_tags_answer(call, &err);
        if (r < 0)
                sweep_fail(sweep, r, &err);
}

void sweep_hanging(
        struct sweep *sweep, const struct ec2_instance *const *machines, size_t n_machines)
{
        _cleanup_(token_requests_release) struct token_requests tokens = {0};
        struct suspect suspects[SUSPECTS_MAX];
        size_t first = sweep_first(sweep, n_machines, SUSPECTS_MAX);
        size_t n = n_machines < SUSPECTS_MAX ? n_machines : SUSPECTS_MAX;
        struct err err;
        int r = n_machines > 0 ? token_requests_init(&tokens, sweep->scaler, &err) : 0;

        if (r < 0) {
                sweep_fail(sweep, r, &err);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                const struct ec2_instance *machine = machines[(first + i) % n_machines];

                suspects[i] = (struct suspect){
                        .sweep = sweep,
                        .machine = machine,
                        .tokens = &tokens,
                        .installation = installation_of(machine),
                        .scope = ec2_instance_tag(machine, "scale-agent:scope"),
                        .is_begun = ec2_instance_tag(machine, HANGS_TAG),
                        .is_announced = ec2_instance_tag(machine, HANGS_TAG),
                };
                if (!suspects[i].scope)
                        continue;
                token_requests_for_scope(&tokens, suspects[i].scope, suspects[i].installation,
                        on_token, &suspects[i]);
        }
        http_finish(scaler_http(sweep->scaler));
        for (size_t i = 0; i < n; i++)
                if (suspects[i].is_deregistered)
                        mark(&suspects[i]);
}
