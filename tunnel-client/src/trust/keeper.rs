//! The one task that changes what is believed: it takes candidates, follows the customer's files, and asks for renewal.
//!
//! What loosens is recorded and stored before it counts; the removal of a root counts first.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{error, info, warn};
use tunnel_certs::{
    credential::Credential,
    file::{self, FileError},
    statement::trust_bundle::TrustBundle,
    tls::TlsError,
    verify::REISSUE_GRACE,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::chain;

use super::{
    AccessCa, Belief, BundleError, Fingerprint, Leaf, LeafError, RemoveError, RotateError, Rotated, Shared,
    Source, Sources, candidate,
    files::Marks,
    folder::{self, Folder},
    metrics,
    renewal::Renewal,
};
use crate::{
    audit::{Audit, By, Event, Millis},
    clock,
    disk::Disk,
};

/// What the keeper is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A trust bundle came.
    Bundle(Vec<u8>, Source, oneshot::Sender<Result<(), BundleError>>),
    /// A certificate for the mesh key came.
    Leaf(Vec<u8>, oneshot::Sender<Result<(), LeafError>>),
    /// A root is trusted no more, which is to be recorded and stored.
    Removed(Fingerprint, By, oneshot::Sender<Result<(), RemoveError>>),
    /// The vendor's CAs change: a certificate of this root is wanted.
    Rotate(Fingerprint),
    /// The customer's access CA is to be replaced.
    RotateAccess(AccessCa, Rotation, oneshot::Sender<Result<Rotated, RotateError>>),
}

/// How the access CA is to be replaced.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) if_due: bool,
    pub(super) now: UnixMillis,
    pub(super) by: By,
}

/// Owns every change of what is believed; [`Keeper::run`] it in one task.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    sources: Sources,
    folder: Folder,
    commands: mpsc::Receiver<Command>,
    marks: Marks,
    renewal: Renewal,
    disk: Disk,
    /// The removed roots that are on the disk.
    stored: BTreeSet<Fingerprint>,
    /// The disk may name other access CAs than those in force.
    unsettled: Option<AccessCa>,
    /// Why the mesh certificate's file was not taken last.
    leaf_refused: Option<String>,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        sources: Sources,
        folder: Folder,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let marks = Marks::of(&sources);
        let renewal = Renewal::of(shared.belief.borrow().leaf.as_ref(), &sources.pace);
        let stored = shared.belief.borrow().removed.clone();
        let (disk, unsettled, leaf_refused) = (Disk::default(), None, None);
        Self { shared, sources, folder, commands, marks, renewal, disk, stored, unsettled, leaf_refused }
    }

    /// Works until nobody is left to ask; dropping it loses nothing that was stored.
    pub async fn run(mut self, audit: Audit) {
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command, &audit).await,
                    None => return,
                },
                _ = polls.tick() => self.look(&audit).await,
                () = sleep(self.renewal.pause(clock::wall())) => self.ask_for_renewal(),
            }
        }
    }

    async fn handle(&mut self, command: Command, audit: &Audit) {
        // Whoever asked may have gone; what was done stays done.
        match command {
            Command::Bundle(bytes, from, reply) => {
                drop(reply.send(self.take_bundle(bytes, &from, audit).await));
            }
            Command::Leaf(der, reply) => drop(reply.send(self.take_leaf(der, audit).await)),
            Command::Removed(root, by, reply) => drop(reply.send(self.keep_removed(root, by, audit).await)),
            Command::Rotate(root) => self.rotate(root),
            Command::RotateAccess(access, asked, reply) => {
                drop(reply.send(self.rotate_access(access, asked, audit).await));
            }
        }
    }

    async fn take_bundle(&mut self, bytes: Vec<u8>, from: &Source, audit: &Audit) -> Result<(), BundleError> {
        let taken = self.replace_bundle(bytes, from, audit).await;
        self.refuse_bundle(taken)
    }

    /// Shows why, if it was not taken.
    fn refuse_bundle(&self, taken: Result<(), BundleError>) -> Result<(), BundleError> {
        let refused = taken.as_ref().err().map(|error| chain(error).to_string()).unwrap_or_default();
        if !refused.is_empty() {
            metrics::refused("bundle");
        }
        let before = std::mem::replace(&mut *self.shared.refused.lock(), refused.clone());
        // A broker can send any number: one line for each new reason.
        if !refused.is_empty() && refused != before {
            warn!(error = refused, "Trust bundle not taken");
        }
        taken
    }

    async fn replace_bundle(
        &mut self,
        bytes: Vec<u8>,
        from: &Source,
        audit: &Audit,
    ) -> Result<(), BundleError> {
        let current = self.belief();
        let pinned = match (from, &self.sources.files) {
            (Source::File, Some(files)) => candidate::pinned(files).unwrap_or_default(),
            _ => Vec::new(),
        };
        let Some(next) = candidate::next(&current.bundle, &bytes, &pinned, clock::wall())? else {
            return Ok(());
        };
        let event = replaced(&current.bundle, &next, &bytes, from);
        let candidate = Belief { bundle: next.clone(), ..(*current).clone() };
        candidate.dialing().map_err(BundleError::Tls)?;
        audit.record(event).await.map_err(BundleError::Audit)?;
        let folder = self.folder.clone();
        self.disk.run(move || folder.keep_bundle(&bytes)).await.map_err(BundleError::Store)?;
        let sequence = next.sequence;
        self.shared.change(|belief| belief.bundle = next).map_err(BundleError::Tls)?;
        info!(sequence, replaces = current.bundle.sequence, "Trust bundle in force");
        Ok(())
    }

    /// A certificate that we asked for: for our key, our identity, under a root that we trust, and better than ours.
    async fn take_leaf(&mut self, der: Vec<u8>, audit: &Audit) -> Result<(), LeafError> {
        let taken = self.replace_leaf(der, audit).await;
        if let Err(error) = &taken
            && !matches!(error, LeafError::Unwanted)
        {
            metrics::refused("leaf");
            self.renewal.refused(chain(error).to_string());
        }
        self.shared.tell(&self.renewal);
        taken
    }

    async fn replace_leaf(&mut self, der: Vec<u8>, audit: &Audit) -> Result<(), LeafError> {
        let belief = self.belief();
        let wanted = belief.leaf.as_ref().is_none_or(is_forgotten) || self.renewal.is_asking();
        if !wanted {
            return Err(LeafError::Unwanted);
        }
        let credential = Credential::new(vec![der.clone().into()], self.sources.mesh_key.clone());
        let leaf = self.own(credential.map_err(LeafError::Credential)?, &belief)?;
        belief.check(&leaf, clock::wall()).map_err(LeafError::Refused)?;
        if !self.renewal.is_better(&leaf, &belief) {
            return Err(LeafError::Unwanted);
        }
        let folder = self.folder.clone();
        self.disk.run(move || folder.keep_leaf(&der)).await.map_err(LeafError::Store)?;
        self.show(leaf, audit)
    }

    /// This vendor's and cluster's, and the replica that we are, as long as brokers know it.
    fn own(&self, credential: Credential, belief: &Belief) -> Result<Leaf, LeafError> {
        let leaf = Leaf::of(credential, &belief.bundle.vendor, &self.sources.label);
        let leaf = leaf.ok_or(LeafError::Foreign)?;
        let same = |current: &Leaf| current.replica == leaf.replica || is_forgotten(current);
        let same = belief.leaf.as_ref().is_none_or(same);
        if same { Ok(leaf) } else { Err(LeafError::Foreign) }
    }

    /// Lets a certificate that was checked and stored take effect.
    fn show(&mut self, leaf: Leaf, audit: &Audit) -> Result<(), LeafError> {
        let (fingerprint, until) = (leaf.fingerprint(), leaf.not_after());
        let shown = leaf.clone();
        self.shared.change(|belief| belief.leaf = Some(leaf)).map_err(LeafError::Tls)?;
        audit.note(Event::MeshCertificate { fingerprint: fingerprint.to_string(), until: Millis(until) });
        info!(until = %until, "Mesh certificate in force");
        metrics::renewed();
        self.renewal.renewed(Some(&shown));
        self.shared.tell(&self.renewal);
        Ok(())
    }

    async fn keep_removed(&mut self, root: Fingerprint, by: By, audit: &Audit) -> Result<(), RemoveError> {
        // Noted for later by the log itself if the disk does not take it now.
        let _ = audit.record(Event::RootRemoved { root: root.to_string(), by }).await;
        self.store_removed().await.map_err(RemoveError::Store)
    }

    async fn store_removed(&mut self) -> Result<(), FileError> {
        let (folder, removed) = (self.folder.clone(), self.belief().removed.clone());
        let kept = removed.clone();
        self.disk.run(move || folder.keep_removed(&removed)).await?;
        self.stored = kept;
        Ok(())
    }

    async fn rotate_access(
        &mut self,
        access: AccessCa,
        asked: Rotation,
        audit: &Audit,
    ) -> Result<Rotated, RotateError> {
        let rotated = access.rotate(asked.if_due, asked.now, asked.by, audit).await;
        if matches!(rotated, Err(RotateError::Make(_))) {
            self.unsettled = Some(access);
        }
        rotated
    }

    /// Follows the customer's files, and stores what could not be stored.
    async fn look(&mut self, audit: &Audit) {
        if let Some(access) = &self.unsettled
            && access.settle().await.is_ok()
        {
            self.unsettled = None;
        }
        if self.belief().removed != self.stored {
            // Tried again at the next look.
            let _ = self.store_removed().await;
        }
        let changed = self.marks.look(&self.sources);
        if changed.bundle {
            self.follow_bundle(audit).await;
        }
        if changed.leaf {
            self.follow_leaf(audit);
        }
    }

    async fn follow_bundle(&mut self, audit: &Audit) {
        let Some(files) = &self.sources.files else { return };
        // Said in log and status.
        let taken = match file::read(&files.bundle) {
            Ok(bytes) => self.take_bundle(bytes, &Source::File, audit).await,
            Err(error) => self.refuse_bundle(Err(BundleError::File(error))),
        };
        if taken.is_err_and(|error| error.may_pass()) {
            self.marks.retry_bundle();
        }
    }

    /// Another bundle, another time or another mode may make it good; said once until it says something else.
    fn follow_leaf(&mut self, audit: &Audit) {
        let refused = self.take_leaf_file(audit).err().map(|error| chain(&error).to_string());
        let before = std::mem::replace(&mut self.leaf_refused, refused.clone());
        let Some(error) = refused else { return };
        self.marks.retry_leaf();
        metrics::refused("leaf");
        if before.as_ref() != Some(&error) {
            warn!(error, "Mesh certificate's file not taken");
        }
    }

    /// The customer's own file counts if brokers will take it, even if it ends earlier.
    fn take_leaf_file(&mut self, audit: &Audit) -> Result<(), LeafError> {
        let Some(path) = self.sources.mesh_certificate.clone() else { return Ok(()) };
        let belief = self.belief();
        let read = folder::read_leaf(&path, &self.sources.mesh_key).map_err(LeafError::Credential)?;
        let leaf = Leaf::of(read, &belief.bundle.vendor, &self.sources.label).ok_or(LeafError::Foreign)?;
        belief.check(&leaf, clock::wall()).map_err(LeafError::Refused)?;
        self.show(leaf, audit)
    }

    fn rotate(&mut self, root: Fingerprint) {
        let belief = self.belief();
        let there = belief.leaf.as_ref().is_some_and(|leaf| belief.issuer(leaf) == Some(root));
        if there {
            // As after a rollback: what another phase wanted is wanted no more.
            self.renewal.stay();
        } else {
            self.renewal.rotate(root);
        }
        self.shared.tell(&self.renewal);
    }

    fn ask_for_renewal(&mut self) {
        if let Some(error) = self.renewal.ask(clock::wall()) {
            warn!(error, "Mesh certificate not renewed yet");
        }
        self.shared.tell(&self.renewal);
    }

    fn belief(&self) -> Arc<Belief> {
        self.shared.belief.borrow().clone()
    }
}

/// Whether no broker gives another for it any more: whoever enrolls anew after that may be given another name.
fn is_forgotten(leaf: &Leaf) -> bool {
    clock::wall().since(leaf.not_after()) > REISSUE_GRACE
}

/// The one root of the bundle that begins so.
fn find(bundle: &TrustBundle, prefix: &str) -> Result<Fingerprint, RemoveError> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() < SHORTEST || !prefix.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(RemoveError::Malformed);
    }
    let roots = bundle.mesh_roots.certificates().iter().chain(bundle.operator_roots.certificates());
    let found: BTreeSet<_> = roots.map(|root| Fingerprint::of(root)).collect();
    let mut found = found.into_iter().filter(|root| root.to_string().starts_with(&prefix));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(RemoveError::Unknown),
        (Some(_), Some(_)) => Err(RemoveError::Several),
    }
}

fn replaced(before: &TrustBundle, after: &TrustBundle, bytes: &[u8], from: &Source) -> Event {
    let (old, new) = (roots(before), roots(after));
    let text = |root: &Fingerprint| root.to_string();
    Event::TrustBundle {
        sequence: after.sequence,
        replaces: before.sequence,
        sha256: Fingerprint::of(bytes).to_string(),
        added: new.difference(&old).map(text).collect(),
        gone: old.difference(&new).map(text).collect(),
        by: match from {
            Source::Broker => By { by: "broker".to_owned(), ..By::default() },
            Source::File => By { by: "file".to_owned(), ..By::default() },
            Source::Person(by) => by.clone(),
        },
    }
}

fn roots(bundle: &TrustBundle) -> BTreeSet<Fingerprint> {
    let roots = bundle.mesh_roots.certificates().iter().chain(bundle.operator_roots.certificates());
    roots.map(|root| Fingerprint::of(root)).collect()
}

impl Shared {
    /// Changes what is believed, if TLS can be built of it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Belief)) -> Result<(), TlsError> {
        let _turn = self.turn.lock();
        let mut next = (**self.belief.borrow()).clone();
        change(&mut next);
        let dialing = next.dialing()?;
        self.publish(next, dialing);
        Ok(())
    }

    /// Trusts the one root that begins so no more.
    pub(super) fn remove(&self, prefix: &str) -> Result<Fingerprint, RemoveError> {
        let _turn = self.turn.lock();
        let mut next = (**self.belief.borrow()).clone();
        let root = find(&next.bundle, prefix)?;
        next.removed.insert(root);
        match next.dialing() {
            Ok(dialing) => self.publish(next, dialing),
            // Operators' roots count at once whatever becomes of the rest.
            Err(error) => {
                error!(error = %chain(&error), "TLS toward brokers not rebuilt");
                let kept = self.dialing.borrow().as_deref().cloned();
                self.publish(next, kept);
            }
        }
        Ok(root)
    }

    /// Operators first: what tightens about them must not wait for anything.
    fn publish(&self, belief: Belief, dialing: Option<crate::tunnels::Dialing>) {
        metrics::believed(&belief);
        self.operators.send_replace(Arc::new(belief.operators()));
        self.dialing.send_replace(dialing.map(Arc::new));
        self.brokers.send_replace(Arc::new(belief.bundle.broker_addresses.clone()));
        self.belief.send_replace(Arc::new(belief));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Shows how the renewal stands.
    pub(super) fn tell(&self, renewal: &Renewal) {
        self.asking.send_replace(renewal.asking());
        *self.renewal.lock() = renewal.problem(clock::wall()).unwrap_or_default();
    }
}

/// Soon enough for people who have just written a file.
const POLL: Duration = Duration::from_secs(1);
/// Short enough to type.
const SHORTEST: usize = 8;
