//! A kernel that does not let us.

use std::process::Command;

use fairban_enforce::{EnforceError, Layout, Nftables};

use crate::namespace::Namespace;

/// Run by the test below in a process that lacks the capability.
#[test]
#[ignore = "started by without_the_capability_it_says_so"]
fn child_without_the_capability() {
    let refused = Nftables::open(Layout::default()).err().unwrap();
    assert!(matches!(refused, EnforceError::Permission), "{refused:?}");
    assert!(refused.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn without_the_capability_it_says_so() {
    let namespace = Namespace::new();
    let output = namespace.run(|| {
        Command::new("setpriv")
            .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "refused::child_without_the_capability"])
            .output()
            .unwrap()
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn impossible_layouts_are_refused() {
    let layout = Layout { table: "a b".to_owned(), ..Layout::default() };
    assert!(matches!(Nftables::open(layout), Err(EnforceError::Layout(_))));
}
