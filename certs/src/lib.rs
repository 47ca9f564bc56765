//! Keys, certificates, signed statements, sealing and TLS configurations: everything that trust rests on.
//!
//! No sockets, no clock (callers pass now), no policy. What a type of this crate holds has been checked:
//! a [`verify::GrantCertificate`] or an [`statement::request::Opened`] cannot be had in another way.

pub mod cli;
pub mod credential;
pub mod crypto;
pub mod csr;
pub mod enrollment;
pub mod file;
pub mod identity;
pub mod issue;
pub mod key;
pub mod pem;
pub mod reissue;
pub mod reload;
pub mod renew;
pub mod roots;
pub mod rotation;
pub mod seal;
pub mod service_account;
pub mod statement;
pub mod tls;
pub mod verify;
pub mod words;

#[cfg(test)]
mod testing;
