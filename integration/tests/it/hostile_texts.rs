//! Whatever texts a broker sends, `tunnelctl` never writes a character that could deceive whoever reads them.

use tonic::{Code, Status};
use tunnel_integration::harness::{
    PATIENCE,
    hostile_api::{Answers, HostileApi},
    tunnelctl::Tunnelctl,
    world::{Plan, World},
};
use tunnel_protos::{
    operators::{Cluster, Delivery, GetClusterRequest, SubmitReply, WhoAmIReply},
    text::is_deceptive,
    v1::TargetHealth,
};

/// Clears the screen, sets a title, turns text around, goes back, opens a new line.
const TRICK: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}\r\n\u{9b}31m\u{200b}y";

struct Scene {
    world: World,
    answers: Answers,
}

impl Scene {
    /// Answers as an honest broker gives them, for a test to change.
    async fn set() -> Self {
        let world = Plan::new().unwrap().start_offline().await.unwrap();
        let request = GetClusterRequest { cluster: world.cluster().to_string() };
        let cluster = world.operator("ada").unwrap().api().get_cluster(request).await.unwrap().into_inner();
        let who = WhoAmIReply {
            operator: "ada".to_owned(),
            broker_id: "b1".to_owned(),
            suffix: world.vendor.suffix().to_string(),
        };
        let answers = Answers {
            who: Ok(who),
            listed: Ok(cluster.clone()),
            cluster: Ok(cluster),
            submit: Ok(SubmitReply { envelope_id: vec![0; 32], delivery: Delivery::Sent.into() }),
            watch: Status::permission_denied(TRICK),
        };
        Self { world, answers }
    }

    /// Logs in at the honest broker's and then meets the hostile one at the address kept.
    async fn outputs(self, words: &[&str]) -> Vec<String> {
        let Self { world, answers } = self;
        let api = HostileApi::bind(&world.vendor, answers.clone()).await.unwrap();
        let identity = world.vendor.operator(&"ada".parse().unwrap()).unwrap();
        let tunnelctl = Tunnelctl::new(&world.folder().join("operator"), Vec::new()).unwrap();
        let login = tunnelctl.login(&world.vendor, &identity, api.address()).await;
        let mut told: Vec<_> = login.err().map(|error| unquoted(&error.to_string())).into_iter().collect();
        for format in ["text", "json"] {
            let mut command = tunnelctl.command(&["--output", format]).unwrap();
            command.args(words).kill_on_drop(true);
            let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("no hang").unwrap();
            told.extend([output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()));
        }
        told
    }

    async fn tells_nothing_deceptive(self, words: &[&str]) {
        let told = self.outputs(words).await;
        assert!(told.iter().any(|text| text.contains("[2J")), "the broker's text is not shown: {told:?}");
        for text in told {
            assert!(!text.chars().any(|c| c != '\n' && is_deceptive(c)), "{text:?}");
            assert!(
                !text.lines().any(|line| FORGED.iter().any(|start| line.starts_with(start))),
                "a line of the broker's: {text:?}"
            );
        }
    }
}

/// What the harness's error says after the command it ran.
fn unquoted(error: &str) -> String {
    error.split_once("error").map_or(error, |(_, rest)| rest).to_owned()
}

#[tokio::test]
async fn who_the_caller_is_said_to_be_is_escaped() {
    let lies = [(TRICK, ""), ("", TRICK)];
    for (operator, suffix) in lies {
        let mut scene = Scene::set().await;
        let who = scene.answers.who.as_mut().unwrap();
        operator.clone_into(&mut who.operator);
        if operator.is_empty() {
            "ada".clone_into(&mut who.operator);
            suffix.clone_into(&mut who.suffix);
        }
        scene.tells_nothing_deceptive(&["clusters"]).await;
    }
}

#[tokio::test]
async fn what_is_said_of_clusters_is_escaped() {
    let mut scene = Scene::set().await;
    let Cluster { cluster, label, targets, .. } = scene.answers.listed.as_mut().unwrap();
    *targets = vec![TargetHealth { target: TRICK.to_owned(), health: 1 }];
    TRICK.clone_into(cluster);
    TRICK.clone_into(label);
    scene.tells_nothing_deceptive(&["clusters"]).await;
}

#[tokio::test]
async fn words_of_a_refusal_are_escaped_whatever_the_code() {
    for code in [Code::PermissionDenied, Code::Unknown, Code::FailedPrecondition] {
        let mut scene = Scene::set().await;
        scene.answers.listed = Err(Status::new(code, TRICK));
        scene.tells_nothing_deceptive(&["clusters"]).await;
    }
}

#[tokio::test]
async fn words_of_a_refused_request_are_escaped() {
    let mut scene = Scene::set().await;
    scene.answers.submit = Err(Status::permission_denied(TRICK));
    scene.tells_nothing_deceptive(CONNECT).await;
    let mut scene = Scene::set().await;
    scene.answers.cluster = Err(Status::permission_denied(TRICK));
    scene.tells_nothing_deceptive(CONNECT).await;
}

#[tokio::test]
async fn words_of_a_refused_watch_are_escaped() {
    Scene::set().await.tells_nothing_deceptive(CONNECT).await;
}

const CONNECT: &[&str] = &[
    "connect",
    "acme/prod",
    "--method",
    "engine.admin.v1.Admin/GetStatus",
    "--reason",
    "a test",
    "--wait",
    "3s",
];
/// How a line begins that the broker's line break opened, as text and as JSON escape the rest.
const FORGED: [&str; 2] = ["\\u{9b}31m", "\\u009b31m"];
