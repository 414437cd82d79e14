//! The chains of the table and the rules in them.

use super::abi::*;
use super::sets::{PORTS, Role, Set};
use super::transaction::Transaction;
use crate::element::Family;
use crate::netlink::attribute::{nest, put, put_text, put_u32};
use crate::netlink::message::{APPEND, CREATE};
use crate::{Dropped, Layout};

/// A chain, and where it is hooked in, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Option<u32>,
}

const JUDGE: Chain = Chain { name: "judge", hook: None };
const INPUT: Chain = Chain { name: "input", hook: Some(NF_INET_LOCAL_IN) };
const FORWARD: Chain = Chain { name: "forward", hook: Some(NF_INET_FORWARD) };

/// The chains of the layout; each comes after those it refers to.
pub(super) fn chains(layout: &Layout) -> &'static [Chain] {
    if layout.forward { &[JUDGE, INPUT, FORWARD] } else { &[JUDGE, INPUT] }
}

/// A rule. Its comment is how it is known again, so it must change when what the rule does changes.
pub(super) struct Rule {
    pub(super) comment: String,
    expressions: Vec<u8>,
}

/// The rules of a chain, in order.
pub(super) fn rules(chain: Chain, layout: &Layout) -> Vec<Rule> {
    if chain.hook.is_some() {
        return vec![Rule::new("judged by fairban").verdict(NFT_JUMP, Some(JUDGE.name))];
    }
    let mut rules = vec![
        Rule::new("loopback passes")
            .meta(NFT_META_IIFTYPE)
            .compare(NFT_CMP_EQ, &ARPHRD_LOOPBACK.to_ne_bytes())
            .verdict(NFT_RETURN, None),
    ];
    if !layout.ports.is_empty() {
        rules.push(
            Rule::new("what is not TCP passes")
                .meta(NFT_META_L4PROTO)
                .compare(NFT_CMP_NEQ, &[IPPROTO_TCP])
                .verdict(NFT_RETURN, None),
        );
        rules.push(
            Rule::new("other ports pass")
                .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)
                .lookup(PORTS, NFT_LOOKUP_F_INV)
                .verdict(NFT_RETURN, None),
        );
    }
    for family in Family::BOTH {
        let never = Set { role: Role::Never, family };
        rules.push(Rule::new("the never-block list passes").source(never).verdict(NFT_RETURN, None));
    }
    for family in Family::BOTH {
        for (role, comment) in [(Role::Block, "blocked addresses"), (Role::Net, "blocked networks")] {
            rules.push(Rule::new(comment).source(Set { role, family }).counter().verdict(NF_DROP, None));
        }
    }
    rules
}

impl Rule {
    fn new(comment: &str) -> Self {
        Rule { comment: comment.to_owned(), expressions: Vec::new() }
    }

    fn expression(mut self, name: &str, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        nest(&mut self.expressions, NFTA_LIST_ELEM, |buf| {
            put_text(buf, NFTA_EXPR_NAME, name);
            nest(buf, NFTA_EXPR_DATA, fill);
        });
        self
    }

    /// Loads a fact about the packet.
    fn meta(self, key: u32) -> Self {
        self.expression("meta", |buf| {
            put_u32(buf, NFTA_META_DREG, NFT_REG_1);
            put_u32(buf, NFTA_META_KEY, key);
        })
    }

    /// Goes on only if what was loaded compares so.
    fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |buf| {
            put_u32(buf, NFTA_CMP_SREG, NFT_REG_1);
            put_u32(buf, NFTA_CMP_OP, operator);
            nest(buf, NFTA_CMP_DATA, |buf| put(buf, NFTA_DATA_VALUE, value));
        })
    }

    /// Loads bytes of a header.
    fn payload(self, base: u32, offset: u32, len: u32) -> Self {
        self.expression("payload", |buf| {
            put_u32(buf, NFTA_PAYLOAD_DREG, NFT_REG_1);
            put_u32(buf, NFTA_PAYLOAD_BASE, base);
            put_u32(buf, NFTA_PAYLOAD_OFFSET, offset);
            put_u32(buf, NFTA_PAYLOAD_LEN, len);
        })
    }

    /// Goes on only if what was loaded is in the set.
    fn lookup(self, set: &str, flags: u32) -> Self {
        self.expression("lookup", |buf| {
            put_text(buf, NFTA_LOOKUP_SET, set);
            put_u32(buf, NFTA_LOOKUP_SREG, NFT_REG_1);
            put_u32(buf, NFTA_LOOKUP_FLAGS, flags);
        })
    }

    /// Goes on only if the source address is in the set.
    fn source(self, set: Set) -> Self {
        let (protocol, offset) = match set.family {
            Family::V4 => (NFPROTO_IPV4, 12),
            Family::V6 => (NFPROTO_IPV6, 8),
        };
        self.meta(NFT_META_NFPROTO)
            .compare(NFT_CMP_EQ, &[protocol])
            .payload(NFT_PAYLOAD_NETWORK_HEADER, offset, set.key_len())
            .lookup(set.name(), 0)
    }

    fn counter(self) -> Self {
        self.expression("counter", |_| {})
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        self.expression("immediate", |buf| {
            put_u32(buf, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
            nest(buf, NFTA_IMMEDIATE_DATA, |buf| {
                nest(buf, NFTA_DATA_VERDICT, |buf| {
                    put(buf, NFTA_VERDICT_CODE, &code.to_be_bytes());
                    if let Some(chain) = chain {
                        put_text(buf, NFTA_VERDICT_CHAIN, chain);
                    }
                });
            });
        })
    }
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
                put_u32(buf, NFTA_HOOK_HOOKNUM, hook);
                put(buf, NFTA_HOOK_PRIORITY, &layout.priority.to_be_bytes());
            });
            put(buf, NFTA_CHAIN_POLICY, &NF_ACCEPT.to_be_bytes());
            put_text(buf, NFTA_CHAIN_TYPE, "filter");
        }
    });
}

/// A rule's comment as the `nft` program stores and shows it: kind, length, text, zero byte.
pub(super) fn comment_data(comment: &str) -> Vec<u8> {
    let mut data = vec![UDATA_RULE_COMMENT, comment.len() as u8 + 1];
    data.extend_from_slice(comment.as_bytes());
    data.push(0);
    data
}

/// What the counters in a rule's expressions say.
pub(super) fn read_counters(expressions: &[u8]) -> Dropped {
    use crate::netlink::attribute::{Attributes, find, find_text, find_u64};
    let mut sum = Dropped::default();
    for (_, expression) in Attributes(expressions) {
        if find_text(expression, NFTA_EXPR_NAME) == Some("counter")
            && let Some(data) = find(expression, NFTA_EXPR_DATA)
        {
            sum.packets += find_u64(data, NFTA_COUNTER_PACKETS).unwrap_or(0);
            sum.bytes += find_u64(data, NFTA_COUNTER_BYTES).unwrap_or(0);
        }
    }
    sum
}
