//! Live tunnels by cluster and replica, with the doors each announced. Pure data; the caller locks it.
//! Invariants: at most one tunnel per replica, and beside it the one that it replaces while sessions finish there; only
//! the tunnel that put an entry can change or remove it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

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
    /// Tunnels of the replica that are to be closed: all of an earlier start, and all of this one but the one that stays.
    pub(crate) superseded: Vec<T>,
}

/// What a probe's answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nothing.
    Noted,
    /// The tunnel became routable.
    Routable,
    /// Another tunnel took its place long ago, and the replica goes on as if it knew nothing of that.
    Duplicate,
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
    /// A newer tunnel of the replica is routable since then.
    Replaced(UnixMillis),
    /// The replica says that it is going away.
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

    /// Enters a tunnel; it is routable after its first probe answer. The replica's one before stays until then, and after
    /// that for the sessions that it has, if it is of the same start.
    pub(crate) fn attach(&mut self, who: Attachment, tunnel: T) -> Result<Attached<T>, OlderEpoch> {
        let Attachment { label, replica, epoch } = who;
        let tunnels = &mut self.clusters.entry(label).or_default().tunnels;
        if tunnels.iter().any(|entry| entry.replica == replica && entry.epoch > epoch) {
            return Err(OlderEpoch);
        }
        self.last_id += 1;
        let id = TunnelId(self.last_id);
        let stays = stays(tunnels, &replica, epoch);
        let over = |entry: &mut Entry<T>| entry.replica == replica && Some(entry.id) != stays;
        let superseded = tunnels.extract_if(.., over).map(|entry| entry.tunnel).collect();
        let (doors, targets) = (HashSet::new(), Vec::new());
        // Most clusters have one tunnel; growing by itself, the list would take room for four.
        tunnels.reserve_exact(1);
        tunnels.push(Entry { id, replica, epoch, state: State::Unproven, doors, targets, tunnel });
        Ok(Attached { id, superseded })
    }

    /// Notes that a probe was answered.
    pub(crate) fn answered(
        &mut self,
        label: Label,
        id: TunnelId,
        targets: Vec<TargetHealth>,
        now: UnixMillis,
    ) -> Answered {
        let Some(cluster) = self.clusters.get_mut(&label) else { return Answered::Noted };
        let Some(place) = cluster.tunnels.iter().position(|entry| entry.id == id) else {
            return Answered::Noted;
        };
        cluster.last_seen = now;
        let entry = &mut cluster.tunnels[place];
        entry.targets = targets;
        match entry.state {
            State::Unproven => cluster.prove(place, now),
            State::Replaced(since) if now.since(since) > KNOWS_BY => Answered::Duplicate,
            State::Routable | State::Replaced(_) | State::Leaving => Answered::Noted,
        }
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

    /// The newest routable tunnel of the cluster that announced the door; until one has, the one that it replaces.
    pub(crate) fn way(&self, name: &DoorName) -> Way<T> {
        let Some(cluster) = self.clusters.get(&name.label) else { return Way::Offline };
        let mut routable = cluster.tunnels.iter().rev().filter(|entry| entry.is_routable()).peekable();
        if routable.peek().is_none() {
            return Way::Offline;
        }
        let leads = |entry: &&Entry<T>| entry.doors.contains(&name.door);
        let replaced = || cluster.tunnels.iter().rev().filter(|entry| entry.is_replaced()).find(leads);
        let found = routable.find(leads).or_else(replaced);
        found.map_or(Way::UnknownDoor, |entry| Way::Tunnel(entry.tunnel.clone()))
    }

    /// Removes the entry that `id` put, and no other; true if it was still here. If new sessions went there, they go to
    /// the tunnel again that it had replaced.
    pub(crate) fn remove(&mut self, label: Label, id: TunnelId) -> bool {
        let Some(cluster) = self.clusters.get_mut(&label) else { return false };
        let Some(place) = cluster.tunnels.iter().position(|entry| entry.id == id) else { return false };
        let gone = cluster.tunnels.remove(place);
        cluster.lead_back(&gone.replica);
        true
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
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = &T> {
        self.clusters.values().flat_map(|cluster| &cluster.tunnels).map(|entry| &entry.tunnel)
    }

    /// The tunnels of a cluster, or of one replica of it.
    pub(crate) fn of<'r>(
        &'r self,
        label: Label,
        replica: Option<&'r ReplicaId>,
    ) -> impl Iterator<Item = &'r T> + 'r {
        let tunnels = self.clusters.get(&label).into_iter().flat_map(|cluster| &cluster.tunnels);
        let meant = move |entry: &&Entry<T>| replica.is_none_or(|replica| entry.replica == *replica);
        tunnels.filter(meant).map(|entry| &entry.tunnel)
    }

    fn entry(&mut self, label: Label, id: TunnelId) -> Option<&mut Entry<T>> {
        self.clusters.get_mut(&label)?.tunnels.iter_mut().find(|entry| entry.id == id)
    }
}

impl<T> Cluster<T> {
    /// New sessions go to the newest tunnel of a replica that ever answered.
    fn prove(&mut self, place: usize, now: UnixMillis) -> Answered {
        let replica = self.tunnels[place].replica.clone();
        let leads = |entry: &Entry<T>| entry.replica == replica && entry.is_routable();
        if self.tunnels[place..].iter().any(leads) {
            self.tunnels[place].state = State::Replaced(now);
            return Answered::Noted;
        }
        let before = self.tunnels[..place].iter_mut().filter(|entry| leads(entry));
        before.for_each(|entry| entry.state = State::Replaced(now));
        self.tunnels[place].state = State::Routable;
        Answered::Routable
    }

    /// A replica without a routable tunnel has the newest again that was replaced and not left.
    fn lead_back(&mut self, replica: &ReplicaId) {
        let alive =
            |entry: &&mut Entry<T>| entry.replica == *replica && (entry.is_routable() || entry.is_replaced());
        if let Some(newest) = self.tunnels.iter_mut().rev().find(alive) {
            newest.state = State::Routable;
        }
    }
}

impl<T> Entry<T> {
    fn is_routable(&self) -> bool {
        self.state == State::Routable
    }

    /// Its replica has not left it yet.
    fn is_replaced(&self) -> bool {
        matches!(self.state, State::Replaced(_))
    }
}

impl<T> Default for Cluster<T> {
    fn default() -> Self {
        Self { tunnels: Vec::new(), last_seen: UnixMillis::default() }
    }
}

/// The tunnel of this start that stays beside a new one: the newest that is proven, or else the newest. One that never
/// answered a probe must not end one that does.
fn stays<T>(tunnels: &[Entry<T>], replica: &ReplicaId, epoch: u64) -> Option<TunnelId> {
    let own = || tunnels.iter().rev().filter(|entry| entry.replica == *replica && entry.epoch == epoch);
    let proven = own().find(|entry| entry.state != State::Unproven);
    proven.or_else(|| own().next()).map(|entry| entry.id)
}

/// A replica that opened another tunnel says within seconds that it leaves the one before.
const KNOWS_BY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
