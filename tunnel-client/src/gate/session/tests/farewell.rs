//! How a session that is to end says so: whatever the operator had begun by then is served.

use tokio::io::AsyncWriteExt;

use super::{hostile::raw, *};
use crate::gate::testing::frames::{self, GOAWAY, HEADERS, PING, SETTINGS};

/// RFC 9113, 6.8: the first GOAWAY names no stream, so that a call that crosses it on its way is not lost.
#[tokio::test]
async fn a_call_that_crosses_the_farewell_is_served() {
    let mut raw = raw().await;
    raw.rest.drain.begin();
    assert_eq!(raw.until(GOAWAY).await[..4], [0x7f, 0xff, 0xff, 0xff]);
    let ping = raw.until(PING).await;
    raw.call(1, "Get").await;
    raw.wire.write_all(&frames::frame(SETTINGS, ACK, 0, &[])).await.unwrap();
    raw.wire.write_all(&frames::frame(PING, ACK, 0, &ping)).await.unwrap();
    let (mut answered, mut last) = (false, None);
    while last.is_none() || !answered {
        match raw.read().await {
            (HEADERS, _) => answered = true,
            (GOAWAY, payload) => last = Some(payload),
            _ => {}
        }
    }
    assert_eq!(last.unwrap()[..8], [0, 0, 0, 1, 0, 0, 0, 0], "stream 1 is the last, and nothing is wrong");
    assert_eq!(raw.engine.seen().calls, 1);
    assert_eq!(raw.end().await, End::Closed);
}

const ACK: u8 = 1;
