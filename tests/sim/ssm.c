/* SPDX-License-Identifier: MIT */

/*
 * Parameters of AWS Systems Manager: the configuration, the secrets and the hand-overs.
 */

#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct parameter *find(struct world *world, const char *name)
{
        for (size_t i = 0; name && i < world->n_parameters; i++)
                if (strcmp(world->parameters[i].name, name) == 0)
                        return &world->parameters[i];
        return NULL;
}

int64_t ssm_set(struct world *world, const char *name, const char *value)
{
        struct parameter *parameter = find(world, name);

        if (parameter) {
                free(parameter->value);
                parameter->value = mem_string(value);
                parameter->modified_ms = world->now_ms;
                return ++parameter->version;
        }
        world->parameters =
                mem_resize(world->parameters, world->n_parameters + 1, sizeof(*world->parameters));
        world->parameters[world->n_parameters++] =
                (struct parameter){mem_string(name), mem_string(value), world->now_ms, 1};
        return 1;
}

const char *ssm_get(struct world *world, const char *name)
{
        const struct parameter *parameter = find(world, name);

        return parameter ? parameter->value : NULL;
}

bool ssm_delete(struct world *world, const char *name)
{
        struct parameter *parameter = find(world, name);

        if (!parameter)
                return false;
        free(parameter->name);
        free(parameter->value);
        *parameter = world->parameters[--world->n_parameters];
        return true;
}

void ssm_release(struct world *world)
{
        while (world->n_parameters > 0)
                ssm_delete(world, world->parameters[0].name);
        free(world->parameters);
}

static cJSON *parameter_json(const struct parameter *parameter)
{
        cJSON *json = cJSON_CreateObject();

        json_add_string(json, "Name", parameter->name);
        json_add_string(json, "Value", parameter->value);
        json_add_integer(json, "Version", parameter->version);
        return json;
}

static void put(struct world *world, const cJSON *body, struct answer *answer)
{
        const char *name = json_string(body, "Name");
        const char *value = json_string(body, "Value");

        if (!name || !value)
                answer_aws_error(answer, 400, "ValidationException");
        else if (find(world, name) && !json_boolean(body, "Overwrite", false))
                answer_aws_error(answer, 400, "ParameterAlreadyExists");
        else {
                cJSON *json = cJSON_CreateObject();

                if (strstr(name, "/runners/")) {
                        world->stored++;
                        world->stored_ms = world->now_ms;
                }
                json_add_integer(json, "Version", ssm_set(world, name, value));
                answer_json(answer, 200, json);
        }
}

static void get(struct world *world, const cJSON *body, struct answer *answer)
{
        const struct parameter *parameter = find(world, json_string(body, "Name"));
        cJSON *json;

        if (!parameter) {
                answer_aws_error(answer, 400, "ParameterNotFound");
                return;
        }
        json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "Parameter", parameter_json(parameter));
        answer_json(answer, 200, json);
}

static void get_some(struct world *world, const cJSON *body, struct answer *answer)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");
        cJSON *invalid = cJSON_AddArrayToObject(json, "InvalidParameters");
        const cJSON *name;

        cJSON_ArrayForEach (name, json_get(body, "Names")) {
                const struct parameter *parameter = find(world, cJSON_GetStringValue(name));

                if (parameter)
                        cJSON_AddItemToArray(found, parameter_json(parameter));
                else
                        cJSON_AddItemToArray(invalid, cJSON_Duplicate(name, true));
        }
        answer_json(answer, 200, json);
}

static void get_by_path(struct world *world, const cJSON *body, struct answer *answer)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");
        const char *path = json_string(body, "Path");

        for (size_t i = 0; path && i < world->n_parameters; i++)
                if (strncmp(world->parameters[i].name, path, strlen(path)) == 0)
                        cJSON_AddItemToArray(found, parameter_json(&world->parameters[i]));
        answer_json(answer, 200, json);
}

/* Of the one filter that is used, by path. */
static void describe(struct world *world, const cJSON *body, struct answer *answer)
{
        cJSON *json = cJSON_CreateObject();
        cJSON *found = cJSON_AddArrayToObject(json, "Parameters");
        const cJSON *filter = cJSON_GetArrayItem(json_get(body, "ParameterFilters"), 0);
        const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(json_get(filter, "Values"), 0));

        for (size_t i = 0; path && i < world->n_parameters; i++) {
                const struct parameter *parameter = &world->parameters[i];
                int64_t start = world_wall_ms(world) - world->now_ms;
                cJSON *one;

                if (strncmp(parameter->name, path, strlen(path)) != 0)
                        continue;
                one = cJSON_CreateObject();
                cJSON_AddItemToArray(found, one);
                json_add_string(one, "Name", parameter->name);
                cJSON_AddNumberToObject(one, "LastModifiedDate",
                        (double)(start + parameter->modified_ms) / (double)SECOND);
        }
        answer_json(answer, 200, json);
}

static void delete (struct world *world, const cJSON *body, struct answer *answer)
{
        if (ssm_delete(world, json_string(body, "Name")))
                answer_text(answer, 200, "{}");
        else
                answer_aws_error(answer, 400, "ParameterNotFound");
}

static void delete_some(struct world *world, const cJSON *body, struct answer *answer)
{
        const cJSON *name;

        cJSON_ArrayForEach (name, json_get(body, "Names")) {
                if (ssm_delete(world, cJSON_GetStringValue(name)))
                        world_tell(world, "SSM: %s is deleted", cJSON_GetStringValue(name));
        }
        answer_text(answer, 200, "{\"DeletedParameters\":[],\"InvalidParameters\":[]}");
}

void ssm_serve(struct world *world, const char *action, const cJSON *body, struct answer *answer)
{
        static const struct {
                const char *action;
                void (*serve)(struct world *world, const cJSON *body, struct answer *answer);
        } actions[] = {
                {"PutParameter", put},
                {"GetParameter", get},
                {"GetParameters", get_some},
                {"GetParametersByPath", get_by_path},
                {"DescribeParameters", describe},
                {"DeleteParameter", delete},
                {"DeleteParameters", delete_some},
        };

        for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
                if (strcmp(actions[i].action, action) == 0) {
                        actions[i].serve(world, body, answer);
                        return;
                }
        }
        answer_aws_error(answer, 400, "UnknownOperationException");
}
