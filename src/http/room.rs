//! Room for request bodies in memory: that of all clients together, and the share of it that one address may take, so that no stranger
//! keeps the others out.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Bytes of a body that are counted apart from the rest of it: the small bodies of most clients pass while others fill what is for
/// large ones.
const SMALL_BYTES: usize = 64 << 10;
/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;
/// Share of each part that one address may take: one in so many.
const SHARE: usize = 4;

/// Reason why a body has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// All of it is taken.
    #[error("too many large requests at once, try again in a moment")]
    Full,
    /// The address has its share.
    #[error("too many large requests of this address at once, try again in a moment")]
    Share,
}

/// Room for the first bytes of each body, and for what comes after them.
pub struct Rooms {
    small: Arc<Part>,
    large: Arc<Part>,
}

impl Rooms {
    /// Room for so many bytes, a quarter of it for first bytes. A body of `max_body_bytes` fits the share of one address.
    pub fn new(bytes: usize, max_body_bytes: usize) -> Self {
        Self { small: Part::new(bytes / 4, SMALL_BYTES), large: Part::new(bytes - bytes / 4, max_body_bytes) }
    }

    /// Room for one body of a client of that network, none of it taken yet.
    pub fn of(&self, network: u64) -> Room {
        let taken = |part: &Arc<Part>| Taken { of: Arc::clone(part), network, units: 0 };
        Room { small: taken(&self.small), large: taken(&self.large) }
    }
}

/// Room that one body takes, until it is dropped.
pub struct Room {
    small: Taken,
    large: Taken,
}

impl Room {
    /// Takes what a body of so many bytes needs; an error if there is no room for it.
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let first = bytes.min(SMALL_BYTES);
        self.small.grow(first)?;
        self.large.grow(bytes - first)
    }
}

/// Units of one part.
struct Part {
    held: Mutex<Held>,
    max_by_network: usize,
}

#[derive(Default)]
struct Held {
    free: usize,
    /// Units by network of the client; who has none is left out.
    by_network: HashMap<u64, usize>,
}

impl Part {
    /// So many bytes, and at least room for one of `least`.
    fn new(bytes: usize, least: usize) -> Arc<Self> {
        let units = |bytes: usize| bytes.max(least).div_ceil(UNIT);
        let held = Mutex::new(Held { free: units(bytes), by_network: HashMap::new() });
        Arc::new(Self { held, max_by_network: units(bytes / SHARE) })
    }
}

/// Units of a part that one body takes.
struct Taken {
    of: Arc<Part>,
    network: u64,
    units: usize,
}

impl Taken {
    fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        let mut held = self.of.held.lock();
        let own = held.by_network.get(&self.network).copied().unwrap_or(0) + missing;
        if own > self.of.max_by_network {
            return Err(NoRoom::Share);
        }
        held.free = held.free.checked_sub(missing).ok_or(NoRoom::Full)?;
        held.by_network.insert(self.network, own);
        self.units += missing;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut held = self.of.held.lock();
        held.free += self.units;
        if let Some(own) = held.by_network.get_mut(&self.network) {
            *own = own.saturating_sub(self.units);
            if *own == 0 {
                held.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rooms: &Rooms, network: u64, bytes: usize) -> Result<Room, NoRoom> {
        let mut room = rooms.of(network);
        room.grow(bytes).map(|()| room)
    }

    #[test]
    fn one_address_takes_a_quarter_of_each_part_and_the_others_the_rest() {
        let rooms = Rooms::new(4 << 20, 256 << 10);
        for bytes in [SMALL_BYTES, 256 << 10] {
            let of_one: Vec<Room> = std::iter::from_fn(|| taken(&rooms, 1, bytes).ok()).collect();
            assert!(of_one.len() >= 3, "{} of {bytes}", of_one.len());
            assert_eq!(taken(&rooms, 1, bytes).err(), Some(NoRoom::Share));
            let others: Vec<Room> = (2..5)
                .flat_map(|n| of_one.iter().map(move |_| n))
                .map(|n| taken(&rooms, n, bytes).unwrap())
                .collect();
            assert_eq!(others.len(), 3 * of_one.len());
            drop((of_one, others));
        }
        assert!(
            rooms.small.held.lock().by_network.is_empty() && rooms.large.held.lock().by_network.is_empty()
        );
    }

    #[test]
    fn what_was_taken_comes_back_and_one_largest_body_always_has_room() {
        let rooms = Rooms::new(1 << 20, 4 << 20);
        let first = taken(&rooms, 1, 4 << 20).unwrap();
        assert_eq!(taken(&rooms, 2, 4 << 20).err(), Some(NoRoom::Full));
        let small = taken(&rooms, 2, 1_000).unwrap();
        drop((first, small));
        assert!(taken(&rooms, 2, 4 << 20).is_ok());
    }
}
