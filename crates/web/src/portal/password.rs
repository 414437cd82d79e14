use std::fmt;
use std::future::Future;
use std::pin::Pin;

use zeroize::Zeroizing;

/// A password on its way to the mail server: never shown, wiped when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes it over.
    pub fn new(text: Zeroizing<String>) -> Self {
        Password(text)
    }

    /// What it is. For the check alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What the mail server says of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right.
    Right,
    /// It is wrong, or there is no such account.
    Wrong,
    /// It could not be checked; for the log: why.
    Unavailable(String),
}

/// Who checks passwords.
pub trait CheckPassword: Send + Sync + 'static {
    /// Whether this is the account's password. Ends within seconds, whatever the mail server does.
    fn check<'a>(
        &'a self,
        account: &'a str,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;
}
