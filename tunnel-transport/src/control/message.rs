//! What the bookkeeping needs to know of a control message, for both directions.

use prost::Message;
use tunnel_protos::v1::{Ack, BrokerMessage, ReplicaMessage, broker_message, replica_message};

/// A control message of one direction.
pub trait ControlMessage: Message + Default + Clone + Send + 'static {
    /// Its id; 0 if it need not be acknowledged.
    fn id(&self) -> u64;
    /// Gives it an id.
    fn set_id(&mut self, id: u64);
    /// A message that acknowledges `ids`.
    fn acknowledge(ids: Vec<u64>) -> Self;
    /// The ids that it acknowledges, if that is what it does.
    fn acknowledged(&self) -> Option<&[u64]>;
    /// Whether it says something that this build knows.
    fn is_known(&self) -> bool;
}

macro_rules! control_message {
    ($message:ident, $bodies:ident) => {
        impl ControlMessage for $message {
            fn id(&self) -> u64 {
                self.id
            }

            fn set_id(&mut self, id: u64) {
                self.id = id;
            }

            fn acknowledge(ids: Vec<u64>) -> Self {
                Self { id: 0, body: Some($bodies::Body::Ack(Ack { ids })) }
            }

            fn acknowledged(&self) -> Option<&[u64]> {
                match &self.body {
                    Some($bodies::Body::Ack(ack)) => Some(&ack.ids),
                    _ => None,
                }
            }

            fn is_known(&self) -> bool {
                self.body.is_some()
            }
        }
    };
}

control_message!(ReplicaMessage, replica_message);
control_message!(BrokerMessage, broker_message);
