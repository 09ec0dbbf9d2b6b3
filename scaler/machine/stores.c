/* SPDX-License-Identifier: MIT */

/*
 * See stores.h.
 */

#include "stores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SCHEME "s3://"

static bool wants_s3(const struct config *config)
{
        return strcmp(config->hand_over, CONFIG_HAND_OVER_S3) == 0;
}

/* Opens the bucket, if there is one. */
static void open_s3(struct store *store, struct aws *aws)
{
        const char *url = getenv(STORES_VARIABLE);
        const char *slash;
        _cleanup_free_ char *bucket = NULL;

        if (!url || strncmp(url, SCHEME, strlen(SCHEME)) != 0)
                return;
        url += strlen(SCHEME);
        slash = strchr(url, '/');
        if (!slash)
                return;
        bucket = mem_format("%.*s", (int)(slash - url), url);
        store_init_s3(store, aws, bucket, slash + 1);
}

void stores_init(struct stores *stores, const struct config *config, struct aws *aws)
{
        *stores = (struct stores){0};
        open_s3(&stores->s3, aws);
        store_init_ssm(&stores->ssm, aws, config->prefix, NULL);
}

void stores_release(struct stores *stores)
{
        if (stores->ssm.kind)
                store_release(&stores->ssm);
        if (stores->s3.kind)
                store_release(&stores->s3);
        *stores = (struct stores){0};
}

const struct store *stores_with(const struct stores *stores, const char *bucket)
{
        return stores->s3.kind && bucket ? &stores->s3 : &stores->ssm;
}

const struct store *stores_of(const struct stores *stores, const struct ec2_instance *machine)
{
        return stores_with(stores, ec2_instance_tag(machine, STORE_TAG));
}

void stores_open(struct store *ret, const struct config *config, struct aws *aws,
        const char *account, const char *bucket)
{
        _cleanup_free_ char *arns = mem_format(
                "arn:%s:ec2:%s:%s:instance", aws_partition(aws->region), aws->region, account);

        if (bucket)
                store_init_s3(ret, aws, bucket, arns);
        else
                store_init_ssm(ret, aws, config->prefix, arns);
}

bool stores_have(const char *bucket)
{
        struct store store = {0};
        bool is_ours;

        open_s3(&store, NULL);
        is_ours = !bucket || (store.kind && strcmp(store.place, bucket) == 0);
        store_release(&store);
        return is_ours;
}

int stores_check(const struct config *config, struct err *err)
{
        _cleanup_free_ char *bucket = stores_bucket(config);

        if (bucket || !wants_s3(config))
                return 0;
        return err_set(err, -ENOENT,
                "hand_over is \"s3\" in the configuration, but this stack has no bucket for "
                "hand-overs: make stack HAND_OVER=s3");
}

char *stores_bucket(const struct config *config)
{
        struct store store = {0};

        if (wants_s3(config))
                open_s3(&store, NULL);
        free(store.arns);
        return store.place;
}

char *stores_bucket_of(const struct config *config, const struct ec2_instance *machine)
{
        return machine->n_tags > 0 ? mem_string(ec2_instance_tag(machine, STORE_TAG))
                                   : stores_bucket(config);
}
