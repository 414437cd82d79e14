//! What the portal asks of the daemon: what is in force against somebody, and letting them out.

use std::net::IpAddr;
use std::sync::Arc;

use fairban_config::Config;
use fairban_protocols::Judge as _;
use fairban_store::{AuditEntry, Block, BlockFilter, BlockState, EventFilter, Reader, StoreError};
use fairban_types::{Code, Effect, Event, EventKind, Evidence, Sender, Subject, Time, single};
use fairban_web::portal::{Answer, BlockView, House, HouseError, MayTry, Owner, Release, Released, Releases};

use super::judge::{Answers, SharedEngine};
use super::kernel::Kernel;
use super::now;
use crate::control::finding::{self, Proof};
use crate::control::server::Shared;
use crate::control::{Reply, Request, is_standing, with_evidence};

/// More blocks of one address, or one account, are not looked at.
const BLOCKS_MAX: usize = 1000;
/// Offences of so long are counted.
const OFFENCES_SPAN: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);
/// What owners do is audited as done by this and their account,
const ACTOR: &str = "portal:";
/// as this,
const ACT: &str = "release";
/// with this and the address that they come from.
const ASKED_FROM: &str = "asked from ";

/// The portal's way into the daemon.
pub(crate) struct Rooms {
    pub(crate) shared: Shared,
    pub(crate) engine: SharedEngine,
    pub(crate) kernel: Kernel,
    pub(crate) answers: Answers,
    pub(crate) node: Arc<str>,
    /// The domains whose accounts may go without one.
    pub(crate) own_domains: Vec<String>,
    /// Nobody is refused: blocks are recorded only.
    pub(crate) observes: bool,
    /// The fleet, if there is one.
    pub(crate) member: Option<super::fleet::Member>,
}

/// The domains whose accounts may go without one.
pub(crate) fn own_domains(config: &Config) -> Vec<String> {
    config.portal.default_domain.iter().chain(&config.policy.send.local_domains).cloned().collect()
}

/// What a release is audited as.
pub(crate) fn audited(release: &Release) -> AuditEntry {
    let Owner { account, client } = &release.owner;
    AuditEntry {
        time: now(),
        actor: format!("{ACTOR}{account}"),
        act: ACT.to_owned(),
        subject: release.subject.to_string(),
        detail: format!("{ASKED_FROM}{client}, reference {}", release.code),
    }
}

fn counts(entry: &AuditEntry, of: &Releases) -> bool {
    let Some(account) = entry.actor.strip_prefix(ACTOR).filter(|_| entry.act == ACT) else { return false };
    match of {
        Releases::By(owner) => account == owner,
        Releases::Of(net) => {
            let subject = entry.subject.parse::<Subject>().ok().and_then(|subject| subject.network());
            let asked_from = entry.detail.strip_prefix(ASKED_FROM).and_then(|rest| rest.split(',').next());
            let client = asked_from.and_then(|client| client.parse::<IpAddr>().ok()).map(single);
            subject.into_iter().chain(client).any(|place| net.contains(&place))
        }
    }
}

/// What must be true of a block for it to keep somebody out.
#[derive(Clone, Copy)]
struct Felt {
    kernel: bool,
    mail_servers: bool,
}

impl Felt {
    fn is(self, block: &Block) -> bool {
        let decision = &block.decision;
        let by_kernel = self.kernel && decision.in_kernel;
        decision.effect != Effect::Observe && is_standing(block) && (by_kernel || self.mail_servers)
    }
}

impl Rooms {
    /// An account as mail programs may write it.
    fn names(&self, account: &str) -> Vec<String> {
        let account = account.to_lowercase();
        let local = account.rsplit_once('@').filter(|(_, domain)| self.own_domains.iter().any(|own| own == domain));
        let local = local.map(|(local, _)| local.to_owned());
        std::iter::once(account).chain(local).collect()
    }

    fn felt(&self) -> Felt {
        let kernel = self.kernel.state();
        Felt {
            kernel: !kernel.is_observing(),
            mail_servers: !self.observes && self.engine.look().policy().mail_servers_ask,
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HouseError> {
        self.shared.read(read).await.map_err(|error| HouseError(format!("{error:#}")))
    }

    async fn carry_out(&self, release: &Release) -> Result<Released, HouseError> {
        let by = format!("{ACTOR}{}", release.owner.account);
        let wish = Request::LetOut {
            code: release.code,
            subject: release.subject.clone(),
            account: release.owner.account.clone(),
            client: release.owner.client,
        };
        match self.shared.wish(wish, &by).await {
            // The kernel gets it as soon as it takes anything again.
            Reply::Done(_) if self.kernel.state().error.is_some() => {
                Ok(Released { lifted: Vec::new(), unreached: vec![self.node.to_string()] })
            }
            Reply::Done(_) => Ok(Released { lifted: vec![self.node.to_string()], unreached: Vec::new() }),
            Reply::LetOut { mut reached, mut unreached } => {
                if self.kernel.state().error.is_some() {
                    reached.retain(|name| **name != *self.node);
                    unreached.push(self.node.to_string());
                }
                Ok(Released { lifted: reached, unreached })
            }
            Reply::NotInForce => Ok(Released::default()),
            Reply::No(error) | Reply::Wrong(error) => Err(HouseError(error)),
            _ => Err(HouseError("the daemon answered another question".to_owned())),
        }
    }
}

impl Rooms {
    /// Blocks of the fleet stand on all its nodes.
    fn on_all_nodes(&self, mut view: BlockView) -> BlockView {
        let Some(member) = &self.member else { return view };
        if let Some(author) = member.fleet.node_of(view.receipt.code, &view.receipt.subject) {
            let live = member.fleet.status().nodes.into_iter().filter(|node| node.is_live).map(|node| node.name);
            let others = live.filter(|name| *name != author);
            view.nodes = std::iter::once(author.clone()).chain(others).collect();
            if !view.nodes.iter().any(|name| **name == *self.node) {
                view.nodes.push(self.node.to_string());
            }
        }
        view
    }
}

impl House for Rooms {
    fn look<'a>(&'a self, client: IpAddr, account: Option<&'a str>) -> Answer<'a, Vec<BlockView>> {
        Box::pin(async move {
            let client = client.to_canonical();
            let is_exempt = self.engine.look().never().iter().any(|net| net.contains(&client));
            let names = account.map(|account| self.names(account)).unwrap_or_default();
            let (felt, node) = (self.felt(), self.node.clone());
            let proof = (!names.is_empty()).then(|| Proof { names: names.clone(), client });
            self.read(move |reader| {
                let mut blocks = if is_exempt { Vec::new() } else { here(reader, client)? };
                blocks.extend(against(reader, &names)?);
                blocks.retain(|block| felt.is(block));
                blocks.iter().map(|block| view(reader, block, &node, proof.as_ref())).collect::<Result<Vec<_>, _>>()
            })
            .await
            .map(|views| views.into_iter().map(|view| self.on_all_nodes(view)).collect())
        })
    }

    fn find(&self, code: Code) -> Answer<'_, Option<BlockView>> {
        Box::pin(async move {
            let node = self.node.clone();
            self.read(move |reader| {
                let block = reader.block(code)?.filter(|block| block.decision.effect != Effect::Observe);
                block.map(|block| view(reader, &block, &node, None)).transpose()
            })
            .await
            .map(|view| view.map(|view| self.on_all_nodes(view)))
        })
    }

    fn release<'a>(&'a self, release: &'a Release) -> Answer<'a, Released> {
        Box::pin(self.carry_out(release))
    }

    fn failures<'a>(&'a self, account: &'a str, since: Time, most: usize) -> Answer<'a, Vec<Evidence>> {
        Box::pin(async move {
            let names = self.names(account);
            self.read(move |reader| failures(reader, &names, since, most)).await
        })
    }

    fn releases<'a>(&'a self, of: &'a Releases, since: Time) -> Answer<'a, u32> {
        Box::pin(async move {
            let of = of.clone();
            self.read(move |reader| {
                let mut count = 0;
                reader.audit_since(since, |entry| count += u32::from(counts(&entry, &of)))?;
                Ok(count)
            })
            .await
        })
    }

    fn may_try(&self, client: IpAddr, account: &str) -> MayTry {
        let engine = self.engine.look();
        let forget = engine.policy().familiar.forget;
        let lately =
            |name: &String| engine.familiarity(name, client).is_some_and(|known| now().since(known.last) <= forget);
        if self.names(account).iter().any(lately) { MayTry::Familiar } else { MayTry::Yes }
    }

    fn hear(&self, event: Event<'static>) {
        // One that is not taken is counted among the lost.
        self.answers.hear(event);
    }
}

/// Blocks of the address, of networks around it, and locks of accounts there.
fn here(reader: &Reader, client: IpAddr) -> Result<Vec<Block>, StoreError> {
    let mut blocks = reader.overlapping(single(client), BLOCKS_MAX)?;
    blocks.retain(|block| !block.decision.holes.iter().any(|hole| hole.contains(&client)));
    Ok(blocks)
}

/// Guards of the account, and blocks of its sending.
fn against(reader: &Reader, names: &[String]) -> Result<Vec<Block>, StoreError> {
    let standing = BlockFilter { state: BlockState::Standing(now()), ..BlockFilter::default() };
    let mut blocks = Vec::new();
    for name in names {
        let of_account = BlockFilter { subject: Some(Subject::Account(name.clone())), ..standing.clone() };
        blocks.extend(reader.blocks(&of_account, BLOCKS_MAX, 0)?);
    }
    if !names.is_empty() {
        let mut sending = reader.blocks(&BlockFilter { sending: true, ..standing }, usize::MAX, 0)?;
        sending.retain(|block| match &block.decision.subject {
            Subject::Sending(sending) => match &sending.sender {
                Sender::Account(name) | Sender::Address(name) => names.contains(&name.to_lowercase()),
                Sender::Domain { .. } | Sender::Helo(_) => false,
            },
            Subject::Network(_) | Subject::Account(_) | Subject::Pair(..) => false,
        });
        blocks.extend(sending);
    }
    Ok(blocks)
}

fn view(reader: &Reader, block: &Block, node: &Arc<str>, proof: Option<&Proof>) -> Result<BlockView, StoreError> {
    let receipt = with_evidence(reader, block)?;
    let same = BlockFilter {
        subject: Some(receipt.subject.clone()),
        since: Some(now().before(OFFENCES_SPAN)),
        ..BlockFilter::default()
    };
    let ended = block.end.as_ref().map(|end| end.time).or(receipt.until.filter(|until| *until <= now()));
    Ok(BlockView {
        nodes: vec![node.to_string()],
        ended,
        finding: finding::of_decision(reader, &receipt, proof)?,
        offences_30_days: u32::try_from(reader.count_blocks(&same)?).unwrap_or(u32::MAX).max(1),
        receipt,
    })
}

fn failures(reader: &Reader, names: &[String], since: Time, most: usize) -> Result<Vec<Evidence>, StoreError> {
    let mut events = Vec::new();
    for name in names {
        for kind in EventKind::ALL.iter().copied().filter(|kind| kind.is_login_failure()) {
            let account = Some(name.clone());
            let filter = EventFilter { account, kind: Some(kind), since: Some(since), ..EventFilter::default() };
            events.extend(reader.events(&filter, most, None)?.into_iter().map(|logged| logged.stored.event));
        }
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.time));
    events.truncate(most);
    Ok(events.into_iter().map(|event| Evidence { points: 0, seen: 1, first: None, event }).collect())
}
