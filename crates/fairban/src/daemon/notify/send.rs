//! How somebody is told, and what became of it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use fairban_config::{NotifyBy, Occasion};
use fairban_types::Time;
use fairban_web::notice::Notices;
use fairban_web::webhook::{Undelivered, Webhook};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::happening::Happening;
use super::now;
use crate::control::NotifyStatus;

/// What could not be told is tried again after so long each, and then given up.
const AGAIN_AFTER: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];
/// Of what a program complains about, so much is kept.
const COMPLAINT_MAX: u64 = 2000;

/// What is told.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The same however often it is tried.
    id: String,
    subject: String,
    text: String,
    body: String,
}

/// An id that nobody else gives out.
fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 12];
    if getrandom::fill(&mut bytes).is_err() {
        // The moment and a number tell messages of one daemon apart just as well.
        bytes[..8].copy_from_slice(&now().millis().to_be_bytes());
        bytes[8..].copy_from_slice(&(COUNT.fetch_add(1, Ordering::Relaxed) as u32).to_be_bytes());
    }
    bytes.iter().fold(String::from("msg_"), |text, byte| format!("{text}{byte:02x}"))
}

impl Message {
    fn new(node: &str, kind: &str, subject: &str, text: String, more: Value, time: Time) -> Message {
        let mut data = json!({ "node": node, "subject": subject, "text": text });
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        let body = json!({ "type": kind, "timestamp": time, "data": data }).to_string();
        let place = crate::show::safe_line(node);
        Message { id: new_id(), subject: format!("Fairban on {place}: {}", kind.replace('_', " ")), text, body }
    }

    pub(super) fn of(node: &str, happening: &Happening, time: Time) -> Message {
        let mut more = json!({ "over": happening.is_over });
        if let Some(code) = happening.code {
            more["code"] = json!(code);
        }
        if let Some(decision) = &happening.decision {
            more["rule"] = json!(decision.origin.rule());
            more["until"] = json!(decision.until);
            more["diagnosis"] = json!(decision.diagnosis);
            more["offence"] = json!(decision.offence);
        }
        let kind = happening.occasion.as_str();
        Message::new(node, kind, &happening.subject, happening.text.clone(), more, time)
    }

    /// What was too much to be told one by one.
    pub(super) fn more(node: &str, counts: &BTreeMap<Occasion, u64>, time: Time) -> Message {
        let all: u64 = counts.values().sum();
        let each: Vec<String> = counts.iter().map(|(one, count)| format!("{count} {}", one.as_str())).collect();
        let counts: BTreeMap<&str, u64> = counts.iter().map(|(one, count)| (one.as_str(), *count)).collect();
        let text = format!("and {all} more: {}", each.join(", "));
        Message::new(node, "more", "", text, json!({ "counts": counts }), time)
    }

    pub(super) fn test(node: &str) -> Message {
        let text = "This is a test: `fairban notify --test` was run.".to_owned();
        Message::new(node, "test", "", text, json!({}), now())
    }
}

/// A way to tell, ready to be used.
pub(super) struct Way {
    how: How,
    limit: Duration,
}

enum How {
    Webhook(Box<Webhook>),
    Mail(Arc<Notices>, String),
    Command(Vec<String>),
}

impl Way {
    pub(super) fn new(by: &NotifyBy, limit: Duration, notices: Option<&Arc<Notices>>) -> anyhow::Result<Self> {
        let how = match by {
            NotifyBy::Webhook { url, secret_file, authority } => {
                How::Webhook(Box::new(Webhook::new(url, secret_file.as_deref(), authority.as_deref())?))
            }
            NotifyBy::Mail { to } => {
                let notices = notices.context("mail needs relay and from of [notices]")?;
                How::Mail(notices.clone(), to.clone())
            }
            NotifyBy::Command { arguments } => How::Command(arguments.clone()),
        };
        Ok(Way { how, limit })
    }

    pub(super) fn by(&self) -> &'static str {
        match self.how {
            How::Webhook(_) => "webhook",
            How::Mail(..) => "mail",
            How::Command(_) => "command",
        }
    }

    /// Tells once.
    pub(super) async fn tell(&self, message: &Message) -> Result<(), Undelivered> {
        match &self.how {
            How::Webhook(hook) => hook.tell(&message.id, now(), &message.body, self.limit).await,
            How::Mail(notices, to) => {
                let sending = notices.mail(to, &message.subject, format!("{}\n", message.text));
                within(self.limit, sending).await
            }
            How::Command(arguments) => within(self.limit, run(arguments, &message.body)).await,
        }
    }
}

async fn within(limit: Duration, telling: impl Future<Output = Result<(), String>>) -> Result<(), Undelivered> {
    match tokio::time::timeout(limit, telling).await {
        Ok(told) => told.map_err(Undelivered::ForNow),
        Err(_) => Err(Undelivered::ForNow(format!("it took longer than {} s", limit.as_secs()))),
    }
}

/// Runs a program with the message on its standard input. Dropped before its end, it is ended.
async fn run(arguments: &[String], body: &str) -> Result<(), String> {
    let (program, rest) = arguments.split_first().ok_or("there is no command")?;
    let mut child = Command::new(program)
        .args(rest)
        // Nothing of the daemon's own surroundings is a program's business.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read is none the worse.
            let _ = stdin.write_all(body.as_bytes()).await;
        }
    };
    let read = async {
        let mut complaint = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(COMPLAINT_MAX).read_to_end(&mut complaint).await;
            // Read on, so that it is not held up by what nobody wants to know.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&complaint).into_owned()
    };
    let ((), complaint, status) = tokio::join!(write, read, child.wait());
    let status = status.map_err(|error| error.to_string())?;
    let complaint = crate::show::safe_line(complaint.trim());
    match (status.success(), complaint.as_str()) {
        (true, _) => Ok(()),
        (false, "") => Err(format!("{program} ended with {status}")),
        (false, complaint) => Err(format!("{program} ended with {status}: {complaint}")),
    }
}

/// What became of messages.
#[derive(Default)]
pub(super) struct Counts {
    told: AtomicU64,
    failed: AtomicU64,
    left_out: AtomicU64,
    waiting: AtomicU64,
    state: Mutex<(Option<Time>, Option<String>)>,
}

impl Counts {
    pub(super) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left_out(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (Option<Time>, Option<String>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, outcome: &Result<(), Undelivered>) {
        match outcome {
            Ok(()) => *self.state() = (Some(now()), None),
            Err(error) => self.state().1 = Some(error.to_string()),
        }
    }

    fn done(&self, is_told: bool) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if is_told { &self.told } else { &self.failed }.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn status(&self, name: String, by: String) -> NotifyStatus {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (last, problem) = self.state().clone();
        NotifyStatus {
            name,
            by,
            told: count(&self.told),
            failed: count(&self.failed),
            left_out: count(&self.left_out),
            waiting: count(&self.waiting),
            last,
            problem,
        }
    }
}

/// Tells what waits, in order, as long as the daemon runs.
pub(super) async fn keep_telling(
    name: String,
    way: Arc<Way>,
    counts: Arc<Counts>,
    mut waiting: mpsc::Receiver<Message>,
) {
    while let Some(message) = waiting.recv().await {
        let mut is_told = false;
        for pause in AGAIN_AFTER.iter().map(Some).chain([None]) {
            let outcome = way.tell(&message).await;
            counts.note(&outcome);
            match (outcome, pause) {
                (Ok(()), _) => is_told = true,
                (Err(Undelivered::ForNow(_)), Some(pause)) => {
                    tokio::time::sleep(*pause).await;
                    continue;
                }
                (Err(error), _) => tracing::warn!(name, %error, "a notification could not be told"),
            }
            break;
        }
        counts.done(is_told);
    }
}
