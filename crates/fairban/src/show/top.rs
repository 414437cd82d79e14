//! `fairban top`: a live view of what happens.

use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event as Key, KeyCode, KeyModifiers};
use fairban_types::{Action, EventKind};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline};

use super::safe_line;
use crate::control::client::Conversation;
use crate::control::{Reply, Request, Status};
use crate::daemon::now;

/// Lines kept of each list.
const KEPT: usize = 200;
/// Seconds that the chart shows.
const SECONDS: usize = 120;

#[derive(Default)]
struct View {
    status: Option<Status>,
    events: VecDeque<String>,
    decisions: VecDeque<String>,
    failures_by_second: VecDeque<u64>,
    offenders: BTreeMap<String, u64>,
}

impl View {
    fn take(&mut self, reply: Reply) {
        match reply {
            Reply::Event(seen) => {
                if !matches!(seen.event.kind, EventKind::LoginSucceeded | EventKind::RecipientAccepted) {
                    // What the past tells at the start is no rate.
                    let is_live = now().since(seen.event.time) < Duration::from_secs(10);
                    if let (true, Some(second)) = (is_live, self.failures_by_second.back_mut()) {
                        *second += 1;
                    }
                    *self.offenders.entry(seen.event.client.to_string()).or_default() += 1;
                    self.bound_offenders();
                }
                self.events.push_front(super::seen(&seen));
                self.events.truncate(KEPT);
            }
            Reply::Decision(decision) if decision.action != Action::Expire => {
                self.decisions.push_front(super::decision(&decision));
                self.decisions.truncate(KEPT);
            }
            _ => {}
        }
    }

    /// Forgets who offended least once there are very many.
    fn bound_offenders(&mut self) {
        if self.offenders.len() > 20 * KEPT {
            let mut counts: Vec<u64> = self.offenders.values().copied().collect();
            let middle = counts.len() / 2;
            let (_, median, _) = counts.select_nth_unstable(middle);
            let median = *median;
            self.offenders.retain(|_, count| *count > median);
        }
    }

    fn next_second(&mut self) {
        self.failures_by_second.push_back(0);
        if self.failures_by_second.len() > SECONDS {
            self.failures_by_second.pop_front();
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, chart, middle, bottom] = Layout::vertical([
            Constraint::Length(3),
            Constraint::Length(5),
            Constraint::Percentage(45),
            Constraint::Fill(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()).block(boxed("Fairban, q ends")), head);
        let failures: Vec<u64> = self.failures_by_second.iter().copied().collect();
        let most = failures.iter().max().copied().unwrap_or(0);
        let title = format!("failures per second, most {most}");
        frame.render_widget(Sparkline::default().data(&failures).style(Color::Red).block(boxed(&title)), chart);
        let [left, right] = Layout::horizontal([Constraint::Length(44), Constraint::Fill(1)]).areas(middle);
        frame.render_widget(Paragraph::new(self.top_offenders()).block(boxed("most failures")), left);
        frame.render_widget(Paragraph::new(lines(&self.decisions, true)).block(boxed("decisions")), right);
        frame.render_widget(Paragraph::new(lines(&self.events, false)).block(boxed("events")), bottom);
    }

    fn head(&self) -> Line<'static> {
        let Some(status) = &self.status else { return Line::from("…") };
        let text = format!(
            "{}   {} in force   {} events   {} failures counted   {} stopped   {} blocks   kernel: {}",
            safe_line(&status.node),
            status.standing,
            status.counts.events,
            status.counts.counted,
            status.counts.stopped,
            status.counts.blocks,
            status.enforcement.mode
        );
        match status.problems.first() {
            Some(problem) => Line::from(format!("PROBLEM: {}", safe_line(problem))).red().bold(),
            None => Line::from(text),
        }
    }

    fn top_offenders(&self) -> Vec<Line<'static>> {
        let mut offenders: Vec<_> = self.offenders.iter().collect();
        offenders.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
        offenders.iter().take(KEPT).map(|(name, count)| Line::from(format!("{count:>6}  {name}"))).collect()
    }
}

fn boxed(title: &str) -> Block<'_> {
    Block::default().borders(Borders::TOP).title(title).border_style(Style::default().dark_gray())
}

fn lines(texts: &VecDeque<String>, decisions: bool) -> Vec<Line<'static>> {
    let line = |text: &String| match decisions && (text.contains("  BLOCK") || text.contains("  GUARD")) {
        true => Line::from(text.clone()).yellow(),
        false => Line::from(text.clone()),
    };
    texts.iter().map(line).collect()
}

/// Reads an answer on a thread of its own, for as long as anyone wants it.
fn read(socket: &Path, request: &Request) -> anyhow::Result<Receiver<Reply>> {
    let mut conversation = Conversation::begin(socket, request)?;
    let (replies, received) = channel();
    std::thread::spawn(move || {
        while let Ok(Some(reply)) = conversation.next() {
            if replies.send(reply).is_err() {
                return;
            }
        }
    });
    Ok(received)
}

pub(crate) fn run(socket: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(std::io::stdout().is_terminal(), "top needs a terminal; elsewhere use: fairban events --follow");
    let request = Request::Events { subject: None, kind: None, limit: KEPT as u32, follow: true };
    let replies = read(socket, &request)?;
    let mut view = View::default();
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(&mut terminal, socket, &replies, &mut view);
    ratatui::restore();
    outcome.map(|()| ExitCode::SUCCESS)
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    socket: &Path,
    replies: &Receiver<Reply>,
    view: &mut View,
) -> anyhow::Result<()> {
    let mut next_second = Instant::now();
    loop {
        if Instant::now() >= next_second {
            next_second += Duration::from_secs(1);
            view.next_second();
            let mut conversation = Conversation::begin(socket, &Request::Status)?;
            if let Some(Reply::Status(status)) = conversation.next()? {
                view.status = Some(*status);
            }
        }
        for reply in replies.try_iter().take(2000) {
            view.take(reply);
        }
        terminal.draw(|frame| view.draw(frame))?;
        if event::poll(Duration::from_millis(200))?
            && let Key::Key(key) = event::read()?
        {
            let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(());
            }
        }
    }
}
