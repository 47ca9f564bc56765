//! The demo leaves nothing behind, however it ends.

use std::{path::Path, time::Duration};

use tunnel_integration::harness::{PATIENCE, binaries, program::Program, wait::until};

fn start(temporary: &Path, log: &Path) -> Program {
    let mut command = binaries::command("demo", &[]).unwrap();
    command.env("TMPDIR", temporary).env_remove("HOLD").env_remove("ENGINE").env_remove("OPS");
    Program::start("demo", command, log).unwrap()
}

fn left(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_demo_ended_by_a_signal_leaves_neither_its_folder_nor_its_programs() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut demo = start(&temporary, &folder.path().join("demo.log"));
    let logged_in = |output: &str| output.contains("tunnelctl clusters").then_some(());
    demo.says("that the operator is logged in", PATIENCE, logged_in).await.unwrap();
    assert_eq!(left(&temporary), 1);
    let status = demo.stop(Duration::from_secs(10)).await.unwrap();
    assert!(!status.success(), "it did not end by itself");
    assert_eq!(left(&temporary), 0);
    until("its programs are gone", PATIENCE, || async {
        let running = processes_in(&temporary);
        if running == 0 { Ok(()) } else { Err(format!("{running} are left")) }
    })
    .await
    .unwrap();
}

/// How many processes have `folder` in their command line.
fn processes_in(folder: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let name = folder.to_string_lossy().into_owned();
    lines.filter(|line| String::from_utf8_lossy(line).contains(&name)).count()
}
