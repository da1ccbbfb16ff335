//! Stands in for `room` in models: there is room for any number.

#[derive(Debug)]
pub(super) struct Room;

impl Room {
    pub(super) fn new(_capacity: usize) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as the one that it stands in for")]
    pub(super) fn try_take(&self) -> bool {
        true
    }

    #[expect(clippy::unused_self, reason = "as the one that it stands in for")]
    pub(super) fn give_back(&self) {}
}
