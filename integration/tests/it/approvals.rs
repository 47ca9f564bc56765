//! The customer decides: yes and no by real commands, by user id and by key; and what none of them can do.

mod pause;
mod restarts;
pub(crate) mod webhook;

use tempfile::TempDir;
use tonic::Code;
use tunnel_integration::{
    generated::admin::v1::{RestartRequest, admin_client::AdminClient},
    harness::{
        PATIENCE,
        approver_key::{ALICE, ApproverKey},
        command::Ended,
        customer::{Customer, let_others_pass},
        operator::{Operator, Submitted, access_to},
        skip::needs_root,
        wait::until,
        world::{Plan, World},
    },
};
use tunnel_protos::v1::RequestState;

const RESTART: &str = "engine.admin.v1.Admin/Restart";
const ACCESS: &str = "  - methods: [engine.admin.v1.Admin/Restart]
    approval: manual
  - methods: [engine.admin.v1.Admin/GetStatus, engine.admin.v1.Faults/Stall]
    approval: auto
";

/// A world whose customer has approvers, and an operator.
struct Lab {
    world: World,
    ada: Operator,
    customer: Customer,
    key: ApproverKey,
    _keys: TempDir,
}

impl Lab {
    async fn start() -> Self {
        let (plan, key, keys) = Self::plan().await;
        let world = plan.start().await.unwrap();
        Self::of(world, key, keys)
    }

    async fn plan() -> (Plan, ApproverKey, TempDir) {
        let keys = tempfile::tempdir().unwrap();
        let key = ApproverKey::create(keys.path()).await.unwrap();
        let mut plan = Plan::new().unwrap();
        plan.client.policy = key.policy(ACCESS);
        (plan, key, keys)
    }

    fn of(world: World, key: ApproverKey, keys: TempDir) -> Self {
        let_others_pass(world.folder()).unwrap();
        let customer = Customer::new(&world.client_settings.socket());
        Self { ada: world.operator("ada").unwrap(), customer, world, key, _keys: keys }
    }

    /// Asks for what needs a person.
    async fn ask(&self) -> Submitted {
        let cluster = self.world.cluster();
        let submitted = self.ada.ask(&cluster, access_to(&[RESTART]).unwrap()).await.unwrap();
        let pending = self.ada.outcome(&submitted, |_| true).await.unwrap();
        assert_eq!(pending.state, RequestState::Pending, "{pending:?}");
        submitted
    }

    /// The request's words, as the customer is shown them.
    async fn words(&self, submitted: &Submitted) -> String {
        let id = submitted.request.id.to_string();
        self.customer.ask(&["show", &id]).await.unwrap()["words"].as_str().unwrap().to_owned()
    }

    async fn approve(&self, who: &Customer, submitted: &Submitted, more: &[&str]) -> Ended {
        let (id, words) = (submitted.request.id.to_string(), self.words(submitted).await);
        let yes = ["approve", &id, "--yes", "--words", &words, "--note", "go ahead"];
        who.run(&[&yes, more].concat()).await.unwrap()
    }

    async fn approve_by_key(&self, submitted: &Submitted) -> Ended {
        let file = self.key.file.display().to_string();
        self.approve(&self.customer, submitted, &["--key", &file]).await
    }

    async fn deny(&self, submitted: &Submitted) -> Ended {
        let id = submitted.request.id.to_string();
        self.customer.run(&["deny", &id, "--yes", "--note", "not tonight"]).await.unwrap()
    }

    /// Writes another policy and waits until it is in force.
    async fn becomes(&self, access: &str) {
        let digest =
            || async { Ok::<_, anyhow::Error>(self.world.approver().status().await?.policy.unwrap().digest) };
        let before = digest().await.unwrap();
        std::fs::write(self.world.client_settings.folder.join("policy.yaml"), self.key.policy(access))
            .unwrap();
        until("the policy is read again", PATIENCE, || async {
            if digest().await? == before { Err(anyhow::anyhow!("the old one")) } else { Ok(()) }
        })
        .await
        .unwrap();
    }

    async fn state(&self, submitted: &Submitted, wanted: RequestState) {
        let reached = self.ada.outcome(submitted, |outcome| outcome.state == wanted).await;
        reached.unwrap_or_else(|error| panic!("{wanted:?}: {error:#}"));
    }

    /// Uses an approved request.
    async fn restart(&self, submitted: &Submitted) -> Result<(), Code> {
        let grant = submitted.request.id.into();
        let pass = self.ada.certificate(&self.world.cluster(), grant).await.unwrap();
        let mut admin = AdminClient::new(pass.channel().unwrap());
        let asked = RestartRequest { component: "storage".to_owned(), ..Default::default() };
        admin.restart(asked).await.map(drop).map_err(|status| status.code())
    }
}

#[tokio::test]
async fn an_approver_says_yes_by_a_signature() {
    let lab = Lab::start().await;
    let submitted = lab.ask().await;
    let ended = lab.approve_by_key(&submitted).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    lab.state(&submitted, RequestState::Approved).await;
    lab.restart(&submitted).await.unwrap();
    let shown = lab.customer.ask(&["show", &submitted.request.id.to_string()]).await.unwrap();
    assert_eq!(
        (&shown["answers"][0]["who"], &shown["answers"][0]["signed"]),
        (&"alice".into(), &true.into())
    );
}

#[tokio::test]
async fn an_approver_says_yes_by_user_id_and_nobody_else_does() {
    let lab = Lab::start().await;
    let Some(alice) = lab.customer.with_uid(ALICE) else { return needs_root("be other users") };
    let submitted = lab.ask().await;
    for (who, other) in [
        ("the daemon's own user", lab.customer.clone()),
        ("a user without a name", lab.customer.with_uid(4711).unwrap()),
        ("nobody", lab.customer.with_uid(65_534).unwrap()),
    ] {
        let ended = lab.approve(&other, &submitted, &[]).await;
        assert_eq!(ended.code, Some(3), "{who}: {ended:?}");
        assert!(ended.stderr.contains("--key") || ended.stderr.contains("approvers"), "says how: {ended:?}");
    }
    let ended = lab.approve(&alice, &submitted, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    lab.state(&submitted, RequestState::Approved).await;
}

#[tokio::test]
async fn other_words_approve_nothing() {
    let lab = Lab::start().await;
    let (submitted, other) = (lab.ask().await, lab.ask().await);
    let (id, words) = (submitted.request.id.to_string(), lab.words(&other).await);
    let file = lab.key.file.display().to_string();
    let ended =
        lab.customer.run(&["approve", &id, "--yes", "--words", &words, "--key", &file]).await.unwrap();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let shown = lab.customer.ask(&["show", &id]).await.unwrap();
    assert_eq!(shown["state"], "pending");
}

#[tokio::test]
async fn a_no_is_final_and_the_same_ask_again_needs_a_person() {
    let lab = Lab::start().await;
    let submitted = lab.ask().await;
    let denied = lab.deny(&submitted).await;
    assert_eq!(denied.code, Some(0), "{denied:?}");
    lab.state(&submitted, RequestState::Denied).await;
    let late = lab.approve_by_key(&submitted).await;
    assert_eq!(late.code, Some(3), "{late:?}");
    // Even if the policy would say yes by itself by now.
    lab.becomes(&ACCESS.replace("manual", "auto")).await;
    let (_, fresh) =
        lab.world.operator("bea").unwrap().access(&lab.world.cluster(), &[RESTART]).await.unwrap();
    assert_eq!(fresh.state, RequestState::Approved, "{fresh:?}");
    let again = lab.ask().await;
    let shown = lab.customer.ask(&["show", &again.request.id.to_string()]).await.unwrap();
    assert_eq!(shown["deniedBefore"], submitted.request.id.to_string(), "{shown:#}");
}

#[tokio::test]
async fn both_sides_show_the_same_words_and_everything_an_approver_must_see() {
    let lab = Lab::start().await;
    let submitted = lab.ask().await;
    let words = tunnel_certs::words::Words::of(&submitted.digest).to_string();
    assert_eq!(lab.words(&submitted).await, words);
    let shown = lab.customer.run(&["show", &submitted.request.id.to_string()]).await.unwrap().stdout;
    for part in [words.as_str(), "ada", "a test of the whole way", "T-1", RESTART, "MUTATES"] {
        assert!(shown.contains(part), "{part} is not shown:\n{shown}");
    }
}
