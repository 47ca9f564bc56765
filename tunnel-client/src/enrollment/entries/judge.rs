//! What becomes of an inventory entry that a vendor key signed. Pure.

use tunnel_certs::statement::inventory::{Entry, OpenError, Opened};

use crate::{config::Cluster, enrollment::record::Confirmed, keys::PublicPair};

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is the one in force.
    Know,
    /// Its keys are confirmed: it takes the place of the one before.
    Renew,
    /// Nobody has confirmed its keys.
    Hold,
}

/// Why it is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It does not hold.
    #[error("the inventory entry")]
    Open(#[source] OpenError),
    /// It is not for this cluster.
    #[error("the inventory entry is another cluster's")]
    OtherCluster,
    /// It is for keys that this client does not have.
    #[error("the inventory entry holds other keys than ours")]
    OtherKeys,
}

/// Whose entry it must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'o> {
    pub(super) cluster: &'o Cluster,
    pub(super) keys: &'o PublicPair,
    pub(super) next: Option<&'o PublicPair>,
    pub(super) confirmed: Option<&'o Confirmed>,
}

/// The keys that an entry holds.
pub(super) fn keys(entry: &Entry) -> PublicPair {
    PublicPair { cluster: entry.cluster_key.clone(), sealing: entry.sealing_key }
}

/// Own cluster, own keys, not older than what was confirmed.
pub(super) fn judge(ours: Ours<'_>, opened: &Opened) -> Result<Offer, Refused> {
    let entry = &opened.entry;
    if entry.label != ours.cluster.label || entry.cluster != ours.cluster.name {
        return Err(Refused::OtherCluster);
    }
    let held = keys(entry);
    if held != *ours.keys && Some(&held) != ours.next {
        return Err(Refused::OtherKeys);
    }
    let Some(confirmed) = ours.confirmed else { return Ok(Offer::Hold) };
    opened.check_succeeds(confirmed.sequence, &confirmed.digest).map_err(Refused::Open)?;
    Ok(match (held == confirmed.keys, entry.sequence == confirmed.sequence) {
        (true, true) => Offer::Know,
        (true, false) => Offer::Renew,
        (false, _) => Offer::Hold,
    })
}

#[cfg(test)]
mod tests {
    use tunnel_certs::key::{Algorithm, SealingKey, Signer, SigningKey};
    use tunnel_certs::words::Words;
    use tunnel_protos::{Digest, UnixMillis};

    use super::*;

    fn pair() -> PublicPair {
        PublicPair {
            cluster: SigningKey::generate(Algorithm::Ed25519).unwrap().public().clone(),
            sealing: *SealingKey::generate().unwrap().public(),
        }
    }

    fn cluster() -> Cluster {
        Cluster { name: "acme/prod".parse().unwrap(), label: "k3v7aaaaaa".parse().unwrap() }
    }

    fn opened(keys: &PublicPair, sequence: u64, digest: u8) -> Opened {
        let Cluster { name, label } = cluster();
        let entry = Entry {
            cluster: name,
            label,
            cluster_key: keys.cluster.clone(),
            sealing_key: keys.sealing,
            sequence,
            expires: UnixMillis(1),
        };
        let digest = Digest::new([digest; 32]);
        Opened { entry, digest, words: Words::of(&digest) }
    }

    #[test]
    fn own_keys_wait_until_confirmed_and_are_renewed_after() {
        let (own, next, cluster) = (pair(), pair(), cluster());
        let ours = Ours { cluster: &cluster, keys: &own, next: None, confirmed: None };
        assert_eq!(judge(ours, &opened(&own, 1, 1)).unwrap(), Offer::Hold);
        let confirmed = Confirmed {
            keys: own.clone(),
            sequence: 3,
            digest: Digest::new([3; 32]),
            envelope: Vec::new(),
            previous_until: None,
        };
        let ours = Ours { confirmed: Some(&confirmed), next: Some(&next), ..ours };
        assert_eq!(judge(ours, &opened(&own, 3, 3)).unwrap(), Offer::Know);
        assert_eq!(judge(ours, &opened(&own, 4, 4)).unwrap(), Offer::Renew);
        assert_eq!(judge(ours, &opened(&next, 4, 4)).unwrap(), Offer::Hold);
        assert!(matches!(judge(ours, &opened(&own, 3, 9)), Err(Refused::Open(OpenError::Changed))));
        assert!(matches!(judge(ours, &opened(&own, 2, 2)), Err(Refused::Open(OpenError::Older { .. }))));
        assert!(matches!(judge(ours, &opened(&next, 3, 4)), Err(Refused::Open(OpenError::Changed))));
    }

    #[test]
    fn foreign_entries_are_refused_even_with_half_of_our_keys() {
        let (own, next, cluster) = (pair(), pair(), cluster());
        let ours = Ours { cluster: &cluster, keys: &own, next: Some(&next), confirmed: None };
        let mixed = PublicPair { cluster: own.cluster.clone(), sealing: next.sealing };
        for keys in [pair(), mixed] {
            assert!(matches!(judge(ours, &opened(&keys, 1, 1)), Err(Refused::OtherKeys)));
        }
        let mut foreign = opened(&own, 1, 1);
        foreign.entry.label = "otheraaaaa".parse().unwrap();
        assert!(matches!(judge(ours, &foreign), Err(Refused::OtherCluster)));
        let mut foreign = opened(&own, 1, 1);
        foreign.entry.cluster = "acme/test".parse().unwrap();
        assert!(matches!(judge(ours, &foreign), Err(Refused::OtherCluster)));
    }
}
