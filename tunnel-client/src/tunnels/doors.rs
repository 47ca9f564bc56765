//! What to announce: the full set of doors first, then changes. Pure.

use std::collections::BTreeSet;

use tunnel_protos::{Door, v1};

/// What one tunnel has announced.
#[derive(Debug, Default)]
pub(super) struct Announced {
    doors: Option<BTreeSet<Door>>,
}

impl Announced {
    /// What to send so that the broker knows `doors`; nothing if it does.
    pub(super) fn update(&mut self, doors: impl IntoIterator<Item = Door>) -> Option<v1::Doors> {
        let new: BTreeSet<Door> = doors.into_iter().collect();
        let message = match &self.doors {
            None => v1::Doors { full: true, added: texts(&new), removed: Vec::new() },
            Some(old) if *old == new => return None,
            Some(old) => v1::Doors { full: false, added: texts(&new - old), removed: texts(old - &new) },
        };
        self.doors = Some(new);
        Some(message)
    }
}

fn texts(doors: impl std::borrow::Borrow<BTreeSet<Door>>) -> Vec<String> {
    doors.borrow().iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(seed: u8) -> Door {
        Door::from_random([seed; 17])
    }

    #[test]
    fn the_full_set_comes_first_even_if_empty() {
        let first = Announced::default().update([]).unwrap();
        assert!(first.full && first.added.is_empty());
    }

    #[test]
    fn then_only_changes_are_announced() {
        let mut announced = Announced::default();
        announced.update([door(1), door(2)]).unwrap();
        assert_eq!(announced.update([door(2), door(1)]), None);
        let change = announced.update([door(2), door(3)]).unwrap();
        let expected =
            v1::Doors { full: false, added: vec![door(3).to_string()], removed: vec![door(1).to_string()] };
        assert_eq!(change, expected);
    }
}
