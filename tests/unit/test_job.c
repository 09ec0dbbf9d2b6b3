/* SPDX-License-Identifier: MIT */

/*
 * Jobs: read from GitHub's deliveries or refused by the name of the bad member, and unchanged after
 * a trip through a queue.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "job/job.h"
#include "unit.h"

#define WHOLE                                                                                    \
        "{\"action\":\"completed\",\"repository\":{\"full_name\":\"o/r\"},\"installation\":{"    \
        "\"id\":4711},\"workflow_job\":{\"id\":9007199254740991,\"run_id\":2,\"run_attempt\":3," \
        "\"name\":\"build\",\"html_url\":\"https://github.test/1\",\"status\":\"completed\","    \
        "\"labels\":[\"self-hosted\",\"linux\"],\"runner_id\":23,\"runner_name\":\"i-1\","       \
        "\"conclusion\":\"success\",\"created_at\":\"2026-01-02T12:00:00Z\",\"started_at\":"     \
        "\"2026-01-02T12:01:00Z\",\"completed_at\":\"2026-01-02T12:02:00Z\"}}"

static int read_job(const char *text, struct job *job, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        int r = json_parse(text, strlen(text), "the body", &body, err);

        return r < 0 ? r : job_from_delivery(body, job, err);
}

static void reads_a_delivery(void **state)
{
        struct job job = {0};
        struct err err;

        (void)state;
        assert_int_equal(read_job(WHOLE, &job, &err), 0);
        assert_int_equal(job.action, JOB_COMPLETED);
        assert_int_equal(job.id, JSON_INTEGER_MAX);
        assert_int_equal(job.attempt, 3);
        assert_int_equal(job.installation, 4711);
        assert_string_equal(job.repository, "o/r");
        assert_int_equal(job.n_labels, 2);
        assert_string_equal(job.labels ? job.labels[1] : "none", "linux");
        assert_string_equal(job.runner_name, "i-1");
        assert_int_equal(job.started_ms - job.queued_ms, 60000);
        assert_int_equal(job.completed_ms - job.started_ms, 60000);
        job_release(&job);
}

static void is_unchanged_after_a_queue(void **state)
{
        struct job job = {0};
        struct job back = {0};
        _cleanup_free_ char *message = NULL;
        _cleanup_free_ char *again = NULL;
        struct err err;

        (void)state;
        assert_int_equal(read_job(WHOLE, &job, &err), 0);
        job.spec = mem_string("linux");
        job.instance_type = mem_string("m7i.large");
        job.left_out = mem_string("0a01");
        job.delivery = mem_string("d-1");
        job.webhook_ms = 5;
        job.tries = 2;
        job.offer = 3;
        message = job_print(&job);
        assert_int_equal(job_parse(message, strlen(message), &back, &err), 0);
        assert_int_equal(back.id, JSON_INTEGER_MAX);
        assert_string_equal(back.spec, "linux");
        assert_string_equal(back.left_out, "0a01");
        assert_int_equal(back.tries, 2);
        again = job_print(&back);
        assert_string_equal(message, again);
        job_release(&job);
        job_release(&back);
}

/* Only where GitHub says so is the repository public; and the queue keeps that. */
static void knows_public_repositories(void **state)
{
        static const struct {
                const char *members;
                bool is_public;
        } rows[] = {
                {"", false},
                {",\"private\":true,\"visibility\":\"internal\"", false},
                {",\"private\":null", false},
                {",\"private\":false", true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = mem_format(
                        "{\"action\":\"queued\",\"repository\":{\"full_name\":\"o/r\"%s},"
                        "\"workflow_job\":{\"id\":1,\"run_id\":2,\"labels\":[]}}",
                        rows[i].members);
                _cleanup_(job_release) struct job job = {0};
                _cleanup_(job_release) struct job back = {0};
                _cleanup_free_ char *message = NULL;
                struct err err;

                assert_int_equal(read_job(text, &job, &err), 0);
                assert_int_equal(job.is_public, rows[i].is_public);
                message = job_print(&job);
                assert_int_equal(job_parse(message, strlen(message), &back, &err), 0);
                assert_int_equal(back.is_public, rows[i].is_public);
        }
}

/* A cancelled job may name a runner with id 0 and an empty name: there was none. */
static void no_runner_has_many_forms(void **state)
{
        static const char *const forms[] = {
                "\"runner_id\":null,\"runner_name\":null",
                "\"runner_id\":0,\"runner_name\":\"\"",
                "\"status\":\"queued\"",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                _cleanup_free_ char *text =
                        mem_format("{\"action\":\"queued\",\"repository\":{\"full_name\":\"o/r\"},"
                                   "\"workflow_job\":{\"id\":1,\"run_id\":2,\"labels\":[],%s}}",
                                forms[i]);
                struct job job = {0};
                struct err err;

                assert_int_equal(read_job(text, &job, &err), 0);
                assert_int_equal(job.runner_id, 0);
                assert_null(job.runner_name);
                assert_int_equal(job.attempt, 1);
                assert_int_equal(job.installation, 0);
                assert_null(job.held);
                job_release(&job);
        }
}

static void knows_actions(void **state)
{
        static const struct {
                const char *action;
                const char *status;
                enum job_action expected;
                bool held; /* with that status */
        } rows[] = {
                {"queued", "queued", JOB_QUEUED, false},
                {"queued", "waiting", JOB_QUEUED, true},
                {"queued", "completed", JOB_QUEUED, true},
                {"waiting", "waiting", JOB_OTHER, false},
                {"in_progress", "in_progress", JOB_IN_PROGRESS, false},
                {"completed", "completed", JOB_COMPLETED, false},
                {"other", "queued", JOB_OTHER, false},
                {"dequeued", "queued", JOB_OTHER, false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = mem_format(
                        "{\"action\":\"%s\",\"repository\":{\"full_name\":\"o/r\"},"
                        "\"workflow_job\":{\"id\":1,\"run_id\":2,\"labels\":[],\"status\":\"%s\"}}",
                        rows[i].action, rows[i].status);
                struct job job = {0};
                struct err err;

                assert_int_equal(read_job(text, &job, &err), 0);
                assert_int_equal(job.action, rows[i].expected);
                assert_int_equal(job.held != NULL, rows[i].held);
                if (job.held)
                        assert_string_equal(job.held, rows[i].status);
                job_release(&job);
        }
}

/* The delivery WHOLE, whose member NAME (such as workflow_job.id) has VALUE instead, or is missing
 * (NULL); the caller frees. */
static char *with_member(const char *name, const char *value)
{
        _cleanup_json_ cJSON *body = cJSON_Parse(WHOLE);
        cJSON *object = body;
        const char *dot = strchr(name, '.');
        _cleanup_free_ char *parent = NULL;

        if (dot) {
                parent = mem_format("%.*s", (int)(dot - name), name);
                object = cJSON_GetObjectItem(body, parent);
                name = dot + 1;
        }
        cJSON_DeleteItemFromObject(object, name);
        if (value)
                cJSON_AddRawToObject(object, name, value);
        return json_print(body);
}

/* A name of any length costs no job. */
static void a_long_name_is_cut_at_a_character(void **state)
{
        char value[2 + 4 * 3001 + 1] = "\"";
        _cleanup_free_ char *text = NULL;
        struct job job = {0};
        struct err err;

        (void)state;
        strcat(value, "x");
        for (size_t i = 0; i < 3000; i++)
                memcpy(value + 2 + 4 * i, "\xf0\x9f\x9a\x80", 5);
        strcat(value, "\"");
        text = with_member("workflow_job.name", value);
        assert_int_equal(read_job(text, &job, &err), 0);
        assert_int_equal(strlen(job.name), 1 + 4 * 63);
        assert_true(utf8_is_valid(job.name, strlen(job.name)));
        job_release(&job);
}

static void a_name_has_no_control_characters(void **state)
{
        _cleanup_free_ char *text =
                with_member("workflow_job.name", "\"a\\u0001\\n\\u007f\\u001bb \xc3\xa9\"");
        struct job job = {0};
        struct err err;

        (void)state;
        assert_int_equal(read_job(text, &job, &err), 0);
        assert_string_equal(job.name, "a    b \xc3\xa9");
        job_release(&job);
}

static void refuses_bad_members_by_name(void **state)
{
        static const struct {
                const char *member;
                const char *value; /* NULL: missing */
        } rows[] = {
                {"action", NULL},
                {"action", "7"},
                {"action", "\"\""},
                {"repository", NULL},
                {"repository", "[]"},
                {"repository.full_name", "null"},
                {"repository.full_name", "[\"o/r\"]"},
                {"workflow_job", NULL},
                {"workflow_job", "\"x\""},
                {"workflow_job.id", NULL},
                {"workflow_job.id", "null"},
                {"workflow_job.id", "\"1\""},
                {"workflow_job.id", "1.5"},
                {"workflow_job.id", "9223372036854775808"},
                {"workflow_job.id", "1e400"},
                {"workflow_job.id", "-1"},
                {"workflow_job.id", "0"},
                {"workflow_job.run_id", "true"},
                {"workflow_job.run_attempt", "{}"},
                {"workflow_job.labels", NULL},
                {"workflow_job.labels", "{}"},
                {"workflow_job.labels", "[1]"},
                {"workflow_job.name", "7"},
                {"workflow_job.runner_id", "\"23\""},
                {"workflow_job.runner_id", "-1"},
                {"workflow_job.created_at", "\"yesterday\""},
                {"workflow_job.started_at", "\"2026-01-02\""},
                {"installation", "{\"id\":\"4711\"}"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = with_member(rows[i].member, rows[i].value);
                const char *dot = strchr(rows[i].member, '.');
                struct job job = {0};
                struct err err = {0};

                if (read_job(text, &job, &err) != -EBADMSG)
                        fail_msg("accepted: %s = %s", rows[i].member, rows[i].value);
                assert_contains(err.text, dot ? dot + 1 : rows[i].member);
                assert_null(job.repository);
                assert_null(job.labels);
        }
}

static void what_is_not_needed_may_be_missing(void **state)
{
        static const char *const members[] = {"installation", "workflow_job.name",
                "workflow_job.html_url", "workflow_job.runner_id", "workflow_job.created_at",
                "workflow_job.status", "workflow_job.conclusion", "workflow_job.run_attempt"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
                _cleanup_free_ char *text = with_member(members[i], NULL);
                struct job job = {0};
                struct err err;

                if (read_job(text, &job, &err) < 0)
                        fail_msg("%s: %s", members[i], err.text);
                job_release(&job);
        }
}

/* Reads the delivery of a job with N labels. */
static int read_labels(int n, struct job *job, struct err *err)
{
        _cleanup_buf_ struct buf labels = BUF_INIT(4096);
        _cleanup_free_ char *text = NULL;

        buf_add_string(&labels, "[\"l\"");
        for (int i = 1; i < n; i++)
                buf_add_string(&labels, ",\"l\"");
        buf_add_string(&labels, "]");
        text = with_member("workflow_job.labels", buf_string(&labels));
        return read_job(text, job, err);
}

static void labels_are_bounded(void **state)
{
        struct job job = {0};
        struct err err;

        (void)state;
        assert_int_equal(read_labels(100, &job, &err), 0);
        assert_int_equal(job.n_labels, 100);
        job_release(&job);
        assert_int_equal(read_labels(101, &job, &err), -EBADMSG);
        assert_string_equal(err.text, "labels: at most 100 are allowed, found 101");
}

static void messages_are_checked_as_well(void **state)
{
        static const char *const messages[] = {
                "",
                "{}",
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\"}",
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\",\"labels\":[],"
                "\"tries\":-1}",
                "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"repository\":\"o/r\",\"labels\":[],"
                "\"offer\":\"1\"}",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
                struct job job = {0};
                struct err err;

                if (job_parse(messages[i], strlen(messages[i]), &job, &err) != -EBADMSG)
                        fail_msg("accepted: %s", messages[i]);
                assert_memory_equal(err.text, "the job's message", 17);
        }
}

static void scopes_follow_the_spec(void **state)
{
        const struct config_spec repository = {0};
        const struct config_spec organization = {.organization = (char *)"octo-org"};
        const struct config_spec enterprise = {.enterprise = (char *)"octo-corp"};
        const struct job job = {.repository = (char *)"octo-org/hello"};
        char scope[GITHUB_SCOPE_SIZE];

        (void)state;
        job_scope(&job, &repository, scope);
        assert_string_equal(scope, "repos/octo-org/hello");
        job_scope(&job, &organization, scope);
        assert_string_equal(scope, "orgs/octo-org");
        job_scope(&job, &enterprise, scope);
        assert_string_equal(scope, "enterprises/octo-corp");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_a_delivery),
                cmocka_unit_test(is_unchanged_after_a_queue),
                cmocka_unit_test(knows_public_repositories),
                cmocka_unit_test(no_runner_has_many_forms),
                cmocka_unit_test(knows_actions),
                cmocka_unit_test(a_long_name_is_cut_at_a_character),
                cmocka_unit_test(a_name_has_no_control_characters),
                cmocka_unit_test(refuses_bad_members_by_name),
                cmocka_unit_test(what_is_not_needed_may_be_missing),
                cmocka_unit_test(labels_are_bounded),
                cmocka_unit_test(messages_are_checked_as_well),
                cmocka_unit_test(scopes_follow_the_spec),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
