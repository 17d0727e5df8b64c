//! Who users are: features, decayed affinities, segments. Goes in as events, comes out as a live profile.
