//! PostgreSQL's configuration for its job here: many small commits, few connections, one machine.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::error::ClusterError;
use super::options::ClusterOptions;
use super::place::{PORT, Place};

/// Ours, beside `postgresql.conf`, which includes it.
const FILE: &str = "tidings.conf";

/// Lets `postgresql.conf` include ours, once, when the cluster is made.
pub(super) fn include(cluster_dir: &Path) -> Result<(), ClusterError> {
    let path = cluster_dir.join("postgresql.conf");
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "\ninclude_if_exists = '{FILE}'"))
        .map_err(ClusterError::file("write", &path))
}

/// Writes our settings anew, at every start: an update of the server brings its own.
pub(super) fn write(place: &Place, options: &ClusterOptions) -> Result<(), ClusterError> {
    let path = place.cluster_dir().join(FILE);
    fs::write(&path, text(place.socket_dir(), options)).map_err(ClusterError::file("write", &path))?;
    place.account().give(&path)
}

fn text(socket_dir: &Path, options: &ClusterOptions) -> String {
    let mut text = String::from("# Written by tidings at every start; changes here are lost.\n");
    let socket_dir = socket_dir.display().to_string().replace('\'', "''");
    let _ = writeln!(
        text,
        "listen_addresses = ''\nport = {PORT}\nunix_socket_directories = '{socket_dir}'\n\
         unix_socket_permissions = 0700\nmax_connections = {}\nshared_buffers = '{}MB'",
        options.max_connections, options.shared_buffers_mb,
    );
    text.push_str(
        // Sorting events for training stays in memory; connections are few.
        "work_mem = '32MB'\nmaintenance_work_mem = '128MB'\n\
         # Nobody replicates a private cluster: less to write for each commit and none for a bulk load.\n\
         wal_level = minimal\nmax_wal_senders = 0\nmin_wal_size = '128MB'\nmax_wal_size = '2GB'\n\
         checkpoint_timeout = '15min'\n\
         # SSD.\n\
         random_page_cost = 1.1\neffective_io_concurrency = 100\n\
         # Compiling a query takes longer than any of ours.\n\
         jit = off\n\
         autovacuum_naptime = '20s'\nautovacuum_analyze_scale_factor = 0.1\nautovacuum_vacuum_scale_factor = 0.1\n\
         # It works beside commits that somebody waits for.\n\
         autovacuum_vacuum_cost_delay = '10ms'\n\
         timezone = 'UTC'\nlog_timezone = 'UTC'\nlog_line_prefix = '%m [%p] '\n\
         logging_collector = off\nlog_destination = stderr\n\
         # No statement, parameter or row in the log: errors of statements are told by whoever sent them, with less.\n\
         log_min_messages = log\nlog_min_error_statement = panic\nlog_error_verbosity = terse\n\
         log_statement = none\nlog_min_duration_statement = -1\nlog_min_duration_sample = -1\n\
         log_parameter_max_length = 0\nlog_parameter_max_length_on_error = 0\nlog_checkpoints = off\n",
    );
    let durable = if options.durable { "on" } else { "off" };
    let _ = writeln!(text, "fsync = {durable}\nsynchronous_commit = {durable}\nfull_page_writes = {durable}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_gives_up_durability() {
        let durable = text(Path::new("/x"), &ClusterOptions::default());
        assert!(
            durable.contains("\nfsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"),
            "{durable}"
        );
        let fast = text(Path::new("/x"), &ClusterOptions { durable: false, ..Default::default() });
        assert!(fast.contains("\nfsync = off\n"), "{fast}");
    }

    #[test]
    fn there_is_no_network_port_and_a_quote_in_the_path_is_safe() {
        let text = text(Path::new("/it's"), &ClusterOptions::default());
        assert!(text.contains("listen_addresses = ''\n"));
        assert!(text.contains("unix_socket_directories = '/it''s'\n"));
    }
}
