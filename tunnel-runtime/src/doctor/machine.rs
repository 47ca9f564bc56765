//! What the machine gives: disk space, UDP buffers.

use std::{fs, io, path::Path};

use super::Finding;

/// Whether `folder`, or where it will be made, can be written and has `wanted` bytes left.
pub fn disk(folder: &Path, wanted: u64) -> Finding {
    let folder = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    let tried = folder.display().to_string();
    let free = match free(folder) {
        Ok(free) => free,
        Err(error) => {
            return Finding::good("disk", tried, error.to_string())
                .bad("make the folder, owned by the user that the program runs as, with mode 0700");
        }
    };
    let finding = Finding::good("disk", tried, format!("{} MiB free", free >> 20));
    match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
        Err(error) => Finding { seen: error.to_string(), ..finding }
            .bad("give the user that the program runs as the right to write there"),
        Ok(()) if free < wanted => {
            finding.doubtful(format!("make room: at least {} MiB are wanted", wanted >> 20))
        }
        Ok(()) => finding,
    }
}

fn free(folder: &Path) -> io::Result<u64> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let told = rustix::fs::statvfs(folder)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// Whether sockets may have buffers large enough for bulk over QUIC; absent where the system does not tell.
pub fn udp_buffers() -> Option<Finding> {
    let (receive, send) = (setting("rmem_max")?, setting("wmem_max")?);
    Some(judge_buffers(receive, send))
}

fn judge_buffers(receive: u64, send: u64) -> Finding {
    let seen = format!("rmem_max {receive}, wmem_max {send}");
    let finding = Finding::good("udp-buffers", "net.core.rmem_max and wmem_max", seen);
    if receive.min(send) >= ENOUGH {
        return finding;
    }
    finding.doubtful(format!(
        "fast bulk transfers may lose packets; sysctl -w net.core.rmem_max={WANTED} net.core.wmem_max={WANTED}"
    ))
}

fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?.trim().parse().ok()
}

/// Linux' own default of 208 KiB is enough for all but bulk on fast links.
const ENOUGH: u64 = 2 << 20;
/// What quic-go's documentation asks for, too (wiki "UDP Buffer Sizes").
const WANTED: u64 = 7_500_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_folder_is_judged_by_where_it_will_be_made_and_one_without_room_warns() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(disk(&file.join("state"), 0).verdict, Verdict::Bad);
        assert_eq!(disk(&folder.path().join("not/yet"), 0).verdict, Verdict::Good);
        assert_eq!(disk(folder.path(), 0).verdict, Verdict::Good);
        assert_eq!(disk(folder.path(), u64::MAX).verdict, Verdict::Doubtful);
    }

    #[test]
    fn small_buffers_come_with_the_command_that_mends_them() {
        assert_eq!(judge_buffers(ENOUGH, ENOUGH).verdict, Verdict::Good);
        let small = judge_buffers(212_992, ENOUGH);
        assert_eq!(small.verdict, Verdict::Doubtful);
        assert!(small.advice.contains("net.core.rmem_max=7500000"));
    }
}
