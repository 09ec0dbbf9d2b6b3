/* SPDX-License-Identifier: MIT */

/*
 * Lists parameters below a path; and parameters that are no secret, with their versions; and what
 * the account is set to.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/ssm.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

/* DescribeParameters gives no more at once, */
#define LIST_PAGE 50
/* and GetParametersByPath no more than this. */
#define TEXTS_PAGE 10

static void read_next_page(const cJSON *answer, char **page)
{
        const char *next = json_string(answer, "NextToken");

        free(*page);
        *page = next ? mem_string(next) : NULL;
}

/* -- names and times -- */

struct http_call *ssm_list_parameters(struct aws *aws, const char *path, const char *page)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();
        cJSON *filter = cJSON_CreateObject();

        json_add_string(filter, "Key", "Path");
        json_add_string(filter, "Option", "OneLevel");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(filter, "Values"), cJSON_CreateString(path));
        cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "ParameterFilters"), filter);
        json_add_integer(body, "MaxResults", LIST_PAGE);
        if (page)
                json_add_string(body, "NextToken", page);
        return aws_object_call(aws, AWS_SSM, "DescribeParameters", body);
}

void ssm_list_release(struct ssm_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].name);
        free(list->items);
        free(list->next_page);
        *list = (struct ssm_list){0};
}

int ssm_list_parameters_answer(const struct http_call *call, struct ssm_list *list, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *parameter;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        cJSON_ArrayForEach (parameter, json_get(answer, "Parameters")) {
                const char *name = json_string(parameter, "Name");
                const cJSON *modified = json_get(parameter, "LastModifiedDate");

                if (!name || !cJSON_IsNumber(modified))
                        return err_set(err, -EBADMSG,
                                "DescribeParameters: a parameter without a name or a time");
                list->items = mem_resize(list->items, list->count + 1, sizeof(*list->items));
                list->items[list->count++] = (struct ssm_listed){
                        .name = mem_string(name),
                        .modified_ms = (int64_t)(modified->valuedouble * MSEC_PER_SEC),
                };
        }
        read_next_page(answer, &list->next_page);
        return 0;
}

/* -- texts -- */

struct http_call *ssm_get_texts(struct aws *aws, const char *path, const char *page)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "Path", path);
        json_add_integer(body, "MaxResults", TEXTS_PAGE);
        if (page)
                json_add_string(body, "NextToken", page);
        return aws_object_call(aws, AWS_SSM, "GetParametersByPath", body);
}

void ssm_texts_release(struct ssm_texts *texts)
{
        for (size_t i = 0; i < texts->count; i++) {
                free(texts->items[i].name);
                free(texts->items[i].value);
        }
        free(texts->items);
        free(texts->next_page);
        *texts = (struct ssm_texts){0};
}

int ssm_get_texts_answer(const struct http_call *call, struct ssm_texts *texts, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const cJSON *parameter;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        cJSON_ArrayForEach (parameter, json_get(answer, "Parameters")) {
                const char *name = json_string(parameter, "Name");
                const char *value = json_string(parameter, "Value");

                if (!name || !value)
                        return err_set(err, -EBADMSG,
                                "GetParametersByPath: a parameter without a name or value");
                texts->items = mem_resize(texts->items, texts->count + 1, sizeof(*texts->items));
                texts->items[texts->count++] = (struct ssm_text){
                        .name = mem_string(name),
                        .value = mem_string(value),
                        .version = json_integer(parameter, "Version", 0),
                };
        }
        read_next_page(answer, &texts->next_page);
        return 0;
}

struct http_call *ssm_put_text(struct aws *aws, const char *name, const char *value)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "Name", name);
        json_add_string(body, "Type", "String");
        json_add_boolean(body, "Overwrite", true);
        json_add_string(body, "Value", value);
        return aws_object_call(aws, AWS_SSM, "PutParameter", body);
}

int ssm_put_text_answer(const struct http_call *call, int64_t *ret_version, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        int r = aws_accepted_json(call, &answer, err);

        if (r == 0)
                *ret_version = json_integer(answer, "Version", 0);
        return r;
}

/* -- settings -- */

struct http_call *ssm_get_setting(struct aws *aws, const char *setting)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "SettingId", setting);
        return aws_object_call(aws, AWS_SSM, "GetServiceSetting", body);
}

int ssm_get_setting_answer(const struct http_call *call, char **ret_value, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        const char *value;
        int r = aws_accepted_json(call, &answer, err);

        if (r < 0)
                return r;
        value = json_string(answer, "ServiceSetting.SettingValue");
        if (!value)
                return err_set(err, -EBADMSG, "GetServiceSetting: there is no value");
        *ret_value = mem_string(value);
        return 0;
}
