//! When a leaf is renewed: at two thirds of its life, spread so that a fleet does not come at once.

use tunnel_protos::UnixMillis;

/// Two thirds of the life between `issued` and `not_after`, plus or minus up to 5 % of it as `random` says.
///
/// Counts from when it was issued, not from the certificate's first moment, which lies before that.
pub fn due(issued: UnixMillis, not_after: UnixMillis, random: u64) -> UnixMillis {
    let life = (i128::from(not_after.0) - i128::from(issued.0)).max(0);
    let spread = i128::from(random % (2 * SPREAD + 1)) - i128::from(SPREAD);
    let after = life * 2 / 3 + life * spread / i128::from(WHOLE);
    UnixMillis(i64::try_from(i128::from(issued.0) + after).unwrap_or(i64::MAX))
}

/// The life in parts that 5 % of it is counted in.
const WHOLE: u64 = 1_000_000;
const SPREAD: u64 = WHOLE / 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{DAY, NOW};

    #[test]
    fn a_leaf_of_24_hours_is_renewed_between_14h48_and_17h12() {
        let minutes = |random| due(NOW, NOW.plus(DAY), random).since(NOW).as_secs() / 60;
        assert_eq!(minutes(SPREAD), 16 * 60);
        assert_eq!(minutes(0), 14 * 60 + 48);
        assert_eq!(minutes(2 * SPREAD), 17 * 60 + 12);
    }

    #[test]
    fn what_is_over_is_due_at_once() {
        assert_eq!(due(NOW, NOW.minus(DAY), 3), NOW);
        assert_eq!(due(UnixMillis(i64::MIN), UnixMillis(i64::MAX), u64::MAX).0.signum(), 1);
    }

    proptest! {
        #[test]
        fn lies_within_the_life_whatever_is_drawn(issued: i64, life in 0i64..i64::MAX, random: u64) {
            let (issued, end) = (UnixMillis(issued), UnixMillis(issued.saturating_add(life)));
            let due = due(issued, end, random);
            prop_assert!(issued <= due && due <= end);
        }
    }
}
