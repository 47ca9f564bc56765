//! The operators' API: who they are, what they see, their requests and outcomes. It gives no power over clusters.

pub(crate) mod admin;
pub(crate) mod api;
mod place;
mod quota;
pub(crate) mod server;
mod status;
mod visible;
mod watching;

pub(crate) use self::visible::Visible;
