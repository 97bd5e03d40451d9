//! Files and batches. A batch is under way when it is made, and done when it is looked at.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{
    answer::{Scene, answer},
    api::Refused,
    openai,
    script::Script,
};

/// What was stored, by id.
#[derive(Default)]
pub(crate) struct Stored {
    files: BTreeMap<String, File>,
    batches: BTreeMap<String, Value>,
    /// What was asked and what was answered.
    responses: BTreeMap<String, (Value, Value)>,
}

impl Stored {
    /// Keeps a response, unless it shall not be kept.
    pub(crate) fn keep(&mut self, asked: &Value, answered: &Value) {
        if let Some(id) = answered["id"].as_str().filter(|_| asked["store"] != json!(false)) {
            self.responses.insert(id.to_owned(), (asked["input"].clone(), answered.clone()));
        }
    }
}

struct File {
    name: String,
    purpose: String,
    bytes: Vec<u8>,
}

impl File {
    fn told(&self, id: &str) -> Value {
        json!({
            "id": id, "object": "file", "bytes": self.bytes.len(), "created_at": 1_790_000_000,
            "filename": self.name, "purpose": self.purpose, "status": "processed",
        })
    }
}

fn missing(what: &str, id: &str) -> Refused {
    openai::error(404, &format!("No such {what} object: {id}"), None, Some("id"))
}

pub(super) fn files(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let below: Vec<&str> = sent.path.trim_start_matches("/v1/files").split('/').skip(1).collect();
    sent.calls.stored(|stored| match (sent.method, below.as_slice()) {
        (&Method::POST, []) => {
            let file = sent.fields.get("file");
            let file = file.ok_or_else(|| (openai::API.invalid)("'file' is a required property"))?;
            let purpose = sent.field("purpose");
            let purpose = purpose.ok_or_else(|| (openai::API.invalid)("'purpose' is a required property"))?;
            let id = format!("file-sim{}", sent.number);
            let name = file.file_name.clone().unwrap_or_default();
            let file = File { name, purpose, bytes: file.bytes.clone() };
            let told = file.told(&id);
            stored.files.insert(id, file);
            Ok(Reply::Json(told))
        }
        (&Method::GET, []) => {
            let data: Vec<Value> = stored.files.iter().map(|(id, file)| file.told(id)).collect();
            Ok(Reply::Json(json!({"object": "list", "data": data, "has_more": false})))
        }
        (&Method::GET, [id]) => match stored.files.get(*id) {
            Some(file) => Ok(Reply::Json(file.told(id))),
            None => Err(missing("File", id)),
        },
        (&Method::GET, [id, "content"]) => match stored.files.get(*id) {
            Some(file) => Ok(Reply::Bytes("application/octet-stream", file.bytes.clone())),
            None => Err(missing("File", id)),
        },
        (&Method::DELETE, [id]) => match stored.files.remove(*id) {
            Some(_) => Ok(Reply::Json(json!({"id": id, "object": "file", "deleted": true}))),
            None => Err(missing("File", id)),
        },
        _ => Err(openai::error(404, "Invalid URL", None, None)),
    })
}

pub(super) fn responses(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let below: Vec<&str> = sent.path.trim_start_matches("/v1/responses").split('/').skip(1).collect();
    let id = below.first().copied().unwrap_or_default();
    let missing = || openai::error(404, &format!("Response with id '{id}' not found."), None, None);
    sent.calls.stored(|stored| {
        let (input, response) = stored.responses.get(id).cloned().ok_or_else(missing)?;
        match (sent.method, below.as_slice()) {
            (&Method::GET, [_]) => Ok(Reply::Json(response)),
            (&Method::GET, [_, "input_items"]) => {
                let text = input.as_str().map_or_else(|| input.to_string(), ToOwned::to_owned);
                let content = json!([{"type": "input_text", "text": text}]);
                let item = json!({"id": "msg_1", "type": "message", "role": "user", "status": "completed",
                                  "content": content});
                Ok(Reply::Json(
                    json!({"object": "list", "data": [item], "first_id": "msg_1", "last_id": "msg_1",
                                      "has_more": false}),
                ))
            }
            (&Method::POST, [_, "cancel"]) => Err(openai::error(
                400,
                "Only responses created with background=true can be cancelled",
                None,
                None,
            )),
            (&Method::DELETE, [_]) => {
                stored.responses.remove(id);
                Ok(Reply::Json(json!({"id": id, "object": "response", "deleted": true})))
            }
            _ => Err(openai::error(404, "Invalid URL", None, None)),
        }
    })
}

pub(super) fn batches(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let below: Vec<&str> = sent.path.trim_start_matches("/v1/batches").split('/').skip(1).collect();
    sent.calls.stored(|stored| match (sent.method, below.as_slice()) {
        (&Method::POST, []) => {
            let file = sent.text("input_file_id");
            if !stored.files.contains_key(file) {
                return Err(missing("File", file));
            }
            let id = format!("batch_sim{}", sent.number);
            let batch = json!({
                "id": id, "object": "batch", "endpoint": sent.json["endpoint"], "input_file_id": file,
                "completion_window": sent.json["completion_window"], "status": "in_progress",
                "created_at": 1_790_000_000, "metadata": sent.json["metadata"], "output_file_id": null,
                "request_counts": {"total": 0, "completed": 0, "failed": 0},
            });
            stored.batches.insert(id, batch.clone());
            Ok(Reply::Json(batch))
        }
        (&Method::GET, []) => {
            let data: Vec<&Value> = stored.batches.values().collect();
            Ok(Reply::Json(json!({"object": "list", "data": data, "has_more": false})))
        }
        (&Method::GET, [id]) => {
            let Some(mut batch) = stored.batches.get(*id).cloned() else { return Err(missing("Batch", id)) };
            if batch["status"] == json!("in_progress") {
                complete(&mut batch, stored, sent);
                stored.batches.insert((*id).to_owned(), batch.clone());
            }
            Ok(Reply::Json(batch))
        }
        (&Method::POST, [id, "cancel"]) => match stored.batches.get_mut(*id) {
            Some(batch) => {
                batch["status"] = json!("cancelling");
                Ok(Reply::Json(batch.clone()))
            }
            None => Err(missing("Batch", id)),
        },
        _ => Err(openai::error(404, "Invalid URL", None, None)),
    })
}

/// Answers every line of the batch's file.
fn complete(batch: &mut Value, stored: &mut Stored, sent: &Sent<'_>) {
    let input = batch["input_file_id"].as_str().and_then(|id| stored.files.get(id));
    let text = input.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default();
    let mut output = String::new();
    let (mut total, mut done, mut input_tokens, mut output_tokens) = (0, 0, 0, 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let request: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        let body = &request["body"];
        let model = body["model"].as_str().unwrap_or_default();
        total += 1;
        let Ok(asked) = (openai::API.read)(body, model, sent.calls) else { continue };
        let script = Script::default();
        let answer = answer(&asked, &script);
        let number = sent.number * 1_000 + total;
        let scene = Scene { body, model, number, asked: &asked, answer: &answer, script: &script };
        let whole = (openai::API.whole)(&scene);
        input_tokens += whole["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
        output_tokens += whole["usage"]["completion_tokens"].as_u64().unwrap_or_default();
        batch["model"] = json!(model);
        done += 1;
        let answered = json!({"id": format!("batch_req_{number}"), "custom_id": request["custom_id"],
                              "response": {"status_code": 200, "request_id": "", "body": whole}, "error": null});
        output.push_str(&format!("{answered}\n"));
    }
    let id = format!("file-out{}", sent.number);
    let file =
        File { name: "output.jsonl".to_owned(), purpose: "batch_output".to_owned(), bytes: output.into() };
    stored.files.insert(id.clone(), file);
    batch["status"] = json!("completed");
    batch["completed_at"] = json!(1_790_000_100);
    batch["output_file_id"] = json!(id);
    batch["request_counts"] = json!({"total": total, "completed": done, "failed": total - done});
    batch["usage"] = json!({
        "input_tokens": input_tokens, "output_tokens": output_tokens, "total_tokens": input_tokens + output_tokens,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
    });
}
