/* SPDX-License-Identifier: MIT */

/*
 * Running again what was lost with spot instances: which runs, how, and when people decide. GitHub
 * is asked once, whatever comes twice.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_text.h"
#include "job/rerun_decide.h"
#include "stage.h"

/* -- the decision -- */

static const char config_of_three[] =
        "{'github':{'repositories':['o/*']},'specs':["
        "{'name':'a','labels':['a'],'launch_template':'runner','instance_type':'m7i.large',"
        "'subnets':['subnet-1']},"
        "{'name':'n','labels':['n'],'launch_template':'runner','instance_type':'m7i.large',"
        "'subnets':['subnet-1'],'rerun':'never'},"
        "{'name':'b','labels':['b'],'launch_template':'runner','instance_type':'m7i.large',"
        "'subnets':['subnet-1'],'max_reruns':2}]}";

/* One letter a job: L lost, l lost and cancelled, s success, k skipped, f failure, F failure of a
 * machine that EC2 forgot, t timed out, c cancelled with the loss, y after it, e before any,
 * x cancelled with a failed step. */
static void make_job(
        char letter, const char *label, struct github_run_job *job, enum rerun_evidence *evidence)
{
        static const struct {
                char letter;
                const char *conclusion;
                int64_t completed_ms;
                bool has_failed_step;
                enum rerun_evidence evidence;
        } kinds[] = {
                {'L', "failure", 1000, false, RERUN_EVIDENCE_LOST},
                {'l', "cancelled", 1000, false, RERUN_EVIDENCE_LOST},
                {'S', "success", 1000, false, RERUN_EVIDENCE_LOST},
                {'T', "timed_out", 1000, false, RERUN_EVIDENCE_LOST},
                {'s', "success", 900, false, RERUN_EVIDENCE_NONE},
                {'k', "skipped", 1500, false, RERUN_EVIDENCE_NONE},
                {'f', "failure", 1500, true, RERUN_EVIDENCE_NONE},
                {'F', "failure", 900, true, RERUN_EVIDENCE_FORGOTTEN},
                {'t', "timed_out", 1500, false, RERUN_EVIDENCE_NONE},
                {'c', "cancelled", 1000, false, RERUN_EVIDENCE_NONE},
                {'C', "cancelled", 1000, false, RERUN_EVIDENCE_FORGOTTEN},
                {'y', "cancelled", 1500, false, RERUN_EVIDENCE_NONE},
                {'e', "cancelled", 999, false, RERUN_EVIDENCE_NONE},
                {'x', "cancelled", 1500, true, RERUN_EVIDENCE_NONE},
        };
        size_t i = 0;

        while (kinds[i].letter != letter)
                i++;
        *job = (struct github_run_job){
                .completed_ms = kinds[i].completed_ms,
                .has_failed_step = kinds[i].has_failed_step,
        };
        strcpy(job->conclusion, kinds[i].conclusion);
        job->labels = mem_alloc(sizeof(char *));
        job->labels[0] = mem_string(label);
        job->n_labels = 1;
        *evidence = kinds[i].evidence;
}

/* JOBS: letters, each before the label of its job. */
static struct rerun_decision decide(const char *letters, int64_t attempt)
{
        _cleanup_(config_freep) struct config *config = config_of(config_of_three);
        struct github_run_jobs jobs = {0};
        enum rerun_evidence evidence[16];
        enum rerun_class classes[16];
        struct rerun_decision decision;

        jobs.items = mem_alloc(16 * sizeof(*jobs.items));
        for (; *letters; letters += 2, jobs.count++) {
                const char label[] = {letters[1], '\0'};

                make_job(letters[0], label, &jobs.items[jobs.count], &evidence[jobs.count]);
                jobs.items[jobs.count].id = (int64_t)jobs.count + 1;
        }
        decision = rerun_decide(config, &jobs, evidence, attempt, classes);
        github_run_jobs_release(&jobs);
        return decision;
}

static void the_table_decides(void **state)
{
        static const struct {
                const char *jobs;
                int attempt;
                enum rerun_verdict verdict;
                int job; /* of RERUN_ONE */
        } rows[] = {
                /* Nothing else failed: all failed jobs of the run at once. */
                {"La", 1, RERUN_ALL_FAILED, 0},
                {"la", 1, RERUN_ALL_FAILED, 0},
                {"Lasaka", 1, RERUN_ALL_FAILED, 0},
                {"LaLala", 1, RERUN_ALL_FAILED, 0},
                /* fail-fast cancels the others of a matrix, wherever they run. */
                {"Lacaca", 1, RERUN_ALL_FAILED, 0},
                {"Laya", 1, RERUN_ALL_FAILED, 0},
                {"LaczC?", 1, RERUN_ALL_FAILED, 0},
                /* Real failures: cancelled before any loss, or with a failed step, ... */
                {"saLafa", 1, RERUN_ONE, 2},
                {"Lata", 1, RERUN_ONE, 1},
                {"Laea", 1, RERUN_ONE, 1},
                {"Laxa", 1, RERUN_ONE, 1},
                {"Lafz", 1, RERUN_ONE, 1},
                {"LaLafa", 1, RERUN_PEOPLE, 0},
                {"LaLaFaca", 1, RERUN_PEOPLE, 0},
                /* ... and what must not be run again, lost or cancelled with the others. */
                {"Ln", 1, RERUN_NEVER, 0},
                {"Lz", 1, RERUN_NEVER, 0},
                {"LnLa", 1, RERUN_ONE, 2},
                {"Lacn", 1, RERUN_ONE, 1},
                {"LnLaLa", 1, RERUN_PEOPLE, 0},
                /* A machine was lost, and its job had ended well; or it took too long. */
                {"Sa", 1, RERUN_NOTHING, 0},
                {"Safa", 1, RERUN_NOTHING, 0},
                {"Ta", 1, RERUN_NOTHING, 0},
                {"fa", 1, RERUN_NOTHING, 0},
                {"", 1, RERUN_NOTHING, 0},
                /* max_reruns: 1, and 2 of spec b. */
                {"La", 2, RERUN_LIMIT, 0},
                {"Lb", 1, RERUN_ALL_FAILED, 0},
                {"Lb", 2, RERUN_ALL_FAILED, 0},
                {"Lb", 3, RERUN_LIMIT, 0},
                {"LbLa", 2, RERUN_LIMIT, 0},
                {"Lbfa", 2, RERUN_ONE, 1},
                {"Ln", 2, RERUN_NEVER, 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct rerun_decision decision = decide(rows[i].jobs, rows[i].attempt);

                if (decision.verdict != rows[i].verdict)
                        fail_msg("row %zu, %s: verdict %d", i, rows[i].jobs, decision.verdict);
                if (rows[i].verdict == RERUN_ONE)
                        assert_int_equal(decision.job, rows[i].job);
        }
        assert_int_equal(decide("LaFaFaCa", 1).n_forgotten, 2);
        assert_int_equal(decide("LaCa", 1).n_forgotten, 0);
}

static void a_newer_run_of_the_same_branch_supersedes(void **state)
{
        static const struct github_run run = {.workflow = 5,
                .number = 10,
                .head_repository = 1,
                .branch = "main",
                .event = "push"};
        struct github_run other = run;

        (void)state;
        assert_false(rerun_is_superseded(&run, &other));
        other.number = 9;
        assert_false(rerun_is_superseded(&run, &other));
        other.number = 11;
        assert_true(rerun_is_superseded(&run, &other));
        strcpy(other.event, "workflow_dispatch");
        assert_true(rerun_is_superseded(&run, &other));
        strcpy(other.event, "pull_request");
        assert_false(rerun_is_superseded(&run, &other));
        strcpy(other.event, "push");
        other.workflow = 6;
        assert_false(rerun_is_superseded(&run, &other));
        other.workflow = 5;
        other.head_repository = 2; /* a fork */
        assert_false(rerun_is_superseded(&run, &other));
        other.head_repository = 1;
        strcpy(other.branch, "other");
        assert_false(rerun_is_superseded(&run, &other));
}

/* -- its calls -- */

#define URL "https://github.test/o/r/actions/runs/7/job/9"
#define LOST_OF(attempt, repository, more)                                 \
        "{\"action\":\"lost\",\"id\":9,\"run_id\":7,\"attempt\":" attempt  \
        ",\"repository\":\"" repository "\",\"url\":\"" URL                \
        "\",\"spec\":\"linux\",\"instance\":\"i-00000001\",\"labels\":[]," \
        "\"machines\":\"/i-00000001/\",\"lost_ms\":1767323000000" more "}"
#define LOST(more) LOST_OF("1", "o/r", more)
#define ACTIONS STAGE_GITHUB "/repos/o/r/actions"
#define RUN_JSON(id, number, attempt, status)                                              \
        "{\"id\":" id ",\"run_number\":" number ",\"run_attempt\":" attempt                \
        ",\"status\":\"" status                                                            \
        "\",\"workflow_id\":5,\"event\":\"push\",\"head_branch\":\"a b\",\"name\":\"CI\"," \
        "\"html_url\":\"https://github.test/o/r/actions/runs/" id "\"}"
#define JOB_JSON(id, conclusion, runner)                                       \
        "{\"id\":" id ",\"status\":\"completed\",\"conclusion\":\"" conclusion \
        "\",\"completed_at\":\"2026-01-02T03:00:00Z\",\"name\":\"build " id    \
        "\",\"labels\":[\"linux\"],\"runner_name\":\"" runner "\",\"steps\":[]}"
#define MACHINE(id, reason)                                                                 \
        "<item><instanceId>" id "</instanceId><stateReason><code>" reason                   \
        "</code></stateReason><tagSet><item><key>scale-agent:prefix</key><value>/p</value>" \
        "</item></tagSet></item>"
#define FADED(id, reason)                                                             \
        "<item><instanceId>" id "</instanceId><instanceState><name>terminated</name>" \
        "</instanceState><stateReason><code>" reason "</code></stateReason></item>"
#define TAKEN "Server.SpotInstanceTermination"
#define OF_OTHERS                                                            \
        "<item><instanceId>i-00000004</instanceId><stateReason><code>" TAKEN \
        "</code></stateReason><tagSet/></item>"

static void expect_machines(struct stage *stage, const char *filter, const char *machines)
{
        _cleanup_free_ char *xml = mem_format("<DescribeInstancesResponse><reservationSet><item>"
                                              "<instancesSet>%s</instancesSet></item>"
                                              "</reservationSet></DescribeInstancesResponse>",
                machines);

        script_expect(stage->script, "POST", STAGE_EC2, filter, 200, xml);
}

/* Every look begins so. */
static void expect_look(struct stage *stage, const char *machines)
{
        expect_machines(stage,
                "job-url&Filter.1.Value.1="
                "https%3A%2F%2Fgithub.test%2Fo%2Fr%2Factions%2Fruns%2F7%2Fjob%2F%2A",
                machines);
}

static void expect_run(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "GET", ACTIONS "/runs/7", NULL, status, answer);
}

static void expect_jobs(struct stage *stage, const char *jobs)
{
        _cleanup_free_ char *answer = mem_format("{\"total_count\":1,\"jobs\":[%s]}", jobs);

        script_expect(stage->script, "GET", ACTIONS "/runs/7/attempts/1/jobs?per_page=100&page=1",
                NULL, 200, answer);
}

static void expect_newest(struct stage *stage, const char *runs)
{
        _cleanup_free_ char *answer = mem_format("{\"workflow_runs\":[%s]}", runs);

        script_expect(stage->script, "GET",
                ACTIONS "/workflows/5/runs?exclude_pull_requests=true&per_page=30&branch=a+b", NULL,
                200, answer);
}

static void expect_again(struct stage *stage, const char *text)
{
        script_expect(stage->script, "POST", STAGE_SQS, text, 200, "{\"MessageId\":\"m\"}");
}

static void expect_complete(struct stage *stage)
{
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "completed"));
}

/* Each time it is another look, whatever BODY says. */
static const char *look(struct stage *stage, const char *body)
{
        stage->scaler.watched = (struct recent){0};
        return stage_one(stage, watch_handle, body);
}

/* Each of two would be followed by one of its own. */
static void of_a_message_that_comes_twice_one_goes_on(void **state)
{
        struct stage *stage = *state;

        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "in_progress"));
        expect_again(stage, "\\\"watches\\\":1,");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_string_equal(stage_one(stage, watch_handle, LOST("")), STAGE_NONE_FAILED);
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "in_progress"));
        expect_again(stage, "\\\"watches\\\":2,");
        assert_string_equal(
                stage_one(stage, watch_handle, LOST(",\"watches\":1")), STAGE_NONE_FAILED);
}

/* A new message, later each time, which notes what else the run has lost until then. */
static void a_run_that_goes_on_is_looked_at_again(void **state)
{
        struct stage *stage = *state;

        expect_look(stage, MACHINE("i-00000002", TAKEN) MACHINE("i-00000003", "")
                                   OF_OTHERS MACHINE("i-00000001", TAKEN));
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "in_progress"));
        expect_again(stage, "\\\"machines\\\":\\\"/i-00000001/i-00000002/\\\"");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_sent(stage, "\"DelaySeconds\":120}");
        assert_sent(stage, "\\\"watches\\\":1,");
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "queued"));
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST(",\"watches\":40")), STAGE_NONE_FAILED);
        assert_sent(stage, "\"DelaySeconds\":900}");
}

static void a_repository_may_be_called_job(void **state)
{
        struct stage *stage = *state;

        expect_machines(stage,
                "job-url&Filter.1.Value.1="
                "https%3A%2F%2Fgithub.test%2Fo%2Fjob%2Factions%2Fruns%2F7%2Fjob%2F%2A",
                "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "in_progress"));
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(
                look(stage,
                        "{\"action\":\"lost\",\"id\":9,\"run_id\":7,\"attempt\":1,"
                        "\"repository\":\"o/r\",\"labels\":[],\"lost_ms\":1767323000000,\"url\":"
                        "\"https://github.test/o/job/actions/runs/7/job/9\"}"),
                STAGE_NONE_FAILED);
}

static void a_lost_job_alone_is_run_again_and_told(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("8", "success", "i-00000008") "," JOB_JSON("9", "failure", ""));
        expect_newest(stage, RUN_JSON("7", "70", "1", "completed"));
        script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL, 201, "{}");
        stage_expect_sent(stage, "Lost jobs of CI #70 are run again");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"url\\\":\\\"https://github.test/o/r/actions/runs/7\\\"");
        assert_sent(stage, "build 9");
        assert_sent(stage, "{\\\"name\\\":\\\"Repository\\\",\\\"value\\\":\\\"o/r\\\"}");
        assert_logged(stage, "\"Reruns\":1");
}

static void beside_a_real_failure_only_the_lost_job_is_run_again(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("8", "failure", "i-00000008") "," JOB_JSON("9", "failure", ""));
        expect_machines(stage, "Filter.1.Value.1=i-00000008", MACHINE("i-00000008", "Client.X"));
        expect_newest(stage, "");
        script_expect(stage->script, "POST", ACTIONS "/jobs/9/rerun", NULL, 201, "{}");
        stage_expect_sent(stage, "Lost jobs of CI #70 are run again");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
}

/* By what EC2 says now, or what the message has noted before. */
static void the_losses_of_other_messages_count(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("8", "failure", "i-00000008") "," JOB_JSON(
                                   "9", "failure", "") "," JOB_JSON("10", "failure",
                                   "i-00000010") "," JOB_JSON("11", "failure", "i-00000011"));
        expect_machines(stage, "Filter.1.Value.1=i-00000008&Filter.1.Value.2=i-00000011",
                MACHINE("i-00000008", TAKEN) FADED("i-00000011", TAKEN));
        expect_newest(stage, "");
        script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL, 201, "{}");
        stage_expect_sent(stage, "build 8, build 9, build 10, build 11");
        assert_string_equal(look(stage, "{\"action\":\"lost\",\"id\":9,\"run_id\":7,\"attempt\":1,"
                                        "\"repository\":\"o/r\",\"url\":\"" URL "\",\"labels\":[],"
                                        "\"machines\":\"/i-00000001/i-00000010/\"}"),
                STAGE_NONE_FAILED);
}

/* EC2 no longer knows a machine. If it was lost as well, its own message brings the evidence. */
static void what_ec2_has_forgotten_is_waited_for_twice(void **state)
{
        static const char *const machines[] = {
                "",
                /* The tag of EC2's warning would be gone as well. */
                FADED("i-00000008", "Client.InstanceInitiatedShutdown"),
                FADED("i-00000008", "Client.InstanceInitiatedShutdown"),
        };
        struct stage *stage = *state;

        for (int waits = 0; waits <= 2; waits++) {
                _cleanup_free_ char *body = mem_format(LOST(",\"waits\":%d"), waits);

                expect_complete(stage);
                expect_jobs(stage,
                        JOB_JSON("8", "failure", "i-00000008") "," JOB_JSON("9", "failure", ""));
                expect_machines(stage, "Filter.1.Value.1=i-00000008", machines[waits]);
                if (waits < 2) {
                        expect_again(stage, waits == 0 ? "\\\"waits\\\":1," : "\\\"waits\\\":2,");
                } else {
                        expect_newest(stage, "");
                        script_expect(
                                stage->script, "POST", ACTIONS "/jobs/9/rerun", NULL, 201, "{}");
                        stage_expect_sent(stage, "are run again");
                }
                assert_string_equal(look(stage, body), STAGE_NONE_FAILED);
        }
}

static void people_are_told_why_not(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", "") "," JOB_JSON("8", "timed_out",
                                   "x") "," JOB_JSON("10", "failure", "i-00000001"));
        stage_expect_sent(stage, "several jobs were lost, and others failed by themselves");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_sent(stage, "Lost jobs of CI #70 are not run again");
        assert_sent(stage, "build 9, build 10");

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, RUN_JSON("8", "71", "1", "queued"));
        stage_expect_sent(stage, "\\\"key\\\":\\\"rerun o/r 7 1\\\"");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_sent(stage, "there is a newer run of this workflow on this branch");

        free(stage->scaler.config->specs[0].rerun);
        stage->scaler.config->specs[0].rerun = mem_string("never");
        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        stage_expect_sent(stage, "never");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
}

/* Somebody did it, or the other message of the same loss. */
static void another_attempt_ends_the_way_without_a_word(void **state)
{
        struct stage *stage = *state;

        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "2", "in_progress"));
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_logged(stage, "has another attempt already");

        expect_complete(stage); /* in this moment */
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, RUN_JSON("7", "70", "2", "queued"));
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);

        expect_look(stage, ""); /* deleted, or GitHub has an outage */
        expect_run(stage, 404, "{\"message\":\"Not Found\"}");
        expect_again(stage, "\\\"missing\\\":1,");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        expect_look(stage, "");
        expect_run(stage, 404, "{\"message\":\"Not Found\"}");
        assert_string_equal(look(stage, LOST(",\"missing\":7")), STAGE_NONE_FAILED);
        assert_logged(stage, "the run of a lost job is gone");
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "in_progress"));
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST(",\"missing\":7")), STAGE_NONE_FAILED);
        assert_not_sent(stage, "missing");

        assert_string_equal(look(stage, LOST_OF("1", "other/r", "")), STAGE_NONE_FAILED);
        assert_logged(stage, "not configured any more");
}

/* A copy of GitHub's data that lags behind knows neither a new attempt nor its jobs. */
static void an_answer_that_lags_behind_is_asked_for_again(void **state)
{
        struct stage *stage = *state;

        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "completed"));
        expect_again(stage, "\\\"attempt\\\":2,");
        assert_string_equal(look(stage, LOST_OF("2", "o/r", "")), STAGE_NONE_FAILED);
        assert_logged(stage, "does not know the attempt of a lost job yet");

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("8", "failure", ""));
        expect_again(stage, "\\\"missing\\\":1,");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_logged(stage, "does not list a lost job in its run");
        expect_complete(stage);
        expect_jobs(stage, "");
        assert_string_equal(look(stage, LOST(",\"missing\":7")), STAGE_NONE_FAILED);
        assert_logged(stage, "a lost job is gone from its run");
}

static void github_refuses(void **state)
{
        static const struct {
                int status;
                const char *answer;
                bool again;
                const char *text;
        } rows[] = {
                {403, "{\"message\":\"This workflow is already running\"}", true,
                        "\\\"watches\\\":1"},
                {403, "{\"message\":\"The workflow run containing this job is already running\"}",
                        true, "\\\"watches\\\":1"},
                {403, "{\"message\":\"API rate limit exceeded\"}", true, "\\\"watches\\\":1"},
                {503, "<html>", true, "\\\"asked\\\":1"},
                {403, "{\"message\":\"Resource not accessible by integration\"}", false,
                        "Actions: read and write"},
                {403, "{\"message\":\"This workflow run cannot be retried\"}", false,
                        "This workflow run cannot be retried"},
                {422, "{\"message\":\"no\"}", false, "422"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                expect_complete(stage);
                expect_jobs(stage, JOB_JSON("9", "failure", ""));
                expect_newest(stage, "");
                script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL,
                        rows[i].status, rows[i].answer);
                stage_expect_sent(stage, rows[i].text);
                assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
                if (!rows[i].again)
                        assert_sent(stage, "are not run again");
        }
}

/* GitHub's answer was lost: the next look finds what became of it. */
static void an_answer_that_is_lost_is_told_by_the_next_look(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, "");
        script_expect_failure(
                stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", -ECONNRESET);
        expect_again(stage, "\\\"asked\\\":1");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "2", "queued"));
        stage_expect_sent(stage, "are run again");
        assert_string_equal(look(stage, LOST(",\"asked\":1")), STAGE_NONE_FAILED);
}

/* So it is where what GitHub says of the run lags behind: it refuses to do it twice, or its list of
 * runs is newer. */
static void nor_is_it_forgotten_while_github_lags_behind(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, "");
        script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL, 403,
                "{\"message\":\"This workflow is already running\"}");
        expect_again(stage, "\\\"asked\\\":1");
        assert_string_equal(look(stage, LOST(",\"asked\":1")), STAGE_NONE_FAILED);
        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, RUN_JSON("7", "70", "2", "queued"));
        stage_expect_sent(stage, "are run again");
        assert_string_equal(look(stage, LOST(",\"asked\":1")), STAGE_NONE_FAILED);
}

/* GitHub may have done it, so nobody is told that it is not done. */
static void a_message_that_cannot_be_sent_again_comes_again(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", ""));
        expect_newest(stage, "");
        script_expect(
                stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL, 503, "<html>");
        script_expect(stage->script, "POST", STAGE_SQS, "sqs.test/watch", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_string_equal(look(stage, LOST("")), STAGE_FAILED("m1"));
}

/* What passes costs no receive. */
static void github_cannot_be_read(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_TOKEN", "token", 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        expect_look(stage, "");
        expect_run(stage, 403, "{\"message\":\"API rate limit exceeded\"}");
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        expect_look(stage, "");
        expect_run(stage, 401, "{\"message\":\"bad\"}");
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        expect_look(stage, "");
        expect_run(stage, 200, "{\"id\":7}");
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        expect_complete(stage);
        script_expect(stage->script, "GET", ACTIONS "/runs/7/attempts/1/jobs", NULL, 200, "[]");
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        script_expect(stage->script, "POST", STAGE_EC2, NULL, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        assert_string_equal(look(stage, LOST("")), STAGE_FAILED("m1"));
}

/* The first call that GitHub refuses for good is the last one, and people are told. */
static void what_github_refuses_for_good_is_told_at_once(void **state)
{
        static const struct {
                int status;
                const char *answer;
                const char *text;
        } rows[] = {
                {403, "{\"message\":\"Resource not accessible by integration\"}",
                        "Resource not accessible by integration"},
                {404, "{\"message\":\"Not Found\"}", "404"},
                {410, "{\"message\":\"Gone\"}", "410"},
                {422, "{\"message\":\"no\"}", "422"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (int refused = 0; refused < 4; refused++) {
                        if (rows[i].status == 404 && refused == 0)
                                continue; /* the run was deleted */
                        expect_look(stage, "");
                        expect_run(stage, refused == 0 ? rows[i].status : 200,
                                refused == 0 ? rows[i].answer
                                             : RUN_JSON("7", "70", "1", "completed"));
                        if (refused == 1)
                                script_expect(stage->script, "GET", ACTIONS "/runs/7/attempts/1",
                                        NULL, rows[i].status, rows[i].answer);
                        else if (refused > 1)
                                expect_jobs(stage, JOB_JSON("9", "failure", ""));
                        if (refused == 2)
                                script_expect(stage->script, "GET", ACTIONS "/workflows/5/runs",
                                        NULL, rows[i].status, rows[i].answer);
                        else if (refused == 3)
                                expect_newest(stage, "");
                        if (refused == 3)
                                script_expect(stage->script, "POST",
                                        ACTIONS "/runs/7/rerun-failed-jobs", NULL, rows[i].status,
                                        rows[i].answer);
                        stage_expect_sent(stage, "are not run again");
                        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
                        if (refused < 3)
                                assert_sent(stage, rows[i].text);
                        assert_not_logged(stage, "has another attempt already");
                }
}

/* GitHub refuses the App's token: the App may have been uninstalled. */
static void a_token_that_github_refuses(void **state)
{
        static const struct {
                int status;
                const char *text;
        } rows[] = {
                {404, "are not run again"},
                {403, "are not run again"},
                {401, "\\\"watches\\\":1"},
        };
        struct stage *stage = *state;

        stage_become_app(stage);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                script_expect(stage->script, "POST", "/app/installations/4711/access_tokens", NULL,
                        rows[i].status, "{}");
                stage_expect_sent(stage, rows[i].text);
                assert_string_equal(look(stage, LOST(",\"installation\":4711")), STAGE_NONE_FAILED);
        }
}

static void all_pages_of_jobs_are_read(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        script_expect(stage->script, "GET", ACTIONS "/runs/7/attempts/1/jobs?per_page=100&page=1",
                NULL, 200, "{\"total_count\":2,\"jobs\":[" JOB_JSON("8", "success", "") "]}");
        script_expect(stage->script, "GET", ACTIONS "/runs/7/attempts/1/jobs?per_page=100&page=2",
                NULL, 200, "{\"total_count\":2,\"jobs\":[" JOB_JSON("9", "failure", "") "]}");
        expect_newest(stage, "");
        script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs", NULL, 201, "{}");
        stage_expect_sent(stage, "are run again");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
}

/* Two thousand jobs are looked at, and more are left to people. */
static void so_many_pages_of_jobs_are_read(void **state)
{
        struct stage *stage = *state;

        for (int pages = 20; pages <= 21; pages++) {
                expect_complete(stage);
                for (int page = 1; page <= 20; page++) {
                        _cleanup_free_ char *url = mem_format(
                                ACTIONS "/runs/7/attempts/1/jobs?per_page=100&page=%d", page);
                        _cleanup_free_ char *answer =
                                mem_format("{\"total_count\":%d,\"jobs\":[%s]}", pages,
                                        page == 20 ? JOB_JSON("9", "failure", "")
                                                   : JOB_JSON("8", "success", ""));

                        script_expect(stage->script, "GET", url, NULL, 200, answer);
                }
                if (pages == 20) {
                        expect_newest(stage, "");
                        script_expect(stage->script, "POST", ACTIONS "/runs/7/rerun-failed-jobs",
                                NULL, 201, "{}");
                }
                stage_expect_sent(stage, pages == 20 ? "are run again" : "too many jobs");
                assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        }
}

/* What EC2 does not tell now is asked again: nothing is decided without it. */
static void machines_that_ec2_does_not_show_now(void **state)
{
        struct stage *stage = *state;

        expect_complete(stage);
        expect_jobs(stage, JOB_JSON("9", "failure", "i-00000008"));
        script_expect(stage->script, "POST", STAGE_EC2, "i-00000008", 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message/></Error>"
                "</Errors></Response>");
        assert_string_equal(look(stage, LOST("")), STAGE_FAILED("m1"));
}

/* GitHub runs nothing again after thirty days. */
static void a_run_that_never_ends_is_given_up(void **state)
{
        struct stage *stage = *state;

        script_sleep(stage->script, INT64_C(29) * 24 * 3600 * MSEC_PER_SEC);
        stage->scaler.config_read_ms = clock_monotonic_ms(stage->scaler.clock);
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "waiting"));
        expect_again(stage, "sqs.test/watch");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        script_sleep(stage->script, INT64_C(2) * 24 * 3600 * MSEC_PER_SEC);
        stage->scaler.config_read_ms = clock_monotonic_ms(stage->scaler.clock);
        expect_look(stage, "");
        expect_run(stage, 200, RUN_JSON("7", "70", "1", "waiting"));
        stage_expect_sent(stage, "their run lasts for longer than GitHub runs jobs again");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"Reason\\\"");
        expect_look(stage, "");
        expect_run(stage, 503, "<html>");
        expect_run(stage, 503, "<html>");
        expect_run(stage, 503, "<html>");
        stage_expect_sent(stage, "Lost jobs of run #7 are not run again");
        assert_string_equal(look(stage, LOST("")), STAGE_NONE_FAILED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_table_decides),
                cmocka_unit_test(a_newer_run_of_the_same_branch_supersedes),
                TEST(of_a_message_that_comes_twice_one_goes_on),
                TEST(a_run_that_goes_on_is_looked_at_again),
                TEST(a_repository_may_be_called_job),
                TEST(a_lost_job_alone_is_run_again_and_told),
                TEST(beside_a_real_failure_only_the_lost_job_is_run_again),
                TEST(the_losses_of_other_messages_count),
                TEST(what_ec2_has_forgotten_is_waited_for_twice),
                TEST(people_are_told_why_not),
                TEST(another_attempt_ends_the_way_without_a_word),
                TEST(an_answer_that_lags_behind_is_asked_for_again),
                TEST(github_refuses),
                TEST(an_answer_that_is_lost_is_told_by_the_next_look),
                TEST(nor_is_it_forgotten_while_github_lags_behind),
                TEST(a_message_that_cannot_be_sent_again_comes_again),
                TEST(github_cannot_be_read),
                TEST(what_github_refuses_for_good_is_told_at_once),
                TEST(a_token_that_github_refuses),
                TEST(all_pages_of_jobs_are_read),
                TEST(so_many_pages_of_jobs_are_read),
                TEST(machines_that_ec2_does_not_show_now),
                TEST(a_run_that_never_ends_is_given_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
