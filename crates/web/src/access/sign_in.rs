//! Showing who one is: by password and code, by a link, by a session's cookie, by a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use fairban_types::{Event, EventKind, Service};
use zeroize::Zeroizing;

use super::act::Act;
use super::may::{May, Means, Who};
use super::passkey::{PasskeyError, Shown};
use super::registry::AccessError;
use super::role::{Grade, Right};
use super::second_factor::step_of;
use super::session::{Session, SessionId, Stage};
use super::user::{self, PASSWORD_MAX, User};
use crate::admin::desk::PROGRAM;
use crate::admin::{Admin, SESSION, lock};
use crate::cookie;

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nobody is signed in, or the token is none.
    NotSignedIn,
    /// They are not allowed to.
    NotAllowed,
    /// They have to set up a second factor first.
    SecondFactorFirst,
    /// There were too many wrong ones.
    Wait(Duration),
    /// The program cannot tell.
    Desk(String),
    /// What was given is wrong, in a sentence for them.
    Wrong(String),
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::No(text) => Refusal::Wrong(text),
            AccessError::Desk(error) => Refusal::Desk(error.0),
        }
    }
}

/// How far a sign-in has come, with the token for the cookie.
pub(crate) enum SignedIn {
    Full(String),
    CodeNeeded(String),
}

/// The right, by a session's cookie.
pub(crate) fn admit_session<R: Right>(
    admin: &Admin,
    headers: &HeaderMap,
    client: IpAddr,
    is_person: bool,
) -> Result<May<R>, Refusal> {
    let token = cookie::read(headers, &admin.jar.name(SESSION)).ok_or(Refusal::NotSignedIn)?;
    let found = lock(&admin.sessions).find(token, Stage::Full, is_person, admin.now());
    let (id, session) = found.ok_or(Refusal::NotSignedIn)?;
    if session.lacks_second_factor && !R::WITHOUT_SECOND_FACTOR {
        return Err(Refusal::SecondFactorFirst);
    }
    let who = Who { name: session.user, role: session.role, means: Means::Session(id), client };
    May::granted(Arc::new(who)).ok_or(Refusal::NotAllowed)
}

/// The right, by a token. `None`: there is no token.
pub(crate) async fn admit_token<R: Right>(
    admin: &Admin,
    headers: &HeaderMap,
    client: IpAddr,
) -> Option<Result<May<R>, Refusal>> {
    let header = headers.get(AUTHORIZATION)?;
    let token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    Some(by_token(admin, token.unwrap_or_default(), client).await)
}

async fn by_token<R: Right>(admin: &Admin, token: &str, client: IpAddr) -> Result<May<R>, Refusal> {
    let now = admin.now();
    lock(&admin.guesses).may_try_secret(client, now).map_err(Refusal::Wait)?;
    match admin.registry.token(token, now).await? {
        Some(token) => {
            let name = format!("{} {}", token.id, token.name).trim().to_owned();
            let who = Who { name, role: token.role, means: Means::Token, client };
            May::granted(Arc::new(who)).ok_or(Refusal::NotAllowed)
        }
        None => {
            lock(&admin.guesses).wrong_secret(client, now);
            Err(Refusal::NotSignedIn)
        }
    }
}

impl Admin {
    /// Tells the program of a sign-in here, which scores it.
    fn tell(&self, kind: EventKind, client: IpAddr, name: &str) {
        let mut event = Event::new(kind, self.now(), client, Service::Webmail);
        // Not the mail account of that name, whose owner this may or may not be.
        event.account = Some(format!("administration:{}", name.chars().take(64).collect::<String>()).into());
        event.program = Some(PROGRAM.into());
        self.desk.hear(event);
    }

    /// Signs in with a password, up to the second factor if there is one.
    pub(crate) async fn sign_in(
        self: &Arc<Self>,
        client: IpAddr,
        name: &str,
        password: Zeroizing<String>,
    ) -> Result<SignedIn, Refusal> {
        let wrong = || Refusal::Wrong("The name or the password is wrong.".to_owned());
        let shown: String = name.chars().take(64).collect();
        let name = user::name(name);
        let key = name.clone().unwrap_or_default();
        lock(&self.guesses).password(client, &key, self.now()).map_err(Refusal::Wait)?;
        let user = match &name {
            Some(name) => self.registry.user(name).await?,
            None => None,
        };
        let is_right = password.len() <= PASSWORD_MAX && self.verify(password, user.as_ref()).await?;
        let Some(user) = user.filter(|_| is_right) else {
            self.tell(EventKind::LoginFailed, client, &shown);
            return Err(wrong());
        };
        lock(&self.guesses).was_right(client, &key);
        if self.settings.second_factor_required && user.second_factor.is_none() && !user.passkeys.is_empty() {
            return Err(Refusal::Wrong("A password alone is not enough here: sign in with your passkey.".to_owned()));
        }
        if user.second_factor.is_some() {
            let begun = lock(&self.sessions).begin(&user.name, user.role, client, Stage::Password, self.now());
            return begun.map(SignedIn::CodeNeeded).map_err(|error| Refusal::Desk(error.to_string()));
        }
        self.welcome(client, &user).await.map(SignedIn::Full)
    }

    async fn verify(self: &Arc<Self>, password: Zeroizing<String>, user: Option<&User>) -> Result<bool, Refusal> {
        let hash = user.map(|user| user.password.clone());
        self.hashing(move |hashing| Ok(hashing.verify(&password, hash.as_deref()))).await
    }

    /// Hashes on a thread that may take its time; only a few do at once.
    pub(crate) async fn hashing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&super::Hashing) -> Result<T, crate::WebError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let desk = |error: String| Refusal::Desk(error);
        let _place = self.hashers.acquire().await.map_err(|error| desk(error.to_string()))?;
        let admin = self.clone();
        let done = tokio::task::spawn_blocking(move || work(admin.registry.hashing())).await;
        done.map_err(|error| desk(error.to_string()))?.map_err(|error| desk(error.to_string()))
    }

    /// Goes on from the password by a code of the second factor.
    pub(crate) async fn second_factor(&self, client: IpAddr, token: &str, code: &str) -> Result<String, Refusal> {
        let found = lock(&self.sessions).find(token, Stage::Password, true, self.now());
        let (id, session) = found.ok_or(Refusal::NotSignedIn)?;
        if !lock(&self.sessions).take_try(id) {
            self.tell(EventKind::LoginFailed, client, &session.user);
            return Err(Refusal::NotSignedIn);
        }
        let user = self.registry.user(&session.user).await?.ok_or(Refusal::NotSignedIn)?;
        let Some(secret) = &user.second_factor else { return Err(Refusal::NotSignedIn) };
        let Some(step) = step_of(secret, code, self.now(), user.code_step) else {
            self.tell(EventKind::LoginFailed, client, &session.user);
            return Err(Refusal::Wrong(
                "That code is not right, or was used already. Wait for the next one.".to_owned(),
            ));
        };
        self.registry.edit(&user.name, None, "", "", |user| user.code_step = step).await?;
        lock(&self.sessions).end(id);
        self.welcome(client, &user).await
    }

    /// Signs in with a passkey, which is both factors.
    pub(crate) async fn sign_in_by_passkey(
        &self,
        client: IpAddr,
        visit: SessionId,
        json: &str,
    ) -> Result<String, Refusal> {
        let now = self.now();
        lock(&self.guesses).may_try_secret(client, now).map_err(Refusal::Wait)?;
        match self.owner_of(visit, json).await {
            Ok(user) => self.welcome(client, &user).await,
            Err(refusal) => {
                if matches!(refusal, Refusal::Wrong(_)) {
                    lock(&self.guesses).wrong_secret(client, now);
                    self.tell(EventKind::LoginFailed, client, "passkey");
                }
                Err(refusal)
            }
        }
    }

    /// Whose passkey it is, if it is right.
    async fn owner_of(&self, visit: SessionId, json: &str) -> Result<User, Refusal> {
        let wrong = |error: PasskeyError| Refusal::Wrong(error.to_string());
        let site = self.site.as_ref().ok_or_else(|| wrong(PasskeyError::Unknown))?;
        let shown = Shown::read(json).map_err(wrong)?;
        let user = self.registry.user_of_handle(&shown.handle()).await?;
        let (handle, passkeys) =
            user.as_ref().map_or((String::new(), Vec::new()), |user| (shown.handle(), user.passkeys.clone()));
        let used = {
            let mut challenges = lock(&self.challenges);
            challenges.finish_signing_in(site, visit, &shown, (&handle, &passkeys), self.now()).map_err(wrong)?
        };
        let user = user.ok_or(Refusal::NotSignedIn)?;
        let edit = self.registry.edit(&user.name, None, "", "", |user| {
            for passkey in user.passkeys.iter_mut().filter(|passkey| passkey.id == used.id) {
                passkey.clone_from(&used);
            }
        });
        edit.await?;
        Ok(user)
    }

    /// Begins a session for somebody who has shown all that is asked for.
    pub(crate) async fn welcome(&self, client: IpAddr, user: &User) -> Result<String, Refusal> {
        let now = self.now();
        let begun = lock(&self.sessions).begin(&user.name, user.role.clone(), client, Stage::Full, now);
        let token = begun.map_err(|error| Refusal::Desk(error.to_string()))?;
        // Who comes by an OpenID provider has shown there what is asked for there.
        let has_none = user.second_factor.is_none() && user.passkeys.is_empty() && user.openid.is_none();
        if self.settings.second_factor_required && has_none {
            lock(&self.sessions).change(SessionId::of(&token), |session| session.lacks_second_factor = true);
        }
        self.registry
            .edit(&user.name, Some("sign_in"), &format!("from {client}"), &format!("web:{}", user.name), |user| {
                user.signed_in = Some(now);
            })
            .await?;
        self.tell(EventKind::LoginSucceeded, client, &user.name);
        if user.role.grade == Grade::Administrator {
            let act = Act::session_begins(&user.name, client, self.settings.stay.absolute);
            if let Err(error) = self.desk.act(&act).await {
                tracing::warn!(%error, %client, "the administrator's address could not be put on the never-block list");
            }
        }
        Ok(token)
    }

    /// Ends a session, or all of its user.
    pub(crate) async fn sign_out(&self, id: SessionId, session: &Session, everywhere: bool) {
        let mut ended = {
            let mut sessions = lock(&self.sessions);
            sessions.end(id);
            if everywhere { sessions.end_all(&session.user, None) } else { Vec::new() }
        };
        ended.push(session.clone());
        self.have_left(ended).await;
    }

    /// Ends all sessions of a user but one, at once, and says how many.
    pub(crate) fn end_all(self: &Arc<Self>, user: &str, but: Option<SessionId>) -> usize {
        let ended = lock(&self.sessions).end_all(user, but);
        let count = ended.len();
        if count > 0 {
            let admin = self.clone();
            tokio::spawn(async move { admin.have_left(ended).await });
        }
        count
    }

    /// Where no administrator is signed in any more, an address can be blocked like any other.
    async fn have_left(&self, ended: Vec<Session>) {
        for session in ended.iter().filter(|session| session.role.grade == Grade::Administrator) {
            if lock(&self.sessions).has_administrator_at(session.client, self.now()) {
                continue;
            }
            let act = Act::session_ends(&session.user, session.client);
            if let Err(error) = self.desk.act(&act).await {
                tracing::warn!(%error, "the never-block entry of a session that ended stays until its time is over");
            }
        }
    }

    /// The session of this right has a second factor from now on.
    pub(crate) fn has_second_factor_now<R: Right>(&self, may: &May<R>) {
        if let Means::Session(id) = may.who().means {
            lock(&self.sessions).change(id, |session| session.lacks_second_factor = false);
        }
    }
}
