/* SPDX-License-Identifier: MIT */

/*
 * What AWS answers to the calls that people's commands make: the input is the body of an answer,
 * which each reader gets with the status of a success and with that of a refusal. What is read is
 * complete; what is not says why, and leaves its output alone.
 */

#include "aws/describe.h"
#include "aws/sqs.h"
#include "aws/ssm.h"
#include "fuzz.h"

#define QUEUE "https://sqs.eu-central-1.amazonaws.com/1/kept"

/* Gives CALL the answer under way. */
static struct http_call *answered(
        struct http_call *call, const uint8_t *data, size_t size, int status)
{
        call->status = status;
        call->answer.limit = call->answer_limit;
        buf_add(&call->answer, data, size);
        return call;
}

static void read_letters(struct aws *aws, const uint8_t *data, size_t size, int status)
{
        _cleanup_(http_call_freep) struct http_call *receive =
                answered(sqs_receive_messages(aws, QUEUE, 30), data, size, status);
        _cleanup_(http_call_freep) struct http_call *find =
                answered(sqs_get_queue_url(aws, "kept"), data, size, status);
        _cleanup_(http_call_freep) struct http_call *done =
                answered(sqs_delete_message(aws, QUEUE, "r"), data, size, status);
        struct sqs_received_list list = {.count = 4711};
        char *url = NULL;
        struct err err = {0};

        if (sqs_receive_messages_answer(receive, &list, &err) < 0) {
                CHECK(list.count == 4711);
                check_err(&err);
        } else {
                CHECK(status == 200 && list.count <= 10);
                for (size_t i = 0; i < list.count; i++)
                        CHECK(list.items[i].id && list.items[i].receipt && list.items[i].body);
                sqs_received_list_release(&list);
        }
        CHECK((sqs_get_queue_url_answer(find, &url, &err) == 0) == (url != NULL));
        free(url);
        CHECK((sqs_delete_message_answer(done, &err) == 0) == (status == 200));
}

static void read_machines(struct aws *aws, const uint8_t *data, size_t size, int status)
{
        static const char *const ids[] = {"subnet-0000000a"};
        _cleanup_(http_call_freep) struct http_call *template =
                answered(ec2_describe_template(aws, "runner", "$Default"), data, size, status);
        _cleanup_(http_call_freep) struct http_call *subnets =
                answered(ec2_describe_subnets(aws, ids, 1), data, size, status);
        _cleanup_(http_call_freep) struct http_call *images =
                answered(ec2_describe_images(aws, ids, 1), data, size, status);
        _cleanup_(http_call_freep) struct http_call *snapshots =
                answered(ec2_describe_snapshots(aws, ids, 1), data, size, status);
        _cleanup_(http_call_freep) struct http_call *offerings =
                answered(ec2_describe_offerings(aws, ids, 1, ids, 1), data, size, status);
        struct ec2_template found_template = {.id = "untouched"};
        struct ec2_subnets found_subnets = {0};
        struct ec2_images found_images = {0};
        struct ec2_snapshots found_snapshots = {0};
        struct ec2_offerings found_offerings = {0};
        struct err err = {0};

        CHECK((ec2_describe_template_answer(template, &found_template, &err) == 0) ==
                (strcmp(found_template.id, "untouched") != 0));
        CHECK(ec2_describe_subnets_answer(subnets, &found_subnets, &err) == 0 ||
                !found_subnets.items);
        CHECK(ec2_describe_images_answer(images, &found_images, &err) == 0 || !found_images.items);
        CHECK(ec2_describe_snapshots_answer(snapshots, &found_snapshots, &err) == 0 ||
                !found_snapshots.items);
        CHECK(ec2_describe_offerings_answer(offerings, &found_offerings, &err) == 0 ||
                !found_offerings.items);
        ec2_subnets_release(&found_subnets);
        ec2_images_release(&found_images);
        ec2_snapshots_release(&found_snapshots);
        ec2_offerings_release(&found_offerings);
}

static void read_quota(struct aws *aws, const uint8_t *data, size_t size, int status)
{
        _cleanup_(http_call_freep) struct http_call *call =
                answered(quotas_get(aws, "ec2", "L-34B43A08"), data, size, status);
        struct err err = {0};
        double value = -1;
        int r = quotas_get_answer(call, &value, &err);

        CHECK(r == 0 || value == -1);
        CHECK(r != QUOTAS_NOT_FOUND || status != 200);
}

static void read_parameters(struct aws *aws, const uint8_t *data, size_t size, int status)
{
        _cleanup_(http_call_freep) struct http_call *setting =
                answered(ssm_get_setting(aws, "/ssm/x"), data, size, status);
        _cleanup_(http_call_freep) struct http_call *deleted =
                answered(ssm_delete_parameter(aws, "/p/x"), data, size, status);
        _cleanup_(http_call_freep) struct http_call *replaced =
                answered(ssm_replace_parameter(aws, "/p/x", "value"), data, size, status);
        _cleanup_(http_call_freep) struct http_call *texts =
                answered(ssm_get_texts(aws, "/p", "page"), data, size, status);
        struct ssm_texts found = {0};
        char *value = NULL;
        struct err err = {0};

        CHECK((ssm_get_setting_answer(setting, &value, &err) == 0) == (value != NULL));
        free(value);
        CHECK(status == 400 || ssm_delete_parameter_answer(deleted, &err) == 0);
        (void)ssm_delete_parameter_answer(deleted, &err);
        (void)ssm_put_parameter_answer(replaced, &err);
        if (ssm_get_texts_answer(texts, &found, &err) == 0)
                for (size_t i = 0; i < found.count; i++)
                        CHECK(found.items[i].name && found.items[i].value);
        else
                check_err(&err);
        ssm_texts_release(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const int statuses[] = {200, 400};
        static struct aws aws;
        struct err err;

        if (!aws.region)
                CHECK(aws_init(&aws, "eu-central-1", &err) == 0);
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                read_letters(&aws, data, size, statuses[i]);
                read_machines(&aws, data, size, statuses[i]);
                read_quota(&aws, data, size, statuses[i]);
                read_parameters(&aws, data, size, statuses[i]);
        }
        return 0;
}
