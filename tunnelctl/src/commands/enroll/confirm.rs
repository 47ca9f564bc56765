//! `enroll confirm`: proves the registration, compares the customer's words, signs the entry and publishes it.
//!
//! Nothing that the broker says is signed: the keys come from a registration that the bundle's holder, or the cluster
//! key in force, made, and from words that a person heard.

use serde_json::json;
use tunnel_certs::{
    statement::{
        envelope::PayloadType,
        inventory::{self, Entry},
    },
    words::Words,
};
use tunnel_protos::{UnixMillis, v1::Envelope};
use tunnel_runtime::layout::quoted;

use crate::{
    app::App,
    cli::EnrollConfirm,
    console::{counted, safe, when},
    ending::Ending,
    enroll::{Error, Proven},
    failure::Failure,
    office::Office,
    signing::{self, Keyring, Unsigned},
};

pub(super) async fn run(app: &mut App, args: EnrollConfirm) -> Result<Ending, Failure> {
    let typed = words(&args)?;
    if args.life > Entry::MAX_LIFE {
        return Err(Failure::Usage("an inventory entry is good for 180 days at most: --life 180d".into()));
    }
    let office = Office::open(app)?;
    let now = app.clock.now();
    let current = office.entry(&args.cluster, now).await?;
    let proven = prove(&office, &args, current.as_ref()).await?;
    proven.compare(typed)?;
    describe(app, &proven);
    let entry = entry(&office, &args, &proven, current.as_ref(), now)?;
    if let Some(current) = current.filter(|current| is_done(&current.entry, &entry, now)) {
        return finish(app, &office, &proven, &current, None);
    }
    match sign(app, &args, &entry)? {
        Some(signed) => publish(app, &office, &proven, &entry, signed).await,
        None => Ok(Ending::OK),
    }
}

fn words(args: &EnrollConfirm) -> Result<Words, Failure> {
    let parsed = args.words.join(" ").parse();
    parsed.map_err(|error| Failure::Usage(format!("the customer's words: {error}")))
}

/// The registration of a bundle that was made here, else the one that the cluster signed to replace its keys.
async fn prove(
    office: &Office,
    args: &EnrollConfirm,
    current: Option<&inventory::Opened>,
) -> Result<Proven, Failure> {
    let kept = match args.token {
        Some(token) => office.kept.find(token)?.into_iter().collect(),
        None => office.kept.of(&args.cluster)?,
    };
    for bundle in &kept {
        if bundle.bundle.cluster == args.cluster
            && let Some(reply) = office.api().registration_of(bundle.bundle.token).await?
        {
            return Ok(Proven::by_bundle(bundle, &reply)?);
        }
    }
    if let Some(current) = current {
        let Entry { label, cluster_key, .. } = &current.entry;
        if let Some(reply) = office.api().replacement_of(label).await? {
            return Ok(Proven::by_cluster_key(&reply, *label, cluster_key)?);
        }
    }
    let cluster = args.cluster.clone();
    Err(if kept.is_empty() { Error::Nothing(cluster) } else { Error::NotRedeemed(cluster) }.into())
}

/// What the client says of itself; it matters only now that the words are the customer's.
fn describe(app: &mut App, proven: &Proven) {
    let how = match proven.token {
        Some(_) => "made with this bundle's secret",
        None => "signed by the cluster key in force",
    };
    app.console.note(format_args!("the registration is {how}, and its words are the customer's"));
    for (name, value) in &proven.opened.registration.facts {
        app.console.note(format_args!("  {}: {}", safe(name.as_str()), safe(value.as_str())));
    }
}

fn entry(
    office: &Office,
    args: &EnrollConfirm,
    proven: &Proven,
    current: Option<&inventory::Opened>,
    now: UnixMillis,
) -> Result<Entry, Failure> {
    let next = office.next_sequence(&args.cluster, current)?;
    let sequence = args.sequence.unwrap_or(next);
    if sequence < next {
        return Err(Failure::Usage(format!("operators have seen entry {}: the next is {next}", next - 1)));
    }
    let registration = &proven.opened.registration;
    Ok(Entry {
        cluster: args.cluster.clone(),
        label: registration.label,
        cluster_key: registration.cluster_key.clone(),
        sealing_key: registration.sealing_key,
        sequence,
        expires: now.plus(args.life),
    })
}

/// Whether the entry in force says the same already: the command was run before.
fn is_done(current: &Entry, wanted: &Entry, now: UnixMillis) -> bool {
    same_keys(current, wanted) && current.expires > now
}

fn same_keys(one: &Entry, other: &Entry) -> bool {
    (&one.cluster, one.label, &one.cluster_key, one.sealing_key)
        == (&other.cluster, other.label, &other.cluster_key, other.sealing_key)
}

/// The signed entry; none if it was written for another machine.
fn sign(app: &mut App, args: &EnrollConfirm, entry: &Entry) -> Result<Option<Envelope>, Failure> {
    match (&args.signing.write_payload, &args.signing.signed[..]) {
        (Some(path), _) => {
            let unsigned = Unsigned::entry(entry)?;
            unsigned.write(path)?;
            written(app, args, path, &unsigned);
            Ok(None)
        }
        (None, [signed]) => Ok(Some(signing::signed(signed, PayloadType::Inventory)?)),
        (None, []) => {
            let key = Keyring::new(&args.signing.key, &app.prompt).open()?;
            Ok(Some(Unsigned::entry(entry)?.sign(&key)?))
        }
        (None, _) => Err(Failure::Usage("one --entry for one cluster".into())),
    }
}

fn written(app: &mut App, args: &EnrollConfirm, path: &std::path::Path, unsigned: &Unsigned) {
    let (path, words) = (path.display().to_string(), unsigned.words().to_string());
    let value = json!({ "event": "written", "file": path, "words": words });
    app.console.result(&value, format_args!("{path}: the entry to sign, words {words}"));
    let typed = args.words.join(" ");
    app.console.note("On the machine that has the vendor key, and then here:");
    app.console
        .note(format_args!("  tunnel-certs sign {} --vendor-key vendor.key --out entry.pb", quoted(&path)));
    app.console.note(format_args!(
        "  tunnelctl enroll confirm {} {} --entry entry.pb",
        args.cluster,
        quoted(&typed)
    ));
}

async fn publish(
    app: &mut App,
    office: &Office,
    proven: &Proven,
    wanted: &Entry,
    signed: Envelope,
) -> Result<Ending, Failure> {
    // What operators would refuse is not published; a file from elsewhere may be anything.
    let opened = office.desk.entries.check(&signed, app.clock.now())?;
    if !same_keys(&opened.entry, wanted) {
        return Err(Failure::Usage("the signed entry is not about these keys of this cluster".into()));
    }
    if opened.entry.sequence < wanted.sequence {
        return Err(Failure::Usage(format!(
            "the signed entry has sequence {}, operators have seen {}: write and sign it anew",
            opened.entry.sequence,
            wanted.sequence - 1
        )));
    }
    let tunnels = office.api().publish_entry(signed.clone()).await?;
    office.desk.entries.vouch(&opened, &signed)?;
    finish(app, office, proven, &opened, Some(tunnels))
}

/// The secret has done its work; the rest is the approver's.
fn finish(
    app: &mut App,
    office: &Office,
    proven: &Proven,
    entry: &inventory::Opened,
    tunnels: Option<u32>,
) -> Result<Ending, Failure> {
    if let Some(token) = proven.token {
        office.kept.remove(token)?;
    }
    let inventory::Opened { entry, words, .. } = entry;
    let value = json!({
        "event": if tunnels.is_some() { "confirmed" } else { "confirmed-before" }, "cluster": entry.cluster.to_string(),
        "label": entry.label.to_string(), "sequence": entry.sequence, "expiresMs": entry.expires.0,
        "words": words.to_string(), "tunnels": tunnels,
    });
    let until = when::until(entry.expires, app.clock.now());
    let done = match tunnels {
        Some(tunnels) => format!("published, and sent over {}", counted(tunnels, "tunnel")),
        None => "published before, with these very keys".into(),
    };
    let (cluster, sequence) = (&entry.cluster, entry.sequence);
    app.console.result(
        &value,
        format_args!("{cluster}: entry {sequence} until {until}, {done}\nwords of the entry: {words}"),
    );
    app.console.note("Read these words to the customer's approver, who types them there:");
    app.console.note(format_args!("  tunnel-client enroll confirm {words}"));
    Ok(Ending::OK)
}
