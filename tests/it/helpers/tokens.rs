//! Access tokens, made by the product's own command.

/// Secret of the servers that take tokens.
pub const SECRET: &str = "9f2c4e7a1b3d5f6081a2c3e4d5f60718";

/// A token that such a server takes, made by `tidings token` with these arguments.
pub fn token(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("token")
        .args(arguments)
        .env("TIDINGS_AUTH_SECRET", SECRET)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
