use super::*;

fn engine(endpoint: &str) -> Engine {
    let text = format!("{{ name: own, endpoints: {{ default: '{endpoint}' }} }}");
    Engine::new(Profile::parse(&text, "".as_ref(), |_| Ok(Vec::new())).unwrap())
}

#[tokio::test]
async fn an_engine_that_is_down_is_unreachable_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&format!("unix:{}/none.sock", folder.path().display()));
    let target = TargetName::default_target();
    assert_eq!(engine.health(&target), Health::Unspecified);
    assert!(matches!(engine.connect(&target).await, Err(ConnectError::Connect { .. })));
    let asked = async {
        while engine.health(&target) == Health::Unspecified {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = engine.watch_health() => {}
        () = asked => {}
    }
    assert_eq!(engine.health(&target), Health::Unreachable);
}

#[tokio::test]
async fn an_unknown_target_is_refused() {
    let engine = engine("http://127.0.0.1:1");
    let other = "other".parse().unwrap();
    assert!(matches!(engine.connect(&other).await, Err(ConnectError::UnknownTarget)));
    assert_eq!(engine.health(&other), Health::Unspecified);
}
