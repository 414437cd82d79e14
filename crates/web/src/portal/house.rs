//! The seam to the program.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use fairban_types::{Code, Decision, Diagnosis, Event, Evidence, Finding, Subject, Time};

/// An answer that the house has to look up.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, HouseError>> + Send + 'a>>;

/// The house could not answer. The page says "try again later"; the message is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HouseError(pub String);

/// The program behind the portal. It knows the blocks of every node; it does not check who asks: the portal has done so.
///
/// Accounts are given in lower case, with the configured default domain if they had none; which names of its own are
/// the same account is for the house to know. Names in what it answers may be written as clients wrote them.
///
/// Every call may come from many tasks at once. A call that waits is given up after the portal's own time limit, but
/// what was begun may still happen: a release that is not answered in time is looked for again.
pub trait House: Send + Sync + 'static {
    /// Everything in force on any node, now, that keeps mail from this address: blocks of the address and of networks
    /// that hold it (but not where a hole or the never-block list spares it), and locks of any account there
    /// (`Subject::Pair`). With an account also what is in force against that account anywhere: guards and send blocks.
    /// The same block on several nodes is one view. Nothing of effect `Observe`.
    fn look<'a>(&'a self, client: IpAddr, account: Option<&'a str>) -> Answer<'a, Vec<BlockView>>;

    /// The block of this reference, in force or ended (then [`BlockView::ended`] says when), as long as it is remembered.
    fn find(&self, code: Code) -> Answer<'_, Option<BlockView>>;

    /// Takes a block away because its owner asked: on every node, in the kernel too, and with the events behind it
    /// forgotten. When this returns, the release is durable and counted by [`House::releases`], and audited with its
    /// owner. Nodes that could not be reached are named, and get it as soon as they are back. A release of what is no
    /// longer in force is no error, and names no node.
    fn release<'a>(&'a self, release: &'a Release) -> Answer<'a, Released>;

    /// The failed sign-ins of an account since then, everywhere, latest first, at most so many.
    fn failures<'a>(&'a self, account: &'a str, since: Time, most: usize) -> Answer<'a, Vec<Evidence>>;

    /// How many releases owners have asked for since then, of this account or of an address in this network. Restarts
    /// do not forget them, and other nodes' count too.
    fn releases<'a>(&'a self, of: &'a Releases, since: Time) -> Answer<'a, u32>;

    /// May this client try a password of this account here? Answered at once, from memory.
    ///
    /// Blocks that the portal is there for (of mail services) must not count, or nobody could sign in; what the house
    /// has against sign-ins to the portal itself must.
    fn may_try(&self, client: IpAddr, account: &str) -> MayTry;

    /// Takes the event of a sign-in here (`LoginFailed` or `LoginSucceeded`, `Service::Webmail`, program
    /// [`PROGRAM`]), to be scored like any other. Answered at once.
    fn hear(&self, event: Event<'static>);
}

/// The client program of the portal's own events.
pub const PROGRAM: &str = "Fairban portal";

/// Whether a password may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayTry {
    /// Yes.
    Yes,
    /// Yes, and the account has signed in from this network lately: strangers who try its password elsewhere do not
    /// keep its owner out. The limit of this address still holds.
    Familiar,
    /// Not for so long.
    NotFor(Duration),
}

/// A block as the house tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockView {
    /// The nodes on which it is or was in force, by name.
    pub nodes: Vec<String>,
    /// The receipt of the block.
    pub receipt: Decision,
    /// When it was released or came to its end; `None`: in force.
    pub ended: Option<Time>,
    /// What lies behind it, seen with what is known now: how sure that is, what it rests on, and which devices it comes
    /// from. The page tells names only to their owner.
    pub finding: Finding,
    /// How many offences of the subject there were in the last 30 days, this one included.
    pub offences_30_days: u32,
}

impl BlockView {
    /// What lies behind it.
    pub fn diagnosis(&self) -> Diagnosis {
        self.finding.diagnosis
    }
}

/// Who asked for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The account that is signed in.
    pub account: String,
    /// The address that it comes from.
    pub client: IpAddr,
}

/// A release that an owner asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The block.
    pub code: Code,
    /// What is let out of it: the block's own subject, or one address of a wider block.
    pub subject: Subject,
    /// Who asked.
    pub owner: Owner,
}

/// What a release did.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Released {
    /// The nodes on which the block was lifted.
    pub lifted: Vec<String>,
    /// The nodes that could not be reached.
    pub unreached: Vec<String>,
}

/// Whose releases are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Releases {
    /// Those that this account asked for.
    By(String),
    /// Those of subjects inside this network, or asked for from it, whoever asked: an IPv4 address or an IPv6 /64.
    Of(ipnet::IpNet),
}
