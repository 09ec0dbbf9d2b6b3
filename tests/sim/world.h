/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A seeded world in virtual time: everything that the handlers can see of AWS, GitHub and machines.
 * It knows their interfaces (queues, calls, events), and nothing of the handlers' inside.
 *
 * world.c    numbers from the seed, the list of what happens when, the story
 * faults.c   which faults there are, and which of them this seed has
 * fiber.c    handlers that wait beside each other
 * lambda.c   functions, their containers and event source mappings
 * wire.c     the transport of the handlers' calls: lost answers, kills
 * services.c   what a call does: latency, failures, and then the service
 * sqs.c sqs_calls.c ssm.c s3.c ec2.c ec2_describe.c github.c   the services
 * sources.c  what hands messages to functions
 * jobs.c webhooks.c   jobs, and what is told of them
 * machine.c agent.c events.c   machines, the agent and the runner on them, and what they report
 * invariants.c at_rest.c rates.c   what must be true
 * burst.c limits.c course.c   many jobs at once, without faults, against limits
 * stories.c  lives of one machine, to compare the model of the agent with the agent
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "http/http.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define NAME_SIZE 96

#define PREFIX "/scale-agent"
#define REGION "eu-central-1"
#define ACCOUNT "123456789012"
/* In forged reports; nothing that the scaler sends may have it. */
#define FORGED_LINK "https://forged.example/"
#define REPOSITORY "octo-org/hello"
#define INSTALLATION 4711
#define API_URL "https://github.test"
#define HOOK_SECRET "sim-hook-secret-4f1c"
/* Each secret of this world holds one of these; no log may. */
#define TOKEN_MARK "ghs_sim"
#define JIT_MARK "c2ltc2VjcmV0"

struct world;
struct machine;

/* -- faults.c -- */

enum fault {
        FAULT_DELIVERY,  /* webhooks doubled, reordered, late, or signed with another secret for a
                            while; people deliver lost ones again */
        FAULT_REDELIVER, /* people deliver again what arrived well */
        FAULT_REPLAY,    /* agents' reports come again, long afterwards */
        FAULT_FORGED,    /* reports that no agent made */
        FAULT_DOUBLE,    /* SQS delivers a message of a standard queue twice */
        FAULT_CANCEL,    /* jobs are cancelled at any moment */
        FAULT_CAPACITY,  /* capacity in waves */
        FAULT_THROTTLE,  /* AWS throttles, GitHub answers 429 with Retry-After */
        FAULT_ERROR,     /* 5xx before the effect */
        FAULT_LOST,      /* answers lost after the effect */
        FAULT_KILL,      /* a handler is killed before or after a call */
        FAULT_LATE,      /* new instances cannot be described for a while */
        FAULT_DIE,       /* machines die at any stage */
        FAULT_HANG,      /* machines hang before they listen */
        FAULT_IMAGE,     /* for a while, no machine gets as far as its agent */
        FAULT_SPOT,      /* EC2 takes spot instances back */
        FAULT_DROPPED,   /* GitHub drops idle registrations after 2 to 6 minutes */
        FAULT_LIES,      /* GitHub answers 204 and 404 for busy runners */
        FAULT_THEFT,     /* a foreign runner takes jobs */
        FAULT_SLOW,      /* GitHub assigns late: around the idle limit */
        FAULT_LIMIT,     /* GitHub's hourly limit is used up */
        FAULT_REFUSE,    /* GitHub refuses a registration for good */
        FAULT_SWITCH,    /* the configuration names the other store of hand-overs */
        FAULT_GITHUB,    /* an hour without GitHub */
        FAULT_SSM,       /* an hour without SSM, and so on */
        FAULT_SQS,
        FAULT_EC2,
        FAULT_EVENTS,
        FAULT_BURST,   /* ten and more jobs at once, while those of others wait to be registered */
        FAULT_UNHEARD, /* EC2's events that EventBridge loses while it is down */
        N_FAULTS,
};

struct outage {
        int64_t from_ms;
        int64_t until_ms;
};

/* Fills what the command line enables: "all", "none", or names with commas, "+name", "-name" on
 * top of the default. False: unknown name. */
bool faults_parse(const char *text, uint32_t *ret_enabled);
uint32_t faults_default(void);
const char *fault_name(enum fault fault);
void faults_draw(struct world *world, uint32_t enabled);
bool fault_is_on(const struct world *world, enum fault fault);
/* Whether FAULT happens now, with a chance of PERCENT; counts it and ends with the last fault. */
bool fault_strikes(struct world *world, enum fault fault, unsigned percent);
/* Whether the service that FAULT names is down now. */
bool fault_is_down(struct world *world, enum fault fault);

/* -- sqs.c -- */

struct message {
        char id[40];
        char *body;
        char *group;
        char *source; /* attributes */
        char *cause;
        const char *from; /* ARN of the queue whose redrive brought it here */
        int64_t visible_ms;
        int64_t sent_ms;
        unsigned receives;
        uint64_t receipt;
        uint64_t order;
        bool in_flight;
        bool deleted;
};

struct dedup {
        uint64_t key; /* a digest of group and id */
        int64_t until_ms;
};

struct queue {
        const char *name;     /* as in scaler/template.yaml */
        const char *variable; /* the environment variable that holds its URL */
        const char *function; /* NULL: no function reads it */
        const char *dead;     /* where its messages go after `max_receives` */
        int64_t hidden_ms;
        unsigned max_receives;
        unsigned concurrency;
        int64_t retention_ms;
        size_t batch_size;    /* 0: ten */
        bool dedups_by_group; /* DeduplicationScope: messageGroup */
        char url[160];
        char arn[160];
        struct message **messages;
        size_t n_messages;
        struct dedup *dedups;
        size_t n_dedups;
        unsigned running; /* invocations */
        unsigned letters; /* messages of it that became kept letters */
};

#define QUEUES_MAX 16

struct queues {
        struct queue items[QUEUES_MAX];
        size_t n;
        uint64_t next;
};

void sqs_init(struct world *world);
void sqs_release(struct world *world);
struct queue *sqs_queue(struct world *world, const char *name);
/* From EventBridge or from the test: no faults. */
void sqs_put(struct world *world, struct queue *queue, const char *body);

/* Shared with sqs_calls.c, and with sources.c, which polls the queue USERDATA. */
bool sqs_is_fifo(const struct queue *queue);
struct queue *sqs_queue_by_arn(struct world *world, const char *arn); /* or NULL */
struct message *sqs_new_message(struct world *world, const char *body);
void sqs_add(struct world *world, struct queue *queue, struct message *message);
void sqs_remove_deleted(struct queue *queue);
void sqs_poll(struct world *world, void *userdata);
/* A person sends the kept letters about machines back to where they came from. */
void sqs_retry_letters(struct world *world);

/* -- calls -- */

struct answer {
        int status;
        struct buf headers;
        struct buf body;
};

void answer_json(struct answer *answer, int status, cJSON *json); /* takes JSON */
void answer_text(struct answer *answer, int status, const char *text);
void answer_aws_error(struct answer *answer, int status, const char *code);
void answer_ec2_error(struct answer *answer, int status, const char *code);

void sqs_serve(struct world *world, const char *action, const cJSON *body, struct answer *answer);
void ssm_serve(struct world *world, const char *action, const cJSON *body, struct answer *answer);
void ec2_serve(struct world *world, const char *form, struct answer *answer);

/* ec2_describe.c: */
/* EC2 shows an ended instance for about an hour. */
#define EC2_SHOWN_MS HOUR
#define EC2_XML_MAX (4UL * 1024 * 1024)
bool ec2_is_shown(const struct machine *machine);
/* Soon after a machine's end, at a moment of its own, EC2 has taken its tags away; and whatever a
 * role may do only to what carries a tag is denied from then on. */
bool ec2_is_faded(const struct machine *machine);
void ec2_add_instance(struct buf *xml, const struct machine *machine);
void ec2_serve_describe(struct world *world, const char *form, struct answer *answer);

/* Whether there is a second App, and whether the headers of a call have its token. */
bool apps_has_second(const struct world *world);
bool apps_is_second(const char *headers);
/* Whether it, or its state, answers a call. */
bool apps_serve(struct world *world, const char *path, struct answer *answer);

void github_serve(struct world *world, const char *method, const char *path, const cJSON *body,
        struct answer *answer);

/* -- ssm.c -- */

struct parameter {
        char *name;
        char *value;
        int64_t modified_ms;
        int64_t version;
};

/* Gives the new version. */
int64_t ssm_set(struct world *world, const char *name, const char *value);
const char *ssm_get(struct world *world, const char *name);
bool ssm_delete(struct world *world, const char *name);
void ssm_release(struct world *world);

/* -- s3.c -- */

#define BUCKET "sim-hand-overs"
#define INSTANCE_ARNS "arn:aws:ec2:" REGION ":" ACCOUNT ":instance"

/* Whether hand-overs are in S3 in this world. */
bool s3_has_handovers(const struct world *world);
void s3_serve(struct world *world, const struct http_call *call, struct answer *answer);
void answer_s3_error(struct answer *answer, int status, const char *code);

/* The hand-over of an instance, wherever it is. */
const char *handover_get(struct world *world, const char *instance);
bool handover_delete(struct world *world, const char *instance);

/* -- machine.c -- */

enum machine_stage {
        MACHINE_BOOTING,
        MACHINE_WAITING, /* for its hand-over */
        MACHINE_STARTING,
        MACHINE_LISTENING,
        MACHINE_RUNNING,
        MACHINE_ENDING,
        MACHINE_HUNG,
        MACHINE_ENDED,
};

struct tag {
        char *key;
        char *value;
};

struct machine {
        struct world *world;
        char id[24];
        char type[32];
        char subnet[32];
        char token[80];
        char fleet[80]; /* the client token of its fleet; "": of none */
        char *form;     /* the whole RunInstances or CreateFleet, which a client token stands for */
        bool spot;
        unsigned index; /* AmiLaunchIndex */
        struct tag *tags;
        size_t n_tags;
        int64_t launched_ms;
        int64_t visible_ms;
        int64_t ended_ms;
        enum machine_stage stage;
        const char *why; /* why it ended */
        cJSON *handover;
        int64_t runner; /* id; 0: none */
        int64_t job;    /* that runs */
        int64_t parameter_limit_ms;
        int64_t listening_ms;
        int64_t started_ms;
        int64_t finished_ms;
        bool parameter_may_go;
        bool has_deleted_parameter;
        const char *result; /* of its job, as the runner prints it */
        unsigned reports;   /* not yet taken */
        bool idle_waits;    /* such a report is among them */
        int64_t idle_ms;    /* since when it is idle; 0: it is not */
        int64_t idle_reported_ms;
};

struct machine *machine_new(struct world *world);
void machine_launched(struct machine *machine);
void machine_end(struct machine *machine, const char *why);
/* EC2 takes the machine USERDATA back. */
void machine_spot_warning(struct world *world, void *userdata);
/* The machine USERDATA powers itself off. */
void machine_power_off(struct world *world, void *userdata);
struct machine *machine_find(struct world *world, const char *id);
bool machine_works(const struct machine *machine);
const char *machine_tag(const struct machine *machine, const char *key);
const char *machine_stage_name(enum machine_stage stage);
void machines_release(struct world *world);

/* -- agent.c -- */

/* The machine USERDATA has booted. */
void agent_booted(struct world *world, void *userdata);
/* Whether its runner listens and takes a job. */
bool machine_takes(const struct machine *machine, int64_t runner);
void machine_job_started(struct machine *machine, int64_t job);
void machine_job_cancelled(struct machine *machine);
void machine_registration_gone(struct machine *machine);
/* GitHub hears no more of its runner, and lets the job fail some minutes later. */
void machine_job_lost(struct machine *machine);
/* It has heard that EC2 takes the machine back. */
void agent_interrupted(struct machine *machine);

/* -- events.c -- */

/* Starts `recover` every ten minutes. */
void events_start_clock(struct world *world);

/* Takes DETAIL. Late, or lost, while EventBridge is down. */
void events_tell_ec2(struct world *world, const char *type, cJSON *detail);
/* The agent reports that its machine has reached STAGE; again until it is taken. */
void machine_report(struct machine *machine, const char *stage, const char *reason);
void machine_delete_parameter(struct machine *machine);
/* Somebody puts a report of the machine USERDATA that no agent made. */
void machine_forgery(struct world *world, void *userdata);

/* -- github.c, jobs.c -- */

struct runner {
        int64_t id;
        char name[64];
        char labels[256]; /* " a b c " */
        char repository[64];
        bool foreign;
        bool online;
        bool gone;
        int64_t job;
        int64_t created_ms;
        int64_t seen_busy_ms; /* when GitHub begins to know that it is busy */
};

/* So many of something since then. */
struct rate {
        int64_t since_ms;
        double n;
};

/* Functions of which is counted how often they get a job, and what they call for it. */
#define N_RATED 7

struct job_rates {
        struct rate deliveries;
        struct rate github;
        struct rate aws;
};

enum job_state { JOB_STATE_WAITS, JOB_STATE_RUNS, JOB_STATE_ENDED };

struct sim_job {
        struct world *world;
        int64_t id;
        int64_t run;
        int64_t attempt;
        const char *labels; /* " a b " */
        const char *repository;
        enum job_state state;
        const char *conclusion;
        bool cancelled;
        bool ever_ran;
        int64_t created_ms;
        int64_t assignable_ms; /* GitHub gives it to no runner before */
        int64_t started_ms;
        int64_t ended_ms;
        int64_t duration_ms;
        struct runner *runner;
        struct job_rates rates[N_RATED];
};

void github_world_release(struct world *world);
struct sim_job *job_find(struct world *world, int64_t id);
void job_add(struct world *world, int64_t delay_ms, const char *labels);
void job_end(struct world *world, struct sim_job *job, const char *conclusion);
struct runner *runner_find(struct world *world, int64_t id);
/* Gives waiting jobs to listening runners. */
void jobs_assign(struct world *world);
void jobs_assign_later(struct world *world, int64_t delay_ms);
/* A machine reports that it idles: GitHub may give it a job at the worst moment. */
void jobs_hurry(struct world *world);
/* Sends the webhook of what JOB is now. */
void job_tell_webhook(struct world *world, const struct sim_job *job, const char *action);
/* GitHub's list of the attempts to deliver, and another one. */
void deliveries_list(const struct world *world, struct answer *answer);
bool deliveries_again(struct world *world, int64_t id);
void deliveries_release(struct world *world);
cJSON *job_json(const struct sim_job *job);

/* -- lambda.c -- */

struct function;
void lambda_init(struct world *world);
/* Stores the configuration, with the limits that the world has now. */
void lambda_configure(struct world *world);
void lambda_release(struct world *world);
/* Whether an invocation is under way, which must not be when the world is released. */
bool lambda_is_busy(const struct world *world);
/* Begins an invocation; `done` is called when it has ended. ANSWER is NULL if it crashed. */
typedef void (*invoked)(struct world *world, void *userdata, const char *answer);
void lambda_invoke(
        struct world *world, const char *function, const char *event, invoked done, void *userdata);

/* One invocation, as its calls see it. */
struct invocation {
        struct world *world;
        const char *function;
        unsigned number;
        int64_t deadline_ms;
        int kill_at; /* number of the moment, two for each call; -1: never */
        int moment;
        bool killed;
        int64_t ahead_ms; /* of its clock: a killed process waits in no time */
        struct fiber *fiber;
        struct sim_job *jobs[10]; /* of its messages */
        size_t n_jobs;
};

/* Goes on with an invocation that waits. */
void lambda_resume(struct invocation *invocation);

/* -- services.c -- */

enum service {
        SERVICE_SQS,
        SERVICE_SSM,
        SERVICE_S3,
        SERVICE_EC2,
        SERVICE_GITHUB,
        SERVICE_CHANNEL,
        N_SERVICES
};

/* Which service the URL of CALL is of. */
enum service service_of(const struct http_call *call);
/* How long it takes this time. */
int64_t service_latency(struct world *world, enum service service);
/* The effect of CALL, and what is answered. */
void service_serve(struct world *world, enum service service, const struct http_call *call,
        struct answer *answer);

/* -- wire.c -- */

struct http_transport *wire_new(struct invocation **current);

/* -- fiber.c -- */

struct fiber *fiber_new(void (*run)(void *userdata), void *userdata);
/* Runs it until it waits or ends: true when it has ended. */
bool fiber_resume(struct fiber *fiber);
/* Within a fiber: returns when it is resumed. */
void fiber_wait(struct fiber *fiber);
void fiber_free(struct fiber *fiber);

/* -- limits.c -- */

struct bucket {
        double holds;      /* 0: no limit */
        double per_second; /* that are added */
        double level;
        int64_t level_ms;
};

#define GITHUB_KINDS 7

/* What services allow in a burst, as they publish it. */
struct limits {
        struct bucket points;     /* of GitHub: 1 for a GET, 5 for another call */
        struct bucket jitconfigs; /* registrations alone; */
        struct bucket hourly;     /* and so many of them in each hour */
        struct bucket hour;       /* all calls to GitHub; `holds` in each hour */
        struct bucket launches;   /* RunInstances */
        struct bucket machines;   /* that they launch */
        struct bucket stores;     /* PutParameter */
        unsigned github;          /* calls to GitHub, */
        unsigned refused;         /* and those that it refused */
        unsigned kinds[GITHUB_KINDS];
};

/* The name of a kind of call to GitHub. */
const char *limits_kind(size_t kind);

/* Whether a limit is reached; the answer is then filled. */
bool limits_github(
        struct world *world, const char *method, const char *path, struct answer *answer);
bool limits_ec2(struct world *world, const char *form, struct answer *answer);
bool limits_ssm(struct world *world, const char *action, struct answer *answer);

/* -- burst.c -- */

/* Runs each burst, or the one of that number, and prints the table: 0 if all goals are met. */
int bursts(int only, bool tells);

/* -- limited.c -- */

/* Draws the limits of machines that the configuration has in this world. */
void limited_draw(struct world *world);
/* Jobs that such a world has besides others. */
unsigned limited_more_jobs(const struct world *world);
/* The repository of that number, and that of the next job. */
const char *limited_name(unsigned number);
const char *limited_repository(const struct world *world);
/* Machines that live: of a spec, or for a repository (NULL: of any). */
unsigned limited_living(const struct world *world, const char *spec, const char *repository);
/* Runs many jobs against limits, each run in N_SEEDS worlds, and prints how long they waited: 0 if
 * all goals are met. */
int limited_runs(unsigned n_seeds);

/* -- course.c -- */

/* Prints how a burst goes, a line for each part of its bound. */
void course_start(struct world *world, int64_t part_ms);

/* -- world.c -- */

struct event {
        int64_t at_ms;
        uint64_t order;
        void (*run)(struct world *world, void *userdata);
        void *userdata;
};

struct world {
        uint64_t seed;
        uint64_t random;
        bool tells;       /* its story, on standard output */
        bool shows_calls; /* of the model of the agent */
        struct clock clock;
        int64_t now_ms;
        struct event *events; /* a heap */
        size_t n_events;
        size_t events_capacity;
        uint64_t next_order;

        uint32_t faults; /* bits */
        struct outage outages[N_FAULTS];
        unsigned strikes[N_FAULTS];
        int64_t faults_until_ms;
        int64_t last_fault_ms;

        struct queues queues;
        struct lambda *lambda;
        struct parameter *parameters;
        size_t n_parameters;
        struct machine **machines;
        size_t n_machines;
        struct runner **runners;
        size_t n_runners;
        struct sim_job **jobs;
        size_t n_jobs;
        struct attempt **attempts; /* to deliver webhooks */
        size_t n_attempts;
        int64_t next_id;
        bool caller_is_second; /* of the call to GitHub that is being served */
        unsigned
                github_budgets[2]; /* of both Apps: calls left this hour, while the limit strikes */
        int64_t github_budget_hours[2];

        unsigned calls[8];    /* by service */
        unsigned told;        /* notifications */
        unsigned n_very_late; /* jobs that GitHub gives to nobody for hours, */
        int64_t very_late_ms; /* and how many those are together */
        unsigned ran_instances;
        struct empty_fleet *empty_fleets;
        size_t n_empty_fleets;
        int log_fd;
        int64_t log_shown;

        /* Of the configuration; 0: none. */
        unsigned most_machines; /* at the same time; */
        unsigned most_of_spec;  /* of "linux" alone; */
        unsigned most_of_repository;
        bool had_limits; /* once */
        unsigned n_repositories;

        struct app_rates {
                struct rate points;
                struct rate calls;
        } app_rates[2]; /* of both Apps */

        bool is_burst; /* no chances: full batches, and warm processes as long as there are */
        struct limits limits;          /* all 0: none */
        const struct drought *drought; /* NULL: none */
        unsigned launch_calls;         /* while there is one */
        int64_t ran_ms;                /* when the last machine was launched */
        int64_t stored_ms;             /* when the last hand-over was */
        unsigned stored;
        int64_t course_ms; /* how often its course is printed */

        unsigned violations;
        char violation[512]; /* the first */
};

void world_init(struct world *world, uint64_t seed, bool tells, uint32_t faults);
void world_release(struct world *world);
/* Runs what happens until UNTIL_MS. */
void world_run(struct world *world, int64_t until_ms);
void world_after(struct world *world, int64_t delay_ms,
        void (*run)(struct world *world, void *userdata), void *userdata);
uint32_t world_random(struct world *world, uint32_t below);
int64_t world_between(struct world *world, int64_t least, int64_t most);
bool world_chance(struct world *world, unsigned percent);
/* Milliseconds since 1970. */
int64_t world_wall_ms(const struct world *world);
void world_tell(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_violate(struct world *world, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* New log lines of the handlers, as part of the story. */
void world_tell_log(struct world *world, const char *who);

/* -- invariants.c -- */

/* drought.c: only the last type of the ladder has capacity. */
int drought_runs(void);
bool drought_is_of_fleets(const struct world *world);
bool drought_tries_few(const struct world *world);
bool drought_has_capacity(const struct world *world, const char *type);
/* What a launch takes then; other calls take LATENCY. */
int64_t drought_latency(struct world *world, const char *form, int64_t latency);

/* fleet.c: fleets of EC2, in the worlds that have them. */
bool fleet_is_on(const struct world *world);
void fleets_release(struct world *world);
void fleet_create(struct world *world, const char *form, struct answer *answer);
void fleet_describe_subnets(struct world *world, const char *form, struct answer *answer);
/* How many machines such an offer has now. */
unsigned ec2_capacity(struct world *world, const char *type, const char *subnet, bool spot);
/* A new machine; TAGS is what the names of its tags in FORM begin with. */
struct machine *ec2_launch(struct world *world, const char *form, const char *type,
        const char *subnet, const char *tags, bool spot, unsigned index);

void invariant_launch(struct world *world, const char *type);
void invariant_message(struct world *world, const char *to, const char *body);
void invariant_end(struct machine *machine, const char *by);
void invariant_limits(struct world *world);
void invariant_name(const struct machine *machine);
void invariant_deregister(struct machine *machine, int64_t runner);
/* at_rest.c: checks what must be true at rest. */
void invariants_at_rest(struct world *world, uint32_t enabled);
/* Reads which checks the command line enables: "all", or names with commas. */
bool invariants_parse(const char *text, uint32_t *ret_enabled);
uint32_t invariants_default(void);

/* -- rates.c -- */

/* INVOCATION begins, with the messages of EVENT. */
void rates_deliver(struct invocation *invocation, const char *event);
/* It makes CALL. */
void rates_call(struct invocation *invocation, enum service service, const struct http_call *call);

/* What a seed needs after its last fault until all is at rest. */
#define REST_MS (30 * HOUR)

/* -- stories.c -- */

/* Prints what the model of the agent calls in a life of that name. Returns an exit code. */
int story_tell(const char *name);
/* A call of the agent; DETAIL is a report's. */
void story_call(const struct machine *machine, const char *call, const cJSON *detail);

/* -- forms.c -- */

/* The decoded value of member NAME of a form or query, for the caller to free; or NULL. */
char *form_value(const char *form, const char *name);
/* The same of BEFORE.I, or of BEFORE.I.AFTER. */
char *form_item(const char *form, const char *before, int i, const char *after);
