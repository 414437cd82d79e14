//! Who visits: from where, in which language, signed in or not; and forms, read only when they are theirs.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{ACCEPT_LANGUAGE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::pages::{self, oops};
use super::session::{Session, SessionId};
use super::{Portal, lock};
use crate::form::Form;
use crate::{Peer, Words, cookie, random};

pub(crate) const SESSION: &str = "portal";
pub(crate) const VISIT: &str = "visit";
pub(crate) const LANGUAGE: &str = "language";

/// A request, seen from here.
#[derive(Clone)]
pub(crate) struct Visit {
    /// The address that it comes from.
    pub(crate) client: IpAddr,
    pub(crate) words: Arc<Words>,
    /// The language was chosen by this very request, and is to be remembered.
    pub(crate) chosen: bool,
    /// The page, for links that come back to it.
    pub(crate) path: String,
}

impl Visit {
    /// `None`: nobody said who is connected.
    pub(crate) fn of(portal: &Portal, request: &Request) -> Option<Visit> {
        let peer = request.extensions().get::<Peer>()?.0.ip();
        let headers = request.headers();
        let asked = query_value(request.uri().query(), "lang").and_then(|tag| portal.languages.get(&tag));
        let chosen = asked.is_some();
        let words = asked
            .or_else(|| cookie::read(headers, &portal.jar.name(LANGUAGE)).and_then(|tag| portal.languages.get(tag)))
            .unwrap_or_else(|| portal.languages.accepted(&accept_language(headers)));
        let client = portal.settings.proxies.client(peer, headers);
        Some(Visit { client, words, chosen, path: request.uri().path().to_owned() })
    }
}

fn accept_language(headers: &HeaderMap) -> String {
    headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A value of the query.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    form_urlencoded::parse(query?.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

impl FromRequestParts<Arc<Portal>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Portal>) -> Result<Self, Response> {
        parts.extensions.get::<Visit>().cloned().ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// What a form's token is bound to: the cookie of a session, or of a visit before it.
#[derive(Clone, Debug)]
pub(crate) struct Bond(String);

impl Bond {
    pub(crate) fn session(token: &str) -> Self {
        Bond(format!("{SESSION}:{token}"))
    }

    pub(crate) fn visit(token: &str) -> Self {
        Bond(format!("{VISIT}:{token}"))
    }
}

impl Portal {
    /// The token of forms on a page for whoever has the cookie.
    pub(crate) fn form_token(&self, bond: &Bond) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.form_key, bond.0.as_bytes()))
    }

    fn is_form_token(&self, bond: &Bond, token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|token| hmac::verify(&self.form_key, bond.0.as_bytes(), &token).is_ok())
    }

    /// Whether a browser says that the request comes from a page of ours. Those that say nothing are judged by the
    /// form's token alone.
    pub(crate) fn is_from_here(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
        if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
            return false;
        }
        let Some(origin) = text(ORIGIN.as_str()) else { return true };
        match self.settings.origin() {
            Some(ours) => origin.eq_ignore_ascii_case(ours),
            None => {
                let host = text(HOST.as_str()).unwrap_or_default();
                origin.split_once("://").is_some_and(|(_, there)| there.eq_ignore_ascii_case(host))
            }
        }
    }
}

/// Somebody who is signed in. Only a live session makes one.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) id: SessionId,
    pub(crate) session: Session,
    pub(crate) bond: Bond,
}

impl Member {
    pub(crate) fn of(portal: &Portal, headers: &HeaderMap) -> Option<Member> {
        let token = cookie::read(headers, &portal.jar.name(SESSION))?;
        let (id, session) = lock(&portal.sessions).find(token, portal.now())?;
        Some(Member { id, session, bond: Bond::session(token) })
    }
}

impl FromRequestParts<Arc<Portal>> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Arc<Portal>) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, portal).await?;
        Member::of(portal, &parts.headers).ok_or_else(|| pages::not_signed_in(portal, &visit, &parts.headers))
    }
}

/// A form of a member, whose token and origin are right.
pub(crate) struct MemberForm(pub(crate) Form);

/// A form of a visitor who is not signed in, whose token and origin are right.
pub(crate) struct GuestForm(pub(crate) Form);

impl FromRequest<Arc<Portal>> for MemberForm {
    type Rejection = Response;

    async fn from_request(request: Request, portal: &Arc<Portal>) -> Result<Self, Response> {
        let token = cookie::read(request.headers(), &portal.jar.name(SESSION)).map(Bond::session);
        read(request, portal, token).await.map(MemberForm)
    }
}

impl FromRequest<Arc<Portal>> for GuestForm {
    type Rejection = Response;

    async fn from_request(request: Request, portal: &Arc<Portal>) -> Result<Self, Response> {
        let token = cookie::read(request.headers(), &portal.jar.name(VISIT)).map(Bond::visit);
        read(request, portal, token).await.map(GuestForm)
    }
}

async fn read(request: Request, portal: &Arc<Portal>, bond: Option<Bond>) -> Result<Form, Response> {
    let visit = request.extensions().get::<Visit>().cloned();
    let visit = visit.ok_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
    let refused = |status, key| oops(portal, &visit, status, visit.words.say(key));
    let foreign = || refused(StatusCode::FORBIDDEN, "error.form");
    if !portal.is_from_here(request.headers()) {
        return Err(foreign());
    }
    let bond = bond.ok_or_else(foreign)?;
    let form = Form::read(request).await.map_err(|_| refused(StatusCode::PAYLOAD_TOO_LARGE, "error.too_big"))?;
    if portal.is_form_token(&bond, form.get("token")) { Ok(form) } else { Err(foreign()) }
}

/// The bond of a visitor, and the cookie to set if it is a new one.
pub(crate) fn guest_bond(portal: &Portal, headers: &HeaderMap) -> (Bond, Option<String>) {
    match cookie::read(headers, &portal.jar.name(VISIT)) {
        Some(token) if token.len() == 43 => (Bond::visit(token), None),
        _ => match random::token() {
            Ok(token) => (Bond::visit(&token), Some(token)),
            // Then the form is refused when it comes back, and nothing else.
            Err(_) => (Bond::visit(""), None),
        },
    }
}
