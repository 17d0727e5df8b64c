//! State, timers and messages; they call the domain, then adapters. No SQL, no JSON, no formulas.
