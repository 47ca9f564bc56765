//! Live tunnels by cluster and replica, with the doors each announced. Pure data; the caller locks it.
//! Invariants: at most one tunnel per replica, and only the tunnel that put an entry can change or remove it.

use std::collections::{HashMap, HashSet};

use tunnel_protos::{
    Door, DoorName, Label, ReplicaId, UnixMillis,
    v1::{Doors, TargetHealth},
};

/// One attachment; never used again after its tunnel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TunnelId(u64);

/// Who attached, as its certificate and its hello say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// The cluster, from the certificate.
    pub(crate) label: Label,
    /// The replica, from the certificate.
    pub(crate) replica: ReplicaId,
    /// The replica's start counter.
    pub(crate) epoch: u64,
}

/// An entry was made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attached<T> {
    /// Its id.
    pub(crate) id: TunnelId,
    /// The replica's tunnel before, which is to be closed.
    pub(crate) superseded: Option<T>,
}

/// The replica has a tunnel of a later start: two processes share one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a later start of the same replica is attached")]
pub(crate) struct OlderEpoch;

/// Why doors were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoorsError {
    /// More than the tunnel may announce.
    #[error("too many doors")]
    TooMany,
    /// Not a door.
    #[error("malformed door")]
    Malformed,
    /// The tunnel is not here any more.
    #[error("not attached")]
    NotAttached,
}

/// Where a door leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way<T> {
    /// To this tunnel.
    Tunnel(T),
    /// Nowhere: tunnels of the cluster are here, none announced it.
    UnknownDoor,
    /// Nowhere: no tunnel of the cluster is here.
    Offline,
}

/// A cluster as seen from here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overview {
    /// Routable tunnels.
    pub(crate) tunnels: u32,
    /// Engine health by the newest probe answer.
    pub(crate) targets: Vec<TargetHealth>,
    /// When a probe was answered last; zero for never.
    pub(crate) last_seen: UnixMillis,
}

/// Live tunnels.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    clusters: HashMap<Label, Cluster<T>>,
    doors_per_tunnel: usize,
    last_id: u64,
}

#[derive(Debug)]
struct Cluster<T> {
    tunnels: Vec<Entry<T>>,
    last_seen: UnixMillis,
}

/// Whether new sessions go to a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No probe was answered yet: connected means proven.
    Unproven,
    Routable,
    /// The replica is going away.
    Leaving,
}

#[derive(Debug)]
struct Entry<T> {
    id: TunnelId,
    replica: ReplicaId,
    epoch: u64,
    state: State,
    doors: HashSet<Door>,
    targets: Vec<TargetHealth>,
    tunnel: T,
}

impl<T: Clone> Registry<T> {
    /// Takes at most `doors_per_tunnel` of each tunnel.
    pub(crate) fn new(doors_per_tunnel: u32) -> Self {
        Self { clusters: HashMap::new(), doors_per_tunnel: doors_per_tunnel as usize, last_id: 0 }
    }

    /// Enters a tunnel, in place of the replica's one before; it is routable after its first probe answer.
    pub(crate) fn attach(&mut self, who: Attachment, tunnel: T) -> Result<Attached<T>, OlderEpoch> {
        let Attachment { label, replica, epoch } = who;
        let tunnels = &mut self.clusters.entry(label).or_default().tunnels;
        let before = tunnels.iter().position(|entry| entry.replica == replica);
        if before.is_some_and(|place| tunnels[place].epoch > epoch) {
            return Err(OlderEpoch);
        }
        self.last_id += 1;
        let id = TunnelId(self.last_id);
        let superseded = before.map(|place| tunnels.remove(place).tunnel);
        let (doors, targets) = (HashSet::new(), Vec::new());
        // Most clusters have one tunnel; growing by itself, the list would take room for four.
        tunnels.reserve_exact(1);
        tunnels.push(Entry { id, replica, epoch, state: State::Unproven, doors, targets, tunnel });
        Ok(Attached { id, superseded })
    }

    /// Notes that a probe was answered; true if the tunnel became routable by it.
    pub(crate) fn answered(
        &mut self,
        label: Label,
        id: TunnelId,
        targets: Vec<TargetHealth>,
        now: UnixMillis,
    ) -> bool {
        let Some(cluster) = self.clusters.get_mut(&label) else { return false };
        let Some(entry) = cluster.tunnels.iter_mut().find(|entry| entry.id == id) else { return false };
        cluster.last_seen = now;
        entry.targets = targets;
        let first = entry.state == State::Unproven;
        if first {
            entry.state = State::Routable;
        }
        first
    }

    /// Sends no new sessions to a tunnel whose replica is going away.
    pub(crate) fn leaving(&mut self, label: Label, id: TunnelId) {
        if let Some(entry) = self.entry(label, id) {
            entry.state = State::Leaving;
        }
    }

    /// Takes an announcement; a malformed one changes nothing, and after any error the tunnel is to be closed.
    pub(crate) fn announce(&mut self, label: Label, id: TunnelId, change: &Doors) -> Result<(), DoorsError> {
        let parse = |door: &String| door.parse::<Door>().map_err(|_| DoorsError::Malformed);
        let added = change.added.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let removed = change.removed.iter().map(parse).collect::<Result<HashSet<_>, _>>()?;
        let limit = self.doors_per_tunnel;
        let entry = self.entry(label, id).ok_or(DoorsError::NotAttached)?;
        let mut doors = if change.full { HashSet::new() } else { std::mem::take(&mut entry.doors) };
        doors.retain(|door| !removed.contains(door));
        doors.extend(added);
        if doors.len() > limit {
            return Err(DoorsError::TooMany);
        }
        entry.doors = doors;
        Ok(())
    }

    /// The newest routable tunnel of the cluster that announced the door.
    pub(crate) fn way(&self, name: &DoorName) -> Way<T> {
        let Some(cluster) = self.clusters.get(&name.label) else { return Way::Offline };
        let mut routable = cluster.tunnels.iter().rev().filter(|entry| entry.is_routable()).peekable();
        if routable.peek().is_none() {
            return Way::Offline;
        }
        let found = routable.find(|entry| entry.doors.contains(&name.door));
        found.map_or(Way::UnknownDoor, |entry| Way::Tunnel(entry.tunnel.clone()))
    }

    /// Removes the entry that `id` put, and no other; true if it was still here.
    pub(crate) fn remove(&mut self, label: Label, id: TunnelId) -> bool {
        let Some(cluster) = self.clusters.get_mut(&label) else { return false };
        let before = cluster.tunnels.len();
        cluster.tunnels.retain(|entry| entry.id != id);
        cluster.tunnels.len() < before
    }

    /// The cluster as seen from here.
    pub(crate) fn overview(&self, label: Label) -> Overview {
        let Some(cluster) = self.clusters.get(&label) else { return Overview::default() };
        let routable = cluster.tunnels.iter().filter(|entry| entry.is_routable());
        Overview {
            tunnels: u32::try_from(routable.clone().count()).unwrap_or(u32::MAX),
            targets: routable.last().map(|entry| entry.targets.clone()).unwrap_or_default(),
            last_seen: cluster.last_seen,
        }
    }

    /// Every tunnel.
    #[cfg(test)]
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = &T> {
        self.clusters.values().flat_map(|cluster| &cluster.tunnels).map(|entry| &entry.tunnel)
    }

    fn entry(&mut self, label: Label, id: TunnelId) -> Option<&mut Entry<T>> {
        self.clusters.get_mut(&label)?.tunnels.iter_mut().find(|entry| entry.id == id)
    }
}

impl<T> Entry<T> {
    fn is_routable(&self) -> bool {
        self.state == State::Routable
    }
}

impl<T> Default for Cluster<T> {
    fn default() -> Self {
        Self { tunnels: Vec::new(), last_seen: UnixMillis::default() }
    }
}

#[cfg(test)]
mod tests;
