//! What there was, what was done about it, and what to do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::{Code, Evidence, Subject, Time, network_of};

use super::{Shell, go, is_same_place, page, slow_down};
use crate::portal::lift::Kept;
use crate::portal::mask::clean;
use crate::portal::release::in_time;
use crate::portal::session::{Outcome, SessionId};
use crate::portal::story::{Card, Reader, Standing, service_name};
use crate::portal::visit::{Member, MemberForm, Visit};
use crate::portal::{BlockView, Portal, lock};

/// More blocks of one address are not shown, nor lifted at once.
const BLOCKS_MAX: usize = 8;

/// Failed sign-ins of so long are looked at, at most
const FAILURES_SPAN: Duration = Duration::from_secs(7 * 24 * 3600);
/// so many, and so many different devices are listed.
const FAILURES_MAX: usize = 500;
const DEVICES_MAX: usize = 20;

/// Failed sign-ins that have program, service and network in common.
pub(super) struct Failing {
    device: String,
    service: String,
    place: String,
    tries: String,
    last: String,
}

#[derive(Template)]
#[template(path = "portal/result.html")]
struct ResultPage<'a> {
    shell: Shell<'a>,
    title: &'a str,
    notice: Option<&'a str>,
    incomplete: bool,
    address: String,
    cards: Vec<Card>,
    failures: Option<Vec<Failing>>,
    failures_span: String,
}

/// Lifts what may be lifted at the address, and remembers what became of each block.
pub(super) async fn lift_all(portal: &Arc<Portal>, visit: &Visit, id: SessionId, account: &str) {
    let client = visit.client;
    let Ok(views) = look(portal, client, account).await else { return };
    for view in &views {
        let outcome = portal.lift(&visit.words, view, account, client).await;
        lock(&portal.sessions).change(id, |session| session.tell(view.receipt.code, outcome));
    }
}

/// What is in force here and concerns whoever is signed in.
async fn look(portal: &Portal, client: IpAddr, account: &str) -> Result<Vec<BlockView>, super::super::HouseError> {
    let mut views = in_time(portal.house.look(client, Some(account))).await?;
    views.retain(|view| view.ended.is_none() && portal.accounts.may_know(view, account));
    views.truncate(BLOCKS_MAX);
    Ok(views)
}

pub(crate) async fn show(State(portal): State<Arc<Portal>>, visit: Visit, mut member: Member) -> Response {
    if let Some(response) = slow_down(&portal, &visit) {
        return response;
    }
    let mut changed = None;
    if !is_same_place(member.session.client, visit.client) {
        lock(&portal.sessions).change(member.id, |session| session.move_to(visit.client));
        member.session.move_to(visit.client);
        changed = Some(visit.words.say("result.address_changed"));
    }
    present(&portal, &visit, &member, changed).await
}

async fn present(portal: &Arc<Portal>, visit: &Visit, member: &Member, notice: Option<&str>) -> Response {
    let account = &member.session.account;
    let reader = Reader { portal, words: &visit.words, account, client: visit.client };
    let looked = look(portal, visit.client, account).await;
    let mut incomplete = looked.is_err();
    let views = looked.unwrap_or_default();
    let told = &member.session.told;
    let outcome = |code: Code| told.iter().find(|(told, _)| *told == code).map(|(_, outcome)| outcome);
    let mut cards: Vec<Card> = Vec::new();
    for view in &views {
        let limit = match outcome(view.receipt.code) {
            Some(_) => None,
            None => portal.limit(view, account, visit.client).await,
        };
        cards.push(reader.card(view, outcome(view.receipt.code).or(limit.as_ref())));
    }
    let is_blocked = cards.iter().any(|card| card.standing == Standing::Blocked);
    for (code, told) in told.iter().rev().filter(|(told, _)| !views.iter().any(|view| view.receipt.code == *told)) {
        match in_time(portal.house.find(*code)).await {
            // What was not lifted and has ended since is of no interest.
            Ok(Some(view)) if view.ended.is_none() || !matches!(told, Outcome::Kept(_)) => {
                cards.push(reader.card(&view, Some(told)));
            }
            Ok(_) => {}
            Err(_) => incomplete = true,
        }
    }
    let is_lifted = cards.iter().any(|card| card.standing == Standing::Lifted);
    let failures = match in_time(portal.house.failures(account, portal.now().before(FAILURES_SPAN), FAILURES_MAX)).await
    {
        Ok(failures) if !is_blocked => Some(grouped(&reader, &failures)),
        _ => None,
    };
    let template = ResultPage {
        shell: Shell::of(portal, visit, member),
        title: visit.words.say(title(is_lifted, is_blocked, incomplete)),
        notice,
        incomplete,
        address: visit.client.to_string(),
        cards,
        failures,
        failures_span: visit.words.span(FAILURES_SPAN),
    };
    page(if incomplete { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, &template)
}

fn title(is_lifted: bool, is_blocked: bool, incomplete: bool) -> &'static str {
    match (is_lifted, is_blocked) {
        (true, true) => "result.title_partly",
        (true, false) => "result.title_lifted",
        (false, true) => "result.title_blocked",
        (false, false) if incomplete => "result.title_unknown",
        (false, false) => "result.title_none",
    }
}

/// By device and place, so that the one at fault stands out; the latest first.
fn grouped(reader: &Reader<'_>, failures: &[Evidence]) -> Vec<Failing> {
    struct Group<'e> {
        one: &'e Evidence,
        place: ipnet::IpNet,
        tries: u32,
        last: Time,
    }
    let name = |evidence: &Evidence| {
        let event = &evidence.event;
        event.program.as_deref().or(event.helo.as_deref()).filter(|name| !name.is_empty()).map(clean)
    };
    let mut groups: Vec<Group<'_>> = Vec::new();
    for evidence in failures.iter().take(FAILURES_MAX) {
        let place = network_of(evidence.event.client, 24, 56);
        let same = groups.iter_mut().find(|group| {
            group.place == place
                && group.one.event.service == evidence.event.service
                && name(group.one) == name(evidence)
        });
        match same {
            Some(group) => {
                group.tries = group.tries.saturating_add(evidence.tries());
                group.last = group.last.max(evidence.event.time);
            }
            None => groups.push(Group { one: evidence, place, tries: evidence.tries(), last: evidence.event.time }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.last));
    let words = reader.words;
    let failing = groups.into_iter().take(DEVICES_MAX).map(|group| Failing {
        device: name(group.one).unwrap_or_else(|| words.say("result.failures_unnamed").to_owned()),
        service: service_name(words, group.one.event.service),
        place: if group.place.contains(&reader.client.to_canonical()) {
            words.say("result.here").to_owned()
        } else {
            Subject::Network(group.place).to_string()
        },
        tries: words.count("times", u64::from(group.tries)),
        last: reader.portal.moment(words, group.last),
    });
    failing.collect()
}

/// The button: lifts one block, of this address or of one whose code the member has.
pub(crate) async fn release(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    member: Member,
    MemberForm(form): MemberForm,
) -> Response {
    if let Some(response) = slow_down(&portal, &visit) {
        return response;
    }
    if !is_same_place(member.session.client, visit.client) {
        // What the page said was of another address. The result page says so, and shows this one.
        return go("/result");
    }
    let Ok(code) = form.get("code").parse::<Code>() else { return go("/result") };
    let account = &member.session.account;
    let outcome = match find(&portal, &visit, account, code).await {
        Ok(Some(view)) => portal.lift(&visit.words, &view, account, visit.client).await,
        Ok(None) => Outcome::Kept(Kept::Over),
        Err(()) => Outcome::Unknown,
    };
    lock(&portal.sessions).change(member.id, |session| session.tell(code, outcome));
    go("/result")
}

/// A block by its code: one that is in force here, or any for which another try of a code is left.
async fn find(portal: &Portal, visit: &Visit, account: &str, code: Code) -> Result<Option<BlockView>, ()> {
    let here = look(portal, visit.client, account).await.map_err(|_| ())?;
    if let Some(view) = here.into_iter().find(|view| view.receipt.code == code) {
        return Ok(Some(view));
    }
    if lock(&portal.attempts).code(visit.client, account, portal.now()).is_err() {
        return Err(());
    }
    in_time(portal.house.find(code)).await.map_err(|_| ())
}
