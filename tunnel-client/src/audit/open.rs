//! Opening a log: the end of what lies there, what must be said about it, and the writer's thread.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};
use tracing::{error, info_span, warn};
use tunnel_certs::crypto;
use tunnel_runtime::{shards::Shards, tasks::Task};

use super::{
    Audit, Event, Settings, Shared, Start, Status,
    disk::{Disk, Reserve, SystemDisk},
    head::Head,
    line::Chain,
    own::{Open, Own},
    queue::{Door, Item, Queue},
    segment::Segment,
    start::{self, Found},
    writer::{Pace, Writer, now},
};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes there.
    #[error("{0} is written by another process")]
    Locked(PathBuf),
    /// No thread.
    #[error("cannot start the writer's thread")]
    Thread(#[source] io::Error),
}

/// The running log; dropping it without [`Log::close`] may leave the newest notes unwritten.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    // Ended before its thread.
    writer: Task<()>,
    _thread: Shards,
    _lock: File,
}

impl Log {
    /// Records the end and waits until everything is on disk; later records are refused.
    pub async fn close(self) {
        if !*self.shared.begun.borrow() {
            return;
        }
        Audit(Some(self.shared.clone())).note(Event::Stopped);
        self.shared.queue.set_door(Door::Closed);
        if timeout(CLOSE, self.writer).await.is_err() {
            warn!("Audit log not closed in order");
        }
    }
}

impl Audit {
    /// Opens or makes the log, mends its end, and starts to write.
    pub fn open(settings: Settings) -> Result<(Self, Log), OpenError> {
        Self::open_on(settings, SystemDisk)
    }

    /// As [`Audit::open`], on a disk of one's own.
    pub fn open_on(settings: Settings, disk: impl Disk) -> Result<(Self, Log), OpenError> {
        Self::held_on(settings, disk).inspect(|(audit, _)| audit.begin())
    }

    /// As [`Audit::open`], but writes nothing before [`Audit::begin`]: what is added could hide from the next start
    /// what was done to the log.
    pub fn open_held(settings: Settings) -> Result<(Self, Log), OpenError> {
        Self::held_on(settings, SystemDisk)
    }

    fn held_on(settings: Settings, disk: impl Disk) -> Result<(Self, Log), OpenError> {
        let folder = settings.folder.clone();
        let failed = |action| {
            let path = folder.clone();
            move |source| OpenError::Io { action, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("make"))?;
        let lock = lock(&folder)?;
        let found = start::find(&folder).map_err(failed("read"))?;
        if found.chain == Chain::START && found.damage.is_none() {
            // Before the first record: a kill before the first sync must not look like a head that was taken away.
            Head::START.write(&folder).map_err(failed("write in"))?;
        }
        let segment = match &found.last {
            Some((path, len)) => Segment::resume(path, *len, disk),
            None => Segment::begin(&folder, found.chain.next, disk),
        };
        let segment = segment.map_err(failed("write in"))?;
        let thread = Shards::start("audit", 1).map_err(OpenError::Thread)?;
        let (shared, writer) = writer(settings, segment, found);
        let writer = thread.pick().spawn(info_span!("audit"), writer.run());
        Ok((Self(Some(shared.clone())), Log { shared, writer, _thread: thread, _lock: lock }))
    }
}

fn writer<D: Disk>(settings: Settings, segment: Segment<D>, found: Found) -> (Arc<Shared>, Writer<D>) {
    let last = found.chain.next - 1;
    let mut reserve = Reserve::new(settings.folder.join("reserve"), settings.reserve_bytes);
    if let Err(error) = reserve.hold() {
        warn!(error = %error, "No space set aside for the audit log");
    }
    if let Some(damage) = &found.damage {
        error!(damage, "Audit log is not what was written");
    }
    let waiting = opening(&settings, &found).into_iter().map(|own| Item::own(now(), own)).collect();
    let indeterminate = found.open.len() as u64;
    let shared = Arc::new(Shared {
        queue: Queue::default(),
        status: Mutex::new(Status { last_record: last, error: String::new(), indeterminate, held: 0 }),
        begun: watch::Sender::new(false),
        sessions: AtomicU64::new(0),
        start: Start { last_record: last, damage: found.damage },
    });
    let writer = Writer {
        shared: shared.clone(),
        settings,
        durable: (found.chain, segment.len),
        chain: found.chain,
        segment,
        reserve,
        waiting,
        written: Vec::new(),
        open: found.open,
        broken: false,
        pace: Pace::new(),
    };
    (shared, writer)
}

/// What is to be said first.
fn opening(settings: &Settings, found: &Found) -> Vec<Own> {
    let mut own = Vec::new();
    if found.last.is_none() && found.chain.next == 1 {
        own.push(Own::Origin {
            origin: data_encoding::HEXLOWER.encode(&crypto::random::<16>()),
            cluster: settings.cluster.clone(),
            label: settings.label.clone(),
        });
    }
    let open = || found.open.iter().map(|(of, about)| Open { of: *of, about: about.clone() });
    if found.last.is_none() && found.chain.next > 1 {
        own.push(Own::Segment { open: open().collect() });
    }
    own.extend(found.torn.map(|(bytes, sha256)| Own::Torn { bytes, sha256 }));
    own.extend(found.damage.clone().map(|why| Own::Damaged { why }));
    own.extend(open().map(Own::Indeterminate));
    own
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|source| OpenError::Io { action: "open", path, source })?;
    file.try_lock().map_err(|_| OpenError::Locked(folder.to_owned()))?;
    Ok(file)
}

/// For what is queued and one sync, on a disk that is slow.
const CLOSE: Duration = Duration::from_secs(5);
