//! A policy as a file that says the same without a preset: what `policy show --effective` prints.

use std::fmt::{self, Display, Formatter};

use tunnel_certs::key::PublicKey;
use tunnel_runtime::config::{ByteSize, Span};

use super::{Approver, Limits, Operations, Policy, Rule};

/// Prints a policy as the file that it amounts to.
#[derive(Debug)]
pub struct Effective<'p>(pub &'p Policy);

impl Display for Effective<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let policy = self.0;
        writeln!(f, "# Preset {}, resolved; digest {}", policy.preset(), policy.digest())?;
        writeln!(f, "version: 1")?;
        clocks(f, policy)?;
        writeln!(f, "streams: {}", policy.streams())?;
        approvers(f, policy)?;
        operations(f, policy.operations())?;
        match policy.access() {
            [] => writeln!(f, "access: []"),
            rules => {
                writeln!(f, "access:")?;
                rules.iter().try_for_each(|one| rule(f, one))
            }
        }
    }
}

fn clocks(f: &mut Formatter<'_>, policy: &Policy) -> fmt::Result {
    let clocks = policy.clocks();
    writeln!(f, "clocks:")?;
    writeln!(f, "  requestTtl: {}", Span(clocks.request_ttl))?;
    writeln!(f, "  claimWindow: {}", Span(clocks.claim_window))?;
    writeln!(f, "  workWindow: {}", Span(clocks.work_window))?;
    writeln!(f, "  certificateTtl: {}", Span(clocks.certificate_ttl))
}

fn approvers(f: &mut Formatter<'_>, policy: &Policy) -> fmt::Result {
    if policy.approvers().is_empty() {
        return writeln!(f, "approvers: {{}}");
    }
    writeln!(f, "approvers:")?;
    policy.approvers().iter().try_for_each(|(name, Approver { key, uid })| {
        let line = key.as_ref().and_then(PublicKey::to_line);
        let key = line.map(|line| format!("key: \"{line}\""));
        let uid = uid.map(|uid| format!("uid: {uid}"));
        let parts: Vec<_> = key.into_iter().chain(uid).collect();
        writeln!(f, "  {name}: {{ {} }}", parts.join(", "))
    })
}

fn operations(f: &mut Formatter<'_>, operations: &Operations) -> fmt::Result {
    let Operations { scale, configure, restart, upgrade, collect_debug, run_task } = operations;
    writeln!(f, "approvals:")?;
    let replicas = scale.max_replicas.map(|most| format!("maxReplicas: {most}"));
    let step = scale.max_step.map(|most| format!("maxStep: {most}"));
    let limits: Vec<_> = replicas.into_iter().chain(step).collect();
    writeln!(f, "  scale: {{ mode: {}, limits: {{ {} }} }}", scale.effective(), limits.join(", "))?;
    let settings: Vec<_> = configure.settings.iter().map(|name| format!("{name:?}")).collect();
    let settings = settings.join(", ");
    writeln!(f, "  configure: {{ mode: {}, limits: {{ settings: [{settings}] }} }}", configure.effective())?;
    writeln!(f, "  restart: {restart}\n  upgrade: {upgrade}")?;
    writeln!(f, "  collectDebug: {{ mode: {}, release: {} }}", collect_debug.mode, collect_debug.release)?;
    let tasks: Vec<_> = run_task.iter().map(|(name, mode)| format!("{name}: {mode}")).collect();
    writeln!(f, "  runTask: {{ {} }}", tasks.join(", "))
}

fn rule(f: &mut Formatter<'_>, rule: &Rule) -> fmt::Result {
    writeln!(f, "  # {}", rule.number)?;
    writeln!(f, "  - methods:")?;
    rule.methods.iter().try_for_each(|pattern| writeln!(f, "      - \"{pattern}\""))?;
    writeln!(f, "    approval: {}", rule.approval)?;
    if rule.raw {
        writeln!(f, "    raw: true")?;
    }
    if rule.limits == Limits::default() { Ok(()) } else { writeln!(f, "    limits: {{ {} }}", rule.limits) }
}

impl Display for Limits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.map(|most| format!("bytes: {}", ByteSize(most)));
        let calls = self.calls_per_minute.map(|most| format!("callsPerMinute: {most}"));
        let streams = self.streams.map(|most| format!("streams: {most}"));
        let parts: Vec<_> = [bytes, calls, streams].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}
