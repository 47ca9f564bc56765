//! `bundle get`: the released debug bundle of an operation, to a file, its digest verified; it is never unpacked here.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use data_encoding::HEXLOWER;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::time::{sleep, timeout};
use tunnel_certs::crypto::Sha256;
use tunnel_protos::operations::{self, v1::Operation};
use tunnel_runtime::exit::Exit;

use crate::{
    access::{Gaining, own},
    app::App,
    cli::{Bundle, GetBundle},
    console::safe,
    desk::Desk,
    ending::Ending,
    failure::Failure,
    operate::{self, Door, Error},
};

pub(super) async fn run(app: &mut App, command: Bundle) -> Result<Ending, Failure> {
    let Bundle::Get(args) = command;
    get(app, &args).await
}

async fn get(app: &mut App, args: &GetBundle) -> Result<Ending, Failure> {
    let out = args.out.clone().unwrap_or_else(|| format!("postern-debug-{}.tar.zst", args.id).into());
    if out.exists() {
        return Err(Failure::Usage(format!("{} exists already; choose another file with -o", out.display())));
    }
    let desk = Desk::open(app)?;
    let record = own::operation(&desk.requester.folder, args.id, app.clock.now())?;
    let to = desk.entry(&record.cluster).await?;
    let mut gaining = Gaining::new(app, &desk, to, None);
    let (door, operation) = match operate::enter(&mut gaining, record).await? {
        ControlFlow::Continue((_, door, operation)) => (door, operation),
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let mut fetching = Fetching { app, door, out };
    match fetching.released(operation, args.wait).await? {
        Some(bundle) => fetching.fetch(&bundle).await,
        None => Ok(Exit::Waiting.into()),
    }
}

struct Fetching<'a> {
    app: &'a mut App,
    door: Door,
    out: PathBuf,
}

/// What the customer's client says that the bundle is.
struct Expected {
    digest: [u8; 32],
    bytes: u64,
    value: serde_json::Value,
}

impl Fetching<'_> {
    /// The bundle, once it may leave; none if the person does not wait for that.
    async fn released(
        &mut self,
        mut operation: Operation,
        wait: Option<Duration>,
    ) -> Result<Option<Expected>, Failure> {
        let patience = crate::requester::Patience::new(wait.unwrap_or_default(), self.app.interrupt.clone());
        loop {
            if let Some(expected) = expected(&operation)? {
                return Ok(Some(expected));
            }
            let why = waits(&operation);
            self.app.console.live(&why);
            if patience.during(sleep(LOOK_AGAIN)).await.is_err() {
                self.app.console.settle();
                self.say_waiting(&why);
                return Ok(None);
            }
            operation = self.door.get().await?;
        }
    }

    fn say_waiting(&mut self, why: &str) {
        let event = json!({ "event": "waiting", "message": why, "exit": Exit::Waiting as u8 });
        if self.app.console.format() == crate::console::Format::Json {
            self.app.console.json(&event);
        }
        self.app.console.error(why);
    }

    async fn fetch(&mut self, expected: &Expected) -> Result<Ending, Failure> {
        let folder = self.out.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // 0600 and unfinished: whoever looks meanwhile finds no half bundle under its name.
        let mut file = NamedTempFile::new_in(folder).map_err(|source| self.failed(source))?;
        let mut digest = Sha256::new();
        let mut have = 0;
        let mut failures = 0;
        while have < expected.bytes {
            let before = have;
            let result = self.part(&mut file, &mut digest, &mut have, expected.bytes).await;
            match result {
                Ok(()) if have < expected.bytes => failures += 1,
                Ok(()) => break,
                Err(Failure::Operation(error)) if error.may_pass() && failures < MOST_FAILURES => {
                    self.app.console.once(&format!("trying again: {error}"));
                    failures = if have > before { 1 } else { failures + 1 };
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
            if failures >= MOST_FAILURES {
                return Err(Error::Short { got: have, wanted: expected.bytes }.into());
            }
        }
        self.app.console.settle();
        if digest.finish() != expected.digest {
            return Err(Error::Digest.into());
        }
        file.as_file().sync_all().map_err(|source| self.failed(source))?;
        let kept = file.persist_noclobber(&self.out);
        kept.map_err(|error| self.failed(error.error))?;
        Ok(self.done(expected))
    }

    /// One stream from where the last one broke.
    async fn part(
        &mut self,
        file: &mut NamedTempFile,
        digest: &mut Sha256,
        have: &mut u64,
        whole: u64,
    ) -> Result<(), Failure> {
        let mut chunks = self.door.fetch(*have).await?;
        loop {
            let next = timeout(CHUNK, chunks.message()).await.map_err(|_| Error::Late)?;
            let Some(chunk) = next.map_err(Error::from)? else { return Ok(()) };
            let length = u64::try_from(chunk.data.len()).unwrap_or(u64::MAX);
            if length > whole - *have {
                return Err(Error::Long(whole).into());
            }
            file.write_all(&chunk.data).map_err(|source| self.failed(source))?;
            digest.update(&chunk.data);
            *have += length;
            self.app.console.live(&format!("{have} of {whole} bytes"));
        }
    }

    fn done(&mut self, expected: &Expected) -> Ending {
        let (file, digest) = (self.out.display().to_string(), HEXLOWER.encode(&expected.digest));
        let value = json!({ "event": "fetched", "file": file, "bundle": expected.value });
        let text = format!("{file}: {} bytes, sha256 {digest}", expected.bytes);
        self.app.console.result(&value, text);
        self.app
            .console
            .note("It was not unpacked: look at its list first, and unpack it where nothing can be hurt.");
        Ending::OK
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::Input { what: "the file", path: self.out.display().to_string(), source: Box::new(source) }
    }
}

/// The bundle if it may leave; an error if there will never be one.
fn expected(operation: &Operation) -> Result<Option<Expected>, Error> {
    let Some(bundle) = &operation.bundle else {
        return if operate::is_over(operation.state()) { Err(Error::NoBundle) } else { Ok(None) };
    };
    if !bundle.released {
        return Ok(None);
    }
    let digest = bundle.digest.as_slice().try_into().map_err(|_| Error::Digest)?;
    Ok(Some(Expected { digest, bytes: bundle.bytes, value: operations::bundle_json(bundle) }))
}

fn waits(operation: &Operation) -> String {
    match &operation.bundle {
        Some(_) => format!(
            "the customer has not released the bundle yet; they do: tunnel-client bundle release {}",
            safe(&operation.id)
        ),
        None => "the bundle is not made yet".into(),
    }
}

/// People release; a moment is nothing to them.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The client reads it from its own disk.
const CHUNK: Duration = Duration::from_secs(30);
/// A connection that breaks so often without a byte will not get better.
const MOST_FAILURES: u32 = 5;
