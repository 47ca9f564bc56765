//! Certificate authorities: every field of what they sign is built here; requests contribute a public key only.

mod authority;
mod grant;
mod leaf;
mod mesh;
mod server;
mod signer;

pub(crate) use self::signer::RcgenSigner;
pub use self::{
    authority::{Authority, AuthorityError, CaKind},
    grant::{GrantTerms, IssuedGrant, MAX_CERTIFICATE_TTL},
    leaf::{IssueError, MAX_MESH_LIFE, MAX_OPERATOR_LIFE},
    mesh::{IssuedLeaf, MESH_LEAF_LIFE},
    server::{GATE_SERVER_LIFE, self_signed_api_server},
};

#[cfg(test)]
mod tests;
