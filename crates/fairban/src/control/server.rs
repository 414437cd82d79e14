//! The daemon's end of the control socket.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use fairban_config::Control;
use fairban_store::Reader;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};

use super::{REQUEST_MAX, Reply, Request, answers};
use crate::daemon::{Access, Notifier, Told, Wish};

/// The most connections at once.
const PEERS_MAX: usize = 64;
/// How long a client may take to say what it wants.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    wishes: mpsc::Sender<Wish>,
    feed: broadcast::Sender<Told>,
    reader: Arc<Mutex<Reader>>,
    /// Users and tokens, for the control socket.
    pub(super) access: Option<Arc<Access>>,
    /// Those who are told of what happens, for the control socket.
    pub(super) notifier: Option<Arc<Notifier>>,
}

impl Shared {
    pub(crate) fn new(wishes: mpsc::Sender<Wish>, feed: broadcast::Sender<Told>, reader: Reader) -> Self {
        Shared { wishes, feed, reader: Arc::new(Mutex::new(reader)), access: None, notifier: None }
    }

    /// The same with the users and tokens of the administrator's pages.
    pub(crate) fn with_access(self, access: Arc<Access>) -> Self {
        Shared { access: Some(access), ..self }
    }

    /// The same with those who are told of what happens.
    pub(crate) fn with_notifier(self, notifier: Arc<Notifier>) -> Self {
        Shared { notifier: Some(notifier), ..self }
    }

    /// Has the core carry out a wish.
    pub(crate) async fn wish(&self, request: Request, by: &str) -> Reply {
        let (answer, reply) = oneshot::channel();
        let wish = Wish { request, by: by.to_owned(), answer };
        if self.wishes.send(wish).await.is_err() {
            return Reply::No("the daemon is ending".to_owned());
        }
        reply.await.unwrap_or_else(|_| Reply::No("the daemon is ending".to_owned()))
    }

    pub(crate) fn feed(&self) -> broadcast::Receiver<Told> {
        self.feed.subscribe()
    }

    /// Reads from the store on a thread that may wait.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, fairban_store::StoreError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let reader = self.reader.clone();
        let read = move || read(&reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(read).await??)
    }
}

/// The control socket; its file goes away with it.
pub(crate) struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds the socket with its owner's group and permissions. A socket left by a daemon that is gone is replaced.
pub(crate) fn listen(path: &Path, control: &Control) -> anyhow::Result<Socket> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if std::fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_socket()) {
        anyhow::ensure!(
            std::os::unix::net::UnixStream::connect(path).is_err(),
            "a daemon is already running on {}: stop it first, or name another socket with [control] socket or --control",
            path.display()
        );
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    let file = SocketFile(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(control.mode))?;
    if let Some(name) = &control.group {
        let group = nix::unistd::Group::from_name(name)?;
        let group = group.with_context(|| format!("[control] group: there is no group '{name}'"))?;
        nix::unistd::chown(path, None, Some(group.gid))
            .with_context(|| format!("cannot give {} to the group '{name}'", path.display()))?;
    }
    Ok(Socket { listener, file })
}

impl Socket {
    /// Answers in the background; the file goes away with what is returned.
    pub(crate) fn serve(self, shared: Shared) -> SocketFile {
        tokio::spawn(serve(self.listener, shared));
        self.file
    }
}

async fn serve(listener: UnixListener, shared: Shared) {
    let places = Arc::new(Semaphore::new(PEERS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // Who hangs up early is not owed an answer.
                    let _ = answer(stream, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "control socket");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who is on the other end, by the kernel's word.
fn peer_name(stream: &UnixStream) -> String {
    let Ok(peer) = stream.peer_cred() else { return "unknown".to_owned() };
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(peer.uid())).ok().flatten();
    user.map_or_else(|| format!("uid {}", peer.uid()), |user| user.name)
}

async fn answer(stream: UnixStream, shared: Shared) -> anyhow::Result<()> {
    let by = peer_name(&stream);
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(REQUEST_MAX));
    tokio::time::timeout(PATIENCE, read.read_until(b'\n', &mut line)).await??;
    let replies = match serde_json::from_slice::<Request>(&line) {
        Ok(Request::Events { subject, kind, limit, follow }) => {
            let asked = answers::Asked { subject, kind, limit, follow };
            return match answers::events(&shared, &mut write, &asked).await {
                Err(error) if !error.is::<std::io::Error>() => send(&mut write, &Reply::No(format!("{error:#}"))).await,
                done => done,
            };
        }
        Ok(request) => match answers::answer(&shared, request, &by).await {
            Ok(replies) => replies,
            Err(error) => vec![Reply::No(format!("{error:#}"))],
        },
        Err(error) => vec![Reply::Wrong(format!("the request cannot be read: {error}"))],
    };
    for reply in replies {
        send(&mut write, &reply).await?;
    }
    send(&mut write, &Reply::End).await
}

/// Writes one line of an answer.
pub(super) async fn send(write: &mut (impl AsyncWriteExt + Unpin), reply: &Reply) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(write.write_all(&line).await?)
}
