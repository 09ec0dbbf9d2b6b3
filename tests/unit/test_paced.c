/* SPDX-License-Identifier: MIT */

/*
 * The line of a burst: jobs are admitted, in order, when their machines can be registered as they
 * boot. Whatever keeps the first keeps all behind it, and costs no call to GitHub.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/pace.h"
#include "stage.h"

#define FRESH_MS 1767323000000 /* 45 seconds ago */
#define OLD_MS 1767322000000   /* 17 minutes ago */
#define RUN_JOBS STAGE_GITHUB "/repos/o/r/actions/runs/2/attempts/1/jobs?per_page=100&page=1"

/* So many more may be launched. */
static void expect_room(struct stage *stage, int room)
{
        stage_expect_count(stage, "register.fifo", 180 - 20 - room, 10);
        stage_expect_count(stage, "queued.fifo", 7, 3);
}

/* How often a message has come, and what else a job has. */
static int receives = 50;
static const char *more = "";
/* Whose runner is of an enterprise. */
static int of_enterprise;

static void add_record(struct buf *text, int id, int64_t queued_ms, int64_t installation)
{
        buf_add_format(text,
                "%s{\"messageId\":\"m%d\",\"receiptHandle\":\"r%d\",\"eventSourceARN\":"
                "\"arn:aws:sqs:eu-central-1:123456789012:p-paced.fifo\",\"attributes\":"
                "{\"ApproximateReceiveCount\":\"%d\"},\"body\":\"{\\\"action\\\":\\\"paced\\\","
                "\\\"id\\\":%d,\\\"run_id\\\":2,\\\"attempt\\\":1,\\\"installation\\\":%lld,"
                "\\\"queued_ms\\\":%lld,\\\"paced\\\":1,\\\"repository\\\":\\\"o/r\\\","
                "\\\"labels\\\":[\\\"linux\\\"],\\\"spec\\\":\\\"%s\\\"%s}\"}",
                text->size > 20 ? "," : "", id, id, receives, id, (long long)installation,
                (long long)queued_ms, id == of_enterprise ? "fallback" : "linux", more);
}

/* Runs the jobs FIRST to LAST, the first in line. */
static void admit(struct stage *stage, int first, int last, int64_t queued_ms)
{
        _cleanup_buf_ struct buf text = BUF_INIT(65536);
        struct err err;

        buf_add_string(&text, "{\"Records\":[");
        for (int i = first; i <= last; i++)
                add_record(&text, i, queued_ms, 0);
        buf_add_string(&text, "]}");
        buf_clear(&stage->answer);
        assert_int_equal(
                batch_run(&stage->scaler, admit_handle,
                        &(const struct lambda_event){.body = buf_string(&text), .size = text.size},
                        &stage->answer, &err),
                0);
}

/* Those from FIRST to LAST come again after SECONDS. */
static void expect_hidden(struct stage *stage, int first, int last, int seconds)
{
        _cleanup_buf_ struct buf done = BUF_INIT(4096);
        _cleanup_free_ char *asked =
                mem_format("\"ReceiptHandle\":\"r%d\",\"VisibilityTimeout\":%d", last, seconds);

        for (int i = first; i <= last; i++)
                buf_add_format(&done, "%s{\"Id\":\"%d\"}", i > first ? "," : "{\"Successful\":[",
                        i - first);
        buf_add_string(&done, "]}");
        script_expect(stage->script, "POST", STAGE_SQS, asked, 200, buf_string(&done));
}

/* GitHub's answer to a question about the run: jobs 1 to 10, all of a STATUS but the second, which
 * has ended. */
static const char *run_of(const char *status)
{
        static char text[2048];
        size_t size = 0;

        for (int i = 1; i <= 10; i++)
                size += (size_t)snprintf(text + size, sizeof(text) - size,
                        "%s{\"id\":%d,\"status\":\"%s\"}", i > 1 ? "," : "{\"jobs\":[", i,
                        i == 2 ? "completed" : status);
        snprintf(text + size, sizeof(text) - size, "]}");
        return text;
}

static const char *run_of_ten(void)
{
        return run_of("queued");
}

#define JOB "/repos/o/r/actions/jobs/"

/* GitHub fails for URL, in each of three tries. */
static void expect_nothing_of(struct stage *stage, const char *url)
{
        for (int i = 0; i < 3; i++)
                script_expect(stage->script, "GET", url, NULL, 502, "");
}

/* And for the run, as its first job shows. */
static void expect_nothing_of_the_run(struct stage *stage)
{
        expect_nothing_of(stage, RUN_JOBS);
        expect_nothing_of(stage, JOB);
}

/* -- room -- */

static void as_many_are_admitted_as_there_is_room_for(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 4);
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/queued.fifo\"");
        /* Six more are registered in two seconds. */
        expect_hidden(stage, 5, 10, 2);
        admit(stage, 1, 10, FRESH_MS);
        assert_contains(buf_string(&stage->answer), "\"m5\"");
        assert_lacks(buf_string(&stage->answer), "\"m4\"");
        /* Ten at once, each in a group of its own. */
        expect_room(stage, 10);
        stage_expect_sent(
                stage, "\"MessageGroupId\":\"20\",\"MessageDeduplicationId\":\"20-1-0-0\"");
        admit(stage, 11, 20, FRESH_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"action\\\":\\\"queued\\\"");
        assert_sent(stage, "\\\"paced\\\":1");
        expect_room(stage, 0);
        expect_hidden(stage, 1, 10, 4);
        admit(stage, 1, 10, FRESH_MS);
}

/* EC2 launches 1,000 instances at once for an account, of which 540 may be under way that no line
 * knows of, and then two a second. */
static void ec2_launches_so_many_at_once(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 46; i++) {
                expect_room(stage, 10);
                stage_expect_sent(stage, "\"MessageGroupId\":\"10\"");
                admit(stage, 1, 10, FRESH_MS);
        }
        expect_room(stage, 10);
        expect_hidden(stage, 1, 10, 5);
        admit(stage, 1, 10, FRESH_MS);
}

/* This is the fiftieth time, and MAX_RECEIVE_COUNT is 4. */
static void who_waits_in_line_never_becomes_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, -100);
        expect_hidden(stage, 1, 2, 1);
        admit(stage, 1, 2, OLD_MS);
}

/* SQS delivers a message a thousand times. */
static void an_outage_of_a_day_makes_no_dead_letters(void **state)
{
        struct stage *stage = *state;

        receives = 600;
        expect_room(stage, -100);
        expect_hidden(stage, 1, 2, 10);
        admit(stage, 1, 2, FRESH_MS);
        receives = 900;
        expect_room(stage, -100);
        for (int i = 0; i < 2; i++)
                stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        admit(stage, 1, 2, FRESH_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        receives = 50;
}

static void who_cannot_be_counted_for_waits(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, "AttributeNames", 403,
                "{\"__type\":\"AccessDenied\"}");
        expect_hidden(stage, 1, 2, 15);
        admit(stage, 1, 2, FRESH_MS);
        assert_logged(stage, "no job can be admitted");
}

/* It stays in line. */
static void who_cannot_be_sent_on_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 9);
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/queued.fifo", 403,
                "{\"__type\":\"AccessDenied\"}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"VisibilityTimeout\":15", 200,
                "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"}]}");
        admit(stage, 1, 2, FRESH_MS);
        assert_logged(stage, "job 1 and others could not be queued");
}

/* Nor does it when it goes to the end of the line: then it is there once. */
static void who_goes_to_the_end_of_the_line_leaves_its_place(void **state)
{
        struct stage *stage = *state;

        receives = 950;
        expect_room(stage, 9);
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/queued.fifo", 403,
                "{\"__type\":\"AccessDenied\"}");
        stage_expect_sent(stage, "\"QueueUrl\":\"https://sqs.test/paced.fifo\"");
        admit(stage, 1, 1, FRESH_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        assert_sent(stage, "{\\\"action\\\":\\\"paced\\\",\\\"id\\\":1,");
        /* Where that cannot be sent either, it comes again. */
        expect_room(stage, 9);
        for (int i = 0; i < 2; i++)
                script_expect(stage->script, "POST", STAGE_SQS,
                        i == 0 ? "sqs.test/queued.fifo" : "sqs.test/paced.fifo", 403,
                        "{\"__type\":\"AccessDenied\"}");
        script_expect(stage->script, "POST", STAGE_SQS, "\"VisibilityTimeout\":", 200,
                "{\"Successful\":[{\"Id\":\"0\"}]}");
        admit(stage, 1, 1, FRESH_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_FAILED("m1"));
        receives = 50;
}

static void what_is_no_job_in_line_is_a_dead_letter(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "sqs.test/dead");
        assert_string_equal(
                stage_one(stage, admit_handle,
                        "{\"action\":\"queued\",\"id\":1,\"run_id\":2,\"attempt\":1,"
                        "\"repository\":\"o/r\",\"labels\":[\"linux\"],\"spec\":\"linux\"}"),
                STAGE_NONE_FAILED);
        assert_logged(stage, "the message is of no job in line");
}

/* -- whether it still waits -- */

/* `queued` finds out the same, and parks it. */
static void who_is_held_by_github_is_sent_on(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of("waiting"));
        stage_expect_sent(stage, "\"MessageGroupId\":\"1\"");
        admit(stage, 1, 1, OLD_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        assert_not_sent(stage, "asked_ms");
        /* It may be approved at any time, so it is asked for again. */
        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"1\"");
        admit(stage, 1, 1, OLD_MS);
        assert_sent(stage, "asked_ms");
}

static void one_answer_does_for_a_run(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 3);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\\\"asked_ms\\\":1767323045003");
        expect_hidden(stage, 4, 5, 1);
        admit(stage, 1, 5, OLD_MS);
        assert_logged(stage, "\"job\":2,\"repository\":\"o/r\",\"state\":\"ended\"");
        /* GitHub said so a moment ago. */
        expect_room(stage, 10);
        stage_expect_sent(stage, "\\\"asked_ms\\\":1767323045003");
        admit(stage, 4, 5, OLD_MS);
        /* That was long ago; but what has ended stays so. */
        script_sleep(stage->script, 241000);
        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\\\"asked_ms\\\":176732328");
        admit(stage, 2, 4, OLD_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
}

/* GitHub did not know it some times before: that is forgotten. */
static void who_is_known_again_is_not_nearly_deleted(void **state)
{
        struct stage *stage = *state;

        more = ",\\\"missing\\\":5";
        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"1\"");
        admit(stage, 1, 1, OLD_MS);
        assert_not_sent(stage, "missing");
        more = "";
}

#define URL(job) "https://github.test/o/r/actions/runs/2/job/" job

#define NO_MACHINES "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"

static void expect_machine_of_9(struct stage *stage)
{
        script_expect(stage->script, "POST", STAGE_EC2, "job-url&Filter.1.Value.1=https", 200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>"
                "i-00000009</instanceId><tagSet><item><key>scale-agent:job-url</key><value>" URL(
                        "9") "</value></item></tagSet></item></instancesSet></item>"
                             "</reservationSet></DescribeInstancesResponse>");
}

/* GitHub is not asked for it, and would not tell yet. Where EC2 does not tell, GitHub does. */
static void who_runs_on_a_machine_of_ours_leaves_the_line(void **state)
{
        struct stage *stage = *state;

        more = ",\\\"url\\\":\\\"" URL("9") "\\\"";
        expect_room(stage, 10);
        expect_machine_of_9(stage);
        admit(stage, 8, 9, OLD_MS); /* that job, and its double */
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        assert_logged(stage, "\"job\":9,\"repository\":\"o/r\",\"state\":\"runs\"");

        expect_room(stage, 10);
        script_expect(stage->script, "POST", STAGE_EC2, "job-url", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"9\"");
        admit(stage, 9, 9, OLD_MS);
        assert_logged(stage, "jobs that run were not looked for");

        /* One that is fresh is launched as it is: who lost its machine to it gets that one's. */
        expect_room(stage, 10);
        stage_expect_sent(stage, "\"MessageGroupId\":\"9\"");
        admit(stage, 9, 9, FRESH_MS);
        more = "";
}

/* GitHub's answer that is PAGE of a run's TOTAL jobs. */
static void expect_page(struct stage *stage, int page, int total)
{
        _cleanup_free_ char *url = mem_format(STAGE_GITHUB
                "/repos/o/r/actions/runs/2/attempts/1/jobs?per_page=100&page=%d",
                page);
        _cleanup_buf_ struct buf text = BUF_INIT(16384);

        buf_add_format(&text, "{\"total_count\":%d,\"jobs\":[", total);
        for (int i = 100 * page - 99; i <= total && i <= 100 * page; i++)
                buf_add_format(
                        &text, "%s{\"id\":%d,\"status\":\"queued\"}", i % 100 == 1 ? "" : ",", i);
        buf_add_string(&text, "]}");
        script_expect(stage->script, "GET", url, NULL, 200, buf_string(&text));
}

/* A matrix of 256 jobs has three pages, and a run may have several matrices. */
static void one_look_does_for_a_long_run(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        for (int page = 1; page <= 3; page++)
                expect_page(stage, page, 256);
        stage_expect_sent(stage, "\"MessageGroupId\":\"201\"");
        admit(stage, 201, 202, OLD_MS);
        /* Those of the pages that were turned are known by now. */
        expect_room(stage, 10);
        stage_expect_sent(stage, "\"MessageGroupId\":\"101\"");
        admit(stage, 101, 110, OLD_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        /* One that no page has shown is asked for by itself. */
        expect_room(stage, 10);
        expect_page(stage, 1, 100);
        script_expect(stage->script, "GET", "/repos/o/r/actions/jobs/300", NULL, 200,
                "{\"status\":\"queued\"}");
        stage_expect_sent(stage, "\"MessageGroupId\":\"300\"");
        admit(stage, 300, 300, OLD_MS);
        /* So are those behind the first thousand. */
        script_sleep(stage->script, 241000);
        expect_room(stage, 10);
        for (int page = 1; page <= 10; page++)
                expect_page(stage, page, 1256);
        script_expect(stage->script, "GET", "/repos/o/r/actions/jobs/1200", NULL, 200,
                "{\"status\":\"queued\"}");
        stage_expect_sent(stage, "\"MessageGroupId\":\"1200\"");
        admit(stage, 1200, 1200, OLD_MS);
}

/* A thousand of them, behind which others wait: what EC2 allows is not spent for them. */
static void who_was_cancelled_keeps_nobody_back(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of("completed"));
        admit(stage, 1, 10, OLD_MS);
        for (int i = 0; i < 100; i++) {
                expect_room(stage, 10);
                admit(stage, 1, 10, OLD_MS);
                assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        }
        expect_room(stage, 10);
        stage_expect_sent(stage, "\"MessageGroupId\":\"20\"");
        admit(stage, 11, 20, FRESH_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
}

/* Nobody is launched before it ends, nor asked for. */
static void a_limit_keeps_the_line(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 403, "Retry-After: 100\r\n",
                "{\"message\":\"You have exceeded a secondary rate limit\"}");
        expect_hidden(stage, 1, 3, 100);
        admit(stage, 1, 3, OLD_MS);
        expect_room(stage, 10);
        expect_hidden(stage, 4, 5, 100);
        admit(stage, 4, 5, FRESH_MS);
}

/* GitHub cannot tell of one run. Those behind its jobs wait for that, but for five minutes only:
 * `queued` parks what is sent on. How often the jobs came before does not matter. */
static void a_run_that_github_cannot_tell_of_does_not_keep_the_line(void **state)
{
        static const bool is_sent_on[] = {false, false, true};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(is_sent_on); i++) {
                expect_room(stage, 10);
                expect_nothing_of_the_run(stage);
                if (is_sent_on[i])
                        stage_expect_sent(stage, "\"MessageGroupId\":\"2\"");
                else
                        expect_hidden(stage, 1, 2, 15);
                admit(stage, 1, 2, OLD_MS);
                script_sleep(stage->script, 160000);
        }
}

/* The list of a run's jobs takes GitHub too long, as it may for a large one: it is asked for each
 * by itself. Nobody waits for that. */
static void a_run_whose_list_github_cannot_make_is_asked_for_job_by_job(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        expect_nothing_of(stage, RUN_JOBS);
        script_expect(stage->script, "GET", JOB "1", NULL, 200, "{\"status\":\"queued\"}");
        script_expect(stage->script, "GET", JOB "2", NULL, 200, "{\"status\":\"completed\"}");
        expect_nothing_of(stage, JOB "3");
        stage_expect_sent(stage, "\"MessageGroupId\":\"1\"");
        expect_hidden(stage, 3, 3, 15);
        admit(stage, 1, 3, OLD_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_FAILED("m3"));
        assert_logged(stage, "\"job\":2,\"repository\":\"o/r\",\"state\":\"ended\"");
        /* That the first of them is refused for good says nothing of the others. GitHub may take
         * longer than we wait, too. */
        script_sleep(stage->script, 61000);
        expect_room(stage, 10);
        for (int i = 0; i < 2; i++)
                script_expect_silence(stage->script, "GET", RUN_JOBS);
        script_expect(stage->script, "GET", JOB "4", NULL, 410, "{}");
        script_expect(stage->script, "GET", JOB "5", NULL, 200, "{\"status\":\"completed\"}");
        stage_expect_sent(stage, "\"MessageGroupId\":\"4\"");
        admit(stage, 4, 5, OLD_MS);
        assert_logged(stage, "\"job\":5,\"repository\":\"o/r\",\"state\":\"ended\"");
}

/* Its other jobs, of which there may be a thousand, have nothing to wait for any more, until GitHub
 * tells of the run. */
static void a_run_that_github_cannot_tell_of_is_waited_for_once(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 2; i++) {
                expect_room(stage, 10);
                expect_nothing_of_the_run(stage);
                if (i == 0)
                        expect_hidden(stage, 1, 2, 15);
                else
                        stage_expect_sent(stage, "\"MessageGroupId\":\"2\"");
                admit(stage, 1, 2, OLD_MS);
                script_sleep(stage->script, 320000);
        }
        expect_room(stage, 10);
        expect_nothing_of_the_run(stage);
        stage_expect_sent(stage, "\"MessageGroupId\":\"4\"");
        admit(stage, 3, 4, OLD_MS);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);

        script_sleep(stage->script, 61000);
        expect_room(stage, 10);
        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"6\"");
        admit(stage, 5, 6, OLD_MS);
        script_sleep(stage->script, 241000);
        expect_room(stage, 10);
        expect_nothing_of_the_run(stage);
        expect_hidden(stage, 7, 8, 15);
        admit(stage, 7, 8, OLD_MS);
}

/* That EC2 tells of one of its jobs is no answer of GitHub's. */
static void a_job_that_runs_does_not_make_its_run_wait_anew(void **state)
{
        struct stage *stage = *state;

        more = ",\\\"url\\\":\\\"" URL("9") "\\\"";
        for (int i = 0; i < 2; i++) {
                expect_room(stage, 10);
                script_expect(stage->script, "POST", STAGE_EC2, "job-url", 200, NO_MACHINES);
                expect_nothing_of_the_run(stage);
                if (i == 0)
                        expect_hidden(stage, 1, 2, 15);
                else
                        stage_expect_sent(stage, "\"MessageGroupId\":\"2\"");
                admit(stage, 1, 2, OLD_MS);
                script_sleep(stage->script, 320000);
                expect_room(stage, 10);
                expect_machine_of_9(stage);
                admit(stage, 9, 9, OLD_MS);
        }
        more = "";
}

/* With what is left of GitHub's hour, the machines that wait already are registered. The next ones
 * are launched a minute before the hour ends. */
static void nobody_is_launched_whom_the_hour_does_not_allow(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 200,
                "x-ratelimit-remaining: 120\r\nx-ratelimit-reset: 1767324045\r\n", run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"3\"");
        admit(stage, 1, 3, OLD_MS);
        expect_room(stage, 10);
        expect_hidden(stage, 4, 6, 940);
        admit(stage, 4, 6, OLD_MS);
        script_sleep(stage->script, 941000);
        expect_room(stage, 10);
        stage_expect_sent(stage, "\"MessageGroupId\":\"6\"");
        admit(stage, 4, 6, FRESH_MS + 941000);
}

/* As long as a thousand calls or more are left, what GitHub said of them need not be new. */
static void near_the_end_of_the_hour_s_calls_they_are_asked_for(void **state)
{
        static const char *const left[] = {"1300", "1000"};
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
                _cleanup_free_ char *headers = mem_format(
                        "x-ratelimit-remaining: %s\r\nx-ratelimit-reset: 1767326645\r\n", left[i]);

                expect_room(stage, 170);
                script_expect_headers(
                        stage->script, "GET", RUN_JOBS, NULL, 200, headers, run_of_ten());
                stage_expect_sent(stage, "\"MessageGroupId\":\"1\"");
                admit(stage, 1, 1, OLD_MS);
                script_sleep(stage->script, 25000);
                expect_room(stage, 170);
                if (i == 1)
                        script_expect(stage->script, "GET", RUN_JOBS, NULL, 200, run_of_ten());
                stage_expect_sent(stage, "\"MessageGroupId\":\"3\"");
                admit(stage, 3, 3, clock_wall_ms(stage->scaler.clock) - 45000);
                script_sleep(stage->script, 241000);
        }
}

/* -- limits that `register` has met -- */

#define LIMIT                                                                              \
        "{\"Name\":\"/p/breakers/_limit.%s\",\"Value\":\"{\\\"until_ms\\\":1767324845000," \
        "\\\"near_until_ms\\\":1767325745000}\",\"Version\":1}"

static void expect_limits_of(struct stage *stage, const char *registrar, const char *other)
{
        _cleanup_free_ char *answer =
                mem_format("{\"Parameters\":[" LIMIT "," LIMIT "]}", registrar, other);

        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200, answer);
}

static void expect_limit_of(struct stage *stage, const char *registrar)
{
        _cleanup_free_ char *answer = mem_format("{\"Parameters\":[" LIMIT "]}", registrar);

        script_expect(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200, answer);
}

static void expect_limit(struct stage *stage)
{
        expect_limit_of(stage, "0");
}

static void a_limit_that_register_met_keeps_the_line(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 10);
        expect_limit(stage);
        /* It is looked up again before it ends: an App may have been added. */
        expect_hidden(stage, 1, 3, 10 * 60);
        admit(stage, 1, 3, OLD_MS);
}

/* Its token has a limit of its own, and its jobs a line of their own. */
static void a_limit_of_an_enterprise_keeps_only_its_own(void **state)
{
        struct stage *stage = *state;

        stage->scaler.config->specs[1].enterprise = mem_string("e");
        of_enterprise = 1;
        expect_room(stage, 10);
        expect_limit_of(stage, "enterprise");
        stage_expect_sent(stage, "\"MessageGroupId\":\"2\"");
        expect_hidden(stage, 1, 1, 10 * 60);
        admit(stage, 1, 2, FRESH_MS);
        of_enterprise = 0;
}

/* So many messages stand in register.fifo, and ten in queued.fifo; installation 7 has its limit. */
static void expect_standing(struct stage *stage, int n)
{
        stage_expect_count(stage, "register.fifo", n - 10, 10);
        stage_expect_count(stage, "queued.fifo", 7, 3);
        expect_limit_of(stage, "7");
}

static void admit_ten(struct stage *stage)
{
        admit(stage, 1, 10, clock_wall_ms(stage->scaler.clock) - 45000);
}

static void expect_all_sent(struct stage *stage, int n)
{
        expect_standing(stage, n);
        stage_expect_sent(stage, "\"MessageGroupId\":\"10\"");
        admit_ten(stage);
        assert_string_equal(buf_string(&stage->answer), STAGE_NONE_FAILED);
        script_sleep(stage->script, 61000);
}

static void expect_all_hidden(struct stage *stage, int n)
{
        expect_standing(stage, n);
        expect_hidden(stage, 1, 10, 4);
        admit_ten(stage);
        script_sleep(stage->script, 61000);
}

/* What was launched for another installation before it met its limit of the hour stands in
 * register.fifo until that ends. Once all know of the limit, that takes no room; what comes then
 * does. */
static void the_limit_of_another_installation_leaves_room(void **state)
{
        struct stage *stage = *state;

        expect_all_hidden(stage, 170);
        expect_all_hidden(stage, 180);
        expect_all_sent(stage, 180);
        expect_all_sent(stage, 340);
        expect_all_hidden(stage, 350);
        /* Some of them are gone. */
        expect_all_sent(stage, 100);
        expect_all_hidden(stage, 270);
        /* It is over. */
        script_sleep(stage->script, 30 * 60 * MSEC_PER_SEC);
        expect_all_hidden(stage, 170);
        /* It has begun again: nobody knows yet what stands. */
        stage_expect_count(stage, "register.fifo", 160, 10);
        stage_expect_count(stage, "queued.fifo", 7, 3);
        expect_hidden(stage, 1, 10, 4);
        admit_ten(stage);
}

/* Two have theirs: what stands is counted anew. */
static void the_limits_of_two_installations_leave_room(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 6; i++) {
                int n = i < 3 ? 170 : 340;

                stage_expect_count(stage, "register.fifo", n, 0);
                stage_expect_count(stage, "queued.fifo", 10, 0);
                if (i < 3)
                        expect_limit_of(stage, "7");
                else
                        expect_limits_of(stage, "7", "enterprise");
                if (i == 2 || i == 5)
                        stage_expect_sent(stage, "\"MessageGroupId\":\"10\"");
                else
                        expect_hidden(stage, 1, 10, 4);
                admit_ten(stage);
                script_sleep(stage->script, 61000);
        }
}

/* What is launched in its last minute is registered in the next hour, which may allow few. */
static void near_a_limit_the_hour_is_asked_for(void **state)
{
        struct stage *stage = *state;

        script_sleep(stage->script, 29 * 60 * MSEC_PER_SEC);
        expect_room(stage, 175);
        expect_limit(stage);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 200,
                "x-ratelimit-limit: 57\r\nx-ratelimit-remaining: 40\r\n"
                "x-ratelimit-reset: 1767324845\r\n",
                run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"2\"");
        /* Until the next hour has begun, and tells itself. */
        expect_hidden(stage, 3, 5, 61);
        admit(stage, 1, 5, FRESH_MS + 29 * 60 * MSEC_PER_SEC);
        assert_not_sent(stage, "\"MessageGroupId\":\"3\"");
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        expect_room(stage, 170);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 200,
                "x-ratelimit-limit: 5000\r\nx-ratelimit-remaining: 5000\r\n"
                "x-ratelimit-reset: 1767328445\r\n",
                run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"3\"");
        admit(stage, 3, 5, FRESH_MS + 30 * 60 * MSEC_PER_SEC);
}

/* Nothing was registered meanwhile, perhaps. */
static void an_old_answer_keeps_nobody_for_the_rest_of_the_hour(void **state)
{
        struct stage *stage = *state;

        expect_room(stage, 180);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 200,
                "x-ratelimit-remaining: 1200\r\nx-ratelimit-reset: 1767324845\r\n", run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"3\"");
        admit(stage, 1, 3, OLD_MS);
        script_sleep(stage->script, 10 * 60 * MSEC_PER_SEC);
        expect_room(stage, 180);
        script_expect_headers(stage->script, "GET", RUN_JOBS, NULL, 200,
                "x-ratelimit-remaining: 1190\r\nx-ratelimit-reset: 1767324845\r\n", run_of_ten());
        stage_expect_sent(stage, "\"MessageGroupId\":\"6\"");
        admit(stage, 4, 6, FRESH_MS + 10 * 60 * MSEC_PER_SEC);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(as_many_are_admitted_as_there_is_room_for),
                TEST(ec2_launches_so_many_at_once),
                TEST(who_waits_in_line_never_becomes_a_dead_letter),
                TEST(an_outage_of_a_day_makes_no_dead_letters),
                TEST(who_cannot_be_counted_for_waits),
                TEST(who_cannot_be_sent_on_comes_again),
                TEST(who_goes_to_the_end_of_the_line_leaves_its_place),
                TEST(what_is_no_job_in_line_is_a_dead_letter),
                TEST(who_is_held_by_github_is_sent_on),
                TEST(who_runs_on_a_machine_of_ours_leaves_the_line),
                TEST(one_answer_does_for_a_run),
                TEST(who_is_known_again_is_not_nearly_deleted),
                TEST(one_look_does_for_a_long_run),
                TEST(who_was_cancelled_keeps_nobody_back),
                TEST(a_limit_keeps_the_line),
                TEST(a_run_that_github_cannot_tell_of_does_not_keep_the_line),
                TEST(a_run_whose_list_github_cannot_make_is_asked_for_job_by_job),
                TEST(a_run_that_github_cannot_tell_of_is_waited_for_once),
                TEST(a_job_that_runs_does_not_make_its_run_wait_anew),
                TEST(near_the_end_of_the_hour_s_calls_they_are_asked_for),
                TEST(a_limit_that_register_met_keeps_the_line),
                TEST(a_limit_of_an_enterprise_keeps_only_its_own),
                TEST(the_limit_of_another_installation_leaves_room),
                TEST(the_limits_of_two_installations_leave_room),
                TEST(near_a_limit_the_hour_is_asked_for),
                TEST(an_old_answer_keeps_nobody_for_the_rest_of_the_hour),
                TEST(nobody_is_launched_whom_the_hour_does_not_allow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
