//! Routes: each says which right it takes, and its handler is given that right.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY, HOST, ORIGIN, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::{Admin, SESSION, VISIT, lock, pages};
use crate::access::{Grade, May, Refusal, Right, admit_session, admit_token};
use crate::api::{Operation, Problem};
use crate::form::Form;
use crate::security::protect;
use crate::{Peer, cookie, random};

/// A page takes no longer than this, whatever it waits for.
const PAGE_TIME: Duration = Duration::from_secs(30);
/// A form may have so many bytes: a list of addresses is pasted into one.
const FORM_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 600;
/// A body of the API may have so many.
pub(crate) const BODY_MAX: usize = 1 << 20;

/// What may load: our own style, script and pictures, and nothing inline.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The header by which the page's own script says that nobody asked.
pub(crate) const LIVE: &str = "fairban-live";

/// A route, as it is told.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The name of the right; empty: none is needed.
    pub(crate) right: &'static str,
    pub(crate) grades: &'static [Grade],
    /// Whether a token is taken.
    pub(crate) by_token: bool,
    /// What the API's documentation says of it.
    pub(crate) operation: Option<Operation>,
}

/// What was asked, apart from who did.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) client: IpAddr,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
    parameters: Vec<(String, String)>,
    query: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
}

impl Asked {
    /// A part of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A value of the query; `None` if it is not there or empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// All of the query.
    pub(crate) fn queries(&self) -> &[(String, String)] {
        &self.query
    }
}

/// A form of somebody who is signed in, whose token and origin are right.
pub(crate) struct Deed {
    pub(crate) asked: Asked,
    pub(crate) form: Form,
}

/// Somebody who is not signed in, with the form that they sent, whose token and origin are right.
pub(crate) struct Guest {
    pub(crate) asked: Asked,
    pub(crate) form: Form,
}

/// Routes with their handlers.
#[derive(Default)]
pub(crate) struct Routes {
    list: Vec<(Route, MethodRouter<Arc<Admin>>)>,
}

fn route<R: Right>(method: Method, path: &'static str) -> Route {
    Route { method, path, right: R::NAME, grades: R::GRADES, by_token: false, operation: None }
}

impl Routes {
    pub(crate) fn table(self) -> Vec<Route> {
        self.list.into_iter().map(|(route, _)| route).collect()
    }

    /// A page for who has a right.
    pub(crate) fn page<R, H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        R: Right,
        H: Fn(Arc<Admin>, May<R>, Asked) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let answer = move |State(admin): State<Arc<Admin>>, parameters: RawPathParams, request: Request| {
            let handler = handler.clone();
            async move {
                let asked = Asked::of(&admin, Some(&parameters), &request);
                let is_person = !asked.headers.contains_key(LIVE);
                match admit_session::<R>(&admin, &asked.headers, asked.client, is_person) {
                    Ok(may) => handler(admin, may, asked).await,
                    Err(refusal) => pages::refused(&admin, &asked, refusal),
                }
            }
        };
        self.list.push((route::<R>(Method::GET, path), on(MethodFilter::GET, answer)));
        self
    }

    /// A form of a page for who has a right.
    pub(crate) fn form<R, H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        R: Right,
        H: Fn(Arc<Admin>, May<R>, Deed) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let answer = move |State(admin): State<Arc<Admin>>, parameters: RawPathParams, request: Request| {
            let handler = handler.clone();
            async move {
                let asked = Asked::of(&admin, Some(&parameters), &request);
                let may = match admit_session::<R>(&admin, &asked.headers, asked.client, true) {
                    Ok(may) => may,
                    Err(refusal) => return pages::refused(&admin, &asked, refusal),
                };
                match admin.read_form(&asked, request, SESSION).await {
                    Ok(form) => handler(admin, may, Deed { asked, form }).await,
                    Err(response) => response,
                }
            }
        };
        self.list.push((route::<R>(Method::POST, path), on(MethodFilter::POST, answer)));
        self
    }

    /// A page for whoever comes.
    pub(crate) fn open<H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Fn(Arc<Admin>, Asked) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let answer = move |State(admin): State<Arc<Admin>>, parameters: RawPathParams, request: Request| {
            let handler = handler.clone();
            async move {
                let asked = Asked::of(&admin, Some(&parameters), &request);
                handler(admin, asked).await
            }
        };
        let open = Route { method: Method::GET, path, right: "", grades: Grade::ALL, by_token: false, operation: None };
        self.list.push((open, on(MethodFilter::GET, answer)));
        self
    }

    /// A form for whoever comes.
    pub(crate) fn guest<H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Fn(Arc<Admin>, Guest) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let answer = move |State(admin): State<Arc<Admin>>, parameters: RawPathParams, request: Request| {
            let handler = handler.clone();
            async move {
                let asked = Asked::of(&admin, Some(&parameters), &request);
                match admin.read_form(&asked, request, VISIT).await {
                    Ok(form) => handler(admin, Guest { asked, form }).await,
                    Err(response) => response,
                }
            }
        };
        let open =
            Route { method: Method::POST, path, right: "", grades: Grade::ALL, by_token: false, operation: None };
        self.list.push((open, on(MethodFilter::POST, answer)));
        self
    }

    /// A call of the API for who has a right, by token; what changes nothing also by session.
    pub(crate) fn call<R, H, F>(mut self, operation: Operation, handler: H) -> Self
    where
        R: Right,
        H: Fn(Arc<Admin>, May<R>, Asked) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response, Problem>> + Send,
    {
        let (method, path) = (operation.method.clone(), operation.path);
        let is_safe = method == Method::GET;
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let shown = operation.clone();
        type Parameters = Result<RawPathParams, RawPathParamsRejection>;
        let answer = move |State(admin): State<Arc<Admin>>, parameters: Parameters, request: Request| {
            let (handler, operation) = (handler.clone(), operation.clone());
            async move {
                let Ok(parameters) = parameters else {
                    return Problem::new(StatusCode::BAD_REQUEST, "the path is no UTF-8").into_response();
                };
                let asked = Asked::of(&admin, Some(&parameters), &request);
                let may = match admit_token::<R>(&admin, &asked.headers, asked.client).await {
                    Some(may) => may,
                    None if is_safe => admit_session::<R>(&admin, &asked.headers, asked.client, false),
                    None => Err(Refusal::NotSignedIn),
                };
                let may = match may {
                    Ok(may) => may,
                    Err(refusal) => return Problem::from(refusal).into_response(),
                };
                if let Err(problem) = operation.check(&asked) {
                    return problem.into_response();
                }
                let asked = match asked.with_body(request).await {
                    Ok(asked) => asked,
                    Err(problem) => return problem.into_response(),
                };
                crate::api::answered(
                    &admin,
                    may.who(),
                    &asked,
                    is_safe,
                    handler(admin.clone(), may.clone(), asked.clone()),
                )
                .await
            }
        };
        let told = Route { by_token: R::BY_TOKEN, operation: Some(shown), ..route::<R>(method, path) };
        self.list.push((told, on(filter, answer)));
        self
    }
}

impl Asked {
    fn of(admin: &Admin, parameters: Option<&RawPathParams>, request: &Request) -> Asked {
        let headers = request.headers().clone();
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        let query = request.uri().query().unwrap_or_default();
        Asked {
            client: admin.settings.proxies.client(peer, &headers),
            headers,
            path: request.uri().path().to_owned(),
            parameters: parameters
                .into_iter()
                .flat_map(|all| all.iter())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            query: form_urlencoded::parse(query.as_bytes())
                .take(64)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            body: bytes::Bytes::new(),
        }
    }

    async fn with_body(mut self, request: Request) -> Result<Asked, Problem> {
        let body = axum::body::to_bytes(request.into_body(), BODY_MAX).await;
        self.body =
            body.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off"))?;
        Ok(self)
    }
}

impl Admin {
    /// The token of forms on a page for whoever has the cookie.
    pub(crate) fn form_token(&self, cookie: &str, value: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.form_key, format!("{cookie}:{value}").as_bytes()))
    }

    /// The token of forms for this request's session.
    pub(crate) fn session_form_token(&self, headers: &HeaderMap) -> String {
        let value = cookie::read(headers, &self.jar.name(SESSION)).unwrap_or_default();
        self.form_token(SESSION, value)
    }

    /// The token of forms for a guest, and the cookie to set if it is a new one.
    pub(crate) fn guest_form_token(&self, headers: &HeaderMap) -> (String, Option<HeaderValue>) {
        let known = cookie::read(headers, &self.jar.name(VISIT)).filter(|value| value.len() == 43);
        if let Some(value) = known {
            return (self.form_token(VISIT, value), None);
        }
        match random::token() {
            Ok(value) => (self.form_token(VISIT, &value), self.jar.set(VISIT, Some(&value))),
            // Then the form is refused when it comes back, and nothing else.
            Err(_) => (String::new(), None),
        }
    }

    async fn read_form(&self, asked: &Asked, request: Request, cookie_name: &str) -> Result<Form, Response> {
        let foreign = || {
            pages::oops(
                self,
                asked,
                StatusCode::FORBIDDEN,
                "This form is not from here, or is too old. Go back, reload the page, and try again.",
            )
        };
        if !self.is_from_here(&asked.headers) {
            return Err(foreign());
        }
        let value = cookie::read(&asked.headers, &self.jar.name(cookie_name)).map(str::to_owned).ok_or_else(foreign)?;
        let max = if cookie_name == SESSION { FORM_MAX } else { 16 * 1024 };
        let form = Form::read_up_to(request, max, FIELDS_MAX).await.map_err(|_| {
            pages::oops(self, asked, StatusCode::PAYLOAD_TOO_LARGE, "That is more than this form takes.")
        })?;
        let token = URL_SAFE_NO_PAD.decode(form.get("token")).unwrap_or_default();
        let text = format!("{cookie_name}:{value}");
        if hmac::verify(&self.form_key, text.as_bytes(), &token).is_ok() { Ok(form) } else { Err(foreign()) }
    }

    /// Whether a browser says that the request comes from a page of ours. Those that say nothing are judged by the
    /// form's token alone.
    fn is_from_here(&self, headers: &HeaderMap) -> bool {
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

/// All routes as a service.
pub(crate) fn serve(routes: Routes, admin: &Arc<Admin>) -> Router {
    let mut router = Router::new();
    for (route, handler) in routes.list {
        router = router.route(route.path, handler);
    }
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(not_that_way)
        .layer(from_fn_with_state(admin.clone(), around))
        .with_state(admin.clone())
}

async fn nowhere(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let asked = Asked::of(&admin, None, &request);
    lost(&admin, &asked, StatusCode::NOT_FOUND, "There is no such page.")
}

async fn not_that_way(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let asked = Asked::of(&admin, None, &request);
    lost(&admin, &asked, StatusCode::METHOD_NOT_ALLOWED, "This page does not take that.")
}

fn lost(admin: &Admin, asked: &Asked, status: StatusCode, text: &str) -> Response {
    if asked.path.starts_with("/api/") {
        return Problem::new(status, text.trim_end_matches('.')).into_response();
    }
    pages::oops(admin, asked, status, text)
}

/// Around every page: how often, how long it may take, and what a browser must not do with it.
async fn around(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().map(|peer| peer.0.ip()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let client = admin.settings.proxies.client(peer, request.headers());
    let is_api = request.uri().path().starts_with("/api/");
    // Who has a token asks as often as it likes; wrong ones are counted where they are read.
    let has_token = request.headers().contains_key(AUTHORIZATION);
    let taken = if has_token { Ok(()) } else { lock(&admin.guesses).page(client, admin.now()) };
    let mut response = match taken {
        Err(wait) => Problem::from(Refusal::Wait(wait)).into_response(),
        Ok(()) => match tokio::time::timeout(PAGE_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) if is_api => Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response(),
            Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        },
    };
    let headers = response.headers_mut();
    protect(headers);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if admin.settings.is_secure() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}
