//! What happens, as it happens: server-sent events (WHATWG HTML, 9.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout_at};

use super::Problem;
use super::openapi::Operation;
use crate::access::{Look, May, Means, Sight};
use crate::admin::view::News;
use crate::admin::{Admin, Asked, Routes, lock};

/// Something is sent at least so often, so that who has gone is noticed.
const BEAT: Duration = Duration::from_secs(15);
/// A stream ends after so long; browsers come back by themselves.
const STREAM_TIME: Duration = Duration::from_secs(100);

pub(super) fn add(routes: Routes) -> Routes {
    let stream = Operation::get("/api/v1/stream", "events", "stream", "What happens, as it happens: `event` and `decision`, each with its JSON as data. It ends now and then; connect again")
        .gives_text("text/event-stream");
    routes.call(stream, follow)
}

/// What a stream has.
struct Following {
    admin: Arc<Admin>,
    means: Means,
    sight: Sight,
    news: Receiver<News>,
    end: Instant,
    _place: OwnedSemaphorePermit,
}

async fn follow(admin: Arc<Admin>, may: May<Look>, _: Asked) -> Result<Response, Problem> {
    let place = admin.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many follow at once"))?;
    let following = Following {
        news: admin.desk.follow(),
        sight: may.sight(),
        means: may.who().means,
        end: Instant::now() + STREAM_TIME,
        admin,
        _place: place,
    };
    let first = Bytes::from_static(b"retry: 3000\n\n: here\n\n");
    let (pieces, body) = channel(16);
    tokio::spawn(following.pass_on(first, pieces));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::new(Pieces(body))).into_response())
}

/// What is passed on, as a body.
struct Pieces(Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Following {
    /// Until the end, or until nobody listens any more.
    async fn pass_on(mut self, first: Bytes, pieces: Sender<Bytes>) {
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if pieces.send(bytes).await.is_err() {
                return;
            }
            piece = self.next().await;
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if Instant::now() >= self.end || !self.is_still_allowed() {
                return None;
            }
            let beat = (Instant::now() + BEAT).min(self.end);
            match timeout_at(beat, self.news.recv()).await {
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
                Ok(None) => return None,
                Ok(Some(news)) => {
                    if let Some(piece) = told(news, &self.sight) {
                        return Some(piece);
                    }
                }
            }
        }
    }

    /// Who was signed out sees no more.
    fn is_still_allowed(&self) -> bool {
        match self.means {
            Means::Session(id) => lock(&self.admin.sessions).is_alive(id, self.admin.now()),
            Means::Token => true,
        }
    }
}

fn told(news: News, sight: &Sight) -> Option<Bytes> {
    let (name, data) = match news {
        News::Event(event) if sight.event(&event.event) => ("event", serde_json::to_string(&event)),
        News::Decision(mut decision) if sight.decision(&decision) => {
            sight.mask(&mut decision);
            ("decision", serde_json::to_string(&decision))
        }
        News::Event(_) | News::Decision(_) => return None,
    };
    // JSON has no line ends of its own, so that data is one line.
    data.ok().map(|data| Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
}
