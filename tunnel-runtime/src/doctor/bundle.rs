//! A file for support: what the doctor found and a few facts, as a tar archive that only its owner reads.
//!
//! Invariant: it holds what it is given and nothing that it found by itself; no folder is packed.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

/// Writes `files` (name, content) to `path`, which must not exist yet.
pub fn write(path: &Path, files: &[(&str, String)]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut archive = tar::Builder::new(file);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, name, content.as_bytes())?;
    }
    archive.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_is_given_is_in_it_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doctor.tar");
        write(&path, &[("findings.json", "{}".to_owned()), ("log.txt", "a\n".to_owned())]).unwrap();
        let mut archive = tar::Archive::new(std::fs::File::open(&path).unwrap());
        let mut read = Vec::new();
        for entry in archive.entries().unwrap() {
            let (mut entry, mut content) = (entry.unwrap(), String::new());
            entry.read_to_string(&mut content).unwrap();
            read.push((entry.path().unwrap().display().to_string(), content));
        }
        assert_eq!(read, [("findings.json".into(), "{}".into()), ("log.txt".into(), "a\n".to_owned())]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write(&path, &[]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
