//! The deadline that a call gets: never later than the operator, the gate or the grant wants.

use std::time::Duration;

/// The time a call has: the shortest of what its operator asks, what the gate allows, and what is left of the grant.
pub(super) fn effective(
    asked: Option<Duration>,
    allowed: Option<Duration>,
    left_of_grant: Duration,
) -> Duration {
    [asked, allowed].into_iter().flatten().fold(left_of_grant, Duration::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_operator_gate_and_grant_wins() {
        let s = Duration::from_secs;
        assert_eq!(effective(None, None, s(9)), s(9));
        assert_eq!(effective(Some(s(5)), None, s(9)), s(5));
        assert_eq!(effective(Some(s(5)), Some(s(3)), s(9)), s(3));
        assert_eq!(effective(Some(s(50)), Some(s(30)), s(9)), s(9));
    }
}
