//! The chains of the table and the rules in them.

use super::abi::*;
use super::rule::{Rule, comment_data};
use super::sets::{self, EXPLAINED_PORTS, PORTS, Role, Set};
use super::transaction::Transaction;
use crate::element::Family;
use crate::netlink::attribute::{nest, put, put_text, put_u32};
use crate::netlink::message::{APPEND, CREATE};
use crate::{Explain, Felt, Layout};

/// A chain, and where it is hooked in, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Option<Hook>,
}

/// Where packets come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// The first packet of each connection, before it is known where it goes.
    Prerouting,
    Input,
    Forward,
}

impl Hook {
    pub(super) const fn number(self) -> u32 {
        match self {
            Hook::Prerouting => NF_INET_PRE_ROUTING,
            Hook::Input => NF_INET_LOCAL_IN,
            Hook::Forward => NF_INET_FORWARD,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Hook::Prerouting => "nat",
            Hook::Input | Hook::Forward => "filter",
        }
    }

    pub(super) const fn priority(self, layout: &Layout) -> i32 {
        match self {
            // One before `dstnat`, where published ports of containers are translated: who translates first wins.
            Hook::Prerouting => -101,
            Hook::Input | Hook::Forward => layout.priority,
        }
    }
}

const JUDGE: Chain = Chain { name: "judge", hook: None };
const INPUT: Chain = Chain { name: "input", hook: Some(Hook::Input) };
const FORWARD: Chain = Chain { name: "forward", hook: Some(Hook::Forward) };
const EXPLAIN: Chain = Chain { name: "explain", hook: None };
const PREROUTING: Chain = Chain { name: "prerouting", hook: Some(Hook::Prerouting) };

/// The chains of the layout; each comes after those it refers to.
pub(super) fn chains(layout: &Layout) -> &'static [Chain] {
    match (layout.explain, layout.forward) {
        (None, true) => &[JUDGE, INPUT, FORWARD],
        (None, false) => &[JUDGE, INPUT],
        (Some(_), true) => &[JUDGE, INPUT, FORWARD, EXPLAIN, PREROUTING],
        (Some(_), false) => &[JUDGE, INPUT, EXPLAIN, PREROUTING],
    }
}

/// The rules of a chain, in order.
pub(super) fn rules(chain: Chain, layout: &Layout) -> Vec<Rule> {
    let judged = || Rule::new("judged by fairban").verdict(NFT_JUMP, Some(JUDGE.name));
    match (chain.hook, &layout.explain) {
        (Some(Hook::Forward), _) | (Some(Hook::Input), None) => vec![judged()],
        (Some(Hook::Input), Some(explain)) => at_the_explainer(explain).into_iter().chain([judged()]).collect(),
        (Some(Hook::Prerouting), _) => sent_to_the_explainer(layout),
        (None, Some(explain)) if chain == EXPLAIN => paced_redirects(explain),
        (None, _) => judgement(layout),
    }
}

fn judgement(layout: &Layout) -> Vec<Rule> {
    let mut rules = vec![Rule::new("loopback passes").interface(NFT_CMP_EQ, ARPHRD_LOOPBACK).verdict(NFT_RETURN, None)];
    if !layout.ports.is_empty() {
        rules.push(
            Rule::new("what is not TCP passes")
                .meta(NFT_META_L4PROTO)
                .compare(NFT_CMP_NEQ, &[IPPROTO_TCP])
                .verdict(NFT_RETURN, None),
        );
        rules.push(Rule::new("other ports pass").ports(PORTS, NFT_LOOKUP_F_INV).verdict(NFT_RETURN, None));
    }
    rules.extend(never_block_passes());
    for set in Set::all(layout) {
        let comment = match set.role {
            Role::Never => continue,
            Role::Block(Felt::Drop) => "blocked addresses",
            Role::Net(Felt::Drop) => "blocked networks",
            // Their connections from before the block, and those that were not redirected.
            Role::Block(Felt::Explain) => "explained addresses",
            Role::Net(Felt::Explain) => "explained networks",
        };
        rules.push(Rule::new(comment).source(*set).counter().verdict(NF_DROP, None));
    }
    rules
}

fn never_block_passes() -> impl Iterator<Item = Rule> {
    Family::BOTH.into_iter().map(|family| {
        let never = Set { role: Role::Never, family };
        Rule::new("the never-block list passes").source(never).verdict(NFT_RETURN, None)
    })
}

/// Nobody gets to the explainer's port by its number.
fn at_the_explainer(explain: &Explain) -> [Rule; 2] {
    let port = explain.port;
    [
        Rule::new(&format!("what was redirected to port {port} passes"))
            .port(port)
            .translated(NFT_CMP_NEQ)
            .verdict(NFT_RETURN, None),
        Rule::new(&format!("port {port} is reached by redirects alone"))
            .interface(NFT_CMP_NEQ, ARPHRD_LOOPBACK)
            .port(port)
            .verdict(NF_DROP, None),
    ]
}

fn sent_to_the_explainer(layout: &Layout) -> Vec<Rule> {
    let mut rules = vec![Rule::new("loopback passes").interface(NFT_CMP_EQ, ARPHRD_LOOPBACK).verdict(NFT_RETURN, None)];
    if !layout.forward {
        rules.push(
            Rule::new("what goes through passes")
                .destination_type()
                .compare(NFT_CMP_NEQ, &RTN_LOCAL.to_ne_bytes())
                .verdict(NFT_RETURN, None),
        );
    }
    let not_tcp = Rule::new("what is not TCP passes").meta(NFT_META_L4PROTO).compare(NFT_CMP_NEQ, &[IPPROTO_TCP]);
    rules.push(not_tcp.verdict(NFT_RETURN, None));
    if layout.explained_ports().is_empty() {
        return rules;
    }
    rules.push(Rule::new("other ports pass").ports(EXPLAINED_PORTS, NFT_LOOKUP_F_INV).verdict(NFT_RETURN, None));
    rules.extend(never_block_passes());
    // Whoever is to be dropped is dropped, explained or not.
    for felt in Felt::BOTH {
        let (comment, code, chain) = match felt {
            Felt::Drop => ("dropped later", NFT_RETURN, None),
            Felt::Explain => ("told why", NFT_GOTO, Some(EXPLAIN.name)),
        };
        let sets = Set::all(layout).iter().filter(|set| set.role.felt() == Some(felt));
        rules.extend(sets.map(|set| Rule::new(comment).source(*set).verdict(code, chain)));
    }
    rules
}

fn paced_redirects(explain: &Explain) -> Vec<Rule> {
    let Explain { port, per_minute } = *explain;
    let mut rules: Vec<Rule> = Family::BOTH
        .into_iter()
        .map(|family| {
            Rule::new(&format!("to the explainer at port {port}, {per_minute} a minute"))
                .source_key(family)
                .only_prefix(family)
                .paced(sets::pace(family), per_minute)
                .redirect(port)
        })
        .collect();
    rules.push(Rule::new("more than is explained").counter().verdict(NF_DROP, None));
    rules
}

/// Appends the making of all chains and rules; the sets must have been made.
pub(super) fn make(transaction: &mut Transaction, layout: &Layout) {
    for chain in chains(layout) {
        make_chain(transaction, layout, *chain);
        for rule in rules(*chain, layout) {
            transaction.put(NFT_MSG_NEWRULE, CREATE | APPEND, "a rule", |buf| {
                put_text(buf, NFTA_RULE_TABLE, &layout.table);
                put_text(buf, NFTA_RULE_CHAIN, chain.name);
                nest(buf, NFTA_RULE_EXPRESSIONS, |buf| buf.extend_from_slice(&rule.expressions));
                put(buf, NFTA_RULE_USERDATA, &comment_data(&rule.comment));
            });
        }
    }
}

fn make_chain(transaction: &mut Transaction, layout: &Layout, chain: Chain) {
    transaction.put(NFT_MSG_NEWCHAIN, CREATE, chain.name, |buf| {
        put_text(buf, NFTA_CHAIN_TABLE, &layout.table);
        put_text(buf, NFTA_CHAIN_NAME, chain.name);
        if let Some(hook) = chain.hook {
            nest(buf, NFTA_CHAIN_HOOK, |buf| {
                put_u32(buf, NFTA_HOOK_HOOKNUM, hook.number());
                put(buf, NFTA_HOOK_PRIORITY, &hook.priority(layout).to_be_bytes());
            });
            put(buf, NFTA_CHAIN_POLICY, &NF_ACCEPT.to_be_bytes());
            put_text(buf, NFTA_CHAIN_TYPE, hook.kind());
        }
    });
}
