/* SPDX-License-Identifier: MIT */

/*
 * Doctor: whether machines' volumes are encrypted, and whether that costs time at each start, as it
 * does where EC2 makes a volume with another key than that of the image's snapshot.
 */

#include <string.h>

#include "doctor.h"

#define SNAPSHOTS_MAX 200

/* The snapshots of all images. Those that are not ours to see are missing. */
static void read_snapshots(struct doctor *doctor, struct ec2_snapshots *snapshots)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        const char *ids[SNAPSHOTS_MAX];
        size_t n_ids = 0;
        struct err err;

        for (size_t i = 0; i < doctor->images.count && n_ids < SNAPSHOTS_MAX; i++)
                if (strcmp(doctor->images.items[i].encrypted, "true") == 0)
                        ids[n_ids++] = doctor->images.items[i].snapshot;
        if (n_ids == 0)
                return;
        call = scaler_call(&doctor->scaler, ec2_describe_snapshots(doctor->aws, ids, n_ids));
        (void)ec2_describe_snapshots_answer(call, snapshots, &err);
}

/* The ARN of its key; "" where it cannot be seen. */
static const char *key_of(const struct ec2_snapshots *snapshots, const char *id)
{
        for (size_t i = 0; i < snapshots->count; i++)
                if (strcmp(snapshots->items[i].id, id) == 0)
                        return snapshots->items[i].key;
        return "";
}

/* Judges the encryption of the volumes that TEMPLATE makes: a fault, or a remark where it costs
 * time. */
static void judge(const char *name, const struct ec2_template *template,
        const struct ec2_image *image, const char *key, struct finding *finding)
{
        bool is_encrypted = image && strcmp(image->encrypted, "true") == 0;

        if (!is_encrypted && strcmp(template->encrypted, "true") != 0) {
                finding_fail(finding,
                        "set Encrypted for the volume in the launch template, as `make stack` "
                        "does, or build an encrypted image: `make ami`",
                        "launch template %s: volumes are not encrypted, and neither is %s", name,
                        image ? image->id : "an image that is known");
        } else if (!image) {
                finding_say(finding, "%s encrypts volumes", name);
        } else if (!is_encrypted) {
                finding_say(finding,
                        "%s is not encrypted, and %s has each volume encrypted anew, which is "
                        "reported to cost about 10 s at each start",
                        image->id, name);
                finding->advice = "`make ami` builds an encrypted image, then `make stack AMI=...`";
        } else if (template->key[0] && key[0] && strcmp(template->key, key) != 0) {
                finding_say(finding, "%s is encrypted with %s, and volumes of %s with %s",
                        image->id, key, name, template->key);
                finding->advice = "`make stack AMI=...` gives volumes the key of the image, so "
                                  "that they are not encrypted anew at each start";
        } else {
                finding_say(finding, "%s is encrypted", image->id);
        }
}

void doctor_check_encryption(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(ec2_snapshots_release) struct ec2_snapshots snapshots = {0};
        const struct config *config = doctor->config;
        bool has_template = false;

        if (doctor->templates)
                read_snapshots(doctor, &snapshots);
        for (size_t i = 0; doctor->templates && i < config->n_specs; i++) {
                const struct ec2_image *image = doctor_image(doctor, i);

                if (!doctor->templates[i].id[0] || doctor_same_template(config, i) != i)
                        continue;
                has_template = true;
                judge(config->specs[i].launch_template, &doctor->templates[i], image,
                        image ? key_of(&snapshots, image->snapshot) : "", finding);
        }
        if (!has_template)
                finding_skip(finding, "no launch template was found");
}
