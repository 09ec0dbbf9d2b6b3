/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The scaler's configuration: one JSON document. config_fields.c has the table of its fields, from
 * which reading, checking, and the schema for editors (config.schema.json) follow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct config_tag {
        char *key;
        char *value;
};

/* Who chooses among a spec's instance types and subnets. */
#define CONFIG_ALLOCATION_LADDER "ladder" /* we do, in the order of the ladder */
/* EC2 does, with the allocation strategy of that name. */
#define CONFIG_ALLOCATION_PRICE "price-capacity-optimized"
#define CONFIG_ALLOCATION_PRIORITIES "capacity-optimized-prioritized"

/* What becomes of a job that was lost with its spot instance. */
#define CONFIG_RERUN_DEFAULT "default"     /* it is run again, as it was */
#define CONFIG_RERUN_ON_DEMAND "on-demand" /* its next attempts are launched on demand */
#define CONFIG_RERUN_NEVER "never"         /* people decide */

/* What becomes of jobs whose run comes from a fork of a public repository. */
#define CONFIG_FORKS_REFUSE "refuse"
#define CONFIG_FORKS_ALLOW "allow"

/* Where hand-overs wait for their machines: see exchange/store.h. */
#define CONFIG_HAND_OVER_SSM "ssm"
#define CONFIG_HAND_OVER_S3 "s3"

/* No limit of machines is larger: whoever counts them reads so many at most. */
#define CONFIG_MACHINES_MAX 10000

/* One kind of runner. */
struct config_spec {
        char *name;
        char **labels; /* what the runner has; n_labels of them */
        size_t n_labels;
        bool shared_labels; /* its jobs and those of other specs may take each other's machines */
        char *organization; /* its runners belong to this organization, */
        char *enterprise;   /* or to this enterprise; both NULL: to the job's repository */
        int64_t runner_group_id;
        bool unlabelled; /* takes jobs without labels, whose runs-on names only a runner group */
        char *instance_type;   /* where the ladder starts */
        char **instance_types; /* further ones that a job may name as a label */
        size_t n_instance_types;
        char *launch_template;
        char *launch_template_version;
        char **subnets;
        size_t n_subnets;
        char *allocation; /* CONFIG_ALLOCATION_… */
        bool on_demand_fallback;
        char *rerun;              /* jobs lost with their spot instance: CONFIG_RERUN_… */
        int64_t max_reruns;       /* attempts of a run that may be followed by another */
        char *fork_pull_requests; /* CONFIG_FORKS_… */
        bool terminate_on_completed;
        bool job_metadata; /* jobs reach the metadata service, from containers as well */
        int64_t idle_limit_seconds;
        int64_t job_limit_seconds;
        int64_t max_relaunches;  /* then people are told, and launches become rare */
        int64_t max_machines;    /* that live at the same time; 0: no limit */
        int64_t spot_losses_max; /* within the window: then launches are on demand a while */
        int64_t spot_window_seconds;
        struct config_tag *tags;
        size_t n_tags;
};

struct config {
        char *prefix;             /* "/scale-agent" */
        char *hand_over;          /* CONFIG_HAND_OVER_… */
        char *app_id;             /* NULL: a personal token is used */
        int64_t *additional_apps; /* ids of further Apps, which register only */
        size_t n_additional_apps;
        int64_t *installations; /* empty: any */
        size_t n_installations;
        int64_t max_machines; /* that live at the same time; 0: no limit */
        int64_t max_machines_per_repository;
        char **repositories; /* "OWNER/REPO", or "OWNER/" and a star for all of them */
        size_t n_repositories;
        struct config_spec *specs;
        size_t n_specs;
};

void config_free(struct config *config);
void config_freep(struct config **config);

/* One fault of a document. */
struct config_fault {
        char *path; /* "specs[0].subnets" */
        char *text; /* what is allowed, and what was found */
};

struct config_faults {
        struct config_fault *items; /* owned */
        size_t count;
};

/* Further faults are dropped. */
#define CONFIG_FAULTS_MAX 1000

void config_faults_release(struct config_faults *faults);

/*
 * Reads a document. Returns 0 and a configuration, or -EINVAL with all faults in *ret_faults (may
 * be NULL) and the first one in ERR. A text that is not JSON has one fault, at path "".
 */
int config_parse(const char *text, size_t size, struct config **ret_config,
        struct config_faults *ret_faults, struct err *err);

/* The JSON Schema of the document, for editors, as indented text; the caller frees. */
char *config_schema(void);

/* Whether jobs of SPEC may be run again, and whether the next attempts then begin on demand. */
bool config_spec_reruns(const struct config_spec *spec);
bool config_spec_reruns_on_demand(const struct config_spec *spec);

/* Whether TEXT is a value of `allocation`, or looks like the id of a subnet. */
bool config_is_allocation(const char *text);
bool config_is_subnet(const char *text);

/* Whether EC2 chooses among the types and subnets of SPEC, by a fleet. */
bool config_spec_uses_fleet(const struct config_spec *spec);

/* Whether SPEC launches for jobs that come from forks of public repositories. */
bool config_spec_allows_forks(const struct config_spec *spec);

/* Whether deliveries from REPOSITORY ("OWNER/REPO") or through INSTALLATION are accepted. */
bool config_allows_repository(const struct config *config, const char *repository);
bool config_allows_installation(const struct config *config, int64_t installation);

/* Whether TEXT is the id of an App that is not the first one, as far as that is known: the first
 * one may be named by its client id. */
bool config_names_other_app(const struct config *config, const char *text);

/* Whether TEXT is the id of one of the additional Apps, as GitHub writes it. */
bool config_has_additional_app(const struct config *config, const char *text);

/* Whether a spec registers its runners at an enterprise. */
bool config_has_enterprise(const struct config *config);

/* The spec of that name, or NULL. */
const struct config_spec *config_spec_by_name(const struct config *config, const char *name);

/*
 * A job may carry one label of its own, such as run-1234-0: `runs-on: [self-hosted, linux,
 * "run-${{ github.run_id }}-${{ strategy.job-index }}"]`. It matches any spec. The runner is
 * registered with it, so GitHub gives this machine to this job and to no other.
 */
#define CONFIG_RUN_LABEL "run-"
#define CONFIG_RUN_LABEL_MAX 128

/* A runner's labels that are not its spec's: that one, and the instance type. */
#define CONFIG_LABELS_FREE 2

bool config_is_run_label(const char *label);
/* The one among LABELS, borrowed, or NULL: 0, or -EINVAL when there are two, or when it is none
 * that we register. */
int config_run_label(
        const char *const *labels, size_t n_labels, const char **ret_label, struct err *err);

/* Whether a machine of SPEC can take a job with LABELS, as config_match() says. *ret_type is the
 * instance type that they name, or NULL. No machine has two types. */
bool config_spec_takes(const struct config_spec *spec, const char *const *labels, size_t n_labels,
        const char **ret_type);

/*
 * The spec for a job with LABELS (its runs-on): the first one whose labels include all of the
 * job's, in any case. A run- label, and labels that name an instance type which the spec allows, do
 * not count. A job without labels (its runs-on names only a runner group) gets the first spec that
 * is `unlabelled`. NULL: no spec matches, or the job names two instance types. *ret_instance_type
 * (borrowed from the spec) is the type that the job names, or the spec's own.
 */
const struct config_spec *config_match(const struct config *config, const char *const *labels,
        size_t n_labels, const char **ret_instance_type);

/*
 * The spec of a job that was matched before, with spec NAME (may be NULL) and *INSTANCE_TYPE (may
 * be NULL): the spec of that name, or, if it was renamed or removed, the one that its LABELS match
 * now. *instance_type stays the job's while the name is known; else it is borrowed from the spec.
 * NULL: none, and *instance_type is untouched.
 */
const struct config_spec *config_rematch(const struct config *config, const char *name,
        const char *const *labels, size_t n_labels, const char **instance_type);
