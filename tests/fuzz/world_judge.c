/* SPDX-License-Identifier: MIT */

/*
 * What became of an event:
 *
 *      no job is lost         a message that does not come again has another in its place, or its
 *                             job needs nothing more, as GitHub or EC2 said
 *      no launch too many     one machine for each launch of a job, whatever was delivered twice
 * and whatever answer was lost; of the spec's types and subnets, within limits of machines, none
 * for jobs that have ended or are a fork's nothing is forgotten   each machine that was launched is
 * sent on, ended, or its job's message comes again no harm                no machine ends that has
 * a job, or is another stack's no secret              in a log, message, tag, answer or URL
 *
 * What a single call shows, the services have checked: launches, ends and secrets.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* After GitHub has not known a job this often, the job counts as deleted. */
#define MISSING_FOR_LONG 40
#define WAITS_MAX_MS (48 * 3600 * MSEC_PER_SEC)

/* The job of the message of that NUMBER, where it says none. */
static int64_t job_of(int64_t number, const cJSON *message)
{
        int64_t id = json_integer(message, "id", number);

        return id >= 1 && id <= WORLD_JOBS ? id : 0;
}

/* Whether the message of that number is delivered again. */
static bool comes_again(const struct world_judged *judged, int64_t number)
{
        const cJSON *failure;
        char id[8];

        snprintf(id, sizeof(id), "m%d", (int)number);
        cJSON_ArrayForEach (failure, json_get(judged->answer, "batchItemFailures")) {
                if (strcmp(json_string(failure, "itemIdentifier"), id) == 0)
                        return true;
        }
        return false;
}

/* Whether the repository of the job is among those of the configuration. */
static bool is_configured(const cJSON *message)
{
        const char *repository = json_string(message, "repository");

        return repository && (strncmp(repository, "o/", 2) == 0 || world.has_other);
}

/* Whether a message of that job is delivered again. */
static bool job_comes_again(const struct world_judged *judged, int64_t id)
{
        const cJSON *record;
        int64_t number = 0;

        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *message = cJSON_Parse(json_string(record, "body"));

                number++;
                if (job_of(number, message) == id && comes_again(judged, number))
                        return true;
        }
        return false;
}

/* Longer than GitHub lets a job wait: where it refuses to tell of it, nobody follows it any more.
 */
static bool waits_for_long(const cJSON *message)
{
        int64_t launched_ms = json_integer(message, "launched_ms", 0);

        return launched_ms > 0 && WORLD_NOW_MS - launched_ms > WAITS_MAX_MS;
}

static bool is_settled(const struct world_judged *judged, int64_t number, const cJSON *message)
{
        int64_t id = job_of(number, message);
        const struct world_job *job = &world.jobs[id];
        const char *action = json_string(message, "action");
        bool is_lost = action && strcmp(action, "lost") == 0;

        if (job->is_sent || comes_again(judged, number) || job_comes_again(judged, id))
                return true;
        if (!message)
                return world.n_dead > 0;
        if (is_lost)
                return world.n_rerun > 0 || world.n_told > 0 || !job->is_failed ||
                       world.has_other_attempt || !is_configured(message);
        if (world.has_refused && waits_for_long(message))
                return true;
        if (job->is_unknown && json_integer(message, "missing", 0) >= MISSING_FOR_LONG)
                return true;
        return job->is_over || job->was_over ||
               (job->is_fork && strcmp(judged->name, "queued") == 0);
}

/* Tells which look at which machine a message of `watch` asks for. */
static void name_look(const cJSON *message, char name[static WORLD_LOOK_SIZE])
{
        static const char *const texts[] = {"action", "instance", "machines"};
        static const char *const numbers[] = {
                "id", "run_id", "attempt", "launch", "watches", "waits"};
        size_t size = 0;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                const char *text = json_string(message, texts[i]);

                size += (size_t)snprintf(
                        name + size, WORLD_LOOK_SIZE - size, "%.40s ", text ? text : "");
        }
        for (size_t i = 0; i < ARRAY_SIZE(numbers) && size < WORLD_LOOK_SIZE; i++)
                size += (size_t)snprintf(name + size, WORLD_LOOK_SIZE - size, "%lld ",
                        (long long)json_integer(message, numbers[i], 0));
}

/* Whether MESSAGE came before and another has followed it: that one is the promise now. */
static bool was_followed(const cJSON *message)
{
        char name[WORLD_LOOK_SIZE];

        name_look(message, name);
        for (size_t i = 0; i < world.n_looks; i++)
                if (strcmp(world.looks[i], name) == 0)
                        return true;
        return false;
}

static void note_followed(const struct world_judged *judged, int64_t number, const cJSON *message)
{
        if (!world.jobs[job_of(number, message)].is_sent || comes_again(judged, number) ||
                world.n_looks == WORLD_LOOKS)
                return;
        name_look(message, world.looks[world.n_looks++]);
}

/* Checks the functions whose message is the promise to a job. */
static void check_promises(const struct world_judged *judged)
{
        bool is_watch = strcmp(judged->name, "watch") == 0;
        static const char *const names[] = {"queued", "register", "admit", "watch"};
        const cJSON *record;
        int64_t id = 0;
        bool is_concerned = false;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                is_concerned |= strcmp(names[i], judged->name) == 0;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                const char *body = json_string(record, "body");
                _cleanup_json_ cJSON *message = cJSON_Parse(body);

                id++;
                if (is_watch && message && was_followed(message))
                        continue;
                if (is_watch && message)
                        note_followed(judged, id, message);
                if (is_concerned && !is_settled(judged, id, message)) {
                        fprintf(stderr, "%s: job %d is lost: %s\n", judged->name, (int)id, body);
                        abort();
                }
        }
}

/* A hand-over is stored before its watch promises anything. But of a fleet, one machine may be
 * taken for another, which the watch finds out. */
static void check_watches(const struct world_judged *judged)
{
        const cJSON *record;

        if (strcmp(judged->name, "register") != 0 || world.has_fleet)
                return;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *message = cJSON_Parse(json_string(record, "body"));
                const char *instance = json_string(message, "instance");
                const struct world_job *job = &world.jobs[job_of(0, message)];
                const struct world_machine *machine = instance ? world_machine(instance) : NULL;

                if (!job->is_followed || job->is_stored || job->is_over || job->was_over ||
                        !machine || world_has_handover(instance) || machine->has_job ||
                        machine->has_runner)
                        continue;
                fprintf(stderr, "machine %s is followed, and knows nothing\n", instance);
                abort();
        }
}

/* One of the jobs that MACHINE was launched for comes again, or is a letter to be retried. */
static bool is_called_again(const struct world_judged *judged, const struct world_machine *machine)
{
        for (const char *at = strchr(machine->launches, '/'); at && at[1];
                at = strchr(at + 1, '/')) {
                int id = 0;

                if (sscanf(at, "/%d-", &id) == 1 && id <= WORLD_JOBS &&
                        (job_comes_again(judged, id) || world.jobs[id].is_dead))
                        return true;
        }
        return false;
}

/* Whether EC2 has launched it, and it is not known to have ended. */
static bool is_left(const struct world_machine *machine)
{
        return machine->is_made && !machine->was_dead && !machine->is_ended;
}

/* Whether the machine at INDEX is the first that is left with this name among its own. */
static bool is_first_with(size_t index, const char *name, size_t size)
{
        for (size_t i = 0; i < index; i++)
                if (is_left(&world.machines[i]) &&
                        memmem(world.machines[i].launches, strlen(world.machines[i].launches), name,
                                size))
                        return false;
        return true;
}

/* How many names of launches the machines have that are left. */
static size_t count_names(void)
{
        size_t n = 0;

        for (size_t i = 0; i < world.n_machines; i++) {
                const char *at = strchr(world.machines[i].launches, '/');

                for (; is_left(&world.machines[i]) && at && at[1]; at = strchr(at + 1, '/'))
                        n += is_first_with(i, at, strcspn(at + 1, "/") + 2);
        }
        return n;
}

/* Whatever was delivered twice, and whatever answer was lost: a launch has one machine. */
static void check_doubles(void)
{
        size_t n = 0;

        for (size_t i = 0; i < world.n_machines; i++)
                n += is_left(&world.machines[i]);
        CHECK(n <= count_names());
}

static void check_machines(const struct world_judged *judged)
{
        unsigned n_records = (unsigned)cJSON_GetArraySize(json_get(judged->event, "Records"));
        unsigned n_launched = 0;

        for (size_t i = judged->before->n_machines; i < world.n_machines; i++)
                n_launched += world.machines[i].is_launched && !world.machines[i].was_dead;
        CHECK(n_launched <= n_records);
        if (world.is_limited && world.is_counted && n_launched > 0)
                CHECK(n_launched + world.n_living <= 3);
        for (size_t i = judged->before->n_machines; i < world.n_machines; i++) {
                const struct world_machine *machine = &world.machines[i];

                if (!machine->is_launched || machine->is_sent || machine->is_ended ||
                        machine->was_dead || is_called_again(judged, machine))
                        continue;
                fprintf(stderr, "%s: machine %s is forgotten\n", judged->name, machine->id);
                abort();
        }
}

/* A machine that ended before its job began, with its hand-over: the job is given back, or people
 * are told. */
static void check_ended(const struct world_judged *judged)
{
        const cJSON *record;
        int64_t id = 0;

        if (strcmp(judged->name, "instance") != 0)
                return;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *event = cJSON_Parse(json_string(record, "body"));
                const char *state = json_string(event, "detail.state");
                const struct world_machine *machine;
                const char *instance = json_string(event, "detail.instance-id");

                id++;
                if (!state || strcmp(state, "terminated") != 0 || !instance ||
                        comes_again(judged, id) || !world.jobs[id].is_read)
                        continue;
                machine = world_machine(instance);
                CHECK(!machine || machine->has_job || machine->is_foreign ||
                        world.jobs[id].is_sent || world.n_told > 0 || world.n_dead > 0);
        }
}

/* What people are to see is seen, and letters are kept. */
static void check_people(const struct world_judged *judged)
{
        unsigned n_done = 0;
        unsigned n_records = (unsigned)cJSON_GetArraySize(json_get(judged->event, "Records"));

        for (unsigned i = 1; i <= n_records; i++)
                n_done += !comes_again(judged, i);
        if (strcmp(judged->name, "dead_letter") == 0)
                CHECK(world.n_kept - judged->before->n_kept + world.n_dead >= n_done);
}

/* What GitHub is told has come to a queue. */
static void check_delivery(const struct world_judged *judged)
{
        int64_t status = json_integer(judged->answer, "statusCode", 0);

        if (strcmp(judged->name, "webhook") != 0)
                return;
        CHECK(status >= 200 && status < 600);
        CHECK(status != 202 || world.jobs[1].is_sent);
        CHECK(status == 202 || !world.jobs[1].is_sent);
}

void world_judge(const struct world_judged *judged)
{
        check_promises(judged);
        check_watches(judged);
        check_machines(judged);
        check_doubles();
        check_ended(judged);
        check_people(judged);
        check_delivery(judged);
}
