//! What the programs say of themselves at `/metrics`, each with a value that moves.

use tokio::time::timeout;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{
        PATIENCE, approver_key::ApproverKey, counters::Counters, customer::Customer, operator::access_to,
        wait::until, world::Plan,
    },
};
use tunnel_protos::v1::RequestState;

use crate::children::Children;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const RESTART: &str = "engine.admin.v1.Admin/Restart";
const ACCESS: &str = "  - methods: [engine.admin.v1.Admin/Restart]
    approval: manual
  - methods: [engine.admin.v1.Admin/GetStatus]
    approval: auto
";

async fn stands(counters: Counters, series: &str, wanted: f64) {
    until(&format!("{series} is {wanted}"), PATIENCE, || async {
        let value = counters.value(series).await?;
        anyhow::ensure!((value - wanted).abs() < f64::EPSILON, "it is {value}");
        Ok::<_, anyhow::Error>(())
    })
    .await
    .unwrap();
}

async fn rises(counters: Counters, series: &[&str], before: &[f64]) {
    for (series, before) in series.iter().zip(before) {
        until(&format!("{series} rises"), PATIENCE, || async {
            let now = counters.value(series).await?;
            anyhow::ensure!(now > *before, "{before} before, {now} now");
            Ok::<_, anyhow::Error>(())
        })
        .await
        .unwrap();
    }
}

async fn values(counters: Counters, series: &[&str]) -> Vec<f64> {
    let mut values = Vec::new();
    for series in series {
        values.push(counters.value(series).await.unwrap());
    }
    values
}

#[tokio::test]
async fn tunnels_are_told_with_their_carrier_while_they_last() {
    let mut children = Children::start(Plan::new().unwrap()).await;
    let (client, broker) = (children.client_counters(), children.broker_counters());
    for series in [
        "postern_client_tunnels_desired",
        "postern_client_tunnels_connected",
        "postern_client_tunnels_carried{carrier=\"quic\"}",
    ] {
        stands(client, series, 1.0).await;
    }
    let of_broker = [
        "postern_broker_tunnels",
        "postern_broker_tunnels_carried{carrier=\"quic\"}",
        "postern_broker_tunnels_routable",
    ];
    for series in of_broker {
        stands(broker, series, 1.0).await;
    }
    for (counters, program) in [(client, "tunnel-client"), (broker, "tunnel-broker")] {
        stands(counters, &format!("build_info{{program=\"{program}\"}}"), 1.0).await;
    }
    children.broker.kill().await.unwrap();
    stands(client, "postern_client_tunnels_connected", 0.0).await;
    stands(client, "postern_client_tunnels_carried{carrier=\"quic\"}", 0.0).await;
}

#[tokio::test]
async fn a_call_moves_sessions_calls_handshakes_bytes_and_the_audit_lag() {
    let children = Children::start(Plan::new().unwrap()).await;
    let (client, broker) = (children.client_counters(), children.broker_counters());
    let pass = children.world.pass(&[STATUS]).await.unwrap();
    let of_client = [
        "postern_client_calls_total{class=\"read\",code=\"OK\"}",
        "postern_client_gate_handshakes_total{result=\"ok\"}",
        "postern_client_bytes_total{direction=\"down\"}",
        "postern_client_audit_lag_seconds_count",
        "postern_client_audit_lag_seconds_bucket{le=\"30\"}",
        "postern_client_audit_sync_seconds_count",
    ];
    let of_broker = [
        "postern_broker_handshakes_total{place=\"hello\",result=\"door\"}",
        "postern_broker_probe_seconds_count",
    ];
    let before = (values(client, &of_client).await, values(broker, &of_broker).await);
    let channel = pass.channel().unwrap();
    AdminClient::new(channel.clone()).get_status(GetStatusRequest {}).await.unwrap();
    stands(client, "postern_client_sessions", 1.0).await;
    stands(broker, "postern_broker_sessions", 1.0).await;
    rises(client, &of_client, &before.0).await;
    rises(broker, &of_broker, &before.1).await;
    // The broker counts a session's bytes at its end, and now and then before.
    let bytes = ["postern_broker_session_bytes_total{direction=\"to_operator\"}"];
    let before = values(broker, &bytes).await;
    drop(channel);
    stands(client, "postern_client_sessions", 0.0).await;
    stands(broker, "postern_broker_sessions", 0.0).await;
    rises(broker, &bytes, &before).await;
    rises(client, &["postern_client_sessions_ended_total{reason=\"closed\"}"], &[0.0]).await;
}

#[tokio::test]
async fn each_answer_of_a_person_tells_how_long_the_operator_waited() {
    let keys = tempfile::tempdir().unwrap();
    let key = ApproverKey::create(keys.path()).await.unwrap();
    let mut plan = Plan::new().unwrap();
    plan.client.policy = key.policy(ACCESS);
    let children = Children::start(plan).await;
    let (world, client) = (&children.world, children.client_counters());
    let (ada, customer) = (world.operator("ada").unwrap(), Customer::new(&world.client_settings.socket()));
    for (answer, wanted) in [("yes", RequestState::Approved), ("no", RequestState::Denied)] {
        let asked = ada.ask(&world.cluster(), access_to(&[RESTART]).unwrap()).await.unwrap();
        ada.outcome(&asked, |outcome| outcome.state == RequestState::Pending).await.unwrap();
        let id = asked.request.id.to_string();
        let words = customer.ask(&["show", &id]).await.unwrap()["words"].as_str().unwrap().to_owned();
        let file = key.file.display().to_string();
        let typed = match answer {
            "yes" => vec!["approve", &id, "--yes", "--words", &words, "--key", &file],
            _ => vec!["deny", &id, "--yes"],
        };
        let series =
            |what: &str| format!("postern_client_approval_wait_seconds_{what}{{answer=\"{answer}\"}}");
        let ended = client.moves(&series("count"), customer.run(&typed)).await.unwrap().unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        timeout(PATIENCE, ada.outcome(&asked, |outcome| outcome.state == wanted)).await.unwrap().unwrap();
        let waited = client.value(&series("sum")).await.unwrap();
        assert!(waited > 0.0, "from its receipt on");
        let days = format!("postern_client_approval_wait_seconds_bucket{{answer=\"{answer}\",le=\"86400\"}}");
        stands(client, &days, 1.0).await;
    }
}
