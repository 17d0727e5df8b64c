//! One struct per area: every field documented with its unit and bounds, validated once, at start.
