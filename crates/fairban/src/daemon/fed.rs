//! The list of blocked networks that other firewalls fetch: made anew only when something was decided.

use std::sync::{Arc, Mutex, PoisonError};

use fairban_store::{Reader, StoreError};
use fairban_web::admin::view::FeedRow;

use super::now;

/// After which decision the list was made, and the list.
type Made = (i64, Arc<Vec<FeedRow>>);

/// The list as it was made last.
#[derive(Clone, Default)]
pub(crate) struct Fed(Arc<Mutex<Option<Made>>>);

impl Fed {
    /// The networks that are blocked, in order of address.
    pub(super) fn rows(&self, reader: &Reader) -> Result<Arc<Vec<FeedRow>>, StoreError> {
        let mark = reader.decision_mark()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rows)) = known.as_ref().filter(|(made_after, _)| *made_after == mark) {
            return Ok(rows.clone());
        }
        let row = |fed: fairban_store::Fed| FeedRow { net: fed.net, until: fed.until, rule: fed.rule, code: fed.code };
        let mut rows: Vec<FeedRow> = reader.feed(now())?.into_iter().map(row).collect();
        rows.sort_unstable_by_key(|row| row.net);
        let rows = Arc::new(rows);
        *known = Some((mark, rows.clone()));
        Ok(rows)
    }
}
