//! Whether the audit log waits for an export: it grows until somebody makes one.

use std::{io, path::Path};

use tunnel_protos::UnixMillis;
use tunnel_runtime::doctor::Finding;

use crate::{
    audit::retention::{self, Aged},
    config::{AuditConfig, Config},
};

pub(super) fn look(config: &Config, now: UnixMillis) -> Finding {
    judge(&AuditConfig::folder(&config.state_dir), now.minus(config.audit.retention))
}

fn judge(folder: &Path, before: UnixMillis) -> Finding {
    let tried = folder.display().to_string();
    let finding = |seen: String| Finding::good(CHECK, tried.clone(), seen);
    match retention::aged(folder, before) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::skipped(CHECK, tried, "none yet: the first start makes it")
        }
        Err(error) => finding(error.to_string()).bad("run the doctor as the user that the client runs as"),
        Ok(Aged { mark_error, .. }) if !mark_error.is_empty() => finding(mark_error).doubtful(EXPORT_ALL),
        Ok(Aged { held, marked, .. }) if held > 0 => {
            let so_far = format!("{held} files are older than `audit.retention` and are not exported");
            finding(format!("{so_far}; marked up to record {marked}")).doubtful(EXPORT)
        }
        Ok(Aged { marked: 0, .. }) => finding("nothing is exported, and nothing is too old yet".to_owned()),
        Ok(Aged { marked, .. }) => finding(format!("marked up to record {marked}")),
    }
}

const CHECK: &str = "audit-export";
const EXPORT: &str = "keep a copy elsewhere, then say so: `tunnel-client audit export --new > FILE`, `tunnel-client audit mark FILE`";
const EXPORT_ALL: &str = "keep a copy elsewhere, then say so: `tunnel-client audit export > FILE`, `tunnel-client audit mark FILE`";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tunnel_runtime::doctor::Verdict;

    use super::*;
    use crate::audit::{Audit, By, Event, Settings, mark, segment};

    /// A closed log of several files.
    async fn log(folder: &Path) {
        let settings = Settings {
            folder: folder.to_owned(),
            cluster: "acme/prod".into(),
            label: "aaaaaaaaaa".into(),
            retention: Duration::from_secs(3600),
            segment_bytes: 500,
            reserve_bytes: 4096,
            sync_delay: Duration::ZERO,
        };
        let (audit, log) = Audit::open(settings).unwrap();
        for _ in 0..20 {
            audit.record(Event::Pause { pause: "p".into(), by: By::default() }).await.unwrap();
        }
        log.close().await;
    }

    #[tokio::test]
    async fn old_records_that_wait_for_an_export_are_a_warning_until_they_are_marked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("audit");
        assert_eq!(judge(&folder, UnixMillis(0)).verdict, Verdict::Skipped);
        log(&folder).await;
        let late = crate::clock::wall().plus(Duration::from_secs(1));
        assert_eq!(judge(&folder, UnixMillis(0)).verdict, Verdict::Good);
        let waits = judge(&folder, late);
        assert!(waits.verdict == Verdict::Doubtful && waits.advice.contains("export --new"), "{waits:?}");
        let all = segment::list(&folder).unwrap().into_iter();
        let copy: Vec<u8> = all.flat_map(|file| std::fs::read(file.path).unwrap()).collect();
        mark::mark(&folder, &*copy).unwrap();
        assert_eq!(judge(&folder, late).verdict, Verdict::Good);
        std::fs::write(folder.join("exported"), "half").unwrap();
        let damaged = judge(&folder, late);
        assert!(
            damaged.verdict == Verdict::Doubtful && damaged.seen.contains("cannot be read"),
            "{damaged:?}"
        );
    }
}
