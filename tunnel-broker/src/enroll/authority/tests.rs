//! Mesh CAs in files.

use tunnel_protos::v1::RotationPhase;

use super::*;
use crate::enroll::testing::{Bench, DAY, HOUR, NOW, p256};

#[tokio::test]
async fn the_next_ca_is_made_once_and_survives_a_restart() {
    let mut bench = Bench::new().await;
    let first = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    assert_eq!(bench.enroll.prepare_mesh_ca(NOW.plus(HOUR)).await.unwrap(), first);
    bench.restart().await;
    assert_eq!(bench.enroll.prepare_mesh_ca(NOW.plus(HOUR)).await.unwrap(), first);
    assert_eq!(bench.enroll.mesh_cas(), [bench.mesh.certificate().clone(), first]);
    let folder = bench.folder.path().join("mesh-ca");
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        let wanted = if file.extension().unwrap() == "key" { 0o600 } else { 0o644 };
        assert_eq!(mode(&file), wanted, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_ask_at_once_get_the_same_ca() {
    let bench = Bench::new().await;
    let asks = (0..8).map(|_| bench.enroll.prepare_mesh_ca(NOW));
    let made = futures_util::future::join_all(asks).await;
    let made: std::collections::HashSet<_> = made.into_iter().map(|made| made.unwrap().to_vec()).collect();
    assert_eq!((made.len(), bench.enroll.mesh_cas().len()), (1, 2));
}

#[tokio::test]
async fn a_ca_that_was_taken_into_use_is_followed_by_another() {
    let bench = Bench::new().await;
    let second = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    bench.trust(2, &[&second]);
    let third = bench.enroll.prepare_mesh_ca(NOW.plus(DAY)).await.unwrap();
    assert_ne!(third, second);
    assert_ne!(&third, bench.mesh.certificate(), "the one before is never taken again");
}

#[tokio::test]
async fn nothing_issues_that_the_bundle_in_force_does_not_name() {
    let bench = Bench::new().await;
    let second = bench.enroll.prepare_mesh_ca(NOW).await.unwrap();
    let old = bench.mesh.certificate().clone();
    for phase in [RotationPhase::Standby, RotationPhase::UpdateReplicas, RotationPhase::UpdateBrokers] {
        bench.enroll.phase.send_replace(phase);
        assert_eq!(bench.enroll.issuing(NOW), Some(old.clone()), "{phase:?}");
    }
    bench.trust(2, &[&old, &second]);
    assert_eq!(bench.enroll.issuing(NOW), Some(second.clone()));
    bench.enroll.phase.send_replace(RotationPhase::Rollback);
    assert_eq!(bench.enroll.issuing(NOW), Some(old));
    let foreign = Authority::create(CaKind::Mesh, "vendor", Arc::new(p256()), NOW).unwrap();
    bench.trust(3, &[foreign.certificate()]);
    assert_eq!(bench.enroll.issuing(NOW), None);
}

#[tokio::test]
async fn roots_of_other_issuers_are_passed_over() {
    let bench = Bench::new().await;
    let mine = bench.mesh.certificate().clone();
    let [older, younger] = [NOW.minus(DAY * 9), NOW]
        .map(|at| Authority::create(CaKind::Mesh, "vendor", Arc::new(p256()), at).unwrap());
    bench.trust(2, &[older.certificate(), &mine, younger.certificate()]);
    for phase in [RotationPhase::Standby, RotationPhase::UpdateBrokers] {
        bench.enroll.phase.send_replace(phase);
        assert_eq!(bench.enroll.issuing(NOW), Some(mine.clone()), "{phase:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_behind_makes_no_next_ca() {
    let bench = Bench::new().await;
    let refused = bench.enroll.prepare_mesh_ca(NOW.minus(DAY * 401)).await.unwrap_err();
    assert!(matches!(refused, AdminError::NotNow(_)), "{refused}");
    assert_eq!(bench.enroll.mesh_cas().len(), 1);
}

#[test]
fn keys_without_certificates_are_nothing_yet_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    p256().save(&folder.path().join("half.key")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let authorities = Authorities::load(None, folder.path().to_owned()).unwrap();
    assert!(authorities.is_empty());
    assert!(Authorities::load(None, folder.path().join("absent")).unwrap().is_empty());
    authorities.keep_only(&[]).unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn a_ca_of_another_kind_or_a_damaged_one_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let key = p256();
    key.save(&folder.path().join("a.key")).unwrap();
    let operators = Authority::create(CaKind::Operator, "vendor", Arc::new(key), NOW).unwrap();
    let path = folder.path().join("a.pem");
    for text in [certificate_to_pem(operators.certificate()), "nonsense".to_owned()] {
        file::write(&path, text.as_bytes()).unwrap();
        let error = Authorities::load(None, folder.path().to_owned()).unwrap_err();
        assert!(matches!(&error, EnrollError::Authority(named, _) if *named == path), "{error}");
    }
}
