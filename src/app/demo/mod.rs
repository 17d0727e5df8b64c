//! `tidings demo`: a simulated shop with hidden tastes, its history, and live shoppers.
