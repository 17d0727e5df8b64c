//! What came of messages: outcomes, attribution, rates.
