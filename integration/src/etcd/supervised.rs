//! An etcd cluster each of whose members has a supervisor beside it, as real programs: what a member-by-member restart
//! takes, for etcd has no such call of its own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use tokio::process::Child;

use super::{Member, Options, flags, free, serving_address};
use crate::harness::{PATIENCE, binaries, binaries::tool, wait::until};

/// One member and its supervisor; both end when it is dropped.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    address: SocketAddr,
    supervisor: SocketAddr,
    log: PathBuf,
    /// Dropping it closes its standard input, with which it ends, its child before it.
    _program: Child,
}

impl Supervised {
    /// Starts one cluster of members with these names; each answers clients.
    pub async fn start_cluster(folder: &Path, names: &[&str]) -> Result<Vec<Self>> {
        let members = Member::several(names)?.into_iter().zip(free(names.len())?);
        let start = members.map(|(member, address)| Self::start(folder.join(&member.name), member, address));
        futures_util::future::try_join_all(start).await
    }

    async fn start(folder: PathBuf, member: Member, address: SocketAddr) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let (name, log, said) = (member.name.clone(), folder.join("etcd.log"), folder.join("supervisor.out"));
        let mut command = binaries::command("supervisor", &[])?;
        command.args(["--with-stdin", "--"]).arg(tool("etcd")?);
        command.args(flags(&Options { folder, address, tls: None, member }));
        command.stdin(Stdio::piped()).stdout(File::create(&said)?).stderr(File::create(&log)?);
        let program = command.spawn().context("start the supervisor")?;
        let supervisor = told(&said, "the supervisor listens", listening).await?;
        told(&log, "etcd serves clients", serving_address).await?;
        Ok(Self { name, address, supervisor, log, _program: program })
    }

    /// Its name among the members.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect, as a profile's endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its supervisor listens, as a profile's companion.
    pub fn companion(&self) -> String {
        format!("http://{}", self.supervisor)
    }

    /// How many times its etcd was started.
    pub fn starts(&self) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains("\"msg\":\"starting an etcd server\"")).count()
    }
}

async fn told<T>(file: &Path, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
    until(what, PATIENCE, || async {
        let text = fs::read_to_string(file)?;
        find(&text).context(text)
    })
    .await
}

fn listening(output: &str) -> Option<SocketAddr> {
    output.lines().find_map(|line| line.strip_prefix("listening h2c "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_the_supervisor_listens() {
        assert_eq!(listening("listening h2c 127.0.0.1:7\n").unwrap().port(), 7);
        assert_eq!(listening("nothing yet"), None);
    }
}
