//! A world whose broker and client are child processes, so that their memory can be read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tunnel_integration::harness::{
    broker::{self, Listen},
    counters::Counters,
    program::Program,
    world::{Plan, World},
};

/// The world, its broker and its client.
pub(crate) struct Children {
    pub(crate) world: World,
    pub(crate) broker: Program,
    pub(crate) client: Program,
}

/// The admin port of a client that runs.
pub(crate) fn client_admin(client: &Program) -> SocketAddr {
    let output = client.output();
    let line = output.lines().find(|line| line.contains("Listening")).expect("said by a client that runs");
    broker::address(line, "admin").expect("the address of the admin port")
}

/// Resident memory in KiB at one time.
pub(crate) struct Memory {
    broker: u64,
    client: u64,
}

impl Children {
    pub(crate) async fn start(plan: Plan) -> Self {
        let mut world = plan.start_offline().await.unwrap();
        world.drop_broker();
        let folder = world.folder().join("broker-child");
        let settings = &mut world.broker_settings;
        // Nothing of the one in this process, which may not have let go of it yet.
        settings.state = folder.join("state");
        settings.listen = Listen::free(IpAddr::V4(Ipv4Addr::LOCALHOST));
        std::fs::create_dir_all(&settings.state).unwrap();
        let (broker, listen) = settings.spawn(&folder, &[]).await.unwrap();
        settings.listen = listen;
        world.client_settings.brokers = vec![listen.quic];
        let mut client = world.client_settings.spawn(&[]).unwrap();
        world.client_settings.attached(&mut client).await.unwrap();
        world.online().await.unwrap();
        Self { world, broker, client }
    }

    /// Metric lines of the client that start with `name`.
    pub(crate) async fn client_metrics(&self, name: &str) -> Vec<String> {
        broker::metrics(client_admin(&self.client), name).await.unwrap()
    }

    /// What the client counts.
    pub(crate) fn client_counters(&self) -> Counters {
        Counters::at(client_admin(&self.client))
    }

    /// What the broker counts.
    pub(crate) fn broker_counters(&self) -> Counters {
        Counters::at(self.world.broker_settings.listen.admin)
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory { broker: self.broker.resident_kib().unwrap(), client: self.client.resident_kib().unwrap() }
    }

    /// Fails if either program ever had more than `kib` beyond what it had then.
    pub(crate) fn grew_less_than(&self, kib: u64, then: &Memory) {
        let grown = |program: &Program, then| program.peak_kib().unwrap().saturating_sub(then);
        let (broker, client) = (grown(&self.broker, then.broker), grown(&self.client, then.client));
        println!("the broker grew by {broker} KiB, the client by {client} KiB");
        assert!(broker < kib && client < kib, "the broker grew by {broker} KiB, the client by {client} KiB");
    }
}
