use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use fairban_parse::policy::dovecot;
use fairban_types::{SignIn, Time, Verdict};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::request::{BODY_LEN_MAX, Command, Trouble, command};
use super::{AuthPolicy, answer, key, report};
use crate::Judge;
use crate::counters::count;
use crate::peer::Peer;
use crate::server::{Serve, Shared};

/// What one connection's requests are read into and answers written from, each, in bytes.
const BUFFER_LEN_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 32;

pub(super) struct Server {
    settings: AuthPolicy,
    judge: Arc<dyn Judge>,
    shared: Arc<Shared>,
}

impl Serve for Server {
    async fn serve<S>(&self, stream: S, peer: &Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| async {
            let response = self.response(request).await;
            peer.answered();
            Ok::<_, Infallible>(response)
        });
        let served = http1::Builder::new()
            .max_buf_size(BUFFER_LEN_MAX)
            .max_headers(HEADERS_MAX)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(Watched { stream, peer: peer.clone() }), service)
            .await;
        if let Err(error) = served
            && error.is_parse()
        {
            count(&self.shared.tally.malformed);
            self.shared.complaints.say("a request is not HTTP", &error);
        }
    }
}

impl Server {
    pub(super) fn new(settings: AuthPolicy, judge: Arc<dyn Judge>, shared: Arc<Shared>) -> Self {
        Server { settings, judge, shared }
    }

    async fn response(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.answer(request).await {
            Ok(body) => with_type(Response::new(Full::new(body)), "application/json"),
            Err(trouble) => self.error(&trouble),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Bytes, Trouble> {
        if let Some(key) = &self.settings.api_key
            && !key::is_held(request.headers(), key)
        {
            return Err(Trouble::Key);
        }
        let command = command(request.method(), request.uri())?;
        let body = body(request.into_body()).await?;
        let asked = dovecot::read(&body).map_err(Trouble::Body)?;
        self.shared.tally.request(self.shared.clock.wall());
        match command {
            Command::Allow => Ok(self.allow(&asked)),
            Command::Report => {
                self.report(asked, Time::from(SystemTime::now()));
                Ok(answer::go_on())
            }
        }
    }

    fn allow(&self, asked: &dovecot::Request<'_>) -> Bytes {
        let verdict = asked.client.map_or(Verdict::Allow, |client| {
            self.judge.may_sign_in(&SignIn { client, account: asked.account.as_deref(), service: asked.service })
        });
        let (body, is_refusal) = answer::to_allow(verdict, &self.settings.message, self.settings.tarpit);
        if is_refusal {
            count(&self.shared.tally.refused);
        }
        body
    }

    fn report(&self, told: dovecot::Request<'_>, now: Time) {
        if let Some(event) = report::event(told, now)
            && !self.judge.hear(event)
        {
            count(&self.shared.tally.lost);
            self.shared.complaints.say("a report is lost", &"more arrives than can be worked on");
        }
    }

    fn error(&self, trouble: &Trouble) -> Response<Full<Bytes>> {
        let tally = &self.shared.tally;
        count(if *trouble == Trouble::Key { &tally.unauthorized } else { &tally.malformed });
        self.shared.complaints.say("a request cannot be answered", trouble);
        let mut response = with_type(Response::new(Full::from(format!("{trouble}\n"))), "text/plain");
        *response.status_mut() = trouble.status();
        match trouble {
            Trouble::Method => response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST")),
            Trouble::Key => response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => None,
        };
        response
    }
}

fn with_type(mut response: Response<Full<Bytes>>, content_type: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The whole body, if it is not too long. What arrives at once is not copied.
async fn body(mut body: Incoming) -> Result<Bytes, Trouble> {
    if body.size_hint().lower() > BODY_LEN_MAX as u64 {
        return Err(Trouble::TooLong);
    }
    let first = loop {
        match body.frame().await {
            None => return Ok(Bytes::new()),
            Some(Err(_)) => return Err(Trouble::Incomplete),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => break data,
                Err(_) => continue,
            },
        }
    };
    if body.is_end_stream() && first.len() <= BODY_LEN_MAX {
        return Ok(first);
    }
    let room = BODY_LEN_MAX.saturating_sub(first.len());
    match Limited::new(body, room).collect().await {
        Ok(rest) => Ok([first, rest.to_bytes()].concat().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Trouble::TooLong),
        Err(_) => Err(Trouble::Incomplete),
    }
}

/// A stream that tells when a request begins and when an answer is sent.
struct Watched<S> {
    stream: S,
    peer: Arc<Peer>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.peer.begin();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.peer.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
