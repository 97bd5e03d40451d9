//! A socket in the data directory: commands tell a serving process that keys have changed.

use std::{io, path::Path, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::{core::Shared, database::DatabaseThread, reload::refresh_callers};

/// What a command writes, and what it is answered.
const REFRESH: &[u8] = b"keys\n";
const DONE: &[u8] = b"done\n";

/// Answers commands. The folder's mode keeps strangers away from the socket.
pub(crate) async fn listen(listener: UnixListener, shared: Arc<Shared>, database: DatabaseThread) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let mut word = [0; REFRESH.len()];
        let read =
            tokio::time::timeout(std::time::Duration::from_secs(1), stream.read_exact(&mut word)).await;
        if !matches!(read, Ok(Ok(_))) || word != REFRESH {
            continue;
        }
        match refresh_callers(&shared, &database).await {
            Ok(()) => {
                // A command that does not wait needs no answer.
                let _ = stream.write_all(DONE).await;
            }
            Err(error) => tracing::error!(%error, "keys could not be read"),
        }
    }
}

pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    // A socket that an earlier process left behind; the lock says that none is serving.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    UnixListener::bind(path)
}

/// Tells the process that serves from this data directory that keys have changed, and waits until it has taken
/// them up. `Ok(false)`: none is serving.
pub async fn keys_changed(data: &store::DataDir) -> io::Result<bool> {
    let mut stream = match UnixStream::connect(data.control_socket()).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    stream.write_all(REFRESH).await?;
    let mut answer = [0; DONE.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == DONE)
}
