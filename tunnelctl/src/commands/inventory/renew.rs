//! `inventory renew`: the same keys once more, good for longer.
//!
//! What is signed anew is the newest entry that this machine has ever seen, of a cluster that was vouched for here, or it
//! is not signed: a broker that shows an older one must not get keys signed that were replaced. A broker that shows none,
//! as after a restore from an older backup, is given the one that is kept here.

use std::path::Path;

use serde_json::json;
use tunnel_certs::{
    key::SigningKey,
    statement::{
        envelope::PayloadType,
        inventory::{Entry, Opened},
    },
};
use tunnel_protos::{ClusterName, UnixMillis, operators::Cluster, v1::Envelope};

use tunnel_runtime::chain::chain;

use super::shortened;
use crate::{
    app::App,
    cli::Renew,
    console::{safe, when},
    ending::Ending,
    failure::Failure,
    folder,
    office::Office,
    signing::{self, Keyring, Unsigned},
};

pub(super) async fn run(app: &mut App, args: Renew) -> Result<Ending, Failure> {
    if args.life > Entry::MAX_LIFE {
        return Err(Failure::Usage("an inventory entry is good for 180 days at most: --life 180d".into()));
    }
    let office = Office::open(app)?;
    let due = due(app, &office, &args).await?;
    if due.is_empty() {
        app.console.result(&json!({ "event": "nothing-due" }), "no entry has to be renewed");
        return Ok(Ending::OK);
    }
    match (&args.signing.write_payload, &args.signing.signed[..]) {
        (Some(folder), _) => write(app, &office, &args, &due, folder),
        (None, []) => {
            let key = Keyring::new(&args.signing.key, &app.prompt).open()?;
            sign(app, &office, &args, &due, &key).await
        }
        (None, files) => {
            for file in files {
                let signed = signing::signed(file, PayloadType::Inventory)?;
                publish(app, &office, &due, signed).await?;
            }
            Ok(Ending::OK)
        }
    }
}

/// Proven entries that are to be renewed.
async fn due(app: &mut App, office: &Office, args: &Renew) -> Result<Vec<Opened>, Failure> {
    let now = app.clock.now();
    let said = office.desk.requester.api.clusters().await?;
    let mut due = Vec::new();
    let mut unseen = Vec::new();
    for said in said.iter().filter(|said| is_meant(said, args)) {
        let cluster: ClusterName = match said.cluster.parse() {
            Ok(cluster) => cluster,
            Err(_) => continue,
        };
        let is_known = office.desk.entries.is_vouched(&cluster)?;
        let opened = office.desk.entries.accept_lapsed(&cluster, said, now)?;
        if args.within.is_some_and(|within| opened.entry.expires > now.plus(within)) {
            continue;
        }
        if !is_known && !args.first_seen {
            unseen.push(cluster.to_string());
        }
        due.push(opened);
    }
    known(&unseen)?;
    // Whoever says --first-seen has compared the words.
    due.iter().try_for_each(|opened| office.desk.entries.compared(opened))?;
    let forgotten = forgotten(app, office, args, &said)?;
    for opened in &forgotten {
        let Entry { cluster, sequence, .. } = &opened.entry;
        app.console
            .note(format_args!("the broker has forgotten {cluster}, whose entry {sequence} is kept here"));
    }
    due.extend(forgotten);
    found(args, &said, &due)?;
    Ok(due)
}

/// What a broker from an older backup does not show, and was vouched for here.
fn forgotten(app: &mut App, office: &Office, args: &Renew, said: &[Cluster]) -> Result<Vec<Opened>, Failure> {
    let meant = match (args.all, args.within) {
        (true, None) => office.desk.entries.clusters()?,
        // What ends soon is asked of those that there are.
        (true, Some(_)) => Vec::new(),
        (false, _) => args.clusters.clone(),
    };
    let mut kept = Vec::new();
    for cluster in meant.iter().filter(|cluster| !is_shown(said, cluster)) {
        match office.desk.entries.vouched(cluster) {
            Ok(opened) => kept.extend(opened),
            // One that nobody can renew any more must not keep all others from it.
            Err(error) if args.all => {
                app.console.note(format_args!("{cluster} is left out: {}", safe(&chain(&error).to_string())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(kept)
}

fn is_shown(said: &[Cluster], cluster: &ClusterName) -> bool {
    said.iter().any(|said| said.cluster == cluster.as_str())
}

fn is_meant(said: &Cluster, args: &Renew) -> bool {
    args.all || args.clusters.iter().any(|cluster| cluster.as_str() == said.cluster)
}

fn known(unseen: &[String]) -> Result<(), Failure> {
    if unseen.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = unseen.iter().map(String::as_str).collect();
    Err(Failure::Usage(format!(
        "nobody vouched for the entries of {} at this machine, which cannot tell an older one: compare the words of \
         `tunnelctl inventory show` with the customer's, then add --first-seen",
        shortened(&names)
    )))
}

fn found(args: &Renew, said: &[Cluster], due: &[Opened]) -> Result<(), Failure> {
    let is_due = |wanted: &ClusterName| due.iter().any(|due| due.entry.cluster == *wanted);
    let missing = |wanted: &&ClusterName| !is_shown(said, wanted) && !is_due(wanted);
    match args.clusters.iter().find(missing) {
        Some(cluster) => {
            Err(Failure::Usage(format!("the broker shows no cluster {cluster}: see `tunnelctl clusters`")))
        }
        None => Ok(()),
    }
}

fn next(office: &Office, args: &Renew, current: &Opened, now: UnixMillis) -> Result<Entry, Failure> {
    let sequence = office.next_sequence(&current.entry.cluster, Some(current))?;
    Ok(Entry { sequence, expires: now.plus(args.life), ..current.entry.clone() })
}

async fn sign(
    app: &mut App,
    office: &Office,
    args: &Renew,
    due: &[Opened],
    key: &SigningKey,
) -> Result<Ending, Failure> {
    for (done, current) in due.iter().enumerate() {
        app.console.live(&format!("renewing {}: {done} of {}", current.entry.cluster, due.len()));
        let entry = next(office, args, current, app.clock.now())?;
        let signed = Unsigned::entry(&entry)?.sign(key)?;
        publish(app, office, due, signed).await?;
    }
    Ok(Ending::OK)
}

/// Publishes an entry that renews one of `due`.
async fn publish(app: &mut App, office: &Office, due: &[Opened], signed: Envelope) -> Result<(), Failure> {
    let now = app.clock.now();
    let opened = office.desk.entries.check(&signed, now)?;
    let renews = |current: &&Opened| {
        let (old, new) = (&current.entry, &opened.entry);
        (&old.cluster, old.label, &old.cluster_key, old.sealing_key)
            == (&new.cluster, new.label, &new.cluster_key, new.sealing_key)
    };
    let cluster = &opened.entry.cluster;
    let current = due.iter().find(renews).ok_or_else(|| {
        Failure::Usage(format!("the signed entry of {cluster} has other keys than its entry in force"))
    })?;
    if opened.entry.sequence <= current.entry.sequence && opened.digest != current.digest {
        let newest = current.entry.sequence;
        return Err(Failure::Usage(format!(
            "entry {newest} of {cluster} is in force: write and sign it anew"
        )));
    }
    let tunnels = office.api().publish_entry(signed.clone()).await?;
    office.desk.entries.vouch(&opened, &signed)?;
    let (sequence, until) = (opened.entry.sequence, when::until(opened.entry.expires, now));
    let value = json!({
        "event": "renewed", "cluster": cluster.to_string(), "sequence": sequence,
        "expiresMs": opened.entry.expires.0, "tunnels": tunnels,
    });
    app.console.result(&value, format_args!("{cluster}: entry {sequence} until {until}"));
    Ok(())
}

/// One file per cluster, for the machine that has the key.
fn write(app: &mut App, office: &Office, args: &Renew, due: &[Opened], to: &Path) -> Result<Ending, Failure> {
    for current in due {
        let entry = next(office, args, current, app.clock.now())?;
        let name = entry.cluster.as_str().replace('/', "-");
        let path = to.join(format!("{name}.unsigned"));
        let unsigned = Unsigned::entry(&entry)?;
        folder::make_parent(&path).map_err(signing::Error::File)?;
        unsigned.write(&path)?;
        let shown = path.display().to_string();
        let value = json!({ "event": "written", "cluster": entry.cluster.to_string(), "file": shown });
        app.console.result(&value, format_args!("{}: {}", entry.cluster, safe(&shown)));
    }
    app.console.note("On the machine that has the vendor key, for each of them, and then here:");
    app.console.note("  tunnel-certs sign FILE --vendor-key vendor.key --out ENTRY");
    app.console.note("  tunnelctl inventory renew --all --entry ENTRY …");
    Ok(Ending::OK)
}
