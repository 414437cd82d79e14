//! Telling people and programs of what happens: by a webhook, by mail, by a command.
//!
//! Whoever decides never waits for it. What happens is taken from the feed, the same of the same subject is told once in a
//! while, many at once become one message, and what cannot be told is counted.

mod gather;
mod happening;
mod health;
mod send;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use fairban_config::{Config, NotifyTarget, Occasion};
use fairban_web::notice::Notices;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::{Told, now};
use crate::control::server::Shared;
use crate::control::{NotifyStatus, Reply, Request};
use gather::{Gather, Gathered};
use happening::Happening;
use health::Health;
use send::{Counts, Message, Way};

/// Messages that wait for one who is told; more are counted and left out.
const QUEUE_MAX: usize = 256;
/// How often it is looked whether all parts are well.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// One who is told.
struct Target {
    name: String,
    occasions: Vec<Occasion>,
    gather: Gather,
    queue: mpsc::Sender<Message>,
    counts: Arc<Counts>,
}

/// Those who are told, for whoever asks how that goes.
pub(crate) struct Notifier {
    node: Arc<str>,
    ways: Vec<(NotifyTarget, Arc<Way>, Arc<Counts>)>,
    targets: Mutex<Vec<Target>>,
}

impl Notifier {
    /// Makes ready to tell; connects to nothing and starts nothing yet.
    pub(crate) fn new(config: &Config, node: Arc<str>, notices: Option<&Arc<Notices>>) -> anyhow::Result<Arc<Self>> {
        let (mut ways, mut targets) = (Vec::new(), Vec::new());
        for target in &config.notify {
            let way = Way::new(&target.by, target.time_limit, notices);
            let way = Arc::new(way.with_context(|| format!("[[notify]] {}", target.name))?);
            let counts = Arc::new(Counts::default());
            let (queue, waiting) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(send::keep_telling(target.name.clone(), way.clone(), counts.clone(), waiting));
            targets.push(Target {
                name: target.name.clone(),
                occasions: target.occasions.clone(),
                gather: Gather::new(target.again),
                queue,
                counts: counts.clone(),
            });
            ways.push((target.clone(), way, counts));
        }
        Ok(Arc::new(Notifier { node, ways, targets: Mutex::new(targets) }))
    }

    /// How telling goes.
    pub(crate) fn status(&self) -> Vec<NotifyStatus> {
        let one = |(target, way, counts): &(NotifyTarget, Arc<Way>, Arc<Counts>)| {
            counts.status(target.name.clone(), way.by().to_owned())
        };
        self.ways.iter().map(one).collect()
    }

    /// Tells those of this name, or all, that this is a test, and says what became of it.
    pub(crate) async fn test(&self, name: Option<&str>) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (target, way, _) in self.ways.iter().filter(|(target, ..)| name.is_none_or(|name| name == target.name)) {
            let message = Message::test(&self.node);
            let outcome = way.tell(&message).await;
            replies.push(Reply::Data(json!({
                "name": target.name, "by": way.by(), "told": outcome.is_ok(),
                "outcome": outcome.map_or_else(|error| error.to_string(), |()| "it was taken".to_owned()),
            })));
        }
        if replies.is_empty() {
            let text = match name {
                Some(name) => format!("nobody of the name '{name}' is told: see [[notify]] in the configuration"),
                None => "nobody is told: add [[notify]] to the configuration and restart".to_owned(),
            };
            replies.push(Reply::No(text));
        }
        replies
    }

    /// Takes what happens, as long as the daemon runs.
    pub(crate) async fn follow(self: Arc<Self>, mut feed: Receiver<Told>, shared: Shared) {
        if self.ways.is_empty() {
            return;
        }
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut health, mut looked) = (Health::default(), tokio::time::Instant::now());
        loop {
            tokio::select! {
                told = feed.recv() => match told {
                    Ok(Told::Decision(decision)) => self.offer(&happening::of_decision(&decision)),
                    Ok(Told::Event(event)) => {
                        if let Some(sign_in) = happening::of_event(&event.event)
                            && happening::is_new_place(&shared, &event.event).await
                        {
                            self.offer(&[sign_in]);
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!("too much happened at once: of {missed} things nobody was told");
                    }
                    Err(RecvError::Closed) => return,
                },
                _ = tick.tick() => {
                    if looked.elapsed() >= LOOK_EVERY {
                        looked = tokio::time::Instant::now();
                        if let Reply::Status(status) = shared.wish(Request::Status, "fairban").await {
                            for change in health.changes(&status) {
                                self.offer(&[change]);
                            }
                        }
                    }
                    self.sum_up();
                }
            }
        }
    }

    /// Offers what happened, the nearest word for it first, to everybody who wants to know.
    fn offer(&self, words: &[Happening]) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets.iter_mut() {
            let Some(happening) = words.iter().find(|one| target.occasions.contains(&one.occasion)) else { continue };
            if target.gather.offer(now(), happening) == Gathered::TellNow {
                target.put(Message::of(&self.node, happening, now()));
            }
        }
    }

    /// Tells of what was too much to be told one by one.
    fn sum_up(&self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for target in targets.iter_mut() {
            if let Some(more) = target.gather.due(now()) {
                target.put(Message::more(&self.node, &more, now()));
            }
        }
    }
}

impl Target {
    fn put(&self, message: Message) {
        self.counts.waits();
        if self.queue.try_send(message).is_err() {
            self.counts.left_out();
            tracing::warn!(name = self.name, "a notification was left out: too many wait already");
        }
    }
}
