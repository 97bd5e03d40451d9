//! What is measured: nginx with the duties of a gateway, and the gateway itself.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::process::Program;
use crate::run;

pub(crate) const KEY: &str = concat!("tg-", "bench-bench-bench-bench-bench-bench-bench-b");

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// nginx, from Debian where it is missing and may be installed; `None` where it cannot be had.
pub(crate) fn nginx(folder: &Path, mock: u16, port: u16) -> io::Result<Option<Program>> {
    if !run::answers(&["nginx", "-v"]) && !run::answers(&["apt-get", "install", "-y", "-qq", "nginx-light"]) {
        run::say("skipped: nginx is not installed (Debian: nginx-light)");
        return Ok(None);
    }
    let at = folder.display();
    let config = format!(
        "worker_processes auto; daemon off; pid {at}/nginx.pid; error_log {at}/nginx-error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  map_hash_bucket_size 128; access_log {at}/access.log; keepalive_requests 100000000;\n\
         \x20 map $http_authorization $known {{ default 0; \"Bearer {KEY}\" 1; }}\n\
         \x20 upstream provider {{ server 127.0.0.1:{mock}; keepalive 128; keepalive_requests 100000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port} reuseport; client_body_buffer_size 64k;\n\
         \x20   location / {{ if ($known = 0) {{ return 401; }} proxy_pass http://provider; proxy_http_version 1.1;\n\
         \x20     proxy_set_header Connection \"\"; proxy_buffering off; }}\n  }}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.args(["-c", &file.to_string_lossy(), "-p", &folder.to_string_lossy()]);
    Program::start(command.stderr(Stdio::null()), port).map(Some)
}

/// Who may call a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// One key without limits.
    One,
    /// 10,000 keys in 500 teams of one organization; six limits hold for each call.
    Many,
}

impl Callers {
    const KEYS: usize = 10_000;
    const TEAMS: usize = 500;

    /// The keys that calls show.
    pub(crate) fn keys(self) -> Vec<String> {
        match self {
            Callers::One => vec![KEY.to_owned()],
            Callers::Many => (0..Callers::KEYS).step_by(25).map(Callers::key).collect(),
        }
    }

    fn key(number: usize) -> String {
        format!("tg-{number:0>40}")
    }

    /// What the configuration says of them.
    fn config(self) -> String {
        if self == Callers::One {
            return format!("keys: [ {{ name: bench, key: {KEY} }} ]\n");
        }
        let limits = "limits: [ { requests: 9000000, per: minute }, { tokens: 9000000000, per: minute } ], \
                      budget: { usd: 100000, per: month }";
        let mut config =
            "organizations: { all: { budget: { usd: 100000, per: month } } }\nteams:\n".to_owned();
        for team in 0..Callers::TEAMS {
            config += &format!(
                "  team {team}: {{ organization: all, limits: [ {{ concurrent: 100000 }} ], \
                 budget: {{ usd: 100000, per: month }} }}\n"
            );
        }
        config += "keys:\n";
        for number in 0..Callers::KEYS {
            let (key, team) = (Callers::key(number), number % Callers::TEAMS);
            config += &format!(
                "  - {{ name: key {number}, key: {key}, organization: all, team: team {team}, {limits} }}\n"
            );
        }
        config
    }
}

/// The release binary with everything on: key, journal, metrics.
pub(crate) fn tollgate(
    folder: &Path,
    callers: Callers,
    binary: &PathBuf,
    (mock, port): (u16, u16),
) -> io::Result<Program> {
    let folder = folder.join(format!("{callers:?}").to_lowercase());
    fs::create_dir_all(&folder)?;
    let callers = callers.config();
    let config = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\ndata_dir: data\n\
         providers: {{ mock: {{ dialect: openai_chat, base_url: \"http://127.0.0.1:{mock}/v1\", api_key: none, \
         models: {{ m: {{ price: {{ input: 1, output: 2 }} }} }} }} }}\n\
         {callers}"
    );
    let file = folder.join("tollgate.yaml");
    fs::write(&file, config)?;
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(&file);
    Program::start(command.stdout(Stdio::null()).stderr(Stdio::null()), port)
}
