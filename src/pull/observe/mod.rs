//! Metrics of a puller: counters and gauges, as a page for Prometheus and as reports to the server's dashboard.

mod observed;
mod page;
mod report;

pub use observed::Observed;
pub use page::serve;
pub use report::report;
