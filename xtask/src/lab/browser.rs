//! A real browser for tests of pages: Debian's Chromium, driven by Playwright, beside a client.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::net::{Net, SERVER_V4};
use crate::process::{find, output, root, run, target};

/// What is taken for a browser, the first that is there.
const BROWSERS: [&str; 2] = ["chromium", "google-chrome"];

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
    pub(crate) scripts: bool,
    pub(crate) language: &'static str,
}

impl Window {
    /// A screen on a desk.
    pub(crate) const DESK: Window = Window { width: 1280, height: 800, ..Window::PHONE };
    /// A phone held upright.
    pub(crate) const PHONE: Window = Window { width: 390, height: 844, dark: false, scripts: true, language: "en" };
}

/// What a person sees.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Sight {
    /// The words on the page.
    pub(crate) text: String,
    /// Whether the page is broader than the window.
    pub(crate) wide: bool,
    /// What the page's policy refused, and errors of its scripts.
    pub(crate) complaints: Vec<String>,
    /// Where it is.
    pub(crate) url: String,
}

/// A browser with one page.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one among the clients.
    pub(crate) fn start(net: &Net, window: Window) -> Result<Browser> {
        Browser::start_with(net, window, &[])
    }

    /// Starts one that finds this host at the mail server, and takes its certificate for a good one.
    pub(crate) fn start_trusting(net: &Net, window: Window, host: &str, certificate: &Path) -> Result<Browser> {
        let rules = format!("--host-resolver-rules=MAP {host} {SERVER_V4}");
        let trusted = format!("--ignore-certificate-errors-spki-list={}", key_of(certificate)?);
        Browser::start_with(net, window, &[rules, trusted])
    }

    fn start_with(net: &Net, window: Window, more: &[String]) -> Result<Browser> {
        let folder = driver()?;
        let program = BROWSERS.iter().find_map(|name| find(name));
        let program = program.context("chromium is not installed: run `cargo xtask test`, which installs it")?;
        let mut child = net.on_clients(|| {
            Command::new("node")
                .arg(folder.join("driver.mjs"))
                .arg(program)
                .args(more)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start node: is it installed?")
        })?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no answers")?);
        let mut browser = Browser { child, orders, answers };
        browser.fresh(window)?;
        Ok(browser)
    }

    /// Begins anew, with no cookies.
    pub(crate) fn fresh(&mut self, window: Window) -> Result<()> {
        self.renew(window, false)
    }

    /// Goes on in another window: with the cookies that there are, and without a page.
    pub(crate) fn move_to(&mut self, window: Window) -> Result<()> {
        self.renew(window, true)
    }

    fn renew(&mut self, window: Window, keep: bool) -> Result<()> {
        let Window { width, height, dark, scripts, language } = window;
        let order = json!({ "new": {
            "width": width, "height": height, "dark": dark, "scripts": scripts, "language": language, "keep": keep,
        } });
        self.order(&order).map(drop)
    }

    fn order(&mut self, order: &Value) -> Result<Value> {
        let orders = self.orders.as_mut().context("the browser has ended")?;
        writeln!(orders, "{order}").context("the browser has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("the browser says {line:?}"))?;
        ensure!(answer["error"].is_null(), "{order}: {}", answer["error"].as_str().unwrap_or_default());
        Ok(answer)
    }

    /// Goes to a page.
    pub(crate) fn open(&mut self, url: &str) -> Result<()> {
        self.order(&json!({ "open": url })).map(drop)
    }

    /// Types into the field of this label.
    pub(crate) fn fill(&mut self, label: &str, text: &str) -> Result<()> {
        self.order(&json!({ "fill": [label, text] })).map(drop)
    }

    /// Presses the button, or follows the link, of this name.
    pub(crate) fn click(&mut self, name: &str) -> Result<()> {
        self.order(&json!({ "click": name })).map(drop)
    }

    /// Chooses an option of the field of this label.
    pub(crate) fn choose(&mut self, label: &str, option: &str) -> Result<()> {
        self.order(&json!({ "choose": [label, option] })).map(drop)
    }

    /// Ticks the box of this label.
    pub(crate) fn tick(&mut self, label: &str) -> Result<()> {
        self.order(&json!({ "tick": label })).map(drop)
    }

    /// Clicks twice on a text in a table.
    pub(crate) fn double_click(&mut self, text: &str) -> Result<()> {
        self.order(&json!({ "double": text })).map(drop)
    }

    /// Waits until the page shows a text.
    pub(crate) fn wait(&mut self, text: &str) -> Result<()> {
        self.order(&json!({ "wait": text })).map(drop)
    }

    /// What an expression comes to in the page.
    pub(crate) fn run(&mut self, expression: &str) -> Result<Value> {
        Ok(self.order(&json!({ "run": expression }))?["value"].take())
    }

    /// Gives its owner a security key that holds passkeys and that they always agree to use.
    pub(crate) fn have_passkeys(&mut self) -> Result<()> {
        self.order(&json!({ "passkeys": true })).map(drop)
    }

    /// What is there to see.
    pub(crate) fn see(&mut self) -> Result<Sight> {
        Ok(serde_json::from_value(self.order(&json!({ "see": true }))?)?)
    }

    /// Fails unless the page shows all of it and fits the window. Takes a picture of it.
    pub(crate) fn expect_plainly(&mut self, picture: &str, words: &[&str]) -> Result<String> {
        let path = pictures()?.join(format!("{picture}.png"));
        self.order(&json!({ "shot": path })).map(drop)?;
        let Sight { text, wide, complaints, .. } = self.see()?;
        for word in words {
            ensure!(text.contains(word), "'{word}' is not on the page {picture}: {text}");
        }
        ensure!(!wide, "the page {picture} is broader than the window");
        ensure!(complaints.is_empty(), "the page {picture}: {complaints:#?}");
        Ok(text)
    }

    /// The same, and it keeps nobody out.
    pub(crate) fn expect(&mut self, picture: &str, words: &[&str]) -> Result<String> {
        let text = self.expect_plainly(picture, words)?;
        let found = self.order(&json!({ "axe": true }))?;
        let violations = found["violations"].as_array().context("axe did not answer")?;
        ensure!(violations.is_empty(), "axe on the page {picture}: {violations:#?}");
        Ok(text)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without orders it ends, and ends its Chromium.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The hash of a certificate's key, by which Chromium is told to trust it.
fn key_of(certificate: &Path) -> Result<String> {
    let script = "openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform der \
                  | openssl dgst -sha256 -binary | openssl base64";
    let hash = output(Command::new("sh").args(["-c", script]).arg(certificate))?;
    Ok(hash.trim().to_owned())
}

/// Where pictures of pages go, for people to look at.
pub(crate) fn pictures() -> Result<PathBuf> {
    let folder = target().join("pages");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The folder of the driver, with its libraries, which are installed if they are not those of the lock file.
fn driver() -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let (source, folder) = (root().join("xtask/browser"), target().join("browser"));
    let same =
        |name: &str| fs::read(source.join(name)).ok().is_some_and(|it| fs::read(folder.join(name)).ok() == Some(it));
    let is_installed = same("package-lock.json") && folder.join("node_modules/.package-lock.json").exists();
    fs::create_dir_all(&folder)?;
    copy(&source, &folder)?;
    if !is_installed {
        let mut npm = Command::new("npm");
        run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))?;
    }
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for name in ["package.json", "package-lock.json", "driver.mjs"] {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}
