//! Changes that are asked for again by the same key (draft-ietf-httpapi-idempotency-key-header).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use fairban_types::Time;
use ring::digest::{Context, SHA256};

use super::Problem;
use crate::admin::{Asked, lock};

/// So long an answer is remembered, and
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// so many.
const COUNT_MAX: usize = 10_000;
const BODY_MAX: usize = 64 * 1024;

type Key = (String, String);

/// Answers to changes.
#[derive(Default)]
pub(crate) struct Idempotency {
    answers: HashMap<Key, Known>,
}

struct Known {
    print: [u8; 32],
    since: Time,
    /// `None`: it is being answered.
    answer: Option<(StatusCode, Option<HeaderValue>, Bytes)>,
}

/// The place of an answer that is to come; given up if it does not.
pub(super) struct Place<'a> {
    known: &'a Mutex<Idempotency>,
    key: Option<Key>,
}

/// What is known of a key.
pub(super) enum Begun<'a> {
    New(Place<'a>),
    Before(Response),
}

fn print(asked: &Asked) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let queries = asked.queries().iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    for part in [asked.path.as_bytes(), &asked.body].into_iter().chain(queries) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}

pub(super) fn begin<'a>(
    known: &'a Mutex<Idempotency>,
    who: &str,
    key: &str,
    asked: &Asked,
    now: Time,
) -> Result<Begun<'a>, Problem> {
    let key = (who.to_owned(), key.to_owned());
    let print = print(asked);
    let mut all = lock(known);
    match all.answers.get(&key).filter(|known| now.since(known.since) < KEPT) {
        Some(known) if known.print != print => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this Idempotency-Key was used for another request"))
        }
        Some(Known { answer: None, .. }) => {
            Err(Problem::new(StatusCode::CONFLICT, "the request of this Idempotency-Key is being answered"))
        }
        Some(Known { answer: Some((status, kind, body)), .. }) => {
            Ok(Begun::Before(response(*status, kind.clone(), body.clone())))
        }
        None => {
            all.make_room(now);
            all.answers.insert(key.clone(), Known { print, since: now, answer: None });
            Ok(Begun::New(Place { known, key: Some(key) }))
        }
    }
}

fn response(status: StatusCode, kind: Option<HeaderValue>, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    response
}

impl Idempotency {
    fn make_room(&mut self, now: Time) {
        if self.answers.len() < COUNT_MAX {
            return;
        }
        self.answers.retain(|_, known| now.since(known.since) < KEPT);
        while self.answers.len() >= COUNT_MAX {
            let oldest = self.answers.iter().min_by_key(|(_, known)| known.since).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.answers.remove(&oldest);
        }
    }
}

impl Place<'_> {
    /// Remembers the answer, and gives it on. What went wrong on our side may be tried again.
    pub(super) async fn remember(
        mut self,
        answer: Response,
        lock: fn(&Mutex<Idempotency>) -> MutexGuard<'_, Idempotency>,
    ) -> Response {
        if answer.status().is_server_error() {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
            return Response::from_parts(parts, Body::empty());
        };
        let kind = parts.headers.get(axum::http::header::CONTENT_TYPE).cloned();
        if let Some(key) = self.key.take()
            && let Some(known) = lock(self.known).answers.get_mut(&key)
        {
            known.answer = Some((parts.status, kind, body.clone()));
        }
        Response::from_parts(parts, Body::from(body))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(self.known).answers.remove(&key);
        }
    }
}
