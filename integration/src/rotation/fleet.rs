//! A vendor with a broker that enrolls, and clusters that enrolled: one real replica each, in this process.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::info_span;
use tunnel_certs::{statement::approval::Subject, words::Words};
use tunnel_client::{app::Client, config::Config};
use tunnel_protos::{
    ClusterName, Digest, Label,
    approvers::{ConfirmEntryRequest, EnrollmentState, EnrollmentView, GetEnrollmentRequest},
    operators::{ListReplicasRequest, Replica},
};
use tunnel_runtime::{
    drain::{self, Drain},
    tasks::Task,
};

use super::STEP;
use crate::{
    generated::admin::v1::admin_client::AdminClient,
    harness::{
        PATIENCE,
        administrator::Administrator,
        approver::Approver,
        approver_key::ApproverKey,
        broker::{ADMINISTRATOR, BrokerSettings},
        calls::{STATUS, get_status},
        client::ClientSettings,
        operator::{Operator, Pass},
        program::Program,
        tunnelctl::Tunnelctl,
        vendor::Vendor,
        wait::until,
    },
    reference_engine::{Options, ReferenceEngine, Running as Engine},
};

/// All of it.
pub(super) struct Fleet {
    folder: PathBuf,
    pub(super) vendor: Vendor,
    broker_settings: BrokerSettings,
    broker: Program,
    engine: Engine,
    /// The administrator's machine, logged in.
    pub(super) desk: Tunnelctl,
    pub(super) members: Vec<Member>,
    /// Whoever says yes for the customers.
    pub(super) approver: ApproverKey,
}

/// One cluster with its replica.
pub(super) struct Member {
    pub(super) cluster: ClusterName,
    pub(super) label: Label,
    settings: ClientSettings,
    running: Option<(Task<()>, Drain)>,
}

impl Fleet {
    /// Vendor, broker and engine; nobody has enrolled.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let vendor = Vendor::create(&folder.join("vendor"))?;
        let place = folder.join("broker");
        let mut broker_settings =
            BrokerSettings::enrolling(&vendor, "b1", &place, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        // Hundreds of replicas in debug builds share two cores: a missed probe must not be taken for a death.
        "15s".clone_into(&mut broker_settings.probe_interval);
        let (broker, listen) = broker_settings.spawn(&place, &[]).await?;
        broker_settings.listen = listen;
        let engine = ReferenceEngine::build(Options::loopback(folder.join("engine")))?.spawn()?;
        let desk = Tunnelctl::new(&folder.join("desk"), Vec::new())?;
        desk.login(&vendor, &vendor.operator(&ADMINISTRATOR.parse()?)?, listen.tcp).await?;
        let folder = folder.to_owned();
        let approver = ApproverKey::create(&folder).await?;
        Ok(Self { folder, vendor, broker_settings, broker, engine, desk, members: Vec::new(), approver })
    }

    /// An operator with a fresh identity of that name.
    pub(super) fn operator(&self, name: &str) -> Result<Operator> {
        let name = name.parse()?;
        Operator::new(&self.vendor, &self.vendor.operator(&name)?, &name, self.broker_settings.listen.tcp)
    }

    /// The administrator, in this process.
    pub(super) fn administrator(&self) -> Result<Administrator<'_>> {
        Ok(Administrator::new(&self.vendor, &self.operator(ADMINISTRATOR)?))
    }

    /// Invites, starts and confirms `count` clusters, a few at a time.
    pub(super) async fn enroll(&mut self, count: usize) -> Result<()> {
        let enrolled = stream::iter(0..count).map(|number| self.enroll_one(number));
        self.members = enrolled.buffered(AT_A_TIME).try_collect().await?;
        Ok(())
    }

    async fn enroll_one(&self, number: usize) -> Result<Member> {
        let cluster: ClusterName = format!("fleet/c{number}").parse()?;
        let folder = self.folder.join(format!("c{number}"));
        fs::create_dir_all(&folder)?;
        let administrator = self.administrator()?;
        let brokers = [self.broker_settings.listen.tcp.to_string()];
        let invitation = administrator.invite(&cluster, &folder.join("bundle"), &brokers).await?;
        let mut settings = ClientSettings::of(&self.vendor, cluster.as_str(), &folder)?;
        settings.label = invitation.label;
        settings.bundle = Some(invitation.file.clone());
        let h2c = self.engine.addresses().h2c.context("the engine listens on h2c")?;
        settings.endpoints = vec![("default".to_owned(), format!("http://{h2c}"))];
        settings.policy = self.approver.policy(ACCESS);
        "limits: { shards: 1 }\n".clone_into(&mut settings.more);
        settings.write()?;
        let mut member = Member { cluster, label: invitation.label, settings, running: None };
        member.start().await?;
        let opened = administrator.registration(&invitation).await?;
        let read_out = member.enrollment().await?.registration_words;
        ensure!(read_out == opened.words.to_string(), "{read_out} is not {}", opened.words);
        let entry = administrator.confirm(&member.cluster, &opened, 1).await?;
        member.confirm(&self.approver, entry).await?;
        Ok(member)
    }

    /// Does this to every cluster, a few at a time.
    pub(super) async fn each(&self, act: impl AsyncFn(&Member) -> Result<()>) -> Result<()> {
        let act = &act;
        let done = stream::iter(&self.members)
            .map(|member| async move { act(member).await.with_context(|| member.cluster.to_string()) });
        done.buffer_unordered(AT_A_TIME).try_collect().await
    }

    /// Access to the first `count` clusters.
    pub(super) async fn passes(&self, count: usize) -> Result<Vec<(String, Pass)>> {
        let (ada, mut passes) = (self.operator("ada")?, Vec::new());
        for Member { cluster, .. } in &self.members[..count] {
            let pass = ada.pass(cluster, &[STATUS]).await.with_context(|| cluster.to_string())?;
            passes.push((cluster.to_string(), pass));
        }
        Ok(passes)
    }

    /// Every replica as the broker knows it.
    pub(super) async fn replicas(&self) -> Result<Vec<Replica>> {
        let request = ListReplicasRequest { page_size: 1000, ..Default::default() };
        Ok(self.administrator()?.api().list_replicas(request).await?.into_inner().replicas)
    }

    /// Waits until the broker routes to every cluster.
    pub(super) async fn everybody_is_back(&self) -> Result<()> {
        until("everybody is back", STEP, || async {
            let replicas = self.replicas().await?;
            let away = replicas.iter().filter(|replica| !replica.connected).count();
            ensure!(replicas.len() == self.members.len() && away == 0, "{away} of {} away", replicas.len());
            Ok::<_, anyhow::Error>(())
        })
        .await
    }

    /// Ends everything in order.
    pub(super) async fn stop(self) -> Result<()> {
        let Self { members, mut broker, engine, .. } = self;
        let stopping = stream::iter(members).map(|mut member| async move { member.stop().await });
        stopping.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        broker.stop(PATIENCE).await?;
        engine.stop().await;
        Ok(())
    }
}

impl Member {
    /// Starts the replica, which enrolls if it has not yet.
    pub(super) async fn start(&mut self) -> Result<()> {
        let config = Config::read(&self.settings.file(), BTreeMap::new())?.config;
        let client = Client::build(config).await?;
        let (drain, watch) = drain::channel();
        self.running = Some((Task::spawn(info_span!("client"), client.serve(watch)), drain));
        Ok(())
    }

    /// Drains the replica.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let Some((task, drain)) = self.running.take() else { return Ok(()) };
        let mut ended = Ok(());
        drain.run(STOP, async { ended = task.await }).await;
        Ok(ended?)
    }

    /// The customer's side.
    pub(super) fn approver(&self) -> Approver {
        Approver::new(&self.settings.socket())
    }

    /// Waits for one call of a new grant, with a certificate made now.
    pub(super) async fn is_called(&self, operator: &Operator) -> Result<()> {
        until("a call with a new certificate is answered", STEP, || async {
            let mut engine = AdminClient::new(operator.pass(&self.cluster, &[STATUS]).await?.channel()?);
            Ok::<_, anyhow::Error>(get_status(&mut engine).await.map(drop)?)
        })
        .await
    }

    pub(super) async fn enrollment(&self) -> Result<EnrollmentView> {
        Ok(self.approver().membership().get_enrollment(GetEnrollmentRequest {}).await?.into_inner())
    }

    /// Types the words of the entry that waits, as alice, and waits until it is in force.
    pub(super) async fn confirm(&self, alice: &ApproverKey, entry: Digest) -> Result<()> {
        until("the entry is confirmed", STEP, || async {
            let approval = alice.sign(self.label, Subject::EnrollConfirm { entry })?;
            let request =
                ConfirmEntryRequest { words: Words::of(&entry).to_string(), approval, note: String::new() };
            let view = self.approver().membership().confirm_entry(request).await?.into_inner();
            ensure!(view.state() == EnrollmentState::Enrolled, "{:?}: {}", view.state(), view.next);
            Ok::<_, anyhow::Error>(())
        })
        .await
    }
}

/// Enough to keep both cores busy, few enough that each comes through in time.
const AT_A_TIME: usize = 6;
const STOP: Duration = Duration::from_secs(20);
const ACCESS: &str = "  - methods: [\"engine.admin.v1.Admin/*\"]\n    approval: auto\n";
