use ipnet::IpNet;

use crate::{Change, Element, EnforceError};

/// What differed between what should be blocked and what was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Addresses and ranges that should have been there, put in.
    pub missing: usize,
    /// Addresses and ranges that should not have been there, taken out.
    pub surplus: usize,
    /// Addresses and ranges that were there with another end, set right.
    pub changed: usize,
    /// Whether the table itself was absent or not as this program makes it, and was made anew.
    pub rebuilt: bool,
}

impl Difference {
    /// Whether everything was as it should be.
    pub fn is_none(&self) -> bool {
        *self == Difference::default()
    }
}

/// What blocked clients were denied since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Puts blocks into force. The never-block list wins over every block, whatever the order in which they came.
///
/// After any error, what was in force stays in force, and [`Enforcer::reconcile`] must be what is called next.
pub trait Enforcer: Send {
    /// Puts changes into force, all or none where they fit into one transaction (about 50,000 do). Of several changes
    /// to the same network the last counts.
    ///
    /// # Errors
    /// [`EnforceError::Diverged`] if there was an error before, or if another program has changed what is in force.
    fn apply(&mut self, changes: &[Change]) -> Result<(), EnforceError>;

    /// Compares what should be in force with what is, and mends it. Ends that differ by less than two seconds are the
    /// same.
    ///
    /// # Errors
    /// What the kernel says; never [`EnforceError::Diverged`].
    fn reconcile(&mut self, want: &[Element], never: &[IpNet]) -> Result<Difference, EnforceError>;

    /// Removes everything that this enforcer ever made. What follows must be a [`Enforcer::reconcile`].
    ///
    /// # Errors
    /// What the kernel says.
    fn flush(&mut self) -> Result<(), EnforceError>;

    /// What has been dropped so far.
    ///
    /// # Errors
    /// What the kernel says.
    fn dropped(&mut self) -> Result<Dropped, EnforceError>;

    /// What is guarded by what, in a phrase for status and log.
    fn describe(&self) -> String;
}
