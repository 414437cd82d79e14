//! The seam to the program: what can be asked, and what can be done.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::{Code, Event, Sending, Subject};
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::view::{
    AccountRow, AccountView, AuditRow, AuditState, BlockQuery, BlockRow, Checked, EventQuery, EventRow, FeedRow,
    FleetView, Health, Listing, NeverRow, News, Overview, Receipt, RuleChange, Rules, WhatIf,
};
use crate::access::{Act, Answer, Sight};

/// A value of the rules as it is set: TOML; `None`: as the configuration file or the profile has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The whole key, such as `rule.login.threshold`.
    pub key: String,
    /// The value.
    pub value: Option<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A block by hand, or another end for one in force.
    Block {
        /// Against whom.
        subject: Subject,
        /// How long; `None`: until it is released.
        time: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// A release of this very subject.
    Release {
        /// Whom.
        subject: Subject,
        /// Why.
        reason: String,
    },
    /// A network onto the never-block list.
    NeverAdd {
        /// The network.
        net: IpNet,
        /// Why.
        reason: String,
        /// How long; `None`: until it is removed.
        time: Option<Duration>,
    },
    /// A network off it.
    NeverRemove {
        /// The network.
        net: IpNet,
    },
    /// A block on sending; one of the same sender and direction is replaced.
    SendBlock {
        /// Who, and which way.
        sending: Sending,
        /// Why.
        reason: String,
        /// How long; `None`: until it is released.
        time: Option<Duration>,
    },
    /// Values of rules: all of them, or none if they make no sense together.
    Set {
        /// The values.
        settings: Vec<Setting>,
        /// Why.
        reason: String,
    },
    /// Blocks of this node of the fleet that were held back are let through.
    AcceptNode {
        /// Its name.
        node: String,
    },
    /// An administrator has signed in from this address, which is not blocked while they are.
    SessionBegins {
        /// The address.
        client: IpAddr,
        /// For at most so long.
        time: Duration,
    },
    /// No administrator is signed in from this address any more.
    SessionEnds {
        /// The address.
        client: IpAddr,
    },
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, durable, and in the kernel.
    Done(String),
    /// It is not done, for this reason.
    No(String),
}

/// The program behind the pages. It does not check who asks: only those who may can put together what it takes.
///
/// Every call may come from many tasks at once. What is read is as of the moment, and bounded.
pub trait Desk: Send + Sync + 'static {
    /// How every part is.
    fn health(&self) -> Answer<'_, Health>;

    /// What happened in the last `span`, and what is in force.
    fn overview<'a>(&'a self, span: Duration, sight: &'a Sight) -> Answer<'a, Overview>;

    /// Blocks, guards and send blocks.
    fn blocks<'a>(&'a self, query: &'a BlockQuery, sight: &'a Sight) -> Answer<'a, Listing<BlockRow>>;

    /// Every network that is blocked, and not only observed, in order of address.
    fn blocked(&self) -> Answer<'_, Arc<Vec<FeedRow>>>;

    /// All about one block. What it tells is not masked: the caller has a sight, and uses it.
    fn receipt(&self, code: Code) -> Answer<'_, Option<Receipt>>;

    /// The never-block list.
    fn never(&self) -> Answer<'_, Vec<NeverRow>>;

    /// Accounts that something happens to, those attacked most first.
    fn accounts<'a>(&'a self, sight: &'a Sight) -> Answer<'a, Vec<AccountRow>>;

    /// All about one account, which the caller may see.
    fn account<'a>(&'a self, account: &'a str) -> Answer<'a, AccountView>;

    /// The event log, newest first.
    fn events<'a>(&'a self, query: &'a EventQuery, sight: &'a Sight) -> Answer<'a, Listing<EventRow>>;

    /// The fleet as this node sees it; `None`: it is in none.
    fn fleet(&self) -> Answer<'_, Option<FleetView>>;

    /// Every value of the rules.
    fn rules(&self) -> Answer<'_, Rules>;

    /// What these values would have changed in the last days.
    fn what_if<'a>(&'a self, settings: &'a [Setting], days: u32) -> Answer<'a, WhatIf>;

    /// Changes of the rules, newest first, before this number.
    fn changes(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<RuleChange>>;

    /// The audit, newest first, before this number.
    fn audit(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<AuditRow>>;

    /// Whether the audit is as it was written.
    fn audit_state(&self) -> Answer<'_, AuditState>;

    /// Whether a client may sign in (to an account). Answered at once, from memory.
    fn check(&self, client: IpAddr, account: Option<&str>) -> Checked;

    /// What happens from now on. Who does not keep up misses some of it.
    fn follow(&self) -> mpsc::Receiver<News>;

    /// Carries out an act. When this returns it is durable and audited with who asked.
    fn act<'a>(&'a self, act: &'a Act) -> Answer<'a, Outcome>;

    /// Takes the event of a sign-in to the administration, to be scored like any other. Answered at once.
    fn hear(&self, event: Event<'static>);
}

/// The client program of the administration's own sign-ins.
pub const PROGRAM: &str = "Fairban administration";
