//! The stored form of the customer's orders.

use prost::Message;
use tunnel_protos::UnixMillis;

use super::{DecodeError, parse};
use crate::requests::{
    orders::{Denied, Orders},
    pause::Pause,
};

#[derive(Clone, PartialEq, Message)]
struct StoredOrders {
    #[prost(message, optional, tag = "1")]
    pause: Option<StoredPause>,
    #[prost(message, repeated, tag = "2")]
    denied: Vec<StoredDenied>,
    #[prost(message, repeated, tag = "3")]
    used: Vec<StoredUse>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPause {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int64, tag = "2")]
    since_ms: i64,
    #[prost(string, tag = "3")]
    who: String,
    #[prost(string, tag = "4")]
    note: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredDenied {
    #[prost(string, tag = "1")]
    operator: String,
    #[prost(int64, tag = "2")]
    since_ms: i64,
    #[prost(string, tag = "3")]
    who: String,
    #[prost(string, tag = "4")]
    note: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredUse {
    #[prost(bytes = "vec", tag = "1")]
    digest: Vec<u8>,
    #[prost(int64, tag = "2")]
    forget_after_ms: i64,
}

/// The stored form of the orders.
pub(in crate::requests) fn encode(orders: &Orders) -> Vec<u8> {
    let pause = orders.pause.as_ref().map(|pause| StoredPause {
        id: pause.id.to_string(),
        since_ms: pause.since.0,
        who: pause.who.clone(),
        note: pause.note.clone(),
    });
    let denied = orders.denied.iter().map(|(operator, denied)| StoredDenied {
        operator: operator.to_string(),
        since_ms: denied.since.0,
        who: denied.who.clone(),
        note: denied.note.clone(),
    });
    let used = orders.used.iter().map(|(digest, forget_after)| StoredUse {
        digest: digest.as_bytes().to_vec(),
        forget_after_ms: forget_after.0,
    });
    StoredOrders { pause, denied: denied.collect(), used: used.collect() }.encode_to_vec()
}

/// The orders that were stored.
pub(in crate::requests) fn decode(body: &[u8]) -> Result<Orders, DecodeError> {
    let stored = StoredOrders::decode(body).map_err(DecodeError::Malformed)?;
    Ok(Orders {
        pause: stored.pause.map(StoredPause::pause).transpose()?,
        asked: 0,
        denied: stored.denied.into_iter().map(StoredDenied::denied).collect::<Result<_, _>>()?,
        used: stored.used.into_iter().map(StoredUse::used).collect::<Result<_, _>>()?,
    })
}

impl StoredPause {
    fn pause(self) -> Result<Pause, DecodeError> {
        Ok(Pause {
            id: parse(&self.id, "pause")?,
            since: UnixMillis(self.since_ms),
            who: self.who,
            note: self.note,
            stored: true,
        })
    }
}

impl StoredDenied {
    fn denied(self) -> Result<(tunnel_protos::OperatorName, Denied), DecodeError> {
        let denied = Denied { since: UnixMillis(self.since_ms), who: self.who, note: self.note };
        Ok((parse(&self.operator, "denied operator")?, denied))
    }
}

impl StoredUse {
    fn used(self) -> Result<(tunnel_protos::Digest, UnixMillis), DecodeError> {
        let digest = self.digest[..].try_into().map_err(|_| DecodeError::Field("approval's digest"))?;
        Ok((digest, UnixMillis(self.forget_after_ms)))
    }
}
