//! With a shell as the program: it writes its own process id each time it starts.

use std::path::Path;

use tokio::sync::oneshot;
use tonic::transport::Channel;

use super::*;
use crate::{
    generated::supervisor::v1::supervisor_client::SupervisorClient,
    harness::{PATIENCE, wait::until},
};

struct Lab {
    folder: tempfile::TempDir,
    client: SupervisorClient<Channel>,
    end: oneshot::Sender<()>,
    serving: Task<io::Result<()>>,
}

impl Lab {
    async fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words = ["sh", "-c", script, "sh"].map(OsString::from);
        let words = words.into_iter().chain([folder.path().join("ids").into_os_string()]).collect();
        let supervisor = Supervisor::start(words, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = format!("http://{}", supervisor.address());
        let client = SupervisorClient::new(Channel::from_shared(address).unwrap().connect_lazy());
        let (end, ended) = oneshot::channel();
        let serving = Task::spawn(info_span!("test"), async move {
            supervisor.serve(async { ended.await.unwrap_or_default() }).await
        });
        Self { folder, client, end, serving }
    }

    async fn started(&self, times: usize) -> Vec<u32> {
        until("the program is started", PATIENCE, || async {
            let ids = ids(self.folder.path());
            if ids.len() == times { Ok(ids) } else { Err(format!("{ids:?}")) }
        })
        .await
        .unwrap()
    }
}

fn ids(folder: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(folder.join("ids")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn runs(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

const WAITS: &str = "echo $$ >> $1; exec tail -f /dev/null";

/// The first asks for a line before it goes.
const ENDS_WHEN_TOLD: &str = r#"
    if [ -e $1.leave ]; then echo $$ >> $1; exec tail -f /dev/null; fi
    mkfifo $1.leave
    trap ': > $1.asked; read line < $1.leave; exit' TERM
    echo $$ >> $1
    tail --pid=$$ -f /dev/null &
    wait
"#;

#[tokio::test]
async fn a_restart_ends_the_program_and_starts_it_again() {
    let mut lab = Lab::start(WAITS).await;
    lab.started(1).await;
    let answer = lab.client.restart(RestartRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.restarts, 1);
    let ids = lab.started(2).await;
    assert_eq!(ids.iter().map(|&id| runs(id)).collect::<Vec<_>>(), [false, true]);
    let status = lab.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.restarts, status.running), (1, true));
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_it_running() {
    let mut lab = Lab::start(ENDS_WHEN_TOLD).await;
    lab.started(1).await;
    let file = |end: &str| lab.folder.path().join(format!("ids.{end}"));
    let (asked, leave) = (file("asked"), file("leave"));
    let told = until("it is asked to end", PATIENCE, || async {
        asked.exists().then_some(()).ok_or_else(|| "nobody asked".to_owned())
    });
    tokio::select! {
        told = told => told.unwrap(),
        answer = lab.client.restart(RestartRequest::default()) => panic!("it has not ended: {answer:?}"),
    }
    // The caller has gone now.
    tokio::fs::write(leave, "now\n").await.unwrap();
    let status = lab.client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.restarts, status.running), (1, true));
    assert!(runs(lab.started(2).await[1]));
}

#[tokio::test]
async fn its_end_is_the_programs_end() {
    let lab = Lab::start(WAITS).await;
    let id = lab.started(1).await[0];
    lab.end.send(()).unwrap();
    lab.serving.await.unwrap().unwrap();
    assert!(!runs(id));
}

#[tokio::test]
async fn a_program_that_ended_by_itself_can_be_restarted() {
    let mut lab = Lab::start("echo $$ >> $1").await;
    let id = lab.started(1).await[0];
    until("it is over", PATIENCE, || async {
        let running = lab.client.clone().get_status(GetStatusRequest {}).await?.into_inner().running;
        if running { anyhow::bail!("{id} runs") } else { Ok(()) }
    })
    .await
    .unwrap();
    lab.client.restart(RestartRequest::default()).await.unwrap();
    lab.started(2).await;
}
