//! Blocks in the kernel's nftables.

mod abi;
mod cover;
mod plan;
mod rule;
mod rules;
mod sets;
mod table;
mod transaction;

use std::collections::HashSet;
use std::time::Instant;

use ipnet::IpNet;
use nix::errno::Errno;

use self::plan::{Edits, Pen, Plan, Reading, Singles};
use self::sets::{Removal, Role, Set, Span};
use self::table::State;
use self::transaction::{Failure, Transaction};
use crate::connections::Connections;
use crate::element::Family;
use crate::netlink::Link;
use crate::{Change, Difference, Dropped, Element, EnforceError, Enforcer, Felt, Layout};

/// Keeps a table in the nftables of the network namespace in which it was opened.
///
/// The table outlives this program: blocks stay in force and end on time while it is down, until
/// [`flush`](Enforcer::flush) or a reboot.
pub struct Nftables {
    layout: Layout,
    link: Link,
    connections: Option<Connections>,
    removal: Removal,
    started: Instant,
    plan: Plan,
    /// Whether the plan is what the kernel holds.
    in_step: bool,
}

impl Nftables {
    /// Opens the way to the kernel, and makes the table if it is not there. A table that is there is left as it is
    /// until the first [`reconcile`](Enforcer::reconcile), which must come before any change then.
    ///
    /// # Errors
    /// [`EnforceError::Permission`] and [`EnforceError::Unsupported`] mean that this machine cannot block;
    /// [`EnforceError::Layout`] that it was asked for something impossible.
    pub fn open(layout: Layout) -> Result<Self, EnforceError> {
        let layout = layout.checked()?;
        let mut link = Link::open(abi::NETLINK_NETFILTER, "nftables")?;
        let mut nftables = match table::inspect(&mut link, &layout)? {
            State::Absent => {
                let mut tx = Transaction::new();
                table::make(&mut tx, &layout);
                tx.commit(&mut link)?.map_err(cannot_make)?;
                Nftables::with(layout, link, true)
            }
            State::Foreign | State::Sound => Nftables::with(layout, link, false),
        };
        nftables.removal = nftables.find_removal()?;
        Ok(nftables)
    }

    fn with(layout: Layout, link: Link, in_step: bool) -> Self {
        let connections = layout.cut_connections.then(Connections::open);
        let removal = Removal::AddThenDelete;
        Nftables { layout, link, connections, removal, started: Instant::now(), plan: Plan::new(), in_step }
    }

    /// Whether the kernel can take out what may not be there, tried with an address that no packet can come from.
    fn find_removal(&mut self) -> Result<Removal, EnforceError> {
        let mut tx = Transaction::new();
        let set = Set { role: Role::Block(Felt::Drop), family: Family::V4 };
        sets::remove(&mut tx, Removal::Destroy, &self.layout.table, set, [Span::single(0, None)]);
        match tx.commit(&mut self.link)? {
            // A table that is there but lacks the set is made anew by the first reconciliation.
            Ok(()) | Err(Failure { errno: Errno::ENOENT, .. }) => Ok(Removal::Destroy),
            Err(Failure { errno: Errno::EPERM | Errno::EACCES, .. }) => Err(EnforceError::Permission),
            Err(_) => Ok(Removal::AddThenDelete),
        }
    }

    /// Removes elements as must be done on kernels before Linux 6.3. For tests.
    #[doc(hidden)]
    pub fn forget_destroy(&mut self) {
        self.removal = Removal::AddThenDelete;
    }

    fn try_apply(&mut self, edits: &Edits) -> Result<(), EnforceError> {
        let pen = Pen::new(&self.layout, self.removal, self.started.elapsed());
        let tx = self.plan.edit(pen, edits);
        if tx.is_empty() {
            return Ok(());
        }
        let Err(failure) = tx.commit(&mut self.link)? else { return Ok(()) };
        tracing::warn!(failure = %EnforceError::from(failure), "trying the change anew");
        if table::inspect(&mut self.link, &self.layout)? != State::Sound {
            return Err(EnforceError::Diverged("the table has been removed or changed by another program".to_owned()));
        }
        // Someone may have put a range where one of ours belongs.
        let pen = Pen::new(&self.layout, self.removal, self.started.elapsed());
        self.plan.refill(pen, edits).commit(&mut self.link)?.map_err(EnforceError::from)
    }

    fn rebuild(&mut self, is_there: bool, singles: &Singles) -> Result<Difference, EnforceError> {
        let mut tx = Transaction::new();
        if is_there {
            table::remove(&mut tx, &self.layout);
        }
        table::make(&mut tx, &self.layout);
        let pen = Pen::new(&self.layout, self.removal, self.started.elapsed());
        let missing = self.plan.fill(&mut tx, pen, singles);
        tx.commit(&mut self.link)?.map_err(cannot_make)?;
        Ok(Difference { missing, rebuilt: true, ..Difference::default() })
    }

    fn mend(&mut self, singles: &Singles) -> Result<Result<(Difference, Added), Failure>, EnforceError> {
        let mut difference = Difference::default();
        let mut added = Vec::new();
        let mut tx = Transaction::new();
        for set in Set::all(&self.layout).iter().copied() {
            let reading = self.look(set, singles)?;
            let pen = Pen::new(&self.layout, self.removal, self.started.elapsed());
            let new = self.plan.mend(&mut tx, pen, set, singles, &reading, &mut difference);
            if let Some(felt) = set.role.felt() {
                added.extend(new.iter().flat_map(|span| sets::networks(set.family, span)).map(|net| (felt, net)));
            }
        }
        Ok(tx.commit(&mut self.link)?.map(|()| (difference, added)))
    }

    /// What a set holds. A hash set that still grows in the background may leave elements out of a listing, so what seems
    /// to be missing is looked for again.
    fn look(&mut self, set: Set, singles: &Singles) -> Result<Reading, EnforceError> {
        let from = self.started.elapsed();
        let mut reading = Reading { from, to: from, found: Vec::new() };
        for look in 0..LOOKS_MAX {
            let known: HashSet<u128> = reading.found.iter().map(|shown| shown.number).collect();
            let found = table::elements(&mut self.link, &self.layout, set.name())?;
            if !set.is_ranges() {
                reading.found.extend(found.into_iter().filter(|shown| !known.contains(&shown.number)));
            } else {
                reading.found = found;
            }
            reading.to = self.started.elapsed();
            let pen = Pen::new(&self.layout, self.removal, reading.to);
            let mut seeming = Difference::default();
            self.plan.mend(&mut Transaction::new(), pen, set, singles, &reading, &mut seeming);
            let has_found_more = reading.found.len() > known.len();
            if set.is_ranges() || seeming.missing == 0 || (look > 0 && !has_found_more) {
                break;
            }
        }
        Ok(reading)
    }

    fn cut(&mut self, added: &[(Felt, IpNet)]) {
        let Some(connections) = &mut self.connections else { return };
        for felt in Felt::BOTH {
            let nets: Vec<IpNet> = added.iter().filter(|(how, _)| *how == felt).map(|(_, net)| *net).collect();
            // Whoever is being told why may hear it to the end, unless they are to hear nothing any more.
            let closes = |port| match felt {
                Felt::Drop => self.layout.guards(port) || self.layout.is_explainer(port),
                Felt::Explain => self.layout.guards(port) && !self.layout.is_explainer(port),
            };
            connections.cut(&nets, closes, |address| self.plan.spares(address));
        }
    }
}

/// Who is newly blocked, and how.
type Added = Vec<(Felt, IpNet)>;

/// How often a set is listed at most, for what seems to be missing.
const LOOKS_MAX: usize = 4;

fn cannot_make(failure: Failure) -> EnforceError {
    match failure.errno {
        // So it answers when a part of nf_tables is not in this kernel.
        Errno::ENOENT | Errno::ENOPROTOOPT => EnforceError::Unsupported(format!("no {}", failure.about)),
        _ => failure.into(),
    }
}

impl Enforcer for Nftables {
    fn apply(&mut self, changes: &[Change]) -> Result<(), EnforceError> {
        if !self.in_step {
            return Err(EnforceError::Diverged("it has not been reconciled since it was opened or failed".to_owned()));
        }
        let edits = Edits::new(&self.layout, self.started.elapsed(), changes);
        self.in_step = false;
        self.try_apply(&edits)?;
        self.in_step = true;
        self.cut(&edits.added().collect::<Vec<_>>());
        Ok(())
    }

    fn reconcile(&mut self, want: &[Element], never: &[IpNet]) -> Result<Difference, EnforceError> {
        self.in_step = false;
        let singles = self.plan.replace(&self.layout, self.started.elapsed(), want, never);
        let state = table::inspect(&mut self.link, &self.layout)?;
        let layout = self.layout.clone();
        let all = want.iter().map(|element| (layout.felt(element.felt), crate::element::canonical(element.net)));
        let everyone = || all.collect();
        let (difference, added) = match state {
            State::Absent | State::Foreign => (self.rebuild(state == State::Foreign, &singles)?, everyone()),
            State::Sound => match self.mend(&singles)? {
                Ok(mended) => mended,
                // Something changed while it was looked at, or is not what it looks like.
                Err(failure) => {
                    tracing::warn!(failure = %EnforceError::from(failure), "making the table anew");
                    (self.rebuild(true, &singles)?, everyone())
                }
            },
        };
        self.in_step = true;
        self.cut(&added);
        Ok(difference)
    }

    fn flush(&mut self) -> Result<(), EnforceError> {
        self.in_step = false;
        self.plan = Plan::new();
        let mut tx = Transaction::new();
        table::remove(&mut tx, &self.layout);
        match tx.commit(&mut self.link)? {
            Ok(()) | Err(Failure { errno: Errno::ENOENT, .. }) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    fn dropped(&mut self) -> Result<Dropped, EnforceError> {
        table::dropped(&mut self.link, &self.layout)
    }

    fn describe(&self) -> String {
        let ports: Vec<String> = self.layout.ports.iter().map(u16::to_string).collect();
        let ports = if ports.is_empty() { "all ports".to_owned() } else { format!("TCP ports {}", ports.join(", ")) };
        let chains = if self.layout.forward { "input and forward" } else { "input" };
        let Layout { table, priority, .. } = &self.layout;
        let explained = self.layout.explain.map_or_else(String::new, |explain| {
            format!(", explained at port {} ({} times a minute)", explain.port, explain.per_minute)
        });
        format!("nftables table inet {table}, {chains} at priority {priority}, {ports}{explained}")
    }
}
