//! From the typed outcome to the message that is signed.

use tunnel_protos::v1;

use super::{Granted, Issued, Outcome, VERSION};

pub(super) fn message(outcome: &Outcome) -> v1::Outcome {
    v1::Outcome {
        version: VERSION,
        request_digest: outcome.request_digest.as_bytes().to_vec(),
        sequence: outcome.sequence,
        state: outcome.state.into(),
        time_ms: outcome.time.0,
        reason: outcome.reason.clone(),
        rule: outcome.rule.clone(),
        approvals_had: outcome.approvals_had,
        approvals_needed: outcome.approvals_needed,
        notified: outcome
            .notified
            .iter()
            .map(|(who, time)| v1::Notified { who: who.clone(), time_ms: time.0 })
            .collect(),
        deadlines: Some(outcome.deadlines),
        granted: outcome.granted.as_ref().map(granted),
        issued: outcome.issued.as_ref().map(issued),
    }
}

fn granted(granted: &Granted) -> v1::Granted {
    let method = |(method, level): &(tunnel_protos::MethodName, v1::GrantLevel)| v1::GrantedMethod {
        method: method.to_string(),
        level: (*level).into(),
    };
    v1::Granted {
        methods: granted.methods.iter().map(method).collect(),
        targets: granted.targets.iter().map(ToString::to_string).collect(),
    }
}

fn issued(issued: &Issued) -> v1::IssuedCertificate {
    let door = |(target, door): &(tunnel_protos::TargetName, tunnel_protos::Door)| v1::TargetDoor {
        target: target.to_string(),
        door: door.to_string(),
    };
    v1::IssuedCertificate {
        certificate: issued.certificate.to_vec(),
        doors: issued.doors.iter().map(door).collect(),
        access_ca_anchors: issued.anchors.iter().map(|anchor| anchor.to_vec()).collect(),
    }
}
