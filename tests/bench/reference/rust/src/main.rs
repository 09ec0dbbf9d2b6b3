// SPDX-License-Identifier: MIT

//! The reference in Rust: what `webhook` does for a queued job, with AWS's own libraries. It checks
//! the signature, reads the configuration and the secret from SSM at the first event, finds the
//! spec by the job's labels, and sends one message.

use aws_config::BehaviorVersion;
use hmac::{Hmac, Mac};
use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::{json, Value};
use sha2::Sha256;
use tokio::sync::OnceCell;

struct Settings {
    secret: String,
    config: Value,
}

struct Clients {
    ssm: aws_sdk_ssm::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
    settings: OnceCell<Settings>,
}

fn parameter_name(variable: &str) -> Result<String, Error> {
    let reference = std::env::var(variable)?;
    Ok(reference.strip_prefix("ssm:").ok_or("not an ssm: reference")?.to_owned())
}

async fn read_settings(ssm: &aws_sdk_ssm::Client) -> Result<Settings, Error> {
    let secret = parameter_name("GITHUB_WEBHOOK_SECRET")?;
    let config = parameter_name("SCALE_AGENT_CONFIG")?;
    let call = ssm.get_parameters().names(&secret).names(&config).with_decryption(true);
    let answer = call.send().await?;
    let value = |name: &str| {
        let mut all = answer.parameters().iter();
        let found = all.find(|one| one.name() == Some(name)).and_then(|one| one.value());
        found.ok_or("a parameter is missing")
    };
    Ok(Settings {
        secret: value(&secret)?.to_owned(),
        config: serde_json::from_str(value(&config)?)?,
    })
}

fn is_signed(secret: &str, signature: &str, body: &[u8]) -> bool {
    let Some(digest) = signature.strip_prefix("sha256=") else {
        return false;
    };
    let Ok(digest) = hex::decode(digest) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&digest).is_ok()
}

fn spec_for<'a>(config: &'a Value, labels: &[Value]) -> Option<&'a Value> {
    config["specs"].as_array()?.iter().find(|spec| {
        let has = spec["labels"].as_array();
        has.is_some_and(|has| labels.iter().all(|label| has.contains(label)))
    })
}

fn reply(status: u16, text: &str) -> Value {
    json!({"statusCode": status, "headers": {"content-type": "text/plain"}, "body": text})
}

async fn handle(clients: &Clients, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let settings = clients.settings.get_or_try_init(|| read_settings(&clients.ssm)).await?;
    let body = event.payload["body"].as_str().unwrap_or_default();
    let headers = &event.payload["headers"];
    let signature = headers["x-hub-signature-256"].as_str().unwrap_or_default();
    if !is_signed(&settings.secret, signature, body.as_bytes()) {
        return Ok(reply(401, "the signature does not match"));
    }
    let delivery: Value = serde_json::from_str(body)?;
    let job = &delivery["workflow_job"];
    let labels = job["labels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(spec) = spec_for(&settings.config, labels) else {
        return Ok(reply(200, "no spec has these labels"));
    };
    let message = json!({
        "action": delivery["action"], "id": job["id"], "run_id": job["run_id"],
        "attempt": job["run_attempt"], "name": job["name"], "url": job["html_url"],
        "labels": labels, "repository": delivery["repository"]["full_name"],
        "installation": delivery["installation"]["id"],
        "delivery": headers["x-github-delivery"],
        "spec": spec["name"], "instance_type": spec["instance_type"],
    });
    let group = job["id"].to_string();
    clients
        .sqs
        .send_message()
        .queue_url(&clients.queue)
        .message_group_id(&group)
        .message_deduplication_id(format!("{group}-{}", job["run_attempt"]))
        .message_body(message.to_string())
        .send()
        .await?;
    Ok(reply(202, "queued"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let shared = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let clients = Clients {
        ssm: aws_sdk_ssm::Client::new(&shared),
        sqs: aws_sdk_sqs::Client::new(&shared),
        queue: std::env::var("QUEUED_QUEUE_URL")?,
        settings: OnceCell::new(),
    };
    run(service_fn(|event| handle(&clients, event))).await
}
