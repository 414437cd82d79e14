//! What went wrong, as RFC 9457 writes it.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::access::{AccessError, DeskError, NotYours, Refusal};
use crate::admin::desk::Outcome;

/// A problem.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    retry_after_secs: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: &str) -> Self {
        Problem { status, detail: detail.to_owned(), retry_after_secs: None }
    }

    /// A part of the request makes no sense.
    pub(crate) fn wrong(detail: impl Into<String>) -> Self {
        Problem { status: StatusCode::UNPROCESSABLE_ENTITY, detail: detail.into(), retry_after_secs: None }
    }

    /// There is no such thing, or it is not for them to see.
    pub(crate) fn missing(what: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, &format!("there is no such {what}"))
    }

    /// It cannot be done as things are.
    pub(crate) fn conflict(detail: &str) -> Self {
        Problem::new(StatusCode::CONFLICT, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotSignedIn => {
                Problem::new(StatusCode::UNAUTHORIZED, "a token is needed: send it as 'Authorization: Bearer fbt_…'")
            }
            Refusal::SecondFactorFirst => Problem::new(StatusCode::FORBIDDEN, "set up a second factor first"),
            Refusal::NotAllowed => {
                Problem::new(StatusCode::FORBIDDEN, "this takes a right that the token's role has not")
            }
            Refusal::Wait(wait) => Problem {
                status: StatusCode::TOO_MANY_REQUESTS,
                detail: "too many requests: wait, then try again".to_owned(),
                retry_after_secs: Some(wait.as_secs().max(1)),
            },
            Refusal::Desk(error) => DeskError(error).into(),
            Refusal::Wrong(text) => Problem::wrong(text),
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        tracing::error!(%error, "the API could not be answered");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon cannot answer now: its log says why")
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::No(text) => Problem::conflict(&text),
            AccessError::Desk(error) => error.into(),
        }
    }
}

impl From<NotYours> for Problem {
    fn from(_: NotYours) -> Self {
        Problem::new(StatusCode::FORBIDDEN, "it concerns others than the accounts of your domains")
    }
}

/// What was done, or why not.
pub(super) fn done(outcome: Outcome) -> Result<String, Problem> {
    match outcome {
        Outcome::Done(text) => Ok(text),
        Outcome::No(text) => Err(Problem::conflict(&text)),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let kind = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, kind, body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Fairban\""));
        }
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}
