//! Certificate authorities: every field of what they sign is built here; requests contribute a public key only.

mod authority;
mod grant;
mod leaf;

pub use self::{
    authority::{Authority, AuthorityError, CaKind},
    grant::{GrantTerms, IssuedGrant, MAX_CERTIFICATE_TTL},
    leaf::{GATE_SERVER_LIFE, IssueError, MAX_MESH_LIFE, MAX_OPERATOR_LIFE},
};
