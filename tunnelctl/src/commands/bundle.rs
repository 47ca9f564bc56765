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

use super::operation::SHORT;
use crate::{
    access::{Gaining, Step, own, report},
    app::App,
    cli::{Bundle, GetBundle},
    console::{Format, safe},
    desk::Desk,
    ending::Ending,
    failure::Failure,
    operate::{self, Door, Error},
    requester::{Patience, is_over, record::Record},
};

pub(super) async fn run(app: &mut App, command: Bundle) -> Result<Ending, Failure> {
    let Bundle::Get(args) = command;
    get(app, &args).await
}

async fn get(app: &mut App, args: &GetBundle) -> Result<Ending, Failure> {
    let desk = Desk::open(app)?;
    let record = own::named_operation(&desk.requester.folder, &args.id, app.clock.now())?;
    let out = args.out.clone().unwrap_or_else(|| format!("postern-debug-{}.tar.zst", record.id).into());
    if out.exists() {
        return Err(Failure::Usage(format!("{} exists already; choose another file with -o", out.display())));
    }
    let to = desk.entry(&record.cluster).await?;
    let release = Patience::new(args.wait.unwrap_or_default(), app.interrupt.clone());
    let mut gaining = Gaining::new(app, &desk, to, None);
    let decision = args.wait.unwrap_or(SHORT);
    let (record, door, operation) = match operate::enter_within(&mut gaining, record, decision).await? {
        ControlFlow::Continue(entered) => entered,
        ControlFlow::Break(ending) => return Ok(ending),
    };
    let stop = gaining.patience(LONGEST);
    let mut fetching = Fetching { gaining, record, door, out };
    let expected = match fetching.released(operation, &release).await? {
        ControlFlow::Continue(expected) => expected,
        ControlFlow::Break(ending) => return Ok(ending),
    };
    match stop.during(fetching.fetch(&expected)).await {
        Ok(fetched) => fetched,
        Err(_) => Ok(fetching.waiting("stopped; nothing was kept")),
    }
}

struct Fetching<'a> {
    gaining: Gaining<'a>,
    record: Record,
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
    /// The bundle, once it may leave; the command's end if the person waits no longer or the cluster says no.
    async fn released(
        &mut self,
        mut operation: Operation,
        patience: &Patience,
    ) -> Result<Step<Expected>, Failure> {
        loop {
            if let Some(expected) = expected(&operation)? {
                return Ok(Step::Continue(expected));
            }
            let why = waits(&operation);
            self.gaining.app.console.live(&why);
            let look = async {
                sleep(LOOK_AGAIN).await;
                self.look().await
            };
            match patience.during(look).await {
                Ok(Ok(Step::Continue(new))) => operation = new.unwrap_or(operation),
                Ok(Ok(Step::Break(ending))) => return Ok(Step::Break(ending)),
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Ok(Step::Break(self.waiting(&why))),
            }
        }
    }

    /// The operation as it stands; none where the way to it broke.
    async fn look(&mut self) -> Result<Step<Option<Operation>>, Failure> {
        match self.door.get().await {
            Ok(operation) => Ok(Step::Continue(Some(operation))),
            Err(error) if error.may_pass() => self.mend(&error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// What broke is tried again, with a new certificate after the old one's end.
    async fn mend(&mut self, error: &Error) -> Result<Step<Option<Operation>>, Failure> {
        self.gaining.app.console.once(&format!("trying again: {error}"));
        if !error.is_unauthenticated() {
            return Ok(Step::Continue(None));
        }
        Ok(match self.door.again(&mut self.gaining, &self.record).await? {
            Ok(operation) => Step::Continue(Some(operation)),
            Err(finish) => Step::Break(report::ended(self.gaining.app, &self.record, &finish)),
        })
    }

    /// Ends without a bundle, which may still be fetched.
    fn waiting(&mut self, why: &str) -> Ending {
        let console = &mut self.gaining.app.console;
        console.settle();
        if console.format() == Format::Json {
            console.json(&json!({ "event": "waiting", "message": why, "exit": Exit::Waiting as u8 }));
        }
        console.error(why);
        Exit::Waiting.into()
    }

    async fn fetch(&mut self, expected: &Expected) -> Result<Ending, Failure> {
        let folder = self.out.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // 0600 and unfinished: whoever looks meanwhile finds no half bundle under its name.
        let mut file = NamedTempFile::new_in(folder).map_err(|source| self.failed(source))?;
        let mut digest = Sha256::new();
        let (mut have, mut failures) = (0, 0);
        while have < expected.bytes {
            let before = have;
            let result = self.part(&mut file, &mut digest, &mut have, expected.bytes).await;
            failures = if have > before { 1 } else { failures + 1 };
            let error = match result {
                Ok(()) if have == expected.bytes => break,
                Ok(()) => Error::Short { got: have, wanted: expected.bytes },
                Err(Failure::Operation(error)) if error.may_pass() => error,
                Err(error) => return Err(error),
            };
            if failures >= MOST_FAILURES {
                return Err(error.into());
            }
            sleep(LOOK_AGAIN).await;
            if let Step::Break(ending) = self.mend(&error).await? {
                return Ok(ending);
            }
        }
        self.gaining.app.console.settle();
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
            self.gaining.app.console.live(&format!("{have} of {whole} bytes"));
        }
    }

    fn done(&mut self, expected: &Expected) -> Ending {
        let (file, digest) = (self.out.display().to_string(), HEXLOWER.encode(&expected.digest));
        let value = json!({ "event": "fetched", "file": file, "bundle": expected.value });
        let text = format!("{file}: {} bytes, sha256 {digest}", expected.bytes);
        let console = &mut self.gaining.app.console;
        console.result(&value, text);
        console.note("It was not unpacked: look at its list first, and unpack it where nothing can be hurt.");
        Ending::OK
    }

    fn failed(&self, source: io::Error) -> Failure {
        Failure::Input { what: "the file", path: self.out.display().to_string(), source: Box::new(source) }
    }
}

/// The bundle if it may leave; an error if there will never be one.
fn expected(operation: &Operation) -> Result<Option<Expected>, Error> {
    let Some(bundle) = &operation.bundle else {
        return if is_over(operation.state()) { Err(Error::NoBundle) } else { Ok(None) };
    };
    if !bundle.released {
        return Ok(None);
    }
    if bundle.bytes > LARGEST {
        return Err(Error::Large(bundle.bytes));
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

/// Twice what a client collects at most: nobody fills the disk of whoever fetches.
const LARGEST: u64 = 128 << 20;
/// A client lends a bundle no longer than its grant lasts, a day at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// People release; a moment is nothing to them.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The client reads it from its own disk.
const CHUNK: Duration = Duration::from_secs(30);
/// A connection that breaks so often without a byte will not get better.
const MOST_FAILURES: u32 = 5;
