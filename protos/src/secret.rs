//! `Debug` of the messages that hold a secret: they say what they are, never the secret.

use std::fmt;

use crate::v1::{EnrollmentBundle, Redeem};

impl fmt::Debug for EnrollmentBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EnrollmentBundle");
        shown.field("cluster", &self.cluster).field("token", &self.token_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Redeem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redeem").field("token", &self.token_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = b"made-up-secret".to_vec();
        let bundle = EnrollmentBundle { secret: secret.clone(), ..EnrollmentBundle::default() };
        let redeem = Redeem { broker_secret: secret.clone(), ..Redeem::default() };
        for shown in [format!("{bundle:?}"), format!("{redeem:?}")] {
            assert!(!shown.contains(&format!("{secret:?}")), "{shown}");
        }
    }
}
