//! Users, tokens and links: made, found, changed and taken away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairban_types::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::role::{Grade, Role};
use super::token::{self, Link, Token, kept_as};
use super::user::{self, Hashing, OpenId, User};
use super::vault::{Change, DeskError, Entry, Vault};
use crate::random;

const USER: &str = "user";
const TOKEN: &str = "token";
const LINK: &str = "link";

/// How long a link of the first run is good.
pub const FIRST_LINK: Duration = Duration::from_secs(24 * 3600);
/// How long other links are good unless somebody says otherwise.
pub const LINK_TIME: Duration = Duration::from_secs(3600);
/// When a token was last used is noted to this.
const USED_EVERY: Duration = Duration::from_secs(60);
const TOKENS_MAX: usize = 1000;
const USERS_MAX: usize = 1000;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It makes no sense, or must not be.
    #[error("{0}")]
    No(String),
    /// The program could not do it.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

fn no(text: impl Into<String>) -> AccessError {
    AccessError::No(text.into())
}

/// A text that is told once, with what it stands for.
#[derive(Clone, Debug)]
pub struct Told<T> {
    /// The secret.
    pub secret: String,
    /// What is kept of it.
    pub kept: T,
}

/// Everybody who may come in. There is one, shared by the pages, the API and the command line.
pub struct Registry {
    vault: Arc<dyn Vault>,
    hashing: Hashing,
    /// Tokens that were found lately, by what they are kept as. Emptied by every change.
    tokens: Mutex<HashMap<String, Token>>,
    /// Who ends the sessions of a user who is not what they were.
    enders: Mutex<Vec<Ender>>,
}

/// Ends a user's sessions.
type Ender = Box<dyn Fn(&str) + Send + Sync>;

fn to_text<T: Serialize>(value: &T) -> Result<String, AccessError> {
    serde_json::to_string(value).map_err(|error| no(error.to_string()))
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, AccessError> {
    serde_json::from_str(text).map_err(|error| AccessError::Desk(DeskError(format!("what is kept of users: {error}"))))
}

fn entry(space: &str, key: &str, before: Option<String>, after: Option<String>) -> Entry {
    Entry { space: space.to_owned(), key: key.to_owned(), before, after }
}

/// A detail for the audit, with how many tokens go as well.
fn with_tokens(detail: &str, tokens: usize) -> String {
    match tokens {
        0 => detail.to_owned(),
        one => format!("{detail}, with {one} tokens that they made").trim_start_matches(", ").to_owned(),
    }
}

impl Registry {
    /// Users, tokens and links as a vault keeps them.
    pub fn new(vault: Arc<dyn Vault>, hashing: Hashing) -> Self {
        Registry { vault, hashing, tokens: Mutex::default(), enders: Mutex::default() }
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    async fn one<T: DeserializeOwned>(&self, space: &str, key: &str) -> Result<Option<(T, String)>, AccessError> {
        let Some(text) = self.vault.get(space, key).await? else { return Ok(None) };
        Ok(Some((from_text(&text)?, text)))
    }

    async fn all<T: DeserializeOwned>(&self, space: &str) -> Result<Vec<(String, T, String)>, AccessError> {
        let all = self.vault.all(space).await?;
        all.into_iter().map(|(key, text)| Ok((key, from_text(&text)?, text))).collect()
    }

    async fn change(
        &self,
        entries: Vec<Entry>,
        audit: Option<(&str, &str, String)>,
        by: &str,
    ) -> Result<(), AccessError> {
        let audit = audit.map(|(act, subject, detail)| (act.to_owned(), subject.to_owned(), detail));
        let done = self.vault.change(&Change { entries, audit, by: by.to_owned() }).await?;
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if done { Ok(()) } else { Err(no("somebody else changed it at the same moment: look again, and try again")) }
    }

    /// Whom to tell whose sessions have to end, at once.
    pub(crate) fn on_end(&self, end: impl Fn(&str) + Send + Sync + 'static) {
        self.enders.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(end));
    }

    /// Ends all sessions of a user, and notes who asked for it.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn sign_out(&self, name: &str, by: &str) -> Result<(), AccessError> {
        self.edit(name, Some("user_sign_out"), "", by, |_| ()).await?;
        self.end_sessions(name);
        Ok(())
    }

    fn end_sessions(&self, name: &str) {
        for end in self.enders.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            end(name);
        }
    }

    /// All users, in order of name.
    ///
    /// # Errors
    /// The program cannot tell.
    pub async fn users(&self) -> Result<Vec<User>, AccessError> {
        Ok(self.all(USER).await?.into_iter().map(|(_, user, _)| user).collect())
    }

    /// The user of this name.
    pub(crate) async fn user(&self, name: &str) -> Result<Option<User>, AccessError> {
        Ok(self.one(USER, name).await?.map(|(user, _)| user))
    }

    /// The user whom authenticators know by this.
    pub(crate) async fn user_of_handle(&self, handle: &str) -> Result<Option<User>, AccessError> {
        Ok(self.users().await?.into_iter().find(|user| user.handle.as_deref() == Some(handle)))
    }

    /// The user for whom a provider vouches: made when they come for the first time, and of the role that the provider
    /// gives them each time. A local user of the same name is another person.
    pub(crate) async fn vouched_for(
        &self,
        openid: OpenId,
        wished: &str,
        role: Role,
        now: Time,
    ) -> Result<User, AccessError> {
        let users = self.users().await?;
        if let Some(user) = users.iter().find(|user| user.openid.as_ref() == Some(&openid)) {
            if user.role != role {
                // Also if that was the last administrator: `fairban user link` makes another one.
                self.give_role(&user.name, role.clone(), &openid.issuer).await?;
            }
            return Ok(User { role, ..user.clone() });
        }
        if users.len() >= USERS_MAX {
            return Err(no("There are too many users."));
        }
        let wished: String =
            wished.to_ascii_lowercase().chars().map(|c| if user::is_of_name(c) { c } else { '-' }).collect();
        let wished = wished.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let wished: String = if wished.is_empty() { "user".to_owned() } else { wished.chars().take(56).collect() };
        let is_free = |name: &String| !users.iter().any(|user| user.name == *name);
        let name =
            std::iter::once(wished.clone()).chain((2..).map(|number| format!("{wished}-{number}"))).find(is_free);
        let name = name.ok_or_else(|| no("There is no name left."))?;
        let user = User {
            name,
            role,
            password: String::new(),
            second_factor: None,
            code_step: 0,
            passkeys: Vec::new(),
            handle: None,
            openid: Some(openid.clone()),
            made: now,
            signed_in: None,
        };
        let entries = vec![entry(USER, &user.name, None, Some(to_text(&user)?))];
        let detail = format!("{}, vouched for by {} as {}", user.role.grade, openid.issuer, openid.subject);
        self.change(entries, Some(("user_set_up", &user.name, detail)), &openid.issuer).await?;
        Ok(user)
    }

    /// Changes a user. What changes is decided by `edit` on what is there now.
    pub(crate) async fn edit(
        &self,
        name: &str,
        act: Option<&str>,
        detail: &str,
        by: &str,
        edit: impl FnOnce(&mut User),
    ) -> Result<(), AccessError> {
        let Some((mut user, before)) = self.one::<User>(USER, name).await? else {
            return Err(no(format!("there is no user {name}")));
        };
        edit(&mut user);
        let entry = entry(USER, name, Some(before), Some(to_text(&user)?));
        self.change(vec![entry], act.map(|act| (act, name, detail.to_owned())), by).await
    }

    /// Gives a user another role. The last administrator stays one. Their sessions end at once, and so do the tokens that
    /// they made, unless they are an administrator still.
    ///
    /// # Errors
    /// There is no such user, or nobody would be administrator.
    pub async fn set_role(&self, name: &str, role: Role, by: &str) -> Result<(), AccessError> {
        if role.grade != Grade::Administrator {
            self.keep_an_administrator(name).await?;
        }
        self.give_role(name, role, by).await
    }

    async fn give_role(&self, name: &str, role: Role, by: &str) -> Result<(), AccessError> {
        let Some((user, before)) = self.one::<User>(USER, name).await? else {
            return Err(no(format!("there is no user {name}")));
        };
        let mut entries = if role.grade == Grade::Administrator { Vec::new() } else { self.tokens_by(name).await? };
        let detail = format!("{} {}", role.grade, role.domains.join(" "));
        let detail = with_tokens(detail.trim_end(), entries.len());
        entries.push(entry(USER, name, Some(before), Some(to_text(&User { role, ..user })?)));
        self.change(entries, Some(("user_role", name, detail)), by).await?;
        self.end_sessions(name);
        Ok(())
    }

    /// What takes away the tokens that somebody made.
    async fn tokens_by(&self, name: &str) -> Result<Vec<Entry>, AccessError> {
        let maker = format!("web:{name}");
        let theirs = self.all::<Token>(TOKEN).await?.into_iter().filter(|(_, token, _)| token.by == maker);
        Ok(theirs.map(|(key, _, before)| entry(TOKEN, &key, Some(before), None)).collect())
    }

    /// Takes a user away. Their sessions end at once, and so do the tokens that they made.
    ///
    /// # Errors
    /// There is no such user, or nobody would be administrator.
    pub async fn remove_user(&self, name: &str, by: &str) -> Result<(), AccessError> {
        self.keep_an_administrator(name).await?;
        let Some((_, before)) = self.one::<User>(USER, name).await? else {
            return Err(no(format!("there is no user {name}")));
        };
        let mut entries = self.tokens_by(name).await?;
        let detail = with_tokens("", entries.len());
        entries.push(entry(USER, name, Some(before), None));
        self.change(entries, Some(("user_remove", name, detail)), by).await?;
        self.end_sessions(name);
        Ok(())
    }

    async fn keep_an_administrator(&self, without: &str) -> Result<(), AccessError> {
        let users = self.users().await?;
        let is_administrator = |user: &User| user.role.grade == Grade::Administrator;
        let was_one = users.iter().any(|user| user.name == without && is_administrator(user));
        if was_one && !users.iter().any(|user| user.name != without && is_administrator(user)) {
            return Err(no(format!("{without} is the only administrator: make another one first")));
        }
        Ok(())
    }

    /// Makes a link by which a user sets a new password (and a new second factor), or a new user is made.
    ///
    /// # Errors
    /// The name is none, or the program cannot keep it.
    pub async fn make_link(
        &self,
        user: Option<&str>,
        role: Role,
        time: Duration,
        now: Time,
        by: &str,
    ) -> Result<Told<Link>, AccessError> {
        let user = match user {
            None => None,
            Some(text) => Some(user::name(text).ok_or_else(|| no("a user's name has letters, digits and . _ - @"))?),
        };
        // Who is there already keeps their role.
        let role = match &user {
            Some(name) => self.user(name).await?.map_or(role, |user| user.role),
            None => role,
        };
        let secret = random::token().map_err(|error| no(error.to_string()))?;
        let link = Link { user, role, expires: now.after(time), by: by.to_owned() };
        let subject = link.user.clone().unwrap_or_else(|| "a new user".to_owned());
        let mut entries = self.ended_links(now).await?;
        entries.push(entry(LINK, &kept_as(&secret), None, Some(to_text(&link)?)));
        self.change(entries, Some(("link_make", &subject, format!("{}, until {}", link.role.grade, link.expires))), by)
            .await?;
        Ok(Told { secret, kept: link })
    }

    async fn ended_links(&self, now: Time) -> Result<Vec<Entry>, AccessError> {
        let links = self.all::<Link>(LINK).await?.into_iter().filter(|(_, link, _)| link.expires <= now);
        Ok(links.map(|(key, _, before)| entry(LINK, &key, Some(before), None)).collect())
    }

    /// The link of this secret, if it is still good.
    pub(crate) async fn link(&self, secret: &str, now: Time) -> Result<Option<Link>, AccessError> {
        let link = self.one::<Link>(LINK, &kept_as(secret)).await?.map(|(link, _)| link);
        Ok(link.filter(|link| link.expires > now))
    }

    /// Uses a link up: a user of this name has this password from now on.
    pub(crate) async fn use_link(
        &self,
        secret: &str,
        name: &str,
        hash: String,
        now: Time,
    ) -> Result<User, AccessError> {
        let key = kept_as(secret);
        let found = self.one::<Link>(LINK, &key).await?.filter(|(link, _)| link.expires > now);
        let Some((link, link_text)) = found else { return Err(no("This link is no longer good.")) };
        let name = user::name(link.user.as_deref().unwrap_or(name))
            .ok_or_else(|| no("A name has letters, digits and . _ - @, and begins with a letter or digit."))?;
        let before = self.one::<User>(USER, &name).await?;
        if link.user.is_none() && before.is_some() {
            return Err(no("There is a user of that name already: choose another."));
        }
        if before.is_none() && self.users().await?.len() >= USERS_MAX {
            return Err(no("There are too many users."));
        }
        let (made, signed_in) = before.as_ref().map_or((now, None), |(user, _)| (user.made, user.signed_in));
        let role = before.as_ref().map_or(link.role, |(user, _)| user.role.clone());
        let user = User {
            name: name.clone(),
            role,
            password: hash,
            second_factor: None,
            code_step: 0,
            passkeys: Vec::new(),
            handle: None,
            openid: None,
            made,
            signed_in,
        };
        let entries = vec![
            entry(LINK, &key, Some(link_text), None),
            entry(USER, &name, before.map(|(_, text)| text), Some(to_text(&user)?)),
        ];
        let detail = format!("{}, by a link of {}", user.role.grade, link.by);
        self.change(entries, Some(("user_set_up", &name, detail)), &format!("web:{name}")).await?;
        // Whoever was signed in by the old password is not any more.
        self.end_sessions(&name);
        Ok(user)
    }

    /// All tokens, in order of making.
    ///
    /// # Errors
    /// The program cannot tell.
    pub async fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        let mut tokens: Vec<Token> = self.all(TOKEN).await?.into_iter().map(|(_, token, _)| token).collect();
        tokens.sort_by_key(|token| token.made);
        Ok(tokens)
    }

    /// Makes a token.
    ///
    /// # Errors
    /// There are too many, or the program cannot keep it.
    pub async fn make_token(
        &self,
        name: &str,
        role: Role,
        time: Option<Duration>,
        now: Time,
        by: &str,
    ) -> Result<Told<Token>, AccessError> {
        if self.tokens().await?.len() >= TOKENS_MAX {
            return Err(no("there are too many tokens: revoke those that nobody uses"));
        }
        let random = |error: crate::WebError| no(error.to_string());
        let secret = token::token_text(&random::token().map_err(random)?);
        let id = random::token().map_err(random)?.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(80).collect();
        let expires = time.map(|time| now.after(time));
        let token = Token { id, name, role, made: now, by: by.to_owned(), expires, used: None };
        let detail = format!("{} {}", token.role.grade, token.name);
        let entries = vec![entry(TOKEN, &kept_as(&secret), None, Some(to_text(&token)?))];
        self.change(entries, Some(("token_make", &token.id, detail)), by).await?;
        Ok(Told { secret, kept: token })
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn revoke_token(&self, id: &str, by: &str) -> Result<(), AccessError> {
        let found = self.all::<Token>(TOKEN).await?.into_iter().find(|(_, token, _)| token.id == id);
        let Some((key, token, before)) = found else { return Err(no(format!("there is no token {id}"))) };
        let entries = vec![entry(TOKEN, &key, Some(before), None)];
        self.change(entries, Some(("token_revoke", id, token.name)), by).await
    }

    /// The token of this text, if it is still good.
    pub(crate) async fn token(&self, secret: &str, now: Time) -> Result<Option<Token>, AccessError> {
        if !token::is_token(secret) {
            return Ok(None);
        }
        let key = kept_as(secret);
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let token = match known {
            Some(token) => Some(token),
            None => self.one::<Token>(TOKEN, &key).await?.map(|(token, _)| token),
        };
        let Some(token) = token.filter(|token| token.expires.is_none_or(|end| end > now)) else { return Ok(None) };
        if token.used.is_none_or(|used| now.since(used) >= USED_EVERY) {
            return self.note_use(&key, token, now).await.map(Some);
        }
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token.clone());
        Ok(Some(token))
    }

    async fn note_use(&self, key: &str, token: Token, now: Time) -> Result<Token, AccessError> {
        let used = Token { used: Some(now), ..token };
        if let Some((present, before)) = self.one::<Token>(TOKEN, key).await? {
            let after = to_text(&Token { used: Some(now), ..present })?;
            let entries = vec![entry(TOKEN, key, Some(before), Some(after))];
            // Somebody who noted it at the same moment has done the same.
            let change = Change { entries, audit: None, by: String::new() };
            if !self.vault.change(&change).await? && self.vault.get(TOKEN, key).await?.is_none() {
                return Err(no("the token was revoked"));
            }
        }
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), used.clone());
        Ok(used)
    }
}
