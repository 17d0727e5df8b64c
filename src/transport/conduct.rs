//! Conduct of one client, the same over every transport: frames a second, and frames that can't be parsed.

use std::time::Instant;

/// Frames that can't be parsed and are forgiven.
const MAX_BAD_FRAMES: f32 = 7.0;
/// One of them is forgotten after so long.
const BAD_FRAME_S: f32 = 10.0;
/// The frame rate is averaged over this long.
const RATE_WINDOW_S: f32 = 10.0;

/// Budgets of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    frames: f32,
    refilled_at: Instant,
    bad_frames: f32,
}

impl Conduct {
    /// Full budgets; `rate` is in frames a second.
    pub fn new(rate: u32, now: Instant) -> Self {
        Self { frames: rate as f32 * RATE_WINDOW_S, refilled_at: now, bad_frames: 0.0 }
    }

    /// Takes `n` frames out of the budget; false when it does not hold them, and the connection is to be closed.
    pub fn takes(&mut self, n: usize, rate: u32, now: Instant) -> bool {
        let rate = rate as f32;
        let passed = now.duration_since(self.refilled_at).as_secs_f32();
        self.frames = (self.frames + passed * rate).min(rate * RATE_WINDOW_S) - n as f32;
        self.bad_frames = (self.bad_frames - passed / BAD_FRAME_S).max(0.0);
        self.refilled_at = now;
        self.frames >= 0.0
    }

    /// Counts one of the frames taken as one that can't be parsed; false when the connection is to be closed for it.
    pub fn forgives_bad_frame(&mut self) -> bool {
        self.bad_frames += 1.0;
        self.bad_frames <= MAX_BAD_FRAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ten_seconds_of_frames_may_come_at_once_and_then_as_many_as_time_allows() {
        let start = Instant::now();
        let mut conduct = Conduct::new(5, start);
        assert!(conduct.takes(30, 5, start) && conduct.takes(20, 5, start));
        assert!(!conduct.takes(1, 5, start));
        let mut conduct = Conduct::new(5, start);
        assert!(conduct.takes(50, 5, start) && conduct.takes(5, 5, start + Duration::from_secs(1)));
        assert!(!conduct.takes(6, 5, start + Duration::from_secs(2)));
        assert!(!Conduct::new(5, start).takes(51, 5, start + Duration::from_secs(60)), "no more is saved up");
    }

    #[test]
    fn the_eighth_bad_frame_is_one_too_many() {
        let mut conduct = Conduct::new(5, Instant::now());
        assert_eq!((0..8).take_while(|_| conduct.forgives_bad_frame()).count(), 7);
    }

    #[test]
    fn bad_frames_are_forgotten_in_time() {
        let start = Instant::now();
        let mut conduct = Conduct::new(5, start);
        for n in 0..100 {
            assert!(
                conduct.takes(1, 5, start + Duration::from_secs(11 * n)) && conduct.forgives_bad_frame(),
                "{n}"
            );
        }
    }
}
