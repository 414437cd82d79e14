//! Who may come in, and what they may do.
//!
//! The right to act is a type: a handler is given a `May<R>`, which only this room hands out after it has looked at a
//! session or token, and an [`Act`] can only be put together by who holds the right for it. What may be seen is a
//! [`Sight`], which comes from the same place. The table of rights is in `role`.

mod act;
mod guesses;
mod may;
mod openid;
mod passkey;
mod registry;
mod role;
mod second_factor;
mod session;
mod sight;
mod sign_in;
mod token;
mod user;
mod vault;

pub use act::Act;
pub use openid::OpenIdSettings;
pub use passkey::Passkey;
pub use registry::{AccessError, FIRST_LINK, LINK_TIME, Registry, Told};
pub use role::{Grade, Role};
pub use second_factor::code_at;
pub use session::StayLimits;
pub use sight::Sight;
pub use token::{Link, Token};
pub use user::{Hashing, OpenId, User};
pub use vault::{Answer, Change, DeskError, Entry, Vault};

pub(crate) use act::NotYours;
pub(crate) use guesses::Guesses;
pub(crate) use may::{May, Means, Who};
pub(crate) use openid::{OpenIdError, Provider};
pub(crate) use passkey::{Challenges, PASSKEYS_MAX, PasskeyError, Site, new_handle, passkey_name};
pub(crate) use role::{
    Ask, Block, BlockSending, EditNever, EditRules, Look, LookAround, LookAudit, ManageAccess, Own, Release, Right,
};
pub(crate) use second_factor::{link as second_factor_link, new_secret, picture, step_of};
pub(crate) use session::{Flash, SessionId, Sessions, Stage};
pub(crate) use sign_in::{Refusal, SignedIn, admit_session, admit_token};
pub(crate) use user::{PASSWORD_MAX, name as user_name, weakness};
