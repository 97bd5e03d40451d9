//! PostgreSQL and Redis for tests: each on a port of its own, with a temporary folder, for as long as the guard lives.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::run;

/// The variables under which tests find them.
const POSTGRES: &str = "TOLLGATE_TEST_POSTGRES";
/// The certificate that PostgreSQL shows, for localhost, where openssl could make one.
const POSTGRES_CERTIFICATE: &str = "TOLLGATE_TEST_POSTGRES_CERTIFICATE";
const REDIS: &str = "TOLLGATE_TEST_REDIS";
/// What the names of temporary folders begin with; the number of a process follows.
const FOLDER: &str = "tollgate-services-";
/// The oldest PostgreSQL that is taken.
const POSTGRES_VERSION_MIN: u32 = 15;
/// For either to answer after its start.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// What runs; it is stopped when this is dropped.
pub(crate) struct Services {
    folder: PathBuf,
    running: Vec<Running>,
    /// Variables for tests.
    pub(crate) variables: Vec<(&'static str, String)>,
}

struct Running {
    name: &'static str,
    child: Child,
}

/// Who runs PostgreSQL, which refuses to be run by root.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Services {
    /// Starts what is installed or can be. Without one of them its tests say that they are skipped; CI must have both.
    pub(crate) fn start() -> anyhow::Result<Services> {
        remove_left();
        let folder = env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut services = Services { folder, running: Vec::new(), variables: Vec::new() };
        install();
        for (variable, start) in [
            (POSTGRES, Services::postgres as fn(&mut Services) -> anyhow::Result<String>),
            (REDIS, Services::redis),
        ] {
            match start(&mut services) {
                Ok(address) => services.variables.push((variable, address)),
                Err(error) if env::var_os("CI").is_some() => return Err(error),
                Err(error) => run::say(&format!("skipped: tests that need {variable}: {error:#}")),
            }
        }
        Ok(services)
    }

    fn postgres(&mut self) -> anyhow::Result<String> {
        let programs = postgres_programs().with_context(|| {
            format!(
                "PostgreSQL {POSTGRES_VERSION_MIN} or later is not installed (apt-get install postgresql)"
            )
        })?;
        let folder = self.folder.join("postgres");
        fs::create_dir_all(&folder)?;
        let account = account();
        if let Some(account) = account {
            chown(&folder, Some(account.user), Some(account.group))?;
        }
        let state = folder.join("state");
        let mut make = as_account(&programs.join("initdb"), account);
        make.args(["--auth=trust", "--username=tollgate", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = make.arg("--pgdata").arg(&state).current_dir(&folder).output().context("initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        let port = free_port()?;
        let mut command = as_account(&programs.join("postgres"), account);
        command.arg("-D").arg(&state).arg("-k").arg(&folder).args([
            "-p",
            &port.to_string(),
            "-h",
            "127.0.0.1",
        ]);
        if let Some((certificate, key)) = certificate(&folder, account) {
            let (shown, opened) = (certificate.display().to_string(), key.display());
            let settings =
                ["ssl=on".to_owned(), format!("ssl_cert_file={shown}"), format!("ssl_key_file={opened}")];
            command.args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
            self.variables.push((POSTGRES_CERTIFICATE, shown));
        }
        // Nothing of it has to survive a crash of the machine.
        for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
        {
            command.args(["-c", setting]);
        }
        let answers = || {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready
                .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                .status()
                .is_ok_and(|done| done.success())
        };
        self.run("PostgreSQL", command.current_dir(&folder), answers)?;
        Ok(format!("postgres://tollgate@127.0.0.1:{port}/postgres"))
    }

    fn redis(&mut self) -> anyhow::Result<String> {
        let known = ["redis-server", "valkey-server"];
        let program = known.into_iter().find(|name| run::answers(&[name, "--version"]));
        let program = program.context("Redis is not installed (apt-get install redis-server)")?;
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        let answers = || {
            let asked = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
                stream.write_all(b"PING\r\n")?;
                let mut answer = [0; 5];
                stream.read_exact(&mut answer).map(|()| answer)
            });
            asked.is_ok_and(|answer| &answer == b"+PONG")
        };
        self.run("Redis", command.current_dir(self.folder.clone()), answers)?;
        Ok(format!("redis://127.0.0.1:{port}"))
    }

    /// Starts a program and waits until it answers.
    fn run(
        &mut self,
        name: &'static str,
        command: &mut Command,
        answers: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        run::say(&format!("{name}: {command:?}"));
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        // Ctrl-C reaches them, too, and ends them.
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running.push(Running { name, child });
        let began = Instant::now();
        while !answers() {
            if began.elapsed() > START_TIME_MAX {
                let log = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
                bail!("{name} does not answer\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for running in &mut self.running {
            // PostgreSQL lets go of its connections at once on SIGINT, and Redis ends likewise.
            let id = running.child.id().to_string();
            let asked = Command::new("kill").args(["-INT", &id]).status().is_ok_and(|done| done.success());
            if (!asked && running.child.kill().is_err()) || running.child.wait().is_err() {
                run::say(&format!("{} could not be stopped", running.name));
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            run::say(&format!("{}: {error}", self.folder.display()));
        }
    }
}

/// Starts both and stays until somebody interrupts.
pub(crate) fn stay() -> anyhow::Result<()> {
    let mut services = Services::start()?;
    for (variable, address) in &services.variables {
        run::say(&format!("export {variable}={address}"));
    }
    run::say("they run until Ctrl-C");
    for running in &mut services.running {
        running.child.wait()?;
    }
    Ok(())
}

/// By Debian's packages, where this may install some and something is missing.
fn install() {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let redis = ["redis-server", "valkey-server"].iter().any(|name| run::answers(&[name, "--version"]));
    if (postgres_programs().is_some() && redis) || !root || !run::answers(&["apt-get", "--version"]) {
        return;
    }
    let install =
        ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "postgresql", "redis-server"];
    if let Err(error) = run::must(&["apt-get", "update", "--quiet"]).and_then(|()| run::must(&install)) {
        run::say(&format!("{error:#}"));
    }
}

/// The folder of PostgreSQL's programs: Debian keeps them beside the path.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let newest = versions.filter(|(version, _)| *version >= POSTGRES_VERSION_MIN).max();
    let on_path = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        folder.join("initdb").exists().then_some(folder)
    };
    newest.map(|(_, folder)| folder).filter(|folder| folder.join("initdb").exists()).or_else(on_path)
}

/// Another account than root's, where this is root.
fn account() -> Option<Account> {
    let own = fs::metadata("/proc/self").ok()?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let named = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut ids = line.split(':').skip(2);
        Some(Account { user: ids.next()?.parse().ok()?, group: ids.next()?.parse().ok()? })
    };
    named("postgres").or_else(|| named("nobody"))
}

/// Makes a certificate that vouches for itself, and its key.
fn certificate(folder: &Path, account: Option<Account>) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    let mut make = as_account(Path::new("openssl"), account);
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]);
    make.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
    make.arg("-keyout").arg(&key).arg("-out").arg(&certificate).current_dir(folder).stderr(Stdio::null());
    make.status().is_ok_and(|done| done.success()).then_some((certificate, key))
}

fn as_account(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Removes what was left by processes that were interrupted.
fn remove_left() {
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            run::say(&format!("{}: {error}", entry.path().display()));
        }
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
