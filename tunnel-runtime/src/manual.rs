//! Manual pages out of a program's own command line, so that they cannot say anything else.

use std::{io, path::Path};

/// Writes the page of `program`, and one of each of its commands, into `folder`, which is made if it is not there.
pub fn write(program: clap::Command, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(program, folder)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    #[test]
    fn every_command_has_a_page_but_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        let program = Command::new("tool")
            .subcommand(Command::new("run").about("Runs").after_help("Example:\n  tool run"))
            .subcommand(Command::new("man").hide(true));
        write(program, &folder.path().join("man")).unwrap();
        let page = std::fs::read_to_string(folder.path().join("man/tool-run.1")).unwrap();
        assert!(page.contains("Runs") && page.contains("tool run"), "{page}");
        assert!(!folder.path().join("man/tool-man.1").exists());
    }
}
