//! `bundle` and `cancel`: debug bundles before and after they leave, and the end of an operation that runs.
//!
//! A release needs somebody who saw what the bundle is: a person at this terminal, or a script that names its digest.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tunnel_certs::{crypto, file, statement::approval::Subject};
use tunnel_protos::{
    Digest, approvers as api,
    operations::v1::{Bundle as Made, BundleFile},
};
use tunnel_runtime::exit::Exit;

use super::{
    super::{console::Person, customer, output},
    Console, Daemon, Failed, answered,
    signing::Signing,
};
use crate::clock;

/// What to do with debug bundles.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Bundle {
    /// List the bundles that lie here, or the files of one.
    #[command(after_help = "Examples:\n  tunnel-client bundle list\n  tunnel-client bundle list 3fa8")]
    List {
        /// The request's id, or its first characters.
        id: Option<String>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Show one file of a bundle, exactly as it would leave.
    Read(Read),
    /// Let a bundle leave: its operator can fetch it from then on. Needs an approver.
    Release(Release),
    /// Delete a bundle, whether it left or not.
    Delete(Delete),
}

/// Arguments of `bundle read`.
#[derive(Debug, Args)]
#[command(after_help = READ)]
pub(in crate::cli) struct Read {
    /// The request's id, or its first characters.
    id: String,
    /// The file, as `bundle list ID` names it.
    file: String,
    /// Write it here (0600) instead of showing it; never over another file.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `bundle release`.
#[derive(Debug, Args)]
#[command(after_help = RELEASE)]
pub(in crate::cli) struct Release {
    /// The request's id, or its first characters.
    id: String,
    /// The bundle's digest that was shown, in hex; another one is refused.
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    /// Do not ask; for scripts, which must say what they were shown.
    #[arg(long, requires = "digest")]
    yes: bool,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `bundle delete`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client bundle delete 3fa8 --yes")]
pub(in crate::cli) struct Delete {
    /// The request's id, or its first characters.
    id: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Arguments of `cancel`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tunnel-client cancel 3fa8 --note 'not during the match'")]
pub(in crate::cli) struct Cancel {
    /// The request's id, or its first characters.
    id: String,
    /// Why, for the record and for its operator.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    daemon: Daemon,
}

impl Bundle {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        match self {
            Self::List { id: None, daemon } => list(&daemon, console).await,
            Self::List { id: Some(id), daemon } => files(&daemon, id, console).await,
            Self::Read(read) => read.run(console).await,
            Self::Release(release) => release.run(console).await,
            Self::Delete(delete) => delete.run(console).await,
        }
    }
}

async fn list(daemon: &Daemon, console: &mut Console) -> Result<Exit, Failed> {
    let mut bundles = daemon.bundles(console).await?;
    let list = answered(bundles.list_bundles(api::ListBundlesRequest {})).await?.bundles;
    console.result(&output::bundles(&list, clock::wall()), &output::json::bundles(&list))?;
    Ok(Exit::Ok)
}

async fn files(daemon: &Daemon, id: String, console: &mut Console) -> Result<Exit, Failed> {
    let (_, bundle) = made(daemon, id, console).await?;
    console.result(&output::bundle(&bundle), &tunnel_protos::operations::bundle_json(&bundle))?;
    Ok(Exit::Ok)
}

/// The request and the bundle that it made.
async fn made(
    daemon: &Daemon,
    id: String,
    console: &mut Console,
) -> Result<(api::RequestView, Made), Failed> {
    let mut client = daemon.connect(console).await?;
    let view = answered(client.get_request(api::GetRequestRequest { id })).await?;
    let mut bundles = daemon.bundles(console).await?;
    let list = answered(bundles.list_bundles(api::ListBundlesRequest {})).await?.bundles;
    let bundle = list.into_iter().find(|listed| listed.id == view.id).and_then(|listed| listed.bundle);
    let bundle = bundle.ok_or_else(|| Failed::Usage("this request has no bundle".into()))?;
    Ok((view, bundle))
}

impl Read {
    async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let (view, bundle) = made(&self.daemon, self.id, console).await?;
        let listed = bundle.files.iter().find(|file| file.path == self.file);
        let listed = listed.ok_or_else(|| {
            Failed::Usage("the bundle has no such file; `tunnel-client bundle list ID` lists them".into())
        })?;
        let bytes = fetch(&self.daemon, view.id, listed, console).await?;
        match self.out {
            Some(path) => {
                file::create_private(&path, &bytes).map_err(|error| Failed::Usage(error.to_string()))?;
            }
            None => console.bytes(&bytes)?,
        }
        Ok(Exit::Ok)
    }
}

/// The file as the bundle's list says it is.
async fn fetch(
    daemon: &Daemon,
    id: String,
    listed: &BundleFile,
    console: &mut Console,
) -> Result<Vec<u8>, Failed> {
    let mut bundles = daemon.bundles(console).await?;
    let asked = api::ReadBundleFileRequest { id, path: listed.path.clone() };
    let mut chunks = answered(bundles.read_bundle_file(asked)).await?;
    let most = usize::try_from(listed.bytes).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while let Some(chunk) = customer::next(&mut chunks).await? {
        if chunk.data.len() > most - bytes.len() {
            return Err(Failed::Damaged);
        }
        bytes.extend(chunk.data);
    }
    if crypto::sha256(&bytes)[..] == listed.digest[..] { Ok(bytes) } else { Err(Failed::Damaged) }
}

impl Release {
    async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let (view, bundle) = made(&self.daemon, self.id.clone(), console).await?;
        let digest = <[u8; 32]>::try_from(&bundle.digest[..]);
        let digest = digest.map_err(|_| Failed::Usage("this bundle cannot be released".into()))?;
        let shown = data_encoding::HEXLOWER.encode(&digest);
        if self.digest.as_ref().is_some_and(|named| !named.eq_ignore_ascii_case(&shown)) {
            console.hint(&output::bundle(&bundle));
            return Err(Failed::Usage(
                "this is not its digest: the bundle is another one than you were shown".into(),
            ));
        }
        if !self.yes {
            self.confirm(&bundle, console)?;
        }
        let request = Digest::try_from(&view.digest[..]);
        let request = request.map_err(|_| Failed::Usage("this request cannot be answered".into()))?;
        let subject = Subject::ReleaseBundle { request, bundle: digest };
        let mut client = self.daemon.connect(console).await?;
        let asked = api::ReleaseBundleRequest {
            id: view.id,
            bundle_digest: digest.to_vec(),
            note: self.signing.note(),
            approval: self.signing.sign(&mut client, subject, console).await?,
        };
        let mut bundles = self.daemon.bundles(console).await?;
        let view = answered(bundles.release_bundle(asked)).await?;
        let text =
            format!("Released the bundle of {}: its operator can fetch it now.\n", output::safe(&view.id));
        console.result(&text, &output::json::request(&view))?;
        Ok(Exit::Ok)
    }

    fn confirm(&self, bundle: &Made, console: &mut Console) -> Result<(), Failed> {
        if console.person == Person::Absent || self.signing.takes_input() {
            let message = "nobody can be asked here (standard input is no terminal, or the key): add `--yes` and the \
                           `--digest` that `tunnel-client bundle list ID` prints";
            return Err(Failed::Usage(message.into()));
        }
        console.hint(&output::bundle(bundle));
        let yes = console.confirms("Let this bundle leave?")?;
        if yes { Ok(()) } else { Err(Failed::Declined) }
    }
}

impl Delete {
    async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut bundles = self.daemon.bundles(console).await?;
        if !self.yes {
            if console.person == Person::Absent {
                return Err(Failed::Usage("nobody can be asked here: add `--yes`".into()));
            }
            if !console.confirms("Delete this bundle for ever?")? {
                return Err(Failed::Declined);
            }
        }
        let view = answered(bundles.delete_bundle(api::DeleteBundleRequest { id: self.id })).await?;
        let text = format!("Deleted the bundle of {}.\n", output::safe(&view.id));
        console.result(&text, &output::json::request(&view))?;
        Ok(Exit::Ok)
    }
}

impl Cancel {
    pub(super) async fn run(self, console: &mut Console) -> Result<Exit, Failed> {
        let mut bundles = self.daemon.bundles(console).await?;
        let asked = api::CancelOperationRequest { id: self.id, note: self.note };
        let view = answered(bundles.cancel_operation(asked)).await?;
        let (id, state) = (output::safe(&view.id), output::state(view.state));
        let text = format!("Cancelled {id}, now {state}; `tunnel-client show {id}` shows how it goes.\n");
        console.result(&text, &output::json::request(&view))?;
        Ok(Exit::Ok)
    }
}

const READ: &str = "\
Examples:
  tunnel-client bundle read 3fa8 status/default.json
  tunnel-client bundle read 3fa8 status/default.json -o status.json";

const RELEASE: &str = "\
Examples:
  tunnel-client bundle release 3fa8                                # shows its files, then asks
  tunnel-client bundle release 3fa8 --key alice.key --note 'OPS-12'
  tunnel-client bundle release 3fa8 --yes --digest 5b2c…";
