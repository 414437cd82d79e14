//! A block elsewhere, by its reference code.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::Code;

use super::{Shell, page, with_wait};
use crate::portal::mask::clean;
use crate::portal::release::in_time;
use crate::portal::story::{Card, Reader};
use crate::portal::visit::{Member, MemberForm, Visit};
use crate::portal::{Portal, lock};

#[derive(Template)]
#[template(path = "portal/code.html")]
struct CodePage<'a> {
    shell: Shell<'a>,
    typed: &'a str,
    error: Option<String>,
    card: Option<Card>,
}

/// Whoever has the code was told it by the block itself, so the block is no secret from them. Names of others are.
pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    member: Member,
    MemberForm(form): MemberForm,
) -> Response {
    let words = &visit.words;
    let account = &member.session.account;
    let typed = clean(form.get("code"));
    let show = |status, error: Option<String>, card| {
        page(status, &CodePage { shell: Shell::of(&portal, &visit, &member), typed: &typed, error, card })
    };
    let unknown = || Some(words.say("code.unknown").to_owned());
    let Ok(code) = typed.parse::<Code>() else { return show(StatusCode::UNPROCESSABLE_ENTITY, unknown(), None) };
    if let Err(wait) = lock(&portal.attempts).code(visit.client, account, portal.now()) {
        let error = words.fill("sign_in.wait", &[("span", &words.span(wait))]);
        return with_wait(show(StatusCode::TOO_MANY_REQUESTS, Some(error), None), wait);
    }
    match in_time(portal.house.find(code)).await {
        Ok(Some(view)) => {
            let told = member.session.told.iter().find(|(told, _)| *told == code).map(|(_, outcome)| outcome);
            let card = Reader { portal: &portal, words, account, client: visit.client }.card(&view, told);
            show(StatusCode::OK, None, Some(card))
        }
        Ok(None) => show(StatusCode::NOT_FOUND, unknown(), None),
        Err(_) => show(StatusCode::SERVICE_UNAVAILABLE, Some(words.say("error.house").to_owned()), None),
    }
}
