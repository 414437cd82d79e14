//! Asking other servers, which are named by the operator: bounded in time and size, and without following anybody elsewhere.

use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Inner;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use crate::{WebError, tls};

const TIME: Duration = Duration::from_secs(10);
const LENGTH_MAX: usize = 1 << 20;

/// Why there is no answer; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {wrong}")]
pub(crate) struct FetchError {
    place: String,
    wrong: String,
}

/// What asks.
#[derive(Clone)]
pub(crate) struct Client(Inner<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    /// One that trusts whom this machine trusts; nobody, if it asks without TLS only.
    pub(crate) fn new(is_secure: bool) -> Result<Self, WebError> {
        let config = if is_secure { tls::client(None)? } else { tls::client_of_nobody()? };
        let connector = HttpsConnectorBuilder::new().with_tls_config((*config).clone()).https_or_http().enable_http1();
        Ok(Client(Inner::builder(TokioExecutor::new()).build(connector.build())))
    }

    /// A JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, FetchError> {
        let request = Request::get(place).body(Full::default());
        self.send(place, request).await
    }

    /// The JSON answer to a form, with who sends it (RFC 6749, 2.3.1) if they have a secret.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        place: &str,
        form: &[(&str, &str)],
        sender: Option<(&str, &str)>,
    ) -> Result<T, FetchError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(place).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some((name, secret)) = sender {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let text = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(name), encode(secret))));
            if let Ok(mut value) = HeaderValue::from_str(&text) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
        }
        self.send(place, request.body(Full::from(body))).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        place: &str,
        request: Result<Request<Full<Bytes>>, axum::http::Error>,
    ) -> Result<T, FetchError> {
        let wrong = |wrong: String| FetchError { place: place.to_owned(), wrong };
        let mut request = request.map_err(|error| wrong(error.to_string()))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = async {
            let answer = self.0.request(request).await.map_err(|error| wrong(told(&error)))?;
            if !answer.status().is_success() {
                return Err(wrong(format!("it answers {}", answer.status())));
            }
            let body = Limited::new(answer.into_body(), LENGTH_MAX).collect().await;
            Ok(body.map_err(|error| wrong(error.to_string()))?.to_bytes())
        };
        let body =
            tokio::time::timeout(TIME, answer).await.map_err(|_| wrong("it does not answer in time".into()))??;
        serde_json::from_slice(&body).map_err(|error| wrong(format!("not what was expected: {error}")))
    }
}

/// An error with its causes, which say more than it does.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
