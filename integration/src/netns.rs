//! Three network namespaces in a line: operator, broker, customer. Every packet between them is paid for.
//!
//! Made and removed by us; names carry our process id, so that runs beside each other do not meet. Needs root.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// Where a program of the line runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The operator's machine: the load generator.
    Operator,
    /// The vendor's network: the broker.
    Broker,
    /// The customer's network: client and engine.
    Customer,
}

impl Place {
    const ALL: [Self; 3] = [Self::Operator, Self::Broker, Self::Customer];

    const fn word(self) -> &'static str {
        match self {
            Self::Operator => "op",
            Self::Broker => "br",
            Self::Customer => "cu",
        }
    }

    /// The address that others reach this place by.
    pub const fn address(self) -> IpAddr {
        IpAddr::V4(match self {
            Self::Operator => Ipv4Addr::new(10, 71, 1, 1),
            Self::Broker => Ipv4Addr::new(10, 71, 1, 2),
            Self::Customer => Ipv4Addr::new(10, 71, 2, 2),
        })
    }
}

/// The line; dropping it removes the namespaces and whatever runs in them loses its network.
pub struct Line {
    prefix: String,
}

impl Line {
    /// Makes the namespaces, the two links (MTU 1500, no offloads) and the routes.
    pub fn create() -> Result<Self> {
        let line = Self { prefix: format!("pst{}", std::process::id()) };
        for place in Place::ALL {
            run("ip", &["netns", "add", &line.name(place)])?;
            line.ip(place, "link set lo up")?;
        }
        line.link((Place::Operator, "10.71.1.1/24"), (Place::Broker, "10.71.1.2/24"))?;
        line.link((Place::Broker, "10.71.2.1/24"), (Place::Customer, "10.71.2.2/24"))?;
        line.ip(Place::Operator, "route add default via 10.71.1.2")?;
        line.ip(Place::Customer, "route add default via 10.71.2.1")?;
        line.exec(Place::Broker, &["sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        Ok(line)
    }

    /// The words to put before a command so that it runs in `place`.
    pub fn entry(&self, place: Place) -> Vec<String> {
        ["ip", "netns", "exec"].map(String::from).into_iter().chain([self.name(place)]).collect()
    }

    /// Joins two places by a pair of virtual Ethernet devices.
    fn link(&self, left: (Place, &str), right: (Place, &str)) -> Result<()> {
        let device = |to: Place| format!("to-{}", to.word());
        let (near, far) = (device(right.0), device(left.0));
        let (left_name, right_name) = (self.name(left.0), self.name(right.0));
        run(
            "ip",
            &["link", "add", &near, "netns", &left_name, "type", "veth", "peer", &far, "netns", &right_name],
        )?;
        self.set_up(left, &near)?;
        self.set_up(right, &far)
    }

    fn set_up(&self, (place, address): (Place, &str), device: &str) -> Result<()> {
        self.ip(place, &format!("address add {address} dev {device}"))?;
        self.ip(place, &format!("link set {device} mtu 1500 up"))?;
        let mut ethtool = vec!["ethtool", "-K", device];
        ethtool.extend(OFFLOADS.iter().flat_map(|offload| [*offload, "off"]));
        self.exec(place, &ethtool)
    }

    fn ip(&self, place: Place, arguments: &str) -> Result<()> {
        let name = self.name(place);
        let mut all = vec!["-n", &name];
        all.extend(arguments.split(' '));
        run("ip", &all)
    }

    fn exec(&self, place: Place, command: &[&str]) -> Result<()> {
        let name = self.name(place);
        let mut all = vec!["netns", "exec", &name];
        all.extend(command);
        run("ip", &all)
    }

    fn name(&self, place: Place) -> String {
        format!("{}-{}", self.prefix, place.word())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for place in Place::ALL {
            if let Err(error) = run("ip", &["netns", "del", &self.name(place)]) {
                eprintln!("left behind: {error:#}");
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let told = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{} (is {program} installed?)", told()))?;
    if !output.status.success() {
        bail!("{}: {}", told(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// With these on, veth hands over 64 KiB segments, which flatters TCP and hides the price of a packet.
const OFFLOADS: [&str; 4] = ["tso", "gso", "gro", "tx-udp-segmentation"];
