//! One rule, as the expressions that it is made of.

use super::abi::*;
use super::sets::Set;
use crate::Dropped;
use crate::element::Family;
use crate::netlink::attribute::{Attributes, find, find_text, find_u64, nest, put, put_text, put_u32, put_u64};

/// A rule. Its comment is how it is known again, so it must change when what the rule does changes.
pub(super) struct Rule {
    pub(super) comment: String,
    pub(super) expressions: Vec<u8>,
}

impl Rule {
    pub(super) fn new(comment: &str) -> Self {
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
    pub(super) fn meta(self, key: u32) -> Self {
        self.expression("meta", |buf| {
            put_u32(buf, NFTA_META_DREG, NFT_REG_1);
            put_u32(buf, NFTA_META_KEY, key);
        })
    }

    /// Goes on only if what was loaded compares so.
    pub(super) fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |buf| {
            put_u32(buf, NFTA_CMP_SREG, NFT_REG_1);
            put_u32(buf, NFTA_CMP_OP, operator);
            nest(buf, NFTA_CMP_DATA, |buf| put(buf, NFTA_DATA_VALUE, value));
        })
    }

    /// Loads bytes of a header.
    pub(super) fn payload(self, base: u32, offset: u32, len: u32) -> Self {
        self.expression("payload", |buf| {
            put_u32(buf, NFTA_PAYLOAD_DREG, NFT_REG_1);
            put_u32(buf, NFTA_PAYLOAD_BASE, base);
            put_u32(buf, NFTA_PAYLOAD_OFFSET, offset);
            put_u32(buf, NFTA_PAYLOAD_LEN, len);
        })
    }

    /// Goes on only if what was loaded is in the set.
    pub(super) fn lookup(self, set: &str, flags: u32) -> Self {
        self.expression("lookup", |buf| {
            put_text(buf, NFTA_LOOKUP_SET, set);
            put_u32(buf, NFTA_LOOKUP_SREG, NFT_REG_1);
            put_u32(buf, NFTA_LOOKUP_FLAGS, flags);
        })
    }

    /// Goes on only if the source address is in the set.
    pub(super) fn source(self, set: Set) -> Self {
        self.source_key(set.family).lookup(set.name(), 0)
    }

    /// Goes on only with packets of the family; loads the source address.
    pub(super) fn source_key(self, family: Family) -> Self {
        let (protocol, offset, len) = match family {
            Family::V4 => (NFPROTO_IPV4, 12, 4),
            Family::V6 => (NFPROTO_IPV6, 8, 16),
        };
        self.meta(NFT_META_NFPROTO).compare(NFT_CMP_EQ, &[protocol]).payload(NFT_PAYLOAD_NETWORK_HEADER, offset, len)
    }

    /// Goes on only if the packet came in by such an interface, or by another one.
    pub(super) fn interface(self, operator: u32, kind: u16) -> Self {
        self.meta(NFT_META_IIFTYPE).compare(operator, &kind.to_ne_bytes())
    }

    /// Goes on only if the port of destination is in the set, or is not.
    pub(super) fn ports(self, set: &str, flags: u32) -> Self {
        self.payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2).lookup(set, flags)
    }

    /// Goes on only with TCP to the port.
    pub(super) fn port(self, port: u16) -> Self {
        self.meta(NFT_META_L4PROTO)
            .compare(NFT_CMP_EQ, &[IPPROTO_TCP])
            .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)
            .compare(NFT_CMP_EQ, &port.to_be_bytes())
    }

    /// Goes on only if the connection's destination was translated, or was not.
    pub(super) fn translated(self, operator: u32) -> Self {
        self.expression("ct", |buf| {
            put_u32(buf, NFTA_CT_DREG, NFT_REG_1);
            put_u32(buf, NFTA_CT_KEY, NFT_CT_STATUS);
        })
        .only(&IPS_DST_NAT.to_ne_bytes())
        .compare(operator, &[0; 4])
    }

    /// Leaves of what was loaded only these bits.
    pub(super) fn only(self, mask: &[u8]) -> Self {
        self.expression("bitwise", |buf| {
            put_u32(buf, NFTA_BITWISE_SREG, NFT_REG_1);
            put_u32(buf, NFTA_BITWISE_DREG, NFT_REG_1);
            put_u32(buf, NFTA_BITWISE_LEN, mask.len() as u32);
            nest(buf, NFTA_BITWISE_MASK, |buf| put(buf, NFTA_DATA_VALUE, mask));
            nest(buf, NFTA_BITWISE_XOR, |buf| put(buf, NFTA_DATA_VALUE, &vec![0; mask.len()]));
        })
    }

    /// Leaves of the address what one client has: all of IPv4, a /64 of IPv6, in which it chooses as it likes.
    pub(super) fn only_prefix(self, family: Family) -> Self {
        match family {
            Family::V4 => self,
            Family::V6 => self.only(&(u128::MAX << 64).to_be_bytes()),
        }
    }

    /// Loads what kind of address the destination is.
    pub(super) fn destination_type(self) -> Self {
        self.expression("fib", |buf| {
            put_u32(buf, NFTA_FIB_DREG, NFT_REG_1);
            put_u32(buf, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
            put_u32(buf, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
        })
    }

    /// Goes on only so many times a minute for what was loaded, and not at all when the set is full.
    pub(super) fn paced(self, set: &str, per_minute: u32) -> Self {
        self.expression("dynset", |buf| {
            put_text(buf, NFTA_DYNSET_SET_NAME, set);
            put_u32(buf, NFTA_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
            put_u32(buf, NFTA_DYNSET_SREG_KEY, NFT_REG_1);
            nest(buf, NFTA_DYNSET_EXPR, |buf| {
                put_text(buf, NFTA_EXPR_NAME, "limit");
                nest(buf, NFTA_EXPR_DATA, |buf| {
                    put_u64(buf, NFTA_LIMIT_RATE, u64::from(per_minute));
                    put_u64(buf, NFTA_LIMIT_UNIT, 60);
                    put_u32(buf, NFTA_LIMIT_BURST, per_minute);
                    put_u32(buf, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
                });
            });
        })
    }

    /// Sends the connection to a port of this machine.
    pub(super) fn redirect(self, port: u16) -> Self {
        self.expression("immediate", |buf| {
            put_u32(buf, NFTA_IMMEDIATE_DREG, NFT_REG_1);
            nest(buf, NFTA_IMMEDIATE_DATA, |buf| put(buf, NFTA_DATA_VALUE, &port.to_be_bytes()));
        })
        .expression("redir", |buf| put_u32(buf, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1))
    }

    pub(super) fn counter(self) -> Self {
        self.expression("counter", |_| {})
    }

    pub(super) fn verdict(self, code: i32, chain: Option<&str>) -> Self {
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

/// A rule's comment as the `nft` program stores and shows it: kind, length, text, zero byte.
pub(super) fn comment_data(comment: &str) -> Vec<u8> {
    let mut data = vec![UDATA_RULE_COMMENT, comment.len() as u8 + 1];
    data.extend_from_slice(comment.as_bytes());
    data.push(0);
    data
}

/// What the counters in a rule's expressions say.
pub(super) fn read_counters(expressions: &[u8]) -> Dropped {
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
