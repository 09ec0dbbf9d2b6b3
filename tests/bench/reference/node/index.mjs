// SPDX-License-Identifier: MIT
//
// The reference in Node: what `webhook` does for a queued job, with AWS's and GitHub's own
// libraries. It checks the signature, reads the configuration and the secret from SSM at the first
// event, finds the spec by the job's labels, and sends one message.

import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import { Webhooks } from "@octokit/webhooks";

const ssm = new SSMClient({});
// The stand-in does not know what it was sent, and is not where the queue says.
const sqs = new SQSClient({ md5: false, useQueueUrlAsEndpoint: false });
let settings;

async function readSettings() {
  const names = [process.env.GITHUB_WEBHOOK_SECRET, process.env.SCALE_AGENT_CONFIG]
    .map((reference) => reference.replace(/^ssm:/, ""));
  const answer = await ssm.send(new GetParametersCommand({ Names: names, WithDecryption: true }));
  const [secret, config] = names
    .map((name) => answer.Parameters.find((found) => found.Name === name).Value);
  return { webhooks: new Webhooks({ secret }), config: JSON.parse(config) };
}

function reply(statusCode, body) {
  return { statusCode, headers: { "content-type": "text/plain" }, body };
}

export async function handler(event) {
  settings ??= await readSettings();
  const { webhooks, config } = settings;
  if (!(await webhooks.verify(event.body, event.headers["x-hub-signature-256"]))) {
    return reply(401, "the signature does not match");
  }
  const delivery = JSON.parse(event.body);
  const job = delivery.workflow_job;
  const spec = config.specs.find((one) => job.labels.every((label) => one.labels.includes(label)));
  if (!spec) {
    return reply(200, "no spec has these labels");
  }
  const message = {
    action: delivery.action, id: job.id, run_id: job.run_id, attempt: job.run_attempt,
    name: job.name, url: job.html_url, labels: job.labels,
    repository: delivery.repository.full_name, installation: delivery.installation.id,
    delivery: event.headers["x-github-delivery"],
    spec: spec.name, instance_type: spec.instance_type,
  };
  await sqs.send(new SendMessageCommand({
    QueueUrl: process.env.QUEUED_QUEUE_URL,
    MessageGroupId: String(job.id),
    MessageDeduplicationId: `${job.id}-${job.run_attempt}`,
    MessageBody: JSON.stringify(message),
  }));
  return reply(202, "queued");
}
