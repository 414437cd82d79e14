//! Blocks in force as other firewalls take them: networks with their ends, and nothing else.

use std::collections::HashSet;
use std::sync::Arc;

use fairban_types::{Code, Time};
use ipnet::IpNet;

use crate::encoding::{self, column};
use crate::{Reader, StoreError};

/// A network that is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    /// The network.
    pub net: IpNet,
    /// The end; `None` is permanent.
    pub until: Option<Time>,
    /// The rule, or `manual`.
    pub rule: Arc<str>,
    /// The reference.
    pub code: Code,
}

impl Reader {
    /// Every network that is blocked at a moment, but for those that are only observed.
    pub fn feed(&self, now: Time) -> Result<Vec<Fed>, StoreError> {
        let sql = "SELECT b.subject, b.until, b.rule, b.code FROM blocks b INDEXED BY blocks_fed
             WHERE b.kind = 'network' AND b.effect <> 'observe' AND b.ended IS NULL AND (b.until IS NULL OR b.until > ?1)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([now.millis()])?;
        let (mut list, mut rules) = (Vec::new(), HashSet::<Arc<str>>::new());
        while let Some(row) = rows.next()? {
            let subject = row.get_ref(0)?;
            let subject = column(0, subject, subject.as_blob().and_then(encoding::subject))?;
            let Some(net) = subject.network() else { continue };
            let rule = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            let rule = match rules.get(rule) {
                Some(known) => known.clone(),
                None => {
                    let new: Arc<str> = rule.into();
                    rules.insert(new.clone());
                    new
                }
            };
            list.push(Fed {
                net,
                until: row.get::<_, Option<i64>>(1)?.map(Time::from_millis),
                rule,
                code: Code::new(row.get::<_, i64>(3)?.unsigned_abs()),
            });
        }
        Ok(list)
    }

    /// Changes whenever a decision is stored: what is made from blocks alone is the same while this is.
    pub fn decision_mark(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(id), 0) FROM decisions";
        Ok(self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}
