//! Letting somebody out.

use std::collections::HashSet;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lift::{Kept, counted};
use super::session::Outcome;
use super::story::key_of;
use super::{BlockView, HouseError, Owner, Portal, Release, Releases, lock};
use crate::Words;
use crate::notice::{Happened, Notice};

/// The house is waited for so long.
pub(crate) const HOUSE_TIME: Duration = Duration::from_secs(8);

/// An answer of the house, or that there was none in time.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, HouseError>>) -> Result<T, HouseError> {
    match tokio::time::timeout(HOUSE_TIME, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(HouseError(format!("no answer within {} s", HOUSE_TIME.as_secs()))),
    }
    .inspect_err(|error| tracing::warn!(%error, "the portal got no answer"))
}

/// While this lives, nobody else can be let out on the same counts: between counting and releasing there is no gap.
struct Turn {
    of: [Releases; 2],
    taken: Arc<Mutex<HashSet<Releases>>>,
}

impl Turn {
    fn take(taken: &Arc<Mutex<HashSet<Releases>>>, of: [Releases; 2]) -> Option<Turn> {
        let mut all = lock(taken);
        if of.iter().any(|one| all.contains(one)) {
            return None;
        }
        all.extend(of.iter().cloned());
        Some(Turn { of, taken: taken.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = lock(&self.taken);
        for one in &self.of {
            all.remove(one);
        }
    }
}

impl Portal {
    /// Lifts the block, if policy and limits allow it. What was begun is finished even if the browser is gone.
    pub(crate) async fn lift(
        self: &Arc<Self>,
        words: &Words,
        view: &BlockView,
        account: &str,
        client: IpAddr,
    ) -> Outcome {
        let subject = match self.accounts.liftable(&self.settings.lift, view, account, client) {
            Ok(subject) => subject,
            Err(kept) => return Outcome::Kept(kept),
        };
        let account = self.accounts.canonical(account);
        let (by, of) = counted(&subject, &account, client);
        let Some(turn) = Turn::take(&self.releasing, [by.clone(), of.clone()]) else {
            return Outcome::Kept(Kept::Busy);
        };
        let notice = Notice {
            happened: Happened::Released,
            account: account.clone(),
            address: client.to_string(),
            code: view.receipt.code,
            reason: words.say(&format!("diagnosis.{}.short", key_of(view.diagnosis()))).to_owned(),
            time: self.now(),
            language: Some(words.tag().to_owned()),
        };
        let release = Release { code: view.receipt.code, subject, owner: Owner { account, client } };
        let portal = self.clone();
        let task = tokio::spawn(async move {
            let outcome = portal.counted_release(&release, &by, &of).await;
            drop(turn);
            if let (Ok(Outcome::Lifted(_)), Some(notices)) = (&outcome, &portal.notices) {
                notices.tell(&notice);
            }
            outcome
        });
        match tokio::time::timeout(HOUSE_TIME, task).await {
            Ok(Ok(Ok(outcome))) => outcome,
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "a release got no answer");
                Outcome::Unknown
            }
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }

    async fn counted_release(&self, release: &Release, by: &Releases, of: &Releases) -> Result<Outcome, HouseError> {
        if let Some(kept) = self.limit_reached(by, of).await? {
            return Ok(Outcome::Kept(kept));
        }
        let released = self.house.release(release).await?;
        tracing::info!(code = %release.code, subject = %release.subject, "a block was lifted by its owner");
        Ok(Outcome::Lifted(released))
    }

    async fn limit_reached(&self, by: &Releases, of: &Releases) -> Result<Option<Kept>, HouseError> {
        let policy = &self.settings.lift;
        let since = self.now().before(policy.period);
        for (whose, most, kept) in
            [(by, policy.per_account_max, Kept::AccountLimit), (of, policy.per_address_max, Kept::AddressLimit)]
        {
            if self.house.releases(whose, since).await? >= most {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// What stands against lifting a block that policy would let its owner lift: nobody is offered what is refused then.
    pub(crate) async fn limit(&self, view: &BlockView, account: &str, client: IpAddr) -> Option<Outcome> {
        let subject = self.accounts.liftable(&self.settings.lift, view, account, client).ok()?;
        let (by, of) = counted(&subject, &self.accounts.canonical(account), client);
        in_time(self.limit_reached(&by, &of)).await.ok()?.map(Outcome::Kept)
    }
}
