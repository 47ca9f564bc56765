//! What is exported and marked on the command line.

use super::*;
use crate::audit::line::LineHash;

#[tokio::test]
async fn export_gives_the_exact_lines_of_a_copy_too() {
    let office = Office::new("disk").await;
    let file = log::segment::list(&office.folder()).unwrap()[0].path.clone();
    let (text, _) = office.run(&["export", "--format", "json", "--dir", office.folder().to_str().unwrap()]);
    assert_eq!(text, std::fs::read_to_string(file).unwrap());
}

#[tokio::test]
async fn what_is_marked_is_not_new_and_the_log_itself_is_no_copy() {
    let office = Office::new("disk").await;
    let (all, _) = office.run(&["export"]);
    let file = office.dir.path().join("copy.jsonl");
    let half: String = all.split_inclusive('\n').take(4).collect();
    std::fs::write(&file, &half).unwrap();
    let (said, exit) = office.run(&["mark", file.to_str().unwrap()]);
    assert!(exit == Exit::Ok && said.contains("up to record 4:"), "{said}");
    let (new, _) = office.run(&["export", "--new"]);
    assert_eq!(new, all[half.len()..]);
    std::fs::write(&file, new).unwrap();
    let (said, _) = office.run(&["mark", file.to_str().unwrap(), "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["marked"], all.lines().count());
    assert_eq!(office.run(&["export", "--new"]).0, "");
    let own = log::segment::list(&office.folder()).unwrap()[0].path.clone();
    let refused = mark(&office.folder(), &own, &mut &b""[..]).unwrap_err();
    assert!(refused.to_string().contains("lies in the log itself"), "{refused}");
    std::fs::write(office.folder().join("exported"), "nonsense").unwrap();
    let refused =
        export(&office.folder(), Filter::default(), true, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("export without --new"), "{refused}");
}

#[tokio::test]
async fn what_is_not_durable_yet_is_not_new() {
    let office = Office::new("disk").await;
    let (all, _) = office.run(&["export"]);
    let lines: Vec<_> = all.split_inclusive('\n').collect();
    let head = log::Head { seq: 4, hash: LineHash::of(lines[3].trim_end().as_bytes()) };
    std::fs::write(office.folder().join("head"), head.to_string()).unwrap();
    assert_eq!(office.run(&["export", "--new"]).0, lines[..4].concat());
    std::fs::remove_file(office.folder().join("head")).unwrap();
    let refused =
        export(&office.folder(), Filter::default(), true, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("export without --new"), "{refused}");
}

#[tokio::test]
async fn a_damaged_record_is_exported_as_it_is_and_told() {
    let office = Office::new("disk").await;
    let file = log::segment::list(&office.folder()).unwrap()[0].path.clone();
    let damaged = std::fs::read_to_string(&file).unwrap().replacen("\n{", "\nx", 1);
    std::fs::write(&file, &damaged).unwrap();
    for new in [false, true] {
        let (mut out, mut told) = (Vec::new(), Vec::new());
        export(&office.folder(), Filter::default(), new, &mut out, &mut told).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), damaged);
        let told = String::from_utf8(told).unwrap();
        assert!(told.lines().count() == 1 && told.contains(".jsonl, line 2 is no record"), "{told}");
    }
    let filter = Filter { since: Some(UnixMillis(0)), ..Filter::default() };
    let refused = export(&office.folder(), filter, false, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("line 2 is no record"), "{refused}");
}
