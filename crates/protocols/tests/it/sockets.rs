use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use fairban_protocols::{AuthPolicy, Judge, Listen, PolicyService, ProtocolError, auth_policy, policy_service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::judge::Recorder;
use crate::policy_service::request;

fn judge() -> Arc<dyn Judge> {
    Recorder::new()
}

#[tokio::test]
async fn a_unix_socket_has_its_permissions_and_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.sock");
    // One that was left behind by a process that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let settings = PolicyService::new(Listen::Unix(path.clone(), 0o660));
    let running = policy_service(settings.clone(), judge()).await.unwrap();
    assert_eq!(running.local_addr(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(request("RCPT", "").as_bytes()).await.unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"action=DUNNO\n\n");

    let error = policy_service(settings, judge()).await.unwrap_err();
    assert!(matches!(&error, ProtocolError::InUse { .. }), "{error}");
    running.stop().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0, "connections end with the server");
}

#[tokio::test]
async fn what_cannot_be_bound_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = policy_service(PolicyService::new(Listen::Unix(file.clone(), 0o600)), judge()).await.unwrap_err();
    assert!(matches!(&error, ProtocolError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    let nowhere = folder.path().join("none/policy.sock");
    let error = policy_service(PolicyService::new(Listen::Unix(nowhere.clone(), 0o600)), judge()).await.unwrap_err();
    assert!(error.to_string().contains(nowhere.to_str().unwrap()), "{error}");

    let running = auth_policy(AuthPolicy::new("127.0.0.1:0".parse().unwrap()), judge()).await.unwrap();
    let address = running.local_addr().unwrap();
    let error = auth_policy(AuthPolicy::new(address), judge()).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    running.stop().await;
    auth_policy(AuthPolicy::new(address), judge()).await.unwrap();
}
