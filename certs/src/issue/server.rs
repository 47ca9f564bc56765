//! Server certificates: the gate's, and one of the operators' API for demos and tests.

use std::{net::IpAddr, sync::Arc, time::Duration};

use rcgen::{DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use tunnel_protos::{Label, Suffix, UnixMillis};

use super::{
    Authority, IssueError,
    leaf::{BACKDATED, GATE_SERVER, parameters},
    signer::RcgenSigner,
};
use crate::{
    credential::Credential,
    key::{Algorithm, Signer, SigningKey},
};

/// Life of a gate's server certificate, whose key lives in memory only.
pub const GATE_SERVER_LIFE: Duration = Duration::from_secs(24 * 3600);

impl Authority {
    /// A gate's server certificate for `*.<label>.<suffix>` (serverAuth) with a fresh key, 24 h.
    pub fn issue_gate_server(
        &self,
        label: &Label,
        suffix: &Suffix,
        now: UnixMillis,
    ) -> Result<Credential, IssueError> {
        let key = fresh_key()?;
        let mut parameters =
            self.leaf_parameters(GATE_SERVER, now.minus(BACKDATED), now.plus(GATE_SERVER_LIFE))?;
        parameters.subject_alt_names = vec![dns(format!("*.{label}.{suffix}"))?];
        parameters.distinguished_name.push(DnType::CommonName, format!("gate {label}"));
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = self.sign(key.public(), parameters)?;
        pair(signed.certificate, key)
    }
}

/// A self-signed server certificate of `api.<suffix>` with a fresh key, for demos and tests: it is its own root.
///
/// In production the operators' API has an ordinary certificate of a public CA or the vendor's own.
pub fn self_signed_api_server(
    suffix: &Suffix,
    addresses: &[IpAddr],
    life: Duration,
    now: UnixMillis,
) -> Result<Credential, IssueError> {
    let key = fresh_key()?;
    let mut parameters = parameters(now.minus(BACKDATED), now.plus(life)).map_err(IssueError::Build)?;
    parameters.subject_alt_names = vec![dns(suffix.api())?];
    parameters.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    parameters.distinguished_name.push(DnType::CommonName, "Postern operators' API");
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let signer: &dyn Signer = &key;
    let certificate = parameters.self_signed(&RcgenSigner(signer)).map_err(IssueError::Build)?;
    let der = certificate.der().clone();
    pair(der, key)
}

fn fresh_key() -> Result<SigningKey, IssueError> {
    SigningKey::generate(Algorithm::P256).map_err(IssueError::Generate)
}

fn dns(name: String) -> Result<SanType, IssueError> {
    name.try_into().map(SanType::DnsName).map_err(IssueError::Build)
}

fn pair(
    certificate: rustls_pki_types::CertificateDer<'static>,
    key: SigningKey,
) -> Result<Credential, IssueError> {
    Credential::new(vec![certificate], Arc::new(key)).map_err(IssueError::Credential)
}
