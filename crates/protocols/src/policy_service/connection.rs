use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use fairban_parse::policy::postfix::{Defect, Request, Scanner, State};
use fairban_types::Time;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answer::{Answer, Phrases, decide};
use super::recent::Recent;
use super::sign_in::refused_sign_in;
use super::{PolicyService, mailing};
use crate::Judge;
use crate::counters::count;
use crate::peer::Peer;
use crate::server::{Serve, Shared};

/// How much is read at once, in bytes: some five requests. A connection at rest keeps this much.
const READ_LEN: usize = 4 * 1024;
/// Answers are written when so many bytes have gathered, even if more requests are there.
const OUTPUT_LEN_MAX: usize = 8 * 1024;

pub(super) struct Service {
    settings: PolicyService,
    phrases: Phrases,
    judge: Arc<dyn Judge>,
    recent: Recent,
    shared: Arc<Shared>,
}

/// What is kept of one connection.
#[derive(Default)]
struct Conversation {
    scanner: Scanner,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The `instance` of the message whose recipients were asked about last; empty: none.
    message: String,
}

impl Serve for Service {
    async fn serve<S>(&self, stream: S, peer: &Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Who hangs up early is not owed an answer.
        let _ = self.converse(stream, peer).await;
    }
}

impl Service {
    pub(super) fn new(settings: PolicyService, judge: Arc<dyn Judge>, shared: Arc<Shared>) -> Self {
        let phrases = Phrases::new(&settings);
        Service { settings, phrases, judge, recent: Recent::default(), shared }
    }

    /// Reads and answers until the peer has sent all (Exim half-closes after each request) or something that cannot be
    /// told from what follows.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, peer: &Peer) -> io::Result<()> {
        let mut talk = Conversation { input: Vec::with_capacity(READ_LEN), ..Conversation::default() };
        loop {
            if read_more(&mut stream, &mut talk.input).await? == 0 {
                return stream.shutdown().await;
            }
            peer.begin();
            loop {
                let (taken, progress) = self.answer_all(&mut talk);
                discard(&mut talk.input, taken);
                if !talk.output.is_empty() {
                    stream.write_all(&talk.output).await?;
                    talk.output.clear();
                    peer.rest();
                }
                match progress {
                    Ok(Progress::Full) => {}
                    Ok(Progress::Exhausted) => break,
                    Err(defect) => {
                        self.complain(defect);
                        return stream.shutdown().await;
                    }
                }
            }
            if !talk.input.is_empty() {
                peer.begin();
            }
        }
    }

    /// Answers the requests that are here whole. Returns how many bytes they had.
    fn answer_all(&self, talk: &mut Conversation) -> (usize, Result<Progress, Defect>) {
        let mut taken = 0;
        while talk.output.len() < OUTPUT_LEN_MAX {
            match talk.scanner.take(&talk.input[taken..]) {
                Ok(Some(whole)) => {
                    taken += whole.length;
                    let answer = self.answer(whole.request, &mut talk.message);
                    self.phrases.write(answer, &self.settings, &mut talk.output);
                }
                Ok(None) => return (taken, Ok(Progress::Exhausted)),
                Err(defect) => return (taken, Err(defect)),
            }
        }
        (taken, Ok(Progress::Full))
    }

    fn answer(&self, request: Result<Request<'_>, Defect>, message: &mut String) -> Answer {
        let request = match request {
            Ok(request) => request,
            Err(defect) => {
                self.complain(defect);
                return Answer::GoOn;
            }
        };
        self.shared.tally.request(self.shared.clock.wall());
        let has_asked_recipients = request.instance.as_deref().is_some_and(|instance| instance == message);
        let answer = decide(&self.settings, &*self.judge, &request, has_asked_recipients);
        if request.state == State::Rcpt && !has_asked_recipients {
            message.clear();
            message.push_str(request.instance.as_deref().unwrap_or_default());
        }
        if answer != Answer::GoOn {
            count(&self.shared.tally.refused);
        }
        self.hear(&request, answer);
        answer
    }

    fn hear(&self, request: &Request<'_>, answer: Answer) {
        let is_sign_in = request.state == State::Auth;
        // What strangers send is told by logs; most requests end here.
        if is_sign_in != answer.is_refusal() || (request.account.is_none() && !is_sign_in) {
            return;
        }
        let now = Time::from(SystemTime::now());
        let event =
            if is_sign_in { Some(refused_sign_in(request, now)) } else { mailing::event(request, &self.recent, now) };
        if let Some(event) = event
            && !self.judge.hear(event)
        {
            count(&self.shared.tally.lost);
            self.shared.complaints.say("what was asked is not counted", &"more arrives than can be worked on");
        }
    }

    fn complain(&self, defect: Defect) {
        count(&self.shared.tally.malformed);
        self.shared.complaints.say("a request cannot be read", &defect);
    }
}

enum Progress {
    /// No request is whole any more.
    Exhausted,
    /// There may be more, but the answers should go first.
    Full,
}

/// Takes away what was answered; mostly that is all.
fn discard(input: &mut Vec<u8>, length: usize) {
    if length == input.len() {
        input.clear();
    } else {
        input.drain(..length);
    }
}

async fn read_more(stream: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> io::Result<usize> {
    if input.is_empty() {
        input.shrink_to(READ_LEN);
    }
    if input.capacity() - input.len() < READ_LEN / 4 {
        input.reserve_exact(READ_LEN);
    }
    stream.read_buf(input).await
}
