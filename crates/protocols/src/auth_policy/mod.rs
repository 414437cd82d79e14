//! Dovecot's auth policy: HTTP, `POST /?command=allow` and `POST /?command=report`.

mod answer;
mod connection;
mod key;
mod report;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::server::{Shared, start};
use crate::{Judge, Limits, ProtocolError, Running, Wording, listen};

/// What the auth policy server is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthPolicy {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The key that Dovecot sends (`auth_policy_server_api_header`), as `X-API-Key: KEY` or `Authorization: Bearer KEY`.
    pub api_key: Option<String>,
    /// What a refused person is told.
    pub message: Wording,
    /// By how much a sign-in is delayed where a block delays; Dovecot counts whole seconds.
    pub tarpit: Duration,
    /// What peers may take.
    pub limits: Limits,
}

impl AuthPolicy {
    /// Without a key, in Fairban's own words.
    pub fn new(listen: SocketAddr) -> Self {
        AuthPolicy {
            listen,
            api_key: None,
            message: Wording::default(),
            tarpit: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }
}

/// Starts the auth policy server on the present runtime.
pub async fn auth_policy(settings: AuthPolicy, judge: Arc<dyn Judge>) -> Result<Running, ProtocolError> {
    let listener = listen::tcp(settings.listen).await?;
    let address = listener.local_addr().ok();
    let shared = Shared::new("auth policy", settings.limits.clone());
    let server = connection::Server::new(settings, judge, shared.clone());
    Ok(start(listener, address, server, shared))
}
