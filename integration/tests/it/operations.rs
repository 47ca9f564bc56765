//! Operations from end to end: planned, approved, run step by step at real engines, watched, stopped, taken back.

mod bundles;
mod etcd;
mod grpcurl;
mod kills;
mod offline;
mod pauses;
mod refusals;
mod runs;
mod stale;
mod table;
mod together;

use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;
use tunnel_certs::statement::{
    approval::{Answer, Subject},
    outcome::Outcome,
    request::{Operation as Asked, operation::What},
};
use tunnel_client::audit::line::Line;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, GetStatusResponse, Node, admin_client::AdminClient},
    harness::{
        PATIENCE,
        approver_key::ApproverKey,
        operation::{self, OVER, on_approval},
        operator::{Operator, Submitted},
        profile::Shipped,
        release::Manifest,
        wait::until,
        world::{Plan, World},
    },
};
use tunnel_protos::{
    Digest,
    approvers::{AnswerRequest, RequestView},
    operations::v1::Operation,
    v1::RequestState,
};

const POLICY: &str = "  - methods: [\"grpc.health.v1.Health/*\"]
    approval: auto
approvals:
  scale: { mode: auto, limits: { maxReplicas: 5, maxStep: 2 } }
  configure: { mode: auto, limits: { settings: [logLevel] } }
  restart: auto
  upgrade: manual
  collectDebug: manual
  runTask: { compact: auto, reindex: manual, defragment: manual }
";

/// A world whose customer has a policy for operations and an approver.
pub(super) struct Lab {
    pub(super) world: World,
    pub(super) ada: Operator,
    key: ApproverKey,
    _keys: TempDir,
}

impl Lab {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let (mut plan, key, keys) = Self::plan().await;
        change(&mut plan);
        Self::of(plan.start().await.unwrap(), key, keys)
    }

    async fn plan() -> (Plan, ApproverKey, TempDir) {
        let keys = tempfile::tempdir().unwrap();
        let key = ApproverKey::create(keys.path()).await.unwrap();
        let mut plan = Plan::new().unwrap();
        plan.client.profile = Shipped::Hasty;
        plan.client.policy = key.policy(POLICY);
        (plan, key, keys)
    }

    fn of(world: World, key: ApproverKey, keys: TempDir) -> Self {
        Self { ada: world.operator("ada").unwrap(), world, key, _keys: keys }
    }

    async fn ask(&self, asked: Asked) -> Submitted {
        self.ada.operation(&self.world.cluster(), asked).await.unwrap()
    }

    /// The request once it waits for a person, its plan made.
    async fn planned(&self, submitted: &Submitted) -> RequestView {
        self.view(submitted, "it is planned", |view| {
            view.state() == RequestState::Pending && plan_digest(view).is_some()
        })
        .await
    }

    async fn view(
        &self,
        submitted: &Submitted,
        what: &str,
        wanted: impl Fn(&RequestView) -> bool,
    ) -> RequestView {
        let (approver, id) = (self.world.approver(), submitted.request.id.to_string());
        until(what, PATIENCE, || async {
            let view = approver.show(&id).await.map_err(|status| status.to_string())?;
            if wanted(&view) { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await
        .unwrap()
    }

    /// Alice says yes to the plan in `view`.
    async fn approve(&self, submitted: &Submitted, view: &RequestView) -> Result<RequestView, tonic::Status> {
        let plan = plan_digest(view);
        let subject =
            Subject::Request { request: submitted.digest, plan: plan.map(Digest::new), answer: Answer::Yes };
        let request = AnswerRequest {
            id: submitted.request.id.to_string(),
            digest: submitted.digest.as_bytes().to_vec(),
            note: String::new(),
            approval: self.key.sign(submitted.request.label, subject).unwrap(),
            plan_digest: plan.map(Vec::from).unwrap_or_default(),
        };
        self.world.approver().answer(request, Answer::Yes).await
    }

    /// Asked for, approved by Alice where the policy wants a person, and waited for.
    async fn run(&self, what: What) -> (Submitted, Outcome) {
        let submitted = self.ask(on_approval(what)).await;
        let view = self
            .view(&submitted, "it is decided or waits", |view| {
                view.state() != RequestState::Pending || plan_digest(view).is_some()
            })
            .await;
        if view.state() == RequestState::Pending {
            self.approve(&submitted, &view).await.unwrap();
        }
        let outcome = self.over(&submitted).await;
        (submitted, outcome)
    }

    async fn over(&self, submitted: &Submitted) -> Outcome {
        self.ada.reaches(submitted, &OVER).await.unwrap()
    }

    /// How it ended, with what the customer reads of it: what was found is not for the operator, who may only ask.
    async fn over_for_both(&self, submitted: &Submitted) -> (Outcome, String) {
        let outcome = self.over(submitted).await;
        let view =
            self.view(submitted, "the customer sees its end", |view| view.state() == outcome.state).await;
        (outcome, view.state_reason)
    }

    /// The operation as its operator sees it.
    async fn operation(&self, submitted: &Submitted) -> Operation {
        self.session(submitted).await.get().await.unwrap()
    }

    async fn session(&self, submitted: &Submitted) -> operation::Session {
        self.ada.session(&self.world.cluster(), submitted).await.unwrap()
    }

    /// What the audit log says of the steps and gates of an operation, in their order.
    fn walked(&self, submitted: &Submitted) -> Vec<String> {
        let id = submitted.request.id.to_string();
        let records = self.world.client_settings.records().unwrap();
        let flag = |record: &Line, name: &str| record.fields.get(name) == Some(&Value::Bool(true));
        let tell = |record: &Line| {
            let step = record.number("step")?;
            match record.kind.as_str() {
                "step" if flag(record, "back") => Some(format!("step {step} back")),
                "step" => Some(format!("step {step}")),
                "gate" if flag(record, "held") => Some(format!("gate {step} held")),
                "gate" => Some(format!("gate {step} did not hold")),
                _ => None,
            }
        };
        records.iter().filter(|record| record.text("request") == id).filter_map(tell).collect()
    }

    /// Signed by the vendor as it should be.
    fn release(&self, component: &str, name: &str, seq: u64) -> Vec<u8> {
        self.world.vendor.releases().sign(&Manifest::new(component, name, seq)).unwrap()
    }

    fn upgrade(&self, from: &str, to: &str, seq: u64) -> What {
        operation::upgrade("storage", from, self.release("storage", to, seq)).unwrap()
    }

    /// The engine, reached as the customer reaches it.
    fn engine(&self) -> AdminClient<Channel> {
        let address = self.world.engine().unwrap().addresses().h2c.unwrap();
        AdminClient::new(Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy())
    }

    async fn status(&self) -> GetStatusResponse {
        self.engine().get_status(GetStatusRequest {}).await.unwrap().into_inner()
    }

    /// Releases and restarts of the nodes of `storage`.
    async fn storage(&self) -> Vec<(String, u32)> {
        let of_storage = |node: &Node| node.component == "storage";
        let nodes = self.status().await.nodes.into_iter().filter(of_storage);
        nodes.map(|node| (node.release, node.restarts)).collect()
    }
}

fn plan_digest(view: &RequestView) -> Option<[u8; 32]> {
    view.running.as_ref()?.plan_digest.as_slice().try_into().ok()
}

/// What an operator is told must be one sentence that fits a line or two.
fn sentence(text: &str, parts: &[&str]) {
    let clear = (12..=400).contains(&text.chars().count()) && !text.contains('\n');
    assert!(clear, "not a sentence: {text:?}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
