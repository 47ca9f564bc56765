//! Which request metadata passes to the engine, and what the gate adds: an allow-list, so that nothing new slips by.

use std::collections::BTreeSet;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT},
};
use tunnel_protos::{GrantId, OperatorName};

/// The rules of one session, made once.
#[derive(Debug, Clone)]
pub(super) struct RequestMetadata {
    further: BTreeSet<String>,
    operator: HeaderValue,
    grant: HeaderValue,
    credential: Option<HeaderValue>,
}

impl RequestMetadata {
    /// `further` names come from the profile; `credential` is the engine's own `authorization`.
    pub(super) fn new(
        further: BTreeSet<String>,
        operator: &OperatorName,
        grant: GrantId,
        credential: Option<HeaderValue>,
    ) -> Self {
        Self { further, operator: value(operator.as_str()), grant: value(&grant.to_string()), credential }
    }

    /// The headers toward the engine: what is allowed of `incoming`, who calls, and the engine's own credential.
    pub(super) fn rewrite(&self, incoming: HeaderMap) -> HeaderMap {
        let mut outgoing = HeaderMap::with_capacity(incoming.len() + 4);
        let mut last = None;
        for (name, value) in incoming {
            // A repeated name comes as none.
            last = name.or(last);
            if let Some(name) = last.as_ref().filter(|name| self.allows(name)) {
                outgoing.append(name, value);
            }
        }
        outgoing.insert(OPERATOR, self.operator.clone());
        outgoing.insert(GRANT, self.grant.clone());
        if let Some(credential) = &self.credential {
            outgoing.insert(AUTHORIZATION, credential.clone());
        }
        outgoing
    }

    fn allows(&self, name: &HeaderName) -> bool {
        [CONTENT_TYPE, TE, USER_AGENT].contains(name)
            || ALLOWED.contains(&name.as_str())
            || self.further.contains(name.as_str())
    }
}

/// Takes out of a response's headers what belongs to one hop only.
pub(super) fn strip_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("names and ids are of letters, digits and '-'")
}

/// gRPC's own, and trace context; `baggage` is dropped, and `grpc-timeout` is written anew.
const ALLOWED: &[&str] =
    &["grpc-encoding", "grpc-accept-encoding", "grpc-previous-rpc-attempts", "traceparent", "tracestate"];

/// `content-length` too: a call that is cut short must still be able to end with a status.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

const OPERATOR: HeaderName = HeaderName::from_static("postern-operator");
const GRANT: HeaderName = HeaderName::from_static("postern-grant");

#[cfg(test)]
mod tests {
    use tunnel_protos::RequestId;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn rules(credential: Option<&'static str>) -> RequestMetadata {
        let operator = "ana".parse().unwrap();
        let credential = credential.map(HeaderValue::from_static);
        let further = ["hasleader".to_owned()].into();
        RequestMetadata::new(further, &operator, RequestId::random().into(), credential)
    }

    #[test]
    fn only_listed_metadata_passes() {
        let incoming = headers(&[
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("traceparent", "00-1"),
            ("hasleader", "true"),
            ("baggage", "secret"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cookie", "a=b"),
            ("connection", "close"),
        ]);
        let outgoing = rules(None).rewrite(incoming);
        let mut names: Vec<_> = outgoing.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-type", "hasleader", "postern-grant", "postern-operator", "te", "traceparent"]
        );
    }

    #[test]
    fn an_operators_own_authorization_and_identity_are_replaced() {
        let incoming = headers(&[
            ("authorization", "Bearer stolen"),
            ("postern-operator", "root"),
            ("postern-grant", "x"),
            ("postern-admin", "yes"),
        ]);
        assert!(rules(None).rewrite(incoming.clone()).get("authorization").is_none());
        let outgoing = rules(Some("Bearer engine")).rewrite(incoming);
        assert_eq!(outgoing["authorization"], "Bearer engine");
        assert_eq!(outgoing["postern-operator"], "ana");
        assert_eq!(outgoing.get_all("postern-grant").iter().count(), 1);
        assert!(!outgoing.contains_key("postern-admin"));
    }

    #[test]
    fn repeated_metadata_stays_repeated_and_repeated_strangers_stay_out() {
        let mut incoming = headers(&[("hasleader", "a"), ("cookie", "a"), ("te", "trailers")]);
        incoming.append("hasleader", HeaderValue::from_static("b"));
        incoming.append("cookie", HeaderValue::from_static("b"));
        let outgoing = rules(None).rewrite(incoming);
        assert_eq!(outgoing.get_all("hasleader").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(!outgoing.contains_key("cookie"));
    }

    #[test]
    fn a_response_loses_what_belongs_to_one_hop() {
        let mut answer = headers(&[("connection", "close"), ("x-engine", "1"), ("content-length", "7")]);
        strip_hop(&mut answer);
        assert_eq!(answer, headers(&[("x-engine", "1")]));
    }
}
