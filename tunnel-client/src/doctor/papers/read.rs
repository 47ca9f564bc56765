//! Reading them as a start would, without making or keeping anything.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use tunnel_certs::{
    file,
    key::{KeyError, SigningKey},
    statement::inventory,
    verify::Summary,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::chain;

use super::Papers;
use crate::{
    config::{Cluster, Config},
    enrollment::Glance,
    keys::Keys,
    trust::{AccessCa, Belief, Leaf, LoadError, Pace, Sources},
};

impl Papers {
    pub(in crate::doctor) fn read(config: &Config, now: UnixMillis) -> Self {
        let glance = Glance::of(config);
        let known = glance.as_ref().ok();
        let mut belief = believe(config, known, now).map_err(|error| text(&error));
        let leaf = match (&belief, known) {
            (Ok(belief), Some(glance)) => leaf(config, &glance.cluster, belief, now),
            _ => Ok(None),
        };
        if let (Ok(belief), Ok(leaf)) = (&mut belief, &leaf) {
            belief.leaf.clone_from(leaf);
        }
        let entry = belief.as_ref().map_or(Ok(None), |belief| entry(config, known, belief));
        Self { entry, access: access(&config.state_dir), glance, belief, leaf }
    }
}

/// Before the first start, the enrollment bundle's own trust bundle is all there is.
fn believe(config: &Config, glance: Option<&Glance>, now: UnixMillis) -> Result<Belief, LoadError> {
    match Belief::of_vendor(&config.state_dir, config.trust.as_ref(), now) {
        Err(LoadError::NoBundle) => {
            let bundle = glance.and_then(|glance| glance.trust.clone()).ok_or(LoadError::NoBundle)?;
            Ok(Belief { bundle, removed: BTreeSet::new(), leaf: None })
        }
        read => read,
    }
}

fn leaf(
    config: &Config,
    cluster: &Cluster,
    belief: &Belief,
    now: UnixMillis,
) -> Result<Option<Leaf>, String> {
    let mesh_key = match SigningKey::load(&Keys::mesh_path(&config.state_dir)) {
        Ok(key) => Arc::new(key),
        Err(KeyError::File(error)) if error.is_missing() => return Ok(None),
        Err(error) => return Err(format!("the mesh key: {}", chain(&error))),
    };
    let sources = Sources {
        folder: config.state_dir.clone(),
        label: cluster.label,
        files: config.trust.clone(),
        mesh_certificate: config.mesh_certificate.clone(),
        mesh_key,
        pace: Pace::default(),
    };
    belief.own(&sources, now).map_err(|error| text(&error))
}

/// The newer of the one that a person confirmed and the one that the configuration names.
fn entry(
    config: &Config,
    glance: Option<&Glance>,
    belief: &Belief,
) -> Result<Option<inventory::Opened>, String> {
    let confirmed = glance.and_then(|glance| glance.entry.clone()).map(Ok);
    let named = config.inventory_entry.as_deref().map(|path| file::read(path).map_err(|error| text(&error)));
    let open = |read: Result<Vec<u8>, String>| open(&read?, glance, belief);
    let opened: Vec<_> = confirmed.into_iter().chain(named).map(open).collect();
    let newest = opened.iter().flatten().max_by_key(|opened| opened.entry.sequence).cloned();
    match newest {
        Some(newest) => Ok(Some(newest)),
        None => opened.into_iter().next().transpose(),
    }
}

/// Its end is looked at where it is told.
fn open(bytes: &[u8], glance: Option<&Glance>, belief: &Belief) -> Result<inventory::Opened, String> {
    let opened = inventory::open_at_any_time(bytes, &belief.bundle.vendor_keys);
    let opened = opened.map_err(|error| text(&error))?;
    match glance.map(|glance| &glance.cluster) {
        Some(ours) if opened.entry.label != ours.label || opened.entry.cluster != ours.name => {
            Err(format!("the entry is of {} ({})", opened.entry.cluster, opened.entry.label))
        }
        _ => Ok(opened),
    }
}

fn access(folder: &Path) -> Result<Option<Summary>, String> {
    let der = AccessCa::in_force(folder).map_err(|error| text(&error))?;
    der.map(|der| Summary::read(&der).map_err(|error| text(&error))).transpose()
}

fn text(error: &dyn std::error::Error) -> String {
    chain(error).to_string()
}
